//! What is refused, and why.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::store::StoreError;

/// One file that was not taken; the others go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Rejected {
    /// The client's name of it, made fit to be shown.
    pub name: String,
    /// A word for programs.
    pub code: RejectCode,
    /// What is wrong and what to do, in a sentence.
    pub reason: String,
}

impl Rejected {
    pub(super) fn new(name: &str, code: RejectCode, reason: impl Into<String>) -> Self {
        Self { name: name.to_owned(), code, reason: reason.into() }
    }
}

/// Why one file was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RejectCode {
    /// It has no bytes.
    EmptyFile,
    /// No JPEG, PNG, WebP, zip or video.
    UnsupportedFormat,
    /// It announces a photo and is none, or breaks off.
    UnreadablePhoto,
    /// More bytes than one file may have.
    FileTooLarge,
    /// More pixels than one photo may have, as its header says.
    TooManyPixels,
    /// Too few pixels to find anything in.
    TooSmall,
    /// No readable zip archive, or one that breaks off.
    BadZip,
    /// An archive that unpacks to far more than it holds.
    ZipBomb,
    /// An archive with more entries than one may have.
    TooManyEntries,
    /// An archive, or a file in it, that asks for a password.
    Encrypted,
    /// An archive in an archive.
    NestedArchive,
    /// A file in an archive whose name leads out of it.
    UnsafeName,
    /// A link in an archive.
    Link,
    /// A video, and this service cannot read videos.
    VideoUnsupported,
    /// No readable video.
    BadVideo,
    /// A video that lasts too long.
    VideoTooLong,
}

impl RejectCode {
    /// The HTTP status that says it, where one file is the whole request.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::UnsupportedFormat | Self::VideoUnsupported | Self::NestedArchive => 415,
            Self::FileTooLarge
            | Self::TooManyPixels
            | Self::ZipBomb
            | Self::TooManyEntries
            | Self::VideoTooLong => 413,
            _ => 422,
        }
    }
}

/// Why a request as a whole cannot go on. What to do next differs by variant.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IntakeError {
    /// The client's connection broke, or its body is malformed.
    #[error("the upload broke off: {why}")]
    Interrupted {
        /// What the connection said.
        why: String,
    },
    /// More photos than a job may have.
    #[error(
        "a job may have at most {max} photos; leave some out, and keep those that overlap their neighbours well"
    )]
    TooManyPhotos {
        /// Largest number allowed.
        max: usize,
    },
    /// More parts than a request may sensibly have.
    #[error("the request has more than {max} files")]
    TooManyFiles {
        /// Largest number allowed.
        max: usize,
    },
    /// More bytes than a job may have.
    #[error("the photos of a job may have at most {max} bytes in all")]
    JobTooLarge {
        /// Largest size allowed, bytes.
        max: u64,
    },
    /// Nothing usable was sent.
    #[error("there is no usable photo; send JPEG, PNG or WebP files, a zip of them, or a video")]
    NoPhotos {
        /// What was sent and why it was not taken.
        rejected: Vec<Rejected>,
    },
    /// Too few photos for a reconstruction.
    #[error(
        "{found} usable photos are too few for a scene: at least {min} are needed, and 20 or more do well"
    )]
    TooFewPhotos {
        /// Number of usable photos.
        found: usize,
        /// Smallest number of photos allowed.
        min: usize,
        /// What else was sent and why it was not taken.
        rejected: Vec<Rejected>,
    },
    /// The only file of the request was refused.
    #[error("`{}` is refused: {}", .0.name, .0.reason)]
    Refused(Rejected),
    /// The disk of the service has no room for it.
    #[error("the service has no room left for uploads; try again later")]
    NoRoom,
    /// The disk or the store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no such upload, or it is another's.
    #[error("there is no such upload; it was never made, has expired or was already used")]
    NoUpload,
    /// Another request is writing to the upload.
    #[error("another request is using this upload; try again in a moment")]
    Locked,
    /// A piece does not begin where the upload ends.
    #[error(
        "the upload holds {have} bytes, so a piece that begins at {given} does not fit; ask for the offset and go on from there"
    )]
    WrongOffset {
        /// Bytes that are there.
        have: u64,
        /// Where the piece was said to begin.
        given: u64,
    },
    /// A piece goes beyond the announced length.
    #[error("the piece goes beyond the announced {length} bytes")]
    BeyondLength {
        /// The announced length.
        length: u64,
    },
    /// A piece's checksum does not fit.
    #[error("the piece arrived damaged: its checksum does not fit; send it again")]
    WrongChecksum,
    /// A request header cannot be understood.
    #[error("{what}")]
    BadRequest {
        /// What is wrong, as a sentence.
        what: String,
    },
    /// One upload announces more than an upload may have.
    #[error("an upload may have at most {max} bytes")]
    UploadTooLarge {
        /// Largest size allowed, bytes.
        max: u64,
    },
    /// The owner has as many uploads as one may have.
    #[error(
        "you have {count} uploads that no job uses yet, as many as one may have; make a job of them or delete some"
    )]
    TooManyUploads {
        /// Number of the owner's unused uploads.
        count: usize,
    },
    /// The owner's uploads fill the room one may take.
    #[error(
        "your uploads that no job uses yet may have at most {max} bytes in all; make a job of them or delete some"
    )]
    OwnerFull {
        /// Largest size allowed, bytes.
        max: u64,
    },
    /// An upload that is to become a job's photos is not whole yet.
    #[error("upload {id} is not complete: {have} of {length} bytes are there")]
    Incomplete {
        /// Id of the upload.
        id: String,
        /// Bytes that are there.
        have: u64,
        /// The announced length.
        length: u64,
    },
}

/// The result of taking something in.
pub type Result<T> = std::result::Result<T, IntakeError>;

impl IntakeError {
    /// Sorts what the system says about a path.
    pub(super) fn from_io(path: &Path, source: io::Error) -> Self {
        match StoreError::from_io(path, source) {
            StoreError::Full { .. } => Self::NoRoom,
            other => Self::Store(other),
        }
    }

    /// A word for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Interrupted { .. } => "upload_interrupted",
            Self::TooManyPhotos { .. } => "too_many_photos",
            Self::TooManyFiles { .. } => "too_many_files",
            Self::JobTooLarge { .. } => "job_too_large",
            Self::NoPhotos { .. } => "no_photos",
            Self::TooFewPhotos { .. } => "too_few_photos",
            Self::Refused(_) => "file_refused",
            Self::NoRoom => "no_room",
            Self::Store(error) if error.may_pass() => "store_unavailable",
            Self::Store(_) => "store_failed",
            Self::NoUpload => "no_upload",
            Self::Locked => "upload_locked",
            Self::WrongOffset { .. } => "wrong_offset",
            Self::BeyondLength { .. } => "beyond_length",
            Self::WrongChecksum => "wrong_checksum",
            Self::BadRequest { .. } => "bad_request",
            Self::UploadTooLarge { .. } => "upload_too_large",
            Self::TooManyUploads { .. } => "too_many_uploads",
            Self::OwnerFull { .. } => "owner_full",
            Self::Incomplete { .. } => "upload_incomplete",
        }
    }

    /// The HTTP status that says it. 460 is tus' own for a wrong checksum.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Interrupted { .. } | Self::BadRequest { .. } => 400,
            Self::TooManyPhotos { .. }
            | Self::TooManyFiles { .. }
            | Self::JobTooLarge { .. }
            | Self::BeyondLength { .. }
            | Self::UploadTooLarge { .. }
            | Self::OwnerFull { .. } => 413,
            Self::NoPhotos { .. } | Self::TooFewPhotos { .. } => 422,
            Self::Refused(rejected) => rejected.code.status(),
            Self::NoRoom => 507,
            Self::Store(error) if error.may_pass() => 503,
            Self::Store(_) => 500,
            Self::NoUpload => 404,
            Self::Locked => 423,
            Self::WrongOffset { .. } | Self::Incomplete { .. } => 409,
            Self::WrongChecksum => 460,
            Self::TooManyUploads { .. } => 429,
        }
    }

    /// What was sent and not taken, where that is part of the story.
    #[must_use]
    pub fn rejected(&self) -> &[Rejected] {
        match self {
            Self::NoPhotos { rejected } | Self::TooFewPhotos { rejected, .. } => rejected,
            Self::Refused(rejected) => std::slice::from_ref(rejected),
            _ => &[],
        }
    }
}

/// Puts a path to what the system said.
pub(super) fn at(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> IntakeError {
    let path = path.into();
    move |source| IntakeError::from_io(&path, source)
}
