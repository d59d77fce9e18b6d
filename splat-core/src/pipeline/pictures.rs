//! Output images: PNG and JPEG, and side-by-side comparisons.

use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};

use crate::Result;
use crate::files::write_atomically;
use crate::images::PackedImage;
use crate::render::FrameImage;

/// JPEG quality of live views, out of 100.
const JPEG_QUALITY: u8 = 85;
/// Pixels between photo and render.
const GAP_PX: usize = 4;

impl FrameImage {
    /// The colours as bytes `[H*W*3]`, clamped and rounded.
    #[must_use]
    pub fn to_rgb8(&self) -> Vec<u8> {
        // NaN becomes 0 in the cast.
        self.rgb.iter().map(|c| (c.clamp(0.0, 1.0) * 255.0).round() as u8).collect()
    }

    /// Writes the colours as a PNG.
    ///
    /// # Errors
    /// [`crate::Error::Write`].
    pub fn save_png(&self, path: &Path) -> Result<()> {
        save_png(path, self.width, self.height, &self.to_rgb8())
    }
}

/// Writes `rgb` `[H*W*3]` as a PNG, atomically.
///
/// # Errors
/// [`crate::Error::Write`], also if the length of `rgb` does not match the size.
pub fn save_png(path: &Path, width: u32, height: u32, rgb: &[u8]) -> Result<()> {
    write_atomically(path, |out| {
        check_size(width, height, rgb)?;
        PngEncoder::new(out)
            .write_image(rgb, width, height, ExtendedColorType::Rgb8)
            .map_err(std::io::Error::other)
    })
}

fn check_size(width: u32, height: u32, rgb: &[u8]) -> std::io::Result<()> {
    if rgb.len() != width as usize * height as usize * 3 {
        let what = format!("{} bytes are no {width}x{height} RGB picture", rgb.len());
        return Err(std::io::Error::other(what));
    }
    Ok(())
}

/// Encodes `rgb` `[H*W*3]` as JPEG, about a tenth of the size of a PNG.
pub(super) fn jpeg(width: u32, height: u32, rgb: &[u8]) -> std::io::Result<Vec<u8>> {
    check_size(width, height, rgb)?;
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY)
        .write_image(rgb, width, height, ExtendedColorType::Rgb8)
        .map_err(std::io::Error::other)?;
    Ok(bytes)
}

/// A photo's colours as bytes `[H*W*3]`; masked pixels are darkened by their alpha.
pub(super) fn photo_rgb8(photo: &PackedImage) -> Vec<u8> {
    let channels = photo.pixels.iter().map(|pixel| pixel.to_le_bytes());
    let dim = |colour: u8, alpha: u8| (u32::from(colour) * u32::from(alpha) / 255) as u8;
    channels.flat_map(|[r, g, b, a]| [r, g, b].map(|colour| dim(colour, a))).collect()
}

/// Two RGB images `[H*W*3]` of the same size side by side, with a white gap between them; also returns the width.
pub(super) fn side_by_side(left: &[u8], right: &[u8], width: u32) -> (u32, Vec<u8>) {
    let row = width as usize * 3;
    let gap = [255_u8; GAP_PX * 3];
    let mut both = Vec::with_capacity(left.len() + right.len() + left.len() / row.max(1) * gap.len());
    for (left, right) in left.chunks_exact(row.max(1)).zip(right.chunks_exact(row.max(1))) {
        both.extend_from_slice(left);
        both.extend_from_slice(&gap);
        both.extend_from_slice(right);
    }
    (2 * width + GAP_PX as u32, both)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn photo_left_render_right() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("eval/pair.png");
        let (width, both) = side_by_side(&[10; 2 * 3 * 3], &[200; 2 * 3 * 3], 2);
        save_png(&path, width, 3, &both).unwrap();
        let back = image::open(&path).unwrap().to_rgb8();
        assert_eq!(back.dimensions(), (8, 3));
        assert_eq!([0, 1, 2, 5, 6, 7].map(|x| back.get_pixel(x, 2)[0]), [10, 10, 255, 255, 200, 200]);
    }

    #[test]
    fn floats_are_clamped_and_rounded() {
        let frame = FrameImage {
            width: 2,
            height: 1,
            rgb: vec![-1.0, 0.5, 2.0, f32::NAN, 0.002, 1.0],
            alpha: vec![1.0; 2],
            depth: vec![0.0; 2],
        };
        assert_eq!(frame.to_rgb8(), [0, 128, 255, 0, 1, 255]);
    }
}
