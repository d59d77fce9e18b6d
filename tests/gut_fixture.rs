//! Scenes for 3DGUT, and the comparison of its pictures and gradients with the f64 twin's.

use glam::{DQuat, DVec3};
use splat_core::reference::{Gaussians, LensView, Options, Picture, render_gut};
use splat_core::render::{FrameGradient, FrameImage, GaussianBuffers, GaussianGradients, RenderOptions};
use splat_core::{GaussianCloud, Lens, LensCamera, Pinhole, Pose, RollingShutter, ShutterDirection};

use crate::differences::{CLEAR_OF_JUMPS, STEP, Sowing, assert_gradients};
use crate::fixtures::{Device, Rng, flat, narrow, wide};

/// Largest difference of a colour from the twin's: f32 along rays.
const TOLERANCE: f64 = 5e-5;

/// What f32 sums over rays may be off by, as a share of the largest entry.
const OF_LARGEST: f64 = 2e-5;

/// Odd sizes, unequal focal lengths, principal point off centre.
pub(crate) const PINHOLE: Pinhole = Pinhole { width: 43, height: 27, fx: 40.0, fy: 37.0, cx: 20.0, cy: 14.5 };

/// A rolled and moved camera.
pub(crate) fn pose() -> Pose {
    Pose::look_at(DVec3::new(0.4, -0.3, -0.2), DVec3::new(0.1, 0.2, 4.0), DVec3::new(0.2, 1.0, 0.1))
}

/// A scene, a camera and fixed weights that make a loss of a picture: `Σ w · (rgb, alpha, depth)`.
pub(crate) struct Fixture {
    pub(crate) cloud: GaussianCloud,
    pub(crate) lens: Lens,
    pub(crate) pose: Pose,
    pub(crate) options: Options,
    w_rgb: Vec<f64>,
    w_alpha: Vec<f64>,
    w_depth: Vec<f64>,
    /// How the camera moves while it sees; the pose is then not used.
    pub(crate) shutter: Option<RollingShutter>,
}

impl Fixture {
    pub(crate) fn new(lens: &Lens, sh_degree: u32) -> Self {
        Self::seeded(0, lens, sh_degree).clear_of_jumps()
    }

    /// The same, read line by line while the camera moves and turns.
    pub(crate) fn rolling(lens: &Lens, sh_degree: u32, direction: ShutterDirection) -> Self {
        let mut fixture = Self::seeded(0, lens, sh_degree);
        let [start, end] = [-1.0, 1.0].map(|time| {
            let turn = DQuat::from_scaled_axis(time * DVec3::new(0.03, -0.05, 0.04));
            let translation = turn * fixture.pose.translation + time * DVec3::new(0.08, -0.05, 0.06);
            Pose { rotation: turn * fixture.pose.rotation, translation }
        });
        fixture.shutter = Some(RollingShutter { direction, start, end });
        fixture.clear_of_jumps()
    }

    /// Takes the few pixels near a jump of the picture out of the loss.
    fn clear_of_jumps(mut self) -> Self {
        let mut left_out = 0;
        for (i, distance) in self.picture().jump_distance.iter().enumerate() {
            if *distance < CLEAR_OF_JUMPS {
                self.w_rgb[3 * i..3 * i + 3].fill(0.0);
                (self.w_alpha[i], self.w_depth[i]) = (0.0, 0.0);
                left_out += 1;
            }
        }
        assert!(left_out * 5 < self.w_alpha.len(), "{left_out} pixels are near jumps");
        self
    }

    /// Gaussians on every side of a lens that sees behind itself.
    pub(crate) fn around(lens: &Lens) -> Self {
        let mut fixture = Self::seeded(0, lens, 1);
        let mut rng = Rng(77);
        let world_from_cam = pose().inverse();
        for (i, mean) in fixture.cloud.means.iter_mut().enumerate() {
            // Two across the seam of a panorama, straight behind; the others anywhere.
            let direction = match i {
                0 => DVec3::new(0.02, 0.1, -1.0),
                1 => DVec3::new(-0.15, -0.3, -1.0),
                _ => DVec3::from_array(std::array::from_fn(|_| rng.range(-1.0, 1.0))),
            };
            let distance = 1.5 + 0.2 * i as f64;
            let place = distance * direction.normalize();
            *mean = world_from_cam.transform_point(place).as_vec3().to_array();
        }
        // A full turn on 40 pixels: larger, so that each covers several.
        fixture.cloud.log_scales.iter_mut().flatten().for_each(|s| *s += 0.7);
        fixture.clear_of_jumps()
    }

    fn seeded(seed: u64, lens: &Lens, sh_degree: u32) -> Self {
        let pose = pose();
        let mut sown = Sowing::new(seed, pose, sh_degree);
        sown.scattered(4, -1.4);
        sown.three_in_a_row(-1.9);
        sown.clamped();
        let pixels = (lens.width * lens.height) as usize;
        let [w_rgb, w_alpha, w_depth] = [3 * pixels, pixels, pixels].map(|count| sown.weights(count));
        Self {
            cloud: sown.cloud,
            lens: lens.clone(),
            pose,
            options: Options { background: [0.25, 0.5, 0.75], antialiased: false },
            w_rgb,
            w_alpha,
            w_depth,
            shutter: None,
        }
    }

    pub(crate) fn view(&self) -> LensView {
        let mut view = LensView::new(&self.lens, self.pose).expect("the lens is valid");
        view.rolling_shutter = self.shutter;
        view
    }

    pub(crate) fn picture(&self) -> Picture {
        render_gut(&Gaussians::from(&self.cloud), &self.view(), &self.options)
    }

    fn on_gpu(&self) -> (FrameImage, GaussianGradients) {
        let [w_rgb, w_alpha, w_depth] = [&self.w_rgb, &self.w_alpha, &self.w_depth].map(|w| narrow(w));
        let gradient = FrameGradient { v_rgb: &w_rgb, v_alpha: Some(&w_alpha), v_depth: Some(&w_depth) };
        let device = Device::shared();
        let background = self.options.background.map(|channel| channel as f32);
        let options = RenderOptions { background, ..RenderOptions::default() };
        let buffers = GaussianBuffers::upload(&device.gpu, &self.cloud).expect("the cloud fits the device");
        let rolling_shutter = self.shutter;
        let camera = LensCamera { lens: self.lens.clone(), cam_from_world: self.pose, rolling_shutter };
        let frame = device.gut().render(&buffers, &camera, &options).expect("the view renders");
        let gradients = device.gut().backward(&buffers, &frame, &gradient).expect("gradients");
        (frame.read().expect("the frame comes back"), gradients)
    }

    fn loss(&self, gaussians: &Gaussians, view: &LensView) -> f64 {
        let picture = render_gut(gaussians, view, &self.options);
        let dot = |w: &[f64], x: &[f64]| w.iter().zip(x).map(|(w, x)| w * x).sum::<f64>();
        dot(&self.w_rgb, &picture.rgb)
            + dot(&self.w_alpha, &picture.alpha)
            + dot(&self.w_depth, &picture.depth)
    }

    /// Central differences for every value that `entry` reaches.
    fn differences(
        &self,
        count: usize,
        entry: impl Fn(&mut Gaussians, &mut LensView, usize, f64),
    ) -> Vec<f64> {
        let (gaussians, view) = (Gaussians::from(&self.cloud), self.view());
        (0..count)
            .map(|index| {
                let [above, below] = [STEP, -STEP].map(|step| {
                    let (mut gaussians, mut view) = (gaussians.clone(), view.clone());
                    entry(&mut gaussians, &mut view, index, step);
                    self.loss(&gaussians, &view)
                });
                (above - below) / (2.0 * STEP)
            })
            .collect()
    }
}

/// The gradient of the six ways a pose can move (turns about the camera's axes, then shifts along them), from that of
/// the twelve entries of its matrix: `d(R, t) = (w x R, w x t + v)`.
fn by_motion(pose: Pose, entries: &[f64; 12]) -> Vec<f64> {
    let matrix = pose.to_matrix();
    let mut motions = Vec::new();
    for axis in [DVec3::X, DVec3::Y, DVec3::Z] {
        let turned = |column: usize| axis.cross(matrix.col(column).truncate());
        motions.push((0..12).map(|i| entries[i] * turned(i % 4)[i / 4]).sum());
    }
    motions.extend([3, 7, 11].map(|i| entries[i]));
    motions
}

fn moved(pose: Pose, motion: usize, step: f64) -> Pose {
    let axis = [DVec3::X, DVec3::Y, DVec3::Z][motion % 3];
    if motion >= 3 {
        return Pose { translation: pose.translation + step * axis, ..pose };
    }
    let turn = DQuat::from_axis_angle(axis, step);
    Pose { rotation: turn * pose.rotation, translation: turn * pose.translation }
}

/// Picture and every gradient of a fixture.
pub(crate) fn check(what: &str, fixture: &Fixture) {
    let (image, ours) = fixture.on_gpu();
    assert_picture(what, &image, &fixture.picture());
    let n = fixture.cloud.len();
    let means = fixture.differences(n * 3, |g, _, i, step| g.means[i / 3][i % 3] += step);
    assert_gradients(&format!("means, {what}"), &flat(&ours.means), &means, OF_LARGEST);
    let quats = fixture.differences(n * 4, |g, _, i, step| g.quats[i / 4][i % 4] += step);
    assert_gradients(&format!("quats, {what}"), &flat(&ours.quats), &quats, OF_LARGEST);
    let scales = fixture.differences(n * 3, |g, _, i, step| g.log_scales[i / 3][i % 3] += step);
    assert_gradients(&format!("log_scales, {what}"), &flat(&ours.log_scales), &scales, OF_LARGEST);
    let logits = fixture.differences(n, |g, _, i, step| g.opacity_logits[i] += step);
    assert_gradients(&format!("opacity_logits, {what}"), &wide(&ours.opacity_logits), &logits, OF_LARGEST);
    let coeffs = fixture.cloud.sh_coeffs.len() * 3;
    let sh = fixture.differences(coeffs, |g, _, i, step| g.sh_coeffs[i / 3][i % 3] += step);
    assert_gradients(&format!("sh_coeffs, {what}"), &flat(&ours.sh_coeffs), &sh, OF_LARGEST);
    if fixture.shutter.is_some() {
        assert_eq!(ours.cam_from_world, [0.0; 12], "{what}: a rolling shutter has no one pose");
        let shutter = ours.shutter.expect("a rolling shutter has gradients");
        for (end, ours) in [shutter.start, shutter.end].iter().enumerate() {
            let expected = fixture.differences(6, |_, view, i, step| {
                let shutter = view.rolling_shutter.as_mut().expect("the fixture's shutter");
                let pose = if end == 0 { &mut shutter.start } else { &mut shutter.end };
                // A turn leaves the translation here, which is what goes along a line between the two.
                let Pose { translation, .. } = *pose;
                *pose = moved(*pose, i, step);
                if i < 3 {
                    pose.translation = translation;
                }
            });
            assert_gradients(&format!("pose {end}, {what}"), ours, &expected, OF_LARGEST);
        }
        return;
    }
    let pose = fixture.differences(6, |_, view, i, step| {
        view.cam_from_world = moved(view.cam_from_world, i, step);
    });
    let motions = by_motion(fixture.pose, &ours.cam_from_world);
    assert_gradients(&format!("pose, {what}"), &motions, &pose, OF_LARGEST);
}

fn assert_picture(what: &str, ours: &FrameImage, twin: &Picture) {
    assert_eq!((ours.width, ours.height), (twin.width, twin.height), "{what}");
    let clear = |i: usize| twin.jump_distance[i] > CLEAR_OF_JUMPS;
    for (i, (a, b)) in ours.alpha.iter().zip(&twin.alpha).enumerate().filter(|(i, _)| clear(*i)) {
        assert!((f64::from(*a) - b).abs() < TOLERANCE, "{what}: alpha {i} is {a}, reference {b}");
    }
    for (i, (a, b)) in ours.rgb.iter().zip(&twin.rgb).enumerate().filter(|(i, _)| clear(i / 3)) {
        assert!((f64::from(*a) - b).abs() < TOLERANCE, "{what}: colour {i} is {a}, reference {b}");
    }
    for (i, (a, b)) in ours.depth.iter().zip(&twin.depth).enumerate().filter(|(i, _)| clear(*i)) {
        assert!((f64::from(*a) - b).abs() < 4.0 * TOLERANCE, "{what}: depth {i} is {a}, reference {b}");
    }
    assert!(twin.alpha.iter().filter(|alpha| **alpha > 0.1).count() > 100, "{what}: nothing to see");
}
