//! Workers: they claim jobs, have them done by processes of their own, and report to the queue.
//!
//! | module | what |
//! | --- | --- |
//! | `attempt` | one claim from beginning to end: lease, news, cancelling, limits, how it ended |
//! | `conclude` | reports how a claim ended |
//! | `gesture` | one claim on a gesture: a second of training, in this process |
//! | `hold` | what both do to keep a claim, and how they learn that it is to stop |
//! | `looks` | from who looks at a scene to the process that trains it, and back |
//! | `child` | the process of an attempt |
//! | `reporter` | from its events to progress, numbered events and artefacts |
//! | `retention` | which files of a job are stored, and which are removed at its end |
//! | `artifacts` | which files can be fetched, under which names |

mod artifacts;
mod attempt;
mod child;
mod conclude;
mod gesture;
mod hold;
mod looks;
mod reporter;
mod retention;
#[cfg(all(test, unix))]
mod tests;

use std::ffi::OsString;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::gesture::models::Models;
use crate::job::{JobKind, JobProblem, Lane};
use crate::metrics::{KeyLabels, LineLabels, Metrics};
use crate::queue::{Claim, Ending, Queue, now_ms};
use crate::runner::MachineOptions;
use crate::store::JobStore;
use crate::webhook::Notifier;

/// How long an idle worker waits before it asks again.
const IDLE_POLL: Duration = Duration::from_millis(300);
/// Webhooks on their way at once.
const DELIVERIES_AT_ONCE: usize = 16;
/// How long it waits after the queue could not be reached.
const UNAVAILABLE_POLL: Duration = Duration::from_secs(2);

/// How workers work.
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// Names this process in the queue.
    pub name: String,
    /// Scenes at once. One keeps memory and the GPU to a single scene.
    pub scene_slots: u32,
    /// Gestures at once.
    pub cpu_slots: u32,
    /// Lease of a claim; after so long without a sign of life the job goes to another worker.
    pub lease: Duration,
    /// Longest time for one attempt.
    pub job_timeout: Duration,
    /// Longest time without any news from the process of an attempt.
    pub silence_timeout: Duration,
    /// How long a process may take to stop in order before it is ended.
    pub stop_grace: Duration,
    /// The program that does one attempt, and its arguments.
    pub program: Vec<OsString>,
    /// Passed on to it.
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
    /// Workers on a queue and a store.
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

    /// Works until `shutdown` turns true, then stops jobs in order and gives them back to the queue.
    pub async fn run(self, shutdown: watch::Receiver<bool>) {
        let mut slots = JoinSet::new();
        for slot in 0..self.options.scene_slots {
            slots.spawn(self.clone().slot(Lane::Scene, slot, shutdown.clone()));
        }
        for slot in 0..self.options.cpu_slots {
            slots.spawn(self.clone().slot(Lane::Cpu, slot, shutdown.clone()));
        }
        // It claims only; deliveries go on beside each other.
        slots.spawn(self.clone().slot(Lane::Webhook, 0, shutdown.clone()));
        // Made ahead of the first gesture, which would wait for it.
        if !self.options.machine.test_mode {
            let (models, mut stop) = (self.models.clone(), shutdown.clone());
            slots.spawn(async move {
                tokio::select! {
                    made = models.base() => if let Err(error) = made {
                        tracing::warn!(%error, "could not build the base gesture model; will retry");
                    },
                    () = hold::shut_down(&mut stop) => {}
                }
            });
        }
        while let Some(ended) = slots.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "worker task failed");
            }
        }
    }

    /// One claim, by its kind.
    async fn one(&self, claim: Claim, shutdown: watch::Receiver<bool>) {
        match claim.job.kind {
            JobKind::Webhook => match Arc::clone(&self.deliveries).try_acquire_owned() {
                // A receiver that is slow to answer must not hold up the others.
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
            // Another worker, or this one after a restart, may have them turned on. Given back without a wait, it would come
            // around again at once.
            None => Ending::Retry(JobProblem {
                code: "webhook".into(),
                message: "this worker sends no webhooks; its operator can turn them on".into(),
                hint: None,
            }),
        };
        if let Err(error) = self.queue.finish(&claim.ticket, ending).await {
            tracing::warn!(%error, "could not record the result of a webhook delivery; it may be sent twice");
        }
    }

    /// One job after the other.
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
                    self.one(claim, shutdown.clone()).await;
                    // Deliveries go on by themselves.
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
