//! One attempt at a scene job, from its claim to its end.

use std::path::PathBuf;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use splat_core::Event;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::Workers;
use super::artifacts;
use super::child::Runner;
use super::conclude::{RETRY_EVERY, conclude};
use super::lease::{Lease, StopReason, ticker};
use super::live_views::LiveViews;
use super::reporter::{self, Reporter};
use super::retention::{is_stored, is_within, prune, removable};
use crate::code::Code;
use crate::job::{Job, JobProblem};
use crate::metrics::StageLabels;
use crate::queue::{Claim, Ending, QueueError, Ticket};
use crate::runner::{Ended, Line, Order};
use crate::scene::SceneSpec;
use crate::store::{StoreError, Workspace};

/// Interval between reports to the queue.
const TICK: Duration = Duration::from_millis(500);
/// Pause after a process could not be started for lack of file handles, threads or memory.
const LACK_PAUSE: Duration = Duration::from_secs(5);

/// Runs the job and reports its end to the queue. If the claim is lost, nothing is reported: the job belongs to another worker.
pub(super) async fn run(workers: &Workers, claim: Claim, shutdown: watch::Receiver<bool>) {
    let id = claim.job.id.clone();
    tracing::info!(job = %id, attempt = claim.job.attempts, "job started");
    let mut attempt = Attempt { workers, lease: Lease::new(workers, &claim.ticket, shutdown), stored: false };
    let prepared = tokio::select! {
        prepared = attempt.prepare(&claim) => prepared.map_err(|problem| Some(Ending::Retry(problem))),
        () = attempt.lease.stop_reason_changed(None) => Err(match attempt.lease.stop_reason() {
            Some(StopReason::Lost) => None,
            Some(StopReason::Cancel) => Some(Ending::Cancelled),
            _ => Some(Ending::Released),
        }),
    };
    let ending = match prepared {
        Ok((mut workspace, spec)) => {
            let ending = attempt.work(&claim, &mut workspace, spec).await;
            // Once everything is stored, the working copy is not needed.
            if attempt.stored
                && let Err(error) = workspace.remove().await
            {
                tracing::warn!(job = %id, %error, "could not remove the working copy of a job");
            }
            ending
        }
        Err(ending) => ending,
    };
    let Some(ending) = ending else {
        tracing::warn!(job = %id, "claim lost; another worker continues");
        return;
    };
    let succeeded = matches!(ending, Ending::Succeeded { .. });
    if conclude(workers, &claim, &attempt.lease, ending).await.is_some() && succeeded {
        prune(workers, &claim.job).await;
    }
}

struct Attempt<'a> {
    workers: &'a Workers,
    lease: Lease,
    /// Whether everything that the process made is stored.
    stored: bool,
}

impl Attempt<'_> {
    /// Downloads the job's folder and parses its spec.
    async fn prepare(&self, claim: &Claim) -> Result<(Workspace, SceneSpec), JobProblem> {
        let spec = serde_json::from_value(claim.job.spec.clone()).map_err(|error| {
            problem(
                Code::Unreadable,
                format!("the job's description cannot be read: {error}"),
                Some("it was perhaps made by another version of this service; submit the photos again"),
            )
        })?;
        // Nothing is copied if the store is local.
        loop {
            match self.workers.store.download_job(&claim.job.id, |_| true).await {
                Ok(workspace) => return Ok((workspace, spec)),
                Err(StoreError::Io { source, .. }) if lacks_resources(&source) => {
                    tracing::warn!(job = %claim.job.id, error = %source, "could not open the files of a job; will retry");
                    sleep(LACK_PAUSE).await;
                }
                Err(error) => return Err(problem(Code::StoreUnavailable, error.to_string(), None)),
            }
        }
    }

    /// Runs the job's process; `None` if the claim was lost.
    async fn work(&mut self, claim: &Claim, workspace: &mut Workspace, spec: SceneSpec) -> Option<Ending> {
        let options = &self.workers.options;
        let order = Order { spec, first_attempt: claim.job.attempts <= 1, machine: options.machine.clone() };
        let mut runner = match Runner::start(&options.program, workspace.dir(), &order).await {
            Ok(runner) => runner,
            // Not the job's fault; it may work later or on another machine.
            Err(error) if lacks_resources(&error) => {
                tracing::warn!(job = %claim.job.id, %error, "could not start a job's process; it is requeued");
                tokio::select! {
                    () = sleep(LACK_PAUSE) => {}
                    () = self.lease.stop_reason_changed(None) => {}
                }
                return Some(Ending::Released);
            }
            Err(error) => {
                return Some(Ending::Retry(problem(
                    Code::CannotStart,
                    format!("the job's process cannot be started: {error}"),
                    None,
                )));
            }
        };
        let mut reporter = Reporter::new(claim.job.id.clone(), workspace.dir());
        let ended = self.follow(&mut runner, &mut reporter, workspace).await;
        let (status, stderr) = runner.wait().await;
        let stop_reason = self.lease.stop_reason();
        if stop_reason == Some(StopReason::Lost) {
            return None;
        }
        let ending = match (ended, stop_reason) {
            (Some(Ended::Succeeded { outcome }), _) => {
                let steps = outcome.get("steps_done").and_then(serde_json::Value::as_u64);
                let steps = steps.and_then(|steps| u32::try_from(steps).ok());
                let must_abandon = self.lease.must_abandon(true);
                tokio::select! {
                    stored = self.store_results(&claim.job, workspace, &mut reporter, steps) => match stored {
                        Ok(()) => Ending::Succeeded { result: result(&outcome) },
                        Err(problem) => Ending::Retry(problem),
                    },
                    why = must_abandon => match why {
                        StopReason::Lost => return None,
                        StopReason::Cancel => Ending::Cancelled,
                        // What is stored already will not be uploaded again.
                        _ => return Some(Ending::Released),
                    },
                }
            }
            (_, Some(StopReason::Cancel)) => Ending::Cancelled,
            (_, Some(StopReason::Shutdown)) => Ending::Released,
            (_, Some(StopReason::TooLong | StopReason::Lost)) => Ending::Failed(problem(
                Code::TimedOut,
                format!(
                    "the job took more than {} s, or its process wrote nothing for {} s, and was stopped",
                    options.job_timeout.as_secs(),
                    options.silence_timeout.as_secs()
                ),
                Some(
                    "send fewer or smaller photos, or fewer steps; retrying continues from the last checkpoint",
                ),
            )),
            (Some(Ended::Cancelled), None) => Ending::Retry(problem(
                Code::Interrupted,
                "the job's process was stopped by another program".into(),
                None,
            )),
            (Some(Ended::Failed { problem, may_pass: true }), None) => Ending::Retry(problem),
            (Some(Ended::Failed { problem, may_pass: false }), None) => Ending::Failed(problem),
            (None, None) => {
                let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                tracing::warn!(job = %claim.job.id, how, stderr, "a job's process died");
                Ending::Retry(problem(
                    Code::Crashed,
                    format!("the process that did this job died ({how})"),
                    Some("the service's log has the end of its output"),
                ))
            }
        };
        // The log and checkpoints of an unsuccessful job are stored too.
        if !matches!(ending, Ending::Succeeded { .. }) {
            let must_abandon = self.lease.must_abandon(true);
            let stored = tokio::select! {
                stored = self.store_results(&claim.job, workspace, &mut reporter, None) => stored,
                _ = must_abandon => Err(problem(Code::StoreUnavailable, "storing them took too long".into(), None)),
            };
            stored.err().into_iter().for_each(|why| tracing::warn!(job = %claim.job.id, why = why.message, "could not store the files of an unfinished job"));
        }
        tokio::select! {
            held = self.send_last_report(&claim.ticket, &mut reporter) => held.then_some(ending),
            why = self.lease.must_abandon(false) => (why != StopReason::Lost).then_some(Ending::Released),
        }
    }

    /// Reports what is left to the queue, retrying as long as needed: a succeeded job must not lack its scene. False if the claim
    /// was lost.
    async fn send_last_report(&self, ticket: &Ticket, reporter: &mut Reporter) -> bool {
        let Some(report) = reporter.take() else { return true };
        loop {
            match self.workers.queue.report(ticket, report.clone()).await {
                Err(QueueError::ClaimLost { .. }) => return false,
                Err(QueueError::Unavailable { why }) => {
                    tracing::warn!(job = %ticket.id, why, "could not report the last progress of a job; will retry");
                    sleep(RETRY_EVERY).await;
                }
                _ => return true,
            }
        }
    }

    /// Reads the process's output until it is closed.
    async fn follow<'w>(
        &self,
        runner: &mut Runner,
        reporter: &mut Reporter,
        workspace: &'w mut Workspace,
    ) -> Option<Ended> {
        let options = &self.workers.options;
        let mut tick = ticker(TICK);
        let deadline = Instant::now() + options.job_timeout;
        let mut last_output = Instant::now();
        let mut kill_at: Option<Instant> = None;
        let mut ended = None;
        let mut live_views = LiveViews::new(&self.workers.queue, &self.lease.ticket().id);
        // A slow bucket must not delay reports or cancellation.
        let (mut idle, mut pushing) = (Some(workspace), None::<BoxFuture<'w, &'w mut Workspace>>);
        // The service may have been asked to stop while the process was started.
        let mut before = None;
        loop {
            let far = Instant::now() + Duration::from_secs(3600);
            tokio::select! {
                line = runner.next_line() => match line {
                    Some(Line::Event(event)) => {
                        last_output = Instant::now();
                        if let Event::StageFinished { stage, elapsed_s, skipped: false } = &event {
                            let stage = StageLabels { stage: reporter::name(*stage) };
                            self.workers.metrics.stages.get_or_create(&stage).observe(*elapsed_s);
                        }
                        reporter.event(&event);
                    }
                    Some(Line::Seen { id, view }) => live_views.send(id, view),
                    Some(Line::Ended(how)) => ended = Some(how),
                    None => return ended,
                },
                _ = tick.tick() => {
                    self.send_report(reporter).await;
                    if let Some(workspace) = idle.take() {
                        pushing = Some(push(workspace, reporter.take_dirty()).boxed());
                    }
                    if Instant::now() > deadline || last_output.elapsed() > options.silence_timeout {
                        self.lease.stop(StopReason::TooLong);
                    }
                }
                workspace = pushed(&mut pushing) => {
                    pushing = None;
                    idle = Some(workspace);
                }
                request = live_views.next() => runner.request_view(&request).await,
                () = self.lease.stop_reason_changed(before) => {}
                () = sleep_until(kill_at.unwrap_or(far)), if kill_at.is_some() => {
                    runner.kill();
                    kill_at = None;
                }
            }
            let stop_reason = self.lease.stop_reason();
            match stop_reason {
                _ if stop_reason == before => {}
                // Two processes must not write to the same folder.
                Some(StopReason::Lost) => runner.kill(),
                _ => {
                    runner.stop();
                    kill_at = Some(Instant::now() + options.stop_grace);
                }
            }
            before = stop_reason;
        }
    }

    /// Reports to the queue; also learns whether to stop.
    async fn send_report(&self, reporter: &mut Reporter) {
        if let Some(report) = reporter.take()
            && let Err(report) = self.lease.report(report).await
        {
            reporter.put_back(report);
        }
    }

    /// Uploads all files of the job, and adds its artefacts to the report.
    async fn store_results(
        &mut self,
        job: &Job,
        workspace: &mut Workspace,
        reporter: &mut Reporter,
        steps_done: Option<u32>,
    ) -> Result<(), JobProblem> {
        let folder: PathBuf = workspace.dir().to_path_buf();
        let found = tokio::task::spawn_blocking(move || artifacts::of_finished(&folder, steps_done))
            .await
            .unwrap_or_default();
        for artifact in found {
            reporter.artifact(artifact);
        }
        let pushed = workspace.upload_changed(is_stored).await;
        self.stored = pushed.is_ok();
        match self.workers.store.list(&job.id).await {
            Ok(files) => {
                let removable = if steps_done.is_some() { removable(job) } else { Vec::new() };
                let stay = files.iter().filter(|file| !is_within(&removable, &file.path));
                reporter.set_stored_bytes(stay.map(|file| file.bytes).sum());
            }
            Err(error) => tracing::warn!(job = %job.id, %error, "could not measure the stored size of a job"),
        }
        pushed.map(drop).map_err(|error| {
            problem(Code::StoreUnavailable, format!("the job's files cannot be stored: {error}"), None)
        })
    }
}

/// Uploads new files to a remote store. Failed ones are retried at the end.
async fn push(workspace: &mut Workspace, paths: Vec<String>) -> &mut Workspace {
    for path in paths {
        if let Err(error) = workspace.upload(&path).await {
            tracing::warn!(%error, path, "could not store a file of a job; will retry");
        }
    }
    workspace
}

/// Waits for the upload in progress; never completes if there is none.
async fn pushed<'w>(pushing: &mut Option<BoxFuture<'w, &'w mut Workspace>>) -> &'w mut Workspace {
    match pushing {
        Some(pushing) => pushing.await,
        None => std::future::pending().await,
    }
}

/// Whether an operation failed because the machine lacks file handles, threads or memory.
fn lacks_resources(error: &std::io::Error) -> bool {
    #[cfg(unix)]
    {
        use rustix::io::Errno;
        let lacks = [Errno::MFILE, Errno::NFILE, Errno::AGAIN, Errno::NOMEM];
        Errno::from_io_error(error).is_some_and(|error| lacks.contains(&error))
    }
    #[cfg(not(unix))]
    {
        error.kind() == std::io::ErrorKind::OutOfMemory
    }
}

pub(super) fn problem(code: Code, message: String, hint: Option<&str>) -> JobProblem {
    JobProblem::new(code, message).hint(hint)
}

/// The part of the outcome that the job's owner sees: figures, but no paths of this machine.
fn result(outcome: &serde_json::Value) -> serde_json::Value {
    let names = [
        "gaussians",
        "steps_done",
        "steps",
        "psnr",
        "cc_psnr",
        "ssim",
        "elapsed_s",
        "peak_memory_bytes",
        "adapter",
        "placement",
        "test_mode",
    ];
    let figures = names.iter().filter_map(|name| Some(((*name).to_owned(), outcome.get(name)?.clone())));
    figures.collect::<serde_json::Map<_, _>>().into()
}

#[cfg(all(test, unix))]
mod tests {
    use rustix::io::Errno;

    #[test]
    fn what_the_machine_lacks_is_no_fault_of_the_job() {
        for (error, lacks) in
            [(Errno::MFILE, true), (Errno::NFILE, true), (Errno::AGAIN, true), (Errno::NOENT, false)]
        {
            assert_eq!(super::lacks_resources(&error.into()), lacks, "{error}");
        }
    }
}
