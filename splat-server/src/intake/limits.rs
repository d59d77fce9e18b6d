//! Limits on what a client may send.

use serde::{Deserialize, Serialize};

/// Limits on what a client may send. All are enforced while bytes arrive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Limits {
    /// Minimum usable photos per job.
    pub min_photos: usize,
    /// Maximum photos per job.
    pub max_photos: usize,
    /// Maximum bytes per photo.
    pub max_file_bytes: u64,
    /// Maximum bytes of a job as received, and of its photos once unpacked. A single zip or video may have as many.
    pub max_job_bytes: u64,
    /// Maximum pixels per photo, according to its header.
    pub max_pixels: u64,
    /// Maximum entries of a zip, including folders.
    pub max_zip_entries: usize,
    /// Maximum length of a video in seconds.
    pub max_video_seconds: u64,
    /// Maximum time for extracting frames from a video, in seconds.
    pub video_timeout_seconds: u64,
    /// Bytes that uploads leave free on the disk.
    pub disk_floor_bytes: u64,
    /// Maximum resumable uploads per owner that no job uses yet.
    pub max_uploads: usize,
    /// Maximum total bytes of those.
    pub max_uploads_bytes: u64,
    /// Seconds after its last change until an unused upload is removed.
    pub upload_retention_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            min_photos: 3,
            max_photos: 50,
            max_file_bytes: 64 << 20,
            max_job_bytes: 4 << 30,
            max_pixels: 100_000_000,
            max_zip_entries: 2_000,
            max_video_seconds: 600,
            video_timeout_seconds: 300,
            disk_floor_bytes: 2 << 30,
            max_uploads: 200,
            max_uploads_bytes: 8 << 30,
            upload_retention_seconds: 24 * 3600,
        }
    }
}
