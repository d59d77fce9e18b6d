//! Tests of the intake, by kind of file.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fuzz;
mod photos;
mod tus;
mod video;
mod zips;

use std::convert::Infallible;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use axum::http::StatusCode;
use bytes::Bytes;
use futures_util::stream::{self, Stream};
use image::{DynamicImage, ImageFormat, RgbImage};

use super::*;
use crate::http::Problem;
use crate::store::{JobStore, StoreConfig};

/// A service's data folder and its intake.
pub(super) struct Place {
    pub(super) dir: tempfile::TempDir,
    pub(super) intake: Intake,
    pub(super) store: JobStore,
}

impl Place {
    pub(super) fn new(limits: Limits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = JobStore::open(&StoreConfig::local(dir.path())).unwrap();
        let intake = Intake::open(dir.path(), limits).unwrap();
        Self { dir, intake, store }
    }

    pub(super) async fn draft(&self) -> Draft {
        self.intake.begin(&Owner::local()).await.unwrap()
    }

    pub(super) fn uploads(&self) -> PathBuf {
        self.dir.path().join(UPLOADS)
    }
}

/// Limits for tests: no minimum of free space, so that a full disk does not fail them.
pub(super) fn limits() -> Limits {
    Limits { disk_floor_bytes: 0, ..Limits::default() }
}

/// A small photo with some structure, different for every seed.
pub(super) fn photo(format: ImageFormat, width: u32, height: u32, seed: u32) -> Vec<u8> {
    let picture = RgbImage::from_fn(width, height, |x, y| {
        let v = x.wrapping_mul(31).wrapping_add(y.wrapping_mul(17)).wrapping_add(seed.wrapping_mul(97));
        image::Rgb([(v % 251) as u8, (v / 3 % 241) as u8, (seed % 256) as u8])
    });
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::from(picture).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

pub(super) fn jpeg(seed: u32) -> Vec<u8> {
    photo(ImageFormat::Jpeg, 64, 48, seed)
}

/// The bytes in pieces of `piece` bytes.
pub(super) fn pieces(
    bytes: &[u8],
    piece: usize,
) -> impl Stream<Item = std::result::Result<Bytes, Infallible>> + use<> {
    let pieces: Vec<_> = bytes.chunks(piece).map(|part| Ok(Bytes::copy_from_slice(part))).collect();
    stream::iter(pieces)
}

/// The status of the response to a request that failed with this error.
pub(super) fn status(error: IntakeError) -> StatusCode {
    Problem::from(error).status()
}

/// Everything below a folder, by path.
pub(super) fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path())
            } else {
                found.push(entry.path())
            }
        }
    }
    found.sort();
    found
}

/// Waits until nothing is left in a folder: drafts are removed in the background.
pub(super) async fn becomes_empty(dir: &Path) {
    for _ in 0..500 {
        if std::fs::read_dir(dir).unwrap().next().is_none() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{} keeps {:?}", dir.display(), files_below(dir));
}
