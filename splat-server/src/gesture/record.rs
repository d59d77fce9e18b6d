//! What is known of a model without reading it whole: `model.json` beside it.

use serde::{Deserialize, Serialize};
use splat_gesture::{Bundle, Layout, Report};

use super::ModelCode;
use crate::job::{JobId, UnixMs};

/// A model of an owner. It exists when this record does, which is written last, and removed last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelRecord {
    /// Id of the model.
    pub id: JobId,
    /// The model it was grown from.
    pub parent: ModelCode,
    /// What made it, in words.
    pub step: String,
    /// Names of its gestures; a gesture's place is its label id.
    pub labels: Vec<String>,
    /// What its coordinates mean.
    pub layout: Layout,
    /// When it was made.
    pub created_ms: UnixMs,
    /// Part of the URL under which it can be fetched without a key.
    pub secret: JobId,
    /// How good it is.
    pub metrics: Figures,
    /// Files of the model.
    pub files: Vec<ModelFile>,
}

/// A file of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelFile {
    /// `legacy.tflite` ...
    pub name: String,
    /// Size in bytes.
    pub bytes: u64,
}

/// Figures on frames that no training saw, 0..1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Figures {
    /// Mean recall of the gestures that were there before (of all, where none was added).
    pub old_accuracy: f64,
    /// Share of the new gesture's frames recognised as it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_recall: Option<f64>,
    /// Frames of the new gesture that this was counted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_frames: Option<u32>,
    /// Mean recall of all gestures in the quantised model.
    pub legacy_accuracy: f64,
    /// Share of unknown hands that were taken for a gesture: made-up ones, and stored frames with fingers of those.
    pub unknown_accepted: f64,
}

impl Figures {
    /// Those of a report.
    #[must_use]
    pub fn of(report: &Report) -> Self {
        Self {
            old_accuracy: report.old_accuracy,
            new_recall: report.new_recall,
            new_frames: report.new_recall.and_then(|_| Some(report.confusion.counts.last()?.iter().sum())),
            legacy_accuracy: report.legacy_accuracy,
            unknown_accepted: report.unknown_accepted,
        }
    }
}

impl ModelRecord {
    /// Of a new model, whose files are not stored yet.
    pub(super) fn new(new: super::models::NewModel, bundle: &Bundle, created_ms: UnixMs) -> Self {
        Self {
            id: new.id,
            parent: new.parent,
            step: bundle.provenance().step.clone(),
            labels: bundle.labels(),
            layout: bundle.layout(),
            created_ms,
            secret: new.secret,
            metrics: Figures::of(bundle.report()),
            files: Vec::new(),
        }
    }

    /// The path of the URL under which stock clients fetch it without a key.
    #[must_use]
    pub fn download(&self) -> String {
        format!("/models/{}/{}.tflite", self.secret, self.id)
    }
}
