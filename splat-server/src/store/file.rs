//! Metadata and contents of stored files.

use std::io;
use std::ops::Range;
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::stream::BoxStream;

/// Metadata of a stored file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileHead {
    /// Path relative to the job's folder, with `/`.
    pub path: String,
    /// Size in bytes.
    pub bytes: u64,
    /// ETag, with its quotation marks: changes when the content does.
    pub etag: String,
    /// When it was written.
    pub modified: SystemTime,
}

/// A stored file or a range of it, as a stream.
pub struct Contents {
    /// Metadata of the whole file.
    pub head: FileHead,
    /// The range of bytes that is streamed.
    pub range: Range<u64>,
    /// The bytes, in chunks of at most a few hundred KiB.
    pub stream: BoxStream<'static, io::Result<Bytes>>,
}

impl std::fmt::Debug for Contents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Contents")
            .field("head", &self.head)
            .field("range", &self.range)
            .finish_non_exhaustive()
    }
}
