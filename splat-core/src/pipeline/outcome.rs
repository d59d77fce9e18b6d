//! What a run came to: the content of `metrics.json`.

use std::path::PathBuf;

use crate::placement::Placement;
use crate::train::ViewMetrics;

/// Held-out photos measured during training.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct EvalPoint {
    /// Steps done when it was measured.
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
    /// The options said so.
    StopAt,
    /// The run was cancelled.
    Cancelled,
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Outcome {
    /// Path of the scene's PLY.
    pub ply: PathBuf,
    /// The scene in the other forms that were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<PathBuf>,
    /// Gaussians in it.
    pub gaussians: u32,
    /// Steps done.
    pub steps_done: u32,
    /// Steps planned.
    pub steps: u32,
    /// Why there are fewer than planned, if so.
    pub stopped: Option<StopReason>,
    /// Mean PSNR in dB over the held-out photos; `None` without any, and after cancelling.
    pub psnr: Option<f64>,
    /// The same after the affine colour map that brings each render nearest to its photo
    /// ([`crate::metrics::color_corrected`]): without what brightness and white balance of single photos decide.
    #[serde(default)]
    pub cc_psnr: Option<f64>,
    /// Mean SSIM over the held-out views; `None` without any.
    pub ssim: Option<f64>,
    /// Which photos structure-from-motion placed, and which it did not; `None` for datasets that were posed elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
    /// Each held-out photo, by name.
    pub views: Vec<ViewMetrics>,
    /// Photo and render side by side, of the held-out photo with the middle PSNR.
    pub comparison: Option<PathBuf>,
    /// What was measured on the way.
    pub history: Vec<EvalPoint>,
    /// Where to go on from.
    pub checkpoint: PathBuf,
    /// Seconds of training, without evaluation.
    pub elapsed_s: f64,
    /// Most memory that this process had resident, where the system tells.
    pub peak_memory_bytes: Option<u64>,
    /// What was predicted before the first step.
    pub predicted_memory_bytes: u64,
    /// GPU and driver.
    pub adapter: String,
}
