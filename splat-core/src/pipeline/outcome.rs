//! The result of a run: the content of `metrics.json`.

use std::path::PathBuf;

use crate::placement::Placement;
use crate::train::ViewMetrics;

/// An evaluation during training.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct EvalPoint {
    /// Steps done at the time.
    pub step: u32,
    /// Mean PSNR in dB, at full size.
    pub psnr: f64,
    /// Mean colour-corrected PSNR in dB; see [`crate::metrics::color_corrected`].
    #[serde(default)]
    pub cc_psnr: Option<f64>,
    /// Mean SSIM over the held-out views.
    pub ssim: f64,
    /// Seconds of training, without evaluation.
    pub elapsed_s: f64,
    /// Number of Gaussians.
    pub gaussians: u32,
}

/// Why training ended before its last step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// The options' `stop_at` was reached.
    StopAt,
    /// The run was cancelled.
    Cancelled,
}

/// The result of a run.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Outcome {
    /// Path of the scene's PLY.
    pub ply: PathBuf,
    /// The scene in the other requested formats.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<PathBuf>,
    /// Number of Gaussians in the PLY.
    pub gaussians: u32,
    /// Steps done.
    pub steps_done: u32,
    /// Steps planned.
    pub steps: u32,
    /// Why fewer steps than planned were done, if so.
    pub stopped: Option<StopReason>,
    /// Mean PSNR in dB over the held-out photos; `None` without any, and after cancelling.
    pub psnr: Option<f64>,
    /// Mean PSNR after fitting an affine colour map from each render to its photo ([`crate::metrics::color_corrected`]), which removes
    /// the influence of exposure and white balance of single photos.
    #[serde(default)]
    pub cc_psnr: Option<f64>,
    /// Mean PSNR of the held-out views after optimizing each pose for its photo; `None` if the training poses were not refined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aligned_psnr: Option<f64>,
    /// Mean SSIM over the held-out views; `None` without any.
    pub ssim: Option<f64>,
    /// Photos with and without a pose after structure-from-motion; `None` for datasets that were posed before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
    /// Metrics of each held-out photo, by name.
    pub views: Vec<ViewMetrics>,
    /// Side-by-side image of the held-out photo with the median PSNR.
    pub comparison: Option<PathBuf>,
    /// Evaluations during training.
    pub history: Vec<EvalPoint>,
    /// Path of the latest checkpoint.
    pub checkpoint: PathBuf,
    /// Seconds of training, without evaluation.
    pub elapsed_s: f64,
    /// Peak resident memory of this process; `None` if unknown.
    pub peak_memory_bytes: Option<u64>,
    /// Memory predicted before the first step.
    pub predicted_memory_bytes: u64,
    /// The GPU and its driver.
    pub adapter: String,
}
