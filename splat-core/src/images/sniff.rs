//! Image formats, detected from a file's first bytes.

use std::path::Path;

use image::ImageFormat;

use crate::content::{self, Content, PhotoFormat};

/// Extensions (lower case) of files that count as photos when a folder is listed.
pub const PHOTO_EXTENSIONS: [&str; 14] =
    ["jpg", "jpeg", "jpe", "mpo", "png", "heic", "heif", "hif", "avif", "webp", "tif", "tiff", "gif", "bmp"];

/// Whether a file's name has the extension of a photo. Its type is detected later, from the content.
#[must_use]
pub fn has_photo_extension(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
    extension.is_some_and(|extension| PHOTO_EXTENSIONS.contains(&extension.as_str()))
}

/// What the crate `image` calls a format; `None` for one that it does not decode.
pub(super) fn image_format(format: PhotoFormat) -> Option<ImageFormat> {
    Some(match format {
        PhotoFormat::Heic | PhotoFormat::Avif => return None,
        PhotoFormat::Jpeg => ImageFormat::Jpeg,
        PhotoFormat::Png => ImageFormat::Png,
        PhotoFormat::WebP => ImageFormat::WebP,
        PhotoFormat::Tiff => ImageFormat::Tiff,
        PhotoFormat::Gif => ImageFormat::Gif,
        PhotoFormat::Bmp => ImageFormat::Bmp,
    })
}

/// The image format of the file `path`, or a sentence on what the file is instead.
pub(super) fn photo_format(path: &Path, bytes: &[u8]) -> Result<PhotoFormat, String> {
    match Content::of_named(path, &bytes[..bytes.len().min(content::HEAD_BYTES)]) {
        Some(Content::Photo(format)) => Ok(format),
        Some(Content::Text) => Err("it is text, not a picture".into()),
        Some(other) => Err(other.sentence()),
        None => {
            Err("it is no picture in a known format; JPEG, PNG, HEIC, AVIF, WebP, TIFF, GIF and BMP are read"
                .into())
        }
    }
}
