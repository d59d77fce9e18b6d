//! What is written down of an upload, beside its bytes.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::super::error::{Rejected, Result, at};
use crate::job::Owner;

/// An upload as its folder describes it. Its offset is the length of the data file alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) owner: Owner,
    /// The client's name of the file, made fit to be shown.
    pub(super) name: String,
    /// Announced length in bytes.
    pub(super) length: u64,
    /// `Upload-Metadata` as it came, to be answered.
    pub(super) metadata: String,
    /// Whether its content was found acceptable.
    pub(super) accepted: bool,
    /// Why its content was refused; then its bytes are gone.
    pub(super) refused: Option<Rejected>,
}

impl Record {
    /// `None` where there is none that can be read.
    pub(super) fn read(dir: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(place(dir)).ok()?).ok()
    }

    /// Writes it whole or not at all.
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

/// Bytes that are there.
pub(super) fn offset(dir: &Path) -> Result<u64> {
    let data = data(dir);
    match fs::symlink_metadata(&data) {
        Ok(meta) => Ok(meta.len()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(at(data)(error)),
    }
}

/// Says that what comes after `offset` is not known to be right yet. A crash leaves it, and [`recover`] undoes the piece.
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

/// Cuts the data back to what is known to be right.
pub(super) fn recover(dir: &Path) -> Result<()> {
    let mark = dir.join("unverified");
    let Ok(text) = fs::read_to_string(&mark) else { return Ok(()) };
    // A mark that was only half written stood before the piece's first byte: then nothing was added.
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
