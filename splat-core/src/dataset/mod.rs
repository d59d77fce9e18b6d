//! A posed scene made ready for training: cameras at the training size and photos to match.
//!
//! [`Dataset::new`] looks at every photo's header and settles what is trained on: which way up the
//! photo is used, the pinhole camera that takes its lens's place, the size, and which views are held
//! out. [`Dataset::image`] gives the pixels: decoded, turned, masked, undistorted and shrunk, from a
//! cache with a memory budget that [`Dataset::prefetch`] fills in the background.
//!
//! The pixels of a view depend on nothing but its files and the options: not on the cache, its
//! budget or the order of calls.

mod geometry;
mod load;
mod store;

use std::collections::BTreeSet;
use std::sync::Arc;

use rayon::prelude::*;

use crate::camera::{Camera, LensCamera, Pinhole};
use crate::events::EventSink;
use crate::images::{self, PackedImage};
use crate::lens::Lens;
use crate::renderer_kind::RendererKind;
use crate::scene::{AlphaMode, Scene};
use crate::shutter::RollingShutter;
use crate::{CancelToken, Error, Event, Result};

use geometry::Frame;
use store::{Store, WORKERS};

use load::{KEPT_REMAPS, REMAP_BYTES_PER_PIXEL};

/// Budget for decoded photos unless told otherwise, in bytes: 330 photos of 1600x1200.
pub const DEFAULT_IMAGE_MEMORY_BYTES: u64 = 2_560 * 1024 * 1024;

/// How a scene's photos are used.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DatasetOptions {
    /// Longest side of a training image in pixels; larger ones are shrunk to it. `None`: no limit.
    pub max_image_size: Option<u32>,
    /// Whole factor by which images are shrunk before `max_image_size` applies. `None`: 1.
    pub downscale: Option<u32>,
    /// Every how many-th view (sorted by name, the first included) is kept from training for
    /// evaluation; 8 is the field's custom. `None`, or a single view: none is.
    pub holdout_every: Option<u32>,
    /// Where the dataset says which views are for evaluation, hold those out instead (with `holdout_every: None` none is).
    pub own_split: bool,
    /// Leave photos of distorting lenses as they are instead of undistorting them, for [`crate::RendererKind::Gut`]: no
    /// field of view is lost, and lenses that no flat picture can stand for (beyond 170 degrees, panoramas) can be used.
    /// Pixels that no ray of the lens meets count as masked. The same goes for rolling shutters, which are else taken for
    /// global ones.
    pub keep_distortion: bool,
    /// Bytes of decoded photos that may be kept in memory; decoding needs some on top, see
    /// [`Dataset::peak_memory_bytes`].
    pub image_memory_bytes: u64,
}

impl Default for DatasetOptions {
    fn default() -> Self {
        Self {
            max_image_size: None,
            downscale: None,
            holdout_every: Some(8),
            own_split: true,
            keep_distortion: false,
            image_memory_bytes: DEFAULT_IMAGE_MEMORY_BYTES,
        }
    }
}

/// A scene with its photos at the training size.
#[derive(Debug)]
pub struct Dataset {
    /// The scene, views sorted by name.
    pub scene: Scene,
    /// Indices into `scene.views` of the views to train on, ascending.
    pub train: Vec<usize>,
    /// Indices into `scene.views` of the views kept for evaluation, ascending.
    pub held_out: Vec<usize>,
    options: DatasetOptions,
    cameras: Vec<Camera>,
    store: Store,
}

impl Dataset {
    /// Reads the headers of all photos (not their pixels) and settles sizes, cameras and the split.
    ///
    /// A photo of another size than its lens, such as from `images_2`, is taken for the same picture
    /// scaled, and the camera is scaled to it. EXIF orientation is ignored where the stored picture has
    /// the lens's shape, since COLMAP ignores it; it is applied where only the upright one has.
    ///
    /// # Errors
    /// [`Error::Scene`] for a scene without views or with values that cannot be used;
    /// [`Error::View`], which names the view, for a photo or mask that is missing, unreadable or of another
    /// shape than its lens, and for a lens that cannot be undistorted.
    pub fn new(mut scene: Scene, options: &DatasetOptions) -> Result<Self> {
        scene.views.sort_by(|a, b| a.name.cmp(&b.name));
        scene.validate()?;
        let prepared: Vec<Result<Frame>> = scene
            .views
            .par_iter()
            .map(|view| Frame::new(view, options).map_err(|error| in_view(&view.name, error)))
            .collect();
        let frames = prepared.into_iter().collect::<Result<Vec<_>>>()?;
        let cameras = frames.iter().map(|frame| frame.camera).collect();
        let count = scene.views.len();
        let every = options.holdout_every.filter(|&every| every > 1 && count > 1).map(|every| every as usize);
        let own = own_split(&scene, options);
        let (held_out, train) = (0..count).partition(|&index| match &own {
            Some(own) => own.contains(&index),
            None => every.is_some_and(|every| index % every == 0),
        });
        let store = Store::new(frames, options.image_memory_bytes);
        Ok(Self { scene, train, held_out, options: options.clone(), cameras, store })
    }

    /// As [`Dataset::new`], but reads every photo's file and leaves out those that are damaged, no pictures, or of another shape
    /// than their camera, with a warning; photos of another size than their camera are told, too.
    ///
    /// Damage inside compressed data shows only in [`Dataset::without_damaged_photos`].
    ///
    /// # Errors
    /// As [`Dataset::new`] where no photo can be used, or where it is not the photo's fault.
    pub fn open(mut scene: Scene, options: &DatasetOptions, events: EventSink<'_>) -> Result<Self> {
        let checked: Vec<Result<bool>> = (scene.views.par_iter())
            .map(|view| {
                images::probe(&view.image_path)?;
                let frame = Frame::new(view, options)?;
                Ok(frame.photo_size != (view.lens.width, view.lens.height))
            })
            .collect();
        let scaled = checked.iter().filter(|checked| matches!(checked, Ok(true))).count();
        leave_out(&mut scene, checked, events)?;
        let dataset = Self::new(scene, options)?;
        if scaled > 0 {
            let message = format!(
                "{scaled} of {} photos have another size than their cameras were posed at, in the same shape: they are taken for \
                 scaled copies",
                dataset.scene.views.len()
            );
            events(Event::Warning { message });
        }
        Ok(dataset)
    }

    /// The same without photos that cannot be decoded, with a warning. Decodes all; what the memory budget holds is kept for use.
    ///
    /// # Errors
    /// What is wrong with the first where no photo can be used; [`Error::Cancelled`].
    pub fn without_damaged_photos(self, events: EventSink<'_>, cancel: &CancelToken) -> Result<Self> {
        let mut checked = Vec::with_capacity(self.scene.views.len());
        for view in 0..self.scene.views.len() {
            cancel.check()?;
            (1..=WORKERS).for_each(|ahead| self.prefetch(view + ahead, 1));
            checked.push(self.store.get((view, 1)).map(|_| false));
        }
        if checked.iter().all(Result::is_ok) {
            return Ok(self);
        }
        let mut scene = self.scene.clone();
        leave_out(&mut scene, checked, events)?;
        Self::new(scene, &self.options)
    }

    /// Whether the views held out are those that the dataset itself keeps for evaluation.
    #[must_use]
    pub fn uses_own_split(&self) -> bool {
        own_split(&self.scene, &self.options).is_some()
    }

    /// The same views, undistorted.
    ///
    /// # Errors
    /// As [`Dataset::new`].
    pub fn undistorted(&self) -> Result<Self> {
        Self::new(self.scene.clone(), &DatasetOptions { keep_distortion: false, ..self.options.clone() })
    }

    /// The camera of a view at its full training size, with the lens and the shutter that its training image was taken through: after
    /// undistortion and scaling, or as in the photo where that keeps its distortion.
    ///
    /// # Panics
    /// If there is no such view.
    #[must_use]
    pub fn camera(&self, view: usize) -> LensCamera {
        let Pinhole { width, height, .. } = self.pinhole_camera(view).intrinsics;
        self.camera_at(view, width, height)
    }

    /// The pinhole nearest to a view's camera, at the full training size. Where the photo keeps its distortion it is right in size,
    /// focal length and pose, not in where pixels look; [`Dataset::camera`] is the camera to draw from.
    ///
    /// # Panics
    /// If there is no such view.
    #[must_use]
    pub fn pinhole_camera(&self, view: usize) -> Camera {
        self.cameras[view]
    }

    /// The lens of a view whose photo keeps its distortion, at the full training size. `None`: a pinhole.
    #[must_use]
    pub fn kept_lens(&self, view: usize) -> Option<&Lens> {
        self.store.frames().get(view)?.kept_lens.as_deref()
    }

    /// The first lens of the views in use that distorts and was kept.
    #[must_use]
    pub fn distorted_lens(&self) -> Option<&Lens> {
        self.train.iter().chain(&self.held_out).find_map(|&view| self.kept_lens(view))
    }

    /// Whether any photo in use keeps the motion of its rolling shutter.
    #[must_use]
    pub fn keeps_rolling_shutter(&self) -> bool {
        self.train.iter().chain(&self.held_out).any(|&view| self.kept_shutter(view).is_some())
    }

    /// Whether any photo in use keeps its distortion, or the motion of its rolling shutter.
    #[must_use]
    pub fn keeps_distortion(&self) -> bool {
        self.distorted_lens().is_some() || self.keeps_rolling_shutter()
    }

    /// The renderer to train with where none is asked for: the one that ordinary viewers show, if it can draw the photos.
    #[must_use]
    pub fn fitting_renderer(&self) -> RendererKind {
        if self.keeps_distortion() { RendererKind::Gut } else { RendererKind::Ewa }
    }

    /// What alpha means where nothing is asked for: transparency where the dataset says so ([`Scene::alpha`]), photos have
    /// alpha channels, and there are no masks, which alpha is multiplied by; else a mask.
    #[must_use]
    pub fn fitting_alpha(&self) -> AlphaMode {
        let frames = self.store.frames();
        let clear = frames.iter().any(|f| f.has_alpha) && frames.iter().all(|f| f.mask_path.is_none());
        if clear { self.scene.alpha } else { AlphaMode::Mask }
    }

    /// How the camera moved while it took a view, where photos are used as they were taken.
    #[must_use]
    pub fn kept_shutter(&self, view: usize) -> Option<RollingShutter> {
        self.store.frames().get(view)?.kept_shutter
    }

    /// [`Dataset::camera`] for images of `width` x `height` pixels.
    ///
    /// # Panics
    /// If there is no such view.
    #[must_use]
    pub fn camera_at(&self, view: usize, width: u32, height: u32) -> LensCamera {
        let Camera { intrinsics, cam_from_world } = self.pinhole_camera(view);
        let lens = match self.kept_lens(view) {
            Some(lens) => lens.resized(width, height),
            None => Lens::pinhole(intrinsics.resized(width, height)),
        };
        LensCamera { lens, cam_from_world, rolling_shutter: self.kept_shutter(view) }
    }

    /// A view's photo at its full training size divided by `factor` (1 for the full size), rounded,
    /// at least 1 pixel each way. See [`PackedImage::shrunk_to`] for the filter.
    ///
    /// Waits while another thread decodes the same photo.
    ///
    /// # Errors
    /// [`Error::View`] when the photo or mask can no longer be read; [`Error::Scene`] for a view
    /// that does not exist.
    pub fn image(&self, view: usize, factor: u32) -> Result<Arc<PackedImage>> {
        let Some(name) = self.scene.views.get(view).map(|view| &view.name) else {
            return Err(Error::Scene { why: format!("it has no view number {view}") });
        };
        self.store.get((view, factor.max(1))).map_err(|error| in_view(name, error))
    }

    /// Asks a background thread to have [`Dataset::image`] of the same arguments ready. A hint: it
    /// returns at once, and what goes wrong shows when the image is asked for.
    pub fn prefetch(&self, view: usize, factor: u32) {
        if view < self.cameras.len() {
            self.store.prefetch((view, factor.max(1)));
        }
    }

    /// Lets go of every decoded photo that is kept; those asked for again are decoded again.
    pub fn forget_images(&self) {
        self.store.clear();
    }

    /// Bytes that all photos take at full training size, were the budget to hold them.
    #[must_use]
    pub fn image_bytes(&self) -> u64 {
        let pixels =
            |camera: &Camera| u64::from(camera.intrinsics.width) * u64::from(camera.intrinsics.height);
        self.cameras.iter().map(|camera| 4 * pixels(camera)).sum()
    }

    /// Bytes of memory that images take at most: the budget, or all photos at full and at half, quarter
    /// and so on of their size if that is less; resamplings for distorting lenses; and what the caller and
    /// two background threads hold while they decode the largest photos.
    #[must_use]
    pub fn peak_memory_bytes(&self) -> u64 {
        // 1 + 1/4 + 1/16 + ... = 4/3
        let kept = self.store.budget().min(self.image_bytes().saturating_mul(4) / 3);
        let frames = self.store.frames();
        let pixels = |(width, height): (u32, u32)| u64::from(width) * u64::from(height);
        let largest = frames.iter().map(|frame| pixels(frame.photo_size)).max().unwrap_or(0);
        let mut lenses: Vec<&(Lens, Pinhole)> = Vec::new();
        for lens in frames.iter().filter_map(|frame| frame.undistort.as_deref()) {
            if lenses.len() < KEPT_REMAPS && !lenses.contains(&lens) {
                lenses.push(lens);
            }
        }
        let remaps =
            lenses.iter().map(|(_, pinhole)| REMAP_BYTES_PER_PIXEL * pixels((pinhole.width, pinhole.height)));
        kept + remaps.sum::<u64>() + (WORKERS as u64 + 1) * DECODE_BYTES_PER_PIXEL * largest
    }
}

/// Bytes for each of its pixels while a photo is decoded: the decoder's picture (16-bit RGBA at worst) and
/// its packed form.
const DECODE_BYTES_PER_PIXEL: u64 = 12;

/// Indices of the views that the dataset itself keeps for evaluation, where that is asked for and leaves both kinds.
fn own_split(scene: &Scene, options: &DatasetOptions) -> Option<BTreeSet<usize>> {
    let names = scene.test_views.as_ref().filter(|_| options.own_split && options.holdout_every.is_some())?;
    let held = |view: &crate::View| names.contains(&view.name);
    let held: BTreeSet<usize> = (0..scene.views.len()).filter(|&at| held(&scene.views[at])).collect();
    (!held.is_empty() && held.len() < scene.views.len()).then_some(held)
}

/// Leaves out the views whose check failed for a reason that lies in their files, and tells which.
fn leave_out(scene: &mut Scene, checked: Vec<Result<bool>>, events: EventSink<'_>) -> Result<()> {
    /// How many a warning names.
    const SHOWN: usize = 3;
    let total = scene.views.len();
    let mut bad = Vec::new();
    let mut kept = Vec::new();
    for (view, checked) in std::mem::take(&mut scene.views).into_iter().zip(checked) {
        match checked {
            Ok(_) => kept.push(view),
            Err(error @ (Error::Read { .. } | Error::BadPhoto { .. } | Error::PhotoTooLarge { .. })) => {
                bad.push(in_view(&view.name, error));
            }
            Err(error) => return Err(in_view(&view.name, error)),
        }
    }
    scene.views = kept;
    let count = bad.len();
    let why = |error: &Error| std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    let reasons: Vec<String> = bad.iter().take(SHOWN).map(why).collect();
    match bad.into_iter().next() {
        Some(first) if scene.views.is_empty() => Err(first),
        None => Ok(()),
        Some(_) => {
            let more = if count > SHOWN { "; ..." } else { "" };
            let message = format!("{count} of {total} photos are left out: {}{more}", reasons.join("; "));
            events(Event::Warning { message });
            Ok(())
        }
    }
}

fn in_view(name: &str, error: Error) -> Error {
    Error::View { name: name.to_owned(), source: Box::new(error) }
}

#[cfg(test)]
mod tests;
