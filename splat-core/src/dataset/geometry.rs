//! The training camera of a view, from its photo's header and its lens.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::camera::{Camera, Pinhole};
use crate::dataset::DatasetOptions;
use crate::images::{self, PhotoInfo, divided};
use crate::lens::Lens;
use crate::scene::View;
use crate::shutter::RollingShutter;
use crate::{Error, Result};

/// Everything needed to compute one view's training image.
#[derive(Debug)]
pub(super) struct PhotoGeometry {
    pub(super) image_path: PathBuf,
    pub(super) mask_path: Option<PathBuf>,
    /// Whether the photo's file has an alpha channel or transparent colour.
    pub(super) has_alpha: bool,
    /// Whether EXIF orientation is applied.
    pub(super) upright: bool,
    /// Size of the photo after orientation, in pixels.
    pub(super) photo_size: (u32, u32),
    /// The lens at the photo's size and the pinhole to undistort to; `None` if the photo needs no undistortion.
    pub(super) undistort: Option<Arc<(Lens, Pinhole)>>,
    /// The lens at the training size, if the photo keeps its distortion.
    pub(super) kept_lens: Option<Arc<Lens>>,
    /// Motion during readout, if the photo keeps its rolling shutter.
    pub(super) kept_shutter: Option<RollingShutter>,
    /// The pinhole camera at the full training size.
    pub(super) camera: Camera,
}

impl PhotoGeometry {
    pub(super) fn new(view: &View, options: &DatasetOptions) -> Result<Self> {
        let info = images::probe_header(&view.image_path)?;
        let (upright, photo_size) = way_up(&view.image_path, &info, (view.lens.width, view.lens.height))?;
        if let Some(mask) = &view.mask_path {
            let info = images::probe_header(mask)?;
            way_up(mask, &info, photo_size).map_err(|_| other_shape(mask, &info, photo_size))?;
        }
        let lens = view.lens.resized(photo_size.0, photo_size.1);
        let mut undistort = None;
        let mut kept_lens = None;
        let pinhole = match lens.as_pinhole() {
            Some(pinhole) => pinhole,
            None if options.keep_distortion => {
                lens.validate()?;
                let (width, height) = training_size(&lens.nearest_pinhole(), options);
                let lens = lens.resized(width, height);
                let pinhole = lens.nearest_pinhole();
                kept_lens = Some(Arc::new(lens));
                pinhole
            }
            None => {
                let pinhole = lens.undistorted_pinhole()?;
                undistort = Some(Arc::new((lens, pinhole)));
                pinhole
            }
        };
        // A kept lens has the training size already, and so has its pinhole.
        let intrinsics = if kept_lens.is_some() {
            pinhole
        } else {
            let (width, height) = training_size(&pinhole, options);
            pinhole.resized(width, height)
        };
        let camera = Camera { intrinsics, cam_from_world: view.cam_from_world };
        let kept_shutter = view.rolling_shutter.filter(|_| options.keep_distortion);
        Ok(Self {
            image_path: view.image_path.clone(),
            mask_path: view.mask_path.clone(),
            has_alpha: info.has_alpha,
            upright,
            photo_size,
            undistort,
            kept_lens,
            kept_shutter,
            camera,
        })
    }
}

/// Whether a photo is used upright (true) or as stored, and its size in that orientation: the one with the aspect of `expected`, as
/// stored if both have it.
pub(super) fn way_up(path: &Path, info: &PhotoInfo, expected: (u32, u32)) -> Result<(bool, (u32, u32))> {
    let stored = (info.stored_width, info.stored_height);
    let upright = info.upright_size();
    // An exact match in either orientation is better evidence than a scaled one.
    let found = [(false, stored), (true, upright)].into_iter().find(|&(_, size)| size == expected);
    let found = found.or_else(|| {
        [(false, stored), (true, upright)].into_iter().find(|&(_, size)| is_scaled(size, expected))
    });
    found.ok_or_else(|| Error::BadPhoto {
        path: path.to_owned(),
        what: format!(
            "it has {}x{} pixels and its camera was posed at {}x{}, which is another shape; \
             use the photos that the poses were computed from",
            stored.0, stored.1, expected.0, expected.1
        ),
    })
}

/// The error of a mask whose shape is not its photo's.
pub(super) fn other_shape(mask: &Path, info: &PhotoInfo, photo_size: (u32, u32)) -> Error {
    Error::BadPhoto {
        path: mask.to_owned(),
        what: format!(
            "it is a mask of {}x{} pixels and its photo has {}x{}, which is another shape",
            info.stored_width, info.stored_height, photo_size.0, photo_size.1
        ),
    }
}

/// Whether two sizes have the same aspect, up to rounding of each side by one pixel.
fn is_scaled(size: (u32, u32), original: (u32, u32)) -> bool {
    let [width, height, of_width, of_height] = [size.0, size.1, original.0, original.1].map(f64::from);
    let scale = (width / of_width).max(height / of_height);
    // In a larger copy the original's rounding error is magnified.
    let slack = scale.max(1.0);
    (scale * of_width - width).abs() <= slack && (scale * of_height - height).abs() <= slack
}

fn training_size(pinhole: &Pinhole, options: &DatasetOptions) -> (u32, u32) {
    let factor = options.downscale.unwrap_or(1);
    let (width, height) = (divided(pinhole.width, factor), divided(pinhole.height, factor));
    let longest = width.max(height);
    match options.max_image_size {
        Some(limit) if longest > limit.max(1) => {
            let scale = f64::from(limit.max(1)) / f64::from(longest);
            let shrink = |side: u32| ((f64::from(side) * scale).round() as u32).max(1);
            (shrink(width), shrink(height))
        }
        _ => (width, height),
    }
}
