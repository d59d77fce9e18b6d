//! Events emitted by a run, and its cancellation.
//!
//! One event type serves the terminal, `--json` and the HTTP service: it serialises as
//! `{"event": "...", ...}`, one line per event.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A stage of the pipeline from photos to scene, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The demo's photos are rendered.
    Photograph,
    /// Photos are checked, turned upright and copied.
    Prepare,
    /// COLMAP finds features.
    Features,
    /// COLMAP matches photos.
    Matching,
    /// COLMAP estimates camera poses.
    Mapping,
    /// Photos are undistorted and downscaled.
    Undistort,
    /// The posed dataset is read.
    Load,
    /// Gaussians are trained.
    Train,
    /// Held-out views are rendered and compared.
    Evaluate,
    /// Results are written.
    Save,
    /// Images of a finished scene are rendered.
    Render,
}

/// An event.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A stage began.
    StageStarted {
        /// The stage.
        stage: Stage,
    },
    /// Progress of a stage.
    StageProgress {
        /// The stage.
        stage: Stage,
        /// Units done (photos, pairs, images).
        done: u64,
        /// Total number of units, if known.
        total: Option<u64>,
    },
    /// A stage succeeded.
    StageFinished {
        /// The stage.
        stage: Stage,
        /// Wall time, seconds.
        elapsed_s: f64,
        /// True if an earlier run had finished it already.
        skipped: bool,
    },
    /// A problem that does not stop the run.
    Warning {
        /// One sentence or two.
        message: String,
    },
    /// Structure-from-motion ended: which photos have a pose, and which do not.
    Placed(crate::Placement),
    /// Estimate of the training's duration and memory, from a few timed steps.
    Estimate {
        /// Steps per second.
        steps_per_s: f64,
        /// Seconds for all steps.
        total_s: f64,
        /// Bytes of memory predicted at the cap on Gaussians.
        predicted_bytes: u64,
    },
    /// Progress of training.
    Step {
        /// Steps done; counts from 1.
        step: u32,
        /// Total number of steps of the run.
        steps: u32,
        /// Training loss of this step: L1 and 1 - SSIM, weighted, and the regularizers.
        loss: f32,
        /// Current number of Gaussians.
        gaussians: u32,
        /// Recent speed, steps per second.
        steps_per_s: f64,
        /// Seconds of training so far, without evaluation.
        elapsed_s: f64,
        /// Estimated seconds left; `None` until enough steps were timed.
        eta_s: Option<f64>,
    },
    /// Held-out views were evaluated.
    Eval {
        /// Steps done.
        step: u32,
        /// Mean PSNR in dB over the held-out views, at full size.
        psnr: f64,
        /// Mean PSNR after fitting an affine colour map from each render to its photo.
        #[serde(default)]
        cc_psnr: Option<f64>,
        /// Mean SSIM over the held-out views.
        ssim: f64,
        /// Seconds of training so far, without evaluation.
        elapsed_s: f64,
        /// Current number of Gaussians.
        gaussians: u32,
    },
    /// A file was written.
    Saved {
        /// Path of the file.
        path: PathBuf,
        /// Kind: `ply`, `checkpoint`, `comparison`, `metrics`, `preview`, `frame`, `video`.
        kind: String,
    },
}

/// A receiver of events.
pub type EventSink<'a> = &'a (dyn Fn(Event) + Sync);

/// Cancels a run at its next safe point. Clones share one flag.
#[derive(Clone, Debug, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// A token that is not cancelled.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Requests cancellation.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether cancellation was requested.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Returns an error once cancellation was requested, for use with `?`.
    ///
    /// # Errors
    /// [`crate::Error::Cancelled`].
    pub fn check(&self) -> crate::Result<()> {
        if self.is_cancelled() { Err(crate::Error::Cancelled) } else { Ok(()) }
    }
}
