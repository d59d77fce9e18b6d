//! Reports the end of a claim to the queue, the log, the metrics and the webhook.

use std::time::Duration;

use tokio::time::sleep;

use super::Workers;
use super::lease::Lease;
use crate::job::Job;
use crate::queue::{Claim, Ending, Queue, QueueError, Ticket};
use crate::webhook;

/// Interval between attempts to report the end of a job.
pub(super) const RETRY_EVERY: Duration = Duration::from_secs(2);

/// Reports the end of a claim to the queue, the log, the metrics and the webhook. Returns the job if the queue recorded it.
pub(super) async fn conclude(workers: &Workers, claim: &Claim, lease: &Lease, ending: Ending) -> Option<Job> {
    let word = match &ending {
        Ending::Succeeded { .. } => "succeeded",
        Ending::Failed(_) => "failed",
        Ending::Retry(_) => "failed, to be tried again",
        Ending::Cancelled => "cancelled",
        Ending::Released => "given back",
    };
    tracing::info!(job = %claim.job.id, "job {word}");
    workers.metrics.ended(&ending);
    // If this process dies in between, the sweep queues the webhook.
    let recorded = tokio::select! {
        recorded = finish_claim(&*workers.queue, &claim.ticket, ending) => recorded,
        _ = lease.must_abandon(false) => {
            tracing::warn!(job = %claim.job.id, "could not record the final status of a job; it will run again");
            None
        }
    };
    if let Some(job) = recorded.as_ref().filter(|job| job.state.is_final()) {
        webhook::enqueue(&*workers.queue, job).await;
    }
    recorded
}

/// Reports the end of the claim, retrying until the queue responds.
async fn finish_claim(queue: &dyn Queue, ticket: &Ticket, ending: Ending) -> Option<Job> {
    loop {
        match queue.finish(ticket, ending.clone()).await {
            Ok(job) => return Some(job),
            Err(QueueError::Unavailable { why }) => {
                tracing::warn!(job = %ticket.id, why, "could not record the final status of a job; will retry");
                sleep(RETRY_EVERY).await;
            }
            Err(error) => {
                tracing::warn!(job = %ticket.id, %error, "the queue rejected the final status of a job");
                return None;
            }
        }
    }
}
