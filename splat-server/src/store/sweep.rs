//! What a sweep goes by: marks in the folders of jobs, and copies of them on this machine.
//!
//! Whether files may be deleted cannot be decided from one queue alone: it may be another one than that of the files, or an older
//! copy. So a folder says which queue took it in, and whether its job was submitted. Both are in names of empty files, so that
//! a listing shows them.

use std::time::Duration;

use bytes::Bytes;

use super::error::Result;
use super::{JobStore, WORK, blocking, ids_in, remove_tree};
use crate::job::JobId;

/// Begins the name of the mark that says for which queue files were taken in. The queue's id follows.
const TAKEN: &str = ".taken.";
/// The mark of a folder whose job was submitted.
const SUBMITTED: &str = ".submitted";

/// A job's folder as a sweep finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Id of the job.
    pub id: JobId,
    /// Id of the queue for which its files were taken in; `None` where an older version of this program did.
    pub taken_by: Option<String>,
    /// Whether its job was submitted.
    pub submitted: bool,
}

impl Found {
    pub(super) fn new(id: JobId) -> Self {
        Self { id, taken_by: None, submitted: false }
    }

    /// Takes a file directly in the folder into account.
    pub(super) fn note(&mut self, name: &str) {
        if let Some(queue) = name.strip_prefix(TAKEN) {
            self.taken_by = Some(queue.to_owned());
        }
        self.submitted |= name == SUBMITTED;
    }
}

/// Whether a path below a job's folder is a mark, and no file of the job.
pub(super) fn is_mark(path: &str) -> bool {
    path == SUBMITTED || path.starts_with(TAKEN)
}

impl JobStore {
    /// Notes for which queue the files of a job are taken in, before the first of them.
    ///
    /// # Errors
    /// As [`JobStore::put`].
    pub async fn mark_taken(&self, id: &JobId, queue: &str) -> Result<()> {
        self.put_bytes(id, &format!("{TAKEN}{queue}"), Bytes::new()).await.map(drop)
    }

    /// Notes that the job of these files was submitted.
    ///
    /// # Errors
    /// As [`JobStore::put`].
    pub async fn mark_submitted(&self, id: &JobId) -> Result<()> {
        self.put_bytes(id, SUBMITTED, Bytes::new()).await.map(drop)
    }

    /// Jobs with a working copy on this machine in which nothing changed for `age`. There are none where the store is a folder.
    ///
    /// # Errors
    /// [`super::StoreError::Io`].
    pub async fn copies_older_than(&self, age: Duration) -> Result<Vec<JobId>> {
        let work = self.data_dir.join(WORK);
        let before = super::before(age);
        blocking(move || ids_in(&work, before)).await
    }

    /// Removes the working copy of a job on this machine; nothing there is fine. Links are removed, never followed.
    ///
    /// # Errors
    /// [`super::StoreError::Io`].
    pub async fn delete_copy(&self, id: &JobId) -> Result<()> {
        let dir = self.work_dir(id);
        blocking(move || {
            remove_tree(&dir)?;
            // Absent when nothing was copied.
            let _ = std::fs::remove_file(super::sync::manifest(&dir));
            Ok(())
        })
        .await
    }
}
