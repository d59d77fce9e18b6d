//! Twin of `rasterize.wgsl`: blends sorted splats to an image.

use super::{ALPHA_MAX, ALPHA_MIN, Gaussians, Options, Splat, TRANSMITTANCE_MIN, View, project, sort};

/// Output of [`rasterize`]. Every field is row-major, `[H,W]` or `[H,W,3]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Colour over the background, `[H,W,3]`.
    pub rgb: Vec<f64>,
    /// Coverage `1 - T`, `[H,W]`.
    pub alpha: Vec<f64>,
    /// Expected depth `Σ aᵢ Tᵢ zᵢ` in world units, `[H,W]`. Not divided by alpha: 0 where nothing is drawn.
    pub depth: Vec<f64>,
    /// Splats blended into each pixel, `[H,W]`.
    pub contributors: Vec<u32>,
    /// Distance of each pixel from a discontinuity of the image, `[H,W]`: the smallest relative distance of any alpha from 1/255,
    /// of `a` before its cap from 0.99, and of any transmittance from 1e-4. Where this is below about 1e-4 an f32 kernel may
    /// decide differently, and finite differences across a discontinuity are meaningless.
    pub jump_distance: Vec<f64>,
}

/// Projects, sorts and blends: the complete forward pass.
#[must_use]
pub fn render(gaussians: &Gaussians, view: &View, options: &Options) -> Picture {
    rasterize(&sort(&project(gaussians, view, options)), view, options)
}

/// Blends splats, front to back in the given order, to an image of the view's size.
///
/// At a pixel's centre `p` (its index + 0.5), with `d = p - mean2d`:
/// `a = min(0.99, opacity exp(-(A dx² + C dy²) / 2 - B dx dy))`, `C = Σ cᵢ aᵢ Tᵢ`,
/// `Tᵢ = Π (1 - aⱼ)`. A splat is skipped where its exponent is positive or `a < 1/255`; the pixel
/// ends before a splat that would make `T ≤ 1e-4`.
///
/// # Source
/// 3D Gaussian Splatting (Kerbl et al. 2023), eq. 3; cap, floor and stop as in the authors' code.
#[must_use]
pub fn rasterize(splats: &[Splat], view: &View, options: &Options) -> Picture {
    let (width, height) = (view.intrinsics.width as usize, view.intrinsics.height as usize);
    let mut pixels = vec![Pixel::default(); width * height];
    for splat in splats {
        let columns = covered(splat.mean2d.x, splat.radii.x, width);
        for row in covered(splat.mean2d.y, splat.radii.y, height) {
            let dy = row as f64 + 0.5 - splat.mean2d.y;
            let Some(line) = pixels.get_mut(row * width..(row + 1) * width) else { continue };
            for (column, pixel) in line.iter_mut().enumerate().take(columns.end).skip(columns.start) {
                let dx = column as f64 + 0.5 - splat.mean2d.x;
                let [a, b, c] = splat.conic;
                let exponent = 0.5 * (a * dx * dx + c * dy * dy) + b * dx * dy;
                pixel.blend(exponent, splat.opacity, splat.rgb, splat.depth);
            }
        }
    }
    Picture::of(view.intrinsics.width, view.intrinsics.height, &pixels, options)
}

impl Picture {
    pub(super) fn of(width: u32, height: u32, pixels: &[Pixel], options: &Options) -> Self {
        Self {
            width,
            height,
            rgb: pixels.iter().flat_map(|pixel| pixel.over(options.background)).collect(),
            alpha: pixels.iter().map(|pixel| 1.0 - pixel.transmittance).collect(),
            depth: pixels.iter().map(|pixel| pixel.depth).collect(),
            contributors: pixels.iter().map(|pixel| pixel.contributors).collect(),
            jump_distance: pixels.iter().map(|pixel| pixel.jump_distance).collect(),
        }
    }
}

/// Range of pixels along one axis that the box `mean ± radius` touches.
fn covered(mean: f64, radius: f64, size: usize) -> std::ops::Range<usize> {
    // Float to integer casts saturate, so huge boxes end at the image's border.
    let start = (mean - radius).floor().max(0.0) as usize;
    let end = (mean + radius).ceil().max(0.0) as usize;
    start.min(size)..end.min(size)
}

/// State of a pixel during blending.
#[derive(Clone)]
pub(super) struct Pixel {
    rgb: [f64; 3],
    depth: f64,
    transmittance: f64,
    contributors: u32,
    ended: bool,
    pub(super) jump_distance: f64,
}

impl Default for Pixel {
    fn default() -> Self {
        Self {
            rgb: [0.0; 3],
            depth: 0.0,
            transmittance: 1.0,
            contributors: 0,
            ended: false,
            jump_distance: f64::INFINITY,
        }
    }
}

impl Pixel {
    /// Blends a Gaussian with alpha `opacity exp(-exponent)` behind the previous ones.
    pub(super) fn blend(&mut self, exponent: f64, opacity: f64, rgb: [f64; 3], depth: f64) {
        if self.ended || exponent.is_nan() || exponent < 0.0 {
            return;
        }
        let uncapped = opacity * (-exponent).exp();
        self.note_jump(uncapped, ALPHA_MIN);
        self.note_jump(uncapped, ALPHA_MAX);
        let alpha = uncapped.min(ALPHA_MAX);
        if alpha < ALPHA_MIN {
            return;
        }
        let next = self.transmittance * (1.0 - alpha);
        self.note_jump(next, TRANSMITTANCE_MIN);
        if next <= TRANSMITTANCE_MIN {
            self.ended = true;
            return;
        }
        let weight = alpha * self.transmittance;
        for (sum, channel) in self.rgb.iter_mut().zip(rgb) {
            *sum += weight * channel;
        }
        self.depth += weight * depth;
        self.transmittance = next;
        self.contributors += 1;
    }

    fn note_jump(&mut self, value: f64, threshold: f64) {
        self.jump_distance = self.jump_distance.min((value / threshold - 1.0).abs());
    }

    fn over(&self, background: [f64; 3]) -> [f64; 3] {
        std::array::from_fn(|i| self.rgb[i] + self.transmittance * background[i])
    }
}
