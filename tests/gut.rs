//! 3DGUT against its f64 twin: pictures, gradients by central differences, and agreement with EWA where both are right.
//!
//! The twin evaluates the paper's formulas in world space; the kernels use a ratio of quadratic forms in camera space.

use glam::DVec3;
use splat_core::reference::{self, Gaussians, project_gut};
use splat_core::render::{GaussianBuffers, RenderOptions, project_points};
use splat_core::{Camera, GaussianCloud, Lens, LensModel, Pinhole, ShutterDirection};
use splat_test_needs::needs;

use crate::fixtures::{Device, Rng};
use crate::gut_fixture::{Fixture, PINHOLE, check, pose};

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

/// A separate pose for every line of pixels, in all four orders, through lenses of all kinds.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn rolling_shutters_match_the_twin() {
    let of_model =
        |model| lenses().into_iter().find(|lens| lens.model == model).expect("every model is there");
    let cases = [
        (ShutterDirection::TopToBottom, Lens::pinhole(PINHOLE), 1),
        (ShutterDirection::BottomToTop, of_model(LensModel::OpenCv), 0),
        (ShutterDirection::LeftToRight, of_model(LensModel::OpenCvFisheye), 2),
        (ShutterDirection::RightToLeft, of_model(LensModel::Eucm), 0),
    ];
    for (direction, lens, sh_degree) in cases {
        let fixture = Fixture::rolling(&lens, sh_degree, direction);
        check(&format!("{direction:?}, {}", lens.model), &fixture);
        // The motion is one that shows.
        let mut still = Fixture::rolling(&lens, sh_degree, direction);
        still.shutter = None;
        let (moving, still) = (fixture.picture(), still.picture());
        let apart = moving.rgb.iter().zip(&still.rgb).filter(|(a, b)| (*a - *b).abs() > 0.01).count();
        assert!(apart > 80, "{direction:?}: only {apart} values differ from a global shutter's");
    }
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
#[needs("colmap_models/camera_projection_oracle.json")]
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn kernels_project_as_pycolmap_does() {
    let path = crate::test_data::shared("colmap_models/camera_projection_oracle.json");
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
