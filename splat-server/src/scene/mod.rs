//! The spec of a scene job: its photos and the options that a client chose.
//!
//! | module | what |
//! | --- | --- |
//! | `options` | the list of options |
//! | `option` | the description of one option |
//! | `apply` | maps options to those of COLMAP, the dataset and training |

mod apply;
mod option;
mod options;

use serde::{Deserialize, Serialize};
use splat_core::RendererKind;
use splat_core::events::Stage;

pub use option::{Kind, Part, Range, SceneOption};
pub use options::{Alpha, Backdrop, Exposure, SceneOptions, options};

use crate::intake::PhotoEntry;

/// Maximum length of a job's name, in characters.
pub const MAX_NAME_CHARS: usize = 80;

/// What is wrong with a job's name, as a sentence; `None` if it is valid.
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
    /// Options chosen by the client.
    pub options: SceneOptions,
    /// First stage to run again, even if its results exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redo_from: Option<RetryFrom>,
}

/// Simulated faults in test mode, where nothing is reconstructed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// Duration of each stage in milliseconds; default 50.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 600_000)]
    pub stage_ms: Option<u32>,
    /// The stage that fails permanently.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "mapping")]
    pub fail_at: Option<Stage>,
    /// The stage in which the process crashes, in every attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub crash_at: Option<Stage>,
    /// The stage in which the process crashes, in the first attempt only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub crash_once_at: Option<Stage>,
    /// The stage that hangs and ignores cancellation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub hang_at: Option<Stage>,
    /// Gaussians of the scene; default 2,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 100_000)]
    pub gaussians: Option<u32>,
}

/// Where to restart a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RetryFrom {
    /// All stages, starting with the preparation of photos.
    Prepare,
    /// COLMAP, from its first stage.
    Features,
    /// COLMAP, from feature matching.
    Matching,
    /// COLMAP, from the placement of cameras.
    Mapping,
    /// Training from step 0; otherwise training resumes from its checkpoint.
    Train,
}

impl SceneOptions {
    /// The options that were set, by name.
    fn chosen(&self) -> serde_json::Map<String, serde_json::Value> {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::Object(chosen)) => chosen,
            _ => serde_json::Map::new(),
        }
    }

    /// What is wrong with these options for a client of the service, as a sentence; `None` if they are valid.
    #[must_use]
    pub fn fault(&self, test_mode: bool) -> Option<String> {
        if let Some(fault) = self.name.as_deref().and_then(name_fault) {
            return Some(fault);
        }
        if self.keep_distortion == Some(true) && self.renderer == Some(RendererKind::Ewa) {
            return Some(
                "`keep_distortion` needs the renderer `3dgut`; leave `renderer` out, or `keep_distortion`"
                    .into(),
            );
        }
        if self.test.is_some() && !test_mode {
            return Some("`test` is taken only by a server that was started with --test-mode".into());
        }
        let chosen = self.chosen();
        let given = || options().iter().filter_map(|option| Some((option, chosen.get(option.name)?)));
        for (option, value) in given() {
            let other = given().find(|(other, _)| option.excludes.contains(&other.field));
            let contrary = other.map(|(other, _)| {
                format!("`{}` and `{}` exclude each other: give one of them", option.name, other.name)
            });
            if let Some(fault) = contrary.or_else(|| option.range_fault(value)) {
                return Some(fault);
            }
        }
        let test = self.test.as_ref()?;
        let most = [("stage_ms", test.stage_ms, 0, 600_000), ("gaussians", test.gaussians, 1, 100_000)];
        most.into_iter().find_map(|(name, value, least, most)| {
            let value = value.filter(|value| !(least..=most).contains(value))?;
            Some(format!("`test.{name}` is {value}, and must be {least} to {most}"))
        })
    }

    /// Whether camera poses computed with `other` can be reused. Presets imply a COLMAP quality too, but only options set
    /// explicitly count.
    #[must_use]
    pub fn same_poses(&self, other: &Self) -> bool {
        let (chosen, others) = (self.chosen(), other.chosen());
        let mut of_colmap = options().iter().filter(|option| option.part == Part::Colmap);
        self.keep_distortion() == other.keep_distortion()
            && of_colmap.all(|option| {
                chosen.get(option.name).is_none_or(|value| others.get(option.name) == Some(value))
            })
    }
}

#[cfg(test)]
mod tests {
    use splat_core::pipeline::Preset;
    use splat_core::train::Strategy;

    use super::*;

    #[test]
    fn a_time_and_a_number_of_steps_exclude_each_other() {
        let asked = |budget, steps| SceneOptions { budget, steps, ..SceneOptions::default() };
        assert_eq!(asked(Some(60), None).fault(false), None);
        assert_eq!(asked(None, Some(500)).fault(false), None);
        let fault = asked(Some(60), Some(500)).fault(false).unwrap_or_default();
        assert!(fault.contains("`budget_s` and `iterations`"), "{fault}");
        for seconds in [0, 604_801] {
            let fault = asked(Some(seconds), None).fault(false).unwrap_or_default();
            assert!(fault.contains("`budget_s`") && fault.contains("604800"), "{fault}");
        }
    }

    /// Jobs that an earlier version left in the queue are read, and stored again unchanged: retries and idempotency keys compare
    /// them.
    #[test]
    fn jobs_of_earlier_versions_are_read_and_stored_as_they_were() {
        for options in [
            r#"{}"#,
            r#"{"name":"door","preset":"preview","iterations":500,"quality":"low","strategy":"adc","renderer":"3dgut","keep_distortion":true,"matcher":"sequential","seed":7,"max_image_size":640,"max_gaussians":1000,"webhook":"https://example.com/hook","test":{"stage_ms":0,"fail_at":"mapping"}}"#,
            r#"{"preset":"high","budget_s":60,"quality":"extreme","matcher":"auto"}"#,
        ] {
            let stored = format!(r#"{{"photos":[],"options":{options}}}"#);
            let spec: SceneSpec = serde_json::from_str(&stored).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(spec.options.fault(true), None, "{options}");
            assert_eq!(serde_json::to_string(&spec).unwrap_or_default(), stored);
        }
        let alias: SceneOptions = serde_json::from_str(r#"{"steps":9}"#).unwrap_or_default();
        assert_eq!(alias.steps, Some(9));
    }

    /// A listed option without effect would be misleading.
    #[test]
    fn every_option_of_the_scene_changes_what_is_done() {
        let started = std::time::Instant::now();
        let work = |options: &SceneOptions| {
            let preset = options.preset_on(false);
            format!("{:?} {:?}", options.colmap(preset), options.pipeline(preset, started))
        };
        let usual = work(&SceneOptions::default());
        for option in options().iter().filter(|option| option.part != Part::Job) {
            let values: Vec<serde_json::Value> = match &option.kind {
                Kind::Switch => vec![true.into()],
                Kind::Whole(range) | Kind::Seconds(range) => {
                    vec![(*range.served.start()).into(), (*range.served.end()).into()]
                }
                Kind::Decimal(range) => vec![(*range.start()).into(), (*range.end()).into()],
                Kind::Word(words) => words.iter().map(|(word, _)| (*word).into()).collect(),
                Kind::Text { .. } | Kind::Object(_) => Vec::new(),
            };
            let changes = values.iter().any(|value| {
                let chosen = [(option.name.to_owned(), value.clone())].into_iter().collect();
                let read = serde_json::from_value(serde_json::Value::Object(chosen));
                work(&read.unwrap_or_else(|error| panic!("{} is {value}: {error}", option.name))) != usual
            });
            assert!(changes, "nothing depends on `{}`: use it in apply.rs", option.name);
        }
    }

    #[test]
    fn the_time_given_chooses_the_preset_unless_one_is_named() {
        let short = SceneOptions { budget: Some(60), ..SceneOptions::default() };
        assert_eq!([short.preset_on(true), short.preset_on(false)], [Preset::Preview, Preset::Standard]);
        let named = SceneOptions { preset: Some(Preset::High), ..short };
        assert_eq!(named.preset_on(true), Preset::High);
        let reference = SceneOptions { strategy: Some(Strategy::Mcmc), ..SceneOptions::default() }
            .training(Preset::Reference);
        assert_eq!((reference.strategy, reference.seed_points), (Strategy::Mcmc, 0));
    }
}
