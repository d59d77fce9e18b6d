//! `splat eval`: evaluates a scene on a dataset's held-out photos.

use serde::Serialize;
use splat_core::dataset::Dataset;
use splat_core::flight::read_cameras;
use splat_core::formats;
use splat_core::pipeline::{DatasetPlace, EvaluateOptions, SavedScene, evaluate_cloud};
use splat_core::train::EvalReport;
use splat_core::{Renderer, RendererKind};
use splat_server::scene::Alpha;

use super::Context;
use super::render::{Opened, open_scene};
use crate::args::{EvalArgs, PhotoFolders};
use crate::failure::Failure;
use crate::settings;

pub(super) fn eval(args: &EvalArgs, context: &Context) -> Result<(), Failure> {
    let saved = settings::saved_scene(&args.scene)?;
    let place = place(args, &saved).or_else(|failure| {
        // A file that is not a scene has no dataset either, so this error is reported first.
        formats::read(&saved.scene)?;
        Err(failure)
    })?;
    let Opened { cloud, mut options, renderer } = open_scene(&saved.scene, args.renderer, context)?;
    if saved.white_background {
        options.background = [1.0; 3];
    }
    let events = |event| context.reporter.event(event);
    let folders = PhotoFolders { images: place.images, masks: place.masks };
    let scene = settings::posed(&place.path, &folders)?.scene(&events, &context.cancel)?;
    let mut trained_with = saved.trained_with.unwrap_or_default();
    // A run that ends with EWA is evaluated on undistorted photos.
    trained_with.keep_distortion &= renderer == RendererKind::Gut;
    let photos = args.images.0.dataset_over(trained_with);
    let dataset = Dataset::open(scene, &photos, &events)?;
    if dataset.held_out.is_empty() {
        let what = "no photo is held out, so there is nothing to measure".to_owned();
        return Err(Failure::Usage {
            what,
            hint: "give `--holdout-every` as the scene was trained with, 8 by default",
        });
    }
    let renderer = Renderer::new(&context.gpu()?, renderer)?;
    // The exposures estimated by the run are in the cameras.json beside the scene.
    let cameras = match &saved.cameras {
        Some(path) => read_cameras(path)?,
        None => Vec::new(),
    };
    let asked = args.images.0.alpha.and_then(Alpha::mode);
    let options = EvaluateOptions {
        render: options,
        alpha: asked.or(saved.alpha).unwrap_or_else(|| dataset.fitting_alpha()),
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

/// The given dataset, or the one that the scene was trained on; if both are the same, with the photo folders of the training.
fn place(args: &EvalArgs, saved: &SavedScene) -> Result<DatasetPlace, Failure> {
    const HINT: &str = "name the dataset after the scene: `splat eval SCENE DATASET`";
    let asked = args.dataset.as_ref().map(|path| settings::place(path, &args.folders));
    let same = |asked: &DatasetPlace, known: &DatasetPlace| {
        let real = |place: &DatasetPlace| place.path.canonicalize().ok();
        real(asked).is_some() && real(asked) == real(known)
    };
    let known = match (asked, &saved.dataset) {
        (Some(asked), Some(known)) if same(&asked, known) => known,
        (Some(asked), _) => return Ok(asked),
        (None, Some(known)) => known,
        (None, None) => {
            let what = "does not tell which dataset it was trained on".to_owned();
            return Err(Failure::Input { path: args.scene.clone(), what, hint: HINT });
        }
    };
    if !known.path.exists() {
        let what = "is the dataset that the scene was trained on, and is not there any more".to_owned();
        return Err(Failure::Input { path: known.path.clone(), what, hint: HINT });
    }
    let folders = settings::place(&known.path, &args.folders);
    Ok(DatasetPlace {
        path: known.path.clone(),
        images: folders.images.or_else(|| known.images.clone()),
        masks: folders.masks.or_else(|| known.masks.clone()),
    })
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
