//! Maps the options of a scene to those of COLMAP, the dataset and training.

use std::time::{Duration, Instant};

use splat_colmap::{ColmapOptions, ColmapQuality};
use splat_core::dataset::DatasetOptions;
use splat_core::pipeline::{PipelineOptions, Preset};
use splat_core::train::{DensifyConfig, TrainConfig};

use super::{Backdrop, Exposure, SceneOptions};

impl SceneOptions {
    /// Time limit of the scene.
    fn time_budget(&self) -> Option<Duration> {
        self.budget.map(|seconds| Duration::from_secs(seconds.into()))
    }

    /// The preset, or the one that fits the time limit, on a CPU (`software`) or a GPU.
    #[must_use]
    pub fn preset_on(&self, software: bool) -> Preset {
        let fitting = self.time_budget().map(|budget| Preset::for_budget(budget, software));
        self.preset.or(fitting).unwrap_or_default()
    }

    /// Whether photos are used without undistortion.
    #[must_use]
    pub fn keep_distortion(&self) -> bool {
        self.keep_distortion.unwrap_or(false)
    }

    /// Number of training steps, if it does not depend on the machine.
    #[must_use]
    pub fn steps(&self) -> u32 {
        self.training(self.preset.unwrap_or_default()).steps
    }

    /// Options of COLMAP.
    #[must_use]
    pub fn colmap(&self, preset: Preset) -> ColmapOptions {
        let defaults = ColmapOptions::default();
        let by_preset = ColmapQuality::from_name(preset.colmap_quality()).unwrap_or_default();
        ColmapOptions {
            quality: self.quality.unwrap_or(by_preset),
            matcher: self.matcher.unwrap_or(defaults.matcher),
            matcher_engine: self.matcher_engine.unwrap_or(defaults.matcher_engine),
            ..defaults
        }
    }

    /// `base` with the chosen size and split of the photos.
    #[must_use]
    pub fn dataset_over(&self, base: DatasetOptions) -> DatasetOptions {
        // An explicit factor overrides the preset's maximum size.
        let (max_image_size, downscale) = match (self.max_image_size, self.downscale) {
            (None, None) => (base.max_image_size, base.downscale),
            asked => asked,
        };
        let (holdout_every, own_split) = match self.holdout_every {
            Some(every) => ((every > 0).then_some(every), false),
            None => (base.holdout_every, base.own_split),
        };
        let keep_distortion = self.keep_distortion() || base.keep_distortion;
        DatasetOptions { max_image_size, downscale, keep_distortion, holdout_every, own_split, ..base }
    }

    /// Size and split of the photos.
    #[must_use]
    pub fn dataset(&self, preset: Preset) -> DatasetOptions {
        self.dataset_over(DatasetOptions {
            max_image_size: preset.max_image_size(),
            ..DatasetOptions::default()
        })
    }

    /// Options of training.
    #[must_use]
    pub fn training(&self, preset: Preset) -> TrainConfig {
        let defaults = preset.training();
        TrainConfig {
            steps: self.steps.unwrap_or(defaults.steps),
            seed: self.seed.unwrap_or(defaults.seed),
            renderer: self.renderer,
            finish_ewa_steps: self.finish_ewa.unwrap_or(defaults.finish_ewa_steps),
            scale_floor: self.scale_floor,
            strategy: self.strategy.unwrap_or(defaults.strategy),
            densify: DensifyConfig {
                grow_gradient: self.grow_gradient.unwrap_or(defaults.densify.grow_gradient),
                ..defaults.densify
            },
            seed_points: self.seed_points.unwrap_or(defaults.seed_points),
            max_gaussians: self.max_gaussians,
            sh_degree: self.sh_degree.unwrap_or(defaults.sh_degree),
            full_size: self.full_size.unwrap_or(defaults.full_size),
            exposure: self.exposure.map_or(defaults.exposure, |exposure| exposure == Exposure::Auto),
            backdrop: self
                .backdrop
                .map_or(defaults.backdrop, |backdrop| (backdrop == Backdrop::Off).then_some(false)),
            poses: self.poses.unwrap_or(defaults.poses),
            alpha_mode: self.alpha.and_then(super::Alpha::mode),
            ..defaults
        }
    }

    /// Options of the pipeline, for work that began at `started`.
    #[must_use]
    pub fn pipeline(&self, preset: Preset, started: Instant) -> PipelineOptions {
        PipelineOptions {
            train: self.training(preset),
            dataset: self.dataset(preset),
            deadline: self.time_budget().and_then(|budget| started.checked_add(budget)),
            preset,
            ..PipelineOptions::default()
        }
    }
}
