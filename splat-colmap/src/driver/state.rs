//! The record of finished stages, from which the next run resumes.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use splat_core::events::Stage;
use splat_core::files::write_atomically;

use super::features::FoundFeatures;
use super::options::ColmapQuality;
use super::prepare::Photos;
use super::second_try::SecondTryRecord;
use crate::error::Result;

/// Version of the record; incremented when the meaning of stages changes.
const VERSION: u32 = 1;

/// Finished stages with their keys, which describe their inputs.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub(super) struct State {
    version: u32,
    /// By the stage's name.
    finished: BTreeMap<String, String>,
    /// Result of the Prepare stage.
    pub(super) photos: Option<Photos>,
    /// Whether `images` and `sparse` of the output folder are ours to replace.
    #[serde(default)]
    pub(super) wrote_output: bool,
    /// Whether `masks` of the output folder is, too.
    #[serde(default)]
    pub(super) wrote_masks: bool,
    /// Set if the requested quality had placed too few of the photos.
    pub(super) raised: Option<Raised>,
    /// The photos that were left out at first.
    #[serde(default, rename = "again")]
    pub(super) second_try: Option<SecondTryRecord>,
    /// Inputs of the features in the database; `None` if there are none to reuse.
    #[serde(default)]
    pub(super) features: Option<FoundFeatures>,
    /// Engine and selection of the pairs matched in the database; `None` if there are none.
    #[serde(default)]
    pub(super) matched: Option<String>,
    #[serde(skip)]
    path: PathBuf,
}

/// A quality that was tried instead of the requested one.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct Raised {
    /// Key of the set of photos.
    pub(super) photos: String,
    pub(super) from: ColmapQuality,
    pub(super) to: ColmapQuality,
}

impl Raised {
    pub(super) fn matches(&self, photos: &str, asked: ColmapQuality) -> bool {
        self.photos == photos && self.from == asked
    }
}

impl State {
    /// Reads the state from `path`; empty if there is no usable one.
    pub(super) fn load(path: &Path) -> Self {
        let stored = std::fs::read(path).ok().and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        let stored = stored.filter(|state| state.version == VERSION).unwrap_or_default();
        Self { version: VERSION, path: path.to_owned(), ..stored }
    }

    /// Resets everything except the ownership of files in the output folder.
    pub(super) fn start_over(self) -> Self {
        let Self { path, wrote_output, wrote_masks, .. } = self;
        Self { version: VERSION, path, wrote_output, wrote_masks, ..Self::default() }
    }

    pub(super) fn is_finished(&self, stage: &str, key: &str) -> bool {
        self.finished.get(stage).is_some_and(|stored| stored == key)
    }

    /// Whether a stage was finished, with any inputs.
    pub(super) fn has_finished(&self, stage: Stage) -> bool {
        self.finished.contains_key(&stage_name(stage))
    }

    /// Removes stages from the record before they are run again.
    pub(super) fn forget(&mut self, stages: &[String]) -> Result<()> {
        self.finished.retain(|stage, _| !stages.contains(stage));
        self.save()
    }

    pub(super) fn finish(&mut self, stage: &str, key: String) -> Result<()> {
        self.finished.insert(stage.to_owned(), key);
        self.save()
    }

    /// Records that `images` and `sparse` are ours, and `masks` if there are any, before they are written.
    pub(super) fn own_output(&mut self, with_masks: bool) -> Result<()> {
        self.wrote_output = true;
        self.wrote_masks |= with_masks;
        self.save()
    }

    /// Makes the next run repeat these stages from scratch, ignoring their results in the database.
    pub(super) fn forget_made(&mut self, stage: Stage) -> Result<()> {
        if stage <= Stage::Features {
            self.features = None;
        }
        if stage <= Stage::Matching && self.matched.is_some() {
            self.matched = Some(String::new());
        }
        self.forget(&stages_from(stage))
    }

    pub(super) fn save(&self) -> Result<()> {
        let json = serde_json::to_vec_pretty(self).map_err(std::io::Error::from);
        Ok(write_atomically(&self.path, |out| out.write_all(&json?))?)
    }
}

/// FNV-1a, 64 bits: identifies lists of files; need not be collision resistant against attacks.
pub(super) fn fingerprint(text: &str) -> String {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// The name of a stage in the record of finished stages.
pub(super) fn stage_name(stage: Stage) -> String {
    format!("{stage:?}").to_lowercase()
}

/// The names of a stage and of all that depend on it.
pub(super) fn stages_from(stage: Stage) -> Vec<String> {
    let all = [Stage::Prepare, Stage::Features, Stage::Matching, Stage::Mapping, Stage::Undistort];
    all.into_iter().filter(|&other| other >= stage).map(stage_name).collect()
}
