//! A worker's hold on a job: the lease, renewed by a task of its own for as long as the attempt takes, and whether the work is to
//! stop.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};

use super::Workers;
use crate::queue::{ClaimStatus, Queue, QueueError, Report, Ticket};

/// How often the lease is renewed: also how soon a request to cancel is seen, and how soon the hold of a machine that slept is
/// renewed, which must come before [`crate::queue::RECLAIM_GRACE`] is over.
const RENEW_EVERY: Duration = Duration::from_millis(500);

/// Why work is being stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopping {
    /// The owner cancelled.
    Cancel,
    /// The service shuts down.
    Shutdown,
    /// It took too long, or fell silent.
    TooLong,
    /// Another worker has the job. This comes over every other reason.
    Lost,
}

/// The hold of one attempt; let go of with the value.
pub(super) struct Hold {
    queue: Arc<dyn Queue>,
    ticket: Ticket,
    stopping: watch::Sender<Option<Stopping>>,
    /// How long what is under way may go on after the service was asked to stop.
    patience: Duration,
    renewing: JoinHandle<()>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

impl Hold {
    /// The hold that a claim of just now gives.
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

    /// What is held.
    pub(super) fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    /// Why the work is to stop, if it is.
    pub(super) fn stopping(&self) -> Option<Stopping> {
        *self.stopping.borrow()
    }

    /// Has the work stop, unless it is being stopped already.
    pub(super) fn stop(&self, why: Stopping) {
        stop(&self.stopping, why);
    }

    /// Until there is another reason to stop than `before`.
    pub(super) fn other_than(&self, before: Option<Stopping>) -> impl Future<Output = ()> + use<> {
        let mut stopping = self.stopping.subscribe();
        async move {
            // The sender lives as long as the hold, which lives as long as the work.
            let _ = stopping.wait_for(|now| *now != before).await.map(drop);
        }
    }

    /// Until what is under way, such as storing results, is to be given up: at once when the claim is lost, after a while when the
    /// service shuts down or, where `cancels`, when its owner has cancelled the job.
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

    /// Reports, and learns whether to stop. Returns a report that the queue could not take now.
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
        // The work goes on: when the queue answers again, it says whose the job is.
        Err(error) => {
            tracing::warn!(job = %ticket.id, %error, "could not report to the queue; will retry");
        }
    }
}

/// A tick every so often, and no burst of them after a pause.
pub(super) fn ticking(every: Duration) -> Interval {
    let mut tick = interval(every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick
}

/// Until the service shuts down.
pub(super) async fn shut_down(shutdown: &mut watch::Receiver<bool>) {
    // A sender that is gone means the same.
    let _ = shutdown.wait_for(|stop| *stop).await.map(drop);
}
