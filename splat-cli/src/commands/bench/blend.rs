//! Blending rates of this machine, compared with the same loop in plain Rust and with the device's peak rates.
//!
//! The rate is in Gaussian-pixel evaluations per second: one Gaussian blended over one pixel. The plain loop, vectorised by the
//! compiler and run on all cores, shows what the CPU can do; on software Vulkan the ratio shows the overhead of the kernels, and
//! is not affected by other programs that slow down both. On a GPU, the kernels' times by timestamps are compared with the rates
//! that [`DeviceRates`] measures.

use std::collections::BTreeMap;
use std::time::Instant;

use glam::DVec3;
use rayon::prelude::*;

use splat_core::gaussians::SH_C0;
use splat_core::gpu::rates::DeviceRates;
use splat_core::{
    Camera, FrameGradient, GaussianBuffers, GaussianCloud, Gpu, LensCamera, Pinhole, Pose, RenderOptions,
    Renderer, RendererKind, Result,
};

/// Image size, and number of Gaussians that cover all of it (shapes measured in the project's notes).
const WIDTH: u32 = 480;
const HEIGHT: u32 = 272;
const GAUSSIANS: usize = 512;
/// Factor on both image dimensions on a GPU, which the small image would not fill.
const GPU_FACTOR: u32 = 4;
/// Number of rounds; the fastest counts, since interference only slows a round down.
const ROUNDS: usize = 5;
/// Pixels per iteration of the plain loop.
const BLOCK: usize = 32;
/// Arithmetic operations per evaluation in `rasterize.wgsl` with `lib/response_ewa.wgsl`, a multiply-add counted once and
/// comparisons and selections not at all: offset 2, exponent 5, its cap 1, exp2 1, transmittance 2, weight 1, colour 3,
/// depth 1.
const FORWARD_OPERATIONS: f64 = 16.0;
/// The same in `rasterize_backward.wgsl`: offset 2, exponent 5, cap 1, exp2 1, 1 - alpha 1, its inverse 1, transmittance 1,
/// weight 1, colour sums 3, depth sum 1, product with the gradient 4, its part of alpha 2, colour behind 1, s 1, its moments 8.
const BACKWARD_OPERATIONS: f64 = 33.0;

/// Rates in Gaussian-pixel evaluations per second.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub(super) struct BlendRates {
    /// The whole forward pass, including launch and read-back.
    pub(super) forward: f64,
    /// The whole backward pass, likewise.
    pub(super) backward: f64,
    /// The forward loop in plain Rust, all cores.
    pub(super) plain_rust: f64,
    /// `rasterize` only; `None` if the device has no timestamps.
    pub(super) rasterize: Option<f64>,
    /// `rasterize_backward` only; `None` if the device has no timestamps.
    pub(super) rasterize_backward: Option<f64>,
}

impl BlendRates {
    /// Shares of the device's multiply-add rate that `rasterize` and `rasterize_backward` reach, from the number of arithmetic
    /// operations per evaluation.
    pub(super) fn shares(&self, device: &DeviceRates) -> Option<[f64; 2]> {
        Some([
            self.rasterize? * FORWARD_OPERATIONS / device.multiply_adds,
            self.rasterize_backward? * BACKWARD_OPERATIONS / device.multiply_adds,
        ])
    }
}

/// Measures all rates, alternately.
///
/// # Errors
/// Errors of the device.
pub(super) fn blend_rates(gpu: &Gpu) -> Result<BlendRates> {
    let renderer = Renderer::new(gpu, RendererKind::Ewa)?;
    let cloud = faint_cover();
    let gaussians = GaussianBuffers::upload(gpu, &cloud)?;
    let factor = if gpu.report().is_software() { 1 } else { GPU_FACTOR };
    let (width, height, scale) = (WIDTH * factor, HEIGHT * factor, f64::from(factor));
    let intrinsics =
        Pinhole { width, height, fx: 300.0 * scale, fy: 300.0 * scale, cx: 240.0 * scale, cy: 136.0 * scale };
    let camera = Camera { intrinsics, cam_from_world: Pose::look_at(-DVec3::Z, DVec3::ZERO, DVec3::Y) };
    let camera = LensCamera::from(camera);
    let pixels = (width * height) as usize;
    let weights = vec![1.0; pixels * 3];
    let gradient = FrameGradient { v_rgb: &weights, ..FrameGradient::default() };
    let evaluations = (pixels * GAUSSIANS) as f64;
    let plain_evaluations = f64::from(WIDTH * HEIGHT) * GAUSSIANS as f64;
    let mut best = BlendRates {
        forward: 0.0,
        backward: 0.0,
        plain_rust: 0.0,
        rasterize: None,
        rasterize_backward: None,
    };
    let rate = |name: &str, totals: &BTreeMap<&str, f64>, best: &mut Option<f64>| {
        if let Some(ms) = totals.get(name).filter(|ms| **ms > 0.0) {
            *best = Some(best.unwrap_or(0.0).max(evaluations * 1e3 / ms));
        }
    };
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let frame = renderer.render(&gaussians, &camera, &RenderOptions::default())?;
        best.forward = best.forward.max(evaluations / start.elapsed().as_secs_f64());
        let start = Instant::now();
        renderer.backward(&gaussians, &frame, &gradient)?;
        best.backward = best.backward.max(evaluations / start.elapsed().as_secs_f64());
        let start = Instant::now();
        std::hint::black_box(plain_blend(&splats()));
        best.plain_rust = best.plain_rust.max(plain_evaluations / start.elapsed().as_secs_f64());

        let totals = renderer.profile(&gaussians, &camera, &RenderOptions::default(), &gradient)?;
        rate("rasterize", &totals, &mut best.rasterize);
        rate("rasterize_backward", &totals, &mut best.rasterize_backward);
    }
    Ok(best)
}

/// Gaussians so large and faint that each covers every pixel and no pixel ends early.
fn faint_cover() -> GaussianCloud {
    let mut cloud = GaussianCloud::default();
    for i in 0..GAUSSIANS {
        cloud.means.push([0.0, 0.0, i as f32 * 1e-3]);
        cloud.quats.push([1.0, 0.0, 0.0, 0.0]);
        cloud.log_scales.push([2.0; 3]);
        // Opacity 0.012: above 1/255 everywhere, and 512 of them leave a transmittance of a hundredth.
        cloud.opacity_logits.push(-4.4);
        cloud.sh_coeffs.push([0.5 * SH_C0; 3]);
    }
    cloud
}

/// Mean, exponent form (a, b, c, log2 opacity) and colour, as in the kernel.
type PlainSplat = [f32; 9];

fn splats() -> Vec<PlainSplat> {
    (0..GAUSSIANS).map(|i| [240.0, 136.0, -1e-7, 0.0, -1e-7, -6.4, 0.5, 0.4, i as f32 * 1e-3]).collect()
}

/// `rasterize.wgsl`'s inner loop over blocks of a row, in plain Rust.
fn plain_blend(splats: &[PlainSplat]) -> Vec<[f32; 4]> {
    let mut frame = vec![[0.0_f32; 4]; (WIDTH * HEIGHT) as usize];
    frame.par_chunks_mut(BLOCK).enumerate().for_each(|(block, pixels)| {
        let place = |k: usize| (block * BLOCK + k) as u32;
        let x: [f32; BLOCK] = std::array::from_fn(|k| (place(k) % WIDTH) as f32 + 0.5);
        let y: [f32; BLOCK] = std::array::from_fn(|k| (place(k) / WIDTH) as f32 + 0.5);
        let blended = plain_block(splats, &x, &y);
        for (k, pixel) in pixels.iter_mut().enumerate() {
            *pixel = [blended[0][k], blended[1][k], blended[2][k], blended[3][k]];
        }
    });
    frame
}

/// Red, green, blue and transmittance of one block of pixels; compiled for each set of vector instructions.
#[multiversion::multiversion(targets("x86_64+avx2+fma", "aarch64+neon"))]
fn plain_block(splats: &[PlainSplat], x: &[f32; BLOCK], y: &[f32; BLOCK]) -> [[f32; BLOCK]; 4] {
    let [mut red, mut green, mut blue] = [[0.0_f32; BLOCK]; 3];
    let mut transmittance = [1.0_f32; BLOCK];
    for &[mx, my, a, b, c, log2_opacity, r, g, bl] in splats {
        for k in 0..BLOCK {
            let (dx, dy) = (x[k] - mx, y[k] - my);
            let exponent = log2_opacity + dx * (a * dx + b * dy) + c * dy * dy;
            let alpha = exp2(exponent.clamp(-100.0, -0.0145));
            let seen = exponent >= -7.994_353;
            let next = transmittance[k] * (1.0 - alpha);
            let weight = if seen && next > 1e-4 { alpha * transmittance[k] } else { 0.0 };
            red[k] += weight * r;
            green[k] += weight * g;
            blue[k] += weight * bl;
            transmittance[k] = if seen { next } else { transmittance[k] };
        }
    }
    [red, green, blue, transmittance]
}

/// 2^x for x in -100..100, by operations that compilers vectorise.
#[inline(always)]
fn exp2(x: f32) -> f32 {
    // Adding 1.5 * 2^23 leaves the nearest integer in the low bits of the sum.
    const SHIFT: f32 = 12_582_912.0;
    let shifted = x + SHIFT;
    let f = x - (shifted - SHIFT);
    // Taylor series of 2^f; for |f| <= 1/2 the remainder is below 3e-6.
    let power = 1.0
        + f * (std::f32::consts::LN_2
            + f * (0.240_226_5 + f * (0.055_504_11 + f * (0.009_618_13 + f * 0.001_333_36))));
    f32::from_bits(power.to_bits().wrapping_add(shifted.to_bits() << 23))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_plain_loops_exponential_is_one() {
        for i in 0..2000 {
            let x = -(i as f32) * 0.006;
            assert!((super::exp2(x) / x.exp2() - 1.0).abs() < 4e-6, "{x}");
        }
    }
}
