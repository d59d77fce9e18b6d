//! Runs with a time budget.

use std::sync::Arc;
use std::time::Instant;

use splat_core::pipeline::PipelineOptions;
use splat_core::train::{REFERENCE_STEPS, Strategy, TrainConfig, Trainer};
use splat_core::{Dataset, Error};

use crate::extend::run;
use crate::fixtures::Device;
use crate::trainer::{bits, config, run_to, tiny, trainer};

/// A run that was begun as if time were endless and planned anew after ten steps.
fn planned(dataset: &Arc<Dataset>, steps: u32) -> Trainer {
    let mut trainer = trainer(dataset, TrainConfig { steps: REFERENCE_STEPS, ..config(Strategy::Mcmc) });
    run_to(&mut trainer, 10);
    trainer.replan(steps).expect("it is planned anew");
    trainer
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_run_planned_anew_ends_with_its_schedules_and_resumes_to_the_bit() {
    let (dir, dataset) = tiny();
    let [path, late] = ["checkpoint", "late"].map(|name| dir.path().join(name));
    let mut first = planned(&dataset, 40);
    assert!(first.config().progress(10) < 0.001, "the first steps count as nearly nothing");
    run_to(&mut first, 30);
    assert!(matches!(first.replan(30), Err(Error::Config { .. })), "30 are done");
    let before = first.config().progress(30);
    first.replan(60).expect("there is more time than was thought");
    assert!((first.config().progress(30) - before).abs() < 1e-6, "schedules go on from where they were");
    first.save_checkpoint(&path).expect("it is saved");
    run_to(&mut first, 58);
    first.replan(59).expect("the machine got slower when the mean had begun");
    first.save_checkpoint(&late).expect("it is saved");
    let last = run_to(&mut first, 59).last().expect("steps").image_size;
    let full = dataset.pinhole_camera(0).intrinsics;
    assert_eq!(last, (full.width, full.height), "the last steps see whole photos");
    assert_eq!(first.config().sh_degree_at(58), first.config().sh_degree);

    let finished = bits(&first.cloud().expect("a cloud"));
    for (path, replan) in [(path, true), (late, false)] {
        let gpu = &Device::shared().gpu;
        let mut resumed = Trainer::resume(gpu, Arc::clone(&dataset), &path).expect("the checkpoint is good");
        if replan {
            run_to(&mut resumed, 58);
            resumed.replan(59).expect("as the first run was");
        }
        run_to(&mut resumed, 59);
        assert!(bits(&resumed.cloud().expect("a cloud")) == finished, "resumed, it went elsewhere");
    }
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn more_time_makes_no_worse_scene() {
    let (_dir, dataset) = tiny();
    let psnr = [40, 100, 300].map(|steps| {
        let mut trainer = planned(&dataset, steps);
        run_to(&mut trainer, steps);
        trainer.evaluate().expect("it is measured").psnr
    });
    assert!(psnr.is_sorted(), "{psnr:?}");
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_scene_is_made_even_where_time_is_over() {
    let (dir, dataset) = tiny();
    let options = |resume| PipelineOptions {
        train: config(Strategy::Mcmc),
        deadline: Some(Instant::now()),
        resume,
        ..PipelineOptions::default()
    };
    let out = dir.path().join("out");
    let (outcome, warnings) = run(&out, &dataset, options(false));
    assert!(outcome.ply.exists() && outcome.steps_done == outcome.steps && outcome.stopped.is_none());
    assert!((20..100).contains(&outcome.steps), "{} steps", outcome.steps);
    assert!(warnings.iter().any(|w| w.contains("the time given was over")), "{warnings:?}");
    // A finished run has nothing to go on with, whatever the time.
    let (again, _) = run(&out, &dataset, options(true));
    assert_eq!((again.steps_done, again.psnr), (outcome.steps_done, outcome.psnr));
}
