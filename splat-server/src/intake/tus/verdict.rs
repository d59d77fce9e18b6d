//! Whether what was uploaded can be used.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use super::super::draft::VIDEO_UNSUPPORTED;
use super::super::error::{RejectCode, Rejected, Result, at};
use super::super::sniff::{self, Kind};
use super::super::{Shared, photo, zip};
use super::record::{self, Record};
use crate::store::blocking;

/// The file's first bytes; none where it is missing.
pub(super) fn head(data: &Path) -> Result<Vec<u8>> {
    let mut head = Vec::with_capacity(sniff::HEAD_BYTES);
    match File::open(data) {
        Ok(file) => file.take(sniff::HEAD_BYTES as u64).read_to_end(&mut head).map_err(at(data))?,
        Err(error) if error.kind() == ErrorKind::NotFound => 0,
        Err(error) => return Err(at(data)(error)),
    };
    Ok(head)
}

/// What the file is, or why it cannot be used.
pub(super) fn kind(data: &Path) -> Result<std::result::Result<Kind, &'static str>> {
    Ok(sniff::kind(&head(data)?))
}

pub(super) fn empty(name: &str) -> Rejected {
    Rejected::new(name, RejectCode::EmptyFile, "it is empty (0 bytes); copy it again")
}

pub(super) fn unsupported(name: &str, reason: &str) -> Rejected {
    Rejected::new(name, RejectCode::UnsupportedFormat, reason)
}

/// What the first bytes of a file of known length tell: a wrong file need not come whole.
pub(super) fn early(shared: &Shared, head: &[u8], record: &Record) -> std::result::Result<Kind, Rejected> {
    let kind = sniff::kind(head).map_err(|reason| unsupported(&record.name, reason))?;
    let max = shared.limits.max_file_bytes;
    match kind {
        Kind::Photo(_) if record.length > max => {
            let reason = format!("it has more than {max} bytes, the most for one photo");
            Err(Rejected::new(&record.name, RejectCode::FileTooLarge, reason))
        }
        Kind::Video(_) if shared.ffmpeg.is_none() => {
            Err(Rejected::new(&record.name, RejectCode::VideoUnsupported, VIDEO_UNSUPPORTED))
        }
        kind => Ok(kind),
    }
}

/// Looks at a complete upload: a photo's header and end, a zip's directory, a video's length.
pub(super) async fn of(
    shared: &std::sync::Arc<Shared>,
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
        let found = ffmpeg.duration(dir, "data", kind, &shared.limits).await?;
        return Ok(found.map(drop).map_err(|(code, reason)| Rejected::new(&record.name, code, reason)));
    }
    // The semaphore is never closed.
    let _permit = shared.checks.acquire().await.ok();
    let (shared, name) = (shared.clone(), record.name.clone());
    blocking(move || match kind {
        Kind::Photo(_) => Ok(photo::check(&data, &name, &shared.limits).map(drop)),
        Kind::Zip => zip::check(&data, &name, &shared.limits),
        Kind::Video(_) => Ok(Ok(())),
    })
    .await
}
