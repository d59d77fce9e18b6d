//! One request's bytes, from its stream to the end of the upload.

use std::fmt;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{Stream, StreamExt};
use sha1::{Digest, Sha1};

use super::index::{Hold, Slot};
use super::record::{self, Record};
use super::verdict;
use crate::intake::Shared;
use crate::intake::error::{IntakeError, Result};
use crate::intake::sink::Sink;
use crate::intake::sniff;
use crate::store::blocking;

/// One piece on its way to the disk.
pub(super) struct Piece<'a> {
    pub(super) slot: &'a Slot,
    pub(super) record: &'a Record,
    /// Bytes that were there before.
    pub(super) have: u64,
    pub(super) hash: Option<Sha1>,
}

impl Piece<'_> {
    /// Writes the stream behind what is there. Gives what is there then, and the hash of the piece where one is wanted.
    /// What came before a failure is in the file.
    pub(super) async fn receive<S, E>(
        mut self,
        shared: &Shared,
        dir: &Path,
        stream: S,
        hold: Arc<Hold>,
    ) -> (Result<u64>, Option<[u8; 20]>)
    where
        S: Stream<Item = std::result::Result<Bytes, E>>,
        E: fmt::Display,
    {
        let mut sink = match Sink::append(record::data(dir), shared.floor(), hold).await {
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
        sink: &mut Sink<Hold>,
    ) -> Result<()>
    where
        S: Stream<Item = std::result::Result<Bytes, E>>,
        E: fmt::Display,
    {
        let mut stream = pin!(stream);
        let mut pushed_aside = pin!(self.slot.pushed_aside());
        // From here on it hears, also while it writes.
        pushed_aside.as_mut().enable();
        let mut head = if self.have < sniff::HEAD_BYTES as u64 {
            let data = record::data(dir);
            Some(blocking(move || verdict::head(&data)).await?)
        } else {
            None
        };
        let mut left = self.record.length - self.have.min(self.record.length);
        loop {
            let piece = tokio::select! {
                piece = stream.next() => piece,
                () = &mut pushed_aside => {
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
                    verdict::early(shared, known, self.record).map_err(IntakeError::Refused)?;
                    head = None;
                }
            }
            sink.push(&piece).await?;
        }
    }
}
