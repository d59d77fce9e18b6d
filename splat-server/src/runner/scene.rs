//! Runs a real scene job: the pipeline, with its folders in the job's folder.

use std::fs;
use std::time::{Duration, Instant};

use splat_colmap::{ColmapOptions, ColmapSource, DatasetSource};
use splat_core::events::Stage;
use splat_core::files::write_error;
use splat_core::gpu::{GpuDescriptors, GpuOptions};
use splat_core::pipeline::{OutputFolder, Pipeline, PipelineOptions, Preset, StopReason, Viewer};
use splat_core::{CancelToken, Event, self_test};

use super::{Ended, Failure, MachineOptions, Order};
use crate::layout;
use crate::scene::{RetryFrom, SceneOptions};

pub(super) fn run(
    order: &Order,
    events: &(dyn Fn(Event) + Sync),
    viewer: &dyn Viewer,
    cancel: &CancelToken,
) -> Result<Ended, Failure> {
    let started = Instant::now();
    let output = OutputFolder::create(layout::MODEL)?;
    let options = &order.spec.options;
    // COLMAP runs for minutes, so a missing GPU is reported before.
    let gpu_options = GpuOptions {
        adapter_name: order.machine.adapter.clone(),
        backend: order.machine.backend,
        ..GpuOptions::default()
    };
    let mut passed_over = Vec::new();
    let gpu = self_test::open(&gpu_options, &mut |text| passed_over.push(text))?;
    passed_over.into_iter().for_each(|text| events(Event::Warning { message: text }));
    let preset = options.preset_on(gpu.report().is_software());
    let mut source = ColmapSource::new(
        layout::IMAGES,
        layout::COLMAP_DATA,
        ColmapOptions {
            comparer: GpuDescriptors::on_hardware(&gpu),
            ..colmap_options(options, preset, &order.machine)
        },
    )
    .keeping_distortion(options.keep_distortion());
    if let Some(from) = order.spec.redo_from
        && order.first_attempt
    {
        forget(from, &source, &output)?;
    }
    let pipeline_options = PipelineOptions {
        resume: !output.checkpoints()?.is_empty(),
        ..pipeline_options(options, preset, &order.machine, started)
    };
    let pipeline = Pipeline::new(pipeline_options, output, &events, cancel)?.shown_to(viewer);
    let kept = matches!(order.spec.redo_from, None | Some(RetryFrom::Train)) && !options.keep_distortion();
    let outcome = if kept && source.is_posed_for_good() {
        pipeline.run(&mut DatasetSource::new(layout::COLMAP_DATA), &gpu)?
    } else {
        pipeline.run(&mut source, &gpu)?
    };
    if outcome.stopped == Some(StopReason::Cancelled) {
        return Ok(Ended::Cancelled);
    }
    let outcome = serde_json::to_value(&outcome).map_err(std::io::Error::from);
    let path = pipeline.output().metrics();
    Ok(Ended::Succeeded { outcome: outcome.map_err(|source| write_error(&path, source))? })
}

/// Removes the results of stages that are to run again.
fn forget(from: RetryFrom, source: &ColmapSource, output: &OutputFolder) -> Result<(), Failure> {
    match from {
        RetryFrom::Prepare => source.forget_from(Stage::Prepare)?,
        RetryFrom::Features => source.forget_from(Stage::Features)?,
        RetryFrom::Matching => source.forget_from(Stage::Matching)?,
        RetryFrom::Mapping => source.forget_from(Stage::Mapping)?,
        RetryFrom::Train => {}
    }
    // New camera poses invalidate old checkpoints, and restarting training must ignore them.
    for path in output.checkpoints()? {
        fs::remove_file(&path).map_err(|source| write_error(&path, source))?;
    }
    Ok(())
}

fn colmap_options(options: &SceneOptions, preset: Preset, machine: &MachineOptions) -> ColmapOptions {
    ColmapOptions {
        binary: machine.colmap.clone(),
        stage_timeout: Some(Duration::from_secs(machine.colmap_stage_timeout_s.max(1))),
        // The worker kills this process with its group, and COLMAP must not outlive it.
        own_group: false,
        ..options.colmap(preset)
    }
}

fn pipeline_options(
    options: &SceneOptions,
    preset: Preset,
    machine: &MachineOptions,
    started: Instant,
) -> PipelineOptions {
    let options = options.pipeline(preset, started);
    PipelineOptions {
        // Ten points make a usable chart; evaluating costs a few renders each.
        eval_every: Some((options.train.steps / 10).max(50)),
        checkpoint_interval: Some(Duration::from_secs(machine.checkpoint_s.max(1))),
        preview_interval: (machine.preview_s > 0).then(|| Duration::from_secs(machine.preview_s)),
        ..options
    }
}
