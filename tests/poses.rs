//! Refinement of camera poses during training.

use std::sync::Arc;

use glam::{DQuat, DVec3};
use splat_core::train::{PoseMode, Strategy, TrainConfig, Trainer};
use splat_core::{Dataset, DatasetOptions, Pose};

use crate::fixtures::Device;
use crate::tiny_scene;
use crate::trainer::{bits, config, run_to};

const VIEWS: u32 = 16;
const STEPS: u32 = 300;

fn settings(poses: PoseMode) -> TrainConfig {
    TrainConfig { steps: STEPS, poses, ..config(Strategy::Mcmc) }
}

/// The tiny scene with its training photos' cameras turned by about `degrees`, and the true poses of its views.
fn off_by(degrees: f64) -> (tempfile::TempDir, Arc<Dataset>, Vec<Pose>) {
    let dir = tempfile::tempdir().expect("a folder");
    let mut scene = tiny_scene::scene(dir.path(), VIEWS).expect("it is read");
    let truth = scene.views.iter().map(|view| view.cam_from_world).collect();
    let every = 8;
    for (place, view) in scene.views.iter_mut().enumerate().filter(|(place, _)| place % every != 0) {
        // Directions spread over the sphere, by irrational turns.
        let (a, b) = (place as f64 * 2.399_963, place as f64 * 0.754_878);
        let axis = DVec3::new(a.cos(), a.sin(), 2.0 * b.fract() - 1.0).normalize();
        let pose = &mut view.cam_from_world;
        pose.rotation = (DQuat::from_axis_angle(axis, degrees.to_radians()) * pose.rotation).normalize();
    }
    let options = DatasetOptions { holdout_every: Some(every as u32), ..DatasetOptions::default() };
    (dir, Arc::new(Dataset::new(scene, &options).expect("it is whole")), truth)
}

fn trainer(dataset: &Arc<Dataset>, poses: PoseMode) -> Trainer {
    Trainer::new(&Device::shared().gpu, Arc::clone(dataset), settings(poses)).expect("it starts")
}

/// Mean angle between training views' poses and the true ones, degrees.
fn mean_error(trainer: &Trainer, truth: &[Pose]) -> f64 {
    let train = &trainer.dataset().train;
    let error = |&view: &usize| {
        trainer.cam_from_world(view).rotation.angle_between(truth[view].rotation).to_degrees()
    };
    train.iter().map(error).sum::<f64>() / train.len() as f64
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn poses_that_are_off_are_found_and_refined() {
    // Far enough off that what is gained stands out: on so small a scene a decibel is luck.
    let off = 3.5;
    let (_dir, dataset, truth) = off_by(off);
    let evaluated = |mode| {
        let mut trainer = trainer(&dataset, mode);
        run_to(&mut trainer, STEPS);
        let report = trainer.evaluate().expect("it is evaluated");
        (report, mean_error(&trainer, &truth), trainer.refines_poses())
    };
    let (fixed, error_before, refines) = evaluated(PoseMode::Fixed);
    assert!(!refines && fixed.aligned_psnr.is_none() && (error_before - off).abs() < 1e-6, "{error_before}");
    for mode in [PoseMode::Refine, PoseMode::Auto] {
        let (refined, error, refines) = evaluated(mode);
        assert!(refines, "{mode:?}");
        assert!(error < 0.4 * error_before, "{mode:?}: {error} degrees");
        let aligned = refined.aligned_psnr.expect("poses are refined");
        assert!(refined.psnr > fixed.psnr, "{mode:?}: {} dB after {} dB", refined.psnr, fixed.psnr);
        assert!(aligned > fixed.psnr, "{mode:?}: aligned {aligned} dB");
    }
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn poses_that_are_right_are_kept() {
    let (_dir, dataset, truth) = off_by(0.0);
    let clouds = [PoseMode::Auto, PoseMode::Fixed].map(|mode| {
        let mut trainer = trainer(&dataset, mode);
        run_to(&mut trainer, STEPS);
        assert!(!trainer.refines_poses(), "{mode:?}");
        assert!(mean_error(&trainer, &truth) < 1e-9);
        bits(&trainer.cloud().expect("a cloud"))
    });
    assert_eq!(clouds[0], clouds[1], "looking at the gradients changes nothing");
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_run_with_refined_poses_repeats_and_resumes_to_the_bit() {
    let (dir, dataset, _) = off_by(1.0);
    let path = dir.path().join("checkpoint");
    let end = 120;
    let mut whole = trainer(&dataset, PoseMode::Refine);
    run_to(&mut whole, end);
    let mut first = trainer(&dataset, PoseMode::Refine);
    run_to(&mut first, 61);
    first.save_checkpoint(&path).expect("it is written");
    let mut second = Trainer::resume(&Device::shared().gpu, Arc::clone(&dataset), &path).expect("it is read");
    assert!(second.refines_poses());
    run_to(&mut second, end);
    for view in dataset.train.iter().copied() {
        assert_eq!(whole.cam_from_world(view), second.cam_from_world(view), "view {view}");
    }
    assert_eq!(bits(&whole.cloud().expect("a cloud")), bits(&second.cloud().expect("a cloud")));
}
