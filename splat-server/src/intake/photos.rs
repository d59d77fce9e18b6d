//! Photos that were collected, on their way into a job.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use splat_core::images::has_photo_extension;

use super::PhotoEntry;
use super::draft::PrivateDir;
use super::error::{Rejected, Result, at};
use super::sniff::PhotoKind;
use super::tus::Taken;
use crate::job::JobId;
use crate::store::JobStore;

/// A photo in the draft's folder.
#[derive(Debug)]
pub(super) struct StoredPhoto {
    pub(super) place: PathBuf,
    pub(super) kind: PhotoKind,
    pub(super) entry: PhotoEntry,
}

/// Photos that are enough for a job, not yet in it. Dropping it removes them.
#[derive(Debug)]
pub struct Photos {
    _dir: Arc<PrivateDir>,
    photos: Vec<StoredPhoto>,
    rejected: Vec<Rejected>,
    taken: Vec<Taken>,
}

impl Photos {
    pub(super) fn new(
        dir: Arc<PrivateDir>,
        photos: Vec<StoredPhoto>,
        rejected: Vec<Rejected>,
        taken: Vec<Taken>,
    ) -> Self {
        Self { _dir: dir, photos, rejected, taken }
    }

    /// The photos in order.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &PhotoEntry> {
        self.photos.iter().map(|held| &held.entry)
    }

    /// What was not taken, and why.
    #[must_use]
    pub fn rejected(&self) -> &[Rejected] {
        &self.rejected
    }

    /// Bytes of all photos.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.entries().map(|entry| entry.bytes).sum()
    }

    /// Moves the photos into the folder `dir`, which is there, each under its own name where that is a file name that no other one has,
    /// else under its number.
    ///
    /// # Errors
    /// [`super::IntakeError::Store`] if the disk refuses. Photos that were moved stay.
    pub async fn move_into(self, dir: &Path) -> Result<Vec<PhotoEntry>> {
        let own = |entry: &PhotoEntry| {
            let name = entry.name.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
            (has_photo_extension(Path::new(&name)) && !name.starts_with('.')).then_some(name)
        };
        let mut named: BTreeMap<String, usize> = BTreeMap::new();
        for name in self.entries().filter_map(own) {
            // Systems whose names know no case would take two for one.
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

    /// Moves the photos into `images/` of the job. All or nothing: after a failure the job has no files.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn commit(self, store: &JobStore, id: &JobId) -> Result<Vec<PhotoEntry>> {
        let mut entries = Vec::with_capacity(self.photos.len());
        for held in self.photos {
            if let Err(error) =
                store.put_moving(id, &format!("images/{}", held.entry.file), &held.place).await
            {
                // The first failure is the one to tell; what stays is swept.
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
