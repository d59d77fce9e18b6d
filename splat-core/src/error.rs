//! What can go wrong, in sentences for the caller.

use std::path::PathBuf;

/// Why an operation of this crate did not succeed.
///
/// `Display` says what happened and what to try; the cause is in `source`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder could not be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// What was to be read.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A file or folder could not be written.
    #[error("cannot write `{}`: {hint}", path.display())]
    Write {
        /// What was to be written.
        path: PathBuf,
        /// What to try.
        hint: &'static str,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A file is not what its format requires.
    #[error("`{}` is not a valid {format}: {what}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The format expected.
        format: &'static str,
        /// What is wrong, and where.
        what: String,
    },
    /// The run was cancelled; what was finished is kept.
    #[error("cancelled")]
    Cancelled,
}
