//! Periodic maintenance, once per minute: queues missing webhooks of ended jobs, and removes expired jobs, unused uploads, and
//! files without a job.
//!
//! Files are deleted only if this queue proves that they are unused: it deleted their job, or they were received for this queue
//! and their job was never submitted. Unknown files may belong to another queue, or to one that was lost or replaced by an older
//! copy; they are kept and reported. Every deletion is logged.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use crate::gesture::models::Models;
use crate::intake::Intake;
use crate::job::{JobId, Owner, UnixMs};
use crate::metrics::Metrics;
use crate::queue::{Fate, Queue, QueueError, now_ms};
use crate::store::{JobStore, ListedJob};
use crate::webhook;

/// Interval between sweeps.
const EVERY: Duration = Duration::from_secs(60);

/// Maximum difference between the clocks of machines that record when jobs ended.
const CLOCKS_APART_MS: UnixMs = 5 * 60_000;

/// Newer files may belong to a job that is being submitted.
const ORPHAN_AGE: Duration = Duration::from_secs(3600);

/// State of the sweeps.
#[derive(Debug)]
pub(crate) struct Sweeper {
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) store: JobStore,
    pub(crate) metrics: Arc<Metrics>,
    /// Number of folders kept because the queue does not know their jobs, when last reported.
    reported: Option<usize>,
}

impl Sweeper {
    pub(crate) fn new(queue: Arc<dyn Queue>, store: JobStore, metrics: Arc<Metrics>) -> Self {
        Self { queue, store, metrics, reported: None }
    }

    /// Sweeps until `shutdown` becomes true.
    pub(crate) async fn run(
        mut self,
        intake: Intake,
        retention: Duration,
        legacy_models: Option<(Models, Duration)>,
        mut shutdown: watch::Receiver<bool>,
    ) {
        // All of them at first: the service may have been down for long.
        let mut told_until = 0;
        loop {
            let begun = now_ms();
            match webhook::catch_up(&*self.queue, told_until..UnixMs::MAX).await {
                Ok(()) => told_until = begun.saturating_sub(CLOCKS_APART_MS),
                Err(error) => tracing::warn!(%error, "could not look for webhooks to queue; will retry"),
            }
            self.expired(retention).await;
            if let Some((models, kept)) = &legacy_models {
                expire_models(models, *kept).await;
            }
            if let Err(error) = intake.sweep_uploads().await {
                tracing::warn!(%error, "could not remove unused uploads; will retry");
            }
            self.orphans(ORPHAN_AGE).await;
            self.copies(ORPHAN_AGE).await;
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                _ = shutdown.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Sweeps working copies until `shutdown` becomes true, on a machine that runs only workers.
    pub(crate) async fn run_copies(self, mut shutdown: watch::Receiver<bool>) {
        loop {
            self.copies(ORPHAN_AGE).await;
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                _ = shutdown.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Deletes jobs that ended longer than `retention` ago. The record is deleted first; files that cannot be deleted now are
    /// found as orphans later.
    async fn expired(&self, retention: Duration) {
        let before = now_ms().saturating_sub(u64::try_from(retention.as_millis()).unwrap_or(u64::MAX));
        loop {
            let expired = match self.queue.expired(before).await {
                Ok(expired) if expired.is_empty() => return,
                Ok(expired) => expired,
                Err(error) => return tracing::warn!(%error, "could not remove expired jobs; will retry"),
            };
            for (owner, id) in expired {
                match self.queue.delete(&owner, &id).await {
                    Ok(Some(_)) => self.delete(&id, "its job had expired").await,
                    // Deleted or retried in the meantime.
                    Ok(None) | Err(QueueError::WrongState { .. }) => {}
                    Err(error) => {
                        return tracing::warn!(job = %id, %error, "could not remove expired jobs; will retry");
                    }
                }
            }
        }
    }

    /// Deletes files in the store that belong to no job.
    async fn orphans(&mut self, age: Duration) {
        let look = async || {
            let queue = self.queue.identity().await.map_err(|error| error.to_string())?;
            let found = self.store.older_than(age).await.map_err(|error| error.to_string())?;
            Ok::<_, String>((queue, found))
        };
        let (queue, found) = match look().await {
            Ok(looked) => looked,
            Err(why) => return tracing::warn!(why, "could not remove files without a job; will retry"),
        };
        let mut kept = Vec::new();
        for folder in found {
            match self.queue.fate(&folder.id).await {
                Ok(Fate::Here(_)) => self.complete(&folder).await,
                Ok(Fate::Deleted) => self.delete(&folder.id, "its job was deleted").await,
                Ok(Fate::Unknown) if !folder.submitted && folder.queue_id.as_ref() == Some(&queue) => {
                    self.delete(&folder.id, "no job was ever made of it").await;
                }
                Ok(Fate::Unknown) => kept.push(folder.id),
                Err(error) => {
                    return tracing::warn!(%error, "could not remove files without a job; will retry");
                }
            }
        }
        self.report(&kept);
    }

    /// Adds the missing marker of a folder: it was created by an older version, or the service died before writing the marker.
    async fn complete(&self, folder: &ListedJob) {
        if !folder.submitted
            && let Err(error) = self.store.mark_submitted(&folder.id).await
        {
            tracing::warn!(job = %folder.id, %error, "could not mark a job as submitted; will retry");
        }
    }

    fn report(&mut self, kept: &[JobId]) {
        self.metrics.unknown_folders.set(i64::try_from(kept.len()).unwrap_or(i64::MAX));
        if self.reported.replace(kept.len()) == Some(kept.len()) {
            return;
        }
        if let Some(first) = kept.first() {
            tracing::warn!(
                folders = kept.len(), %first,
                "the queue does not know the jobs of some folders, and nothing of them is deleted: another service uses this \
                 store, or the queue was lost or replaced by another one or an older copy; `splat restore` brings a copy back, and what \
                 nobody wants can be deleted by hand"
            );
        }
    }

    /// Removes working copies on this machine: a worker was killed, and another one finished the job.
    async fn copies(&self, age: Duration) {
        let found = match self.store.copies_older_than(age).await {
            Ok(found) => found,
            Err(error) => return tracing::warn!(%error, "could not remove working copies; will retry"),
        };
        for id in found {
            match self.queue.fate(&id).await {
                Ok(Fate::Here(state)) if !state.is_final() => {}
                Ok(Fate::Here(_) | Fate::Deleted) => match self.store.delete_copy(&id).await {
                    Ok(()) => tracing::info!(job = %id, "removed the working copy of a finished job"),
                    Err(error) => {
                        tracing::warn!(job = %id, %error, "could not remove a working copy; will retry")
                    }
                },
                Ok(Fate::Unknown) => {
                    tracing::debug!(job = %id, "a working copy is kept: the queue does not know its job");
                }
                Err(error) => return tracing::warn!(%error, "could not remove working copies; will retry"),
            }
        }
    }

    async fn delete(&self, id: &JobId, why: &str) {
        match self.store.delete_job(id).await {
            Ok(()) => tracing::info!(job = %id, why, "deleted the files of a job"),
            Err(error) => {
                tracing::warn!(job = %id, %error, "could not delete the files of a job; will retry")
            }
        }
    }
}

/// Removes models of Ghostouch clients without a key that are older than `kept`.
async fn expire_models(models: &Models, kept: Duration) {
    let Some(before) = SystemTime::now().checked_sub(kept) else { return };
    match models.expire(&Owner::legacy(), before).await {
        Ok(0) => {}
        Ok(count) => {
            tracing::info!(count, "removed expired gesture models of clients without a key")
        }
        Err(error) => tracing::warn!(%error, "could not look for expired gesture models; will retry"),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;
    use crate::code::Code;
    use crate::job::{JobProblem, Lane, NewJob, Owner};
    use crate::queue::contract::{PLENTY, new_job};
    use crate::queue::{Ending, SqliteQueue};
    use crate::store::StoreConfig;

    /// A sweeper with its own queue on the store in `data`.
    fn sweeper(data: &Path, queue: &str) -> Sweeper {
        let queue = SqliteQueue::open(&data.join(queue)).unwrap();
        let store = JobStore::open(&StoreConfig::local(data)).unwrap();
        Sweeper::new(Arc::new(queue), store, Arc::default())
    }

    /// Stores a photo, as the service does before it submits a job.
    async fn take_in(site: &Sweeper) -> JobId {
        let id = JobId::random();
        site.store.mark_queue(&id, &site.queue.identity().await.unwrap()).await.unwrap();
        site.store.put_bytes(&id, "images/0001.jpg", vec![1].into()).await.unwrap();
        id
    }

    async fn submit(site: &Sweeper) -> JobId {
        let id = take_in(site).await;
        let job = NewJob { id: id.clone(), owner: Owner::local(), ..new_job("a") };
        site.queue.submit(job, PLENTY).await.unwrap();
        site.store.mark_submitted(&id).await.unwrap();
        id
    }

    fn there(site: &Sweeper, id: &JobId) -> bool {
        site.store.local_dir(id).unwrap().join("images/0001.jpg").exists()
    }

    async fn later() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    /// A job in each final state, and a waiting one, all with files.
    #[tokio::test]
    async fn what_expired_goes_with_its_files_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let site = sweeper(dir.path(), "queue.db");
        let problem = JobProblem::new(Code::Failed, "x");
        let mut ended = Vec::new();
        for ending in [Ending::Succeeded { result: json!(null) }, Ending::Failed(problem), Ending::Cancelled]
        {
            ended.push(submit(&site).await);
            let claim = site.queue.claim("w", &[Lane::Scene], Duration::from_secs(9)).await.unwrap().unwrap();
            site.queue.finish(&claim.ticket, ending).await.unwrap();
        }
        let waiting = submit(&site).await;
        site.expired(Duration::from_secs(3600)).await;
        assert!(there(&site, &ended[0]), "removed before its time");
        // One that cannot be removed does not keep the others.
        let stuck = site.store.local_dir(&ended[0]).unwrap();
        std::fs::remove_dir_all(&stuck).unwrap();
        std::fs::write(&stuck, "a file in place of the folder").unwrap();
        later().await;
        site.expired(Duration::ZERO).await;
        for id in &ended {
            assert!(site.queue.get(&Owner::local(), id).await.unwrap().is_none());
            assert!(!there(&site, id), "files of an expired job stay");
        }
        assert!(site.queue.get(&Owner::local(), &waiting).await.unwrap().is_some());
        assert!(there(&site, &waiting));
    }

    #[tokio::test]
    async fn what_no_job_was_made_of_and_what_was_deleted_goes() {
        let dir = tempfile::tempdir().unwrap();
        let mut site = sweeper(dir.path(), "queue.db");
        let (abandoned, kept, deleted) = (take_in(&site).await, submit(&site).await, submit(&site).await);
        site.queue.cancel(&Owner::local(), &deleted).await.unwrap().unwrap();
        // The service died before deleting the files.
        site.queue.delete(&Owner::local(), &deleted).await.unwrap().unwrap();
        site.orphans(Duration::from_secs(60)).await;
        assert!(there(&site, &abandoned), "removed before its time");
        later().await;
        site.orphans(Duration::ZERO).await;
        assert_eq!([&abandoned, &kept, &deleted].map(|id| there(&site, id)), [false, true, false]);
        assert_eq!(site.metrics.unknown_folders.get(), 0);
    }

    /// `REDIS_URL` added to a data folder, a second server on the same store, a queue that was lost.
    #[tokio::test]
    async fn another_queue_deletes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let own = sweeper(dir.path(), "queue.db");
        let mut ids = vec![take_in(&own).await];
        for _ in 0..3 {
            ids.push(submit(&own).await);
        }
        // A folder from before markers existed.
        let old = JobId::random();
        own.store.put_bytes(&old, "images/0001.jpg", vec![1].into()).await.unwrap();
        ids.push(old);
        later().await;
        let mut other = sweeper(dir.path(), "other.db");
        let copy = dir.path().join("work").join(ids[1].as_str());
        std::fs::create_dir_all(&copy).unwrap();
        later().await;
        other.expired(Duration::ZERO).await;
        other.orphans(Duration::ZERO).await;
        other.copies(Duration::ZERO).await;
        assert!(ids.iter().all(|id| there(&own, id)), "files of another queue were deleted");
        assert!(copy.exists());
        assert_eq!(other.metrics.unknown_folders.get(), 5);
    }

    /// It has the right id, but lacks the jobs submitted since.
    #[tokio::test]
    async fn an_older_copy_of_the_queue_deletes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let own = sweeper(dir.path(), "queue.db");
        let (before, copy) = (submit(&own).await, dir.path().join("copy.db"));
        crate::queue::backup(&dir.path().join("queue.db"), &copy).unwrap();
        let since = submit(&own).await;
        let mut restored = sweeper(dir.path(), "copy.db");
        assert_eq!(restored.queue.identity().await.unwrap(), own.queue.identity().await.unwrap());
        later().await;
        restored.orphans(Duration::ZERO).await;
        assert_eq!([&before, &since].map(|id| there(&own, id)), [true, true]);
        assert_eq!(restored.metrics.unknown_folders.get(), 1);
    }

    /// Folders of older versions have no markers; after the first sweep they are as safe as new ones.
    #[tokio::test]
    async fn marks_that_lack_are_written() {
        let dir = tempfile::tempdir().unwrap();
        let mut site = sweeper(dir.path(), "queue.db");
        let job = NewJob { owner: Owner::local(), ..new_job("a") };
        site.store.put_bytes(&job.id, "images/0001.jpg", vec![1].into()).await.unwrap();
        let id = site.queue.submit(job, PLENTY).await.unwrap().job.id;
        later().await;
        site.orphans(Duration::ZERO).await;
        assert!(site.store.older_than(Duration::ZERO).await.unwrap()[0].submitted);
        assert!(there(&site, &id));
    }

    /// A killed worker's copy of a bucket's job is removed once the job has ended, and kept while a worker may resume from it.
    #[tokio::test]
    async fn copies_of_jobs_that_ended_go() {
        let dir = tempfile::tempdir().unwrap();
        let site = sweeper(dir.path(), "queue.db");
        let (ended, deleted, waiting) = (submit(&site).await, submit(&site).await, submit(&site).await);
        let unknown = JobId::random();
        for id in [&ended, &deleted] {
            site.queue.cancel(&Owner::local(), id).await.unwrap().unwrap();
        }
        site.queue.delete(&Owner::local(), &deleted).await.unwrap().unwrap();
        let copy = |id: &JobId| dir.path().join("work").join(id.as_str());
        let all = [&ended, &deleted, &waiting, &unknown];
        for id in all {
            std::fs::create_dir_all(copy(id)).unwrap();
        }
        site.copies(Duration::from_secs(60)).await;
        assert!(copy(&ended).exists(), "removed before its time");
        later().await;
        site.copies(Duration::ZERO).await;
        assert_eq!(all.map(|id| copy(id).exists()), [false, false, true, true]);
    }
}
