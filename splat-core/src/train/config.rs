//! How a scene is trained: every default with its source.

use serde::{Deserialize, Serialize};

use super::poses::PoseMode;
use crate::renderer_kind::RendererKind;
use crate::scene::AlphaMode;

/// Steps that the schedule numbers below are given for; [`TrainConfig::steps`] scales them.
pub const REFERENCE_STEPS: u32 = 30_000;

/// [`TrainConfig::scale_floor`] with 3DGUT.
pub const SCALE_FLOOR_GUT: f32 = 0.2;

/// How Gaussians are added and removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Clone, split and prune by image-plane gradients (Kerbl et al. 2023).
    Adc,
    /// Relocate and grow by opacity, with a random walk (Kheradmand et al. 2024).
    #[default]
    Mcmc,
}

crate::words! { Strategy:
    Mcmc = "mcmc", "Move dead Gaussians onto living ones, up to a cap (Kheradmand et al. 2024)";
    Adc = "adc", "Clone, split and prune by screen-space gradients (Kerbl et al. 2023)";
}

/// Settings of a training run. Plain data; [`Default`] is the standard recipe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrainConfig {
    /// Steps; scales every schedule.
    pub steps: u32,
    /// Seed of everything random. Same seed, machine and input: the same bytes.
    pub seed: u64,
    /// How Gaussians are projected and evaluated. `None`: 3DGUT where the dataset keeps a lens's distortion, else EWA.
    pub renderer: Option<RendererKind>,
    /// Train so many of the last steps with EWA after 3DGUT, so that ordinary viewers show just what was trained. Where a
    /// dataset keeps a lens's distortion, these steps see its photos undistorted.
    pub finish_ewa_steps: u32,
    /// How Gaussians are added and removed.
    pub strategy: Strategy,
    /// Never more Gaussians than this. Default: as many as the photos can tell apart and memory holds, see
    /// [`super::memory::Workload::default_gaussians`].
    pub max_gaussians: Option<u32>,
    /// Highest SH degree, 0 to 3.
    pub sh_degree: u32,
    /// Steps (of 30,000) between rises of the SH degree; 0: the highest from the first step on.
    pub sh_degree_every: u32,
    /// Train every step at full size; else small images first.
    pub full_size: bool,
    /// Shares of the steps before which the image size is halved, once for each that lies ahead.
    pub coarse_until: Vec<f32>,
    /// Learning rate of the means over the scene's extent at the first step.
    pub rate_mean: f32,
    /// The share of it that is left at the last step (exponential decay). Short runs keep more, see
    /// [`TrainConfig::mean_share_left`].
    pub rate_mean_final: f32,
    /// Whether runs of fewer than 30,000 steps learn faster, see [`TrainConfig::rate_boost`] and [`TrainConfig::mean_share_left`].
    pub short_run_rates: bool,
    /// Learning rate of opacity logits.
    pub rate_opacity: f32,
    /// Of log-scales.
    pub rate_scale: f32,
    /// Of quaternions.
    pub rate_quat: f32,
    /// Of the SH constant term; the other terms take 1/20 of it.
    pub rate_sh: f32,
    /// From [`TrainConfig::fade_from`] (a share of the steps) on, every rate fades to this share of itself. 1: none does.
    /// Off: it gains on the public benchmark, and costs 0.8 dB on the demo's photos (300 steps) and some 0.1 on a door.
    pub rate_final: f32,
    /// Share of the steps after which rates fade; see [`TrainConfig::rate_final`].
    pub fade_from: f32,
    /// What a run shows and writes at its end is the mean of its states over this share of its steps. 0: the last state.
    /// Constant rates follow whichever photo came last, and the mean does not: 26.5 dB instead of 26.3 after 500 steps of the
    /// public benchmark, nothing lost on the demo's photos.
    pub average_last: f32,
    /// Decay of Adam's first moment.
    pub beta1: f32,
    /// Decay of Adam's second moment.
    pub beta2: f32,
    /// Weight of `1 - SSIM` in the loss; L1 takes the rest.
    pub ssim_weight: f32,
    /// Colour behind everything.
    pub background: [f32; 3],
    /// What photos' alpha means. `None`: what the dataset tells, see [`crate::Dataset::fitting_alpha`].
    pub alpha_mode: Option<AlphaMode>,
    /// Where photos differ in brightness or white balance, as a phone's do, train in their mean brightness and compare each with
    /// the render times factors of its own (per channel, measured before the first step). Held-out photos get predicted factors.
    pub exposure: bool,
    /// What becomes of the photos' poses.
    pub poses: PoseMode,
    /// Train for the anti-aliased (Mip-Splatting 2-D filter) mode.
    pub antialiased: bool,
    /// No Gaussian is drawn smaller than this variance, in square pixels of the training photo that sees it from nearest: the
    /// 3-D smoothing filter of Mip-Splatting (Yu et al. 2024; theirs is 0.2). 0: none. `None`: [`SCALE_FLOOR_GUT`] for
    /// 3DGUT, which has no other low-pass, and none for EWA, which blurs by 0.3.
    pub scale_floor: Option<f32>,
    /// Start with at least so many Gaussians: where the scene has fewer points, the rest begin where photos agree. Never more
    /// than one for 64 pixels of the photos.
    pub seed_points: u32,
    /// Opacity a Gaussian starts with. This and [`TrainConfig::initial_scale`] are from the table "First Gaussians" of
    /// `docs/benchmarks.md`; the 3DGS authors' code has 0.1 and 1, gsplat's MCMC 0.5 and 0.1.
    pub initial_opacity: f32,
    /// A Gaussian starts with this times the mean distance to its three nearest neighbours.
    pub initial_scale: f32,
    /// Densification.
    pub densify: DensifyConfig,
    /// From where on the schedules run evenly to their end; `None`: from the first step. Set by [`super::Trainer::replan`].
    pub pace: Option<Pace>,
}

/// Where a run's number of steps was planned anew: see [`super::Trainer::replan`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pace {
    /// Steps done then.
    pub done: u32,
    /// The share of the run that they were, 0 to 1: schedules go on from there.
    pub progress: f64,
}

/// Settings of densification; steps are of 30,000.
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
    /// But never fewer than this many steps of the run: each refinement needs views to judge by.
    pub at_least_every: u32,
    /// ADC: grow above this mean gradient: of the 2-D mean, in half image sizes; with 3DGUT of the 3-D mean, times half
    /// its distance from the camera (3dgrut). One threshold gives both about as many Gaussians: 25,300 and 25,900 after 1,000
    /// steps on the public benchmark at half size.
    pub grow_gradient: f32,
    /// ADC: use sums of absolute gradients (AbsGS), with `grow_gradient_abs` as threshold.
    pub abs_gradient: bool,
    /// ADC: that threshold.
    pub grow_gradient_abs: f32,
    /// ADC: larger Gaussians (share of the extent) are split, smaller ones cloned.
    pub split_scale: f32,
    /// ADC: larger ones (share of the extent) are removed after the first opacity reset.
    pub prune_scale: f32,
    /// Less opaque Gaussians are removed (ADC) or moved (MCMC).
    pub prune_opacity: f32,
    /// ADC: steps between opacity resets.
    pub reset_every: u32,
    /// MCMC: growth per refinement, as a share of the number that the run began with. Chosen with the table "Growth" of
    /// `docs/benchmarks.md`.
    pub growth: f32,
    /// MCMC: weight of the mean opacity in the loss.
    pub opacity_regularizer: f32,
    /// MCMC: weight of the mean scale in the loss.
    pub scale_regularizer: f32,
    /// MCMC: length of the random walk over the means' learning rate.
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
    /// The recipe of Kerbl et al. 2023 ("3D Gaussian Splatting for Real-Time Radiance Field Rendering", and the default arguments of the
    /// authors' code), to compare with: everything that the default adds is off. The scene's extent is still this crate's, and screen-space
    /// pruning, which the authors' code has but never runs, is left out.
    #[must_use]
    pub fn published() -> Self {
        Self {
            strategy: Strategy::Adc,
            short_run_rates: false,
            full_size: true,
            average_last: 0.0,
            exposure: false,
            poses: PoseMode::Fixed,
            seed_points: 0,
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

    /// What photos' alpha means; a [`super::Trainer`]'s configuration always names it.
    #[must_use]
    pub fn alpha(&self) -> AlphaMode {
        self.alpha_mode.unwrap_or_default()
    }

    /// The renderer; a [`super::Trainer`]'s configuration always names it.
    #[must_use]
    pub fn renderer_kind(&self) -> RendererKind {
        self.renderer.unwrap_or_default()
    }

    /// Whether ADC judges by sums of absolute gradients, which are those of 2-D means: EWA's alone.
    #[must_use]
    pub fn uses_abs_gradient(&self) -> bool {
        self.strategy == Strategy::Adc
            && self.densify.abs_gradient
            && self.renderer_kind() == RendererKind::Ewa
    }

    /// ADC grows what has a larger mean gradient than this; see [`DensifyConfig::grow_gradient`].
    #[must_use]
    pub fn grow_above(&self) -> f32 {
        if self.uses_abs_gradient() { self.densify.grow_gradient_abs } else { self.densify.grow_gradient }
    }

    /// Refuses settings that cannot work.
    ///
    /// # Errors
    /// [`crate::Error::Config`] naming the setting.
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
