//! Brightness of a photo relative to the scene.

use serde::{Deserialize, Serialize};

/// Exposure, white balance and vignette of a photo relative to the scene: a render is multiplied by them before it is compared
/// with the photo. All of them refer to encoded colours, as the photos store them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exposure {
    /// Factors of red, green and blue.
    pub factors: [f64; 3],
    /// Natural logarithm of the brightness in a corner relative to the centre, see [`Exposure::vignette_at`]; 0: no vignette.
    pub vignette: f64,
}

impl Default for Exposure {
    /// That of a photo as bright as the scene.
    fn default() -> Self {
        Self { factors: [1.0; 3], vignette: 0.0 }
    }
}

impl Exposure {
    /// The vignette's factor at a pixel of an image: `exp(vignette * (r² - 1/3))`, where r is the distance of the pixel's centre from
    /// the image's, and 1 in a corner. Over an image, the mean of r² is 1/3 at any aspect ratio, so a vignette does not change the mean
    /// brightness (of the logarithm). `gain_at` of `shaders/lib/adam.wgsl` is the same.
    #[must_use]
    pub fn vignette_at(&self, pixel: [u32; 2], size: [u32; 2]) -> f64 {
        if self.vignette == 0.0 {
            1.0
        } else {
            (self.vignette * (radius_squared(pixel, size) - 1.0 / 3.0)).exp()
        }
    }

    /// Whether a photo can have it: factors are positive and everything is finite.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.vignette.is_finite() && self.factors.iter().all(|factor| factor.is_finite() && *factor > 0.0)
    }
}

/// Squared distance of a pixel's centre from the image's centre, in halves of the diagonal.
pub(crate) fn radius_squared([x, y]: [u32; 2], [width, height]: [u32; 2]) -> f64 {
    let [width, height] = [f64::from(width), f64::from(height)];
    let offset = [2.0 * f64::from(x) + 1.0 - width, 2.0 * f64::from(y) + 1.0 - height];
    (offset[0] * offset[0] + offset[1] * offset[1]) / (width * width + height * height)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vignette_darkens_corners_and_keeps_the_mean() {
        let size = [60, 40];
        let exposure = Exposure { vignette: -0.3, ..Exposure::default() };
        let at = |x, y| exposure.vignette_at([x, y], size).ln();
        assert!((at(30, 20) - 0.1).abs() < 1e-3 && (at(0, 0) + 0.2).abs() < 0.02);
        let sum: f64 = (0..40).flat_map(|y| (0..60).map(move |x| (x, y))).map(|(x, y)| at(x, y)).sum();
        assert!((sum / 2400.0).abs() < 1e-4, "the mean of the logarithm is {}", sum / 2400.0);
    }
}
