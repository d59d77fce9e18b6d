//! Errors of a failed attempt as shown to the job's owner, and whether another attempt may succeed.

use splat_colmap::ColmapError;
use splat_core::Error;
use splat_core::plain::with_causes;

use super::Ended;
use crate::code::Code;
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
        if code == Code::Cancelled {
            return Ended::Cancelled;
        }
        let problem = JobProblem::new(code, with_causes(self)).hint(hint);
        Ended::Failed { problem, may_pass }
    }

    /// Code for programs, what to try, and whether another attempt may succeed.
    fn verdict(&self) -> (Code, Option<&'static str>, bool) {
        match self {
            Self::ActedOut { .. } => (Code::ActedOut, None, false),
            Self::Core(Error::Source(source)) => match source.downcast_ref() {
                Some(error) => colmap(error),
                None => (Code::Failed, None, false),
            },
            Self::Core(error) => core(error),
        }
    }
}

fn core(error: &Error) -> (Code, Option<&'static str>, bool) {
    match error {
        Error::Cancelled => (Code::Cancelled, None, false),
        Error::Write { .. } => {
            (Code::CannotWrite, Some("the server's disk may be full; its operator can tell"), true)
        }
        Error::DeviceLost { .. } => (Code::GpuLost, None, true),
        Error::OutOfGpuMemory { .. } => {
            (Code::OutOfGpuMemory, Some("try a smaller `max_image_size` or `max_gaussians`"), true)
        }
        Error::NoAdapter { .. } | Error::WrongResult { .. } => {
            (Code::NoGpu, Some("the server's GPU driver needs its operator: `splat doctor` tells more"), true)
        }
        Error::BadPhoto { .. } | Error::PhotoTooLarge { .. } => {
            (Code::BadPhoto, Some("leave this photo out"), false)
        }
        _ => (Code::Failed, None, false),
    }
}

fn colmap(error: &ColmapError) -> (Code, Option<&'static str>, bool) {
    match error {
        ColmapError::Core(Error::Cancelled) => (Code::Cancelled, None, false),
        ColmapError::Core(error) => core(error),
        ColmapError::NoReconstruction { .. } => (
            Code::NoReconstruction,
            Some("take more photos with more overlap, from all around; `quality` `high` looks harder"),
            false,
        ),
        ColmapError::TooFewPhotos { .. } | ColmapError::NoPhotos { .. } => (
            Code::TooFewPhotos,
            Some("send 20 to 300 photos of one place, neighbours overlapping by 60 %"),
            false,
        ),
        ColmapError::TimedOut { .. } | ColmapError::MatchingTimedOut { .. } => {
            (Code::TimedOut, Some("send fewer photos, or choose `quality` `low`"), false)
        }
        ColmapError::StageFailed { exited: false, .. } => {
            (Code::ColmapCrashed, Some("choose `quality` `low`"), true)
        }
        ColmapError::CannotStart { .. }
        | ColmapError::NotColmap { .. }
        | ColmapError::Hangs { .. }
        | ColmapError::TooOld { .. }
        | ColmapError::NoCommand { .. } => {
            (Code::NoColmap, Some("the server's COLMAP needs its operator: `splat doctor` tells more"), true)
        }
        _ => (Code::ColmapFailed, None, false),
    }
}
