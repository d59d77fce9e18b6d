//! Datasets: a posed scene with cameras and photos at the training size.
//!
//! [`Dataset::new`] reads every photo's header and determines orientation, pinhole camera, size, and which views are held out.
//! [`Dataset::image`] returns the pixels, decoded, oriented, masked, undistorted and downscaled, from a cache with a memory budget
//! that [`Dataset::prefetch`] fills in the background.
//!
//! The pixels of a view depend only on its files and the options, not on the cache, its budget or the order of calls.

mod alpha;
mod geometry;
mod image_cache;
mod load;

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use rayon::prelude::*;

use crate::camera::{Camera, LensCamera, Pinhole};
use crate::events::EventSink;
use crate::images::{self, PackedImage};
use crate::lens::Lens;
use crate::renderer_kind::RendererKind;
use crate::scene::{AlphaMode, Scene};
use crate::shutter::RollingShutter;
use crate::{CancelToken, Error, Event, Result};

use geometry::PhotoGeometry;
use image_cache::{ImageCache, WORKERS};

pub use load::read_mask;
use load::{KEPT_REMAPS, REMAP_BYTES_PER_PIXEL};

/// Default budget for decoded photos, in bytes: 330 photos of 1600x1200.
pub const DEFAULT_IMAGE_MEMORY_BYTES: u64 = 2_560 * 1024 * 1024;

/// Size, split and memory of a scene's photos.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DatasetOptions {
    /// Longest side of a training image in pixels; larger ones are downscaled to it. `None`: no limit.
    pub max_image_size: Option<u32>,
    /// Integer factor by which images are downscaled before `max_image_size` applies. `None`: 1.
    pub downscale: Option<u32>,
    /// Hold out every n-th view by name, beginning with the first, for evaluation; 8 is customary. `None`, or a single view: none.
    pub holdout_every: Option<u32>,
    /// Hold out the views that the dataset itself declares for evaluation, if it does (with `holdout_every: None` none is).
    pub own_split: bool,
    /// Keep photos distorted instead of undistorting them, for [`crate::RendererKind::Gut`]: no field of view is lost, and lenses that
    /// cannot be undistorted (beyond 170 degrees, panoramas) are supported. Pixels without a ray count as masked. Also keeps rolling
    /// shutters, which otherwise are treated as global ones.
    pub keep_distortion: bool,
    /// Budget for decoded photos in memory, in bytes; decoding needs more, see [`Dataset::peak_memory_bytes`].
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
    cache: ImageCache,
    found_alpha: OnceLock<alpha::Found>,
}

impl Dataset {
    /// Reads the headers of all photos (not their pixels) and determines sizes, cameras and the split.
    ///
    /// A photo of another size than its lens, such as from `images_2`, is treated as a scaled copy, and the camera is scaled to it. EXIF
    /// orientation is ignored if the stored image has the lens's aspect, since COLMAP ignores it; it is applied if only the upright
    /// image has it.
    ///
    /// # Errors
    /// [`Error::Scene`] for a scene without views or with values that cannot be used;
    /// [`Error::View`], which names the view, for a photo or mask that is missing, unreadable or of another
    /// shape than its lens, and for a lens that cannot be undistorted.
    pub fn new(mut scene: Scene, options: &DatasetOptions) -> Result<Self> {
        scene.views.sort_by(|a, b| a.name.cmp(&b.name));
        scene.validate()?;
        let prepared: Vec<Result<PhotoGeometry>> = scene
            .views
            .par_iter()
            .map(|view| PhotoGeometry::new(view, options).map_err(|error| in_view(&view.name, error)))
            .collect();
        let photos = prepared.into_iter().collect::<Result<Vec<_>>>()?;
        let cameras = photos.iter().map(|photo| photo.camera).collect();
        let count = scene.views.len();
        let every = options.holdout_every.filter(|&every| every > 1 && count > 1).map(|every| every as usize);
        let own = own_split(&scene, options);
        let (held_out, train) = (0..count).partition(|&index| match &own {
            Some(own) => own.contains(&index),
            None => every.is_some_and(|every| index % every == 0),
        });
        let cache = ImageCache::new(photos, options.image_memory_bytes);
        let found_alpha = OnceLock::new();
        Ok(Self { scene, train, held_out, options: options.clone(), cameras, cache, found_alpha })
    }

    /// As [`Dataset::new`], but reads every photo's file and leaves out those that are damaged, not images, or of another aspect than
    /// their camera, with a warning; there is also a warning if photos differ in size from their camera.
    ///
    /// Damage inside compressed data is detected only by [`Dataset::without_damaged_photos`].
    ///
    /// # Errors
    /// As [`Dataset::new`] if no photo can be used, or if the problem is not in the photo.
    pub fn open(mut scene: Scene, options: &DatasetOptions, events: EventSink<'_>) -> Result<Self> {
        let checked: Vec<Result<bool>> = (scene.views.par_iter())
            .map(|view| {
                images::probe(&view.image_path)?;
                view.mask_path.as_deref().map(images::probe).transpose()?;
                let photo = PhotoGeometry::new(view, options)?;
                Ok(photo.photo_size != (view.lens.width, view.lens.height))
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

    /// The dataset without photos that cannot be decoded or are masked altogether, with a warning. Decodes all photos; those within the budget stay cached.
    ///
    /// # Errors
    /// The first photo's error if none can be used; [`Error::Cancelled`].
    pub fn without_damaged_photos(self, events: EventSink<'_>, cancel: &CancelToken) -> Result<Self> {
        let views = &self.scene.views;
        let mut checked = Vec::with_capacity(views.len());
        for (index, view) in views.iter().enumerate() {
            cancel.check()?;
            (1..=WORKERS).for_each(|ahead| self.prefetch(index + ahead, 1));
            checked.push(self.cache.get((index, 1)).and_then(|image| {
                let seen = image.pixels.iter().any(|pixel| pixel >> 24 > 0);
                // A photo of nothing but transparency shows that the scene is empty there.
                if seen || view.mask_path.is_none() {
                    return Ok(false);
                }
                let what = "its mask hides all of it: white is used and black is not".to_owned();
                Err(Error::BadPhoto { path: view.image_path.clone(), what })
            }));
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

    /// The camera of a view's training image at full size: the undistorted and scaled pinhole, or the photo's lens and shutter if the
    /// photo keeps its distortion.
    ///
    /// # Panics
    /// If there is no such view.
    #[must_use]
    pub fn camera(&self, view: usize) -> LensCamera {
        let Pinhole { width, height, .. } = self.pinhole_camera(view).intrinsics;
        self.camera_at(view, width, height)
    }

    /// The pinhole approximation of a view's camera at full training size: exact in size, focal length and pose, but without the
    /// distortion if the photo keeps it. Render with [`Dataset::camera`].
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
        self.cache.photos().get(view)?.kept_lens.as_deref()
    }

    /// The first lens with distortion among the views in use, if photos keep it.
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

    /// The default renderer: EWA, as in other viewers, if it can render the photos' cameras; else 3DGUT.
    #[must_use]
    pub fn fitting_renderer(&self) -> RendererKind {
        if self.keeps_distortion() { RendererKind::Gut } else { RendererKind::Ewa }
    }

    /// The default meaning of alpha: transparency if the dataset declares it ([`Scene::alpha`]) and photos have alpha channels, or if
    /// the photos' background was cut out, which leaves one colour under the transparent pixels around an object; else a mask. With
    /// masks, by which alpha is multiplied, a mask too.
    ///
    /// Decodes up to eight photos with alpha channels when it is called first.
    #[must_use]
    pub fn fitting_alpha(&self) -> AlphaMode {
        let photos = self.cache.photos();
        let alone = photos.iter().any(|photo| photo.has_alpha)
            && photos.iter().all(|photo| photo.mask_path.is_none());
        match (alone, self.scene.alpha) {
            (false, _) => AlphaMode::Mask,
            (true, AlphaMode::Transparent) => AlphaMode::Transparent,
            (true, AlphaMode::Mask) => self.found_alpha().mode(),
        }
    }

    /// What the photos' alpha is taken for by default and why, as a sentence without a full stop; `None` if they are opaque.
    #[must_use]
    pub fn alpha_note(&self) -> Option<String> {
        let photos = self.cache.photos();
        let having = photos.iter().filter(|photo| photo.has_alpha).count();
        if having == 0 || self.found_alpha() == alpha::Found::Opaque {
            return None;
        }
        let taken = match self.fitting_alpha() {
            AlphaMode::Mask => "a mask: transparent pixels are not compared with the scene",
            AlphaMode::Transparent if self.scene.alpha == AlphaMode::Transparent => {
                "transparency, as in Blender's renders: the scene is to be empty there"
            }
            AlphaMode::Transparent => {
                "transparency, since the background is cut out: the scene is to be empty there"
            }
        };
        Some(format!("{having} of {} photos have an alpha channel, which is taken for {taken}", photos.len()))
    }

    fn found_alpha(&self) -> alpha::Found {
        *self.found_alpha.get_or_init(|| alpha::look(self.cache.photos()))
    }

    /// The rolling shutter of a view, if photos keep it.
    #[must_use]
    pub fn kept_shutter(&self, view: usize) -> Option<RollingShutter> {
        self.cache.photos().get(view)?.kept_shutter
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
        self.cache.get((view, factor.max(1))).map_err(|error| in_view(name, error))
    }

    /// Prefetches [`Dataset::image`] of the same arguments in the background. A hint: returns immediately, and errors are reported when
    /// the image is requested.
    pub fn prefetch(&self, view: usize, factor: u32) {
        if view < self.cameras.len() {
            self.cache.prefetch((view, factor.max(1)));
        }
    }

    /// Drops all cached photos.
    pub fn forget_images(&self) {
        self.cache.clear();
    }

    /// Bytes of all photos at full training size, independent of the budget.
    #[must_use]
    pub fn image_bytes(&self) -> u64 {
        let pixels =
            |camera: &Camera| u64::from(camera.intrinsics.width) * u64::from(camera.intrinsics.height);
        self.cameras.iter().map(|camera| 4 * pixels(camera)).sum()
    }

    /// Peak memory of images in bytes: the budget, or all photos at full, half, quarter (and so on) size if that is less; resampling
    /// maps for lenses; and what the caller and two background threads need while decoding the largest photos.
    #[must_use]
    pub fn peak_memory_bytes(&self) -> u64 {
        // 1 + 1/4 + 1/16 + ... = 4/3
        let kept = self.cache.budget().min(self.image_bytes().saturating_mul(4) / 3);
        let photos = self.cache.photos();
        let pixels = |(width, height): (u32, u32)| u64::from(width) * u64::from(height);
        let largest = photos.iter().map(|photo| pixels(photo.photo_size)).max().unwrap_or(0);
        let mut lenses: Vec<&(Lens, Pinhole)> = Vec::new();
        for lens in photos.iter().filter_map(|photo| photo.undistort.as_deref()) {
            if lenses.len() < KEPT_REMAPS && !lenses.contains(&lens) {
                lenses.push(lens);
            }
        }
        let remaps =
            lenses.iter().map(|(_, pinhole)| REMAP_BYTES_PER_PIXEL * pixels((pinhole.width, pinhole.height)));
        kept + remaps.sum::<u64>() + (WORKERS as u64 + 1) * DECODE_BYTES_PER_PIXEL * largest
    }
}

/// Bytes per pixel while a photo is decoded: the decoder's image (16-bit RGBA at worst) and its packed form.
const DECODE_BYTES_PER_PIXEL: u64 = 12;

/// Indices of the views that the dataset itself declares for evaluation, if requested and neither set is empty.
fn own_split(scene: &Scene, options: &DatasetOptions) -> Option<BTreeSet<usize>> {
    let names = scene.test_views.as_ref().filter(|_| options.own_split && options.holdout_every.is_some())?;
    let held = |view: &crate::View| names.contains(&view.name);
    let held: BTreeSet<usize> = (0..scene.views.len()).filter(|&at| held(&scene.views[at])).collect();
    (!held.is_empty() && held.len() < scene.views.len()).then_some(held)
}

/// Removes the views whose check failed because of their files, with a warning.
fn leave_out(scene: &mut Scene, checked: Vec<Result<bool>>, events: EventSink<'_>) -> Result<()> {
    /// Maximum number of photos named in a warning.
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
    let why = |error: &Error| {
        let inner = std::error::Error::source(error);
        let cause = inner.and_then(std::error::Error::source).map(|cause| format!(" ({cause})"));
        inner.map(ToString::to_string).unwrap_or_default() + &cause.unwrap_or_default()
    };
    let reasons: Vec<String> = bad.iter().take(SHOWN).map(why).collect();
    match bad.into_iter().next() {
        Some(first) if scene.views.is_empty() && total == 1 => Err(first),
        Some(first) if scene.views.is_empty() => Err(Error::Scene {
            why: format!("none of its {total} photos can be used; of the first, {}", why(&first)),
        }),
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
