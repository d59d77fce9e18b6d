//! What can go wrong between photos and a posed dataset, in sentences for the caller.

use std::fmt;
use std::path::PathBuf;

/// Result of this crate's fallible functions.
pub type Result<T, E = ColmapError> = std::result::Result<T, E>;

/// Where in a file something is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Bytes from the start of a binary file.
    Byte(u64),
    /// Line of a text file, from 1.
    Line(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Byte(offset) => write!(f, "byte {offset}"),
            Self::Line(line) => write!(f, "line {line}"),
        }
    }
}

/// Why a sparse model could not be made, read or written.
///
/// `Display` says what happened and what to try; the cause is in `source`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ColmapError {
    /// Files, photos and cancellation: the core's own errors.
    #[error(transparent)]
    Core(#[from] splat_core::Error),
    /// The file breaks the format at this place.
    #[error(
        "`{}` is not a valid COLMAP model file: {what} at {place}; copy it again, or run COLMAP once more",
        path.display()
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where.
        place: Place,
        /// What is wrong.
        what: String,
    },
    /// An image's camera is not in the model.
    #[error(
        "image {image_id} (`{name}`) in `{}` has camera {camera_id}, which the model lacks; its files \
         are not of one model, copy them again together",
        path.display()
    )]
    UnknownCamera {
        /// The images file.
        path: PathBuf,
        /// The image.
        image_id: u32,
        /// Its name.
        name: String,
        /// The camera that is not there.
        camera_id: u32,
    },
    /// No sparse model is where one was expected.
    #[error(
        "no COLMAP model in `{}`: looked for cameras and images (.bin or .txt) there, in `sparse` and in \
         `sparse/0`, `sparse/1` and so on; give the folder that holds `sparse` and `images`",
        dir.display()
    )]
    NoModel {
        /// The dataset's folder.
        dir: PathBuf,
    },
    /// The model has no registered image.
    #[error("the COLMAP model in `{}` has no registered photo; run COLMAP again on more or better photos", dir.display())]
    EmptyModel {
        /// The model's folder.
        dir: PathBuf,
    },
    /// The model names photos, and none of them is on disk.
    #[error(
        "none of the {count} photos of the model is in `{}` (the first is `{first}`); \
         put them there under the names that COLMAP saw",
        dir.display()
    )]
    NoImages {
        /// The images folder.
        dir: PathBuf,
        /// Photos of the model.
        count: usize,
        /// Name of the first.
        first: String,
    },
}

impl From<ColmapError> for splat_core::Error {
    fn from(error: ColmapError) -> Self {
        match error {
            ColmapError::Core(error) => error,
            error => Self::Source(Box::new(error)),
        }
    }
}

/// The core's error for a file that could not be read.
pub(crate) fn read_error(path: &std::path::Path, source: std::io::Error) -> ColmapError {
    ColmapError::Core(splat_core::Error::Read { path: path.to_owned(), source })
}

/// The core's error for a file that could not be written.
pub(crate) fn write_error(path: &std::path::Path, source: std::io::Error) -> ColmapError {
    ColmapError::Core(splat_core::files::write_error(path, source))
}
