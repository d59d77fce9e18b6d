//! What a scene job is to do: the photos, and the options that a client chose.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use splat_colmap::{ColmapQuality, Matcher};
use splat_core::RendererKind;
use splat_core::events::Stage;
use splat_core::pipeline::Preset;
use splat_core::train::Strategy;

use crate::intake::PhotoEntry;

/// The kind of job that makes a scene.
pub const KIND: &str = "scene";
/// Steps that a job may ask for.
pub const MAX_STEPS: u32 = 200_000;
/// Longest time that a scene may be given: a week.
pub const MAX_BUDGET_S: u32 = 7 * 24 * 3600;
/// Gaussians that a job may ask for; what the GPU's memory holds is a second limit.
pub const MAX_GAUSSIANS: u32 = 20_000_000;
/// Sides that training photos may be scaled to, in pixels.
pub const IMAGE_SIZES: std::ops::RangeInclusive<u32> = 64..=16_384;
/// Longest name of a job, in characters.
pub const MAX_NAME_CHARS: usize = 80;

/// What is wrong with a job's name, as a sentence; `None` when nothing is.
#[must_use]
pub fn name_fault(name: &str) -> Option<String> {
    (name.chars().count() > MAX_NAME_CHARS || name.chars().any(char::is_control))
        .then(|| format!("`name` may have {MAX_NAME_CHARS} characters, none of them control characters"))
}

/// The spec of a job of kind `scene`, as the queue stores it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SceneSpec {
    /// The photos, in the order of their files.
    pub photos: Vec<PhotoEntry>,
    /// What the client chose.
    pub options: SceneOptions,
    /// Stages from this one on are done again, whatever is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redo_from: Option<RetryFrom>,
}

/// What a client may choose about a scene.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SceneOptions {
    /// A title for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 80)]
    pub name: Option<String>,
    /// Steps, resolution and COLMAP quality together: `preview`, `standard` (default) or `high`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "preview")]
    pub preset: Option<Preset>,
    /// Training steps; `steps` is the same.
    #[serde(alias = "steps", skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 200_000)]
    pub iterations: Option<u32>,
    /// Seconds from the start of the work to the finished scene, instead of a number of steps: as many steps as fit. Without
    /// `preset`, it decides image size and COLMAP's effort too.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 604_800)]
    pub budget_s: Option<u32>,
    /// COLMAP's effort: `low`, `medium`, `high` or `extreme`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "low")]
    pub quality: Option<ColmapQuality>,
    /// How Gaussians are added and removed: `mcmc` or `adc`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "mcmc")]
    pub strategy: Option<Strategy>,
    /// How Gaussians are drawn in training: `ewa` (default) or `3dgut`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "3dgut")]
    pub renderer: Option<RendererKind>,
    /// Train on the photos as they were taken, lens and all, with `3dgut`, instead of undistorting them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_distortion: Option<bool>,
    /// Which photos are compared: `auto`, `exhaustive`, `preselection` or `sequential`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "auto")]
    pub matcher: Option<Matcher>,
    /// Decides every random choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u32>,
    /// Longest side of a training photo in pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 64, maximum = 16_384)]
    pub max_image_size: Option<u32>,
    /// Most Gaussians to have.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 20_000_000)]
    pub max_gaussians: Option<u32>,
    /// Where a signed message goes when the job has ended; see [`crate::webhook`].
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2000, example = "https://example.com/hook")]
    pub webhook: Option<String>,
    /// Faults to act out; taken in test mode only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<Faults>,
}

/// What a job acts out in test mode, where nothing is reconstructed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// How long each stage takes; 50 unless told otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 600_000)]
    pub stage_ms: Option<u32>,
    /// The stage that fails for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "mapping")]
    pub fail_at: Option<Stage>,
    /// The stage in which the process dies, each time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub crash_at: Option<Stage>,
    /// The stage in which the process dies the first time only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub crash_once_at: Option<Stage>,
    /// The stage that never ends and hears no request to stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub hang_at: Option<Stage>,
    /// Gaussians of the scene; 2,000 unless told otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 100_000)]
    pub gaussians: Option<u32>,
}

/// From where a job is done again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RetryFrom {
    /// Everything.
    Prepare,
    /// COLMAP from its first stage.
    Features,
    /// COLMAP from comparing photos on.
    Matching,
    /// COLMAP from placing cameras on.
    Mapping,
    /// Training from step 0; without it, training goes on from its checkpoint.
    Train,
}

impl SceneOptions {
    /// What is wrong with these options, as a sentence; `None` when nothing is.
    #[must_use]
    pub fn fault(&self, test_mode: bool) -> Option<String> {
        let range = |name: &str, value: Option<u32>, least: u32, most: u32| {
            value
                .filter(|value| !(least..=most).contains(value))
                .map(|value| format!("`{name}` is {value}, and must be {least} to {most}"))
        };
        if let Some(fault) = self.name.as_deref().and_then(name_fault) {
            return Some(fault);
        }
        if self.keep_distortion == Some(true) && self.renderer == Some(RendererKind::Ewa) {
            return Some(
                "`keep_distortion` needs the renderer `3dgut`; leave `renderer` out, or `keep_distortion`"
                    .into(),
            );
        }
        if self.budget_s.is_some() && self.iterations.is_some() {
            return Some(
                "`budget_s` and `iterations` exclude each other: a time, or a number of steps".into(),
            );
        }
        if self.test.is_some() && !test_mode {
            return Some("`test` is taken only by a server that was started with --test-mode".into());
        }
        range("iterations", self.iterations, 1, MAX_STEPS)
            .or_else(|| range("budget_s", self.budget_s, 1, MAX_BUDGET_S))
            .or_else(|| {
                range("max_image_size", self.max_image_size, *IMAGE_SIZES.start(), *IMAGE_SIZES.end())
            })
            .or_else(|| range("max_gaussians", self.max_gaussians, 1, MAX_GAUSSIANS))
            .or_else(|| {
                let test = self.test.as_ref()?;
                range("test.stage_ms", test.stage_ms, 0, 600_000)
                    .or_else(|| range("test.gaussians", test.gaussians, 1, 100_000))
            })
    }

    /// Whether camera poses made with `other` serve: presets differ in COLMAP's effort too, but only what is asked for by name counts.
    #[must_use]
    pub fn same_poses(&self, other: &Self) -> bool {
        self.keep_distortion() == other.keep_distortion()
            && self.quality.is_none_or(|quality| Some(quality) == other.quality)
            && self.matcher.is_none_or(|matcher| Some(matcher) == other.matcher)
    }

    /// How long the scene may take.
    #[must_use]
    pub fn budget(&self) -> Option<Duration> {
        self.budget_s.map(|seconds| Duration::from_secs(seconds.into()))
    }

    /// The preset, or the one that fits the time given, on a GPU or a processor.
    #[must_use]
    pub fn preset_on(&self, software: bool) -> Preset {
        let fitting = self.budget().map(|budget| Preset::for_budget(budget, software));
        self.preset.or(fitting).unwrap_or_default()
    }

    /// Whether photos are used as they were taken.
    #[must_use]
    pub fn keep_distortion(&self) -> bool {
        self.keep_distortion.unwrap_or(false)
    }

    /// Steps to train.
    #[must_use]
    pub fn steps(&self) -> u32 {
        self.iterations.unwrap_or(self.preset.unwrap_or_default().steps())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_and_a_number_of_steps_exclude_each_other() {
        let asked = |budget_s, iterations| SceneOptions { budget_s, iterations, ..SceneOptions::default() };
        assert_eq!(asked(Some(60), None).fault(false), None);
        assert_eq!(asked(None, Some(500)).fault(false), None);
        let fault = asked(Some(60), Some(500)).fault(false).unwrap_or_default();
        assert!(fault.contains("`budget_s` and `iterations`"), "{fault}");
        for seconds in [0, MAX_BUDGET_S + 1] {
            let fault = asked(Some(seconds), None).fault(false).unwrap_or_default();
            assert!(fault.contains("`budget_s`") && fault.contains("604800"), "{fault}");
        }
    }

    #[test]
    fn the_time_given_chooses_the_preset_unless_one_is_named() {
        let short = SceneOptions { budget_s: Some(60), ..SceneOptions::default() };
        assert_eq!([short.preset_on(true), short.preset_on(false)], [Preset::Preview, Preset::Standard]);
        let named = SceneOptions { preset: Some(Preset::High), ..short };
        assert_eq!(named.preset_on(true), Preset::High);
    }
}
