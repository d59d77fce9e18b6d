//! Runs continued beyond their last step, and runs initialised from a scene instead of points.

use std::path::Path;
use std::sync::{Arc, Mutex};

use splat_core::pipeline::{Loaded, Outcome, OutputFolder, Pipeline, PipelineOptions};
use splat_core::train::{Strategy, TrainConfig, Trainer};
use splat_core::{CancelToken, Dataset, Error, Event};

use crate::fixtures::Device;
use crate::trainer::{bits, config, run_to, tiny, trainer};

const STEPS: u32 = 20;
const MORE: u32 = 60;

fn of_steps(steps: u32) -> TrainConfig {
    TrainConfig { steps, ..config(Strategy::Mcmc) }
}

/// Trains in a folder; gives what it came to and what it warned of.
pub(crate) fn run(folder: &Path, dataset: &Arc<Dataset>, options: PipelineOptions) -> (Outcome, Vec<String>) {
    let warnings = Mutex::new(Vec::new());
    let events = |event| {
        if let Event::Warning { message } = event {
            warnings.lock().expect("nobody panicked").push(message);
        }
    };
    let cancel = CancelToken::new();
    let output = OutputFolder::create(folder).expect("a folder");
    let outcome = {
        let pipeline = Pipeline::new(options, output, &events, &cancel).expect("the folder is free");
        let loaded = Loaded { dataset: Arc::clone(dataset) };
        let trained = pipeline.train(&loaded, &Device::shared().gpu).expect("it trains");
        pipeline.finish(trained).expect("it is written")
    };
    (outcome, warnings.into_inner().expect("nobody panicked"))
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_finished_run_is_trained_longer_where_more_steps_are_asked_for() {
    let (dir, dataset) = tiny();
    let out = dir.path().join("out");
    let options = |steps, extend_to, resume| PipelineOptions {
        train: of_steps(steps),
        extend_to,
        resume,
        ..PipelineOptions::default()
    };
    let (first, warnings) = run(&out, &dataset, options(STEPS, Some(STEPS), false));
    assert_eq!((first.steps_done, warnings), (STEPS, Vec::new()));
    let (cc_psnr, psnr) = (first.cc_psnr.expect("measured"), first.psnr.expect("measured"));
    assert!(cc_psnr >= psnr, "{cc_psnr} {psnr}");

    let (longer, warnings) = run(&out, &dataset, options(MORE, Some(MORE), true));
    assert_eq!((longer.steps_done, longer.steps, warnings), (MORE, MORE, Vec::new()));
    assert!(longer.ply.ends_with(format!("point_cloud_{}.ply", MORE - 1)), "{}", longer.ply.display());
    let better = longer.psnr.expect("measured");
    assert!(better > psnr, "three times the steps gave {better} dB after {psnr} dB");

    // A preset's number of steps does not extend a finished run; the existing result is reported.
    let (same, warnings) = run(&out, &dataset, options(10 * MORE, None, true));
    assert_eq!(same.steps_done, MORE);
    assert!(warnings.iter().any(|w| w.contains(&format!("{MORE} steps"))), "{warnings:?}");
    let (same, warnings) = run(&out, &dataset, options(MORE, Some(MORE), true));
    assert_eq!((same.steps_done, warnings), (MORE, Vec::new()));
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn an_extended_run_resumes_to_the_bit_and_goes_back_to_no_smaller_image() {
    let (dir, dataset) = tiny();
    let path = dir.path().join("checkpoint");
    let mut first = trainer(&dataset, of_steps(STEPS));
    let size = run_to(&mut first, STEPS).last().expect("steps").image_size;
    assert!(matches!(first.extend_to(STEPS), Err(Error::Config { .. })));
    first.extend_to(20 * STEPS).expect("it is extended");
    assert!(first.config().downscale_at(STEPS) == 1 && first.config().sh_degree_at(STEPS) == 1);
    for report in run_to(&mut first, 2 * STEPS) {
        assert_eq!(report.image_size, size, "step {}", report.step);
    }
    first.save_checkpoint(&path).expect("it is saved");
    run_to(&mut first, MORE);
    let mut resumed =
        Trainer::resume(&Device::shared().gpu, Arc::clone(&dataset), &path).expect("the checkpoint is good");
    assert_eq!(resumed.config().steps, 20 * STEPS);
    run_to(&mut resumed, MORE);
    let clouds = [first, resumed].map(|mut trainer| trainer.cloud().expect("a cloud"));
    assert!(bits(&clouds[0]) == bits(&clouds[1]), "resumed, it went elsewhere");
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_scene_is_trained_on_from_where_it_stands() {
    let (dir, dataset) = tiny();
    let out = dir.path().join("out");
    let options = PipelineOptions { train: of_steps(MORE), ..PipelineOptions::default() };
    let (first, _) = run(&out, &dataset, options);
    let gpu = &Device::shared().gpu;
    let scene = splat_core::ply::read(&first.ply).expect("the scene");
    let begin = |config: TrainConfig| {
        let cloud = scene.cloud.clone();
        Trainer::from_scene(gpu, Arc::clone(&dataset), config, cloud, scene.origin).expect("it begins")
    };
    let stands = begin(of_steps(MORE)).evaluate().expect("it is measured").psnr;
    let stood = first.psnr.expect("measured");
    assert!((stands - stood).abs() < 0.05, "the scene stood at {stood} dB and begins at {stands} dB");

    // Other degrees, and a cap below what the scene holds.
    for sh_degree in [0, 3] {
        let mut trainer = begin(TrainConfig { sh_degree, max_gaussians: Some(100), ..of_steps(MORE) });
        assert_eq!(trainer.gaussian_count(), 100);
        assert_eq!(trainer.cloud().expect("a cloud").sh_degree, sh_degree);
    }

    // Through the pipeline, in a separate folder.
    let options =
        |init| PipelineOptions { train: of_steps(STEPS), init: Some(init), ..PipelineOptions::default() };
    let (second, warnings) = run(&dir.path().join("second"), &dataset, options(first.ply));
    assert!(warnings.is_empty(), "{warnings:?}");
    let psnr = second.psnr.expect("measured");
    assert!(psnr > stood - 0.5, "{STEPS} steps more gave {psnr} dB after {stood} dB");
}
