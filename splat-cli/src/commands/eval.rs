//! `splat eval`: a scene against a dataset's held-out photos.

use serde::Serialize;
use splat_core::Renderer;
use splat_core::dataset::Dataset;
use splat_core::flight::read_cameras;
use splat_core::pipeline::{EvaluateOptions, evaluate_cloud};
use splat_core::train::EvalReport;

use super::Context;
use super::render::{Opened, beside, open_scene};
use crate::args::EvalArgs;
use crate::failure::Failure;
use crate::settings;

pub(super) fn eval(args: &EvalArgs, context: &Context) -> Result<(), Failure> {
    let Opened { cloud, options, renderer } = open_scene(&args.scene, args.renderer, context)?;
    let events = |event| context.reporter.event(event);
    let scene = settings::posed(&args.dataset, &args.folders)?.scene(&events, &context.cancel)?;
    let dataset = Dataset::open(scene, &settings::dataset(&args.images, None), &events)?;
    if dataset.held_out.is_empty() {
        let what = "no photo is held out, so there is nothing to measure".to_owned();
        return Err(Failure::Usage {
            what,
            hint: "give `--holdout-every` as the scene was trained with, 8 by default",
        });
    }
    let renderer = Renderer::of_kind(&context.gpu()?, renderer)?;
    // What the run that made the scene found of its photos' exposures lies beside it.
    let cameras = match beside(&args.scene) {
        Some(path) => read_cameras(&path)?,
        None => Vec::new(),
    };
    let options = EvaluateOptions {
        render: options,
        alpha: args.images.alpha.mode().unwrap_or(dataset.fitting_alpha()),
        cameras: &cameras,
        comparisons: args.output.as_deref(),
    };
    let report = evaluate_cloud(&renderer, &cloud, &dataset, &options, &events, &context.cancel)?;
    #[derive(Serialize)]
    struct Done<'a> {
        event: &'a str,
        #[serde(flatten)]
        report: &'a EvalReport,
    }
    context.reporter.result(&Done { event: "done", report: &report }, &table(&report));
    Ok(())
}

fn table(report: &EvalReport) -> String {
    let width =
        report.views.iter().map(|view| view.name.chars().count()).max().unwrap_or(0).max("mean".len());
    let row = |name: &str, psnr: f64, cc_psnr: Option<f64>, ssim: f64| {
        format!("{name:width$}  {psnr:7.3}  {:12.3}  {ssim:.4}", cc_psnr.unwrap_or(f64::NAN))
    };
    let mut lines = vec![format!("{:width$}  PSNR dB  corrected dB  SSIM", "photo")];
    lines.extend(report.views.iter().map(|view| row(&view.name, view.psnr, view.cc_psnr, view.ssim)));
    lines.push(row("mean", report.psnr, report.cc_psnr, report.ssim));
    lines.join("\n")
}
