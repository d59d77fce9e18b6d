//! Computes the training image of one view from its files.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::geometry::{PhotoGeometry, other_shape, way_up};
use crate::camera::Pinhole;
use crate::images::{self, PackedImage};
use crate::lens::Lens;
use crate::lens::undistort::Remap;
use crate::{Error, Result};

/// Maximum number of cached resampling maps. Photos of one camera share one; a dataset with a lens per photo would not benefit from
/// more.
pub(super) const KEPT_REMAPS: usize = 4;
/// Bytes per pixel of a resampling map.
pub(super) const REMAP_BYTES_PER_PIXEL: u64 = 8;

/// Resampling maps by lens, most recently used last.
#[derive(Debug, Default)]
pub(super) struct Remaps(Mutex<Vec<(Lens, Pinhole, Arc<Remap>)>>);

/// Per lens which pixels have a ray; most recently used last.
#[derive(Debug, Default)]
pub(super) struct BlindSpots(Mutex<Vec<(Arc<Lens>, Seen)>>);

/// Whether each pixel has a ray.
type Seen = Arc<Vec<bool>>;

impl BlindSpots {
    /// Masks the pixels of a photo that have no ray: nothing can be rendered there.
    fn mask(&self, photo: &mut PackedImage, lens: &Arc<Lens>) -> Result<()> {
        // Locked during the computation, as for resampling maps.
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.iter().find(|(known, _)| known == lens).map(|(_, sees)| Arc::clone(sees));
        let sees = match found {
            Some(sees) => sees,
            None => {
                let sees = Arc::new(lens.try_projector()?.seen_pixels(lens.width, lens.height));
                if kept.len() >= KEPT_REMAPS {
                    kept.remove(0);
                }
                kept.push((Arc::clone(lens), Arc::clone(&sees)));
                sees
            }
        };
        for (pixel, sees) in photo.pixels.iter_mut().zip(sees.iter()) {
            if !sees {
                let [r, g, b, _] = pixel.to_le_bytes();
                *pixel = u32::from_le_bytes([r, g, b, 0]);
            }
        }
        Ok(())
    }
}

impl Remaps {
    fn get(&self, lens: &Lens, pinhole: &Pinhole) -> Result<Arc<Remap>> {
        // Locked during the computation, so that threads that need the same map wait for one of them.
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((.., remap)) = kept.iter().find(|(l, p, _)| l == lens && p == pinhole) {
            return Ok(Arc::clone(remap));
        }
        let remap = Arc::new(Remap::new(lens, pinhole)?);
        if kept.len() >= KEPT_REMAPS {
            kept.remove(0);
        }
        kept.push((lens.clone(), *pinhole, Arc::clone(&remap)));
        Ok(remap)
    }
}

/// A view's photo at its full training size.
pub(super) fn training_image(
    geometry: &PhotoGeometry,
    remaps: &Remaps,
    blind: &BlindSpots,
) -> Result<PackedImage> {
    let mut photo = decode(&geometry.image_path, geometry.upright, geometry.photo_size)?;
    if let Some(path) = &geometry.mask_path {
        apply_mask(&mut photo, path)?;
    }
    if let Some(undistort) = &geometry.undistort {
        let (lens, pinhole) = &**undistort;
        let rgba = remaps.get(lens, pinhole)?.apply(&photo.to_rgba())?;
        photo = PackedImage::from_rgba(pinhole.width, pinhole.height, &rgba)
            .ok_or_else(|| Error::ImageSize { why: format!("undistortion gave {} bytes", rgba.len()) })?;
    }
    let (width, height) = (geometry.camera.intrinsics.width, geometry.camera.intrinsics.height);
    // Avoid `shrunk_to`'s copy if the image has the size already.
    if (photo.width, photo.height) != (width, height) {
        photo = photo.shrunk_to(width, height);
    }
    if let Some(lens) = &geometry.kept_lens {
        blind.mask(&mut photo, lens)?;
    }
    Ok(photo)
}

fn decode(path: &Path, upright: bool, expected: (u32, u32)) -> Result<PackedImage> {
    let image = if upright { images::decode_upright(path)? } else { images::decode_stored(path)? };
    if image.dimensions() != expected {
        let (width, height) = image.dimensions();
        let what = format!(
            "it has {width}x{height} pixels now and had {}x{} when the dataset was opened",
            expected.0, expected.1
        );
        return Err(Error::BadPhoto { path: path.to_owned(), what });
    }
    Ok(PackedImage::from(&image))
}

/// Multiplies alpha by the mask.
fn apply_mask(photo: &mut PackedImage, path: &Path) -> Result<()> {
    let mask = read_mask(path, photo.width, photo.height)?;
    for (pixel, used) in photo.pixels.iter_mut().zip(mask) {
        let [r, g, b, alpha] = pixel.to_le_bytes();
        let alpha = (u32::from(alpha) * u32::from(used) + 255 / 2) / 255;
        *pixel = u32::from_le_bytes([r, g, b, alpha as u8]);
    }
    Ok(())
}

/// A mask at its photo's size in pixels, `[H*W]`: 255 where the photo is used, 0 where it is not. That is the brightness of the mask's
/// picture times its alpha.
///
/// # Errors
/// [`Error::BadPhoto`] for a mask of another shape than the photo, and as [`images::decode_upright`].
pub fn read_mask(path: &Path, width: u32, height: u32) -> Result<Vec<u8>> {
    let info = images::probe_header(path)?;
    let (upright, size) =
        way_up(path, &info, (width, height)).map_err(|_| other_shape(path, &info, (width, height)))?;
    let mut mask = decode(path, upright, size)?;
    // Labels of two classes, 0 and 1, instead of black and white.
    if mask.pixels.iter().flat_map(|pixel| pixel.to_le_bytes().into_iter().take(3)).max() == Some(1) {
        for pixel in &mut mask.pixels {
            let [r, g, b, alpha] = pixel.to_le_bytes();
            *pixel = u32::from_le_bytes([r * u8::MAX, g * u8::MAX, b * u8::MAX, alpha]);
        }
    }
    // The brightest channel: masks are black and white, and colour counts as white.
    let used = |pixel: &u32| {
        let [r, g, b, alpha] = pixel.to_le_bytes().map(u32::from);
        ((r.max(g).max(b) * alpha + 255 / 2) / 255) as u8
    };
    Ok(mask.shrunk_to(width, height).pixels.iter().map(used).collect())
}
