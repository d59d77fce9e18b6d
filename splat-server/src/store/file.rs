//! What the store gives of a file.

use std::io;
use std::ops::Range;
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::stream::BoxStream;

/// What is known of a stored file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileHead {
    /// Below the job's folder, with `/`.
    pub path: String,
    /// Size in bytes.
    pub bytes: u64,
    /// Changes when the content does; with its quotation marks, as HTTP's `ETag` is written.
    pub etag: String,
    /// When it was written.
    pub modified: SystemTime,
}

/// A stored file or a part of it, to be streamed.
pub struct Contents {
    /// Of the whole file.
    pub head: FileHead,
    /// Which bytes of it come.
    pub range: Range<u64>,
    /// The bytes, in pieces of at most some hundred KiB.
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
