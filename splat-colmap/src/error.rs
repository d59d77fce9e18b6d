//! The errors of this crate.

use std::fmt;
use std::path::PathBuf;
use std::process::ExitStatus;

use crate::version::Version;

/// Result of this crate's fallible functions.
pub type Result<T, E = ColmapError> = std::result::Result<T, E>;

/// A position in a file.
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

/// An error of this crate.
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
        /// Place in the file.
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
        /// Id of the image.
        image_id: u32,
        /// Name of the image.
        name: String,
        /// The camera that is not there.
        camera_id: u32,
    },
    /// No sparse model is where one was expected.
    #[error(
        "no COLMAP model in `{}`: looked for cameras and images (.bin or .txt) there and in the folders below it, such as \
         `sparse/0`; give the folder that holds `sparse` and `images`",
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
        "none of the {count} photos of the model is in `{}` (the first is `{first}`), under that or a similar name; \
         put them there, or name their folder with `--images`",
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
    /// The model names photos, and all of them are ambiguous on disk.
    #[error(
        "none of the {count} photos of the model can be matched to a file in `{}`: {what}; keep the folders that COLMAP saw, or name the \
         right folder with `--images`",
        dir.display()
    )]
    AmbiguousPhotos {
        /// The images folder.
        dir: PathBuf,
        /// Photos of the model.
        count: usize,
        /// The first name and what it may be.
        what: String,
    },
    /// There is no program to run.
    #[error(
        "cannot start COLMAP as `{}`; install it ({}), or name the program",
        binary.display(),
        splat_core::machine::INSTALL_COLMAP
    )]
    CannotStart {
        /// The program's path or name.
        binary: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The program is another one.
    #[error("`{}` is not COLMAP: asked for help, it said \"{answer}\"; name the right program", binary.display())]
    NotColmap {
        /// The program's path or name.
        binary: PathBuf,
        /// The first line of its answer.
        answer: String,
    },
    /// The program did not respond.
    #[error("`{}` did not answer within {seconds} s and was ended; try `colmap help` in a terminal", binary.display())]
    Hangs {
        /// The program's path or name.
        binary: PathBuf,
        /// How long it was waited for.
        seconds: u64,
    },
    /// The program is older than the oldest supported release.
    #[error("COLMAP {found} (`{}`) is too old; {oldest} or later is needed", binary.display())]
    TooOld {
        /// The program's path or name.
        binary: PathBuf,
        /// Release of the program that was found.
        found: Version,
        /// The oldest that will do.
        oldest: Version,
    },
    /// The program lacks a command that every known release has.
    #[error("COLMAP {version} (`{}`) has no command `{command}`; install a complete release", binary.display())]
    NoCommand {
        /// The program's path or name.
        binary: PathBuf,
        /// COLMAP's command.
        command: &'static str,
        /// Release of the program.
        version: Version,
    },
    /// The output would replace files that an earlier run did not write.
    #[error(
        "`{}` is in the way: the dataset would replace it, and it holds the photos or another program's \
         files; choose another output folder",
        path.display()
    )]
    OutputInTheWay {
        /// What would be replaced.
        path: PathBuf,
    },
    /// A command of COLMAP ran and failed.
    #[error(
        "COLMAP's `{command}` failed ({status}); everything it said is in `{}`, the last lines are:\n{tail}",
        log.display()
    )]
    StageFailed {
        /// COLMAP's command.
        command: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// Whether it exited by itself; false if a signal ended it, as for a crash or out of memory.
        exited: bool,
        /// Path of the log, which has all that COLMAP wrote.
        log: PathBuf,
        /// Its last lines.
        tail: String,
    },
    /// A command of COLMAP reported success, but files are missing.
    #[error(
        "COLMAP's `{command}` left {missing} of {expected} files unwritten, such as `{first}`, without saying so (its log is \
         `{}`); look whether the disk is full or the folder can be written to, and run again: finished stages are kept",
        log.display()
    )]
    Incomplete {
        /// COLMAP's command.
        command: &'static str,
        /// Files that are not there or empty.
        missing: usize,
        /// Files that should be there.
        expected: usize,
        /// The first that is missing.
        first: String,
        /// Path of the log, which has all that COLMAP wrote.
        log: PathBuf,
    },
    /// A command of COLMAP took too long and was ended.
    #[error(
        "COLMAP's `{command}` was ended after {minutes:.1} minutes, the limit for a stage; finished stages are kept: \
         raise the limit or lower the COLMAP quality, and run again (its log is `{}`)",
        log.display()
    )]
    TimedOut {
        /// COLMAP's command.
        command: &'static str,
        /// Time limit in minutes.
        minutes: f64,
        /// Path of the log, which has all that COLMAP wrote.
        log: PathBuf,
    },
    /// Comparing features took too long and was ended.
    #[error(
        "comparing the photos' features was ended after {minutes:.1} minutes, the limit for a stage; finished stages and pairs \
         are kept: raise the limit or lower the COLMAP quality, and run again"
    )]
    MatchingTimedOut {
        /// Time limit in minutes.
        minutes: f64,
    },
    /// COLMAP's database of features and matches is damaged or of an unknown kind.
    #[error(
        "COLMAP's database `{}` cannot be used: {what}; do all COLMAP stages again, which makes it anew, or have COLMAP \
         compare the features",
        path.display()
    )]
    Database {
        /// Path of the database.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The folder contains no usable photo.
    #[error("no photos in `{}`: JPEG, PNG, WebP, TIFF, GIF and BMP files are taken, in subfolders too. {skipped}", dir.display())]
    NoPhotos {
        /// The folder.
        dir: PathBuf,
        /// A sentence on the files left out, or nothing.
        skipped: String,
    },
    /// The folder contains too few photos.
    #[error(
        "only {count} usable photo(s) in `{}`; a scene takes at least 3, and 20 or more that overlap by \
         60 % to look good. {skipped}",
        dir.display()
    )]
    TooFewPhotos {
        /// The folder.
        dir: PathBuf,
        /// Photos that can be used.
        count: usize,
        /// A sentence on the files left out, or nothing.
        skipped: String,
    },
    /// COLMAP found no poses for the photos.
    #[error(
        "COLMAP could not place the photos: {registered} of {photos} registered, because too few of them show the \
         same things from different places; take sharp photos of one place with 60 % overlap, walking around it \
         instead of turning on the spot, or try a higher COLMAP quality (its log is `{}`)",
        log.display()
    )]
    NoReconstruction {
        /// Number of photos that were placed.
        registered: u64,
        /// Photos in all.
        photos: u64,
        /// Path of the log, which has all that COLMAP wrote.
        log: PathBuf,
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
