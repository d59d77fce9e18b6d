//! 3DGUT against its f64 twin: pictures, gradients by central differences, and agreement with EWA where both are right.
//!
//! The twin evaluates the paper's formulas in world space; the kernels use a ratio of quadratic forms in camera space.

use glam::{DQuat, DVec3};
use splat_core::reference::{self, Gaussians, LensView, Options, Picture, project_gut, render_gut};
use splat_core::render::{
    FrameGradient, FrameImage, GaussianBuffers, GaussianGradients, RenderOptions, project_points,
};
use splat_core::{Camera, GaussianCloud, Lens, LensCamera, LensModel, Pinhole, Pose};

use crate::fixtures::{Device, Rng, flat, narrow, wide};

/// Step of the central differences: f64 leaves nine correct digits.
const STEP: f64 = 1e-6;
/// Pixels that come this near to a jump of the picture are left out.
const CLEAR_OF_JUMPS: f64 = 3e-4;
/// Largest difference of a colour from the twin's: f32 along rays.
const TOLERANCE: f64 = 5e-5;

/// Odd sizes, unequal focal lengths, principal point off centre.
const PINHOLE: Pinhole = Pinhole { width: 43, height: 27, fx: 40.0, fy: 37.0, cx: 20.0, cy: 14.5 };

/// A rolled and moved camera.
fn pose() -> Pose {
    Pose::look_at(DVec3::new(0.4, -0.3, -0.2), DVec3::new(0.1, 0.2, 4.0), DVec3::new(0.2, 1.0, 0.1))
}

/// A scene, a camera and fixed weights that make a loss of a picture: `Σ w · (rgb, alpha, depth)`.
struct Fixture {
    cloud: GaussianCloud,
    lens: Lens,
    pose: Pose,
    options: Options,
    w_rgb: Vec<f64>,
    w_alpha: Vec<f64>,
    w_depth: Vec<f64>,
}

impl Fixture {
    fn new(lens: &Lens, sh_degree: u32) -> Self {
        Self::seeded(0, lens, sh_degree).clear_of_jumps()
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
    fn around(lens: &Lens) -> Self {
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
        let mut rng = Rng(seed);
        let pose = pose();
        let world_from_cam = pose.inverse();
        let mut cloud = GaussianCloud { sh_degree, ..GaussianCloud::default() };
        let mut add = |rng: &mut Rng, cam: [f64; 3], log_scale: f64, logit: f64, dc: [f32; 3]| {
            let mean = world_from_cam.transform_point(DVec3::from_array(cam));
            cloud.means.push(mean.as_vec3().to_array());
            cloud.quats.push(rng.vector(-1.0, 1.0));
            cloud.log_scales.push(rng.vector(log_scale - 0.5, log_scale + 0.5));
            cloud.opacity_logits.push(logit as f32);
            cloud.sh_coeffs.push(dc);
            for _ in 1..(sh_degree + 1).pow(2) {
                cloud.sh_coeffs.push(rng.vector(-0.15, 0.15));
            }
        };
        for i in 0..4 {
            let depth = 2.0 + 0.4 * f64::from(i);
            let cam = [rng.range(-0.8, 0.8), rng.range(-0.5, 0.5), depth];
            // The last one's alpha is capped around its centre.
            let (log_scale, logit) = if i == 3 { (-1.4, 8.0) } else { (-1.8, rng.range(-1.5, 1.5)) };
            let dc = rng.vector(-0.3, 1.0);
            add(&mut rng, cam, log_scale, logit, dc);
        }
        // Three in a row, opaque enough for pixels to end before the last.
        for depth in [1.5, 1.6, 1.7] {
            let dc = rng.vector(-0.3, 1.0);
            add(&mut rng, [-0.2, 0.1, depth], -1.9, 4.0, dc);
        }
        // A channel clamped at 0 from every side.
        add(&mut rng, [0.3, 0.2, 1.9], -2.0, 0.0, [-4.0, 0.5, 0.2]);
        let pixels = (lens.width * lens.height) as usize;
        let mut weights = |count: usize| -> Vec<f64> {
            // Rounded to f32, so that the GPU gets the same.
            (0..count).map(|_| f64::from(rng.range(-1.0, 1.0) as f32)).collect()
        };
        Self {
            cloud,
            lens: lens.clone(),
            pose,
            options: Options { background: [0.25, 0.5, 0.75], antialiased: false },
            w_rgb: weights(pixels * 3),
            w_alpha: weights(pixels),
            w_depth: weights(pixels),
        }
    }

    fn view(&self) -> LensView {
        LensView::new(&self.lens, self.pose).expect("the lens is valid")
    }

    fn picture(&self) -> Picture {
        render_gut(&Gaussians::from(&self.cloud), &self.view(), &self.options)
    }

    fn on_gpu(&self) -> (FrameImage, GaussianGradients) {
        let [w_rgb, w_alpha, w_depth] = [&self.w_rgb, &self.w_alpha, &self.w_depth].map(|w| narrow(w));
        let gradient = FrameGradient { v_rgb: &w_rgb, v_alpha: Some(&w_alpha), v_depth: Some(&w_depth) };
        let device = Device::shared();
        let background = self.options.background.map(|channel| channel as f32);
        let options = RenderOptions { background, ..RenderOptions::default() };
        let buffers = GaussianBuffers::upload(&device.gpu, &self.cloud).expect("the cloud fits the device");
        let camera = LensCamera { lens: self.lens.clone(), cam_from_world: self.pose };
        let frame = device.gut().render_lens(&buffers, &camera, &options).expect("the view renders");
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

/// Every entry within 1e-4 of its own size and 2e-5 of the largest; and there must be something to compare.
fn assert_gradients(what: &str, ours: &[f64], expected: &[f64]) {
    assert_eq!(ours.len(), expected.len(), "{what}: different sizes");
    let largest = expected.iter().fold(0.0_f64, |max, value| max.max(value.abs()));
    assert!(largest > 1e-3, "{what}: nothing moves the loss, so the fixture tests nothing");
    for (index, (ours, expected)) in ours.iter().zip(expected).enumerate() {
        let allowed = 1e-4 * expected.abs() + 2e-5 * largest;
        assert!(
            (ours - expected).abs() <= allowed,
            "{what}[{index}]: {ours} on the GPU, {expected} by differences, largest {largest}"
        );
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
fn check(what: &str, fixture: &Fixture) {
    let (image, ours) = fixture.on_gpu();
    assert_picture(what, &image, &fixture.picture());
    let n = fixture.cloud.len();
    let means = fixture.differences(n * 3, |g, _, i, step| g.means[i / 3][i % 3] += step);
    assert_gradients(&format!("means, {what}"), &flat(&ours.means), &means);
    let quats = fixture.differences(n * 4, |g, _, i, step| g.quats[i / 4][i % 4] += step);
    assert_gradients(&format!("quats, {what}"), &flat(&ours.quats), &quats);
    let scales = fixture.differences(n * 3, |g, _, i, step| g.log_scales[i / 3][i % 3] += step);
    assert_gradients(&format!("log_scales, {what}"), &flat(&ours.log_scales), &scales);
    let logits = fixture.differences(n, |g, _, i, step| g.opacity_logits[i] += step);
    assert_gradients(&format!("opacity_logits, {what}"), &wide(&ours.opacity_logits), &logits);
    let coeffs = fixture.cloud.sh_coeffs.len() * 3;
    let sh = fixture.differences(coeffs, |g, _, i, step| g.sh_coeffs[i / 3][i % 3] += step);
    assert_gradients(&format!("sh_coeffs, {what}"), &flat(&ours.sh_coeffs), &sh);
    let pose = fixture.differences(6, |_, view, i, step| {
        view.cam_from_world = moved(view.cam_from_world, i, step);
    });
    let motions = by_motion(fixture.pose, &ours.cam_from_world);
    assert_gradients(&format!("pose, {what}"), &motions, &pose);
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

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn pictures_and_gradients_match_the_twin() {
    let lens = Lens::pinhole(PINHOLE);
    for sh_degree in [0, 1, 3] {
        check(&format!("pinhole, degree {sh_degree}"), &Fixture::new(&lens, sh_degree));
    }
}

/// Every model with a distortion that shows at 43 x 27 pixels.
fn lenses() -> Vec<Lens> {
    let one = [36.0, 20.0, 14.5];
    let two = [36.0, 34.0, 20.0, 14.5];
    let fish = [24.0, 23.0, 20.0, 14.5];
    LensModel::ALL
        .into_iter()
        .map(|model| {
            let params: Vec<f64> = match model {
                LensModel::SimplePinhole => one.to_vec(),
                LensModel::Pinhole => two.to_vec(),
                LensModel::SimpleRadial => [&one[..], &[-0.2]].concat(),
                LensModel::Radial => [&one[..], &[-0.25, 0.08]].concat(),
                LensModel::OpenCv => [&two[..], &[-0.25, 0.07, 0.01, -0.02]].concat(),
                LensModel::OpenCvFisheye => [&fish[..], &[0.05, -0.03, 0.01, -0.002]].concat(),
                LensModel::FullOpenCv => [&two[..], &[0.3, 0.1, 0.01, -0.015, 0.02, 0.5, 0.2, 0.03]].concat(),
                LensModel::Fov => [&two[..], &[0.8]].concat(),
                LensModel::SimpleRadialFisheye => [&one[..], &[-0.05]].concat(),
                LensModel::RadialFisheye => [&one[..], &[-0.05, 0.01]].concat(),
                LensModel::ThinPrismFisheye => {
                    [&fish[..], &[0.03, -0.01, 0.01, -0.01, 0.004, -0.001, 0.02, -0.015]].concat()
                }
                LensModel::RadTanThinPrismFisheye => {
                    let k = [0.04, -0.02, 0.01, -0.003, 0.001, -0.0002];
                    [&fish[..], &k, &[0.01, -0.012, 0.01, -0.002, 0.015, -0.003]].concat()
                }
                LensModel::SimpleDivision => [&one[..], &[-0.2]].concat(),
                LensModel::Division => [&two[..], &[-0.25]].concat(),
                LensModel::SimpleFisheye => one.to_vec(),
                LensModel::Fisheye => fish.to_vec(),
                LensModel::Eucm => [&two[..], &[0.6, 1.1]].concat(),
                LensModel::Equirectangular => vec![43.0, 27.0],
            };
            Lens { model, width: 43, height: 27, params }
        })
        .collect()
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn every_camera_model_matches_the_twin() {
    for lens in lenses() {
        let fixture = if lens.model == LensModel::Equirectangular {
            Fixture::around(&lens)
        } else {
            Fixture::new(&lens, 0)
        };
        check(lens.model.name(), &fixture);
    }
}

/// Beyond 180 degrees: an equidistant lens of 300 degrees across sees what is behind it.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn fisheyes_see_behind_themselves() {
    let focal = 20.0 / 150.0_f64.to_radians();
    let params = vec![focal, 20.0, 20.0, 0.01];
    let lens = Lens { model: LensModel::SimpleRadialFisheye, width: 41, height: 41, params };
    let fixture = Fixture::around(&lens);
    let behind = fixture
        .cloud
        .means
        .iter()
        .filter(|mean| fixture.pose.transform_point(DVec3::from_array(mean.map(f64::from))).z < 0.0);
    assert!(behind.count() >= 3, "nothing lies behind");
    check("300 degrees", &fixture);
}

/// Lens, camera-space points and their pixels by pycolmap 4.2.
type OracleEntry = (Lens, Vec<[f32; 3]>, Vec<[f64; 2]>);

fn oracle_entries(oracle: &serde_json::Value) -> Vec<OracleEntry> {
    let numbers = |value: &serde_json::Value| -> Vec<f64> {
        value.as_array().expect("a list").iter().map(|n| n.as_f64().expect("a number")).collect()
    };
    let size = |value: &serde_json::Value| value.as_u64().expect("a size") as u32;
    let entry = |camera: &serde_json::Value| {
        let model = LensModel::from_name(camera["model"].as_str().expect("a name")).expect("a model");
        let (width, height) = (size(&camera["width"]), size(&camera["height"]));
        let lens = Lens { model, width, height, params: numbers(&camera["params"]) };
        let samples = camera["samples"].as_array().expect("a list");
        let points = samples.iter().map(|sample| numbers(&sample["xyz"]));
        let points = points.map(|p| [p[0] as f32, p[1] as f32, p[2] as f32]).collect();
        let pixels = samples.iter().map(|sample| numbers(&sample["px"])).map(|p| [p[0], p[1]]).collect();
        (lens, points, pixels)
    };
    oracle["cameras"].as_array().expect("a list").iter().map(entry).collect()
}

/// The camera models in WGSL against those in f64, and both against pycolmap's.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn kernels_project_as_pycolmap_does() {
    let Some(path) = crate::test_data::shared("colmap_models/camera_projection_oracle.json") else { return };
    let oracle: serde_json::Value =
        serde_json::from_slice(&std::fs::read(path).expect("it can be read")).expect("it is JSON");
    let mut models = 0;
    for entry in oracle_entries(&oracle) {
        let (lens, points, pixels) = entry;
        let ours = project_points(&Device::shared().gpu, &lens, &points).expect("they project");
        let mut seen = 0;
        for ((point, ours), expected) in points.iter().zip(&ours).zip(&pixels) {
            let twin = lens.project(DVec3::from_array(point.map(f64::from)));
            assert_eq!(ours.is_some(), twin.is_some(), "{}: {point:?} {ours:?} {twin:?}", lens.model);
            let (Some(ours), Some(twin)) = (ours, twin) else { continue };
            // Arc tangents of drivers are good to 1e-5 or so; boxes are what these pixels are for.
            let off = (f64::from(ours[0]) - twin.x).hypot(f64::from(ours[1]) - twin.y);
            assert!(off < 0.02, "{}: {point:?} is {off} px from the twin", lens.model);
            let off = (f64::from(ours[0]) - expected[0]).hypot(f64::from(ours[1]) - expected[1]);
            assert!(off < 0.02, "{}: {point:?} is {off} px from pycolmap's", lens.model);
            seen += 1;
        }
        assert!(seen > 10, "{}: only {seen} points were compared", lens.model);
        models += 1;
    }
    assert_eq!(models, 18, "models were left out");
}

/// The fixture holds what its comments promise; without it the comparison above proves less.
#[test]
fn the_fixture_reaches_every_branch() {
    let fixture = Fixture::new(&Lens::pinhole(PINHOLE), 0);
    let (gaussians, view) = (Gaussians::from(&fixture.cloud), fixture.view());
    let seen: Vec<_> = project_gut(&gaussians, &view);
    assert!(seen.iter().all(Option::is_some), "a Gaussian of the fixture is culled");
    let alone =
        |i: usize| reference::rasterize_gut(&[seen[i].expect("checked above")], &view, &fixture.options);
    assert!(alone(3).alpha.contains(&reference::ALPHA_MAX), "no alpha is capped");
    let row: Vec<_> = seen[4..7].iter().flatten().copied().collect();
    let [three, third] = [&row[..], &row[2..]].map(|s| reference::rasterize_gut(s, &view, &fixture.options));
    let ended =
        (0..three.alpha.len()).filter(|i| third.alpha[*i] > 0.5 && three.contributors[*i] == 2).count();
    assert!(ended >= 1, "only {ended} pixels end early");
    assert!(seen[7].is_some_and(|one| one.rgb[0] == 0.0), "no channel is clamped");
}

/// Small round Gaussians, seen by a pinhole: EWA of one with standard deviation s is 3DGUT of one with
/// `sqrt(s² + 0.3 (z / f)²)`, as EWA blurs by 0.3 px². They differ by the second order of s over z, 1 % of 1 % here, and by
/// how the edge of the picture stretches them.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn small_gaussians_look_as_ewas() {
    const AGREEMENT: f32 = 4e-3;
    let focal = 300.0;
    let intrinsics = Pinhole { width: 64, height: 48, fx: focal, fy: focal, cx: 32.0, cy: 24.0 };
    let camera = Camera { intrinsics, cam_from_world: pose() };
    let world_from_cam = pose().inverse();
    let mut rng = Rng(5);
    let mut sharp = GaussianCloud { sh_degree: 0, ..GaussianCloud::default() };
    let mut blurred = sharp.clone();
    for _ in 0..40 {
        let z = rng.range(2.0, 4.0);
        let (x, y) = (rng.range(-0.12, 0.12) * z, rng.range(-0.09, 0.09) * z);
        let mean = world_from_cam.transform_point(DVec3::new(x, y, z)).as_vec3().to_array();
        let deviation = rng.range(1.0, 4.0) * z / focal;
        let (quat, logit, dc) = (rng.vector(-1.0, 1.0), rng.range(-2.0, 3.0) as f32, rng.vector(-0.5, 1.0));
        let wider = (deviation * deviation + 0.3 * (z / focal).powi(2)).sqrt();
        for (cloud, deviation) in [(&mut sharp, deviation), (&mut blurred, wider)] {
            cloud.means.push(mean);
            cloud.quats.push(quat);
            cloud.log_scales.push([deviation.ln() as f32; 3]);
            cloud.opacity_logits.push(logit);
            cloud.sh_coeffs.push(dc);
        }
    }
    let device = Device::shared();
    let options = RenderOptions::default();
    let ewa = device.draw(&sharp, &camera, &options);
    let buffers = GaussianBuffers::upload(&device.gpu, &blurred).expect("the cloud fits the device");
    let gut =
        device.gut().render(&buffers, &camera, &options).expect("it renders").read().expect("a picture");
    let worst = ewa.rgb.iter().zip(&gut.rgb).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < AGREEMENT, "a colour differs by {worst}");
    assert!(ewa.alpha.iter().filter(|alpha| **alpha > 0.5).count() > 300, "nothing to compare");
}
