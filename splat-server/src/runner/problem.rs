//! Errors of a failed attempt as shown to the job's owner, and whether another attempt may succeed.

use splat_colmap::ColmapError;
use splat_core::Error;
use splat_core::plain::with_causes;

use super::Ended;
use crate::job::JobProblem;

/// Why an attempt failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The pipeline failed.
    #[error(transparent)]
    Core(#[from] Error),
    /// Test mode simulated a failure.
    #[error("test mode was told to fail at the stage `{stage}`")]
    ActedOut {
        /// The stage in which it was simulated.
        stage: String,
    },
}

impl From<ColmapError> for Failure {
    fn from(error: ColmapError) -> Self {
        Self::Core(error.into())
    }
}

impl Failure {
    /// The last line of the attempt.
    pub(super) fn ended(&self) -> Ended {
        let (code, hint, may_pass) = self.verdict();
        if code == "cancelled" {
            return Ended::Cancelled;
        }
        let problem =
            JobProblem { code: code.into(), message: with_causes(self), hint: hint.map(str::to_owned) };
        Ended::Failed { problem, may_pass }
    }

    /// Code for programs, what to try, and whether another attempt may succeed.
    fn verdict(&self) -> (&'static str, Option<&'static str>, bool) {
        match self {
            Self::ActedOut { .. } => ("acted_out", None, false),
            Self::Core(Error::Source(source)) => match source.downcast_ref() {
                Some(error) => colmap(error),
                None => ("failed", None, false),
            },
            Self::Core(error) => core(error),
        }
    }
}

fn core(error: &Error) -> (&'static str, Option<&'static str>, bool) {
    match error {
        Error::Cancelled => ("cancelled", None, false),
        Error::Write { .. } => {
            ("cannot_write", Some("the server's disk may be full; its operator can tell"), true)
        }
        Error::DeviceLost { .. } => ("gpu_lost", None, true),
        Error::OutOfGpuMemory { .. } => {
            ("out_of_gpu_memory", Some("try a smaller `max_image_size` or `max_gaussians`"), true)
        }
        Error::NoAdapter { .. } | Error::WrongResult { .. } => {
            ("no_gpu", Some("the server's GPU driver needs its operator: `splat doctor` tells more"), true)
        }
        Error::BadPhoto { .. } | Error::PhotoTooLarge { .. } => {
            ("bad_photo", Some("leave this photo out"), false)
        }
        _ => ("failed", None, false),
    }
}

fn colmap(error: &ColmapError) -> (&'static str, Option<&'static str>, bool) {
    match error {
        ColmapError::Core(Error::Cancelled) => ("cancelled", None, false),
        ColmapError::Core(error) => core(error),
        ColmapError::NoReconstruction { .. } => (
            "no_reconstruction",
            Some("take more photos with more overlap, from all around; `quality` `high` looks harder"),
            false,
        ),
        ColmapError::TooFewPhotos { .. } | ColmapError::NoPhotos { .. } => (
            "too_few_photos",
            Some("send 20 to 300 photos of one place, neighbours overlapping by 60 %"),
            false,
        ),
        ColmapError::TimedOut { .. } | ColmapError::MatchingTimedOut { .. } => {
            ("timed_out", Some("send fewer photos, or choose `quality` `low`"), false)
        }
        ColmapError::StageFailed { exited: false, .. } => {
            ("colmap_crashed", Some("choose `quality` `low`"), true)
        }
        ColmapError::CannotStart { .. }
        | ColmapError::NotColmap { .. }
        | ColmapError::Hangs { .. }
        | ColmapError::TooOld { .. }
        | ColmapError::NoCommand { .. } => {
            ("no_colmap", Some("the server's COLMAP needs its operator: `splat doctor` tells more"), true)
        }
        _ => ("colmap_failed", None, false),
    }
}
