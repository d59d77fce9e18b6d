//! Why the store did not do something.

use std::io;
use std::path::{Path, PathBuf};

/// Why the store did not do something. What to do next differs by variant: give up, free space, wait, or correct the settings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no such file.
    #[error("there is no file `{path}` in job {id}")]
    NotFound {
        /// Of which job.
        id: String,
        /// Below the job's folder.
        path: String,
    },
    /// The disk or the quota is full. Nothing was kept of the file.
    #[error("the disk is full: `{}` could not be written; free some space, or let old jobs expire sooner", path.display())]
    Full {
        /// What was to be written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The store cannot be reached or answers with a failure of its own. It may pass.
    #[error("could not use the file store now: {why}")]
    Unavailable {
        /// What it said.
        why: String,
    },
    /// The store refuses the credentials. It does not pass by itself.
    #[error("the file store refuses access: {why}; check its credentials and the rights they carry")]
    Denied {
        /// What it said.
        why: String,
    },
    /// A path that is not plainly below the job's folder.
    #[error("`{path}` is no path below a job's folder: it must be relative, with `/`, without `..`")]
    BadPath {
        /// The path, cut to a readable length.
        path: String,
    },
    /// A link stands where a file or folder of the job should be.
    #[error("`{}` is a link, and links are not followed", path.display())]
    Link {
        /// Path of the link.
        path: PathBuf,
    },
    /// The range starts behind the end of the file.
    #[error("the file has {bytes} bytes, so the range does not begin within it")]
    BadRange {
        /// Size of the file.
        bytes: u64,
    },
    /// A file is larger than any of its kind.
    #[error("`{path}` has more than {limit} bytes, which no such file has")]
    TooLarge {
        /// Below the job's folder.
        path: String,
        /// Largest size allowed, bytes.
        limit: usize,
    },
    /// The settings cannot be used.
    #[error("{what}")]
    BadConfig {
        /// A sentence on what is wrong and what would be right.
        what: String,
    },
    /// A file or folder on this machine's disk cannot be read or written.
    #[error("`{}` cannot be used: {source}", path.display())]
    Io {
        /// Path of the file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The result of a store operation.
pub type Result<T> = std::result::Result<T, StoreError>;

impl StoreError {
    /// Sorts what the system says about a path on this machine's disk.
    #[must_use]
    pub fn from_io(path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path, source },
            _ => Self::Io { path, source },
        }
    }

    /// Whether waiting may help.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Full { .. })
    }
}
