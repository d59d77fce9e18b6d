//! The record of an upload, stored beside its bytes.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::super::error::{Rejected, Result, at};
use crate::job::Owner;

/// Record of an upload. The offset is not part of it: it is the length of the data file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) owner: Owner,
    /// The client's file name, sanitized for display.
    pub(super) name: String,
    /// Declared length in bytes.
    pub(super) length: u64,
    /// `Upload-Metadata` as received, for responses.
    pub(super) metadata: String,
    /// Whether its content was accepted.
    pub(super) accepted: bool,
    /// Why its content was rejected; its bytes are then deleted.
    pub(super) refused: Option<Rejected>,
}

impl Record {
    /// `None` if it is missing or unreadable.
    pub(super) fn read(dir: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(place(dir)).ok()?).ok()
    }

    /// Writes the record atomically.
    pub(super) fn write(&self, dir: &Path) -> Result<()> {
        let (place, unfinished) = (place(dir), dir.join("upload.json.part"));
        let json = serde_json::to_vec(self).map_err(|error| at(&place)(error.into()))?;
        fs::write(&unfinished, json).and_then(|()| fs::rename(&unfinished, &place)).map_err(at(place))
    }
}

fn place(dir: &Path) -> PathBuf {
    dir.join("upload.json")
}

pub(super) fn data(dir: &Path) -> PathBuf {
    dir.join("data")
}

/// Bytes received.
pub(super) fn offset(dir: &Path) -> Result<u64> {
    let data = data(dir);
    match fs::symlink_metadata(&data) {
        Ok(meta) => Ok(meta.len()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(at(data)(error)),
    }
}

/// Marks data after `offset` as unverified. After a crash the mark is left, and [`recover`] truncates the data.
pub(super) fn mark_unverified(dir: &Path, offset: u64) -> Result<()> {
    let mark = dir.join("unverified");
    fs::write(&mark, offset.to_string()).map_err(at(mark))
}

pub(super) fn verified(dir: &Path) -> Result<()> {
    let mark = dir.join("unverified");
    match fs::remove_file(&mark) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(at(mark)(error)),
        _ => Ok(()),
    }
}

/// Truncates the data to what is verified.
pub(super) fn recover(dir: &Path) -> Result<()> {
    let mark = dir.join("unverified");
    let Ok(text) = fs::read_to_string(&mark) else { return Ok(()) };
    // A partially written mark means that no byte of the chunk was written yet.
    if let Ok(right) = text.trim().parse::<u64>()
        && right < offset(dir)?
    {
        let data = data(dir);
        fs::OpenOptions::new()
            .write(true)
            .open(&data)
            .and_then(|file| file.set_len(right))
            .map_err(at(data))?;
    }
    verified(dir)
}
