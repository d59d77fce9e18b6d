//! A COLMAP dataset on disk as a source of a scene.

use std::path::{Path, PathBuf};
use std::time::Instant;

use splat_core::events::{EventSink, Stage};
use splat_core::{CancelToken, Event, Scene, SceneSource};

use crate::error::{ColmapError, Result};
use crate::read::{find_best_model, read_model};

/// How many missing photos a warning names.
const NAMES_SHOWN: usize = 5;

/// A folder with a sparse model and its photos.
///
/// | part | looked for in |
/// | --- | --- |
/// | model | `DIR/sparse/0`, `DIR/sparse/1` ..., `DIR/sparse`, `DIR`: the one with most images |
/// | photos | `DIR/images`, else beside the model, else in `DIR` |
/// | masks | `DIR/masks`, as `a.jpg`, `a.jpg.png` or `a.png` for photo `a.jpg`; white is used |
///
/// `DIR` may also be the `sparse` folder, or a model inside it.
#[derive(Clone, Debug)]
pub struct DatasetSource {
    dir: PathBuf,
    images: Option<PathBuf>,
    masks: Option<PathBuf>,
}

impl DatasetSource {
    /// The dataset in `dir`; nothing is read yet.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), images: None, masks: None }
    }

    /// Takes photos from `images` instead.
    #[must_use]
    pub fn with_images(mut self, images: impl Into<PathBuf>) -> Self {
        self.images = Some(images.into());
        self
    }

    /// Takes masks from `masks` instead.
    #[must_use]
    pub fn with_masks(mut self, masks: impl Into<PathBuf>) -> Self {
        self.masks = Some(masks.into());
        self
    }

    /// Reads the model and finds its photos; missing ones are warned about and left out.
    ///
    /// # Errors
    /// [`ColmapError::NoModel`], [`ColmapError::Malformed`], [`ColmapError::NoImages`],
    /// [`ColmapError::EmptyModel`].
    pub fn load(&self, events: EventSink<'_>) -> Result<Scene> {
        let choice = find_best_model(&self.dir)?;
        if !choice.others.is_empty() {
            let others: Vec<String> = choice.others.iter().map(u64::to_string).collect();
            let message = format!(
                "COLMAP made {} models that do not connect; `{}` with {} photos is used, the others have {}",
                choice.others.len() + 1,
                choice.dir.display(),
                choice.registered,
                others.join(", ")
            );
            events(Event::Warning { message });
        }
        let model = read_model(&choice.dir)?;
        let Some(first) = model.images.values().next() else {
            return Err(ColmapError::EmptyModel { dir: choice.dir });
        };
        let images = self.images_dir(&choice.dir, &first.name);
        let masks =
            self.masks.clone().or_else(|| Some(images.parent()?.join("masks"))).filter(|dir| dir.is_dir());
        let (scene, missing) = model.to_scene(&images, masks.as_deref());
        if scene.views.is_empty() {
            let first = missing.into_iter().next().unwrap_or_default();
            return Err(ColmapError::NoImages { dir: images, count: model.images.len(), first });
        }
        if !missing.is_empty() {
            let shown = missing
                .iter()
                .take(NAMES_SHOWN)
                .map(|name| format!("`{name}`"))
                .collect::<Vec<_>>()
                .join(", ");
            let more = if missing.len() > NAMES_SHOWN { ", ..." } else { "" };
            let message = format!(
                "{} of the {} photos of the model are not in `{}` and are left out: {shown}{more}",
                missing.len(),
                model.images.len(),
                images.display()
            );
            events(Event::Warning { message });
        }
        Ok(scene)
    }

    /// The first place that has the model's first photo; `DIR/images` where none has.
    fn images_dir(&self, model_dir: &Path, first: &str) -> PathBuf {
        if let Some(images) = &self.images {
            return images.clone();
        }
        let beside = model_dir.ancestors().take(3).map(|dir| dir.join("images"));
        let candidates = std::iter::once(self.dir.join("images")).chain(beside).chain([self.dir.clone()]);
        let has_photos = |dir: &PathBuf| dir.join(first).is_file();
        let mut folders = candidates.filter(|dir| dir.is_dir());
        let fallback = self.dir.join("images");
        folders.find(has_photos).unwrap_or(fallback)
    }
}

impl SceneSource for DatasetSource {
    fn scene(&mut self, events: EventSink<'_>, cancel: &CancelToken) -> splat_core::Result<Scene> {
        cancel.check()?;
        let started = Instant::now();
        events(Event::StageStarted { stage: Stage::Load });
        let scene = self.load(events)?;
        let elapsed_s = started.elapsed().as_secs_f64();
        events(Event::StageFinished { stage: Stage::Load, elapsed_s, skipped: false });
        Ok(scene)
    }
}
