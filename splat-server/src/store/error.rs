//! Errors of the store.

use std::io;
use std::path::{Path, PathBuf};

/// Why a store operation failed. Variants differ in what to do next: give up, free space, wait, or fix the settings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no such file.
    #[error("there is no file `{path}` in job {id}")]
    NotFound {
        /// Id of the job.
        id: String,
        /// Path relative to the job's folder.
        path: String,
    },
    /// The disk or the quota is full. Nothing of the file was stored.
    #[error("the disk is full: `{}` could not be written; free some space, or let old jobs expire sooner", path.display())]
    Full {
        /// The path to be written.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
    /// The store cannot be reached, or failed. This may be temporary.
    #[error("could not use the file store now: {why}")]
    Unavailable {
        /// The store's error.
        why: String,
    },
    /// The store rejects the credentials. This is permanent.
    #[error("the file store refuses access: {why}; check its credentials and the rights they carry")]
    Denied {
        /// The store's error.
        why: String,
    },
    /// A path that might be outside of the job's folder.
    #[error("`{path}` is no path below a job's folder: it must be relative, with `/`, without `..`")]
    BadPath {
        /// The path, truncated to a readable length.
        path: String,
    },
    /// A symbolic link where a file or folder of the job should be.
    #[error("`{}` is a link, and links are not followed", path.display())]
    Link {
        /// Path of the link.
        path: PathBuf,
    },
    /// The range starts after the end of the file.
    #[error("the file has {bytes} bytes, so the range does not begin within it")]
    BadRange {
        /// Size of the file.
        bytes: u64,
    },
    /// A file is larger than expected for its kind.
    #[error("`{path}` has more than {limit} bytes, which no such file has")]
    TooLarge {
        /// Path relative to the job's folder.
        path: String,
        /// Maximum size in bytes.
        limit: usize,
    },
    /// The settings are invalid.
    #[error("{what}")]
    BadConfig {
        /// What is wrong and what would be right, as a sentence.
        what: String,
    },
    /// A file or folder on this machine's disk cannot be read or written.
    #[error("`{}` cannot be used: {source}", path.display())]
    Io {
        /// Path of the file or folder.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
}

/// Result of a store operation.
pub type Result<T> = std::result::Result<T, StoreError>;

impl StoreError {
    /// Classifies an I/O error of a path on this machine's disk.
    #[must_use]
    pub fn from_io(path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path, source },
            _ => Self::Io { path, source },
        }
    }

    /// Whether the error may be temporary.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Full { .. })
    }
}
