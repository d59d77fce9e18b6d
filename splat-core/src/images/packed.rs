//! Images in memory for training: one u32 per pixel.

use image::RgbaImage;

/// An RGBA8 image, one little-endian u32 per pixel with red in the low byte: the layout that kernels read.
///
/// Alpha is straight: as a mask it is a pixel's weight (255 where the photo is used, 0 where it is masked), as transparency its
/// opacity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedImage {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// `[H*W]`, rows from the top.
    pub pixels: Vec<u32>,
}

impl PackedImage {
    /// Packs RGBA bytes; `None` unless there are exactly `width * height * 4`.
    #[must_use]
    pub fn from_rgba(width: u32, height: u32, rgba: &[u8]) -> Option<Self> {
        let (quads, rest) = rgba.as_chunks::<4>();
        let expected = usize::try_from(u64::from(width) * u64::from(height)).ok()?;
        (quads.len() == expected && rest.is_empty()).then(|| Self {
            width,
            height,
            pixels: quads.iter().map(|&quad| u32::from_le_bytes(quad)).collect(),
        })
    }

    /// Red, green, blue and alpha bytes of every pixel, rows from the top: `[H*W*4]`.
    #[must_use]
    pub fn to_rgba(&self) -> Vec<u8> {
        self.pixels.iter().flat_map(|pixel| pixel.to_le_bytes()).collect()
    }

    /// Colours in 0..=1, `[H*W*3]`, without alpha.
    #[must_use]
    pub fn to_rgb_f32(&self) -> Vec<f32> {
        let channels = self.pixels.iter().map(|pixel| pixel.to_le_bytes());
        channels.flat_map(|[r, g, b, _]| [r, g, b].map(|byte| f32::from(byte) / 255.0)).collect()
    }

    /// Colours in 0..=1 of the image composited over a background, `[H*W*3]`.
    #[must_use]
    pub fn over(&self, background: [f32; 3]) -> Vec<f32> {
        let pixels = self.pixels.iter().map(|pixel| pixel.to_le_bytes().map(|byte| f32::from(byte) / 255.0));
        let over = |own: f32, behind: f32, alpha: f32| own * alpha + behind * (1.0 - alpha);
        pixels
            .flat_map(|[r, g, b, alpha]| {
                [over(r, background[0], alpha), over(g, background[1], alpha), over(b, background[2], alpha)]
            })
            .collect()
    }

    /// Alpha in 0..=1, `[H*W]`.
    #[must_use]
    pub fn alpha_f32(&self) -> Vec<f32> {
        self.pixels.iter().map(|pixel| (pixel >> 24) as f32 / 255.0).collect()
    }

    /// Whether any pixel's alpha is below 255.
    #[must_use]
    pub fn has_alpha(&self) -> bool {
        self.pixels.iter().any(|pixel| pixel >> 24 != 0xff)
    }

    /// Size of the pixels in bytes.
    #[must_use]
    pub fn byte_len(&self) -> u64 {
        self.pixels.len() as u64 * 4
    }
}

impl From<&RgbaImage> for PackedImage {
    fn from(image: &RgbaImage) -> Self {
        let (quads, _) = image.as_raw().as_chunks::<4>();
        let pixels = quads.iter().map(|&quad| u32::from_le_bytes(quad)).collect();
        Self { width: image.width(), height: image.height(), pixels }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_background_shows_where_alpha_lets_it() {
        let image = PackedImage::from_rgba(3, 1, &[255, 0, 51, 255, 255, 0, 51, 0, 255, 0, 51, 51]).unwrap();
        let expected = [1.0, 0.0, 0.2, 0.5, 0.25, 0.0, 0.6, 0.2, 0.04];
        for (got, want) in image.over([0.5, 0.25, 0.0]).iter().zip(expected) {
            assert!((got - want).abs() < 1e-6, "{got} {want}");
        }
    }
}
