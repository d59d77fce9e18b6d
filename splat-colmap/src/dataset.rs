//! A scene source that reads a COLMAP dataset on disk.

use std::path::{Path, PathBuf};
use std::time::Instant;

use splat_core::events::{EventSink, Stage};
use splat_core::photo_names::{self, PhotoIndex, Resolved};
use splat_core::{CancelToken, Event, Scene, SceneSource};

use crate::error::{ColmapError, Result};
use crate::find::{self, Found};
use crate::model::Reconstruction;
use crate::read::read_points;
use crate::split;

/// Maximum number of missing photos named in a warning.
const NAMES_SHOWN: usize = 5;

/// A folder with a sparse model and its photos.
///
/// | part | searched for in |
/// | --- | --- |
/// | model | `DIR` and three levels below (`sparse/0`, `colmap/sparse/0`, `dense/0/sparse` ...): the undistorted one that has its photos, then the one with most |
/// | photos | `images`, `input`, `images_2` and so on beside the model and above it, else anywhere in `DIR` |
/// | masks | `masks` beside the photos, among them or in `DIR`; white is used |
/// | split | `test.txt` and `train.txt` (or `test_list.txt` and so on) in the model's folder and above it: one photo name per line |
///
/// Photos and masks are matched to names by [`splat_core::photo_names`]. `DIR` may also be the `sparse` folder, or a model
/// inside it.
#[derive(Clone, Debug)]
pub struct DatasetSource {
    dir: PathBuf,
    images: Option<PathBuf>,
    masks: Option<PathBuf>,
}

impl DatasetSource {
    /// A source for the dataset in `dir`; reads nothing yet.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), images: None, masks: None }
    }

    /// Overrides the folder of photos.
    #[must_use]
    pub fn with_images(mut self, images: impl Into<PathBuf>) -> Self {
        self.images = Some(images.into());
        self
    }

    /// Overrides the folder of masks.
    #[must_use]
    pub fn with_masks(mut self, masks: impl Into<PathBuf>) -> Self {
        self.masks = Some(masks.into());
        self
    }

    /// Reads the model and finds its photos; missing photos and duplicates are left out with a warning.
    ///
    /// # Errors
    /// [`ColmapError::NoModel`], [`ColmapError::Malformed`], [`ColmapError::NoImages`],
    /// [`ColmapError::EmptyModel`].
    pub fn load(&self, events: EventSink<'_>) -> Result<Scene> {
        let warn = |message: String| events(Event::Warning { message });
        let Found { dir, mut model, images, photos, passed_over } =
            find::model(&self.dir, self.images.as_deref())?;
        passed_over.into_iter().for_each(warn);
        if model.images.is_empty() {
            return Err(ColmapError::EmptyModel { dir });
        }
        model.points = read_points(&dir)?;
        let masks = self.masks(&images, &model, events);
        let (mut scene, missing) = model.scene_of(&images, &photos, &masks);
        if scene.views.is_empty() {
            let ambiguous = find::ambiguous(&model, &photos);
            let first = missing.into_iter().next().unwrap_or_default();
            let count = model.images.len();
            return Err(match ambiguous.into_iter().next() {
                Some(what) => ColmapError::AmbiguousPhotos { dir: images, count, what },
                None => ColmapError::NoImages { dir: images, count, first },
            });
        }
        if let Some(how) = photo_names::summary(&photos) {
            let given = self.images.is_some() || images.ends_with("images");
            let place = if given { String::new() } else { format!(" in `{}`", images.display()) };
            warn(format!("photos{place} were matched to the model's names: {how}"));
        } else if !images.ends_with("images") && self.images.is_none() {
            warn(format!("photos are taken from `{}`", images.display()));
        }
        let ambiguous = find::ambiguous(&model, &photos);
        if !ambiguous.is_empty() {
            warn(format!("left out, since more than one photo is as likely: {}", shown(&ambiguous)));
        }
        let missing: Vec<String> = (model.images.values().zip(&photos))
            .filter(|(_, photo)| matches!(photo, Resolved::Missing))
            .map(|(image, _)| format!("`{}`", image.name))
            .collect();
        if !missing.is_empty() {
            warn(format!(
                "{} of the {} photos of the model are not in `{}` and are left out: {}",
                missing.len(),
                model.images.len(),
                images.display(),
                shown(&missing)
            ));
        }
        if let Some(warning) = scene.drop_duplicates() {
            warn(warning);
        }
        split::apply(&mut scene, &dir, &self.dir).into_iter().for_each(warn);
        Ok(scene)
    }

    /// The masks of the model's photos, with warnings about missing ones.
    fn masks(&self, images: &Path, model: &Reconstruction, events: EventSink<'_>) -> Vec<Resolved> {
        let warn = |message: String| events(Event::Warning { message });
        let beside = [images.parent(), Some(images), Some(self.dir.as_path())].into_iter().flatten();
        let mut beside = beside.filter_map(photo_names::mask_folder);
        let Some(dir) = self.masks.clone().or_else(|| beside.next()) else {
            return Vec::new();
        };
        let index = PhotoIndex::of(&dir);
        let found = photo_names::resolve_masks(&index, &model.names());
        let count = found.iter().filter(|mask| matches!(mask, Resolved::File(..))).count();
        if count == 0 {
            warn(no_mask_matches(&index));
        } else if count < found.len() {
            warn(format!("only {count} of the {} photos have a mask in `{}`", found.len(), dir.display()));
        }
        found
    }
}

/// A sentence on a folder of masks that are not named like the photos.
pub(crate) fn no_mask_matches(masks: &PhotoIndex) -> String {
    format!(
        "no masks are used: of the {} pictures in `{}` none is named like a photo; the mask of `a.jpg` is `a.jpg.png`, `a.png`, \
         `a.jpg`, `a_mask.png` or `a.mask.png`",
        masks.len(),
        masks.root().display()
    )
}

/// The first few of a list, and that there are more.
fn shown(names: &[String]) -> String {
    let more = if names.len() > NAMES_SHOWN { ", ..." } else { "" };
    format!("{}{more}", names.iter().take(NAMES_SHOWN).cloned().collect::<Vec<_>>().join(", "))
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
