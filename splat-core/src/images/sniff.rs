//! Which picture format a file's first bytes announce.

use std::fmt;
use std::path::Path;

use image::ImageFormat;

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

/// The format of a file's content, or a sentence on what the file is instead.
pub(super) fn photo_format(bytes: &[u8]) -> Result<PhotoFormat, String> {
    const SIGNATURES: [(&[u8], PhotoFormat); 7] = [
        (b"\xff\xd8\xff", PhotoFormat::Jpeg),
        (b"\x89PNG\r\n\x1a\n", PhotoFormat::Png),
        (b"II*\0", PhotoFormat::Tiff),
        (b"MM\0*", PhotoFormat::Tiff),
        (b"GIF87a", PhotoFormat::Gif),
        (b"GIF89a", PhotoFormat::Gif),
        (b"BM", PhotoFormat::Bmp),
    ];
    if bytes.is_empty() {
        return Err("it is empty (0 bytes); copy it again".into());
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        return Ok(PhotoFormat::WebP);
    }
    if let Some((_, format)) = SIGNATURES.iter().find(|(signature, _)| bytes.starts_with(signature)) {
        return Ok(*format);
    }
    Err(not_a_photo(bytes).into())
}

fn not_a_photo(bytes: &[u8]) -> &'static str {
    const CAN: &str = "it is no picture in a known format; JPEG, PNG, WebP, TIFF, GIF and BMP are read";
    if bytes.get(4..8) == Some(b"ftyp") {
        return match bytes.get(8..12) {
            Some(b"heic" | b"heix" | b"hevc" | b"hevx" | b"heim" | b"heis" | b"mif1" | b"msf1") => {
                "it is a HEIC picture, which is not read; convert it to JPEG \
                 (iPhone: Settings, Camera, Formats, Most Compatible)"
            }
            Some(b"avif" | b"avis") => "it is an AVIF picture, which is not read; convert it to JPEG or PNG",
            _ => {
                "it is a video, not a photo; extract frames first, such as with `ffmpeg -i VIDEO -vf fps=2 %04d.jpg`"
            }
        };
    }
    let head = &bytes[..bytes.len().min(512)];
    if head.iter().all(|&byte| byte >= 0x20 || matches!(byte, b'\t' | b'\n' | b'\r')) {
        return "it is text, not a picture";
    }
    CAN
}
