//! Collected photos, and the check whether a file is usable.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use splat_core::images::{self, PhotoFormat, has_photo_extension};

use super::draft::PrivateDir;
use super::error::{RejectCode, Rejected, Result, at};
use super::sniff;
use super::tus::UsedUpload;
use super::{Limits, PhotoEntry};
use crate::job::JobId;
use crate::store::JobStore;

/// A photo in the draft's folder.
#[derive(Debug)]
pub(super) struct StoredPhoto {
    pub(super) place: PathBuf,
    pub(super) format: PhotoFormat,
    pub(super) entry: PhotoEntry,
}

/// Photos of a finished draft, not yet part of a job. Dropping it removes them.
#[derive(Debug)]
pub struct Photos {
    _dir: Arc<PrivateDir>,
    photos: Vec<StoredPhoto>,
    rejected: Vec<Rejected>,
    taken: Vec<UsedUpload>,
}

impl Photos {
    pub(super) fn new(
        dir: Arc<PrivateDir>,
        photos: Vec<StoredPhoto>,
        rejected: Vec<Rejected>,
        taken: Vec<UsedUpload>,
    ) -> Self {
        Self { _dir: dir, photos, rejected, taken }
    }

    /// The photos in order.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &PhotoEntry> {
        self.photos.iter().map(|held| &held.entry)
    }

    /// The rejected files, with reasons.
    #[must_use]
    pub fn rejected(&self) -> &[Rejected] {
        &self.rejected
    }

    /// Bytes of all photos.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.entries().map(|entry| entry.bytes).sum()
    }

    /// Moves the photos into the existing folder `dir`, each under its own name if that is a valid and unique file name, else
    /// under its number.
    ///
    /// # Errors
    /// [`super::IntakeError::Store`] on I/O errors. Photos that were already moved stay.
    pub async fn move_into(self, dir: &Path) -> Result<Vec<PhotoEntry>> {
        let own = |entry: &PhotoEntry| {
            let name = entry.name.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
            (has_photo_extension(Path::new(&name)) && !name.starts_with('.')).then_some(name)
        };
        let mut named: BTreeMap<String, usize> = BTreeMap::new();
        for name in self.entries().filter_map(own) {
            // Case-insensitive file systems would treat these names as equal.
            *named.entry(name.to_lowercase()).or_default() += 1;
        }
        let mut entries = Vec::with_capacity(self.photos.len());
        for mut held in self.photos {
            let alone = |name: &String| named.get(&name.to_lowercase()) == Some(&1);
            if let Some(name) = own(&held.entry).filter(alone) {
                held.entry.file = name;
            }
            let to = dir.join(&held.entry.file);
            tokio::fs::rename(&held.place, &to).await.map_err(at(&to))?;
            entries.push(held.entry);
        }
        Ok(entries)
    }

    /// Moves the photos into `images/` of the job. On failure the job has no files.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn commit(self, store: &JobStore, id: &JobId) -> Result<Vec<PhotoEntry>> {
        let mut entries = Vec::with_capacity(self.photos.len());
        for held in self.photos {
            if let Err(error) =
                store.put_moving(id, &format!("images/{}", held.entry.file), &held.place).await
            {
                // The first failure is reported; files left behind are swept.
                let _ = store.delete_job(id).await;
                return Err(error.into());
            }
            entries.push(held.entry);
        }
        for upload in self.taken {
            upload.used().await;
        }
        Ok(entries)
    }
}

/// COLMAP finds no features in smaller images, and the pipeline skips them.
const MIN_SIDE_PX: u32 = 32;

/// Checks the photo of `bytes` bytes at `path` by its header; nothing is decoded. Blocks, and holds the file in memory meanwhile.
pub(super) fn check(
    path: &Path,
    name: &str,
    bytes: u64,
    limits: &Limits,
) -> std::result::Result<StoredPhoto, Rejected> {
    let reject = |code, reason: String| Err(Rejected::new(name, code, reason));
    let info = match images::probe(path) {
        Ok(info) => info,
        Err(splat_core::Error::BadPhoto { what, .. }) => return reject(RejectCode::UnreadablePhoto, what),
        Err(splat_core::Error::PhotoTooLarge { width, height, .. }) => {
            return reject(RejectCode::TooManyPixels, too_many_pixels(width, height, limits.max_pixels));
        }
        Err(splat_core::Error::Read { source, .. }) => {
            return reject(RejectCode::UnreadablePhoto, format!("it cannot be read: {source}"));
        }
        // Other errors contain server paths, which clients must not see.
        Err(_) => return reject(RejectCode::UnreadablePhoto, "it is no readable photo".into()),
    };
    if !sniff::is_taken(info.format) {
        let reason = format!("it is a {}, which is not taken; convert it to JPEG or PNG", info.format);
        return reject(RejectCode::UnsupportedFormat, reason);
    }
    let (width, height) = info.upright_size();
    if u64::from(width) * u64::from(height) > limits.max_pixels {
        return reject(RejectCode::TooManyPixels, too_many_pixels(width, height, limits.max_pixels));
    }
    if width.min(height) < MIN_SIDE_PX {
        return reject(
            RejectCode::TooSmall,
            format!("its {width}x{height} pixels are too small to find anything in"),
        );
    }
    let entry = PhotoEntry { file: String::new(), name: name.to_owned(), bytes, width, height };
    Ok(StoredPhoto { place: path.to_path_buf(), format: info.format, entry })
}

fn too_many_pixels(width: u32, height: u32, max: u64) -> String {
    /// Pixels in a megapixel.
    const MEGA: f64 = 1e6;
    let (has, may) = (f64::from(width) * f64::from(height) / MEGA, max as f64 / MEGA);
    format!(
        "its header says {width}x{height} pixels ({has:.1} megapixels), and {may:.1} are the most; scale it down"
    )
}
