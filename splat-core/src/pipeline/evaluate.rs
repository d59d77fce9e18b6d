//! Evaluation of a finished scene on a dataset's held-out photos.

use std::path::Path;

use super::output::OutputFolder;
use super::pictures::{photo_rgb8, save_png, side_by_side};
use crate::dataset::Dataset;
use crate::events::{EventSink, Stage};
use crate::flight::NamedCamera;
use crate::render::{GaussianBuffers, RenderOptions, Renderer};
use crate::train::{AlphaMode, EvalReport, ViewMetrics};
use crate::{CancelToken, Event, GaussianCloud, Result};

/// How a scene is rendered and compared.
#[derive(Clone, Debug, Default)]
pub struct EvaluateOptions<'a> {
    /// Rendering options; photos whose alpha is transparency are composited over this background.
    pub render: RenderOptions,
    /// Meaning of the photos' alpha.
    pub alpha: AlphaMode,
    /// Cameras of the run that made the scene, with their estimated exposures. Empty: all exposures are equal.
    pub cameras: &'a [NamedCamera],
    /// Folder for a side-by-side image of photo and render per view.
    pub comparisons: Option<&'a Path>,
}

/// Renders every held-out view of `dataset` with `renderer` at full size and compares it with its photo according to `options`.
///
/// # Errors
/// A photo that cannot be read, an image that cannot be written, an error of the GPU, or [`crate::Error::Cancelled`].
pub fn evaluate_cloud(
    renderer: &Renderer,
    cloud: &GaussianCloud,
    dataset: &Dataset,
    options: &EvaluateOptions<'_>,
    events: EventSink<'_>,
    cancel: &CancelToken,
) -> Result<EvalReport> {
    let buffers = GaussianBuffers::upload(renderer.gpu(), cloud)?;
    let mut views = Vec::new();
    let total = dataset.held_out.len() as u64;
    for (done, &view) in (1..).zip(&dataset.held_out) {
        cancel.check()?;
        let mut render = renderer.render(&buffers, &dataset.camera(view), &options.render)?.read()?;
        let photo = dataset.image(view, 1)?;
        let name = &dataset.scene.views[view].name;
        if let Some(camera) = options.cameras.iter().find(|camera| camera.name == *name) {
            render.expose(&camera.exposure.unwrap_or_default());
        }
        views.push(ViewMetrics::measure(name, &render, &photo, options.alpha, options.render.background)?);
        if let Some(folder) = options.comparisons {
            let (width, both) = side_by_side(&photo_rgb8(&photo), &render.to_rgb8(), render.width);
            save_png(&folder.join(OutputFolder::picture_name(name)), width, render.height, &both)?;
        }
        events(Event::StageProgress { stage: Stage::Evaluate, done, total: Some(total) });
    }
    Ok(EvalReport::of(views))
}
