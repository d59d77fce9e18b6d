//! Training on photos as they were taken: the procedural scene through a pinhole, a barrel, a fisheye that sees behind
//! itself, as a panorama, and with a rolling shutter; and other properties of lenses.

use std::path::Path;
use std::sync::Arc;

use splat_core::train::{AlphaMode, EvalReport, Strategy, TrainConfig, Trainer, ViewMetrics};
use splat_core::{
    CancelToken, Dataset, DatasetOptions, Error, GaussianBuffers, GaussianCloud, Lens, LensCamera, LensModel,
    RenderOptions, RendererKind, Scene, SeedPoint, ShutterDirection, View,
};
use splat_demo::{DemoOptions, photograph};
use splat_test_needs::needs;

use crate::fixtures::{Device, Rng};
use crate::trainer::bits;

const VIEWS: u32 = 12;
const STEPS: u32 = 120;

/// The demo scene through a lens, with the poses that the photos were taken from and points here and there.
pub(crate) fn scene(dir: &Path, lens: &Lens, rolling_shutter: Option<ShutterDirection>) -> Scene {
    let lens_of = lens.clone();
    let options = DemoOptions {
        views: VIEWS,
        lens: lens_of,
        turned: false,
        rolling_shutter,
        ..DemoOptions::sized(64, 48)
    };
    let truth = photograph(dir, &options, &|_, _| (), &CancelToken::new()).expect("the photos are taken");
    let views = truth.photos.iter().map(|photo| View {
        name: photo.name.clone(),
        image_path: dir.join(&photo.name),
        mask_path: None,
        lens: lens.clone(),
        cam_from_world: photo.cam_from_world,
        rolling_shutter: photo.rolling_shutter,
    });
    let views = views.collect();
    let mut rng = Rng(3);
    let mut point = |reach: f64, low: f64, high: f64| {
        let [x, y] = [rng.range(-reach, reach), rng.range(-reach, reach)];
        SeedPoint { position: [x, y, rng.range(low, high)], rgb: [120; 3] }
    };
    let mut points: Vec<_> = (0..900).map(|_| point(1.4, 0.0, 0.9)).collect();
    // The ground further out, and the sky.
    points.extend((0..300).map(|_| point(6.0, -0.05, 0.05)));
    points.extend((0..200).map(|_| point(9.0, 1.0, 9.0)));
    Scene { views, points, ..Scene::default() }
}

fn lens(model: LensModel, width: u32, height: u32, params: &[f64]) -> Lens {
    Lens { model, width, height, params: params.to_vec() }
}

pub(crate) fn config(renderer: Option<RendererKind>) -> TrainConfig {
    TrainConfig {
        steps: STEPS,
        strategy: Strategy::Mcmc,
        renderer,
        sh_degree: 0,
        max_gaussians: Some(1800),
        ..TrainConfig::default()
    }
}

/// Held-out PSNR after training through a lens.
fn trained(
    name: &str,
    lens: &Lens,
    rolling: Option<ShutterDirection>,
    keep_distortion: bool,
) -> (f64, Trainer) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let options = DatasetOptions { keep_distortion, ..DatasetOptions::default() };
    let dataset = Arc::new(Dataset::new(scene(dir.path(), lens, rolling), &options).expect("a dataset"));
    let renderer = (!keep_distortion).then_some(RendererKind::Gut);
    let mut trainer =
        Trainer::new(&Device::shared().gpu, dataset, config(renderer)).expect("training starts");
    assert_eq!(trainer.config().renderer, Some(RendererKind::Gut), "{name}");
    while trainer.steps_done() < STEPS {
        trainer.step().expect("a step");
    }
    let psnr = trainer.evaluate().expect("an evaluation").psnr;
    (psnr, trainer)
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn distorted_photos_train_as_well_as_a_pinholes() {
    /// What a lens may cost, dB.
    const MARGIN: f64 = 0.5;
    let flat = lens(LensModel::SimplePinhole, 64, 48, &[50.0, 32.0, 24.0]);
    let (pinhole, plain) = trained("pinhole", &flat, None, false);
    assert_eq!(plain.ray_tables_computed(), 0, "a pinhole needs no table");
    let barrel = lens(LensModel::OpenCv, 64, 48, &[50.0, 50.0, 32.0, 24.0, -0.28, 0.07, 0.003, -0.002]);
    // 230 degrees across the picture, round and black at its corners.
    let wide =
        lens(LensModel::SimpleRadialFisheye, 64, 64, &[32.0 / 115.0_f64.to_radians(), 32.0, 32.0, 0.0]);
    let sphere = lens(LensModel::Equirectangular, 96, 48, &[96.0, 48.0]);
    let rolling = Some(ShutterDirection::TopToBottom);
    let cases = [
        ("barrel", barrel, None),
        ("fisheye of 230 degrees", wide, None),
        ("panorama", sphere, None),
        ("rolling shutter", flat.clone(), rolling),
    ];
    for (name, lens, rolling) in cases {
        let (psnr, mut trainer) = trained(name, &lens, rolling, true);
        // Quarter, half and full size: one table each, not one per step.
        assert_eq!(trainer.ray_tables_computed(), 3, "{name}");
        assert!(psnr > pinhole - MARGIN, "{name}: {psnr:.2} dB, a pinhole {pinhole:.2} dB");
        if rolling.is_some() {
            let [as_it_was, global] = fit_with_and_without_shutter(&mut trainer);
            assert!(
                global < as_it_was - 0.4,
                "{global:.2} dB as a global shutter, {as_it_was:.2} dB as it was"
            );
        }
    }
}

/// PSNR on the photos trained on, drawn with their rolling shutters, and where they are taken for global ones.
fn fit_with_and_without_shutter(trainer: &mut Trainer) -> [f64; 2] {
    let (device, cloud) = (Device::shared(), trainer.cloud().expect("a cloud"));
    let buffers = GaussianBuffers::upload(&device.gpu, &cloud).expect("the cloud fits the device");
    let dataset = trainer.dataset();
    [true, false].map(|rolls| {
        let measure = |&view: &usize| {
            let mut camera = dataset.camera(view);
            camera.rolling_shutter = camera.rolling_shutter.filter(|_| rolls);
            let frame = device.gut().render(&buffers, &camera, &RenderOptions::default());
            let picture = frame.expect("it renders").read().expect("a picture");
            let photo = dataset.image(view, 1).expect("a photo");
            ViewMetrics::measure("", &picture, &photo, AlphaMode::Mask, [0.0; 3]).expect("of one size")
        };
        EvalReport::of(dataset.train.iter().map(measure).collect()).psnr
    })
}

/// What undistortion costs: the share of a photo's pixels that the flat picture no longer shows.
fn lost_share(lens: &Lens) -> f64 {
    let flat = lens.undistorted_pinhole().expect("it can be flat");
    let flat = Lens::pinhole(flat);
    let (mut seen, mut lost) = (0, 0);
    for row in 0..lens.height {
        for column in 0..lens.width {
            let pixel = glam::DVec2::new(f64::from(column) + 0.5, f64::from(row) + 0.5);
            let Some(ray) = lens.unproject(pixel) else { continue };
            seen += 1;
            let size = glam::DVec2::new(f64::from(flat.width), f64::from(flat.height));
            let inside =
                flat.project(ray).is_some_and(|at| at.cmpge(glam::DVec2::ZERO).all() && at.cmple(size).all());
            lost += u32::from(!inside);
        }
    }
    assert!(seen > 1000, "only {seen} pixels see anything");
    f64::from(lost) / f64::from(seen)
}

#[test]
fn undistortion_loses_what_distorted_training_keeps() {
    let barrel = lens(LensModel::OpenCv, 64, 48, &[50.0, 50.0, 32.0, 24.0, -0.28, 0.07, 0.003, -0.002]);
    let fisheye =
        lens(LensModel::SimpleRadialFisheye, 64, 64, &[32.0 / 75.0_f64.to_radians(), 32.0, 32.0, 0.0]);
    let pinhole = lens(LensModel::SimplePinhole, 64, 48, &[50.0, 32.0, 24.0]);
    let (of_barrel, of_fisheye) = (lost_share(&barrel), lost_share(&fisheye));
    assert!(of_barrel > 0.05, "{of_barrel:.3} of the barrel's pixels are lost");
    assert!(of_fisheye > 0.2, "{of_fisheye:.3} of the pixels of a fisheye of 150 degrees are lost");
    assert!(lost_share(&pinhole) < 1e-9);
    // Beyond 170 degrees nothing flat is left, while the photos themselves can be used.
    let wide =
        lens(LensModel::SimpleRadialFisheye, 64, 64, &[32.0 / 115.0_f64.to_radians(), 32.0, 32.0, 0.0]);
    let dir = tempfile::tempdir().expect("a temporary folder");
    let scene = scene(dir.path(), &wide, None);
    let of_keeping = |keep_distortion| DatasetOptions { keep_distortion, ..DatasetOptions::default() };
    assert!(Dataset::new(scene.clone(), &of_keeping(false)).is_err());
    let kept = Dataset::new(scene, &of_keeping(true)).expect("a dataset").image(0, 1).expect("a photo");
    let masked = kept.alpha_f32().iter().filter(|alpha| **alpha < 0.5).count();
    assert_eq!(masked, 0, "every pixel of the picture, up to its corners, has a ray");
}

/// Every model that COLMAP has, as COLMAP writes it: Gaussians at the points show where its features are.
#[needs("colmap_models")]
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn colmaps_camera_models_all_render() {
    /// Photos are drawn this much smaller.
    const SHRINK: f64 = 4.0;
    let folder = crate::test_data::shared("colmap_models");
    for model in LensModel::ALL {
        let path = folder.join(model.name().to_ascii_lowercase()).join("bin");
        let reconstruction = splat_colmap::read_model(&path).expect("COLMAP's model");
        let image = reconstruction.images.values().next().expect("an image");
        let lens = &reconstruction.cameras[&image.camera_id];
        assert_eq!(lens.model, model);
        let lens = lens.resized(lens.width / SHRINK as u32, lens.height / SHRINK as u32);
        // Two pixels wide at a distance of 5.
        let deviation = (2.0 * 5.0 / lens.nearest_pinhole().fx).ln() as f32;
        let mut cloud = GaussianCloud { sh_degree: 0, ..GaussianCloud::default() };
        for point in reconstruction.points.values() {
            cloud.means.push(point.position.map(|x| x as f32));
            cloud.quats.push([1.0, 0.0, 0.0, 0.0]);
            cloud.log_scales.push([deviation; 3]);
            cloud.opacity_logits.push(3.0);
            cloud.sh_coeffs.push([0.5; 3]);
        }
        let device = Device::shared();
        let buffers = GaussianBuffers::upload(&device.gpu, &cloud).expect("the cloud fits the device");
        let camera = LensCamera::new(lens.clone(), image.cam_from_world);
        let frame = device.gut().render(&buffers, &camera, &RenderOptions::default());
        let picture = frame.expect("it renders").read().expect("a picture");
        let mut features = 0;
        for feature in image.points2d.iter().filter(|feature| feature.point3d_id.is_some()) {
            let [x, y] = feature.xy.map(|at| (at / SHRINK) as u32);
            if x < lens.width && y < lens.height {
                let alpha = picture.alpha[(y * lens.width + x) as usize];
                assert!(alpha > 0.6, "{model}: alpha {alpha} at the feature in pixel {x}, {y}");
                features += 1;
            }
        }
        assert!(features > 20, "{model}: only {features} features lie in the picture");
        let bare = picture.alpha.iter().filter(|alpha| **alpha < 0.1).count();
        assert!(bare > picture.alpha.len() / 4, "{model}: Gaussians are everywhere");
    }
}

/// Tables of rays and lines with poses of their own change nothing about it: the same seed gives the same bits, and so does
/// a run that went on from a checkpoint.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn distorted_and_rolling_runs_repeat_to_the_bit() {
    const STEPS: u32 = 24;
    let dir = tempfile::tempdir().expect("a temporary folder");
    let barrel = lens(LensModel::OpenCv, 64, 48, &[50.0, 50.0, 32.0, 24.0, -0.28, 0.07, 0.003, -0.002]);
    let scene = scene(dir.path(), &barrel, Some(ShutterDirection::LeftToRight));
    let options = DatasetOptions { keep_distortion: true, ..DatasetOptions::default() };
    let dataset = Arc::new(Dataset::new(scene, &options).expect("a dataset"));
    let checkpoint = dir.path().join("checkpoint");
    let finished = |mut trainer: Trainer| {
        while trainer.steps_done() < STEPS {
            trainer.step().expect("a step");
            if trainer.steps_done() == STEPS / 2 {
                trainer.save_checkpoint(&checkpoint).expect("it is saved");
            }
        }
        bits(&trainer.cloud().expect("a cloud"))
    };
    let gpu = &Device::shared().gpu;
    let config = |seed| TrainConfig { steps: STEPS, seed, ..config(None) };
    let start = |seed| Trainer::new(gpu, Arc::clone(&dataset), config(seed)).expect("training starts");
    let first = finished(start(0));
    assert!(first == finished(start(0)), "the same seed gave other bits");
    let resumed = Trainer::resume(gpu, Arc::clone(&dataset), &checkpoint).expect("the checkpoint is good");
    assert_eq!(resumed.steps_done(), STEPS / 2);
    assert!(first == finished(resumed), "resumed, it went elsewhere");
    assert!(first != finished(start(1)), "the seed does nothing");
}

/// The last steps by EWA, on the same photos undistorted: the run ends as good for ordinary viewers as one on flat photos.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn photos_as_they_were_taken_can_end_flat() {
    const STEPS: u32 = 24;
    const FLAT_STEPS: u32 = 8;
    let dir = tempfile::tempdir().expect("a temporary folder");
    let barrel = lens(LensModel::OpenCv, 64, 48, &[50.0, 50.0, 32.0, 24.0, -0.28, 0.07, 0.003, -0.002]);
    let options = DatasetOptions { keep_distortion: true, ..DatasetOptions::default() };
    let kept = |scene| Arc::new(Dataset::new(scene, &options).expect("a dataset"));
    let dataset = kept(scene(dir.path(), &barrel, None));
    let config = TrainConfig { steps: STEPS, finish_ewa_steps: FLAT_STEPS, ..config(None) };
    let gpu = &Device::shared().gpu;
    let checkpoint = |step: u32| dir.path().join(format!("{step}"));
    let mut trainer = Trainer::new(gpu, Arc::clone(&dataset), config.clone()).expect("training starts");
    for (step, renderer, keeps) in [(12, RendererKind::Gut, true), (20, RendererKind::Ewa, false)] {
        while trainer.steps_done() < step {
            trainer.step().expect("a step");
        }
        assert_eq!(trainer.renderer(), renderer, "after {step} steps");
        assert_eq!(trainer.dataset().keeps_distortion(), keeps, "after {step} steps");
        trainer.save_checkpoint(&checkpoint(step)).expect("it is saved");
    }
    let finished = |mut trainer: Trainer| {
        while trainer.steps_done() < STEPS {
            trainer.step().expect("a step");
        }
        let report = trainer.evaluate().expect("the held-out photos are drawn flat");
        (bits(&trainer.cloud().expect("a cloud")), report)
    };
    let first = finished(trainer);
    for step in [12, 20] {
        let resumed =
            Trainer::resume(gpu, Arc::clone(&dataset), &checkpoint(step)).expect("the checkpoint is good");
        assert!(first == finished(resumed), "resumed at {step}, it went elsewhere");
    }
    // What no flat picture can stand for cannot end so, and is refused before a step is done.
    let wide =
        lens(LensModel::SimpleRadialFisheye, 64, 64, &[32.0 / 115.0_f64.to_radians(), 32.0, 32.0, 0.0]);
    let refused = Trainer::new(gpu, kept(scene(&dir.path().join("wide"), &wide, None)), config);
    assert!(matches!(refused, Err(Error::View { .. })), "{:?}", refused.err());
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn ewa_refuses_what_it_cannot_draw() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let barrel = lens(LensModel::SimpleRadial, 64, 48, &[50.0, 32.0, 24.0, -0.2]);
    let options = DatasetOptions { keep_distortion: true, ..DatasetOptions::default() };
    let dataset = Arc::new(Dataset::new(scene(dir.path(), &barrel, None), &options).expect("a dataset"));
    let refused = Trainer::new(&Device::shared().gpu, dataset, config(Some(RendererKind::Ewa)));
    assert!(matches!(refused, Err(Error::NeedsGut { model: "SIMPLE_RADIAL" })), "{:?}", refused.err());
}
