//! What an earlier run finished, so that the next one can go on from there.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use splat_core::events::Stage;
use splat_core::files::write_atomically;

use super::again::Again;
use super::features::FoundFeatures;
use super::options::ColmapQuality;
use super::prepare::Photos;
use crate::error::Result;

/// Raised when stages come to mean something else.
const VERSION: u32 = 1;

/// Finished stages and the key of each: what went in, in words.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub(super) struct State {
    version: u32,
    /// By the stage's name.
    finished: BTreeMap<String, String>,
    /// What the Prepare stage made.
    pub(super) photos: Option<Photos>,
    /// Whether `images` and `sparse` of the output folder are ours to replace.
    #[serde(default)]
    pub(super) wrote_output: bool,
    /// Set once the quality asked for had placed too few of the photos.
    pub(super) raised: Option<Raised>,
    /// The photos that were left out at first.
    #[serde(default)]
    pub(super) again: Option<Again>,
    /// What the features in the database were made from; `None` where there is none to go on with.
    #[serde(default)]
    pub(super) features: Option<FoundFeatures>,
    /// Who compared which pairs in the database; `None` where none are compared.
    #[serde(default)]
    pub(super) matched: Option<String>,
    #[serde(skip)]
    path: PathBuf,
}

/// A quality that was tried instead of the one asked for.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct Raised {
    /// The key of the photos.
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
    /// The state in `path`; an empty one where there is none that can be used.
    pub(super) fn load(path: &Path) -> Self {
        let stored = std::fs::read(path).ok().and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        let stored = stored.filter(|state| state.version == VERSION).unwrap_or_default();
        Self { version: VERSION, path: path.to_owned(), ..stored }
    }

    /// Forgets all but whose the files in the output folder are.
    pub(super) fn start_over(self) -> Self {
        Self { version: VERSION, path: self.path, wrote_output: self.wrote_output, ..Self::default() }
    }

    pub(super) fn is_finished(&self, stage: &str, key: &str) -> bool {
        self.finished.get(stage).is_some_and(|stored| stored == key)
    }

    /// Whether a stage was finished, from whatever.
    pub(super) fn has_finished(&self, stage: Stage) -> bool {
        self.finished.contains_key(&stage_name(stage))
    }

    /// Forgets stages before they are done again.
    pub(super) fn forget(&mut self, stages: &[String]) -> Result<()> {
        self.finished.retain(|stage, _| !stages.contains(stage));
        self.save()
    }

    pub(super) fn finish(&mut self, stage: &str, key: String) -> Result<()> {
        self.finished.insert(stage.to_owned(), key);
        self.save()
    }

    /// Notes that `images` and `sparse` are ours, before they are written.
    pub(super) fn own_output(&mut self) -> Result<()> {
        self.wrote_output = true;
        self.save()
    }

    /// Has the next run do these stages from nothing, without what the database holds of them.
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

/// FNV-1a, 64 bits: tells lists of files apart; nobody attacks it.
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
