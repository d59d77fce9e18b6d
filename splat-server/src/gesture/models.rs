//! Models by owner, kept until they are deleted.
//!
//! ```text
//! gestures/<owner>/<model>/{model.gesture, legacy.tflite, ..., model.json}     by owner
//! gesture_downloads/<secret>/<model>.tflite                                    for clients without a key
//! gestures/<base>/<version>/model.gesture                                      the base model
//! ```
//!
//! They are stored beside the jobs' folder, in the same store, so that the sweep of jobs does not touch them.
//!
//! Several servers may share one store. Deleting a model writes a marker (`deleted` in the model's folder) before it removes
//! anything, and storing a model checks for the marker after everything is written. Whichever comes last sees the other, and the
//! model is removed. So a job that is still running, or that a stalled worker resumes, cannot bring back a deleted model.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use sha2::{Digest, Sha256};
use splat_gesture::{BASE_LABELS, Bundle, GestureError, LEGACY_TFLITE, Layout, limits};
use tokio::sync::OnceCell;

use super::{MODEL_FILE, ModelCode, ModelFile, ModelRecord};
use crate::job::{JobId, Owner};
use crate::queue::now_ms;
use crate::store::{Contents, JobStore, StoreError, blocking};

mod base;
#[cfg(test)]
mod tests;

/// Metadata of a model. The model exists if this file does.
const RECORD: &str = "model.json";
const MAX_RECORD_BYTES: usize = 256 << 10;
/// Marker of a deleted model.
const DELETED: &str = "deleted";
/// How long markers are kept: longer than any attempt at a job takes.
const MARK_STAYS: Duration = Duration::from_secs(24 * 3600);
/// Number of records read concurrently for a list.
const READS_AT_ONCE: usize = 8;

/// Why an operation on a model failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// There is no such model, or it belongs to another owner.
    #[error("there is no such model; it was perhaps deleted")]
    NotFound,
    /// The model was deleted while it was being built; nothing was stored.
    #[error("the model was deleted while it was being made, and nothing of it was kept")]
    Deleted,
    /// The parent model was deleted in the meantime; nothing was stored.
    #[error("the model that was to grow is gone; it was deleted meanwhile")]
    ParentDeleted,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The model cannot be read, or does not allow this change.
    #[error(transparent)]
    Gesture(#[from] GestureError),
    /// The metadata of a model cannot be read.
    #[error("the record of model {id} cannot be read: {source}")]
    Record {
        /// Id of the model.
        id: JobId,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The operator's base model cannot be used.
    #[error("the base model `{}` cannot be used: {why}", path.display())]
    Base {
        /// Path of its file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// Result of an operation on models.
pub type Result<T> = std::result::Result<T, ModelError>;

/// Identity of a model that is about to be stored.
#[derive(Clone, Debug)]
pub struct NewModel {
    /// Its id. Storing the same id again overwrites the model.
    pub id: JobId,
    /// The model it was derived from.
    pub parent: ModelCode,
    /// Secret part of its URL for clients without a key.
    pub secret: JobId,
}

/// What a new gesture is checked against before its job is queued.
#[derive(Clone, Debug)]
pub struct Summary {
    labels: Vec<String>,
    layout: Layout,
}

impl Summary {
    /// Checks whether a gesture of this name and layout can be added to the model.
    ///
    /// # Errors
    /// [`GestureError::LayoutMismatch`], [`GestureError::NameTaken`], [`GestureError::ModelFull`].
    pub fn check(&self, gesture: &str, layout: Layout) -> std::result::Result<(), GestureError> {
        if layout != self.layout {
            return Err(GestureError::LayoutMismatch { expected: self.layout, found: layout });
        }
        if self.labels.iter().any(|label| label == gesture) {
            return Err(GestureError::NameTaken { name: gesture.to_owned() });
        }
        if self.labels.len() >= limits::MAX_GESTURES {
            return Err(GestureError::ModelFull);
        }
        Ok(())
    }
}

/// All models. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Models {
    models: JobStore,
    downloads: JobStore,
    base: Arc<OnceCell<Arc<Bundle>>>,
    base_file: Option<Arc<Path>>,
}

impl Models {
    /// Opens the models that are stored beside the jobs of `store`. `base_file` is the operator's own base model.
    ///
    /// # Errors
    /// [`StoreError::Io`] if the folders cannot be made.
    pub fn open(store: &JobStore, base_file: Option<&Path>) -> std::result::Result<Self, StoreError> {
        Ok(Self {
            models: store.area("gestures")?,
            downloads: store.area("gesture_downloads")?,
            base: Arc::default(),
            base_file: base_file.map(Arc::from),
        })
    }

    async fn read_bundle(&self, folder: &JobId, path: &str) -> Result<Arc<Bundle>> {
        let bytes = self.models.read(folder, path, limits::MAX_BUNDLE_BYTES).await.map_err(absent)?;
        Ok(Arc::new(blocking(move || Bundle::from_bytes(&bytes)).await?))
    }

    /// Labels and layout of a model, read from its metadata where possible.
    ///
    /// # Errors
    /// As [`Models::bundle`].
    pub async fn summary(&self, owner: &Owner, code: &ModelCode) -> Result<Summary> {
        match code {
            ModelCode::Of(id) => {
                let record = self.record(owner, id).await?;
                Ok(Summary { labels: record.labels, layout: record.layout })
            }
            // The base model need not be built just to report that a name is taken.
            ModelCode::Base if self.base_file.is_none() => {
                Ok(Summary { labels: BASE_LABELS.map(str::to_owned).into(), layout: Layout::World })
            }
            ModelCode::Base => {
                let base = self.base().await?;
                Ok(Summary { labels: base.labels(), layout: base.layout() })
            }
        }
    }

    /// Loads the owner's model, to extend or change it.
    ///
    /// # Errors
    /// [`ModelError::NotFound`]; those of the store; [`ModelError::Gesture`] if it cannot be read.
    pub async fn bundle(&self, owner: &Owner, code: &ModelCode) -> Result<Arc<Bundle>> {
        let id = match code {
            ModelCode::Base => return self.base().await,
            ModelCode::Of(id) => id,
        };
        self.record(owner, id).await?;
        self.read_bundle(&of(owner), &format!("{id}/{MODEL_FILE}")).await
    }

    /// Metadata of the owner's model.
    ///
    /// # Errors
    /// [`ModelError::NotFound`], [`ModelError::Record`], and those of the store.
    pub async fn record(&self, owner: &Owner, id: &JobId) -> Result<ModelRecord> {
        let (folder, path) = (of(owner), format!("{id}/{RECORD}"));
        let bytes = self.models.read(&folder, &path, MAX_RECORD_BYTES).await.map_err(absent)?;
        serde_json::from_slice(&bytes).map_err(|source| ModelError::Record { id: id.clone(), source })
    }

    /// The owner's models, newest first: at most `limit` after `before`.
    ///
    /// # Errors
    /// [`ModelError::Record`] and those of the store.
    pub async fn list(
        &self,
        owner: &Owner,
        before: Option<&JobId>,
        limit: usize,
    ) -> Result<Vec<ModelRecord>> {
        let files = self.models.list(&of(owner)).await?;
        let mut found: Vec<_> = files
            .into_iter()
            .filter_map(|head| {
                let id: JobId = head.path.strip_suffix(RECORD)?.strip_suffix('/')?.parse().ok()?;
                Some((std::cmp::Reverse(head.modified), id))
            })
            .collect();
        found.sort();
        let from = match before {
            None => 0,
            Some(before) => found.iter().position(|(_, id)| id == before).map_or(found.len(), |at| at + 1),
        };
        let page = found.into_iter().skip(from).take(limit);
        let reads = stream::iter(page.map(|(_, id)| async move {
            match self.record(owner, &id).await {
                // It was deleted in the meantime.
                Err(ModelError::NotFound) => Ok(None),
                record => record.map(Some),
            }
        }));
        reads.buffered(READS_AT_ONCE).try_filter_map(|record| async { Ok(record) }).try_collect().await
    }

    /// Stores a model with all its files. The same id overwrites the model: after a crash, with the same bytes.
    ///
    /// # Errors
    /// [`ModelError::Deleted`] and [`ModelError::ParentDeleted`]: nothing of the model is left. Those of the store: the model
    /// does not exist, and storing it again completes it.
    pub async fn keep(&self, owner: &Owner, new: NewModel, bundle: Arc<Bundle>) -> Result<ModelRecord> {
        let (mut record, files) = blocking(move || {
            let mut files: Vec<(&'static str, Bytes)> = vec![(MODEL_FILE, bundle.to_bytes().into())];
            files.extend(bundle.export().into_iter().map(|file| (file.name, file.bytes.into())));
            Ok::<_, ModelError>((ModelRecord::new(new, &bundle, now_ms()), files))
        })
        .await?;
        record.files.extend(
            files
                .iter()
                .map(|(name, bytes)| ModelFile { name: (*name).to_owned(), bytes: bytes.len() as u64 }),
        );
        let written = match self.check_wanted(owner, &record).await {
            Ok(()) => self.write(owner, &record, files).await,
            unwanted => unwanted,
        };
        // Checked even if writing failed, since a concurrent deletion may be the cause.
        match self.check_wanted(owner, &record).await {
            Err(gone @ (ModelError::Deleted | ModelError::ParentDeleted)) => {
                self.remove(owner, &record).await?;
                Err(gone)
            }
            checked => written.and(checked).map(|()| record),
        }
    }

    /// Writes the files of a model, and last the record that makes it exist.
    async fn write(&self, owner: &Owner, record: &ModelRecord, files: Vec<(&str, Bytes)>) -> Result<()> {
        let folder = of(owner);
        for (name, bytes) in files {
            if name == LEGACY_TFLITE {
                let path = format!("{}.tflite", record.id);
                self.downloads.put_bytes(&record.secret, &path, bytes.clone()).await?;
            }
            self.models.put_bytes(&folder, &format!("{}/{name}", record.id), bytes).await?;
        }
        let json = serde_json::to_vec(record)
            .map_err(|source| ModelError::Record { id: record.id.clone(), source })?;
        self.models.put_bytes(&folder, &format!("{}/{RECORD}", record.id), json.into()).await?;
        Ok(())
    }

    /// Checks that neither the model nor its parent was deleted.
    async fn check_wanted(&self, owner: &Owner, record: &ModelRecord) -> Result<()> {
        match self.models.head(&of(owner), &format!("{}/{DELETED}", record.id)).await {
            Ok(_) => return Err(ModelError::Deleted),
            Err(StoreError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let ModelCode::Of(parent) = &record.parent else { return Ok(()) };
        match self.record(owner, parent).await {
            Ok(_) => Ok(()),
            Err(ModelError::NotFound) => Err(ModelError::ParentDeleted),
            Err(error) => Err(error),
        }
    }

    /// Opens a file of the owner's model.
    ///
    /// # Errors
    /// [`ModelError::NotFound`] and those of the store.
    pub async fn file(&self, owner: &Owner, record: &ModelRecord, name: &str) -> Result<Contents> {
        // The name is looked up in the record; it never becomes part of a path.
        let file = record.files.iter().find(|file| file.name == name).ok_or(ModelError::NotFound)?;
        let path = format!("{}/{}", record.id, file.name);
        self.models.get(&of(owner), &path, None).await.map_err(absent)
    }

    /// Opens the file behind a secret URL.
    ///
    /// # Errors
    /// [`ModelError::NotFound`] and those of the store.
    pub async fn download(&self, secret: &JobId, id: &JobId) -> Result<Contents> {
        self.downloads.get(secret, &format!("{id}.tflite"), None).await.map_err(absent)
    }

    /// Deletes the owner's model. Models derived from it contain all they need and stay.
    ///
    /// # Errors
    /// [`ModelError::NotFound`] and those of the store. May be repeated.
    pub async fn delete(&self, owner: &Owner, id: &JobId) -> Result<()> {
        let record = self.record(owner, id).await?;
        let folder = of(owner);
        self.models.put_bytes(&folder, &format!("{id}/{DELETED}"), Bytes::new()).await?;
        self.remove(owner, &record).await?;
        let old = SystemTime::now().checked_sub(MARK_STAYS).unwrap_or(SystemTime::UNIX_EPOCH);
        for head in self.models.list(&folder).await? {
            if head.modified < old && head.path.strip_suffix(DELETED).is_some_and(|of| of.ends_with('/')) {
                self.models.delete_file(&folder, &head.path).await?;
            }
        }
        Ok(())
    }

    /// Deletes the owner's models that were stored before `before`, and returns their number. A model that cannot be deleted now
    /// is deleted by the next call.
    ///
    /// # Errors
    /// Those of the store where the models cannot be listed.
    pub async fn expire(&self, owner: &Owner, before: SystemTime) -> Result<u64> {
        let mut gone = 0;
        for head in self.models.list(&of(owner)).await?.into_iter().filter(|head| head.modified < before) {
            let id = head.path.strip_suffix(RECORD).and_then(|path| path.strip_suffix('/')?.parse().ok());
            let Some(id) = id else { continue };
            match self.delete(owner, &id).await {
                Ok(()) => gone += 1,
                // The owner deleted it first.
                Err(ModelError::NotFound) => {}
                Err(error) => {
                    tracing::warn!(model = %id, %error, "could not remove an expired gesture model; will retry")
                }
            }
        }
        Ok(gone)
    }

    /// Moves all models of one owner to another, and returns their number. May be repeated after a failure.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn adopt(&self, from: &Owner, to: &Owner) -> Result<u64> {
        let (old, new) = (of(from), of(to));
        if old == new {
            return Ok(0);
        }
        let is_record = |path: &str| path.ends_with(&format!("/{RECORD}"));
        // The record makes a model exist, so it is copied last.
        self.models.copy_files(&old, &new, |path| !is_record(path)).await?;
        self.models.copy_files(&old, &new, is_record).await?;
        let (records, others): (Vec<_>, Vec<_>) =
            self.models.list(&old).await?.into_iter().partition(|file| is_record(&file.path));
        for file in records.iter().chain(&others) {
            self.models.delete_file(&old, &file.path).await?;
        }
        Ok(records.len() as u64)
    }

    async fn remove(&self, owner: &Owner, record: &ModelRecord) -> Result<()> {
        self.downloads.delete_job(&record.secret).await?;
        let folder = of(owner);
        for file in &record.files {
            self.models.delete_file(&folder, &format!("{}/{}", record.id, file.name)).await?;
        }
        // The record is removed last, so that an interrupted removal can be repeated.
        self.models.delete_file(&folder, &format!("{}/{RECORD}", record.id)).await?;
        Ok(())
    }
}

fn absent(error: StoreError) -> ModelError {
    match error {
        StoreError::NotFound { .. } => ModelError::NotFound,
        error => error.into(),
    }
}

/// Folder of an owner: a hash, so that any store accepts it whatever the owner's name is.
fn of(owner: &Owner) -> JobId {
    folder_of("owner", &owner.0)
}

fn folder_of(kind: &str, name: &str) -> JobId {
    JobId::derived(&Sha256::new().chain_update(kind).chain_update([0]).chain_update(name).finalize())
}
