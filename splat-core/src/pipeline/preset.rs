//! Presets of steps, resolution and COLMAP quality.

use std::time::Duration;

use crate::train::TrainConfig;

crate::words! {
    /// Presets of time and quality.
    ///
    /// | preset | steps | longest side | COLMAP |
    /// | --- | --- | --- | --- |
    /// | `preview` | 500 | 480 px | low |
    /// | `standard` | 30,000 | 1,600 px | medium |
    /// | `high` | 30,000 | the photos' own | high |
    /// | `reference` | 30,000, by [`TrainConfig::published`] | 1,600 px | medium |
    ///
    /// 30,000 steps are customary; 1,600 px is the size to which the 3DGS authors' code scales down. `preview` serves to judge a
    /// capture: a tenth of the pixels of a phone's photo, and enough steps for shapes, but not for fine texture. `reference` takes longer
    /// than `standard` and shows less.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "snake_case")]
    #[non_exhaustive]
    pub enum Preset {
        Preview = "preview", "500 steps, photos at most 480 pixels, COLMAP low: minutes on a CPU";
        #[default]
        Standard = "standard", "30,000 steps, photos at most 1,600 pixels, COLMAP medium: minutes on a GPU, hours on a CPU";
        High = "high", "30,000 steps, photos as large as they are, COLMAP high";
        Reference = "reference", "30,000 steps as first published (Kerbl et al. 2023), to compare with; sizes and COLMAP medium as standard";
    }
}

impl Preset {
    /// The preset whose image size and COLMAP quality suit a time limit. On a CPU, large photos pay off from half an hour on; on
    /// a GPU from half a minute, most of which is spent on finding the cameras.
    #[must_use]
    pub fn for_budget(budget: Duration, software: bool) -> Self {
        let small_until = if software { 30 * 60 } else { 30 };
        if budget < Duration::from_secs(small_until) { Self::Preview } else { Self::Standard }
    }

    /// Training steps.
    #[must_use]
    pub fn steps(self) -> u32 {
        match self {
            Self::Preview => 500,
            Self::Standard | Self::High | Self::Reference => 30_000,
        }
    }

    /// Training settings.
    #[must_use]
    pub fn training(self) -> TrainConfig {
        let recipe = if self == Self::Reference { TrainConfig::published() } else { TrainConfig::default() };
        TrainConfig { steps: self.steps(), ..recipe }
    }

    /// COLMAP's quality by name: `low`, `medium` or `high`.
    #[must_use]
    pub fn colmap_quality(self) -> &'static str {
        match self {
            Self::Preview => "low",
            Self::Standard | Self::Reference => "medium",
            Self::High => "high",
        }
    }

    /// Maximum side length of a training photo in pixels; `None`: no limit.
    #[must_use]
    pub fn max_image_size(self) -> Option<u32> {
        match self {
            Self::Preview => Some(480),
            Self::Standard | Self::Reference => Some(1_600),
            Self::High => None,
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;
    use crate::train::Strategy;

    #[test]
    fn names_lead_back_to_their_presets() {
        for preset in Preset::ALL {
            assert_eq!(Preset::from_name(preset.name()), Some(preset));
            let steps = crate::text::thousands(u64::from(preset.steps()));
            assert!(preset.summary().starts_with(&format!("{steps} steps")), "{}", preset.summary());
            let effort = format!("COLMAP {}", preset.colmap_quality());
            assert!(preset.summary().contains(&effort), "{}", preset.summary());
        }
        assert_eq!(Preset::from_name("ultra"), None);
    }

    /// Learning rates of the authors' `arguments/__init__.py`, also for shorter runs.
    #[test]
    fn the_reference_trains_as_published() {
        for steps in [30_000, 500] {
            let config = TrainConfig { steps, ..Preset::Reference.training() };
            assert_eq!(config.rate_boost(), 1.0);
            let near = |found: f32, published: f32| (found / published - 1.0).abs() < 1e-5;
            assert!(near(config.rate_mean_at(0), 1.6e-4) && near(config.rate_mean_at(steps), 1.6e-6));
            assert_eq!((config.downscale_at(0), config.averaged_steps()), (1, 0));
        }
        let config = Preset::Reference.training();
        assert_eq!(config.strategy, Strategy::Adc);
        assert!(config.densifies_before(600) && !config.densifies_before(500 - 100));
        assert!(!config.densifies_before(15_000) && config.resets_before(3000));
        config.validate().unwrap();
        assert_eq!(Preset::High.training(), TrainConfig::default());
    }

    #[test]
    fn little_time_means_small_photos_and_less_of_it_on_a_gpu() {
        let on = |software, seconds| Preset::for_budget(Duration::from_secs(seconds), software);
        assert_eq!([10, 29, 30].map(|s| on(false, s)), [Preset::Preview, Preset::Preview, Preset::Standard]);
        assert_eq!(
            [30, 1799, 1800].map(|s| on(true, s)),
            [Preset::Preview, Preset::Preview, Preset::Standard]
        );
    }
}
