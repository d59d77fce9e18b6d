//! A finished scene against a dataset's held-out photos.

use std::path::Path;

use super::output::OutputFolder;
use super::pictures::{photo_rgb8, save_png, side_by_side};
use crate::dataset::Dataset;
use crate::events::{EventSink, Stage};
use crate::flight::NamedCamera;
use crate::render::{GaussianBuffers, RenderOptions, Renderer};
use crate::train::{AlphaMode, EvalReport, ViewMetrics};
use crate::{CancelToken, Event, GaussianCloud, Result};

/// How a scene is drawn and compared.
#[derive(Clone, Debug, Default)]
pub struct EvaluateOptions<'a> {
    /// How it is drawn; photos whose alpha is transparency are laid over the background named here.
    pub render: RenderOptions,
    /// What the photos' alpha means.
    pub alpha: AlphaMode,
    /// The cameras of the run that made the scene: what it found of their exposures. Empty: all photos are taken as equal.
    pub cameras: &'a [NamedCamera],
    /// A folder for photo and render of each view, side by side.
    pub comparisons: Option<&'a Path>,
}

/// Renders every held-out view of `dataset` by `renderer` at full size and measures it against its photo, as
/// `options` say.
///
/// # Errors
/// A photo that cannot be read, a picture that cannot be written, what the GPU says, or [`crate::Error::Cancelled`].
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
            render.expose(camera.exposure.unwrap_or([1.0; 3]));
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
