//! Downscaling by area averaging.

use super::PackedImage;

impl PackedImage {
    /// The image at `width` x `height` pixels (at least 1 each): every target pixel is the mean of the source area under it, with
    /// partly covered pixels weighted by their share.
    ///
    /// This box filter with exact coverage is OpenCV's `INTER_AREA`. The filter matters when results are compared: PSNR against
    /// photos downscaled by another filter differs by about 0.27 dB. Colours are weighted by alpha, so that masked pixels do not
    /// bleed into others; means are rounded to 8 bits.
    #[must_use]
    pub fn shrunk_to(&self, width: u32, height: u32) -> Self {
        let (width, height) = (width.max(1), height.max(1));
        if (width, height) == (self.width, self.height) {
            return self.clone();
        }
        let (across, down) = (spans(self.width, width), spans(self.height, height));
        let mut pixels = Vec::with_capacity(width as usize * height as usize);
        if self.width == 0 || self.height == 0 {
            pixels.resize(width as usize * height as usize, 0);
            return Self { width, height, pixels };
        }
        // Sums of one target row: red, green, blue (times alpha) and alpha.
        let mut row = vec![[0.0_f32; 4]; self.width as usize];
        for span in &down {
            row.fill([0.0; 4]);
            for (y, weight) in span.covered() {
                let source = &self.pixels[y * self.width as usize..][..self.width as usize];
                for (sums, pixel) in row.iter_mut().zip(source) {
                    let [r, g, b, a] = pixel.to_le_bytes().map(f32::from);
                    for (sum, value) in sums.iter_mut().zip([r * a, g * a, b * a, a]) {
                        *sum += weight * value;
                    }
                }
            }
            pixels.extend(across.iter().map(|span| span.mean(&row)));
        }
        Self { width, height, pixels }
    }

    /// The image divided by `factor` in both directions: `max(1, round(size / factor))` pixels.
    #[must_use]
    pub fn shrunk_by(&self, factor: u32) -> Self {
        self.shrunk_to(divided(self.width, factor), divided(self.height, factor))
    }
}

/// `max(1, round(size / factor))`, halves up; a factor of 0 counts as 1.
#[must_use]
pub fn divided(size: u32, factor: u32) -> u32 {
    let factor = u64::from(factor.max(1));
    (((2 * u64::from(size) + factor) / (2 * factor)).max(1)) as u32
}

/// The source pixels under one target pixel: from `first`, with the part of each that is covered,
/// relative to the target pixel's size.
struct Span {
    first: usize,
    weights: Vec<f32>,
}

impl Span {
    fn covered(&self) -> impl Iterator<Item = (usize, f32)> {
        (self.first..).zip(self.weights.iter().copied())
    }

    fn mean(&self, row: &[[f32; 4]]) -> u32 {
        let mut sums = [0.0_f32; 4];
        for (pixel, weight) in row[self.first..].iter().zip(&self.weights) {
            for (sum, value) in sums.iter_mut().zip(pixel) {
                *sum += weight * value;
            }
        }
        let [r, g, b, alpha] = sums;
        if alpha <= 0.0 {
            return 0;
        }
        let byte = |value: f32| (value + 0.5).min(255.0) as u8;
        u32::from_le_bytes([byte(r / alpha), byte(g / alpha), byte(b / alpha), byte(alpha)])
    }
}

fn spans(source: u32, target: u32) -> Vec<Span> {
    let (source, target) = (u64::from(source), u64::from(target));
    // In units of 1 / target of a source pixel all bounds are whole numbers, so no coverage is lost
    // to rounding: target pixel i covers i * source .. (i + 1) * source.
    (0..target)
        .map(|i| {
            let (start, end) = (i * source, (i + 1) * source);
            let (first, last) = (start / target, end.div_ceil(target));
            let weights = (first..last).map(|pixel| {
                let covered = end.min((pixel + 1) * target) - start.max(pixel * target);
                (covered as f64 / source as f64) as f32
            });
            Span { first: first as usize, weights: weights.collect() }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(width: u32, height: u32, values: &[u8]) -> PackedImage {
        let pixels = values.iter().map(|&v| u32::from_le_bytes([v, v, v, 255])).collect();
        PackedImage { width, height, pixels }
    }

    #[test]
    fn means_are_exact_areas() {
        let image = grey(4, 2, &[0, 10, 20, 30, 40, 50, 60, 70]);
        assert_eq!(image.shrunk_by(2), grey(2, 1, &[25, 45]));
        // 3 pixels to 2: (a + b/2) / 1.5 and (b/2 + c) / 1.5.
        assert_eq!(grey(3, 1, &[30, 60, 240]).shrunk_to(2, 1), grey(2, 1, &[40, 180]));
        assert_eq!(image.shrunk_to(1, 1), grey(1, 1, &[35]));
        assert_eq!(image.shrunk_by(1), image);
        assert_eq!(grey(1, 1, &[7]).shrunk_by(8), grey(1, 1, &[7]));
    }

    #[test]
    fn constant_images_stay_constant() {
        for value in [0, 1, 127, 254, 255] {
            let image = grey(13, 11, &[value; 143]);
            for (width, height) in [(1, 1), (5, 3), (12, 10), (13, 4), (26, 30)] {
                let count = (width * height) as usize;
                assert_eq!(image.shrunk_to(width, height), grey(width, height, &vec![value; count]));
            }
        }
    }

    #[test]
    fn hidden_colours_do_not_bleed() {
        let seen = u32::from_le_bytes([100, 150, 200, 255]);
        let hidden = u32::from_le_bytes([255, 0, 0, 0]);
        let image = PackedImage { width: 2, height: 1, pixels: vec![seen, hidden] };
        assert_eq!(image.shrunk_by(2).pixels, [u32::from_le_bytes([100, 150, 200, 128])]);
        let all_hidden = PackedImage { width: 2, height: 1, pixels: vec![hidden; 2] };
        assert_eq!(all_hidden.shrunk_by(2).pixels, [0]);
    }

    #[test]
    fn sizes_round_and_stay_above_zero() {
        for (size, factor, expected) in [(1023, 2, 512), (1023, 4, 256), (5, 2, 3), (1, 8, 1), (9, 0, 9)] {
            assert_eq!(divided(size, factor), expected);
        }
    }
}
