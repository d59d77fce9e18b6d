//! Writes a stream to a file in bounded memory, with limits enforced while it is written.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::stream::{Stream, StreamExt};

use super::error::{IntakeError, Result, at};
use crate::store::blocking;

/// Bytes buffered per write call.
const GATHERED_BYTES: usize = 256 * 1024;
/// The free space of the disk is checked again after this many bytes.
pub(super) const FLOOR_CHECK_BYTES: u64 = 16 << 20;

/// Keeps a minimum of free space on the disk.
#[derive(Clone, Debug)]
pub(super) struct Floor {
    pub(super) dir: Arc<Path>,
    pub(super) bytes: u64,
}

impl Floor {
    /// Whether `coming` more bytes leave the minimum free.
    pub(super) fn check(&self, coming: u64) -> Result<()> {
        let free = fs4::available_space(&*self.dir).map_err(at(&*self.dir))?;
        if free >= self.bytes.saturating_add(coming) { Ok(()) } else { Err(IntakeError::NoRoom) }
    }
}

/// A file that is being written. On drop, its contents stay.
pub(super) struct Sink<G> {
    file: Arc<File>,
    path: PathBuf,
    gathered: BytesMut,
    written: u64,
    unchecked: u64,
    floor: Floor,
    /// Also held by the pending write, so that a request dropped in the middle of a write does not release the file before the
    /// write has ended.
    guard: Arc<G>,
}

impl<G: Send + Sync + 'static> Sink<G> {
    /// Opens `path` for appending; creates it if it is missing.
    pub(super) async fn append(path: PathBuf, floor: Floor, guard: Arc<G>) -> Result<Self> {
        floor.check(0)?;
        let (path, file) = blocking(move || {
            let file = OpenOptions::new().append(true).create(true).open(&path).map_err(at(&path))?;
            Ok::<_, IntakeError>((path, file))
        })
        .await?;
        Ok(Self {
            file: Arc::new(file),
            path,
            gathered: BytesMut::new(),
            written: 0,
            unchecked: 0,
            floor,
            guard,
        })
    }

    /// Buffers bytes; they are written by [`Sink::flush`] or [`Sink::finish`] at the latest.
    pub(super) async fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= GATHERED_BYTES { self.flush().await } else { Ok(()) }
    }

    pub(super) async fn flush(&mut self) -> Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let piece = self.gathered.split().freeze();
        let length = piece.len() as u64;
        self.unchecked += length;
        let check = (self.unchecked >= FLOOR_CHECK_BYTES).then(|| self.floor.clone());
        if check.is_some() {
            self.unchecked = 0;
        }
        let (file, path, guard) = (self.file.clone(), self.path.clone(), self.guard.clone());
        blocking(move || {
            let _guard = guard;
            if let Some(floor) = check {
                floor.check(length)?;
            }
            (&*file).write_all(&piece).map_err(at(path))
        })
        .await?;
        self.written += length;
        Ok(())
    }

    /// Writes what is buffered and syncs the file. Returns the bytes written through this sink.
    pub(super) async fn finish(mut self) -> Result<u64> {
        self.flush().await?;
        let (file, path, guard) = (self.file, self.path, self.guard);
        blocking(move || {
            let _guard = guard;
            file.sync_data().map_err(at(path))
        })
        .await?;
        Ok(self.written)
    }
}

/// A stream whose first bytes were read ahead.
pub(super) struct Peeked<S> {
    pub(super) head: Bytes,
    rest: S,
    ended: bool,
}

impl<S, E> Peeked<Pin<&mut S>>
where
    S: Stream<Item = std::result::Result<Bytes, E>> + ?Sized,
    E: fmt::Display,
{
    /// Reads until `wanted` bytes are available or the stream ends.
    pub(super) async fn new(mut stream: Pin<&mut S>, wanted: usize) -> Result<Peeked<Pin<&mut S>>> {
        let mut head = BytesMut::new();
        let mut ended = false;
        while head.len() < wanted && !ended {
            match stream.next().await {
                Some(Ok(bytes)) => head.extend_from_slice(&bytes),
                Some(Err(error)) => return Err(IntakeError::Interrupted { why: error.to_string() }),
                None => ended = true,
            }
        }
        Ok(Peeked { head: head.freeze(), rest: stream, ended })
    }

    /// The next chunk, starting with the bytes read ahead; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>> {
        if self.head.has_remaining() {
            return Ok(Some(std::mem::take(&mut self.head)));
        }
        if self.ended {
            return Ok(None);
        }
        match self.rest.next().await {
            Some(Ok(bytes)) => Ok(Some(bytes)),
            Some(Err(error)) => Err(IntakeError::Interrupted { why: error.to_string() }),
            None => Ok(None),
        }
    }
}
