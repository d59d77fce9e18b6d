//! Files of jobs that no queue knows: what a crash between storing and queueing left, or between deleting and deleting.

use std::future::Future;
use std::time::Duration;

use super::error::Result;
use super::{JobStore, WORK, blocking, ids_in, remove_tree};
use crate::job::JobId;

impl JobStore {
    /// Removes the files of jobs that `known` denies, where nothing changed for `age`.
    ///
    /// `known` says whether the queue has the job; `None`, where it cannot tell now, keeps the files. `age` must be
    /// longer than the time between storing photos and queueing their job. Links are removed, never followed.
    ///
    /// Gives how many jobs had files to be removed.
    ///
    /// # Errors
    /// Those of the backend; what was removed before stays removed.
    pub async fn sweep<F, Known>(&self, age: Duration, known: F) -> Result<usize>
    where
        F: Fn(JobId) -> Known,
        Known: Future<Output = Option<bool>>,
    {
        let mut removed = 0;
        for id in self.jobs_older_than(age).await? {
            if known(id.clone()).await == Some(false) {
                self.delete_job(&id).await?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Removes working copies on this machine of jobs that `needed` denies, where nothing changed for `age`: a worker that was killed
    /// left them, and another one went on.
    ///
    /// `needed` says whether a worker may go on with the job; `None`, where that cannot be told now, keeps the copy.
    ///
    /// Gives how many were removed.
    ///
    /// # Errors
    /// [`super::StoreError::Io`]; what was removed before stays removed.
    pub async fn sweep_copies<F, Needed>(&self, age: Duration, needed: F) -> Result<usize>
    where
        F: Fn(JobId) -> Needed,
        Needed: Future<Output = Option<bool>>,
    {
        let mut removed = 0;
        let work = self.data_dir.join(WORK);
        let before = super::before(age);
        let dir = work.clone();
        for id in blocking(move || ids_in(&dir, before)).await? {
            if needed(id.clone()).await == Some(false) {
                let dir = work.join(id.as_str());
                blocking(move || remove_tree(&dir)).await?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}
