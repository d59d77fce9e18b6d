//! Which picture format a file's first bytes announce.

use std::fmt;
use std::path::Path;

use image::ImageFormat;

use crate::content::{self, Content};

/// A picture format that can be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PhotoFormat {
    /// JPEG, and MPO, which is several JPEGs in one file.
    Jpeg,
    /// PNG.
    Png,
    /// WebP, lossy or lossless.
    WebP,
    /// TIFF.
    Tiff,
    /// GIF.
    Gif,
    /// Windows bitmap.
    Bmp,
}

/// Extensions (lower case) of files that are taken for photos when a folder is listed.
pub const PHOTO_EXTENSIONS: [&str; 10] =
    ["jpg", "jpeg", "jpe", "mpo", "png", "webp", "tif", "tiff", "gif", "bmp"];

/// Whether a file's name ends like a photo's. The content decides later what it is.
#[must_use]
pub fn has_photo_extension(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
    extension.is_some_and(|extension| PHOTO_EXTENSIONS.contains(&extension.as_str()))
}

impl PhotoFormat {
    pub(super) fn to_image(self) -> ImageFormat {
        match self {
            Self::Jpeg => ImageFormat::Jpeg,
            Self::Png => ImageFormat::Png,
            Self::WebP => ImageFormat::WebP,
            Self::Tiff => ImageFormat::Tiff,
            Self::Gif => ImageFormat::Gif,
            Self::Bmp => ImageFormat::Bmp,
        }
    }
}

impl fmt::Display for PhotoFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::WebP => "WebP",
            Self::Tiff => "TIFF",
            Self::Gif => "GIF",
            Self::Bmp => "BMP",
        })
    }
}

/// The format of the content of the file `path`, or a sentence on what the file is instead.
pub(super) fn photo_format(path: &Path, bytes: &[u8]) -> Result<PhotoFormat, String> {
    match Content::of_named(path, &bytes[..bytes.len().min(content::HEAD_BYTES)]) {
        Some(Content::Photo(format)) => Ok(format),
        Some(Content::Text) => Err("it is text, not a picture".into()),
        Some(other) => Err(other.sentence()),
        None => Err("it is no picture in a known format; JPEG, PNG, WebP, TIFF, GIF and BMP are read".into()),
    }
}
