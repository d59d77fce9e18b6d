//! Errors of the intake: rejected files and failed requests.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::store::StoreError;

/// A rejected file; the rest of the request continues.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Rejected {
    /// The client's name of it, sanitized for display.
    pub name: String,
    /// Code for programs.
    pub code: RejectCode,
    /// What is wrong and what to do, as a sentence.
    pub reason: String,
}

impl Rejected {
    pub(super) fn new(name: &str, code: RejectCode, reason: impl Into<String>) -> Self {
        Self { name: name.to_owned(), code, reason: reason.into() }
    }
}

splat_core::words! {
    /// Why a file was rejected.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
    #[serde(rename_all = "snake_case")]
    #[non_exhaustive]
    pub enum RejectCode {
        EmptyFile = "empty_file", "It has no bytes";
        UnsupportedFormat = "unsupported_format", "Not a JPEG, PNG, WebP, HEIC, AVIF, zip or video";
        UnreadablePhoto = "unreadable_photo", "It has the signature of a photo but cannot be read, or is truncated";
        FileTooLarge = "file_too_large", "More bytes than a file may have";
        TooManyPixels = "too_many_pixels", "More pixels than a photo may have, according to its header";
        TooSmall = "too_small", "Too few pixels for a reconstruction";
        BadZip = "bad_zip", "The zip archive cannot be read, or is truncated";
        ZipBomb = "zip_bomb", "An archive whose contents are far larger than the archive";
        TooManyEntries = "too_many_entries", "An archive with too many entries";
        Encrypted = "encrypted", "An archive, or an entry, that needs a password";
        NestedArchive = "nested_archive", "An archive inside an archive";
        UnsafeName = "unsafe_name", "An entry whose name points outside of the archive";
        Link = "link", "A link in an archive";
        VideoUnsupported = "video_unsupported", "A video, and this service cannot read videos";
        BadVideo = "bad_video", "The video cannot be read";
        VideoTooLong = "video_too_long", "A video that is too long";
    }
}

impl RejectCode {
    /// The matching HTTP status, if the file is the whole request.
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

/// Why a request failed. Variants differ in what to do next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IntakeError {
    /// The client's connection broke, or its body is malformed.
    #[error("the upload broke off: {why}")]
    Interrupted {
        /// The error of the connection.
        why: String,
    },
    /// More photos than a job may have.
    #[error(
        "a job may have at most {max} photos; leave some out, and keep those that overlap their neighbours well"
    )]
    TooManyPhotos {
        /// Maximum number.
        max: usize,
    },
    /// More parts than a request may have.
    #[error("the request has more than {max} files")]
    TooManyFiles {
        /// Maximum number.
        max: usize,
    },
    /// More bytes than a job may have.
    #[error("the photos of a job may have at most {max} bytes in all")]
    JobTooLarge {
        /// Maximum size in bytes.
        max: u64,
    },
    /// No usable file was sent.
    #[error("there is no usable photo; send JPEG, PNG or WebP files, a zip of them, or a video")]
    NoPhotos {
        /// The rejected files.
        rejected: Vec<Rejected>,
    },
    /// Too few photos for a reconstruction.
    #[error(
        "{found} usable photos are too few for a scene: at least {min} are needed, and 20 or more do well"
    )]
    TooFewPhotos {
        /// Number of usable photos.
        found: usize,
        /// Minimum number of photos.
        min: usize,
        /// The rejected files.
        rejected: Vec<Rejected>,
    },
    /// The only file of the request was rejected.
    #[error("`{}` is refused: {}", .0.name, .0.reason)]
    Refused(Rejected),
    /// The service's disk has no room for it.
    #[error("the service has no room left for uploads; try again later")]
    NoRoom,
    /// The disk or the store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no such upload, or it belongs to another owner.
    #[error("there is no such upload; it was never made, has expired or was already used")]
    NoUpload,
    /// Another request is writing to the upload.
    #[error("another request is using this upload; try again in a moment")]
    Locked,
    /// A chunk does not begin where the upload ends.
    #[error(
        "the upload holds {have} bytes, so a piece that begins at {given} does not fit; ask for the offset and go on from there"
    )]
    WrongOffset {
        /// Bytes received.
        have: u64,
        /// Offset given for the chunk.
        given: u64,
    },
    /// A chunk exceeds the declared length.
    #[error("the piece goes beyond the announced {length} bytes")]
    BeyondLength {
        /// The declared length.
        length: u64,
    },
    /// A chunk's checksum does not match.
    #[error("the piece arrived damaged: its checksum does not fit; send it again")]
    WrongChecksum,
    /// A request header is malformed.
    #[error("{what}")]
    BadRequest {
        /// What is wrong, as a sentence.
        what: String,
    },
    /// The declared length exceeds the maximum size of an upload.
    #[error("an upload may have at most {max} bytes")]
    UploadTooLarge {
        /// Maximum size in bytes.
        max: u64,
    },
    /// The owner has the maximum number of unused uploads.
    #[error(
        "you have {count} uploads that no job uses yet, as many as one may have; make a job of them or delete some"
    )]
    TooManyUploads {
        /// Number of the owner's unused uploads.
        count: usize,
    },
    /// The owner's unused uploads have the maximum total size.
    #[error(
        "your uploads that no job uses yet may have at most {max} bytes in all; make a job of them or delete some"
    )]
    OwnerFull {
        /// Maximum size in bytes.
        max: u64,
    },
    /// An upload that a job is to use is not complete yet.
    #[error("upload {id} is not complete: {have} of {length} bytes are there")]
    Incomplete {
        /// Id of the upload.
        id: String,
        /// Bytes received.
        have: u64,
        /// The declared length.
        length: u64,
    },
}

/// Result of an intake operation.
pub type Result<T> = std::result::Result<T, IntakeError>;

impl IntakeError {
    /// Classifies an I/O error of a path.
    pub(super) fn from_io(path: &Path, source: io::Error) -> Self {
        match StoreError::from_io(path, source) {
            StoreError::Full { .. } => Self::NoRoom,
            other => Self::Store(other),
        }
    }

    /// The rejected files; empty for errors without any.
    #[must_use]
    pub fn rejected(&self) -> &[Rejected] {
        match self {
            Self::NoPhotos { rejected } | Self::TooFewPhotos { rejected, .. } => rejected,
            Self::Refused(rejected) => std::slice::from_ref(rejected),
            _ => &[],
        }
    }
}

/// Attaches a path to an I/O error.
pub(super) fn at(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> IntakeError {
    let path = path.into();
    move |source| IntakeError::from_io(&path, source)
}
