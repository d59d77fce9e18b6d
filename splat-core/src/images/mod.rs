//! Photos on disk: their metadata, and their pixels in upright orientation.
//!
//! | function | reads | gives |
//! | --- | --- | --- |
//! | [`probe`] | the file's structure and EXIF, no pixels | [`PhotoInfo`] |
//! | [`decode_upright`] | pixels, EXIF orientation applied once | RGBA8 |
//! | [`decode_stored`] | pixels as stored, orientation ignored (what COLMAP 3.8 sees) | RGBA8 |
//!
//! The format is detected from the content, never from the file's name. JPEG (baseline, progressive,
//! grey, CMYK, MPO), PNG (also 16-bit, palette, 1-bit), HEIC, AVIF, WebP, TIFF, GIF and BMP are supported. Of files with several
//! images, the first or the primary one is used. Samples are rounded to eight bits.
//!
//! An image's size is checked against [`MAX_PIXELS`] before memory for its pixels is allocated.

mod avif;
mod boxes;
mod complete;
mod exif;
mod heif;
mod packed;
mod resize;
mod sniff;

use std::fs::{self, File};
use std::io::{self, Cursor, Read};
use std::path::Path;

use image::{DynamicImage, ImageDecoder, ImageReader, ImageResult, Limits, RgbaImage};

use crate::{Error, Result};

pub use exif::Orientation;
pub use packed::PackedImage;
pub use resize::divided;
pub use sniff::{PHOTO_EXTENSIONS, has_photo_extension};

pub use crate::content::PhotoFormat;

/// Maximum image size in pixels: 200 megapixels, the largest sensors of phones.
pub const MAX_PIXELS: u64 = 200_000_000;

/// Maximum file size in bytes: an uncompressed 16-bit RGBA image of [`MAX_PIXELS`].
const MAX_FILE_BYTES: u64 = MAX_PIXELS * 8;

/// Memory limit of decoders in bytes: 16-bit RGBA of [`MAX_PIXELS`].
const MAX_DECODER_BYTES: u64 = MAX_PIXELS * 8;

/// Metadata of a photo's file.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PhotoInfo {
    /// Format, detected from the content.
    pub format: PhotoFormat,
    /// Width in pixels as stored, before the orientation is applied.
    pub stored_width: u32,
    /// Height in pixels as stored.
    pub stored_height: u32,
    /// The transformation of the stored image to upright.
    pub orientation: Orientation,
    /// Whether the file has an alpha channel or transparent colour.
    pub has_alpha: bool,
    /// Focal length in millimetres, from EXIF.
    pub focal_mm: Option<f64>,
    /// Focal length in 35 mm equivalent, from EXIF.
    pub focal_35mm: Option<f64>,
    /// log2 of exposure time (seconds) times sensitivity (ISO) over the squared f-number, from EXIF: a difference of 1 is a factor of 2
    /// in exposure.
    pub exposure_log2: Option<f64>,
    /// Camera maker, from EXIF.
    pub camera_make: Option<String>,
    /// Camera model, from EXIF.
    pub camera_model: Option<String>,
    /// Position, from EXIF: degrees north and degrees east.
    pub gps: Option<[f64; 2]>,
    /// Height above sea level in metres, from EXIF.
    pub altitude_m: Option<f64>,
}

impl PhotoInfo {
    /// Width and height in pixels of the upright image.
    #[must_use]
    pub fn upright_size(&self) -> (u32, u32) {
        if self.orientation.swaps_axes() {
            (self.stored_height, self.stored_width)
        } else {
            (self.stored_width, self.stored_height)
        }
    }

    /// Focal length in pixels, from the 35 mm equivalent: that much per 43.27 mm of diagonal.
    #[must_use]
    pub fn focal_px(&self) -> Option<f64> {
        /// Diagonal of a 36 x 24 mm frame.
        const FULL_FRAME_DIAGONAL_MM: f64 = 43.266_615_305_567_87;
        let diagonal_px = f64::from(self.stored_width).hypot(f64::from(self.stored_height));
        self.focal_35mm.map(|focal| focal / FULL_FRAME_DIAGONAL_MM * diagonal_px)
    }
}

/// Reads a photo's metadata and checks that the file is not truncated, without decoding it.
///
/// A JPEG or PNG that ends before its end marker is refused, so that it can be reported and skipped before other programs read half of
/// it. Damage inside the compressed data is detected only by [`decode_upright`].
///
/// # Errors
/// [`Error::Read`] if the file cannot be read; [`Error::BadPhoto`] if it is empty, no picture, of
/// an unknown format or truncated; [`Error::PhotoTooLarge`] above [`MAX_PIXELS`].
pub fn probe(path: &Path) -> Result<PhotoInfo> {
    let bytes = read_photo(path)?;
    Ok(open(path, &bytes)?.0)
}

/// As [`probe`], but reads only the file's header and does not check for truncation.
pub(crate) fn probe_header(path: &Path) -> Result<PhotoInfo> {
    /// Holds a JPEG's metadata, two 64 KiB segments with EXIF and a thumbnail included.
    const PREFIX_BYTES: u64 = 256 * 1024;
    let read_error = |source| Error::Read { path: path.to_owned(), source };
    let mut prefix = Vec::new();
    let file = File::open(path).map_err(read_error)?;
    // Opening a folder fails here on some systems and below on others.
    if file.take(PREFIX_BYTES).read_to_end(&mut prefix).is_ok()
        && sniff::photo_format(path, &prefix) == Ok(PhotoFormat::Jpeg)
        && let Ok((info, _)) = header(path, PhotoFormat::Jpeg, &prefix)
    {
        return Ok(info);
    }
    let bytes = read_photo(path)?;
    let format = sniff::photo_format(path, &bytes).map_err(|what| bad(path, what))?;
    Ok(header(path, format, &bytes)?.0)
}

/// Decodes a photo with its EXIF orientation applied: `[H,W]` RGBA8, straight alpha.
///
/// # Errors
/// As [`probe`], and [`Error::BadPhoto`] if the pixel data is damaged.
pub fn decode_upright(path: &Path) -> Result<RgbaImage> {
    let bytes = read_photo(path)?;
    let (info, decoder) = open(path, &bytes)?;
    let mut image = decode(path, info.format, decoder)?;
    image.apply_orientation(info.orientation.to_image());
    Ok(image.into_rgba8())
}

/// Decodes a photo as stored, ignoring its EXIF orientation: `[H,W]` RGBA8, straight alpha.
///
/// # Errors
/// As [`decode_upright`].
pub fn decode_stored(path: &Path) -> Result<RgbaImage> {
    let bytes = read_photo(path)?;
    let (info, decoder) = open(path, &bytes)?;
    Ok(decode(path, info.format, decoder)?.into_rgba8())
}

fn read_photo(path: &Path) -> Result<Vec<u8>> {
    let read_error = |source| Error::Read { path: path.to_owned(), source };
    let metadata = fs::metadata(path).map_err(read_error)?;
    if metadata.is_dir() {
        return Err(read_error(io::Error::new(io::ErrorKind::InvalidInput, "it is a folder")));
    }
    if metadata.len() > MAX_FILE_BYTES {
        let what =
            format!("it is {:.1} GB, larger than any photo; is it a video?", metadata.len() as f64 / 1e9);
        return Err(bad(path, what));
    }
    fs::read(path).map_err(read_error)
}

fn bad(path: &Path, what: impl Into<String>) -> Error {
    Error::BadPhoto { path: path.to_owned(), what: what.into() }
}

/// [`header`] of a file that is not truncated.
fn open<'a>(path: &Path, bytes: &'a [u8]) -> Result<(PhotoInfo, Box<dyn ImageDecoder + 'a>)> {
    let format = sniff::photo_format(path, bytes).map_err(|what| bad(path, what))?;
    complete::check(format, bytes).map_err(|what| bad(path, what))?;
    header(path, format, bytes)
}

/// Header, size check and EXIF; the decoder has not decoded a pixel yet.
fn header<'a>(
    path: &Path,
    format: PhotoFormat,
    bytes: &'a [u8],
) -> Result<(PhotoInfo, Box<dyn ImageDecoder + 'a>)> {
    let decoder = decoder(format, bytes).map_err(|error| bad(path, damaged(format, &error)))?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err(bad(path, format!("its size is {width}x{height} pixels")));
    }
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(Error::PhotoTooLarge { path: path.to_owned(), width, height, limit: MAX_PIXELS });
    }
    let tags = exif::read(bytes);
    let info = PhotoInfo {
        format,
        stored_width: width,
        stored_height: height,
        // The container repeats EXIF's orientation, and has already been applied.
        orientation: if is_heif(format) { Orientation::Upright } else { tags.orientation },
        has_alpha: decoder.color_type().has_alpha(),
        focal_mm: tags.focal_mm,
        focal_35mm: tags.focal_35mm,
        exposure_log2: tags.exposure_log2,
        camera_make: tags.make,
        camera_model: tags.model,
        gps: tags.gps,
        altitude_m: tags.altitude_m,
    };
    Ok((info, decoder))
}

fn is_heif(format: PhotoFormat) -> bool {
    matches!(format, PhotoFormat::Heic | PhotoFormat::Avif)
}

fn decoder<'a>(format: PhotoFormat, bytes: &'a [u8]) -> ImageResult<Box<dyn ImageDecoder + 'a>> {
    let Some(known) = sniff::image_format(format) else {
        return Ok(Box::new(heif::Heif::new(format, bytes)?));
    };
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_DECODER_BYTES);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), known);
    reader.limits(limits);
    Ok(Box::new(reader.into_decoder()?))
}

fn decode(path: &Path, format: PhotoFormat, decoder: Box<dyn ImageDecoder + '_>) -> Result<DynamicImage> {
    let image = DynamicImage::from_decoder(decoder).map_err(|error| bad(path, damaged(format, &error)))?;
    if format != PhotoFormat::WebP || !image.color().has_alpha() {
        return Ok(image);
    }
    // WebP encoders replace the colours of transparent pixels by whatever compresses best, unless told otherwise, so they have no
    // meaning.
    let mut image = image.into_rgba8();
    image.pixels_mut().filter(|pixel| pixel[3] == 0).for_each(|pixel| pixel.0 = [0; 4]);
    Ok(image.into())
}

fn damaged(format: PhotoFormat, error: &image::ImageError) -> String {
    format!("it looks like a {format} but cannot be decoded ({error}); export or copy it again")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod heif_tests;
#[cfg(test)]
mod tests;
