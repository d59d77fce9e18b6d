//! What a run tells its caller while it works, and how the caller stops it.
//!
//! One event type serves the terminal, `--json` and the HTTP service: it serialises as
//! `{"event": "...", ...}`, one line an event.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A stage of the path from photos to scene, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The demo's photos are taken.
    Photograph,
    /// Photos are checked, turned upright and copied.
    Prepare,
    /// COLMAP finds features.
    Features,
    /// COLMAP matches photos.
    Matching,
    /// COLMAP places cameras.
    Mapping,
    /// Photos are undistorted and down-scaled.
    Undistort,
    /// The posed dataset is read.
    Load,
    /// Gaussians are trained.
    Train,
    /// Held-out views are rendered and compared.
    Evaluate,
    /// Results are written.
    Save,
    /// Pictures of a finished scene are drawn.
    Render,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A stage began.
    StageStarted {
        /// The stage.
        stage: Stage,
    },
    /// A stage moved on.
    StageProgress {
        /// The stage.
        stage: Stage,
        /// Units done (photos, pairs, images).
        done: u64,
        /// Units in all, when known.
        total: Option<u64>,
    },
    /// A stage ended well.
    StageFinished {
        /// The stage.
        stage: Stage,
        /// Wall time, seconds.
        elapsed_s: f64,
        /// True when an earlier run had done it already.
        skipped: bool,
    },
    /// Something the user should know that does not stop the run.
    Warning {
        /// One sentence or two.
        message: String,
    },
    /// Structure-from-motion ended: which photos are placed, and which are not.
    Placed(crate::Placement),
    /// What training will cost, measured on this machine from a few timed steps.
    Estimate {
        /// Steps per second.
        steps_per_s: f64,
        /// Seconds for all steps.
        total_s: f64,
        /// Bytes of memory predicted at the cap on Gaussians.
        predicted_bytes: u64,
    },
    /// Training moved on.
    Step {
        /// Steps done; counts from 1.
        step: u32,
        /// Steps that the run is planned for.
        steps: u32,
        /// Training loss of this step: L1 and 1 - SSIM, weighted, and the regularizers.
        loss: f32,
        /// Current number of Gaussians.
        gaussians: u32,
        /// Recent speed, steps per second.
        steps_per_s: f64,
        /// Seconds of training so far, without evaluation.
        elapsed_s: f64,
        /// Seconds left at the recent speed; `None` until enough steps were timed to know.
        eta_s: Option<f64>,
    },
    /// Held-out views were measured.
    Eval {
        /// Steps done.
        step: u32,
        /// Mean PSNR in dB over the held-out views, at full size.
        psnr: f64,
        /// The same after the affine colour map that brings each render nearest to its photo.
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
        /// What: `ply`, `checkpoint`, `comparison`, `metrics`, `preview`, `frame`, `video`.
        kind: String,
    },
}

/// Where events go.
pub type EventSink<'a> = &'a (dyn Fn(Event) + Sync);

/// Asks a run to stop at its next safe point. Clones share one flag.
#[derive(Clone, Debug, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// A token nobody has cancelled.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the run to stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether somebody asked.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// An error once somebody asked, for use with `?`.
    ///
    /// # Errors
    /// [`crate::Error::Cancelled`].
    pub fn check(&self) -> crate::Result<()> {
        if self.is_cancelled() { Err(crate::Error::Cancelled) } else { Ok(()) }
    }
}
