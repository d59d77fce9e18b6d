//! HEIC and AVIF: HEVC and AV1 images in the same container format.
//!
//! Crop, rotation and mirroring of the container are applied; EXIF's orientation, which repeats them, is ignored (ISO/IEC
//! 23008-12, 6.5.10). The tiles of iPhones' grids are assembled to one image. Samples are rounded to eight bits. Depth maps, gain
//! maps and thumbnails are ignored.

use heic_decoder::{DecodedImage, HeifError};
use image::error::{DecodingError, ImageFormatHint};
use image::{ColorType, DynamicImage, ImageDecoder, ImageError, ImageResult, RgbImage, RgbaImage};

use super::exif::Orientation;
use super::{avif, boxes};
use crate::content::PhotoFormat;

/// An image whose header was parsed.
pub(super) struct Heif<'a> {
    format: PhotoFormat,
    bytes: &'a [u8],
    /// Size of the upright image, in pixels.
    size: [u32; 2],
    has_alpha: bool,
    /// The transformation to apply after decoding.
    turn: Orientation,
}

impl<'a> Heif<'a> {
    /// Reads the header of a HEIC or AVIF file.
    pub(super) fn new(format: PhotoFormat, bytes: &'a [u8]) -> ImageResult<Self> {
        let bytes = boxes::whole(bytes);
        if format == PhotoFormat::Avif {
            let avif::Header { size, has_alpha, turn } =
                avif::header(bytes).map_err(|why| refused(format, why))?;
            return Ok(Self { format, bytes, size, has_alpha, turn });
        }
        let info = heic_decoder::probe(bytes).map_err(|error| refused(format, error.to_string()))?;
        let size = [info.width, info.height].map(|side| side as u32);
        let has_alpha = info.alpha_bit_depth.is_some();
        Ok(Self { format, bytes, size, has_alpha, turn: Orientation::Upright })
    }

    fn decode(&self) -> Result<DynamicImage, String> {
        let picture = if self.format == PhotoFormat::Avif {
            avif::decode(self.bytes)?
        } else {
            heic_decoder::decode(self.bytes).map_err(|error| error.to_string())?
        };
        let (width, height) = (picture.width as u32, picture.height as u32);
        let converted = if self.has_alpha {
            rgba(&picture).map(|data| RgbaImage::from_raw(width, height, data).map(DynamicImage::ImageRgba8))
        } else {
            let data = picture.to_rgb8().map(|rgb| rgb.data);
            data.map(|data| RgbImage::from_raw(width, height, data).map(DynamicImage::ImageRgb8))
        };
        let mut image = converted.map_err(|error| error.to_string())?.ok_or("its pixels are too few")?;
        image.apply_orientation(self.turn.to_image());
        if [image.width(), image.height()] != self.size {
            return Err("its picture has another size than its header says".into());
        }
        Ok(image)
    }
}

/// Straight alpha.
fn rgba(picture: &DecodedImage) -> Result<Vec<u8>, HeifError> {
    let mut rgba = picture.to_rgba8()?;
    if rgba.premultiplied {
        for [r, g, b, a] in rgba.data.as_chunks_mut::<4>().0 {
            let alpha = u32::from(*a).max(1);
            for c in [r, g, b] {
                *c = ((u32::from(*c) * 255 + alpha / 2) / alpha).min(255) as u8;
            }
        }
    }
    Ok(rgba.data)
}

fn refused(format: PhotoFormat, why: String) -> ImageError {
    ImageError::Decoding(DecodingError::new(ImageFormatHint::Name(format.to_string()), why))
}

impl ImageDecoder for Heif<'_> {
    fn dimensions(&self) -> (u32, u32) {
        self.size.into()
    }

    fn color_type(&self) -> ColorType {
        if self.has_alpha { ColorType::Rgba8 } else { ColorType::Rgb8 }
    }

    fn read_image(self, buffer: &mut [u8]) -> ImageResult<()> {
        let image = self.decode().map_err(|why| refused(self.format, why))?;
        let pixels = image.as_bytes();
        if pixels.len() != buffer.len() {
            return Err(refused(self.format, "its pixels are too few".into()));
        }
        buffer.copy_from_slice(pixels);
        Ok(())
    }

    fn read_image_boxed(self: Box<Self>, buffer: &mut [u8]) -> ImageResult<()> {
        (*self).read_image(buffer)
    }
}
