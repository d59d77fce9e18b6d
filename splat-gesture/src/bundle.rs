//! A user's model with everything it takes to grow it: frames of every gesture, weights, figures and descent.

use serde::{Deserialize, Serialize};

use crate::dataset::Dataset;
use crate::error::{GestureError, Result};
use crate::frame::{Layout, check_name};
use crate::limits;
use crate::model::Model;
use crate::report::Report;

/// Where a model comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// What made it, in words: trained from scratch, a gesture added, renamed or deleted.
    pub step: String,
    /// Where the first ancestor's frames came from.
    pub origin: String,
    /// [`Bundle::id`] of the model it was grown from.
    pub parent: Option<String>,
    /// The parent's ancestors, oldest first, without the parent.
    pub ancestors: Vec<String>,
    /// Seed of every random choice in the last training.
    pub seed: u64,
    /// Version of this crate.
    pub version: String,
}

/// One version of a model: enough to recognise, to export, and to grow the next version from, with no other file.
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
    /// Names of the gestures; a gesture's place is its label id. An addition comes last.
    #[must_use]
    pub fn labels(&self) -> Vec<String> {
        self.dataset.names()
    }

    /// What the coordinates of its frames mean.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.dataset.layout
    }

    /// What recognises.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Figures on frames never trained on.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Where it comes from.
    #[must_use]
    pub fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// Gives a gesture another name, without outer spaces. Weights and positions stay.
    ///
    /// # Errors
    /// [`GestureError::NoSuchGesture`], [`GestureError::NameTaken`], or what [`check_name`] says of the new name.
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

    /// Takes a gesture out, its frames too. Those after it move up one position; nothing is trained.
    ///
    /// # Errors
    /// [`GestureError::NoSuchGesture`]; [`GestureError::TooFewGestures`] when too few would be left.
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
        // A long life is told by its last steps.
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
