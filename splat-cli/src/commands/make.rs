//! `run`, `colmap`, `train`: the commands that make scenes.

use std::path::Path;

use serde::Serialize;
use splat_core::folder_lock::FolderLock;
use splat_core::pipeline::{Outcome, OutputFolder, Pipeline, PipelineOptions, StopReason};
use splat_core::text::{corrected, duration, thousands};
use splat_core::{Gpu, Placement, SceneSource};

use super::refined::{self, Kept};
use super::{Context, given};
use crate::args::{ColmapArgs, RunArgs, TrainArgs};
use crate::failure::Failure;
use crate::settings;

/// `splat run`.
pub(super) fn run(args: &RunArgs, context: &Context) -> Result<(), Failure> {
    refined::check_folder(args.train.colmap_model.as_deref())?;
    // Checked before COLMAP, which takes minutes: a missing GPU should be reported at once.
    let output = OutputFolder::create(&args.output)?;
    let folder = given::photos(&args.photos, &args.output, context)?;
    let gpu = context.gpu()?;
    let preset = settings::preset(&args.train, &gpu);
    let source = settings::photos(
        &folder,
        args.masks.as_deref(),
        output.colmap_data(),
        &args.colmap,
        preset,
        Some(&gpu),
    )?;
    let mut source = source.keeping_distortion(args.train.scene.0.keep_distortion());
    let options = settings::pipeline(&args.train, preset, context.started);
    make_and_report(&mut source, options, output, args.train.colmap_model.as_deref(), &gpu, context)
}

/// `splat train`.
pub(super) fn train(args: &TrainArgs, context: &Context) -> Result<(), Failure> {
    refined::check_folder(args.train.colmap_model.as_deref())?;
    let mut source = settings::posed(&args.dataset, &args.folders)?;
    let gpu = context.gpu()?;
    let output = OutputFolder::create(&args.output)?;
    let dataset_place = Some(settings::place(&args.dataset, &args.folders));
    let preset = settings::preset(&args.train, &gpu);
    let options =
        PipelineOptions { dataset_place, ..settings::pipeline(&args.train, preset, context.started) };
    make_and_report(source.as_mut(), options, output, args.train.colmap_model.as_deref(), &gpu, context)
}

/// Makes a scene, writes its cameras to the folder `colmap_model` if there is one, and reports.
fn make_and_report(
    source: &mut dyn SceneSource,
    options: PipelineOptions,
    output: OutputFolder,
    colmap_model: Option<&Path>,
    gpu: &Gpu,
    context: &Context,
) -> Result<(), Failure> {
    let Some(dir) = colmap_model else {
        return report_outcome(&make(source, options, output, gpu, context)?, context);
    };
    let cameras = output.cameras();
    let mut source = Kept::new(source);
    let outcome = make(&mut source, options, output, gpu, context)?;
    // A cancelled run is resumed by the same command, which refuses a folder with a model.
    if outcome.stopped != Some(StopReason::Cancelled) {
        source.write_model(&cameras, dir)?;
    }
    report_outcome(&outcome, context)
}

/// `splat colmap`.
pub(super) fn colmap(args: &ColmapArgs, context: &Context) -> Result<(), Failure> {
    let lock = FolderLock::take(&args.output)?;
    let folder = given::photos(&args.photos, &args.output, context)?;
    let gpu = context.hardware();
    let mut source = settings::photos(
        &folder,
        args.masks.as_deref(),
        args.output.clone(),
        &args.colmap,
        args.preset,
        gpu.as_ref(),
    )?;
    let events = |event| context.reporter.event(event);
    let scene = source.scene(&events, &context.cancel)?;
    drop(lock);
    #[derive(Serialize)]
    struct Done<'a> {
        event: &'a str,
        dataset: &'a Path,
        registered: usize,
        points: usize,
        placement: Option<&'a Placement>,
    }
    let done = Done {
        event: "done",
        dataset: &args.output,
        registered: scene.views.len(),
        points: scene.points.len(),
        placement: scene.placement.as_ref(),
    };
    let text = format!(
        "dataset  {} ({} photos placed, {} points)\n{}next     splat train {} -o OUT",
        args.output.display(),
        thousands(done.registered as u64),
        thousands(done.points as u64),
        scene.placement.as_ref().map(|placement| photos("photos   ", placement)).unwrap_or_default(),
        args.output.display()
    );
    context.reporter.result(&done, &text);
    Ok(())
}

/// Runs the pipeline from the source to the written scene.
pub(super) fn make(
    source: &mut dyn SceneSource,
    options: PipelineOptions,
    output: OutputFolder,
    gpu: &Gpu,
    context: &Context,
) -> Result<Outcome, Failure> {
    let events = |event| context.reporter.event(event);
    let pipeline = Pipeline::new(options, output, &events, &context.cancel)?;
    Ok(pipeline.run(source, gpu)?)
}

/// Reports the result of a run; one that was stopped by Ctrl-C has its own exit code.
pub(super) fn report_outcome(outcome: &Outcome, context: &Context) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Done<'a> {
        event: &'a str,
        #[serde(flatten)]
        outcome: &'a Outcome,
    }
    context.reporter.result(&Done { event: "done", outcome }, &summary(outcome));
    match outcome.stopped {
        Some(StopReason::Cancelled) => {
            let hint = "add `--resume` to the same command to go on from the checkpoint".to_owned();
            Err(Failure::Stopped { hint: Some(hint) })
        }
        _ => Ok(()),
    }
}

/// The number of photos with a pose, and one line per photo without, with the reason.
fn photos(title: &str, placement: &Placement) -> String {
    let indent = " ".repeat(title.len());
    let left_out = placement
        .left_out
        .iter()
        .map(|photo| format!("{indent}left out: {} ({})\n", photo.name, photo.reason));
    format!("{title}{placement}\n{}", left_out.collect::<String>())
}

fn summary(outcome: &Outcome) -> String {
    let mut lines = vec![format!(
        "scene       {} ({} Gaussians, {} steps in {})",
        outcome.ply.display(),
        thousands(u64::from(outcome.gaussians)),
        thousands(u64::from(outcome.steps_done)),
        duration(outcome.elapsed_s)
    )];
    if let Some(placement) = &outcome.placement {
        lines.push(photos("photos      ", placement).trim_end().to_owned());
    }
    lines.extend(outcome.also.iter().map(|path| format!("            {}", path.display())));
    if let Some(comparison) = &outcome.comparison {
        lines.push(format!("comparison  {} (held-out photo | render)", comparison.display()));
    }
    if let (Some(psnr), Some(ssim)) = (outcome.psnr, outcome.ssim) {
        lines.push(format!(
            "PSNR        {psnr:.2} dB{}, SSIM {ssim:.4} (mean of {} held-out photos)",
            corrected(outcome.cc_psnr),
            outcome.views.len()
        ));
    }
    if let Some(psnr) = outcome.aligned_psnr {
        lines.push(format!(
            "poses       refined while training (see cameras.json); {psnr:.2} dB with held-out photos moved to where they fit best"
        ));
    }
    lines.join("\n")
}
