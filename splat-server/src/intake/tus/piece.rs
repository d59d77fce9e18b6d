//! Receives the bytes of one request, and checks the upload once it is complete.

use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{Stream, StreamExt};
use sha1::{Digest, Sha1};

use super::index::{Slot, UploadLock};
use super::record::{self, Record};
use crate::intake::draft::VIDEO_UNSUPPORTED;
use crate::intake::error::{IntakeError, RejectCode, Rejected, Result, at};
use crate::intake::sink::Sink;
use crate::intake::sniff::{self, Kind};
use crate::intake::video::Video;
use crate::intake::{Shared, photos, zip};
use crate::store::blocking;

/// One chunk that is being received.
pub(super) struct Piece<'a> {
    pub(super) slot: &'a Slot,
    pub(super) record: &'a Record,
    /// Bytes received before.
    pub(super) have: u64,
    pub(super) hash: Option<Sha1>,
}

impl Piece<'_> {
    /// Appends the stream. Returns the new length, and the hash of the chunk if one is needed. What was received before a failure
    /// is in the file.
    pub(super) async fn receive<S, E>(
        mut self,
        shared: &Shared,
        dir: &Path,
        stream: S,
        lock: Arc<UploadLock>,
    ) -> (Result<u64>, Option<[u8; 20]>)
    where
        S: Stream<Item = std::result::Result<Bytes, E>>,
        E: fmt::Display,
    {
        let mut sink = match Sink::append(record::data(dir), shared.floor(), lock).await {
            Ok(sink) => sink,
            Err(error) => return (Err(error), None),
        };
        let failed = self.pump(shared, dir, stream, &mut sink).await.err();
        let finished = sink.finish().await;
        let result = match (failed, finished) {
            (Some(error), _) | (None, Err(error)) => Err(error),
            (None, Ok(written)) => Ok(self.have + written),
        };
        (result, self.hash.map(|hash| hash.finalize().into()))
    }

    async fn pump<S, E>(
        &mut self,
        shared: &Shared,
        dir: &Path,
        stream: S,
        sink: &mut Sink<UploadLock>,
    ) -> Result<()>
    where
        S: Stream<Item = std::result::Result<Bytes, E>>,
        E: fmt::Display,
    {
        let mut stream = pin!(stream);
        let mut takeover_requested = pin!(self.slot.takeover_requested());
        // From here on a notification is not missed, even during a write.
        takeover_requested.as_mut().enable();
        let mut head = if self.have < sniff::HEAD_BYTES as u64 {
            let data = record::data(dir);
            Some(blocking(move || head(&data)).await?)
        } else {
            None
        };
        let mut left = self.record.length - self.have.min(self.record.length);
        loop {
            let piece = tokio::select! {
                piece = stream.next() => piece,
                () = &mut takeover_requested => {
                    return Err(IntakeError::Interrupted { why: "another request took over".into() });
                }
            };
            let piece = match piece {
                None => return Ok(()),
                Some(Err(error)) => return Err(IntakeError::Interrupted { why: error.to_string() }),
                Some(Ok(piece)) => piece,
            };
            self.slot.touch();
            left = left
                .checked_sub(piece.len() as u64)
                .ok_or(IntakeError::BeyondLength { length: self.record.length })?;
            if let Some(hash) = &mut self.hash {
                hash.update(&piece);
            }
            if let Some(known) = &mut head {
                let wanted = sniff::HEAD_BYTES - known.len().min(sniff::HEAD_BYTES);
                known.extend_from_slice(piece.get(..wanted.min(piece.len())).unwrap_or_default());
                if known.len() >= sniff::HEAD_BYTES {
                    early(shared, known, self.record).map_err(IntakeError::Refused)?;
                    head = None;
                }
            }
            sink.push(&piece).await?;
        }
    }
}

/// The file's first bytes; empty if it is missing.
fn head(data: &Path) -> Result<Vec<u8>> {
    let mut head = Vec::with_capacity(sniff::HEAD_BYTES);
    match File::open(data) {
        Ok(file) => file.take(sniff::HEAD_BYTES as u64).read_to_end(&mut head).map_err(at(data))?,
        Err(error) if error.kind() == ErrorKind::NotFound => 0,
        Err(error) => return Err(at(data)(error)),
    };
    Ok(head)
}

pub(super) fn empty(name: &str) -> Rejected {
    Rejected::new(name, RejectCode::EmptyFile, "it is empty (0 bytes); copy it again")
}

fn unsupported(name: &str, reason: &str) -> Rejected {
    Rejected::new(name, RejectCode::UnsupportedFormat, reason)
}

/// Detects and checks the type from the first bytes, so that a wrong file is rejected early.
fn early(shared: &Shared, head: &[u8], record: &Record) -> std::result::Result<Kind, Rejected> {
    let kind = sniff::kind(head).map_err(|reason| unsupported(&record.name, reason))?;
    let max = shared.limits.max_file_bytes;
    match kind {
        Kind::Photo if record.length > max => {
            let reason = format!("it has more than {max} bytes, the most for one photo");
            Err(Rejected::new(&record.name, RejectCode::FileTooLarge, reason))
        }
        Kind::Video(_) if shared.ffmpeg.is_none() => {
            Err(Rejected::new(&record.name, RejectCode::VideoUnsupported, VIDEO_UNSUPPORTED))
        }
        kind => Ok(kind),
    }
}

/// Checks a complete upload: a photo's header and end, a zip's directory, a video's length.
pub(super) async fn check(
    shared: &Arc<Shared>,
    dir: &Path,
    record: &Record,
) -> Result<std::result::Result<(), Rejected>> {
    let data = record::data(dir);
    let head = {
        let data = data.clone();
        blocking(move || head(&data)).await?
    };
    let kind = match early(shared, &head, record) {
        Ok(kind) => kind,
        Err(rejected) => return Ok(Err(rejected)),
    };
    if let (Kind::Video(kind), Some(ffmpeg)) = (kind, &shared.ffmpeg) {
        let video = Video { ffmpeg, dir, file: "data", kind, limits: &shared.limits };
        let found = video.duration().await?;
        return Ok(found.map(drop).map_err(|(code, reason)| Rejected::new(&record.name, code, reason)));
    }
    // The semaphore is never closed.
    let _permit = shared.checks.acquire().await.ok();
    let (shared, name, bytes) = (shared.clone(), record.name.clone(), record.length);
    blocking(move || match kind {
        Kind::Photo => Ok(photos::check(&data, &name, bytes, &shared.limits).map(drop)),
        Kind::Zip => zip::check(&data, &name, &shared.limits),
        Kind::Video(_) => Ok(Ok(())),
    })
    .await
}
