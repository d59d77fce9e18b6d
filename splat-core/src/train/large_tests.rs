//! Scenes that exceed a binding, with few Gaussians: bindings of the device are limited. The results must be bit-identical.

use std::sync::Arc;

use glam::DVec3;

use super::tests::{HEIGHT, WIDTH, waves};
use super::*;
use crate::camera::Pose;
use crate::dataset::{Dataset, DatasetOptions};
use crate::gaussians::GaussianCloud;
use crate::gpu::{Gpu, GpuOptions};
use crate::render::{FrameGradient, GaussianBuffers, RenderOptions, Renderer, RendererKind};
use crate::scene::{Scene, SeedPoint, View};
use crate::shutter::{RollingShutter, ShutterDirection};

const STEPS: u32 = 14;
const POINTS: usize = 768;
/// A binding size that is sufficient for everything per pixel of these photos, but not for a renderer's splats or slots.
const SMALL: u64 = 27 << 10;

/// The photos of waves, and a block of points in front of them.
fn dataset(dir: &std::path::Path, rolling: bool) -> Arc<Dataset> {
    let views = waves(dir).map(|view| {
        let (direction, start) = (ShutterDirection::TopToBottom, view.cam_from_world);
        let end = Pose { translation: start.translation + DVec3::X * 0.02, ..start };
        View { rolling_shutter: rolling.then_some(RollingShutter { direction, start, end }), ..view }
    });
    let at = |i: i32| SeedPoint {
        position: [
            f64::from(i % 12 - 6) * 0.3,
            f64::from(i / 12 % 8 - 4) * 0.3,
            3.0 + f64::from(i / 96) * 0.2 + f64::from(i % 7) * 0.01,
        ],
        rgb: [99; 3],
    };
    let scene =
        Scene { views: views.collect(), points: (0..POINTS as i32).map(at).collect(), ..Scene::default() };
    let options = DatasetOptions { keep_distortion: rolling, ..DatasetOptions::default() };
    Arc::new(Dataset::new(scene, &options).unwrap())
}

fn config(strategy: Strategy, renderer: RendererKind) -> TrainConfig {
    // Before steps 6 and 12.
    let densify = DensifyConfig {
        at_least_every: 6,
        until_adc: 30_000,
        reset_every: 30_000,
        grow_gradient: 2e-5,
        ..DensifyConfig::default()
    };
    TrainConfig {
        steps: STEPS,
        strategy,
        sh_degree: 1,
        densify,
        renderer: Some(renderer),
        max_gaussians: Some(860),
        seed_points: 1,
        ..TrainConfig::default()
    }
}

/// A complete run, with the number of depth slices and chunks of its last step.
fn run(gpu: &Gpu, dataset: &Arc<Dataset>, config: TrainConfig) -> (GaussianCloud, [usize; 2]) {
    let mut trainer = Trainer::new(gpu, Arc::clone(dataset), config).unwrap();
    for _ in 0..STEPS {
        trainer.step().unwrap();
    }
    let cloud = trainer.cloud().unwrap();
    let forward = &trainer.passes.forward;
    (cloud, [forward.slices.len(), forward.chunks.len()])
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn training_with_small_bindings_changes_no_bit() {
    let gpu = Gpu::new(&GpuOptions::default()).unwrap();
    for rolling in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let dataset = dataset(dir.path(), rolling);
        for renderer in RendererKind::ALL {
            for strategy in [Strategy::Adc, Strategy::Mcmc] {
                if rolling && (renderer == RendererKind::Ewa || strategy == Strategy::Adc) {
                    continue;
                }
                let what = format!("{renderer}, {strategy:?}, rolling: {rolling}");
                let (whole, parts) = run(&gpu, &dataset, config(strategy, renderer));
                assert_eq!(parts, [1, 1], "{what}");
                assert!(whole.len() > POINTS, "{what}: nothing grew");
                assert!(whole.means.as_flattened().iter().all(|x| x.is_finite()), "{what}");
                let small = gpu.clone().with_bindings_of(SMALL);
                let (divided, [slices, chunks]) = run(&small, &dataset, config(strategy, renderer));
                assert!(slices > chunks && chunks > 1, "{what}: {slices} slices, {chunks} chunks");
                assert!(whole == divided, "{what}: {slices} slices, {chunks} chunks");
            }
        }
    }
}

/// Images with depth, and the gradients of all parameters and of the camera.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn pictures_and_gradients_with_small_bindings_are_the_same() {
    let gpu = Gpu::new(&GpuOptions::default()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let dataset = dataset(dir.path(), false);
    let mut trainer =
        Trainer::new(&gpu, Arc::clone(&dataset), config(Strategy::Mcmc, RendererKind::Ewa)).unwrap();
    for _ in 0..3 {
        trainer.step().unwrap();
    }
    let cloud = trainer.cloud().unwrap();
    let camera = dataset.camera(1);
    let pixels = (WIDTH * HEIGHT) as usize;
    let wave =
        |rate: f32, length: usize| -> Vec<f32> { (0..length).map(|i| (i as f32 * rate).sin()).collect() };
    let (v_rgb, v_alpha, v_depth) = (wave(0.7, pixels * 3), wave(0.3, pixels), wave(0.1, pixels));
    let gradient = FrameGradient { v_rgb: &v_rgb, v_alpha: Some(&v_alpha), v_depth: Some(&v_depth) };
    let options = RenderOptions { background: [0.2, 0.4, 0.6], ..RenderOptions::default() };
    for kind in RendererKind::ALL {
        let [whole, divided] = [gpu.clone(), gpu.clone().with_bindings_of(SMALL)].map(|gpu| {
            let renderer = Renderer::new(&gpu, kind).unwrap();
            let gaussians = GaussianBuffers::upload(&gpu, &cloud).unwrap();
            let frame = renderer.render(&gaussians, &camera, &options).unwrap();
            (frame.read().unwrap(), renderer.backward(&gaussians, &frame, &gradient).unwrap())
        });
        let largest = whole.1.means.as_flattened().iter().fold(0.0_f32, |most, v| most.max(v.abs()));
        assert!(largest > 1e-3, "{kind}: the gradient tests nothing");
        assert!(whole.0 == divided.0, "{kind}: pictures differ");
        assert!(whole.1 == divided.1, "{kind}: gradients differ");
    }
}
