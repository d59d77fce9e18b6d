//! Settings of training, with the source of every default.

use serde::{Deserialize, Serialize};

use super::poses::PoseMode;
use crate::renderer_kind::RendererKind;
use crate::scene::AlphaMode;

/// Number of steps that the schedules below refer to; they are scaled by [`TrainConfig::steps`].
pub const REFERENCE_STEPS: u32 = 30_000;

/// [`TrainConfig::scale_floor`] with 3DGUT.
pub const SCALE_FLOOR_GUT: f32 = 0.2;

crate::words! {
    /// How Gaussians are added and removed. [`Strategy::Mcmc`] chooses by opacity, and moves means in a random walk.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Strategy {
        #[default]
        Mcmc = "mcmc", "Move dead Gaussians onto living ones, up to a cap (Kheradmand et al. 2024)";
        Adc = "adc", "Clone, split and prune by screen-space gradients (Kerbl et al. 2023)";
    }
}

/// Settings of a training run. [`Default`] is the standard recipe.
///
/// A default for which no other source is given is that of the 3DGS authors' code (Kerbl et al. 2023: learning rates, weight of SSIM,
/// steps between SH degrees, ADC), of the 3DGS-MCMC authors' code (Kheradmand et al. 2024: regularizers, random walk, last refinement), or
/// of Adam's authors (Kingma and Ba 2015: decays).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrainConfig {
    /// Number of steps, which scales every schedule.
    pub steps: u32,
    /// Seed of all random choices. The same seed, machine and input give the same bytes.
    pub seed: u64,
    /// The renderer. `None`: 3DGUT if the dataset keeps a lens's distortion, else EWA.
    pub renderer: Option<RendererKind>,
    /// Number of steps at the end that train with EWA after 3DGUT, so that ordinary viewers show what was trained. If a dataset
    /// keeps a lens's distortion, these steps use undistorted photos.
    pub finish_ewa_steps: u32,
    /// How Gaussians are added and removed.
    pub strategy: Strategy,
    /// Maximum number of Gaussians. Default: as many as the photos can resolve and memory allows, see
    /// [`super::memory::Workload::default_gaussians`].
    pub max_gaussians: Option<u32>,
    /// Maximum SH degree, 0 to 3.
    pub sh_degree: u32,
    /// Steps (of 30,000) between increments of the SH degree; 0: the maximum degree from the first step on.
    pub sh_degree_every: u32,
    /// Train every step at full image size; otherwise coarse to fine.
    pub full_size: bool,
    /// Shares of the run until which the image size is halved, once for each share not yet reached. The default is from the table
    /// "Image sizes at the start" of `docs/benchmarks.md`.
    pub coarse_until: Vec<f32>,
    /// Learning rate of the means at the first step, relative to the scene's extent.
    pub rate_mean: f32,
    /// Share of that rate that is left at the last step (exponential decay). Short runs keep more, see
    /// [`TrainConfig::mean_share_left`].
    pub rate_mean_final: f32,
    /// Whether the means' rate is higher in scenes that are deeper than the reach of their cameras, by as much as they are: the
    /// extent is the cameras', and they may stand close together before something large. Photos taken around a thing, or along a
    /// wall, have a depth of about the cameras' reach, and train nearly as without this. See the table "Depth" of `docs/benchmarks.md`.
    pub rate_by_depth: bool,
    /// Whether runs of fewer than 30,000 steps use higher rates, see [`TrainConfig::rate_boost`] and
    /// [`TrainConfig::mean_share_left`].
    pub short_run_rates: bool,
    /// Learning rate of the opacity logits.
    pub rate_opacity: f32,
    /// Learning rate of the log-scales.
    pub rate_scale: f32,
    /// Learning rate of the quaternions.
    pub rate_quat: f32,
    /// Learning rate of the SH constant term; the other terms use 1/20 of it.
    pub rate_sh: f32,
    /// From [`TrainConfig::fade_from`] (a share of the steps) on, all rates decay to this share. 1, the default, disables it:
    /// decay helps on the public benchmark, but costs 0.8 dB on the demo's photos (300 steps) and about 0.1 dB on a capture of a
    /// door.
    pub rate_final: f32,
    /// Share of the steps after which rates decay; see [`TrainConfig::rate_final`].
    pub fade_from: f32,
    /// At its end a run shows and writes the mean of its states over this share of its steps. 0: the last state. With constant
    /// rates the state follows the latest photo, the mean does not: 26.5 dB instead of 26.3 after 500 steps on the public
    /// benchmark, and no difference on the demo's photos.
    pub average_last: f32,
    /// Decay of Adam's first moment.
    pub beta1: f32,
    /// Decay of Adam's second moment.
    pub beta2: f32,
    /// Weight of `1 - SSIM` in the loss; the rest is L1.
    pub ssim_weight: f32,
    /// Colour behind everything. While training a scene with a [`TrainConfig::backdrop`] it is random.
    pub background: [f32; 3],
    /// Meaning of the photos' alpha. `None`: determined from the dataset, see [`crate::Dataset::fitting_alpha`].
    pub alpha_mode: Option<AlphaMode>,
    /// If photos differ in brightness or white balance, as a phone's do: train in their mean brightness, and compare each photo
    /// with the render times its own factors (per channel, measured before the first step). Factors of held-out photos are
    /// predicted. A camera's vignette is compensated in the same way. See [`crate::Exposure`].
    pub exposure: bool,
    /// Whether the photos' poses are refined.
    pub poses: PoseMode,
    /// Train for the anti-aliased (Mip-Splatting 2-D filter) mode.
    pub antialiased: bool,
    /// Minimum variance of a rendered Gaussian, in square pixels of the closest training photo: the 3-D smoothing filter of
    /// Mip-Splatting (Yu et al. 2024; theirs is 0.2). 0: none. `None`: [`SCALE_FLOOR_GUT`] for 3DGUT, which has no other low-pass
    /// filter, and none for EWA, which blurs by 0.3.
    pub scale_floor: Option<f32>,
    /// Minimum number of initial Gaussians: if the scene has fewer points, the others start where photos agree. At most one per
    /// 64 pixels of the photos.
    pub seed_points: u32,
    /// Whether the first Gaussians include some far behind the scene, in every direction that photos show, and each step has a random
    /// background colour. `None`: yes. There are none all the same if the photos have alpha, are mostly masked or have the colour of
    /// [`TrainConfig::background`] where they show no points, with fewer than 100 points, or if they were more than a quarter of all
    /// Gaussians (2,000 for photos in all directions). See the table "Backdrop" of `docs/benchmarks.md`.
    pub backdrop: Option<bool>,
    /// Initial opacity. This and [`TrainConfig::initial_scale`] are from the table "First Gaussians" of `docs/benchmarks.md`; the
    /// 3DGS authors' code uses 0.1 and 1, gsplat's MCMC 0.5 and 0.1.
    pub initial_opacity: f32,
    /// Initial size, relative to the mean distance to the three nearest neighbours.
    pub initial_scale: f32,
    /// Settings of densification.
    pub densify: DensifyConfig,
    /// From where on schedules run at a constant pace to their end; `None`: from the first step. Set by
    /// [`super::Trainer::replan`].
    pub pace: Option<Pace>,
}

/// State of the schedules when the number of steps was changed: see [`super::Trainer::replan`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pace {
    /// Steps done at that time.
    pub done: u32,
    /// Progress of the schedules at that time, 0 to 1.
    pub progress: f64,
}

/// Settings of densification; numbers of steps refer to 30,000.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DensifyConfig {
    /// First step.
    pub from: u32,
    /// ADC's last step.
    pub until_adc: u32,
    /// MCMC's last step.
    pub until_mcmc: u32,
    /// Steps between refinements.
    pub every: u32,
    /// Minimum number of the run's steps between refinements, since each needs enough views.
    pub at_least_every: u32,
    /// ADC: threshold of the mean gradient for growth. The gradient is that of the 2-D mean, in half image sizes; with 3DGUT that
    /// of the 3-D mean, times half its distance from the camera (3dgrut). With the same threshold both give about as many
    /// Gaussians: 25,300 and 25,900 after 1,000 steps on the public benchmark at half size.
    pub grow_gradient: f32,
    /// ADC: use sums of absolute gradients (AbsGS), with `grow_gradient_abs` as threshold.
    pub abs_gradient: bool,
    /// ADC: threshold for absolute gradients.
    pub grow_gradient_abs: f32,
    /// ADC: larger Gaussians (relative to the extent) are split, smaller ones cloned.
    pub split_scale: f32,
    /// ADC: larger ones (relative to the extent) are removed after the first opacity reset.
    pub prune_scale: f32,
    /// Gaussians with a lower opacity are removed (ADC) or relocated (MCMC).
    pub prune_opacity: f32,
    /// ADC: steps between opacity resets.
    pub reset_every: u32,
    /// MCMC: growth per refinement, as a share of the run's initial number. Chosen with the table "Growth" of
    /// `docs/benchmarks.md`.
    pub growth: f32,
    /// MCMC: weight of the mean opacity in the loss.
    pub opacity_regularizer: f32,
    /// MCMC: weight of the mean scale in the loss.
    pub scale_regularizer: f32,
    /// MCMC: scale of the random walk, relative to the means' learning rate.
    pub noise: f32,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            steps: REFERENCE_STEPS,
            seed: 0,
            renderer: None,
            finish_ewa_steps: 0,
            strategy: Strategy::default(),
            max_gaussians: None,
            sh_degree: 3,
            sh_degree_every: 1000,
            full_size: false,
            coarse_until: vec![0.25, 0.1],
            rate_mean: 1.6e-4,
            rate_mean_final: 0.01,
            rate_by_depth: true,
            short_run_rates: true,
            rate_opacity: 0.05,
            rate_scale: 5e-3,
            rate_quat: 1e-3,
            rate_sh: 2.5e-3,
            rate_final: 1.0,
            fade_from: 0.5,
            average_last: 0.08,
            beta1: 0.9,
            beta2: 0.999,
            ssim_weight: 0.2,
            background: [0.0; 3],
            alpha_mode: None,
            exposure: true,
            poses: PoseMode::default(),
            antialiased: false,
            scale_floor: None,
            seed_points: 10_000,
            backdrop: None,
            initial_opacity: 0.2,
            initial_scale: 0.6,
            densify: DensifyConfig::default(),
            pace: None,
        }
    }
}

impl Default for DensifyConfig {
    fn default() -> Self {
        Self {
            from: 500,
            until_adc: 15_000,
            until_mcmc: 25_000,
            every: 100,
            at_least_every: 50,
            grow_gradient: 2e-4,
            abs_gradient: false,
            grow_gradient_abs: 8e-4,
            split_scale: 0.01,
            prune_scale: 0.1,
            prune_opacity: 0.005,
            reset_every: 3000,
            growth: 0.14,
            opacity_regularizer: 0.01,
            scale_regularizer: 0.01,
            noise: 5e5,
        }
    }
}

impl TrainConfig {
    /// The recipe of Kerbl et al. 2023 ("3D Gaussian Splatting for Real-Time Radiance Field Rendering", and the default arguments
    /// of the authors' code), for comparison: everything that the default adds is disabled. The scene's extent is still computed
    /// by this crate, and screen-space pruning, which the authors' code contains but never runs, is omitted.
    #[must_use]
    pub fn published() -> Self {
        Self {
            strategy: Strategy::Adc,
            rate_by_depth: false,
            short_run_rates: false,
            full_size: true,
            average_last: 0.0,
            exposure: false,
            poses: PoseMode::Fixed,
            seed_points: 0,
            backdrop: Some(false),
            initial_opacity: 0.1,
            initial_scale: 1.0,
            ..Self::default()
        }
    }

    /// The scale floor; see [`TrainConfig::scale_floor`].
    #[must_use]
    pub fn scale_floor_px2(&self) -> f32 {
        let fitting = if self.renderer_kind() == RendererKind::Gut { SCALE_FLOOR_GUT } else { 0.0 };
        self.scale_floor.unwrap_or(fitting)
    }

    /// Meaning of the photos' alpha; always set in a [`super::Trainer`]'s configuration.
    #[must_use]
    pub fn alpha(&self) -> AlphaMode {
        self.alpha_mode.unwrap_or_default()
    }

    /// Whether the run has a backdrop; always set in a [`super::Trainer`]'s configuration. Runs from before there were any continue
    /// without one.
    #[must_use]
    pub fn has_backdrop(&self) -> bool {
        self.backdrop.unwrap_or_default()
    }

    /// The renderer; always set in a [`super::Trainer`]'s configuration.
    #[must_use]
    pub fn renderer_kind(&self) -> RendererKind {
        self.renderer.unwrap_or_default()
    }

    /// Whether ADC uses sums of absolute gradients. These are gradients of 2-D means, which only EWA has.
    #[must_use]
    pub fn uses_abs_gradient(&self) -> bool {
        self.strategy == Strategy::Adc
            && self.densify.abs_gradient
            && self.renderer_kind() == RendererKind::Ewa
    }

    /// ADC's threshold for growth; see [`DensifyConfig::grow_gradient`].
    #[must_use]
    pub fn grow_above(&self) -> f32 {
        if self.uses_abs_gradient() { self.densify.grow_gradient_abs } else { self.densify.grow_gradient }
    }

    /// Rejects invalid settings.
    ///
    /// # Errors
    /// [`crate::Error::Config`], which names the setting.
    pub fn validate(&self) -> crate::Result<()> {
        let fail = |why: String| Err(crate::Error::Config { why });
        if self.steps == 0 {
            return fail("steps is 0; train for at least 1".into());
        }
        if self.pace.is_some_and(|pace| pace.done >= self.steps || !(0.0..1.0).contains(&pace.progress)) {
            return fail("pace must lie before the last step, its progress between 0 and 1".into());
        }
        if self.sh_degree > 3 {
            return fail(format!("sh_degree is {}; it can be 0 to 3", self.sh_degree));
        }
        if self.max_gaussians == Some(0) {
            return fail("max_gaussians is 0; allow at least 1".into());
        }
        if self.coarse_until.len() > 4 || self.coarse_until.iter().any(|x| !(0.0..=1.0).contains(x)) {
            return fail("coarse_until needs up to 4 shares between 0 and 1".into());
        }
        let rates = [self.rate_mean, self.rate_opacity, self.rate_scale, self.rate_quat, self.rate_sh];
        if rates.iter().any(|r| !(r.is_finite() && *r >= 0.0)) {
            return fail("learning rates must be finite and not negative".into());
        }
        if self.antialiased && self.renderer == Some(RendererKind::Gut) {
            return fail("antialiased is a filter of the ewa renderer; leave it off with 3dgut".into());
        }
        if self.scale_floor.is_some_and(|floor| !(0.0..=100.0).contains(&floor)) {
            return fail(format!("scale_floor is {:?} square pixels; it can be 0 to 100", self.scale_floor));
        }
        let DensifyConfig { grow_gradient, .. } = self.densify;
        if !(grow_gradient.is_finite() && grow_gradient >= 0.0) {
            return fail(format!("grow_gradient is {grow_gradient}; it can be 0 or more"));
        }
        if !(0.0..=1.0).contains(&self.ssim_weight) {
            return fail(format!("ssim_weight is {}; it can be 0 to 1", self.ssim_weight));
        }
        if !(self.initial_opacity > 0.0 && self.initial_opacity < 1.0 && self.initial_scale > 0.0) {
            return fail("initial_opacity must lie between 0 and 1, and initial_scale above 0".into());
        }
        Ok(())
    }
}
