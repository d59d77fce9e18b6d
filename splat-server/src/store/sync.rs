//! The working folder of a job: the store's own folder if it is local, else a copy on this machine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::stream::TryStreamExt;
use serde::{Deserialize, Serialize};
use splat_core::files::with_ending;
use tokio::io::AsyncWriteExt;

use super::error::{Result, StoreError};
use super::{FileHead, JobStore, blocking, local, path};
use crate::job::JobId;

/// Stored beside the working folder, so that it is not a file of the job.
const MANIFEST_SUFFIX: &str = ".synced.json";

/// Result of a synchronization.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Synced {
    /// Number of files copied.
    pub files: usize,
    /// Total size of those files, bytes.
    pub bytes: u64,
    /// Files that were equal on both sides.
    pub unchanged: usize,
}

/// State of a file when both sides were equal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct StoredVersion {
    etag: String,
    bytes: u64,
    /// Modification time of the local file, in nanoseconds since 1970: any later write changes it.
    modified_ns: u64,
}

/// The files of one job on this machine. If the store is local, this is the store's folder, and nothing is copied.
///
/// The state of both sides is recorded beside the folder, so that a worker that restarts after a crash copies only what changed.
#[derive(Debug)]
pub struct Workspace {
    store: JobStore,
    id: JobId,
    dir: PathBuf,
    /// `None` if the store is local.
    versions: Option<BTreeMap<String, StoredVersion>>,
}

impl JobStore {
    /// Opens the working folder, without copying anything.
    ///
    /// # Errors
    /// [`StoreError::Io`] if the folder cannot be created.
    pub async fn workspace(&self, id: &JobId) -> Result<Workspace> {
        let (dir, versions) = match self.local_dir(id) {
            Some(dir) => (dir, None),
            None => {
                let dir = self.work_dir(id);
                let known = tokio::fs::read(manifest(&dir)).await.ok();
                // Unreadable after a crash: then everything is copied again.
                (dir, Some(known.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default()))
            }
        };
        tokio::fs::create_dir_all(&dir).await.map_err(|source| StoreError::from_io(&dir, source))?;
        Ok(Workspace { store: self.clone(), id: id.clone(), dir, versions })
    }

    /// Downloads the files of a job whose paths satisfy `wanted` to the working folder. See [`Workspace::download`].
    ///
    /// # Errors
    /// As [`Workspace::download`].
    pub async fn download_job(&self, id: &JobId, wanted: impl Fn(&str) -> bool) -> Result<Workspace> {
        let mut workspace = self.workspace(id).await?;
        workspace.download(wanted).await?;
        Ok(workspace)
    }
}

impl Workspace {
    /// Path of the folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Downloads files whose paths satisfy `wanted` and that changed in the store since the last synchronization.
    ///
    /// # Errors
    /// Those of the store and of this machine's disk.
    pub async fn download(&mut self, wanted: impl Fn(&str) -> bool) -> Result<Synced> {
        let mut synced = Synced::default();
        if self.versions.is_none() {
            return Ok(synced);
        }
        for head in self.store.list(&self.id).await? {
            if !wanted(&head.path) {
                continue;
            }
            let place = path::locate(&self.dir, &head.path)?;
            let here = stat(&place).await;
            let known = self.versions.as_ref().and_then(|versions| versions.get(&head.path));
            if known.is_some_and(|known| {
                known.etag == head.etag && here == Some((known.bytes, known.modified_ns))
            }) {
                synced.unchanged += 1;
                continue;
            }
            self.fetch(&head, &place).await?;
            // Recorded now, so that an interrupted download can be resumed.
            self.save_versions().await?;
            synced.files += 1;
            synced.bytes += head.bytes;
        }
        Ok(synced)
    }

    async fn fetch(&mut self, head: &FileHead, place: &Path) -> Result<()> {
        let unfinished = with_ending(place, ".part");
        let to_error = |source| StoreError::from_io(place, source);
        if let Some(parent) = place.parent() {
            tokio::fs::create_dir_all(parent).await.map_err(to_error)?;
        }
        let contents = self.store.get(&self.id, &head.path, None).await?;
        let mut stream = contents.stream;
        let mut file = tokio::fs::File::create(&unfinished).await.map_err(to_error)?;
        loop {
            match stream.try_next().await {
                Ok(Some(piece)) => file.write_all(&piece).await.map_err(to_error)?,
                Ok(None) => break,
                Err(error) => return Err(StoreError::Unavailable { why: error.to_string() }),
            }
        }
        file.flush().await.map_err(to_error)?;
        drop(file);
        tokio::fs::rename(&unfinished, place).await.map_err(to_error)?;
        self.note(&contents.head, place).await;
        Ok(())
    }

    /// Uploads the file `relative` of the folder, unless the store's copy is equal.
    ///
    /// # Errors
    /// Those of the store; [`StoreError::NotFound`] if there is no such file in the folder.
    pub async fn upload(&mut self, relative: &str) -> Result<FileHead> {
        let place = path::locate(&self.dir, relative)?;
        let Some((bytes, modified_ns)) = stat(&place).await else {
            return Err(StoreError::NotFound { id: self.id.to_string(), path: relative.to_owned() });
        };
        let Some(versions) = &self.versions else { return self.store.head(&self.id, relative).await };
        if let Some(known) =
            versions.get(relative).filter(|known| (known.bytes, known.modified_ns) == (bytes, modified_ns))
        {
            let modified = UNIX_EPOCH + std::time::Duration::from_nanos(modified_ns);
            return Ok(FileHead { path: relative.to_owned(), bytes, etag: known.etag.clone(), modified });
        }
        let head = self.store.put(&self.id, relative, &place).await?;
        // A file that was modified in the meantime differs from the recorded state, and is uploaded again next time.
        let version = StoredVersion { etag: head.etag.clone(), bytes, modified_ns };
        self.versions.get_or_insert_default().insert(relative.to_owned(), version);
        self.save_versions().await?;
        Ok(head)
    }

    /// Uploads every file of the folder whose path satisfies `wanted`, unless the store's copy is equal.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn upload_changed(&mut self, wanted: impl Fn(&str) -> bool) -> Result<Synced> {
        let mut synced = Synced::default();
        if self.versions.is_none() {
            return Ok(synced);
        }
        let dir = self.dir.clone();
        for file in blocking(move || local::files_below(&dir)).await? {
            if !wanted(&file.path) || path::check(&file.path).is_err() {
                continue;
            }
            let before = self.versions.as_ref().and_then(|versions| versions.get(&file.path)).cloned();
            self.upload(&file.path).await?;
            if self.versions.as_ref().and_then(|versions| versions.get(&file.path)) == before.as_ref() {
                synced.unchanged += 1;
            } else {
                synced.files += 1;
                synced.bytes += file.bytes;
            }
        }
        Ok(synced)
    }

    /// Removes the working copy; does nothing if the store is local.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub async fn remove(self) -> Result<()> {
        if self.versions.is_none() {
            return Ok(());
        }
        self.store.delete_copy(&self.id).await
    }

    async fn note(&mut self, head: &FileHead, place: &Path) {
        if let (Some(versions), Some((bytes, modified_ns))) = (&mut self.versions, stat(place).await) {
            versions.insert(head.path.clone(), StoredVersion { etag: head.etag.clone(), bytes, modified_ns });
        }
    }

    async fn save_versions(&self) -> Result<()> {
        let Some(versions) = &self.versions else { return Ok(()) };
        let place = manifest(&self.dir);
        let json = serde_json::to_vec(versions).map_err(|error| StoreError::from_io(&place, error.into()))?;
        blocking(move || {
            let unfinished = place.with_extension("part");
            let written =
                std::fs::write(&unfinished, json).and_then(|()| std::fs::rename(&unfinished, &place));
            written.map_err(|source| StoreError::from_io(&place, source))
        })
        .await
    }
}

pub(super) fn manifest(dir: &Path) -> PathBuf {
    with_ending(dir, MANIFEST_SUFFIX)
}

/// Size and modification time of a regular file.
async fn stat(place: &Path) -> Option<(u64, u64)> {
    let meta = tokio::fs::symlink_metadata(place).await.ok().filter(std::fs::Metadata::is_file)?;
    let modified = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    let nanos = modified.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    Some((meta.len(), u64::try_from(nanos).unwrap_or(u64::MAX)))
}
