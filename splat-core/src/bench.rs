//! How fast this machine blends, against the same loop in plain Rust.
//!
//! The figure is Gaussian-pixel evaluations per second: one Gaussian blended over one pixel. The plain loop,
//! vectorised by the compiler and run on every core, is what the machine's processor can do; on software Vulkan
//! the ratio says what the kernels lose, and it holds when other programs slow both.

use std::time::Instant;

use glam::DVec3;
use rayon::prelude::*;

use crate::gaussians::{GaussianCloud, SH_C0};
use crate::gpu::Gpu;
use crate::render::{FrameGradient, GaussianBuffers, RenderOptions, Renderer};
use crate::{Camera, Pinhole, Pose, Result};

/// Size of the picture and number of Gaussians that cover all of it (measured shapes of the project's notes).
const WIDTH: u32 = 480;
const HEIGHT: u32 = 272;
const GAUSSIANS: usize = 512;
/// Rounds; the fastest counts, since other programs only ever slow one down.
const ROUNDS: usize = 5;
/// Pixels that the plain loop keeps in registers at once.
const BLOCK: usize = 64;

/// Rates in Gaussian-pixel evaluations per second.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct BlendRates {
    /// The whole forward pass.
    pub forward: f64,
    /// The whole backward pass.
    pub backward: f64,
    /// The forward loop in plain Rust, all cores.
    pub plain_rust: f64,
}

/// Measures both, alternately.
///
/// # Errors
/// What the device reports.
pub fn blend_rates(gpu: &Gpu) -> Result<BlendRates> {
    let renderer = Renderer::new(gpu)?;
    let cloud = faint_cover();
    let gaussians = GaussianBuffers::upload(gpu, &cloud)?;
    let intrinsics = Pinhole { width: WIDTH, height: HEIGHT, fx: 300.0, fy: 300.0, cx: 240.0, cy: 136.0 };
    let camera = Camera { intrinsics, cam_from_world: Pose::look_at(-DVec3::Z, DVec3::ZERO, DVec3::Y) };
    let pixels = (WIDTH * HEIGHT) as usize;
    let weights = vec![1.0; pixels * 3];
    let gradient = FrameGradient { v_rgb: &weights, ..FrameGradient::default() };
    let evaluations = (pixels * GAUSSIANS) as f64;
    let mut best = BlendRates { forward: 0.0, backward: 0.0, plain_rust: 0.0 };
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let frame = renderer.render(&gaussians, &camera, &RenderOptions::default())?;
        best.forward = best.forward.max(evaluations / start.elapsed().as_secs_f64());
        let start = Instant::now();
        renderer.backward(&gaussians, &frame, &gradient)?;
        best.backward = best.backward.max(evaluations / start.elapsed().as_secs_f64());
        let start = Instant::now();
        std::hint::black_box(plain_blend(&splats()));
        best.plain_rust = best.plain_rust.max(evaluations / start.elapsed().as_secs_f64());
    }
    Ok(best)
}

/// Gaussians so large and faint that every one reaches every pixel and none ends it.
fn faint_cover() -> GaussianCloud {
    let mut cloud = GaussianCloud::default();
    for i in 0..GAUSSIANS {
        cloud.means.push([0.0, 0.0, i as f32 * 1e-3]);
        cloud.quats.push([1.0, 0.0, 0.0, 0.0]);
        cloud.log_scales.push([2.0; 3]);
        // Opacity 0.012: above 1/255 everywhere, and 512 of them leave a hundredth of the light.
        cloud.opacity_logits.push(-4.4);
        cloud.sh_coeffs.push([0.5 * SH_C0; 3]);
    }
    cloud
}

/// Mean, exponent form (a, b, c, log2 opacity) and colour, as the kernel keeps them.
fn splats() -> Vec<[f32; 9]> {
    (0..GAUSSIANS).map(|i| [240.0, 136.0, -1e-7, 0.0, -1e-7, -6.4, 0.5, 0.4, i as f32 * 1e-3]).collect()
}

/// `rasterize.wgsl`'s inner loop over blocks of a row, in plain Rust.
fn plain_blend(splats: &[[f32; 9]]) -> Vec<[f32; 4]> {
    let mut frame = vec![[0.0_f32; 4]; (WIDTH * HEIGHT) as usize];
    frame.par_chunks_mut(BLOCK).enumerate().for_each(|(block, pixels)| {
        let first = block * BLOCK;
        let mut light = [1.0_f32; BLOCK];
        let mut colour = [[0.0_f32; BLOCK]; 3];
        for &[mx, my, a, b, c, log2_opacity, red, green, blue] in splats {
            for k in 0..BLOCK {
                let index = first + k;
                let dx = (index % WIDTH as usize) as f32 + 0.5 - mx;
                let dy = (index / WIDTH as usize) as f32 + 0.5 - my;
                let exponent = log2_opacity + dx * (a * dx + b * dy) + c * dy * dy;
                let alpha = exp2(exponent.min(-0.0145));
                let seen = exponent >= -7.994_353;
                let next = light[k] * (1.0 - alpha);
                let weight = if seen && next > 1e-4 { alpha * light[k] } else { 0.0 };
                colour[0][k] += weight * red;
                colour[1][k] += weight * green;
                colour[2][k] += weight * blue;
                light[k] = if seen { next } else { light[k] };
            }
        }
        for (k, pixel) in pixels.iter_mut().enumerate() {
            *pixel = [colour[0][k], colour[1][k], colour[2][k], light[k]];
        }
    });
    frame
}

/// 2^x for x in -126..0 in operations that compilers vectorise: a cubic on the fraction, the rest in the exponent.
#[inline]
fn exp2(x: f32) -> f32 {
    // Conversion cuts towards zero, which for negative numbers is up.
    let floor = (x.max(-125.0) - 1.0) as i32;
    let fraction = x - floor as f32;
    let power = 1.0 + fraction * (0.695_556_9 + fraction * (0.226_173_34 + fraction * 0.078_024_52));
    power * f32::from_bits(((floor + 127) << 23) as u32)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_plain_loops_exponential_is_one() {
        for i in 0..2000 {
            let x = -(i as f32) * 0.006;
            assert!((super::exp2(x) / x.exp2() - 1.0).abs() < 2e-4, "{x}");
        }
    }
}
