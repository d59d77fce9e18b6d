//! The GPU's forward pass against the f64 reference, and degenerate inputs.

use glam::{DQuat, DVec3};
use proptest::prelude::*;
use splat_core::reference::{self, Gaussians, Options, Picture, View};
use splat_core::render::{FrameGradient, FrameImage, GaussianGradients, RenderOptions};
use splat_core::{Camera, GaussianCloud, Pinhole, Pose};

use crate::fixtures::{Device, Rng, flat, wide};

/// Pixels this near to a jump of the picture may fall on the other side of it in f32.
const NEAR_JUMP: f64 = 1e-3;
/// Largest difference per channel elsewhere.
const TOLERANCE: f64 = 2e-5;
/// The same for splats a hundred times longer than wide: their determinant cancels four digits of f32.
const NEEDLE_TOLERANCE: f64 = 2e-4;

/// Looks along +z from the origin; powers of two keep projections exact where a test wants that.
fn camera(width: u32, height: u32, focal: f64) -> Camera {
    let (cx, cy) = (f64::from(width) / 2.0, f64::from(height) / 2.0);
    Camera {
        intrinsics: Pinhole { width, height, fx: focal, fy: focal, cx, cy },
        cam_from_world: Pose::IDENTITY,
    }
}

fn cloud_of(count: usize, sh_degree: u32, mut gaussian: impl FnMut(usize) -> Gaussian) -> GaussianCloud {
    let mut cloud = GaussianCloud { sh_degree, ..GaussianCloud::default() };
    for index in 0..count {
        let Gaussian { mean, quat, log_scale, logit, sh } = gaussian(index);
        cloud.means.push(mean);
        cloud.quats.push(quat);
        cloud.log_scales.push(log_scale);
        cloud.opacity_logits.push(logit);
        cloud.sh_coeffs.extend(&sh[..cloud.coeffs_per_gaussian()]);
    }
    cloud
}

#[derive(Clone, Copy, Debug)]
struct Gaussian {
    mean: [f32; 3],
    quat: [f32; 4],
    log_scale: [f32; 3],
    logit: f32,
    sh: [[f32; 3]; 16],
}

impl Gaussian {
    fn random(rng: &mut Rng, width: u32, height: u32, focal: f64, log_scales: [f64; 2]) -> Self {
        let depth = rng.range(1.0, 4.0);
        let reach = |size: u32| 0.6 * f64::from(size) / focal * depth;
        let x = rng.range(-reach(width), reach(width));
        let y = rng.range(-reach(height), reach(height));
        Self {
            mean: [x as f32, y as f32, depth as f32],
            quat: rng.vector(-1.0, 1.0),
            log_scale: rng.vector(log_scales[0], log_scales[1]),
            logit: rng.range(-4.0, 4.0) as f32,
            sh: std::array::from_fn(|k| rng.vector(-0.2, if k == 0 { 1.2 } else { 0.2 })),
        }
    }

    /// A round one that the low-pass makes about a pixel wide.
    fn dot(mean: [f32; 3], logit: f32) -> Self {
        let mut sh = [[0.0; 3]; 16];
        sh[0] = [1.0, 0.5, -0.5];
        Self { mean, quat: [1.0, 0.0, 0.0, 0.0], log_scale: [-20.0; 3], logit, sh }
    }
}

/// Renders both ways and compares every pixel that is clear of jumps. Returns the reference's picture.
fn assert_parity(what: &str, cloud: &GaussianCloud, camera: &Camera, antialiased: bool) -> Picture {
    assert_parity_within(TOLERANCE, what, cloud, camera, antialiased)
}

fn assert_parity_within(
    tolerance: f64,
    what: &str,
    cloud: &GaussianCloud,
    camera: &Camera,
    antialiased: bool,
) -> Picture {
    let background = [0.125, 0.5, 0.875];
    let options = RenderOptions { background, antialiased, ..RenderOptions::default() };
    let ours = Device::shared().draw(cloud, camera, &options);
    let options = Options { background: background.map(f64::from), antialiased };
    let twin = reference::render(&Gaussians::from(cloud), &View::from(camera), &options);
    assert_eq!((ours.width, ours.height), (twin.width, twin.height), "{what}");
    let deepest = cloud.means.iter().map(|mean| f64::from(mean[2].abs())).fold(1.0, f64::max);
    let mut compared = 0;
    for (i, distance) in twin.jump_distance.iter().enumerate() {
        if *distance < NEAR_JUMP {
            continue;
        }
        compared += 1;
        let place = || format!("{what}: pixel ({}, {})", i % ours.width as usize, i / ours.width as usize);
        for c in 3 * i..3 * i + 3 {
            let (a, b) = (f64::from(ours.rgb[c]), twin.rgb[c]);
            assert!((a - b).abs() < tolerance, "{}: colour {a}, reference {b}", place());
        }
        let (a, b) = (f64::from(ours.alpha[i]), twin.alpha[i]);
        assert!((a - b).abs() < tolerance, "{}: alpha {a}, reference {b}", place());
        let (a, b) = (f64::from(ours.depth[i]), twin.depth[i]);
        assert!((a - b).abs() < tolerance * deepest, "{}: depth {a}, reference {b}", place());
    }
    assert!(compared * 10 >= twin.alpha.len() * 8, "{what}: only {compared} of {} pixels", twin.alpha.len());
    twin
}

fn coverage(picture: &Picture) -> f64 {
    picture.alpha.iter().sum::<f64>() / picture.alpha.len() as f64
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn random_scenes_match() {
    for (seed, (width, height)) in [(64, 48), (1, 1), (17, 3), (3, 40), (129, 97)].into_iter().enumerate() {
        let mut rng = Rng(seed as u64);
        let camera = camera(width, height, 60.0);
        for sh_degree in 0..=3 {
            let cloud =
                cloud_of(60, sh_degree, |_| Gaussian::random(&mut rng, width, height, 60.0, [-5.0, -1.0]));
            for antialiased in [false, true] {
                let what = format!("{width}x{height}, degree {sh_degree}, antialiased {antialiased}");
                let picture = assert_parity(&what, &cloud, &camera, antialiased);
                assert!(coverage(&picture) > 0.02, "{what}: the picture is empty");
            }
        }
    }
}

/// 1023x517 leaves partial tiles at both borders, and full-screen splats outgrow the first buffers.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_large_odd_image_matches_when_buffers_must_grow() {
    let (width, height) = (1023, 517);
    let mut rng = Rng(7);
    let cloud = cloud_of(120, 1, |i| {
        let log_scales = if i < 60 { [0.5, 1.5] } else { [-5.0, -2.0] };
        let mut gaussian = Gaussian::random(&mut rng, width, height, 700.0, log_scales);
        if i < 60 {
            gaussian.logit = -3.5; // faint, so that no pixel ends and every list stays long
        }
        gaussian
    });
    let picture = assert_parity("1023x517", &cloud, &camera(width, height, 700.0), false);
    let most = picture.contributors.iter().max().copied().unwrap_or_default();
    assert!(most > 50, "only {most} splats overlap: the buffers need not grow");
}

/// Means exactly on pixel centres, pixel corners, tile edges and the image's border.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn means_on_tile_edges_match() {
    let (width, height, focal) = (64, 48, 64.0);
    let camera = camera(width, height, focal);
    for logit in [5.0, 0.0, -5.4] {
        // The last is an opacity of 0.0045, just above 1/255: the footprint is less than a pixel.
        for half_pixels in [0, 1] {
            let columns = width / 8 + 1;
            let rows = height / 8 + 1;
            let cloud = cloud_of((columns * rows) as usize, 0, |i| {
                let (column, row) = (i as u32 % columns, i as u32 / columns);
                let at = |cell: u32, size: u32| {
                    (f64::from(cell * 8) + 0.5 * f64::from(half_pixels) - f64::from(size) / 2.0) / focal
                };
                Gaussian::dot([at(column, width) as f32, at(row, height) as f32, 1.0], logit)
            });
            let what = format!("logit {logit}, {half_pixels} half pixels off");
            let picture = assert_parity(&what, &cloud, &camera, false);
            let touched = picture.contributors.iter().sum::<u32>();
            // On a corner, a footprint of less than half a pixel reaches no pixel centre.
            assert_eq!(touched > 0, logit > -1.0 || half_pixels == 1, "{what}: {touched}");
        }
    }
}

/// Long thin splats at all angles: the tile lists follow the ellipse, not its box.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn needles_at_all_angles_match() {
    let camera = camera(120, 90, 100.0);
    for step in 0..24 {
        let angle = f64::from(step) * std::f64::consts::PI / 24.0;
        let q = DQuat::from_axis_angle(DVec3::Z, angle);
        let cloud = cloud_of(3, 0, |i| {
            let mut gaussian =
                Gaussian::dot([-0.2 + 0.2 * i as f32, 0.1 * i as f32, 1.0], [3.0, 0.0, -3.0][i]);
            gaussian.quat = [q.w as f32, q.x as f32, q.y as f32, q.z as f32];
            gaussian.log_scale = [-1.0, -6.0, -6.0];
            gaussian
        });
        let what = format!("angle {step}");
        let picture = assert_parity_within(NEEDLE_TOLERANCE, &what, &cloud, &camera, false);
        assert!(coverage(&picture) > 0.005);
    }
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn equal_depths_keep_the_order_of_the_gaussians() {
    let mut rng = Rng(11);
    let cloud = cloud_of(200, 0, |_| {
        let mut gaussian = Gaussian::random(&mut rng, 64, 48, 60.0, [-3.0, -1.5]);
        gaussian.mean = [gaussian.mean[0] / 2.0, gaussian.mean[1] / 2.0, 2.0];
        gaussian
    });
    let picture = assert_parity("equal depths", &cloud, &camera(64, 48, 60.0), false);
    assert!(coverage(&picture) > 0.5);
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn no_gaussians_give_the_background() {
    let options = RenderOptions { background: [0.25, 0.5, 0.75], ..RenderOptions::default() };
    for (width, height) in [(1, 1), (1023, 517)] {
        let camera = camera(width, height, 100.0);
        let pixels = (width * height) as usize;
        let v_rgb = vec![1.0; pixels * 3];
        let gradient = FrameGradient { v_rgb: &v_rgb, ..FrameGradient::default() };
        let (image, gradients) =
            Device::shared().gradients(&GaussianCloud::default(), &camera, &options, &gradient);
        assert!(image.rgb == [0.25, 0.5, 0.75].repeat(pixels), "{width}x{height}: not the background");
        assert!(image.alpha == vec![0.0; pixels], "{width}x{height}: something covers it");
        assert!(image.depth == vec![0.0; pixels], "{width}x{height}: something has a depth");
        assert!(gradients.means.is_empty());
        assert_eq!(gradients.cam_from_world, [0.0; 12]);
    }
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn one_gaussian_matches() {
    for (width, height) in [(1, 1), (33, 17)] {
        let mut gaussian = Gaussian::dot([0.0, 0.0, 1.0], 1.0);
        gaussian.log_scale = [-2.0; 3];
        let picture =
            assert_parity("one", &cloud_of(1, 0, |_| gaussian), &camera(width, height, 20.0), false);
        assert!(coverage(&picture) > 0.05);
    }
}

/// One bad Gaussian among good ones: it is not drawn, and takes no gradient; the others do not notice.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn bad_gaussians_are_not_drawn_and_disturb_nobody() {
    let camera = camera(48, 32, 40.0);
    let mut rng = Rng(3);
    let good = cloud_of(20, 1, |_| Gaussian::random(&mut rng, 48, 32, 40.0, [-4.0, -1.5]));
    let base = Gaussian::random(&mut rng, 48, 32, 40.0, [-2.0, -1.5]);
    let mut bad: Vec<(String, Gaussian)> = Vec::new();
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for axis in 0..3 {
            bad.push((format!("mean {value}"), with(base, |g| g.mean[axis] = value)));
            bad.push((format!("sh {value}"), with(base, |g| g.sh[axis][axis] = value)));
        }
    }
    bad.push(("log_scale NaN".into(), with(base, |g| g.log_scale[1] = f32::NAN)));
    bad.push(("log_scale inf".into(), with(base, |g| g.log_scale[2] = f32::INFINITY)));
    bad.push(("logit NaN".into(), with(base, |g| g.logit = f32::NAN)));
    bad.push(("logit -inf".into(), with(base, |g| g.logit = f32::NEG_INFINITY)));
    bad.push(("behind".into(), with(base, |g| g.mean[2] = -2.0)));
    bad.push(("in the camera".into(), with(base, |g| g.mean = [0.0; 3])));
    bad.push(("at the near plane".into(), with(base, |g| g.mean = [0.0, 0.0, 0.01])));
    bad.push(("beyond the far plane".into(), with(base, |g| g.mean = [0.0, 0.0, 2e10])));
    let (clean, clean_gradients) = draw_with_ones(&good, &camera);
    for (what, gaussian) in bad {
        let mut mixed = good.clone();
        append(&mut mixed, gaussian);
        let (image, gradients) = draw_with_ones(&mixed, &camera);
        assert!(image == clean, "{what}: it shows");
        assert!(gradients.means[..good.len()] == clean_gradients.means[..], "{what}: others notice");
        assert_all_finite(&what, &image, &gradients);
        assert_eq!(gradients.means[good.len()], [0.0; 3], "{what}: it takes a gradient");
        assert_eq!(gradients.opacity_logits[good.len()], 0.0, "{what}: it takes a gradient");
    }
}

/// A quaternion without a direction counts as the identity.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn bad_quaternions_are_the_identity() {
    let camera = camera(48, 32, 40.0);
    let mut base = Gaussian::dot([0.1, 0.05, 1.0], 2.0);
    base.log_scale = [-1.0, -2.0, -3.0];
    let upright = assert_parity("identity", &cloud_of(1, 0, |_| base), &camera, false);
    assert!(coverage(&upright) > 0.05);
    for quat in [[0.0; 4], [1.0, f32::NAN, 0.0, 0.0], [f32::INFINITY, 0.0, 0.0, 1.0], [f32::NAN; 4]] {
        let cloud = cloud_of(1, 0, |_| Gaussian { quat, ..base });
        let picture = assert_parity(&format!("{quat:?}"), &cloud, &camera, false);
        assert!(picture.alpha == upright.alpha, "{quat:?} turns the Gaussian");
        let (image, gradients) = draw_with_ones(&cloud, &camera);
        assert_all_finite(&format!("{quat:?}"), &image, &gradients);
    }
}

fn with(mut gaussian: Gaussian, change: impl FnOnce(&mut Gaussian)) -> Gaussian {
    change(&mut gaussian);
    gaussian
}

fn append(cloud: &mut GaussianCloud, gaussian: Gaussian) {
    cloud.means.push(gaussian.mean);
    cloud.quats.push(gaussian.quat);
    cloud.log_scales.push(gaussian.log_scale);
    cloud.opacity_logits.push(gaussian.logit);
    cloud.sh_coeffs.extend(&gaussian.sh[..cloud.coeffs_per_gaussian()]);
}

/// Draws, and takes the gradient of the sum of all outputs.
fn draw_with_ones(cloud: &GaussianCloud, camera: &Camera) -> (FrameImage, GaussianGradients) {
    let pixels = (camera.intrinsics.width * camera.intrinsics.height) as usize;
    let ones = vec![1.0; pixels * 3];
    let gradient =
        FrameGradient { v_rgb: &ones, v_alpha: Some(&ones[..pixels]), v_depth: Some(&ones[..pixels]) };
    Device::shared().gradients(cloud, camera, &RenderOptions::default(), &gradient)
}

fn assert_all_finite(what: &str, image: &FrameImage, gradients: &GaussianGradients) {
    let lists = [
        ("rgb", wide(&image.rgb)),
        ("alpha", wide(&image.alpha)),
        ("depth", wide(&image.depth)),
        ("means", flat(&gradients.means)),
        ("quats", flat(&gradients.quats)),
        ("log_scales", flat(&gradients.log_scales)),
        ("opacity_logits", wide(&gradients.opacity_logits)),
        ("sh_coeffs", flat(&gradients.sh_coeffs)),
        ("cam_from_world", gradients.cam_from_world.to_vec()),
    ];
    for (name, values) in lists {
        let first = values.iter().position(|value| !value.is_finite());
        assert_eq!(first, None, "{what}: {name} is not finite at {:?}", first.map(|i| values[i]));
    }
    assert!(!image.rgb.is_empty(), "{what}: no picture");
}

/// Everything a broken file or a diverged training could hold.
fn nasty() -> impl Strategy<Value = f32> {
    prop_oneof![
        6 => -3.0_f32..3.0,
        1 => prop::sample::select(vec![
            0.0, -0.0, 1e-38, 1e-20, 0.01, 0.010_000_001, 30.0, -30.0, 88.0, 100.0, -100.0, 1e10, -1e10, 3e38,
            -3e38, f32::NAN, f32::INFINITY, f32::NEG_INFINITY,
        ]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    #[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
    fn nasty_scenes_stay_finite(
        values in prop::collection::vec(prop::array::uniform14(nasty()), 0..24),
        size in prop::sample::select(vec![(1, 1), (31, 19), (64, 32)]),
        sh_degree in 0_u32..=3,
        turn in -3.0_f64..3.0,
    ) {
        let cloud = cloud_of(values.len(), sh_degree, |i| {
            let v = &values[i];
            let sh = std::array::from_fn(|k| [v[11 + k % 3], v[11 + k / 3 % 3], v[13]]);
            Gaussian {
                mean: [v[0], v[1], v[2]],
                quat: [v[3], v[4], v[5], v[6]],
                log_scale: [v[7], v[8], v[9]],
                logit: v[10],
                sh,
            }
        });
        let mut camera = camera(size.0, size.1, 30.0);
        camera.cam_from_world = Pose { rotation: DQuat::from_rotation_y(turn), translation: DVec3::new(0.1, 0.2, 0.5) };
        let (image, gradients) = draw_with_ones(&cloud, &camera);
        assert_all_finite("fuzzed", &image, &gradients);
    }
}
