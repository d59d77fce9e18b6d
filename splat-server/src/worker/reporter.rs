//! Converts a runner's events to what the queue stores: progress in per cent, numbered events, artefacts.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;
use splat_core::Event;
use splat_core::events::Stage;

use super::artifacts;
use crate::job::{Artifact, JobId, NewEvent, Progress};
use crate::queue::Report;

/// Minimum interval between progress reports.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);
/// Maximum points of the loss curve, approximately, for a run of any length.
const LOSS_POINTS: u32 = 500;

/// Collects changes until the queue has accepted them.
#[derive(Debug)]
pub(super) struct Reporter {
    id: JobId,
    folder: PathBuf,
    progress: Progress,
    changed: bool,
    events: Vec<NewEvent>,
    artifacts: Vec<Artifact>,
    /// Files that changed since they were last uploaded, relative to the job's folder.
    dirty: Vec<String>,
    /// Bytes stored for the job, once known.
    bytes: Option<u64>,
    last_progress: Option<Instant>,
    last_step: u32,
}

impl Reporter {
    pub(super) fn new(id: JobId, folder: &Path) -> Self {
        Self {
            id,
            folder: folder.to_path_buf(),
            progress: Progress::default(),
            changed: false,
            events: Vec::new(),
            artifacts: Vec::new(),
            dirty: Vec::new(),
            bytes: None,
            last_progress: None,
            last_step: 0,
        }
    }

    /// The next report to the queue, if anything changed.
    pub(super) fn take(&mut self) -> Option<Report> {
        if !self.changed && self.events.is_empty() && self.artifacts.is_empty() && self.bytes.is_none() {
            return None;
        }
        self.changed = false;
        Some(Report {
            progress: Some(self.progress.clone()),
            events: std::mem::take(&mut self.events),
            artifacts: std::mem::take(&mut self.artifacts),
            bytes: self.bytes.take(),
        })
    }

    /// Puts back a report that the queue did not accept; its content comes first in the next one.
    pub(super) fn put_back(&mut self, mut report: Report) {
        self.changed = true;
        report.events.append(&mut self.events);
        self.events = report.events;
        report.artifacts.append(&mut self.artifacts);
        self.artifacts = report.artifacts;
        self.bytes = self.bytes.or(report.bytes);
    }

    /// Files created or changed since the last call.
    pub(super) fn take_dirty(&mut self) -> Vec<String> {
        std::mem::take(&mut self.dirty)
    }

    /// Sets the bytes stored for the job.
    pub(super) fn set_stored_bytes(&mut self, bytes: u64) {
        self.bytes = Some(bytes);
    }

    /// Adds a file of the job as an artefact.
    pub(super) fn artifact(&mut self, artifact: Artifact) {
        self.artifacts.retain(|other| other.name != artifact.name);
        self.artifacts.push(artifact);
    }

    /// Adds an event.
    pub(super) fn event(&mut self, event: &Event) {
        match event {
            Event::StageStarted { stage } => {
                self.set_stage(*stage, 0.0);
                self.push("stage", stage.title().to_owned(), json!({ "status": "started" }));
            }
            Event::StageProgress { stage, done, total } => {
                let share = total.map_or(0.0, |total| *done as f64 / total.max(1) as f64);
                self.set_stage(*stage, share);
                if self.is_due() {
                    self.push("progress", String::new(), json!({ "done": done, "total": total }));
                }
            }
            Event::StageFinished { stage, elapsed_s, skipped } => {
                self.set_stage(*stage, 1.0);
                let data = json!({ "status": "finished", "elapsed_s": elapsed_s, "skipped": skipped });
                self.push("stage", stage.title().to_owned(), data);
            }
            Event::Warning { message } => self.push("warning", message.clone(), json!(null)),
            Event::Placed(placement) => self.push("placed", placement.to_string(), json!(placement)),
            Event::Estimate { total_s, .. } => {
                self.progress.eta_s = Some(*total_s);
                self.changed = true;
            }
            Event::Step { step, steps, loss, gaussians, steps_per_s, eta_s, .. } => {
                self.set_stage(Stage::Train, f64::from(*step) / f64::from((*steps).max(1)));
                let progress = &mut self.progress;
                (progress.step, progress.steps, progress.eta_s) = (Some(*step), Some(*steps), *eta_s);
                (progress.loss, progress.gaussians) = (Some(*loss), Some(*gaussians));
                let far = step.saturating_sub(self.last_step) >= steps.div_ceil(LOSS_POINTS);
                // The last evaluation is shown with the result of the run.
                if step == steps || far && self.is_due() {
                    self.last_step = *step;
                    let data = json!({ "step": step, "steps": steps, "loss": loss, "gaussians": gaussians, "steps_per_s": steps_per_s, "eta_s": eta_s });
                    self.push("progress", String::new(), data);
                }
            }
            Event::Eval { step, psnr, cc_psnr, ssim, gaussians, .. } => {
                self.progress.psnr = Some(*psnr);
                let data = json!({ "step": step, "psnr": psnr, "cc_psnr": cc_psnr, "ssim": ssim, "gaussians": gaussians });
                self.push("eval", format!("{psnr:.2} dB on held-out photos after {step} steps"), data);
            }
            Event::Saved { path, kind } => self.saved(path, kind),
            _ => {}
        }
    }

    fn saved(&mut self, path: &Path, kind: &str) {
        let path = self.folder.join(path);
        if let Some(relative) = crate::layout::relative(&self.folder, &path) {
            self.dirty.push(relative);
        }
        let Some(artifact) = artifacts::of_saved(&self.folder, &path, kind) else { return };
        let url = format!("/v1/jobs/{}/artifacts/{}", self.id, artifact.name);
        if kind == "preview" {
            let data = json!({ "url": url, "step": self.progress.step, "psnr": self.progress.psnr });
            self.push("preview", String::new(), data);
        } else {
            let data = json!({ "name": artifact.name, "url": url, "bytes": artifact.bytes });
            self.push("artifact", format!("{} is ready", artifact.name), data);
        }
        self.artifact(artifact);
    }

    fn set_stage(&mut self, stage: Stage, share: f64) {
        let percent = percent(stage, share);
        // A second COLMAP run at a higher quality starts over; the displayed progress must not decrease.
        self.progress.percent = percent.max(self.progress.percent);
        if self.progress.stage.as_deref() != Some(name(stage)) {
            self.progress.eta_s = None;
        }
        self.progress.stage = Some(name(stage).to_owned());
        self.changed = true;
    }

    fn push(&mut self, kind: &str, message: String, data: serde_json::Value) {
        self.events.push(NewEvent {
            kind: kind.to_owned(),
            stage: self.progress.stage.clone(),
            percent: self.progress.percent,
            message,
            data,
        });
    }

    fn is_due(&mut self) -> bool {
        let due = self.last_progress.is_none_or(|at| at.elapsed() >= PROGRESS_EVERY);
        if due {
            self.last_progress = Some(Instant::now());
        }
        due
    }
}

/// Stages, their names, and their approximate share of the whole job in per cent, measured on two cores.
const SHARES: [(Stage, &str, f64); 9] = [
    (Stage::Prepare, "prepare", 2.0),
    (Stage::Features, "features", 6.0),
    (Stage::Matching, "matching", 18.0),
    (Stage::Mapping, "mapping", 8.0),
    (Stage::Undistort, "undistort", 3.0),
    (Stage::Load, "load", 1.0),
    (Stage::Train, "train", 57.0),
    (Stage::Save, "save", 1.0),
    (Stage::Evaluate, "evaluate", 4.0),
];

/// The stage's name in progress reports and metrics.
pub(super) fn name(stage: Stage) -> &'static str {
    SHARES.iter().find(|(other, ..)| *other == stage).map_or("other", |(_, name, _)| name)
}

/// Progress over all stages, 0 to 100; 100 only when the job has succeeded.
fn percent(stage: Stage, share: f64) -> f64 {
    let before: f64 =
        SHARES.iter().take_while(|(other, ..)| *other != stage).map(|(.., percent)| percent).sum();
    let own = SHARES.iter().find(|(other, ..)| *other == stage).map_or(0.0, |(.., percent)| *percent);
    let percent = before + own * share.clamp(0.0, 1.0);
    (percent * 10.0).round().min(999.0) / 10.0
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn shares_make_a_whole_and_rise() {
        let total: f64 = SHARES.iter().map(|(.., percent)| percent).sum();
        assert!((total - 100.0).abs() < 1e-9, "{total}");
        let marks: Vec<f64> = SHARES.iter().map(|(stage, ..)| percent(*stage, 0.5)).collect();
        assert!(marks.windows(2).all(|pair| pair[0] < pair[1]), "{marks:?}");
        assert!(percent(Stage::Evaluate, 1.0) < 100.0);
    }

    #[test]
    fn percent_never_runs_backwards_and_news_are_kept() {
        let mut reporter = Reporter::new(JobId::random(), Path::new("/jobs/x"));
        reporter.event(&Event::StageStarted { stage: Stage::Mapping });
        let at = reporter.progress.percent;
        reporter.event(&Event::StageStarted { stage: Stage::Features });
        assert_eq!(reporter.progress.percent.to_bits(), at.to_bits());
        reporter.event(&Event::Warning { message: "`images/0001.jpg` is dark".into() });
        let first = reporter.take().unwrap();
        assert_eq!(first.events.last().unwrap().message, "`images/0001.jpg` is dark");
        assert!(reporter.take().is_none());
        reporter.event(&Event::StageStarted { stage: Stage::Train });
        reporter.put_back(first.clone());
        let both = reporter.take().unwrap();
        assert_eq!(both.events[..3], first.events[..]);
        assert_eq!(both.events.len(), 4);
    }

    #[test]
    fn long_runs_give_few_points() {
        let mut reporter = Reporter::new(JobId::random(), Path::new("/jobs/x"));
        for step in 1..=30_000 {
            let event = Event::Step {
                step,
                steps: 30_000,
                loss: 0.1,
                gaussians: 5,
                steps_per_s: 1.0,
                elapsed_s: 1.0,
                eta_s: Some(1.0),
            };
            reporter.last_progress = None;
            reporter.event(&event);
        }
        assert!((400..=500).contains(&reporter.events.len()), "{}", reporter.events.len());
    }
}
