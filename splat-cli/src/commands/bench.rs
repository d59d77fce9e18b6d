//! `splat bench`: how fast this machine blends, steps, and runs each kernel.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use splat_core::bench::{BlendRates, blend_rates};
use splat_core::dataset::{Dataset, DatasetOptions};
use splat_core::train::{TrainConfig, Trainer};

use super::Context;
use crate::args::BenchArgs;
use crate::failure::Failure;
use crate::settings;

/// Steps before the first timed one: kernels are compiled and photos decoded there.
const WARM_UP: u32 = 5;

/// Everything measured.
#[derive(Serialize)]
struct Report<'a> {
    adapter: &'a str,
    blend: BlendRates,
    /// Kernels against the plain loop, in the same run.
    forward_to_plain: f64,
    backward_to_plain: f64,
    training: Option<Steps>,
}

/// Whole steps at full size.
#[derive(Serialize)]
struct Steps {
    width: u32,
    height: u32,
    gaussians: u32,
    step_ms: f64,
    /// GPU time a step, by kernel; empty where the device has no timestamps.
    kernels_ms: BTreeMap<&'static str, f64>,
}

pub(super) fn bench(args: &BenchArgs, context: &Context) -> Result<(), Failure> {
    let gpu = context.gpu()?;
    if cfg!(debug_assertions) {
        context
            .reporter
            .warn("this is a debug build: the plain loop is not vectorised, so the ratios mean nothing");
    }
    context.reporter.note("measuring blend rates ...");
    let blend = blend_rates(&gpu)?;
    let training = args.dataset.is_some().then(|| steps(args, &gpu, context)).transpose()?;
    let report = Report {
        adapter: &gpu.report().name,
        blend,
        forward_to_plain: blend.forward / blend.plain_rust,
        backward_to_plain: blend.backward / blend.plain_rust,
        training,
    };
    context.reporter.result(&report, &text(&report));
    Ok(())
}

fn steps(args: &BenchArgs, gpu: &splat_core::Gpu, context: &Context) -> Result<Steps, Failure> {
    let path = args.dataset.as_deref().unwrap_or_else(|| std::path::Path::new("."));
    let events = |event| context.reporter.event(event);
    let scene = settings::posed(path, &Default::default())?.scene(&events, &context.cancel)?;
    let dataset = Arc::new(Dataset::new(scene, &DatasetOptions::default())?);
    let renderer = Some(args.renderer.into());
    let config = TrainConfig { full_size: true, renderer, ..TrainConfig::default() };
    let mut trainer = Trainer::new(gpu, dataset, config)?;
    context.reporter.note("timing steps ...");
    let mut size = (0, 0);
    for _ in 0..WARM_UP {
        size = trainer.step()?.image_size;
    }
    trainer.flush()?;
    let started = Instant::now();
    for _ in 0..args.steps {
        context.check()?;
        trainer.step()?;
    }
    trainer.flush()?;
    let step_ms = started.elapsed().as_secs_f64() * 1e3 / f64::from(args.steps);
    let mut kernels_ms = BTreeMap::new();
    for _ in 0..args.steps {
        context.check()?;
        if !trainer.profile_step(&mut kernels_ms)? {
            break;
        }
    }
    kernels_ms.values_mut().for_each(|ms| *ms /= f64::from(args.steps));
    Ok(Steps { width: size.0, height: size.1, gaussians: trainer.gaussian_count(), step_ms, kernels_ms })
}

fn text(report: &Report<'_>) -> String {
    let row = |name: &str, rate: f64, ratio: f64| {
        format!("{name:10}  {:6.3} G Gaussian-pixels/s  {ratio:5.2} of plain Rust", rate / 1e9)
    };
    let mut lines = vec![
        format!("adapter     {}", report.adapter),
        row("forward", report.blend.forward, report.forward_to_plain),
        row("backward", report.blend.backward, report.backward_to_plain),
        row("plain Rust", report.blend.plain_rust, 1.0),
    ];
    if let Some(steps) = &report.training {
        lines.push(format!(
            "step        {:.1} ms at {}x{} with {} Gaussians",
            steps.step_ms, steps.width, steps.height, steps.gaussians
        ));
        let mut kernels: Vec<_> = steps.kernels_ms.iter().collect();
        kernels.sort_by(|a, b| b.1.total_cmp(a.1));
        lines.extend(kernels.iter().map(|(name, ms)| format!("  {name:24}  {ms:8.3} ms")));
    }
    lines.join("\n")
}
