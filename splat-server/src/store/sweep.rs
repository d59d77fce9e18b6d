//! Markers in the folders of jobs by which the sweep decides what to delete, and working copies on this machine.
//!
//! Whether files may be deleted cannot be decided from one queue alone: the files may belong to another queue, or the queue may
//! be an older copy. So a folder records which queue its files were received for, and whether its job was submitted. Both are
//! recorded in names of empty files, so that a listing contains them.

use std::time::Duration;

use bytes::Bytes;

use super::error::Result;
use super::{JobStore, WORK, blocking, ids_in, remove_tree};
use crate::job::JobId;

/// Prefix of the marker that names the queue for which files were received. The queue's id follows.
const TAKEN: &str = ".taken.";
/// Name of the marker of a folder whose job was submitted.
const SUBMITTED: &str = ".submitted";

/// A job's folder, as listed for the sweep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedJob {
    /// Id of the job.
    pub id: JobId,
    /// Id of the queue for which its files were received; `None` if an older version of this program received them.
    pub queue_id: Option<String>,
    /// Whether its job was submitted.
    pub submitted: bool,
}

impl ListedJob {
    pub(super) fn new(id: JobId) -> Self {
        Self { id, queue_id: None, submitted: false }
    }

    /// Evaluates a file that is directly in the folder.
    pub(super) fn note(&mut self, name: &str) {
        if let Some(queue) = name.strip_prefix(TAKEN) {
            self.queue_id = Some(queue.to_owned());
        }
        self.submitted |= name == SUBMITTED;
    }
}

/// Whether a path below a job's folder is a marker, which is not a file of the job.
pub(super) fn is_mark(path: &str) -> bool {
    path == SUBMITTED || path.starts_with(TAKEN)
}

impl JobStore {
    /// Records for which queue the files of a job are received. To be called before the first file is stored.
    ///
    /// # Errors
    /// As [`JobStore::put`].
    pub async fn mark_queue(&self, id: &JobId, queue: &str) -> Result<()> {
        self.put_bytes(id, &format!("{TAKEN}{queue}"), Bytes::new()).await.map(drop)
    }

    /// Records that the job of these files was submitted.
    ///
    /// # Errors
    /// As [`JobStore::put`].
    pub async fn mark_submitted(&self, id: &JobId) -> Result<()> {
        self.put_bytes(id, SUBMITTED, Bytes::new()).await.map(drop)
    }

    /// Jobs with a working copy on this machine that has not changed for `age`. Empty if the store is a folder.
    ///
    /// # Errors
    /// [`super::StoreError::Io`].
    pub async fn copies_older_than(&self, age: Duration) -> Result<Vec<JobId>> {
        let work = self.data_dir.join(WORK);
        let before = super::before(age);
        blocking(move || ids_in(&work, before)).await
    }

    /// Removes the working copy of a job on this machine; a missing one is not an error. Links are removed, never followed.
    ///
    /// # Errors
    /// [`super::StoreError::Io`].
    pub async fn delete_copy(&self, id: &JobId) -> Result<()> {
        let dir = self.work_dir(id);
        blocking(move || {
            remove_tree(&dir)?;
            // Missing if nothing was copied.
            let _ = std::fs::remove_file(super::sync::manifest(&dir));
            Ok(())
        })
        .await
    }
}
