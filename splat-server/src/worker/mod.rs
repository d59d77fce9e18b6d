//! Workers claim jobs, run them in processes of their own, and report to the queue.
//!
//! | module | what |
//! | --- | --- |
//! | `attempt` | one attempt at a scene job: lease, reports, cancellation, time limits, ending |
//! | `conclude` | reports the end of a claim |
//! | `gesture` | one attempt at a gesture job: a second of training, in this process |
//! | `lease` | keeps a claim, and reports whether to stop; used by both |
//! | `live_views` | passes live views between the queue and the training process |
//! | `child` | the process of an attempt |
//! | `reporter` | converts the process's events to progress, numbered events and artefacts |
//! | `retention` | which files of a job are stored, and which are removed when it ends |
//! | `artifacts` | which files can be downloaded, and their names |

mod artifacts;
mod attempt;
mod child;
mod conclude;
mod gesture;
mod lease;
mod live_views;
mod reporter;
mod retention;
#[cfg(all(test, unix))]
mod tests;

use std::ffi::OsString;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::code::Code;
use crate::gesture::models::Models;
use crate::job::{JobKind, JobProblem, Lane};
use crate::metrics::{KeyLabels, LineLabels, Metrics};
use crate::queue::{Claim, Ending, Queue, now_ms};
use crate::runner::MachineOptions;
use crate::store::JobStore;
use crate::webhook::Notifier;

/// Interval between attempts to claim of an idle worker.
const IDLE_POLL: Duration = Duration::from_millis(300);
/// Concurrent webhook deliveries.
const DELIVERIES_AT_ONCE: usize = 16;
/// Pause after the queue could not be reached.
const UNAVAILABLE_POLL: Duration = Duration::from_secs(2);

/// Options of workers.
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// Name of this process in the queue.
    pub name: String,
    /// Concurrent scenes. With 1, a single scene has all memory and the GPU.
    pub scene_slots: u32,
    /// Concurrent gestures.
    pub cpu_slots: u32,
    /// Lease of a claim; without a renewal for this long, the job goes to another worker.
    pub lease: Duration,
    /// Time limit of one attempt.
    pub job_timeout: Duration,
    /// Maximum time without output of an attempt's process.
    pub silence_timeout: Duration,
    /// How long a process may take for a graceful stop before it is killed.
    pub stop_grace: Duration,
    /// The program that runs one attempt, and its arguments.
    pub program: Vec<OsString>,
    /// Passed on to that program.
    pub machine: MachineOptions,
}

/// The workers of this process.
#[derive(Clone, Debug)]
pub struct Workers {
    queue: Arc<dyn Queue>,
    store: JobStore,
    models: Models,
    metrics: Arc<Metrics>,
    deliveries: Arc<Semaphore>,
    notifier: Option<Notifier>,
    options: Arc<WorkerOptions>,
}

impl Workers {
    /// Creates workers on a queue and a store.
    #[must_use]
    pub(crate) fn new(
        queue: Arc<dyn Queue>,
        store: JobStore,
        models: Models,
        metrics: Arc<Metrics>,
        notifier: Option<Notifier>,
        options: WorkerOptions,
    ) -> Self {
        let deliveries = Arc::new(Semaphore::new(DELIVERIES_AT_ONCE));
        Self { queue, store, models, metrics, deliveries, notifier, options: Arc::new(options) }
    }

    /// Works until `shutdown` becomes true, then stops running jobs and returns them to the queue.
    pub async fn run(self, shutdown: watch::Receiver<bool>) {
        let mut slots = JoinSet::new();
        for slot in 0..self.options.scene_slots {
            slots.spawn(self.clone().slot(Lane::Scene, slot, shutdown.clone()));
        }
        for slot in 0..self.options.cpu_slots {
            slots.spawn(self.clone().slot(Lane::Cpu, slot, shutdown.clone()));
        }
        // This slot only claims; deliveries run concurrently.
        slots.spawn(self.clone().slot(Lane::Webhook, 0, shutdown.clone()));
        // Built in advance, so that the first gesture need not wait for it.
        if !self.options.machine.test_mode {
            let (models, mut stop) = (self.models.clone(), shutdown.clone());
            slots.spawn(async move {
                tokio::select! {
                    made = models.base() => if let Err(error) = made {
                        tracing::warn!(%error, "could not build the base gesture model; will retry");
                    },
                    () = lease::wait_for_shutdown(&mut stop) => {}
                }
            });
        }
        while let Some(ended) = slots.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "worker task failed");
            }
        }
    }

    /// Handles one claim, depending on its kind.
    async fn handle(&self, claim: Claim, shutdown: watch::Receiver<bool>) {
        match claim.job.kind {
            JobKind::Webhook => match Arc::clone(&self.deliveries).try_acquire_owned() {
                // A slow receiver must not delay other deliveries.
                Ok(permit) => {
                    let workers = self.clone();
                    tokio::spawn(async move {
                        workers.deliver(claim).await;
                        drop(permit);
                    });
                }
                Err(_) => self.deliver(claim).await,
            },
            JobKind::Gesture => gesture::run(self, claim, shutdown).await,
            JobKind::Scene => attempt::run(self, claim, shutdown).await,
        }
    }

    async fn deliver(&self, claim: Claim) {
        let ending = match &self.notifier {
            Some(notifier) => notifier.deliver(&*self.queue, &claim.job).await,
            // Another worker, or this one after a restart, may have webhooks enabled. Released without a delay, the job would be
            // claimed again at once.
            None => Ending::Retry(JobProblem::new(
                Code::Webhook,
                "this worker sends no webhooks; its operator can turn them on",
            )),
        };
        if let Err(error) = self.queue.finish(&claim.ticket, ending).await {
            tracing::warn!(%error, "could not record the result of a webhook delivery; it may be sent twice");
        }
    }

    /// Claims and runs one job after another.
    async fn slot(self, lane: Lane, slot: u32, mut shutdown: watch::Receiver<bool>) {
        let name = format!("{}-{}-{slot}", self.options.name, lane.name());
        while !*shutdown.borrow() {
            let wait = match self.queue.claim(&name, &[lane], self.options.lease).await {
                Ok(Some(claim)) => {
                    self.metrics.attempts.inc();
                    let line = LineLabels { lane: lane.name() };
                    let waited = now_ms().saturating_sub(claim.job.run_after_ms);
                    self.metrics.waits.get_or_create(&line).observe(waited as f64 / 1000.0);
                    let (owner, begun) = (claim.job.owner.clone(), Instant::now());
                    self.handle(claim, shutdown.clone()).await;
                    // Deliveries wait on their own.
                    if lane != Lane::Webhook {
                        let took = begun.elapsed().as_secs_f64();
                        self.metrics.durations.get_or_create(&line).observe(took);
                        self.metrics.use_by_key.get_or_create(&KeyLabels { key: owner.0 }).inc_by(took);
                    }
                    continue;
                }
                Ok(None) => IDLE_POLL,
                Err(error) => {
                    tracing::warn!(%error, "could not claim a job; will retry");
                    UNAVAILABLE_POLL
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                changed = shutdown.changed() => if changed.is_err() { return },
            }
        }
    }
}
