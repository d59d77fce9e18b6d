//! A worker's hold on a job: the lease, and whether the work is to stop.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::Workers;
use crate::queue::{Held, Queue, QueueError, Report, Ticket};

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

/// The hold of one attempt.
pub(super) struct Hold<'a> {
    queue: &'a dyn Queue,
    ticket: Ticket,
    lease: Duration,
    renewed: Instant,
    stopping: Option<Stopping>,
}

impl<'a> Hold<'a> {
    /// The hold that a claim of just now gives.
    pub(super) fn new(workers: &'a Workers, ticket: &Ticket) -> Self {
        let (queue, lease) = (&*workers.queue, workers.options.lease);
        Self { queue, ticket: ticket.clone(), lease, renewed: Instant::now(), stopping: None }
    }

    /// Why the work is to stop, if it is.
    pub(super) fn stopping(&self) -> Option<Stopping> {
        self.stopping
    }

    /// Has the work stop, unless it is being stopped already.
    pub(super) fn stop(&mut self, why: Stopping) {
        self.stopping.get_or_insert(why);
    }

    /// Whether the lease wants to be renewed.
    pub(super) fn is_due(&self) -> bool {
        self.renewed.elapsed() >= self.lease / 4
    }

    /// Holds the job for another lease, and hears whether to stop.
    pub(super) async fn renew(&mut self) {
        let held = self.queue.renew(&self.ticket, self.lease).await;
        if held.is_ok() {
            self.renewed = Instant::now();
        }
        self.heard(held);
    }

    /// Brings news, and hears whether to stop. News that the queue could not take now come back.
    pub(super) async fn report(&mut self, report: Report) -> Result<(), Report> {
        let told = self.queue.report(&self.ticket, report.clone()).await;
        let back = matches!(told, Err(QueueError::Unavailable { .. }));
        self.heard(told);
        if back { Err(report) } else { Ok(()) }
    }

    fn heard(&mut self, held: Result<Held, QueueError>) {
        match held {
            Ok(Held { cancel_requested: true }) => self.stop(Stopping::Cancel),
            Ok(_) => {}
            Err(QueueError::ClaimLost { .. }) => self.stopping = Some(Stopping::Lost),
            // The work goes on: when the queue answers again, it says whose the job is.
            Err(error) => {
                tracing::warn!(job = %self.ticket.id, %error, "the queue did not take news of a job; trying again");
            }
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
