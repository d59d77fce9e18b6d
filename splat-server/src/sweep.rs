//! What is looked after once a minute: ends of jobs that were not told, jobs past their retention, uploads that no job uses, files
//! without a job.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::intake::Intake;
use crate::job::{JobId, JobState, Owner, UnixMs};
use crate::queue::{Queue, now_ms};
use crate::store::JobStore;
use crate::webhook;

/// How often.
const EVERY: Duration = Duration::from_secs(60);

/// Machines may write down when a job ended by clocks that differ so much.
const CLOCKS_APART_MS: UnixMs = 5 * 60_000;

/// Files younger than this may belong to a job that is being submitted.
const ORPHAN_AGE: Duration = Duration::from_secs(3600);

/// Sweeps until `shutdown` turns true.
pub(crate) async fn run(
    queue: Arc<dyn Queue>,
    store: JobStore,
    intake: Intake,
    retention: Duration,
    mut shutdown: watch::Receiver<bool>,
) {
    // Everything at first: it may have been down for long.
    let mut told_until = 0;
    loop {
        let begun = now_ms();
        match webhook::catch_up(&*queue, told_until..UnixMs::MAX).await {
            Ok(()) => told_until = begun.saturating_sub(CLOCKS_APART_MS),
            Err(error) => tracing::warn!(%error, "webhooks that were not queued are looked for later"),
        }
        once(&*queue, &store, &intake, retention).await;
        copies(&*queue, &store, ORPHAN_AGE).await;
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = shutdown.wait_for(|stop| *stop) => return,
        }
    }
}

/// Sweeps working copies until `shutdown` turns true: what a worker on a machine of its own leaves.
pub(crate) async fn run_copies(queue: Arc<dyn Queue>, store: JobStore, mut shutdown: watch::Receiver<bool>) {
    loop {
        copies(&*queue, &store, ORPHAN_AGE).await;
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = shutdown.wait_for(|stop| *stop) => return,
        }
    }
}

async fn copies(queue: &dyn Queue, store: &JobStore, age: Duration) {
    let needed = async |id: JobId| {
        let events = queue.events(&id, 0, u32::MAX).await.ok()?;
        let last = events.iter().rev().find(|event| event.kind == "state");
        let state = last.and_then(|event| JobState::of_name(event.data.get("state")?.as_str()?));
        Some(state.is_some_and(|state| !state.is_final()))
    };
    if let Err(error) = store.sweep_copies(age, needed).await {
        tracing::warn!(%error, "working copies of jobs are swept later");
    }
}

async fn once(queue: &dyn Queue, store: &JobStore, intake: &Intake, retention: Duration) {
    let before = now_ms().saturating_sub(u64::try_from(retention.as_millis()).unwrap_or(u64::MAX));
    loop {
        let expired = match queue.ended(0..before).await {
            Ok(expired) if expired.is_empty() => break,
            Ok(expired) => expired,
            Err(error) => {
                tracing::warn!(%error, "expired jobs are swept later");
                break;
            }
        };
        for (owner, id) in expired {
            if let Err(why) = remove(queue, store, &owner, &id).await {
                tracing::warn!(job = %id, why, "an expired job is swept later");
                return;
            }
            tracing::info!(job = %id, "an expired job was removed");
        }
    }
    if let Err(error) = intake.sweep_uploads().await {
        tracing::warn!(%error, "unused uploads are swept later");
    }
    // Every job has told of its submission at least.
    let known = async |id: JobId| queue.events(&id, 0, 1).await.ok().map(|events| !events.is_empty());
    if let Err(error) = store.sweep(ORPHAN_AGE, known).await {
        tracing::warn!(%error, "files without a job are swept later");
    }
}

async fn remove(queue: &dyn Queue, store: &JobStore, owner: &Owner, id: &JobId) -> Result<(), String> {
    store.delete_job(id).await.map_err(|error| error.to_string())?;
    queue.delete(owner, id).await.map_err(|error| error.to_string())?;
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::intake::Limits;
    use crate::job::{JobProblem, Lane, NewJob};
    use crate::queue::contract::{PLENTY, new_job};
    use crate::queue::{Ending, SqliteQueue};

    /// A job of each kind of end, and one that waits, all with files.
    #[tokio::test]
    async fn what_expired_goes_with_its_files_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let queue = SqliteQueue::open(&dir.path().join("queue.db")).unwrap();
        let store = JobStore::open(&crate::store::StoreConfig::local(dir.path())).unwrap();
        let intake = Intake::open(dir.path(), Limits::default()).unwrap();
        let problem = JobProblem { code: "x".into(), message: "x".into(), hint: None };
        let endings = [Ending::Succeeded { result: json!(null) }, Ending::Failed(problem), Ending::Cancelled];
        let mut ended = Vec::new();
        for ending in endings.into_iter().map(Some).chain([None]) {
            let id = JobId::random();
            let job = NewJob { id: id.clone(), owner: Owner::local(), ..new_job("a") };
            queue.submit(job, PLENTY).await.unwrap();
            store.put_bytes(&id, "images/0001.jpg", vec![1].into()).await.unwrap();
            if let Some(ending) = ending {
                let claim = queue.claim("w", &[Lane::Scene], Duration::from_secs(9)).await.unwrap().unwrap();
                queue.finish(&claim.ticket, ending).await.unwrap();
            }
            ended.push(id);
        }
        let waiting = ended.pop().unwrap();
        once(&queue, &store, &intake, Duration::from_secs(3600)).await;
        assert!(store.local_dir(&ended[0]).unwrap().exists(), "removed before its time");
        tokio::time::sleep(Duration::from_millis(20)).await;
        once(&queue, &store, &intake, Duration::ZERO).await;
        for id in &ended {
            assert!(queue.get(&Owner::local(), id).await.unwrap().is_none());
            assert!(!store.local_dir(id).unwrap().exists(), "files of an expired job stay");
        }
        assert!(queue.get(&Owner::local(), &waiting).await.unwrap().is_some());
        assert!(store.local_dir(&waiting).unwrap().join("images/0001.jpg").exists());
    }

    /// What a killed worker left of a bucket's job goes once the job has ended, and stays while a worker may go on with it.
    #[tokio::test]
    async fn copies_of_jobs_that_ended_go() {
        let dir = tempfile::tempdir().unwrap();
        let queue = SqliteQueue::open(&dir.path().join("queue.db")).unwrap();
        let store = JobStore::open(&crate::store::StoreConfig::local(dir.path())).unwrap();
        let [ended, waiting, unknown] = std::array::from_fn(|_| JobId::random());
        for id in [&ended, &waiting] {
            let job = NewJob { id: id.clone(), owner: Owner::local(), ..new_job("a") };
            queue.submit(job, PLENTY).await.unwrap();
        }
        queue.cancel(&Owner::local(), &ended).await.unwrap().unwrap();
        let copy = |id: &JobId| dir.path().join("work").join(id.as_str());
        for id in [&ended, &waiting, &unknown] {
            std::fs::create_dir_all(copy(id)).unwrap();
        }
        copies(&queue, &store, Duration::from_secs(60)).await;
        assert!(copy(&ended).exists(), "removed before its time");
        tokio::time::sleep(Duration::from_millis(20)).await;
        copies(&queue, &store, Duration::ZERO).await;
        assert_eq!([&ended, &waiting, &unknown].map(|id| copy(id).exists()), [false, true, false]);
    }
}
