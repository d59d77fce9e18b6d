//! Device memory used by training, compared with the prediction.

use std::sync::Arc;

use glam::DVec3;
use splat_core::gpu::{Gpu, GpuOptions};
use splat_core::train::memory::Workload;
use splat_core::train::{DensifyConfig, TrainConfig, Trainer};
use splat_core::{Dataset, DatasetOptions, Pose, RollingShutter, Scene, SeedPoint, ShutterDirection};

use crate::fixtures::Rng;
use crate::tiny_scene;

const WIDTH: u32 = 480;
const HEIGHT: u32 = 360;
/// Refinements fall before steps 3 and 6: old and new buffers meet there.
const STEPS: u32 = 7;

fn scene(dir: &std::path::Path, points: u32) -> Scene {
    let mut scene = tiny_scene::scene(dir, 6).expect("a dataset");
    for view in &mut scene.views {
        tiny_scene::enlarge(view, dir, WIDTH, HEIGHT).expect("the photo is enlarged");
    }
    let mut rng = Rng(5);
    let point = |_| SeedPoint { position: rng.vector(-1.5, 1.5).map(f64::from), rgb: [128; 3] };
    scene.points = (0..points).map(point).collect();
    scene
}

/// The most bytes that the device had allocated at a time during a short run, beyond what it had before.
fn peak_bytes(dataset: &Arc<Dataset>, config: TrainConfig) -> u64 {
    let gpu = Gpu::new(&GpuOptions::default()).expect("an adapter is there");
    gpu.watch_memory();
    let before = gpu.peak_bytes();
    let mut trainer = Trainer::new(&gpu, Arc::clone(dataset), config).expect("training starts");
    while trainer.steps_done() < STEPS {
        trainer.step().expect("a step");
    }
    trainer.evaluate().expect("the held-out view renders");
    gpu.peak_bytes() - before
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn training_takes_what_is_predicted() {
    let mut found = Vec::new();
    for (gaussians, rolling) in [(2_000, false), (50_000, false), (20_000, true)] {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut scene = scene(dir.path(), gaussians);
        for view in scene.views.iter_mut().filter(|_| rolling) {
            let (direction, start) = (ShutterDirection::TopToBottom, view.cam_from_world);
            let end = Pose { translation: start.translation + DVec3::X * 0.02, ..start };
            view.rolling_shutter = Some(RollingShutter { direction, start, end });
        }
        let options = DatasetOptions { keep_distortion: rolling, ..DatasetOptions::default() };
        let dataset = Arc::new(Dataset::new(scene, &options).expect("it is a dataset"));
        let densify =
            DensifyConfig { at_least_every: 3, until_adc: 30_000, until_mcmc: 30_000, ..Default::default() };
        let config = TrainConfig {
            steps: STEPS,
            max_gaussians: Some(gaussians),
            full_size: true,
            densify,
            ..TrainConfig::default()
        };
        assert!(config.densifies_before(3) && config.densifies_before(6));
        let actual = peak_bytes(&dataset, config.clone());
        let workload =
            Workload::of(&dataset, config.sh_degree, config.renderer).expect("photos of this size");
        let predicted = workload.predict(gaussians).total_bytes;
        let ratio = predicted as f64 / actual as f64;
        assert_eq!(workload.rolling_shutter, rolling);
        let shutter = if rolling { "rolling" } else { "global" };
        let what = format!(
            "{gaussians} Gaussians, {shutter} shutter: {actual} bytes, {predicted} predicted, {ratio:.2}"
        );
        found.push((what, ratio));
    }
    assert!(found.iter().all(|(_, ratio)| (1.0..2.5).contains(ratio)), "{found:#?}");
}

/// Eight tiles each, as is guessed at first, would not fit a binding of 128 MiB; what they really touch does.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn many_points_do_not_end_a_run_by_a_guess() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut scene = tiny_scene::scene(dir.path(), 4).expect("a dataset");
    let mut rng = Rng(6);
    let point = |_| SeedPoint { position: rng.vector(-1.5, 1.5).map(f64::from), rgb: [128; 3] };
    scene.points = (0..400_000).map(point).collect();
    let dataset = Arc::new(Dataset::new(scene, &DatasetOptions::default()).expect("it is a dataset"));
    let gpu = Gpu::new(&GpuOptions::default()).expect("an adapter is there");
    let config = TrainConfig { steps: 2, full_size: true, sh_degree: 0, ..TrainConfig::default() };
    let mut trainer = Trainer::new(&gpu, dataset, config).expect("training starts");
    trainer.step().expect("a step");
    trainer.flush().expect("it had room");
}
