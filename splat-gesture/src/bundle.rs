//! A user's model with everything needed to extend it: frames of every gesture, weights, figures and provenance.

use serde::{Deserialize, Serialize};

use crate::dataset::Dataset;
use crate::error::{GestureError, Result};
use crate::frame::{Layout, check_name};
use crate::limits;
use crate::model::Model;
use crate::report::Report;

/// Provenance of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// How it was made, in words: trained from scratch, or a gesture added, renamed or deleted.
    pub step: String,
    /// Source of the first ancestor's frames.
    pub origin: String,
    /// [`Bundle::id`] of its parent.
    pub parent: Option<String>,
    /// The parent's ancestors, oldest first, without the parent.
    pub ancestors: Vec<String>,
    /// Seed of every random choice in the last training.
    pub seed: u64,
    /// Version of this crate.
    pub version: String,
}

/// One version of a model: all that is needed to recognise, to export, and to train the next version, without other files.
///
/// [`Bundle::to_bytes`] and [`Bundle::from_bytes`] store it.
#[derive(Clone, Debug, PartialEq)]
pub struct Bundle {
    pub(crate) dataset: Dataset,
    pub(crate) model: Model,
    pub(crate) report: Report,
    pub(crate) provenance: Provenance,
}

impl Bundle {
    /// Names of the gestures; the index of a gesture is its label id. An addition is appended.
    #[must_use]
    pub fn labels(&self) -> Vec<String> {
        self.dataset.names()
    }

    /// Meaning of its frames' coordinates.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.dataset.layout
    }

    /// The recogniser.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Figures on frames never trained on.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Its provenance.
    #[must_use]
    pub fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// Renames a gesture; surrounding white space of the new name is removed. Weights and positions do not change.
    ///
    /// # Errors
    /// [`GestureError::NoSuchGesture`], [`GestureError::NameTaken`], or an error of [`check_name`] for the new name.
    pub fn rename(&self, name: &str, to: &str) -> Result<Self> {
        let at = self.position(name)?;
        let to = to.trim();
        check_name(to)?;
        if name != to && self.dataset.gestures.iter().any(|gesture| gesture.name == to) {
            return Err(GestureError::NameTaken { name: to.to_owned() });
        }
        let mut renamed = self.clone();
        renamed.dataset.gestures[at].name = to.to_owned();
        renamed.report = self.report.relabelled(renamed.labels());
        renamed.provenance = self.descend(format!("renamed `{name}` to `{to}`"), self.provenance.seed);
        Ok(renamed)
    }

    /// Removes a gesture and its frames. Those after it move up one position; nothing is trained.
    ///
    /// # Errors
    /// [`GestureError::NoSuchGesture`]; [`GestureError::TooFewGestures`] if too few would remain.
    pub fn delete(&self, name: &str) -> Result<Self> {
        let at = self.position(name)?;
        let found = self.dataset.gestures.len() - 1;
        if found < limits::MIN_GESTURES {
            return Err(GestureError::TooFewGestures { found });
        }
        let mut smaller = self.clone();
        smaller.dataset.gestures.remove(at);
        smaller.model.gestures.remove(at);
        smaller.report = Report::measure(&smaller.model, &smaller.dataset, self.provenance.seed);
        smaller.provenance = self.descend(format!("deleted `{name}`"), self.provenance.seed);
        Ok(smaller)
    }

    /// A child's provenance.
    pub(crate) fn descend(&self, step: String, seed: u64) -> Provenance {
        let mut ancestors = self.provenance.ancestors.clone();
        ancestors.extend(self.provenance.parent.clone());
        // Only the most recent ancestors are kept.
        let from = ancestors.len().saturating_sub(limits::MAX_ANCESTORS);
        Provenance {
            step,
            origin: self.provenance.origin.clone(),
            parent: Some(self.id()),
            ancestors: ancestors.split_off(from),
            seed,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    fn position(&self, name: &str) -> Result<usize> {
        self.dataset
            .gestures
            .iter()
            .position(|gesture| gesture.name == name)
            .ok_or_else(|| GestureError::NoSuchGesture { name: name.to_owned(), has: self.labels() })
    }
}
