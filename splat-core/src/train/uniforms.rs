//! The parameters of a step's loss and optimizer kernels.

use super::config::{Strategy, TrainConfig};
use super::frame::EXTENT;
use crate::Exposure;
use crate::gpu::layout::TrainUniform;
use crate::random::Random;
use crate::scene::AlphaMode;

/// Adam's epsilon (Inria, gsplat).
const ADAM_EPSILON: f32 = 1e-15;
/// Learning rate of the other SH terms, relative to the constant one (Inria).
const SH_REST_SHARE: f32 = 1.0 / 20.0;

/// What a step's parameters depend on besides the configuration.
#[derive(Clone, Copy, Debug)]
pub(super) struct StepState {
    /// Step, from 0.
    pub(super) step: u32,
    /// How much deeper the scene is than the cameras' reach, see [`SceneFrame::depth`](super::frame::SceneFrame::depth).
    pub(super) depth: f32,
    /// Number of Gaussians.
    pub(super) gaussians: u32,
    /// Pixels of the step's image.
    pub(super) pixels: u32,
    /// The photo's exposure.
    pub(super) exposure: Exposure,
    /// See [`TrainUniform::average_weight`].
    pub(super) average_weight: f32,
}

/// The background colour of a step: random where photos are transparent, and behind a scene with a backdrop.
pub(super) fn background(config: &TrainConfig, step: u32) -> [f32; 3] {
    if config.alpha() == AlphaMode::Mask && !config.has_backdrop() {
        return config.background;
    }
    let mut random = Random::new(config.seed, 0x6261_636b, step);
    [random.uniform() as f32, random.uniform() as f32, random.uniform() as f32]
}

/// The uniform of a step.
pub(super) fn train_uniform(config: &TrainConfig, state: &StepState) -> TrainUniform {
    let step = state.step;
    let t = f64::from(step) + 1.0;
    let boost = config.rate_boost();
    let deeper = if config.rate_by_depth { state.depth } else { 1.0 };
    let rate_mean = config.rate_mean_at(step) * EXTENT * deeper;
    let faded = config.fade_at(step);
    let boost = boost * faded;
    let mcmc = config.strategy == Strategy::Mcmc;
    let per_gaussian = if mcmc { 1.0 / state.gaussians.max(1) as f32 } else { 0.0 };
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
        image_pixels: state.pixels,
        ssim_weight: config.ssim_weight,
        alpha_mode: u32::from(config.alpha() == AlphaMode::Transparent),
        average_weight: state.average_weight,
        gain: state.exposure.factors.map(|factor| factor as f32),
        vignette: state.exposure.vignette as f32,
    }
}
