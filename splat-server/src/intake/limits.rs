//! How much a client may send.

use serde::{Deserialize, Serialize};

/// How much a client may send. All of it holds while bytes arrive, not after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Limits {
    /// Fewest usable photos of a job. From two views alone no scene is found that is worth seeing.
    pub min_photos: usize,
    /// Most photos of a job.
    pub max_photos: usize,
    /// Most bytes of one photo.
    pub max_file_bytes: u64,
    /// Most bytes of a job as they arrive, and most bytes of its photos once unpacked. One zip or video may have as many.
    pub max_job_bytes: u64,
    /// Most pixels of one photo, as its header says.
    pub max_pixels: u64,
    /// Most entries of a zip, folders and everything included.
    pub max_zip_entries: usize,
    /// Longest video, in seconds.
    pub max_video_seconds: u64,
    /// Longest time that taking frames from a video may need, in seconds.
    pub video_timeout_seconds: u64,
    /// Free bytes that uploads leave on the disk.
    pub disk_floor_bytes: u64,
    /// Most resumable uploads of one owner that no job uses yet.
    pub max_uploads: usize,
    /// Most bytes of them in all.
    pub max_uploads_bytes: u64,
    /// Seconds after which an unused upload is removed, from its last change on.
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
