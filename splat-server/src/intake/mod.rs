//! Intake: receives photos as files, in a zip, or as a video, in one request or by resumable uploads.
//!
//! | step | what |
//! | --- | --- |
//! | [`Intake::begin`] | a [`Draft`]: a private folder `DATA/uploads/<id>/`, removed when the draft is dropped |
//! | [`Draft::add_file`] | streams one file to disk, detects its type from its content, rejects what cannot be used |
//! | [`Draft::finish`] | enough photos? [`Photos`] in natural order of the client's names, as `0001.jpg` ... |
//! | [`Photos::commit`] | moves them into the job's `images/` in the store |
//!
//! Alternatively, resumable: [`Intake::create_upload`], [`Intake::append`] as often as needed, and [`Intake::take`] for a draft
//! made of uploads.
//!
//! A file name sent by a client never becomes a path. Memory is bounded by the number of requests, not by what they send.

mod archive_folders;
mod draft;
mod error;
mod frames;
mod limits;
mod name;
mod photos;
mod sink;
mod sniff;
#[cfg(test)]
mod tests;
mod tus;
mod video;
mod zip;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::job::Owner;

pub use draft::Draft;
use draft::PrivateDir;
use error::at;
pub use error::{IntakeError, RejectCode, Rejected, Result};
pub use limits::Limits;
pub use name::{natural_order, shown};
pub use photos::Photos;
use sink::Floor;
use tus::Index;
pub use tus::Upload;
use video::Ffmpeg;

/// Folder of files that no job uses yet, below the data folder.
const UPLOADS: &str = "uploads";
/// Files that are checked in memory at once, each at most `max_file_bytes`.
const CHECKED_AT_ONCE: usize = 2;

/// An accepted photo.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PhotoEntry {
    /// Its name in the job's `images/`, chosen by the service; empty while the draft is not finished.
    pub file: String,
    /// The client's name of it, sanitized for display.
    pub name: String,
    /// Size of the file.
    pub bytes: u64,
    /// Width of the upright image in pixels.
    pub width: u32,
    /// Height of the upright image in pixels.
    pub height: u32,
}

/// Result for one received file: a photo gives one entry, a zip or a video many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Added {
    /// Photos that were accepted.
    pub photos: Vec<PhotoEntry>,
    /// What was rejected, and why.
    pub rejected: Vec<Rejected>,
}

/// Receives what clients send. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Intake {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    data_dir: Arc<Path>,
    limits: Limits,
    checks: Semaphore,
    ffmpeg: Option<Ffmpeg>,
    index: Index,
}

impl Intake {
    /// Creates the folder for uploads below `data_dir` if it is missing, and finds existing resumable uploads. Only one process
    /// at a time may open a data folder.
    ///
    /// # Errors
    /// [`IntakeError::Store`] if the folder cannot be created or read.
    pub fn open(data_dir: &Path, limits: Limits) -> Result<Self> {
        let uploads = data_dir.join(UPLOADS);
        std::fs::create_dir_all(&uploads).map_err(at(&uploads))?;
        let data_dir = std::path::absolute(data_dir).map_err(at(data_dir))?.into();
        let index = Index::load(&uploads)?;
        let checks = Semaphore::new(CHECKED_AT_ONCE);
        Ok(Self { shared: Arc::new(Shared { data_dir, limits, checks, ffmpeg: Ffmpeg::find(), index }) })
    }

    /// Whether videos are accepted: whether ffmpeg was found on opening.
    #[must_use]
    pub fn takes_videos(&self) -> bool {
        self.shared.ffmpeg.is_some()
    }

    /// Behaves as on a machine without ffmpeg.
    #[cfg(test)]
    fn without_ffmpeg(self) -> Self {
        let shared = &self.shared;
        let (data_dir, limits) = (shared.data_dir.clone(), shared.limits.clone());
        let (checks, index) = (Semaphore::new(CHECKED_AT_ONCE), Index::default());
        Self { shared: Arc::new(Shared { data_dir, limits, checks, ffmpeg: None, index }) }
    }

    /// Limits on what a client may send.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// A scratch folder, which is removed when the value is dropped.
    pub(crate) async fn scratch(&self) -> Result<PrivateDir> {
        Ok(PrivateDir::make(&self.shared.uploads()).await?.1)
    }

    /// Starts a new draft.
    ///
    /// # Errors
    /// [`IntakeError::NoRoom`] if the disk is filled to its limit, [`IntakeError::Store`] if it cannot be written.
    pub async fn begin(&self, owner: &Owner) -> Result<Draft> {
        Draft::begin(self.shared.clone(), owner).await
    }
}

impl Shared {
    fn uploads(&self) -> PathBuf {
        self.data_dir.join(UPLOADS)
    }

    fn floor(&self) -> Floor {
        Floor { dir: self.data_dir.clone(), bytes: self.limits.disk_floor_bytes }
    }
}
