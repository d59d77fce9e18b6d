//! A worker's lease on a job: renewed in a separate task for as long as the attempt takes. Also says whether the work must stop.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};

use super::Workers;
use crate::queue::{ClaimStatus, Queue, QueueError, Report, Ticket};

/// Interval between renewals of the lease; also how soon cancellation is noticed, and how soon a machine that slept renews, which
/// must be within [`crate::queue::RECLAIM_GRACE`].
const RENEW_EVERY: Duration = Duration::from_millis(500);

/// Why work is being stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StopReason {
    /// Cancellation was requested.
    Cancel,
    /// The service is shutting down.
    Shutdown,
    /// It exceeded a time limit.
    TooLong,
    /// Another worker has claimed the job. Takes precedence over all other reasons.
    Lost,
}

/// The lease of one attempt; released on drop.
pub(super) struct Lease {
    queue: Arc<dyn Queue>,
    ticket: Ticket,
    stop_reason: watch::Sender<Option<StopReason>>,
    /// How long work in progress may continue after the service was asked to stop.
    patience: Duration,
    renewing: JoinHandle<()>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

impl Lease {
    /// Starts to renew the lease of a new claim.
    pub(super) fn new(workers: &Workers, ticket: &Ticket, mut shutdown: watch::Receiver<bool>) -> Self {
        let (queue, duration) = (Arc::clone(&workers.queue), workers.options.lease);
        let stop_reason = watch::Sender::new(None);
        let (task_queue, task_reason, task_ticket) =
            (Arc::clone(&queue), stop_reason.clone(), ticket.clone());
        let renewing = tokio::spawn(async move {
            let mut tick = ticker(RENEW_EVERY);
            let mut stopped = false;
            loop {
                tokio::select! {
                    _ = tick.tick() => {
                        apply_status(&task_reason, &task_ticket, task_queue.renew(&task_ticket, duration).await);
                    }
                    () = wait_for_shutdown(&mut shutdown), if !stopped => {
                        stopped = true;
                        stop(&task_reason, StopReason::Shutdown);
                    }
                }
                if *task_reason.borrow() == Some(StopReason::Lost) {
                    return;
                }
            }
        });
        Self { queue, ticket: ticket.clone(), stop_reason, patience: workers.options.stop_grace, renewing }
    }

    /// The claim's ticket.
    pub(super) fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    /// Why the work must stop; `None` if it may continue.
    pub(super) fn stop_reason(&self) -> Option<StopReason> {
        *self.stop_reason.borrow()
    }

    /// Stops the work, unless it is being stopped already.
    pub(super) fn stop(&self, why: StopReason) {
        stop(&self.stop_reason, why);
    }

    /// Waits until there is another reason to stop than `before`.
    pub(super) fn stop_reason_changed(&self, before: Option<StopReason>) -> impl Future<Output = ()> + use<> {
        let mut stop_reason = self.stop_reason.subscribe();
        async move {
            // The sender exists as long as the lease, which exists as long as the work.
            let _ = stop_reason.wait_for(|now| *now != before).await.map(drop);
        }
    }

    /// Waits until work in progress, such as storing results, must be abandoned: immediately if the claim is lost, after a while
    /// if the service shuts down or, if `cancels`, if cancellation was requested.
    pub(super) fn must_abandon(&self, cancels: bool) -> impl Future<Output = StopReason> + use<> {
        let (mut stop_reason, patience) = (self.stop_reason.subscribe(), self.patience);
        let ends = move |why: &Option<StopReason>| {
            matches!(why, Some(StopReason::Lost | StopReason::Shutdown))
                || cancels && *why == Some(StopReason::Cancel)
        };
        async move {
            let why =
                stop_reason.wait_for(ends).await.ok().and_then(|why| *why).unwrap_or(StopReason::Shutdown);
            if why != StopReason::Lost {
                sleep(patience).await;
            }
            why
        }
    }

    /// Sends a report; also learns whether to stop. Returns the report if the queue is unavailable.
    pub(super) async fn report(&self, report: Report) -> Result<(), Report> {
        let status = self.queue.report(&self.ticket, report.clone()).await;
        let back = matches!(status, Err(QueueError::Unavailable { .. }));
        apply_status(&self.stop_reason, &self.ticket, status);
        if back { Err(report) } else { Ok(()) }
    }
}

fn stop(stop_reason: &watch::Sender<Option<StopReason>>, why: StopReason) {
    stop_reason.send_if_modified(|now| {
        let changes = now.is_none() || why == StopReason::Lost && *now != Some(why);
        if changes {
            *now = Some(why);
        }
        changes
    });
}

fn apply_status(
    stop_reason: &watch::Sender<Option<StopReason>>,
    ticket: &Ticket,
    status: Result<ClaimStatus, QueueError>,
) {
    match status {
        Ok(ClaimStatus { cancel_requested: true }) => stop(stop_reason, StopReason::Cancel),
        Ok(_) => {}
        Err(QueueError::ClaimLost { .. }) => stop(stop_reason, StopReason::Lost),
        // Work continues: once the queue responds again, it tells whether the claim is still valid.
        Err(error) => {
            tracing::warn!(job = %ticket.id, %error, "could not report to the queue; will retry");
        }
    }
}

/// An interval that does not catch up on missed ticks.
pub(super) fn ticker(every: Duration) -> Interval {
    let mut tick = interval(every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick
}

/// Waits until the service shuts down.
pub(super) async fn wait_for_shutdown(shutdown: &mut watch::Receiver<bool>) {
    // A dropped sender counts as a shutdown.
    let _ = shutdown.wait_for(|stop| *stop).await.map(drop);
}
