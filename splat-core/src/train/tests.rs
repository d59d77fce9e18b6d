//! Tests of internals: an overflow of the intersection buffers does not change the result, nor do poses that are watched and kept;
//! the rate of the means.

use std::sync::Arc;

use super::*;
use crate::camera::{Pinhole, Pose};
use crate::dataset::{Dataset, DatasetOptions};
use crate::gaussians::GaussianCloud;
use crate::gpu::shaders::Switches;
use crate::gpu::{Gpu, GpuOptions};
use crate::lens::Lens;
use crate::scene::{Scene, SeedPoint, View};

pub(super) const WIDTH: u32 = 40;
pub(super) const HEIGHT: u32 = 24;
const STEPS: u32 = 30;
/// A capacity far below what any view needs.
const NO_ROOM: u32 = 16;

/// Four photos of waves, taken side by side.
pub(super) fn waves(dir: &std::path::Path) -> impl Iterator<Item = View> {
    (0..4_u32).map(move |i| {
        let name = format!("view_{i}.png");
        let image_path = dir.join(&name);
        let wave = |x: u32, rate: f32| (127.0 + 120.0 * ((x + 3 * i) as f32 * rate).sin()) as u8;
        let photo =
            image::RgbImage::from_fn(WIDTH, HEIGHT, |x, y| image::Rgb([wave(x, 0.3), wave(y, 0.4), 90]));
        photo.save(&image_path).unwrap();
        let (cx, cy) = (f64::from(WIDTH) / 2.0, f64::from(HEIGHT) / 2.0);
        let lens = Lens::pinhole(Pinhole { width: WIDTH, height: HEIGHT, fx: 40.0, fy: 40.0, cx, cy });
        let mut cam_from_world = Pose::IDENTITY;
        cam_from_world.translation.x = -0.1 * f64::from(i);
        View { name, image_path, mask_path: None, lens, cam_from_world, rolling_shutter: None }
    })
}

/// The waves, and a grid of points in front of them.
fn dataset(dir: &std::path::Path) -> Arc<Dataset> {
    let at = |i: i32| SeedPoint {
        position: [f64::from(i % 12 - 6) * 0.3, f64::from(i / 12 - 4) * 0.3, 3.0],
        rgb: [99; 3],
    };
    let scene = Scene { views: waves(dir).collect(), points: (0..96).map(at).collect(), ..Scene::default() };
    Arc::new(Dataset::new(scene, &DatasetOptions::default()).unwrap())
}

fn config(strategy: Strategy) -> TrainConfig {
    // Before steps 6, 12 and so on; MCMC's growth shows after two refinements.
    let densify = DensifyConfig {
        at_least_every: 6,
        until_adc: 30_000,
        reset_every: 12_000,
        growth: 0.2,
        ..Default::default()
    };
    TrainConfig { steps: STEPS, strategy, sh_degree: 1, densify, ..TrainConfig::default() }
}

/// A run whose capacity is reduced before each of these steps.
fn run(gpu: &Gpu, dataset: &Arc<Dataset>, strategy: Strategy, tight_before: &[u32]) -> GaussianCloud {
    let mut trainer = Trainer::new(gpu, Arc::clone(dataset), config(strategy)).unwrap();
    for step in 0..STEPS {
        if tight_before.contains(&step) {
            trainer.flush().unwrap();
            assert!(trainer.passes.forward.capacity.isects > NO_ROOM, "the last shortage was never noticed");
            trainer.rebuild(NO_ROOM).unwrap();
        }
        assert_eq!(trainer.step().unwrap().step, step + 1);
    }
    let cloud = trainer.cloud().unwrap();
    assert!(trainer.passes.forward.capacity.isects > NO_ROOM);
    assert_eq!(trainer.steps_done(), STEPS);
    cloud
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn running_out_of_room_changes_no_bit() {
    let gpu = Gpu::new(&GpuOptions::default()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let dataset = dataset(dir.path());
    for strategy in [Strategy::Adc, Strategy::Mcmc] {
        let config = config(strategy);
        let roomy = run(&gpu, &dataset, strategy, &[]);
        assert!(roomy.means.as_flattened().iter().all(|x| x.is_finite()));
        // At the start, before an ordinary step, before and at refinements, at the last step.
        for tight_before in [&[0, 3, 11, STEPS - 1][..], &[6, 12, 17]] {
            assert!(config.densifies_before(6) && config.densifies_before(12) && !config.densifies_before(3));
            let tight = run(&gpu, &dataset, strategy, tight_before);
            assert_eq!(roomy.len(), tight.len(), "{strategy:?}, no room before {tight_before:?}");
            assert!(roomy == tight, "{strategy:?}, no room before {tight_before:?}");
        }
    }
}

/// In a scene much deeper than the reach of its cameras, means move farther, but not with the published recipe.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn means_move_in_proportion_to_the_depth_of_the_scene() {
    let gpu = Gpu::new(&GpuOptions::default()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let dataset = dataset(dir.path());
    // Points 3 in front of cameras that stand 0.3 apart: 20 times their reach of 0.15, which is more than the maximum.
    let frame = frame::SceneFrame::of(&dataset);
    assert_eq!(frame.depth, 8.0);
    let published = TrainConfig { steps: STEPS, ..TrainConfig::published() };
    for (config, factor) in [(config(Strategy::Adc), 8.0), (published, 1.0)] {
        let rate = config.rate_mean_at(0) * frame::EXTENT * factor;
        let mut trainer = Trainer::new(&gpu, Arc::clone(&dataset), config).unwrap();
        let before = trainer.gaussians.download(&gpu).unwrap();
        trainer.step().unwrap();
        trainer.flush().unwrap();
        let after = trainer.gaussians.download(&gpu).unwrap();
        let pairs = before.means.as_flattened().iter().zip(after.means.as_flattened());
        // Adam's first step is the learning rate, in the direction of the gradient.
        let moves: Vec<f32> = pairs.map(|(a, b)| (b - a).abs()).filter(|moved| *moved > 0.0).collect();
        assert!(moves.len() > 50, "{} coordinates moved", moves.len());
        for moved in moves {
            assert!((moved / rate - 1.0).abs() < 0.05, "{moved} instead of {rate}");
        }
    }
}

/// While `--poses auto` watches the poses, the kernels compute gradients that the run does not use. The kernels after the decision to
/// keep the poses sum the same statistic for densification as those before it.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn watching_poses_that_are_kept_changes_no_bit() {
    let gpu = Gpu::new(&GpuOptions::default()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let dataset = dataset(dir.path());
    for strategy in [Strategy::Mcmc, Strategy::Adc] {
        let clouds = [PoseMode::Fixed, PoseMode::Auto].map(|poses| {
            // Too few steps for the turns that a decision to refine takes.
            let mut config = TrainConfig { poses, steps: 20, ..config(strategy) };
            config.densify.abs_gradient = true;
            let mut trainer = Trainer::new(&gpu, Arc::clone(&dataset), config).unwrap();
            let at_start = trainer.kernels.forward.switches;
            assert_eq!(at_start.pose, poses == PoseMode::Auto);
            assert_eq!(at_start.abs_gradient, strategy == Strategy::Adc);
            for _ in 0..20 {
                trainer.step().unwrap();
            }
            assert_eq!(trainer.kernels.forward.switches, Switches { pose: false, ..at_start });
            trainer.cloud().unwrap()
        });
        assert!(clouds[0] == clouds[1], "{strategy:?}");
    }
}
