//! The numbers that a step's kernels are told.

use super::config::Strategy;
use super::frame::EXTENT;
use super::trainer::Trainer;
use crate::gpu::layout::{TrainUniform, ViewUniform};
use crate::random::Random;
use crate::scene::AlphaMode;

/// Adam's epsilon (Inria, gsplat).
const ADAM_EPSILON: f32 = 1e-15;
/// The other SH terms learn at this share of the constant one's rate (Inria).
const SH_REST_SHARE: f32 = 1.0 / 20.0;

impl Trainer {
    /// The colour behind everything in a step.
    pub(super) fn background(&self, step: u32) -> [f32; 3] {
        if self.config.alpha() == AlphaMode::Mask {
            return self.config.background;
        }
        let mut random = Random::new(self.config.seed, 0x6261_636b, step);
        [random.uniform() as f32, random.uniform() as f32, random.uniform() as f32]
    }

    /// What the optimizer's kernels are told of a step on a view.
    pub(super) fn train_uniform(&self, step: u32, index: usize, view: &ViewUniform) -> TrainUniform {
        let config = &self.config;
        let t = f64::from(step) + 1.0;
        let boost = config.rate_boost();
        let rate_mean = config.rate_mean_at(step) * EXTENT;
        let faded = config.fade_at(step);
        let boost = boost * faded;
        let mcmc = config.strategy == Strategy::Mcmc;
        let per_gaussian = if mcmc { 1.0 / self.gaussians.count.max(1) as f32 } else { 0.0 };
        TrainUniform {
            rate_mean,
            rate_opacity: config.rate_opacity * faded,
            rate_quat: config.rate_quat * boost,
            rate_scale: config.rate_scale * boost,
            rate_sh_constant: config.rate_sh * boost,
            rate_sh_rest: config.rate_sh * boost * SH_REST_SHARE,
            beta1: config.beta1,
            beta2: config.beta2,
            epsilon: ADAM_EPSILON,
            correction1: (1.0 - f64::from(config.beta1).powf(t)) as f32,
            correction2_sqrt: (1.0 - f64::from(config.beta2).powf(t)).sqrt() as f32,
            opacity_regularizer: config.densify.opacity_regularizer * per_gaussian,
            scale_regularizer: config.densify.scale_regularizer * per_gaussian / 3.0,
            noise_scale: if mcmc { config.densify.noise * rate_mean } else { 0.0 },
            step,
            seed: (config.seed ^ (config.seed >> 32)) as u32,
            image_pixels: view.pixel_count(),
            ssim_weight: config.ssim_weight,
            alpha_mode: u32::from(config.alpha() == AlphaMode::Transparent),
            average_weight: self.window.weight(step),
            gain: self.exposure(index).map(|factor| factor as f32),
            padding: 0,
        }
    }
}
