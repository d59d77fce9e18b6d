//! Training on photos as they were taken: the procedural scene through a pinhole, a barrel, a fisheye that sees behind
//! itself, and as a panorama.

use std::path::Path;
use std::sync::Arc;

use splat_core::demo::{DemoOptions, photograph};
use splat_core::train::{Strategy, TrainConfig, Trainer};
use splat_core::{
    CancelToken, Dataset, DatasetOptions, Error, Lens, LensModel, RendererKind, Scene, SeedPoint, View,
};

use crate::fixtures::{Device, Rng};

const VIEWS: u32 = 12;
const STEPS: u32 = 120;

/// The demo scene through a lens, with the poses that the photos were taken from and points here and there.
fn scene(dir: &Path, lens: &Lens) -> Scene {
    let options =
        DemoOptions { views: VIEWS, lens: lens.clone(), turned: false, ..DemoOptions::sized(64, 48) };
    let truth = photograph(dir, &options, &|_, _| (), &CancelToken::new()).expect("the photos are taken");
    let views = truth.photos.iter().map(|photo| View {
        name: photo.name.clone(),
        image_path: dir.join(&photo.name),
        mask_path: None,
        lens: lens.clone(),
        cam_from_world: photo.cam_from_world,
    });
    let views = views.collect();
    let mut rng = Rng(3);
    let mut point = |reach: f64, low: f64, high: f64| {
        let [x, y] = [rng.range(-reach, reach) as f32, rng.range(-reach, reach) as f32];
        SeedPoint { position: [x, y, rng.range(low, high) as f32], rgb: [120; 3] }
    };
    let mut points: Vec<_> = (0..900).map(|_| point(1.4, 0.0, 0.9)).collect();
    // The ground further out, and the sky.
    points.extend((0..300).map(|_| point(6.0, -0.05, 0.05)));
    points.extend((0..200).map(|_| point(9.0, 1.0, 9.0)));
    Scene { views, points }
}

fn lens(model: LensModel, width: u32, height: u32, params: &[f64]) -> Lens {
    Lens { model, width, height, params: params.to_vec() }
}

fn config(renderer: Option<RendererKind>) -> TrainConfig {
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
fn trained(name: &str, lens: &Lens, keep_distortion: bool) -> (f64, Trainer) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let options = DatasetOptions { keep_distortion, ..DatasetOptions::default() };
    let dataset = Arc::new(Dataset::new(scene(dir.path(), lens), &options).expect("a dataset"));
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
    let (pinhole, plain) =
        trained("pinhole", &lens(LensModel::SimplePinhole, 64, 48, &[50.0, 32.0, 24.0]), false);
    assert_eq!(plain.ray_tables_computed(), 0, "a pinhole needs no table");
    let barrel = lens(LensModel::OpenCv, 64, 48, &[50.0, 50.0, 32.0, 24.0, -0.28, 0.07, 0.003, -0.002]);
    // 230 degrees across the picture, round and black at its corners.
    let wide =
        lens(LensModel::SimpleRadialFisheye, 64, 64, &[32.0 / 115.0_f64.to_radians(), 32.0, 32.0, 0.0]);
    let sphere = lens(LensModel::Equirectangular, 96, 48, &[96.0, 48.0]);
    for (name, lens) in [("barrel", barrel), ("fisheye of 230 degrees", wide), ("panorama", sphere)] {
        let (psnr, trainer) = trained(name, &lens, true);
        // Quarter, half and full size: one table each, not one a step.
        assert_eq!(trainer.ray_tables_computed(), 3, "{name}");
        assert!(psnr > pinhole - MARGIN, "{name}: {psnr:.2} dB, a pinhole {pinhole:.2} dB");
    }
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn ewa_refuses_what_it_cannot_draw() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let barrel = lens(LensModel::SimpleRadial, 64, 48, &[50.0, 32.0, 24.0, -0.2]);
    let options = DatasetOptions { keep_distortion: true, ..DatasetOptions::default() };
    let dataset = Arc::new(Dataset::new(scene(dir.path(), &barrel), &options).expect("a dataset"));
    let refused = Trainer::new(&Device::shared().gpu, dataset, config(Some(RendererKind::Ewa)));
    assert!(matches!(refused, Err(Error::NeedsGut { model: "SIMPLE_RADIAL" })), "{:?}", refused.err());
}
