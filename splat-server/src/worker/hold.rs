//! A worker's hold on a job: renews the lease in a separate task for as long as the attempt takes, and tells whether the work
//! must stop.

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
pub(super) enum Stopping {
    /// Cancellation was requested.
    Cancel,
    /// The service is shutting down.
    Shutdown,
    /// It exceeded a time limit.
    TooLong,
    /// Another worker has claimed the job. Takes precedence over all other reasons.
    Lost,
}

/// The hold of one attempt; released on drop.
pub(super) struct Hold {
    queue: Arc<dyn Queue>,
    ticket: Ticket,
    stopping: watch::Sender<Option<Stopping>>,
    /// How long work in progress may continue after the service was asked to stop.
    patience: Duration,
    renewing: JoinHandle<()>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

impl Hold {
    /// Starts holding a new claim.
    pub(super) fn new(workers: &Workers, ticket: &Ticket, mut shutdown: watch::Receiver<bool>) -> Self {
        let (queue, lease) = (Arc::clone(&workers.queue), workers.options.lease);
        let stopping = watch::Sender::new(None);
        let (of_task, told, ticket_of_task) = (Arc::clone(&queue), stopping.clone(), ticket.clone());
        let renewing = tokio::spawn(async move {
            let mut tick = ticking(RENEW_EVERY);
            let mut stopped = false;
            loop {
                tokio::select! {
                    _ = tick.tick() => {
                        heard(&told, &ticket_of_task, of_task.renew(&ticket_of_task, lease).await);
                    }
                    () = shut_down(&mut shutdown), if !stopped => {
                        stopped = true;
                        stop(&told, Stopping::Shutdown);
                    }
                }
                if *told.borrow() == Some(Stopping::Lost) {
                    return;
                }
            }
        });
        Self { queue, ticket: ticket.clone(), stopping, patience: workers.options.stop_grace, renewing }
    }

    /// The claim's ticket.
    pub(super) fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    /// Why the work must stop; `None` if it may continue.
    pub(super) fn stopping(&self) -> Option<Stopping> {
        *self.stopping.borrow()
    }

    /// Stops the work, unless it is being stopped already.
    pub(super) fn stop(&self, why: Stopping) {
        stop(&self.stopping, why);
    }

    /// Waits until there is another reason to stop than `before`.
    pub(super) fn other_than(&self, before: Option<Stopping>) -> impl Future<Output = ()> + use<> {
        let mut stopping = self.stopping.subscribe();
        async move {
            // The sender exists as long as the hold, which exists as long as the work.
            let _ = stopping.wait_for(|now| *now != before).await.map(drop);
        }
    }

    /// Waits until work in progress, such as storing results, must be abandoned: immediately if the claim is lost, after a while
    /// if the service shuts down or, if `cancels`, if cancellation was requested.
    pub(super) fn given_up(&self, cancels: bool) -> impl Future<Output = Stopping> + use<> {
        let (mut stopping, patience) = (self.stopping.subscribe(), self.patience);
        let ends = move |why: &Option<Stopping>| {
            matches!(why, Some(Stopping::Lost | Stopping::Shutdown))
                || cancels && *why == Some(Stopping::Cancel)
        };
        async move {
            let why = stopping.wait_for(ends).await.ok().and_then(|why| *why).unwrap_or(Stopping::Shutdown);
            if why != Stopping::Lost {
                sleep(patience).await;
            }
            why
        }
    }

    /// Sends a report; also learns whether to stop. Returns the report if the queue is unavailable.
    pub(super) async fn report(&self, report: Report) -> Result<(), Report> {
        let told = self.queue.report(&self.ticket, report.clone()).await;
        let back = matches!(told, Err(QueueError::Unavailable { .. }));
        heard(&self.stopping, &self.ticket, told);
        if back { Err(report) } else { Ok(()) }
    }
}

fn stop(stopping: &watch::Sender<Option<Stopping>>, why: Stopping) {
    stopping.send_if_modified(|now| {
        let changes = now.is_none() || why == Stopping::Lost && *now != Some(why);
        if changes {
            *now = Some(why);
        }
        changes
    });
}

fn heard(stopping: &watch::Sender<Option<Stopping>>, ticket: &Ticket, held: Result<ClaimStatus, QueueError>) {
    match held {
        Ok(ClaimStatus { cancel_requested: true }) => stop(stopping, Stopping::Cancel),
        Ok(_) => {}
        Err(QueueError::ClaimLost { .. }) => stop(stopping, Stopping::Lost),
        // Work continues: once the queue responds again, it tells whether the claim is still valid.
        Err(error) => {
            tracing::warn!(job = %ticket.id, %error, "could not report to the queue; will retry");
        }
    }
}

/// An interval that does not catch up on missed ticks.
pub(super) fn ticking(every: Duration) -> Interval {
    let mut tick = interval(every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick
}

/// Waits until the service shuts down.
pub(super) async fn shut_down(shutdown: &mut watch::Receiver<bool>) {
    // A dropped sender counts as a shutdown.
    let _ = shutdown.wait_for(|stop| *stop).await.map(drop);
}
