//! Scale floors: pictures and gradients through them, their effect on files, and their recovery from files.

use std::sync::Arc;

use splat_core::reference::{self, Gaussians, LensView, Options, Picture, View};
use splat_core::render::{FrameGradient, GaussianBuffers, RenderOptions};
use splat_core::train::{TrainConfig, Trainer};
use splat_core::{Camera, Dataset, DatasetOptions, GaussianCloud, Lens, LensCamera, RendererKind};

use crate::differences::{CLEAR_OF_JUMPS, STEP, assert_gradients};
use crate::fixtures::{Device, flat, narrow, wide};
use crate::gut_fixture::{Fixture, PINHOLE};

/// Shares of the largest entry that f32 sums may be off by.
const OF_LARGEST: f64 = 2e-5;

/// The Gaussians that have no floor and look like those that have one: Mip-Splatting's equation 9, in f64.
fn fused(gaussians: &Gaussians, floors: &[f32]) -> Gaussians {
    let mut fused = gaussians.clone();
    for (i, floor) in floors.iter().enumerate() {
        let mut share = 1.0;
        for scale in &mut fused.log_scales[i] {
            let variance = (2.0 * *scale).exp();
            share *= (variance / (variance + f64::from(*floor))).sqrt();
            *scale = 0.5 * (variance + f64::from(*floor)).ln();
        }
        let opacity = share / (1.0 + (-fused.opacity_logits[i]).exp());
        fused.opacity_logits[i] = (opacity / (1.0 - opacity)).ln();
    }
    fused
}

fn draw(kind: RendererKind, gaussians: &Gaussians, camera: &Camera) -> Picture {
    let options = Options::default();
    match kind {
        RendererKind::Ewa => reference::render(gaussians, &View::from(camera), &options),
        RendererKind::Gut => {
            let lens = Lens::pinhole(camera.intrinsics);
            let view = LensView::new(&lens, camera.cam_from_world).expect("a valid lens");
            reference::render_gut(gaussians, &view, &options)
        }
    }
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn gradients_flow_through_floors() {
    let Fixture { cloud, pose, .. } = Fixture::new(&Lens::pinhole(PINHOLE), 0);
    let camera = Camera { intrinsics: PINHOLE, cam_from_world: pose };
    // From none to as wide as the Gaussians are.
    let floors: Vec<f32> = (0..cloud.len()).map(|i| [0.0, 0.004, 0.02, 0.0005][i % 4]).collect();
    let device = Device::shared();
    let buffers = GaussianBuffers::upload(&device.gpu, &cloud).expect("the cloud fits the device");
    buffers.set_scale_floors(&device.gpu, &floors).expect("floors");
    assert!(buffers.set_scale_floors(&device.gpu, &[0.1]).is_err(), "one floor for all is refused");
    for kind in RendererKind::ALL {
        let renderer = if kind == RendererKind::Gut { device.gut() } else { &device.renderer };
        let gaussians = Gaussians::from(&cloud);
        let twin = draw(kind, &fused(&gaussians, &floors), &camera);
        let weight = |i: usize| {
            if twin.jump_distance[i / 3] > CLEAR_OF_JUMPS { ((i * 37 % 19) as f64 - 9.0) / 9.0 } else { 0.0 }
        };
        let weights: Vec<f64> = (0..twin.rgb.len()).map(weight).collect();
        let frame = renderer.render(&buffers, &camera, &RenderOptions::default()).expect("it renders");
        let image = frame.read().expect("a picture");
        for (i, (ours, twin)) in
            image.rgb.iter().zip(&twin.rgb).enumerate().filter(|(i, _)| weights[*i] != 0.0)
        {
            assert!((f64::from(*ours) - twin).abs() < 5e-5, "{kind}: colour {i} is {ours}, reference {twin}");
        }
        let narrow = narrow(&weights);
        let gradient = FrameGradient { v_rgb: &narrow, ..FrameGradient::default() };
        let ours = renderer.backward(&buffers, &frame, &gradient).expect("gradients");
        let loss = |gaussians: &Gaussians| {
            let picture = draw(kind, &fused(gaussians, &floors), &camera);
            picture.rgb.iter().zip(&weights).map(|(c, w)| c * w).sum::<f64>()
        };
        let differences = |count: usize, entry: &dyn Fn(&mut Gaussians, usize, f64)| -> Vec<f64> {
            let at = |i: usize, step: f64| {
                let mut moved = gaussians.clone();
                entry(&mut moved, i, step);
                loss(&moved)
            };
            (0..count).map(|i| (at(i, STEP) - at(i, -STEP)) / (2.0 * STEP)).collect()
        };
        let n = cloud.len();
        let scales = differences(3 * n, &|g, i, step| g.log_scales[i / 3][i % 3] += step);
        assert_gradients(&format!("log_scales, {kind}"), &flat(&ours.log_scales), &scales, OF_LARGEST);
        let logits = differences(n, &|g, i, step| g.opacity_logits[i] += step);
        assert_gradients(
            &format!("opacity_logits, {kind}"),
            &wide(&ours.opacity_logits),
            &logits,
            OF_LARGEST,
        );
        let means = differences(3 * n, &|g, i, step| g.means[i / 3][i % 3] += step);
        assert_gradients(&format!("means, {kind}"), &flat(&ours.means), &means, OF_LARGEST);
    }
}

/// A downloaded cloud, which is what files hold, has no floor and looks the same.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn downloaded_clouds_look_the_same_without_floors() {
    let Fixture { cloud, pose, .. } = Fixture::new(&Lens::pinhole(PINHOLE), 1);
    let camera = LensCamera::from(Camera { intrinsics: PINHOLE, cam_from_world: pose });
    let device = Device::shared();
    let buffers = GaussianBuffers::upload(&device.gpu, &cloud).expect("the cloud fits the device");
    buffers.set_scale_floors(&device.gpu, &vec![0.01; cloud.len()]).expect("floors");
    let written: GaussianCloud = buffers.download(&device.gpu).expect("a cloud");
    assert!(written.opacity_logits.iter().zip(&cloud.opacity_logits).all(|(a, b)| a < b));
    let read_back = GaussianBuffers::upload(&device.gpu, &written).expect("the cloud fits the device");
    for kind in RendererKind::ALL {
        let renderer = if kind == RendererKind::Gut { device.gut() } else { &device.renderer };
        let picture = |buffers| {
            let frame = renderer.render(buffers, &camera, &RenderOptions::default());
            frame.expect("it renders").read().expect("a picture")
        };
        let (with, without) = (picture(&buffers), picture(&read_back));
        let far = with.rgb.iter().zip(&without.rgb).filter(|(a, b)| (*a - *b).abs() > 1e-4).count();
        // Alphas at the threshold may fall to either side.
        assert!(far * 200 < with.rgb.len(), "{kind}: {far} values differ");
    }
}

/// Floors follow from the photos: Gaussians do not fall below them, and a run that was interrupted goes on to the same bits.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn training_keeps_to_floors_and_resumes() {
    const STEPS: u32 = 130;
    for kind in RendererKind::ALL {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let scene = crate::tiny_scene::scene(dir.path(), 5).expect("a scene");
        let dataset = Arc::new(Dataset::new(scene, &DatasetOptions::default()).expect("a dataset"));
        let config = TrainConfig {
            steps: STEPS,
            renderer: Some(kind),
            scale_floor: Some(0.2),
            sh_degree: 0,
            max_gaussians: Some(700),
            ..TrainConfig::default()
        };
        let gpu = &Device::shared().gpu;
        let run = |trainer: &mut Trainer, to: u32| {
            while trainer.steps_done() < to {
                trainer.step().expect("a step");
            }
        };
        let mut whole = Trainer::new(gpu, Arc::clone(&dataset), config.clone()).expect("training starts");
        run(&mut whole, STEPS);
        let whole_cloud = whole.cloud().expect("a cloud");
        let mut judged = 0;
        for (mean, scales) in whole_cloud.means.iter().zip(&whole_cloud.log_scales) {
            let mean = glam::DVec3::from_array(mean.map(f64::from));
            let smallest = f64::from(scales.iter().fold(f32::MAX, |a, b| a.min(*b))).exp();
            let depth_where_seen = |&view: &usize| {
                let camera = dataset.camera(view);
                let point = camera.cam_from_world.transform_point(mean);
                let at = camera.lens.project(point)?
                    / glam::DVec2::new(camera.lens.width.into(), camera.lens.height.into());
                at.cmpge(glam::DVec2::ZERO)
                    .all()
                    .then_some(point.z)
                    .filter(|_| at.cmple(glam::DVec2::ONE).all())
            };
            let Some(nearest) = dataset.train.iter().filter_map(depth_where_seen).reduce(f64::min) else {
                continue;
            };
            let floor = 0.2_f64.sqrt() * nearest / dataset.pinhole_camera(0).intrinsics.fx;
            // Half, as it has moved on since its floor was found.
            assert!(smallest > 0.5 * floor, "{kind}: {smallest} below {floor}");
            judged += 1;
        }
        assert!(judged > 100, "{kind}: only {judged} Gaussians are in a photo");
        let mut stopped = Trainer::new(gpu, Arc::clone(&dataset), config).expect("training starts");
        run(&mut stopped, 73);
        let checkpoint = dir.path().join("a.ckpt");
        stopped.save_checkpoint(&checkpoint).expect("a checkpoint");
        let mut resumed = Trainer::resume(gpu, Arc::clone(&dataset), &checkpoint).expect("it resumes");
        run(&mut resumed, STEPS);
        assert_eq!(resumed.cloud().expect("a cloud"), whole_cloud, "{kind}: a resumed run differs");
    }
}
