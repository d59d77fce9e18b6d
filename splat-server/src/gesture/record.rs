//! Metadata of a model, stored beside it as `model.json`.

use serde::{Deserialize, Serialize};
use splat_gesture::{Bundle, Layout, Report};

use super::ModelCode;
use crate::job::{JobId, UnixMs};

/// A model of a user. It exists if this record does: the record is written last and removed last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelRecord {
    /// Id of the model.
    pub id: JobId,
    /// The model it was derived from.
    pub parent: ModelCode,
    /// How it was made, in words.
    pub step: String,
    /// Names of its gestures; the index of a gesture is its label id.
    pub labels: Vec<String>,
    /// What the coordinates mean.
    pub layout: Layout,
    /// When it was made.
    pub created_ms: UnixMs,
    /// Secret part of the URL at which it can be downloaded without a key.
    pub secret: JobId,
    /// Quality measurements.
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

/// Measurements on frames that were not used for training, 0..1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Figures {
    /// Mean recall of the existing gestures (of all gestures if none was added).
    pub old_accuracy: f64,
    /// Recall of the new gesture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_recall: Option<f64>,
    /// Number of frames of the new gesture that its recall is measured on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_frames: Option<u32>,
    /// Mean recall of all gestures in the quantised model.
    pub legacy_accuracy: f64,
    /// Share of unknown hands accepted as a gesture: synthetic hands, and stored frames with fingers taken from those.
    pub unknown_accepted: f64,
}

impl Figures {
    /// From the report of a training.
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
    /// Record of a new model whose files are not stored yet.
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

    /// Path of the URL at which stock clients download it without a key.
    #[must_use]
    pub fn download(&self) -> String {
        format!("/models/{}/{}.tflite", self.secret, self.id)
    }
}
