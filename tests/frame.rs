//! A run uses its own coordinate frame: a scene trains equally well in any unit, at any offset, and with a camera far outside, and its
//! file, its cameras and its checkpoints agree on where it is.

use std::sync::Arc;

use glam::DVec3;
use splat_core::flight::{NamedCamera, read_cameras, write_cameras};
use splat_core::pipeline::{EvaluateOptions, evaluate_cloud};
use splat_core::ply::{self, PlyOptions};
use splat_core::train::{Strategy, TrainConfig, Trainer};
use splat_core::{CancelToken, Dataset, RenderOptions, Renderer, RendererKind, Scene};

use crate::fixtures::Device;
use crate::trainer::{VIEWS, bits, config, dataset_of, run_to, tiny_scene, trainer};

const STEPS: u32 = 60;

/// The scene with its world scaled, then moved.
fn moved(mut scene: Scene, unit: f64, offset: DVec3) -> Scene {
    for view in &mut scene.views {
        view.cam_from_world = view.cam_from_world.rebased(-offset / unit, 1.0 / unit);
    }
    for point in &mut scene.points {
        point.position = (DVec3::from_array(point.position) * unit + offset).to_array();
    }
    scene
}

fn settings(renderer: RendererKind) -> TrainConfig {
    TrainConfig { renderer: Some(renderer), ..config(Strategy::Mcmc) }
}

fn trained(dataset: &Arc<Dataset>, renderer: RendererKind) -> (Trainer, f64) {
    let mut run = trainer(dataset, settings(renderer));
    run_to(&mut run, STEPS);
    let psnr = run.evaluate().expect("the held-out view renders").psnr;
    (run, psnr)
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_scene_trains_as_well_in_any_unit_and_place() {
    let device = Device::shared();
    let dir = tempfile::tempdir().expect("a temporary folder");
    for renderer in RendererKind::ALL {
        let (_photos, scene) = tiny_scene(VIEWS);
        let (_, expected) = trained(&dataset_of(scene.clone()), renderer);
        let cases = [
            (1e-3, DVec3::ZERO),
            (1e3, DVec3::ZERO),
            (1.0, DVec3::new(4.5e5, 5e6, -120.0)),
            (1e-3, DVec3::new(0.0, 5e3, 0.0)),
        ];
        for (unit, offset) in cases {
            let what = format!("{renderer}, unit {unit}, offset {offset}");
            let dataset = dataset_of(moved(scene.clone(), unit, offset));
            let (mut run, psnr) = trained(&dataset, renderer);
            assert!((psnr - expected).abs() < 0.15, "{what}: {psnr:.2} dB where it is {expected:.2}");

            // The file, drawn by the same near plane and origin, shows what the run did.
            let path = dir.path().join("scene.ply");
            let (origin, near) = (run.origin(), Some(run.near()));
            assert_eq!(origin != [0.0; 3], offset != DVec3::ZERO, "{what}: {origin:?}");
            let options = PlyOptions { origin, near, ..PlyOptions::default() };
            ply::write(&path, &run.seen_cloud().expect("a cloud"), &options).expect("it is written");
            let file = ply::read(&path).expect("it is read");
            assert_eq!((file.origin, file.near), (origin, near), "{what}");
            let render = RenderOptions {
                near: file.near.expect("it has a near plane"),
                origin: file.origin,
                ..RenderOptions::default()
            };
            let options = EvaluateOptions { render, ..EvaluateOptions::default() };
            let drawn = Renderer::new(&device.gpu, renderer).expect("a renderer");
            let (events, cancel) = (|_| {}, CancelToken::default());
            let report = evaluate_cloud(&drawn, &file.cloud, &dataset, &options, &events, &cancel);
            let again = report.expect("it is measured").psnr;
            assert!((again - psnr).abs() < 0.02, "{what}: {again:.3} dB from the file, {psnr:.3} in the run");

            // And so do its cameras, which are returned in world coordinates.
            let cameras = dir.path().join("cameras.json");
            let (name, camera) = ("a".to_owned(), dataset.pinhole_camera(0));
            let named = NamedCamera {
                name,
                held_out: false,
                camera,
                lens: None,
                rolling_shutter: None,
                exposure: None,
            };
            write_cameras(&cameras, &[named], origin).expect("they are written");
            let back = read_cameras(&cameras).expect("they are read")[0].camera.cam_from_world.centre();
            let there = camera.cam_from_world.centre();
            assert!((back - there).length() < 1e-8 * there.length().max(unit), "{what}: {back} {there}");

            // A resumed run is in the same frame, to the bit.
            let checkpoint = dir.path().join("checkpoint");
            run.save_checkpoint(&checkpoint).expect("it is saved");
            let resumed = Trainer::resume(&device.gpu, Arc::clone(&dataset), &checkpoint);
            let mut resumed = resumed.expect("the checkpoint is good");
            let clouds = [&mut run, &mut resumed].map(|run| bits(&run.cloud().expect("a cloud")));
            assert!(clouds[0] == clouds[1], "{what}: resumed, it is elsewhere");
        }
    }
}

/// One camera far outside must not set the size of everything.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_camera_far_outside_changes_little() {
    let (_photos, scene) = tiny_scene(VIEWS);
    let (_, expected) = trained(&dataset_of(scene.clone()), RendererKind::Ewa);
    let mut outside = scene;
    // Its photo is trained on still, to no use: it looks away.
    let last = outside.views.last_mut().expect("there are views");
    last.cam_from_world.translation += DVec3::new(0.0, 0.0, -1e4);
    let (mut run, psnr) = trained(&dataset_of(outside), RendererKind::Ewa);
    assert!(psnr > expected - 1.5, "{psnr:.2} dB where it is {expected:.2} without");
    let written = run.seen_cloud().expect("a cloud");
    let farthest = written.means.iter().flatten().fold(0.0_f32, |far, x| far.max(x.abs()));
    assert!(farthest < 2e4, "a Gaussian lies {farthest} away");
}

/// What is left out of the file changes no picture of the dataset's views.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn gaussians_that_no_camera_sees_are_left_out() {
    let (_photos, mut scene) = tiny_scene(VIEWS);
    let seen = scene.points.len();
    // High above and far below cameras that stand around the scene, close together and so small.
    let out_of_sight: Vec<_> = (0..8)
        .map(|i| {
            let [height, aside] = [if i % 2 == 0 { 40.0 } else { -40.0 }, 0.02 * f64::from(i)];
            splat_core::SeedPoint { position: [aside, height, aside], rgb: [255; 3] }
        })
        .collect();
    let hidden = out_of_sight.len();
    scene.points.extend(out_of_sight);
    let mut run = trainer(&dataset_of(scene), settings(RendererKind::Ewa));
    run_to(&mut run, 2);
    let (all, written) = (run.cloud().expect("a cloud"), run.seen_cloud().expect("a cloud"));
    assert!(
        written.len() + hidden <= all.len() && written.len() * 2 > seen,
        "{} of {}",
        written.len(),
        all.len()
    );
    let device = Device::shared();
    let renderer = Renderer::new(&device.gpu, RendererKind::Ewa).expect("a renderer");
    let options = RenderOptions { near: run.near(), ..RenderOptions::default() };
    for view in 0..VIEWS as usize {
        let camera = run.dataset().pinhole_camera(view);
        let [a, b] = [&all, &written].map(|cloud| {
            let buffers = splat_core::GaussianBuffers::upload(&device.gpu, cloud).expect("it fits");
            renderer.render(&buffers, &camera, &options).expect("it renders").read().expect("it is read").rgb
        });
        let worst = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-4, "view {view} changed by {worst}");
    }
}
