//! `splat bench`: measures blending, training steps and each kernel on this machine.

mod blend;
mod dump;
mod made_up;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use splat_core::Gpu;
use splat_core::dataset::{Dataset, DatasetOptions};
use splat_core::gpu::rates::{DeviceRates, device_rates};
use splat_core::train::{DensifyConfig, TrainConfig, Trainer};

use blend::{BlendRates, blend_rates};
use made_up::made_up_scene;

use super::Context;
use crate::args::BenchArgs;
use crate::failure::Failure;
use crate::settings;

/// Untimed steps at the beginning, in which kernels are compiled, photos decoded and buffers grown.
const WARM_UP: u32 = 12;

/// Results of `splat bench`.
#[derive(Serialize)]
struct Report<'a> {
    adapter: &'a str,
    driver: String,
    device: DeviceRates,
    blend: BlendRates,
    /// Kernels against the plain loop, in the same run.
    forward_to_plain: f64,
    backward_to_plain: f64,
    /// `rasterize` and `rasterize_backward` against the device's multiply-add rate; none without timestamps.
    share_of_multiply_adds: Option<[f64; 2]>,
    training: Option<Steps>,
    made_up: Vec<MadeUp>,
}

/// Results for a generated scene, or why there are none.
#[derive(Serialize)]
struct MadeUp {
    gaussians: u32,
    width: u32,
    height: u32,
    steps: Option<Steps>,
    failed: Option<String>,
}

/// Whole steps at full size.
#[derive(Serialize)]
struct Steps {
    width: u32,
    height: u32,
    gaussians: u32,
    /// Seconds until the end of the first step: seeds, buffers, kernels.
    start_s: f64,
    timed: u32,
    step_ms: f64,
    /// Milliseconds of a densification, on host and device: of one that needs larger buffers, and of the next one, which finds room in
    /// them. Empty for a dataset, or if time ran out before.
    densify_ms: Vec<f64>,
    /// Device memory per Gaussian; 0 if the driver does not report it.
    bytes_per_gaussian: f64,
    /// Waits and created buffers per step.
    host_waits: f64,
    allocations: f64,
    /// GPU time per step, by kernel; empty if the device does not support timestamps.
    kernels_ms: BTreeMap<&'static str, f64>,
}

pub(super) fn bench(args: &BenchArgs, context: &Context) -> Result<(), Failure> {
    let gpu = context.gpu()?;
    if let Some(folder) = &args.dump_shaders {
        return dump::shaders(folder, args.renderer, &gpu, context);
    }
    if cfg!(debug_assertions) {
        context
            .reporter
            .warn("this is a debug build: the plain loop is not vectorised, so the ratios mean nothing");
    }
    context.reporter.note("measuring the device's own rates ...");
    let device = device_rates(&gpu)?;
    context.reporter.note("measuring blend rates ...");
    let blend = blend_rates(&gpu)?;
    let training = args.dataset.as_deref().map(|path| {
        let events = |event| context.reporter.event(event);
        let scene = settings::posed(path, &Default::default())?.scene(&events, &context.cancel)?;
        steps(args, &gpu, context, Dataset::new(scene, &DatasetOptions::default())?, TrainConfig::default())
    });
    let training = training.transpose()?;
    let mut made_up = Vec::new();
    for &(width, height) in &args.size {
        for &gaussians in &args.gaussians {
            context.check()?;
            context.reporter.note(&format!("timing {gaussians} Gaussians at {width}x{height} ..."));
            // The largest may not fit; report the results of the others.
            let (steps, failed) = match made_up_steps(args, &gpu, context, gaussians, (width, height)) {
                Ok(steps) => (Some(steps), None),
                Err(stopped @ Failure::Stopped { .. }) => return Err(stopped),
                Err(failure) => {
                    // Cleared, so that the next scene does not report it.
                    let _ = gpu.check();
                    (None, Some(failure.to_string()))
                }
            };
            made_up.push(MadeUp { gaussians, width, height, steps, failed });
        }
    }
    let adapter = gpu.report();
    let report = Report {
        adapter: &adapter.name,
        driver: format!("{} {}", adapter.driver, adapter.driver_info),
        device,
        blend,
        forward_to_plain: blend.forward / blend.plain_rust,
        backward_to_plain: blend.backward / blend.plain_rust,
        share_of_multiply_adds: blend.shares(&device),
        training,
        made_up,
    };
    context.reporter.result(&report, &text(&report));
    Ok(())
}

fn made_up_steps(
    args: &BenchArgs,
    gpu: &Gpu,
    context: &Context,
    gaussians: u32,
    (width, height): (u32, u32),
) -> Result<Steps, Failure> {
    let folder = tempfile::tempdir().map_err(|error| Failure::Input {
        path: std::env::temp_dir(),
        what: format!("takes no temporary folder: {error}"),
        hint: "set TMPDIR to a folder with room",
    })?;
    let scene = made_up_scene(folder.path(), gaussians, width, height)?;
    // Before every second step after those that are timed.
    let last = (WARM_UP + 2 * args.steps).next_multiple_of(2);
    let densify = DensifyConfig { from: last, every: 2, at_least_every: 1, ..DensifyConfig::default() };
    let config = TrainConfig {
        steps: splat_core::train::REFERENCE_STEPS,
        // As many as the buffers hold after the first densification; it adds 14 %, and the second one as many.
        max_gaussians: Some(gaussians.saturating_add(gaussians / 5 * 2)),
        seed_points: gaussians,
        backdrop: Some(false),
        // All coefficients from the fourth step on.
        sh_degree_every: 1,
        densify,
        ..TrainConfig::default()
    };
    let dataset = Dataset::new(scene, &DatasetOptions { holdout_every: None, ..DatasetOptions::default() })?;
    steps(args, gpu, context, dataset, config)
}

fn steps(
    args: &BenchArgs,
    gpu: &Gpu,
    context: &Context,
    dataset: Dataset,
    config: TrainConfig,
) -> Result<Steps, Failure> {
    let made_up = config.sh_degree_every == 1;
    let renderer = Some(args.renderer);
    let before = gpu.allocated_bytes();
    let started = Instant::now();
    let mut trainer =
        Trainer::new(gpu, Arc::new(dataset), TrainConfig { full_size: true, renderer, ..config })?;
    let mut size = trainer.step()?.image_size;
    trainer.flush()?;
    let start_s = started.elapsed().as_secs_f64();
    for _ in 1..WARM_UP {
        size = trainer.step()?.image_size;
    }
    trainer.flush()?;
    let allocated = gpu.allocated_bytes().saturating_sub(before);
    let (buffers, waits) = gpu.usage();
    let started = Instant::now();
    let mut timed = 0;
    while timed < args.steps && (timed == 0 || started.elapsed().as_secs_f64() < args.seconds) {
        context.check()?;
        trainer.step()?;
        timed += 1;
    }
    trainer.flush()?;
    let per_step = |total: f64| total / f64::from(timed);
    let step_ms = per_step(started.elapsed().as_secs_f64() * 1e3);
    let (buffers_after, waits_after) = gpu.usage();
    let mut kernels_ms = BTreeMap::new();
    let (mut profiled, started) = (0, Instant::now());
    while profiled < args.steps && (profiled == 0 || started.elapsed().as_secs_f64() < args.seconds) {
        context.check()?;
        if !trainer.profile_step(&mut kernels_ms)? {
            break;
        }
        profiled += 1;
    }
    kernels_ms.values_mut().for_each(|ms| *ms /= f64::from(profiled.max(1)));
    let gaussians = trainer.gaussian_count();
    let mut densify_ms = Vec::new();
    // Only if there was time for all steps before them.
    if made_up && timed + profiled == 2 * args.steps {
        while densify_ms.len() < 2 {
            let densifies = trainer.config().densifies_before(trainer.steps_done());
            let with = timed_step(&mut trainer)?;
            if densifies {
                // The next step has as many Gaussians.
                densify_ms.push(with - timed_step(&mut trainer)?);
            }
        }
    }
    Ok(Steps {
        width: size.0,
        height: size.1,
        gaussians,
        start_s,
        timed,
        step_ms,
        densify_ms,
        bytes_per_gaussian: allocated as f64 / f64::from(gaussians.max(1)),
        host_waits: per_step((waits_after - waits) as f64),
        allocations: per_step((buffers_after - buffers) as f64),
        kernels_ms,
    })
}

/// Milliseconds of the next step, with nothing else in flight.
fn timed_step(trainer: &mut Trainer) -> Result<f64, Failure> {
    let started = Instant::now();
    trainer.step()?;
    trainer.flush()?;
    Ok(started.elapsed().as_secs_f64() * 1e3)
}

fn text(report: &Report<'_>) -> String {
    let row = |name: &str, rate: f64, ratio: f64| {
        format!("{name:10}  {:6.3} G Gaussian-pixels/s  {ratio:5.2} of plain Rust", rate / 1e9)
    };
    let mut lines = vec![
        format!("adapter     {} ({})", report.adapter, report.driver),
        format!(
            "device      {:.0} G multiply-adds/s, copies {:.0} GB/s",
            report.device.multiply_adds / 1e9,
            report.device.copy_bytes / 1e9
        ),
        row("forward", report.blend.forward, report.forward_to_plain),
        row("backward", report.blend.backward, report.backward_to_plain),
        row("plain Rust", report.blend.plain_rust, 1.0),
    ];
    if let Some([forward, backward]) = report.share_of_multiply_adds {
        let (forward, backward) = (100.0 * forward, 100.0 * backward);
        lines.push(format!(
            "kernels     rasterize {forward:.1} %, rasterize_backward {backward:.1} % of the device's multiply-adds"
        ));
    }
    for steps in report.training.iter().chain(report.made_up.iter().filter_map(|scene| scene.steps.as_ref()))
    {
        lines.push(format!(
            "step        {:.2} ms at {}x{} with {} Gaussians; start {:.1} s, {:.0} bytes per Gaussian, {:.1} waits and {:.1} \
             buffers per step{}",
            steps.step_ms,
            steps.width,
            steps.height,
            steps.gaussians,
            steps.start_s,
            steps.bytes_per_gaussian,
            steps.host_waits,
            steps.allocations,
            match steps.densify_ms[..] {
                [first, second] => format!(", densification {first:.0} ms with larger buffers and {second:.0} ms without"),
                _ => String::new(),
            }
        ));
        let mut kernels: Vec<_> = steps.kernels_ms.iter().collect();
        kernels.sort_by(|a, b| b.1.total_cmp(a.1));
        lines.extend(kernels.iter().map(|(name, ms)| format!("  {name:24}  {ms:8.3} ms")));
    }
    lines.extend(report.made_up.iter().filter_map(|scene| {
        let why = scene.failed.as_ref()?;
        Some(format!("no step of {} Gaussians at {}x{}: {why}", scene.gaussians, scene.width, scene.height))
    }));
    lines.join("\n")
}
