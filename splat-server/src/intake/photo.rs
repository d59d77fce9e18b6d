//! Whether a file on disk is a photo that can be used.

use std::path::Path;

use splat_core::images::{self, PhotoFormat};

use super::Limits;
use super::error::{RejectCode, Rejected};
use super::sniff::PhotoKind;

/// Below this side COLMAP finds nothing; the pipeline leaves such photos out.
const MIN_SIDE_PX: u32 = 32;

/// Width and height in pixels of the upright picture, from its header; no pixel is decoded. Blocks, and holds the file in
/// memory meanwhile.
pub(super) fn check(path: &Path, name: &str, limits: &Limits) -> Result<(u32, u32), Rejected> {
    let reject = |code, reason: String| Err(Rejected::new(name, code, reason));
    let info = match images::probe(path) {
        Ok(info) => info,
        Err(splat_core::Error::BadPhoto { what, .. }) => return reject(RejectCode::UnreadablePhoto, what),
        Err(splat_core::Error::PhotoTooLarge { width, height, .. }) => {
            return reject(RejectCode::TooManyPixels, too_many_pixels(width, height, limits.max_pixels));
        }
        Err(splat_core::Error::Read { source, .. }) => {
            return reject(RejectCode::UnreadablePhoto, format!("it cannot be read: {source}"));
        }
        // Other errors name the server's path; the client learns no more than that it is no usable photo.
        Err(_) => return reject(RejectCode::UnreadablePhoto, "it is no readable photo".into()),
    };
    if kind_of(info.format).is_none() {
        let reason = format!("it is a {}, which is not taken; convert it to JPEG or PNG", info.format);
        return reject(RejectCode::UnsupportedFormat, reason);
    }
    let (width, height) = info.upright_size();
    if u64::from(width) * u64::from(height) > limits.max_pixels {
        return reject(RejectCode::TooManyPixels, too_many_pixels(width, height, limits.max_pixels));
    }
    if width.min(height) < MIN_SIDE_PX {
        return reject(
            RejectCode::TooSmall,
            format!("its {width}x{height} pixels are too small to find anything in"),
        );
    }
    Ok((width, height))
}

fn kind_of(format: PhotoFormat) -> Option<PhotoKind> {
    match format {
        PhotoFormat::Jpeg => Some(PhotoKind::Jpeg),
        PhotoFormat::Png => Some(PhotoKind::Png),
        PhotoFormat::WebP => Some(PhotoKind::WebP),
        PhotoFormat::Heic => Some(PhotoKind::Heic),
        PhotoFormat::Avif => Some(PhotoKind::Avif),
        _ => None,
    }
}

fn too_many_pixels(width: u32, height: u32, max: u64) -> String {
    /// Pixels in a megapixel.
    const MEGA: f64 = 1e6;
    let (has, may) = (f64::from(width) * f64::from(height) / MEGA, max as f64 / MEGA);
    format!(
        "its header says {width}x{height} pixels ({has:.1} megapixels), and {may:.1} are the most; scale it down"
    )
}
