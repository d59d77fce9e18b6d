//! Removes what nobody needs any more: jobs past their retention, uploads that no job uses, files without a job.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::intake::Intake;
use crate::job::{JobId, Owner};
use crate::queue::{Queue, now_ms};
use crate::store::JobStore;

/// How often.
const EVERY: Duration = Duration::from_secs(60);

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
    loop {
        once(&*queue, &store, &intake, retention).await;
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = shutdown.wait_for(|stop| *stop) => return,
        }
    }
}

async fn once(queue: &dyn Queue, store: &JobStore, intake: &Intake, retention: Duration) {
    let before = now_ms().saturating_sub(u64::try_from(retention.as_millis()).unwrap_or(u64::MAX));
    loop {
        let expired = match queue.expired(before).await {
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
