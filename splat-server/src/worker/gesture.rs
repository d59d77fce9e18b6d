//! One attempt at a gesture job. Training takes a second of one core, so it runs in this process, on a blocking thread. If the
//! process crashes, the lease expires, and the job runs again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use splat_gesture::{
    Bundle, GestureError, Outcome, Progress as Trained, Recording, Report as Quality, Stage, TrainOptions,
    limits, train_addition,
};
use tokio::sync::watch;
use tokio::time::Instant;

use super::Workers;
use super::attempt::problem;
use super::conclude::conclude;
use super::lease::{Lease, StopReason, ticker};
use crate::code::Code;
use crate::gesture::models::{ModelError, NewModel};
use crate::gesture::{self, Figures, GestureSpec, MODEL_FILE, ModelRecord, OUTPUT, RECORDING};
use crate::job::{Artifact, JobProblem, NewEvent, Progress};
use crate::queue::{Claim, Ending, Report};

/// Interval between reports to the queue; also how soon cancellation is noticed.
const TICK: Duration = Duration::from_millis(250);
/// Far more than any training takes: a longer one has failed.
const LONGEST: Duration = Duration::from_secs(600);
/// Report on a gesture that was rejected for its quality.
const REPORT: &str = "report.json";

/// Runs the job and reports its end to the queue. If the claim is lost, nothing is reported: the job belongs to another worker.
pub(super) async fn run(workers: &Workers, claim: Claim, shutdown: watch::Receiver<bool>) {
    tracing::info!(job = %claim.job.id, attempt = claim.job.attempts, "gesture job started");
    let mut attempt = Attempt { workers, claim: &claim, lease: Lease::new(workers, &claim.ticket, shutdown) };
    let ending = match attempt.work().await {
        Ok(ending) => ending,
        Err(problem) => Some(problem),
    };
    match ending {
        Some(ending) => drop(conclude(workers, &claim, &attempt.lease, ending).await),
        None => tracing::warn!(job = %claim.job.id, "claim lost; another worker continues"),
    }
}

struct Attempt<'a> {
    workers: &'a Workers,
    claim: &'a Claim,
    lease: Lease,
}

impl Attempt<'_> {
    /// The whole job; `None` if the claim was lost. `Err` contains an early ending.
    async fn work(&mut self) -> Result<Option<Ending>, Ending> {
        let job = &self.claim.job;
        let spec: GestureSpec = serde_json::from_value(job.spec.clone()).map_err(|error| {
            Ending::Failed(problem(
                Code::Unreadable,
                format!("the job's description cannot be read: {error}"),
                Some("it was perhaps made by another version of this service; send the gesture again"),
            ))
        })?;
        self.tell(news("load", 1.0, "loading the model")).await;
        let most = limits::MAX_FRAMES * limits::FRAME_VALUES * 4;
        let bytes = self.workers.store.read(&job.id, RECORDING, most).await;
        let bytes =
            bytes.map_err(|error| Ending::Retry(problem(Code::StoreUnavailable, error.to_string(), None)))?;
        let recording = gesture::from_bytes(&spec.gesture, spec.layout, &bytes)
            .map_err(|error| Ending::Failed(invalid(&error)))?;
        let parent = self.workers.models.bundle(&job.owner, &spec.parent);
        let parent = self.unless_stopped(parent).await?.map_err(unusable)?;
        let outcome = match self.train(&spec, parent, recording).await? {
            Some(outcome) => outcome,
            None => return Ok(None),
        };
        match outcome {
            Outcome::Published(bundle) => self.publish(&spec, Arc::new(*bundle)).await.map(Some),
            Outcome::Refused(report) => Ok(Some(Ending::Failed(self.refuse(&report).await))),
            Outcome::Duplicate { of } => Ok(Some(Ending::Failed(problem(
                Code::Duplicate,
                format!("these frames were sent before, as `{of}`"),
                Some("record the gesture anew; a new gesture needs a recording of its own"),
            )))),
        }
    }

    /// Waits for a slow operation, such as the first training of the base model, unless the job is stopped.
    async fn unless_stopped<T>(&self, slow: impl Future<Output = T>) -> Result<T, Ending> {
        tokio::select! {
            done = slow => Ok(done),
            () = self.lease.stop_reason_changed(None) => Err(match self.lease.stop_reason() {
                Some(StopReason::Cancel) => Ending::Cancelled,
                // If the claim was lost, the queue rejects this, which is logged.
                _ => Ending::Released,
            }),
        }
    }

    async fn train(
        &mut self,
        spec: &GestureSpec,
        parent: Arc<Bundle>,
        recording: Recording,
    ) -> Result<Option<Outcome>, Ending> {
        let stop = Arc::new(AtomicBool::new(false));
        let (sender, trained) = watch::channel(Trained { stage: Stage::Comparing, done: 0.0 });
        let mut options = TrainOptions { seed: spec.seed, ..TrainOptions::default() };
        if spec.options.accept_look_alikes {
            options.gate.max_mixed = 1.0;
        }
        let wait = spec.options.test.as_ref().and_then(|test| test.stage_ms).unwrap_or(0);
        let stop_seen = Arc::clone(&stop);
        let mut training = tokio::task::spawn_blocking(move || {
            let cancel = || stop_seen.load(Ordering::Relaxed);
            let begun = std::time::Instant::now();
            while begun.elapsed() < Duration::from_millis(wait.into()) && !cancel() {
                std::thread::sleep(Duration::from_millis(5));
            }
            let progress = |trained| {
                sender.send_replace(trained);
            };
            train_addition(&parent, &recording, &options, &progress, &cancel)
        });
        let begun = Instant::now();
        let mut tick = ticker(TICK);
        let ended = loop {
            tokio::select! {
                ended = &mut training => break ended,
                _ = tick.tick() => {
                    let Trained { stage, done } = trained.borrow().to_owned();
                    let percent = 5.0 + 85.0 * f64::from(done);
                    self.tell(news(name(stage), percent, stage.description())).await;
                    if begun.elapsed() > LONGEST {
                        self.lease.stop(StopReason::TooLong);
                    }
                }
                () = self.lease.stop_reason_changed(self.lease.stop_reason()) => {}
            }
            if self.lease.stop_reason().is_some() {
                stop.store(true, Ordering::Relaxed);
            }
        };
        match (ended, self.lease.stop_reason()) {
            (_, Some(StopReason::Lost)) => Ok(None),
            (Ok(Ok(outcome)), _) => Ok(Some(outcome)),
            (_, Some(StopReason::Cancel)) => Err(Ending::Cancelled),
            (_, Some(StopReason::Shutdown)) => Err(Ending::Released),
            (_, Some(StopReason::TooLong)) => Err(Ending::Failed(problem(
                Code::TimedOut,
                format!("the training took more than {} s and was ended", LONGEST.as_secs()),
                None,
            ))),
            (Ok(Err(error)), None) => Err(Ending::Failed(invalid(&error))),
            (Err(error), None) => {
                tracing::error!(job = %self.claim.job.id, %error, "gesture training panicked");
                Err(Ending::Retry(problem(
                    Code::Crashed,
                    "the training failed because of a fault in the service".into(),
                    None,
                )))
            }
        }
    }

    /// Stores the model and its files, and reports its quality.
    async fn publish(&mut self, spec: &GestureSpec, bundle: Arc<Bundle>) -> Result<Ending, Ending> {
        self.tell(news("save", 92.0, "storing the model")).await;
        let job = &self.claim.job;
        let new = NewModel { id: job.id.clone(), parent: spec.parent.clone(), secret: spec.secret.clone() };
        let lost = |why: String| {
            Ending::Retry(problem(Code::StoreUnavailable, format!("the model cannot be stored: {why}"), None))
        };
        // These copies are deleted with the job; the model itself stays until it is deleted.
        let mut files: Vec<(&str, Vec<u8>)> = vec![(MODEL_FILE, bundle.to_bytes())];
        files.extend(bundle.export().into_iter().map(|file| (file.name, file.bytes)));
        let mut report = Report::default();
        for (name, bytes) in files {
            report.artifacts.push(self.store(name, bytes.into()).await.map_err(lost)?);
        }
        let notes: Vec<String> = spec.left_out.iter().chain(&bundle.report().advice).cloned().collect();
        let remarks: Vec<_> = spec.remark.iter().chain(&bundle.report().remarks).cloned().collect();
        let record = match self.workers.models.keep(&job.owner, new, bundle).await {
            Ok(record) => record,
            Err(error @ (ModelError::Deleted | ModelError::ParentDeleted)) => {
                // They contain frames of the deleted model.
                for artifact in &report.artifacts {
                    if let Err(error) = self.workers.store.delete_file(&job.id, &artifact.path).await {
                        tracing::warn!(job = %job.id, %error, "could not delete a file of a deleted gesture model; it goes with its job");
                    }
                }
                return Err(unusable(error));
            }
            Err(error) => return Err(lost(error.to_string())),
        };
        for artifact in &report.artifacts {
            let url = format!("/v1/jobs/{}/artifacts/{}", job.id, artifact.name);
            let data = json!({ "name": artifact.name, "url": url, "bytes": artifact.bytes });
            report.events.push(event("artifact", 95.0, format!("{} is ready", artifact.name), data));
        }
        report.events.push(event(
            "eval",
            98.0,
            "measured on frames kept aside".into(),
            json!(record.metrics),
        ));
        self.tell(report).await;
        let mut result = result(&record);
        if !notes.is_empty() {
            result["notes"] = json!(notes);
        }
        // Models of earlier versions have notes alone.
        if remarks.len() == notes.len() && !remarks.is_empty() {
            result["remarks"] = json!(remarks);
        }
        Ok(Ending::Succeeded { result })
    }

    /// What the owner sees of a rejected gesture; the full report is a file of the job.
    async fn refuse(&mut self, quality: &Quality) -> JobProblem {
        let mut report = Report::default();
        match self.store(REPORT, serde_json::to_vec_pretty(quality).unwrap_or_default().into()).await {
            Ok(artifact) => report.artifacts.push(artifact),
            Err(why) => {
                tracing::warn!(job = %self.claim.job.id, why, "could not store the report of a rejected gesture")
            }
        }
        let mut data = json!(Figures::of(quality));
        data["confused_with"] = json!(quality.confused_with);
        data["reasons"] = json!(quality.reasons);
        data["advice"] = json!(quality.advice);
        report.events.push(event("eval", 95.0, "not good enough to be published".into(), data));
        self.tell(report).await;
        let advice = quality.advice.join("; ");
        problem(
            Code::Refused,
            quality.reasons.join("; "),
            Some(&advice).filter(|text| !text.is_empty()).map(String::as_str),
        )
        .because(quality.refused_for.iter().cloned())
    }

    async fn store(&self, name: &str, bytes: Bytes) -> Result<Artifact, String> {
        let path = format!("{OUTPUT}/{name}");
        let head = self.workers.store.put_bytes(&self.claim.job.id, &path, bytes).await;
        let content_type =
            if name.ends_with(".json") { "application/json" } else { "application/octet-stream" };
        Ok(Artifact {
            name: name.to_owned(),
            path,
            bytes: head.map_err(|error| error.to_string())?.bytes,
            content_type: content_type.to_owned(),
        })
    }

    /// Sends a report to the queue. Lost progress reports are not retried, unlike the end of the job.
    async fn tell(&mut self, report: Report) {
        let _ = self.lease.report(report).await;
    }
}

/// The result of a gesture job, for its owner.
fn result(record: &ModelRecord) -> Value {
    json!({
        "model_code": record.id, "parent": record.parent, "labels": record.labels, "layout": record.layout,
        "download": record.download(), "metrics": record.metrics,
    })
}

fn name(stage: Stage) -> &'static str {
    match stage {
        Stage::Comparing => "compare",
        Stage::Training => "train",
        Stage::Measuring => "measure",
    }
}

fn news(stage: &str, percent: f64, message: &str) -> Report {
    let progress = Progress { stage: Some(stage.to_owned()), percent, ..Progress::default() };
    let mut progress_event = event("progress", percent, message.to_owned(), Value::Null);
    progress_event.stage = Some(stage.to_owned());
    Report { progress: Some(progress), events: vec![progress_event], ..Report::default() }
}

fn event(kind: &str, percent: f64, message: String, data: Value) -> NewEvent {
    NewEvent { kind: kind.to_owned(), stage: None, percent, message, data }
}

fn invalid(error: &GestureError) -> JobProblem {
    problem(Code::Invalid, error.to_string(), None).because([error.into()])
}

/// The ending if the parent model is not available.
fn unusable(error: ModelError) -> Ending {
    match error {
        ModelError::NotFound | ModelError::ParentDeleted => Ending::Failed(problem(
            Code::NoParent,
            ModelError::ParentDeleted.to_string(),
            Some("start from another model, or from `base_v1`"),
        )),
        ModelError::Deleted => Ending::Failed(problem(
            Code::Deleted,
            error.to_string(),
            Some("send the gesture again if it is wanted after all"),
        )),
        ModelError::Store(error) => Ending::Retry(problem(Code::StoreUnavailable, error.to_string(), None)),
        error => Ending::Failed(problem(Code::Unreadable, error.to_string(), None)),
    }
}
