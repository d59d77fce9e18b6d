//! The training stage: steps, evaluation, checkpoints, and graceful stops.

use std::path::Path;
use std::time::{Duration, Instant};

use super::advice::{Due, Timing, Work, long_run};
use super::budget::Budget;
use super::clock::{Speed, TrainClock};
use super::look::LookClock;
use super::preview::PreviewClock;
use super::{EvalPoint, Loaded, Pipeline, StopReason, checkpoint_step, memory};
use crate::events::Stage;
use crate::files::write_atomically;
use crate::gpu::Gpu;
use crate::train::{EvalReport, Trainer};
use crate::{Error, Event, Result};

/// Minimum interval between step events.
const STEP_EVENT_EVERY: Duration = Duration::from_millis(250);
/// Default interval between checkpoints.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(600);
/// Result of training; [`Pipeline::finish`] writes it to files.
#[derive(Debug)]
pub struct Trained {
    pub(super) trainer: Trainer,
    pub(super) adapter: String,
    pub(super) stopped: Option<StopReason>,
    pub(super) progress: Progress,
    /// Evaluation of the last step, if one was due then.
    pub(super) last_eval: Option<EvalReport>,
    pub(super) predicted_bytes: u64,
}

/// Metrics of the run so far, stored beside a checkpoint for a resumed run.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Progress {
    /// Id of the run that wrote it, see [`super::OutputFolder::run_id`]; empty in files from before there were ids.
    #[serde(default)]
    pub(super) run: String,
    /// Seconds of training, without evaluation.
    pub(super) elapsed_s: f64,
    pub(super) history: Vec<EvalPoint>,
}

/// State of the training loop.
struct Training {
    id: String,
    trainer: Trainer,
    clock: TrainClock,
    history: Vec<EvalPoint>,
    /// Work done since this process started training.
    work: f64,
    gaussians: u32,
    last_checkpoint: Option<u32>,
    /// Model of the work of steps of different sizes.
    unit: Work,
}

impl Pipeline<'_> {
    /// Trains, or resumes from a checkpoint, until the last step, `stop_at` or cancellation.
    ///
    /// # Errors
    /// Errors of the trainer. If the GPU fails, checkpoints written before stay usable.
    pub fn train(&self, loaded: &Loaded, gpu: &Gpu) -> Result<Trained> {
        self.emit(Event::StageStarted { stage: Stage::Train });
        let dataset = &loaded.dataset;
        let (trainer, progress) = self.trainer(gpu, dataset)?;
        let config = trainer.config().clone();
        self.log.line(&format!("adapter: {:?}", gpu.report()));
        self.log.line(&format!("settings: {}", serde_json::to_string(&config).unwrap_or_default()));
        let cap = trainer.gaussian_cap();
        let predicted_bytes =
            memory::predict_run(trainer.peak_photo_bytes(), &trainer.workload()?, cap).total();
        let mut run = Training {
            id: progress.run,
            gaussians: trainer.gaussian_count(),
            last_checkpoint: (trainer.steps_done() > 0).then_some(trainer.steps_done()),
            trainer,
            clock: TrainClock::start(progress.elapsed_s),
            history: progress.history,
            work: 0.0,
            unit: Work::default(),
        };
        let trained = self.steps(&mut run, predicted_bytes, &gpu.report().name);
        let last_eval = trained.inspect_err(|error| self.after_failure(error, run.last_checkpoint))?;
        let stopped = match run.trainer.steps_done() {
            done if done >= run.trainer.config().steps => None,
            done if done >= self.target(&run) => Some(StopReason::StopAt),
            _ => Some(StopReason::Cancelled),
        };
        self.emit(Event::StageFinished {
            stage: Stage::Train,
            elapsed_s: run.clock.elapsed_s(),
            skipped: false,
        });
        Ok(Trained {
            progress: Progress { run: run.id, elapsed_s: run.clock.elapsed_s(), history: run.history },
            trainer: run.trainer,
            adapter: gpu.report().name.clone(),
            stopped,
            last_eval,
            predicted_bytes,
        })
    }

    /// The step to train up to, according to the current plan.
    fn target(&self, run: &Training) -> u32 {
        let steps = run.trainer.config().steps;
        self.options.stop_at.map_or(steps, |stop| stop.min(steps))
    }

    /// Runs the remaining steps. Returns the evaluation of the last step, if one was due then.
    fn steps(&self, run: &mut Training, predicted: u64, adapter: &str) -> Result<Option<EvalReport>> {
        let mut config = run.trainer.config().clone();
        let mut target = self.target(run);
        let held_out = run.trainer.dataset().held_out.len();
        let mut budget = self.options.deadline.map(|deadline| Budget::new(deadline, held_out));
        let first = run.trainer.steps_done();
        let mut timing = Timing::default();
        let mut last_event: Option<Instant> = None;
        let mut checkpointed = run.clock.elapsed();
        let mut preview = PreviewClock::new(self.options.preview_interval);
        let mut looks = LookClock::new();
        let mut last_eval = None;
        // Whether the speed is known; the first steps include the compilation of kernels.
        let mut timed = false;
        while run.trainer.steps_done() < target && !self.cancel.is_cancelled() {
            let report = run.trainer.step()?;
            run.work += run.unit.of_step(&config, report.step - 1);
            run.gaussians = report.gaussians;
            let size = config.downscale_at(report.step - 1);
            let due = timing.step(report.step - first, size);
            if due != Due::Nothing {
                // Steps are queued ahead on the GPU, so time is measured only when the queue is empty.
                run.trainer.flush()?;
            }
            run.clock.mark(report.step, run.work);
            let measured = if due == Due::Round { timing.round(run.clock.speed()) } else { None };
            if let Some(speed) = measured {
                run.unit = timing.size_timed(speed);
                timed = true;
            }
            if let Some(budget) = budget.as_mut().filter(|_| timed && report.step < target)
                && let Some(speed) = measured.or_else(|| run.clock.speed())
                // For one image size: the clock is reset at a new size. Work recorded before this size was timed is in other
                // units.
                && let work_per_s = speed.steps_per_s * run.unit.of_step(&config, report.step - 1)
                && let Some(steps) = budget.plan(&config, run.unit, report.step, work_per_s)
            {
                run.trainer.replan(steps)?;
                config = run.trainer.config().clone();
                target = self.target(run);
            }
            if let Some(speed) = measured
                && !timing.is_too_early(&config, report.step, target, speed)
            {
                self.estimate(run, &mut timing, speed, target, predicted, adapter);
            }
            if due != Due::Nothing {
                run.clock.forget();
                run.clock.mark(report.step, run.work);
            }
            if report.step == target {
                run.trainer.flush()?;
            }
            // The loss arrives a few steps late; before the first one there is nothing to report.
            let due = last_event.is_none_or(|at| at.elapsed() >= STEP_EVENT_EVERY) || report.step == target;
            if due && run.trainer.latest_loss().is_finite() {
                last_event = Some(Instant::now());
                self.tell_step(run, &timing, report.step, target);
            }
            last_eval = None;
            if self.options.eval_every.is_some_and(|every| report.step.is_multiple_of(every)) {
                last_eval = self.evaluate(run)?;
            }
            let due = match self.options.checkpoint_every {
                Some(every) => report.step.is_multiple_of(every),
                None => {
                    let interval = self.options.checkpoint_interval.unwrap_or(CHECKPOINT_EVERY);
                    run.clock.elapsed().saturating_sub(checkpointed) >= interval
                }
            };
            if due {
                self.checkpoint(run)?;
                checkpointed = run.clock.elapsed();
            }
            if preview.is_due() {
                // Steps in flight are not part of the preview's cost.
                run.trainer.flush()?;
                preview.begins();
                self.preview(&mut run.trainer)?;
                preview.drawn();
            }
            self.look(&mut looks, &mut run.trainer)?;
        }
        run.trainer.flush()?;
        if run.last_checkpoint != Some(run.trainer.steps_done()) && run.trainer.steps_done() > 0 {
            self.checkpoint(run)?;
        }
        Ok(last_eval)
    }

    /// Emits the estimate of the run's duration, from the steps timed so far.
    fn estimate(
        &self,
        run: &Training,
        timing: &mut Timing,
        speed: Speed,
        target: u32,
        predicted_bytes: u64,
        adapter: &str,
    ) {
        let config = run.trainer.config();
        timing.estimated = true;
        let done = run.trainer.steps_done();
        let steps_per_s = speed.steps_per_s;
        let work_per_s = steps_per_s * run.unit.of_step(config, done.saturating_sub(1));
        let left = run.unit.between(config, done, target);
        let total_s = run.clock.elapsed_s() + left / work_per_s;
        let steps_per_s = f64::from(target) / total_s;
        self.emit(Event::Estimate { steps_per_s, total_s, predicted_bytes });
        if let Some(message) = long_run(total_s, target, self.options.preset, adapter)
            && !timing.warned
        {
            timing.warned = true;
            self.warn(message);
        }
    }

    fn tell_step(&self, run: &Training, timing: &Timing, step: u32, target: u32) {
        let loss = run.trainer.latest_loss();
        let elapsed_s = run.clock.elapsed_s();
        let Speed { steps_per_s, work_per_s } =
            run.clock.speed().unwrap_or(Speed { steps_per_s: 0.0, work_per_s: 0.0 });
        let left = run.unit.between(run.trainer.config(), step, target);
        let known = timing.estimated && work_per_s > 0.0;
        let eta_s = if left == 0.0 { Some(0.0) } else { known.then(|| left / work_per_s) };
        self.emit(Event::Step {
            step,
            steps: target,
            loss,
            gaussians: run.gaussians,
            steps_per_s,
            elapsed_s,
            eta_s,
        });
    }

    /// Evaluates the held-out photos with the clock paused. `None` if there are none.
    fn evaluate(&self, run: &mut Training) -> Result<Option<EvalReport>> {
        run.trainer.flush()?;
        let elapsed_s = run.clock.elapsed_s();
        let trainer = &mut run.trainer;
        let measured = run.clock.paused(|| self.measure(trainer));
        let Some(report) = self.unless_a_photo_failed(measured)? else { return Ok(None) };
        let point = EvalPoint {
            step: run.trainer.steps_done(),
            psnr: report.psnr,
            cc_psnr: report.cc_psnr,
            ssim: report.ssim,
            elapsed_s,
            gaussians: run.gaussians,
        };
        self.note_eval(&mut run.history, point);
        Ok(Some(report))
    }

    /// Returns the default, with a warning, if a photo can no longer be read or is completely transparent: that must not fail the
    /// run.
    pub(super) fn unless_a_photo_failed<T: Default>(&self, measured: Result<T>) -> Result<T> {
        match measured {
            Err(error @ (Error::View { .. } | Error::ImageSize { .. })) => {
                let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
                self.warn(format!(
                    "the held-out photos are not measured: {error}{}",
                    cause.unwrap_or_default()
                ));
                Ok(T::default())
            }
            other => other,
        }
    }

    /// Evaluates the held-out photos. `None` if there are none.
    pub(super) fn measure(&self, trainer: &mut Trainer) -> Result<Option<EvalReport>> {
        if trainer.dataset().held_out.is_empty() { Ok(None) } else { trainer.evaluate().map(Some) }
    }

    pub(super) fn note_eval(&self, history: &mut Vec<EvalPoint>, point: EvalPoint) {
        history.push(point);
        let EvalPoint { step, psnr, cc_psnr, ssim, elapsed_s, gaussians } = point;
        self.emit(Event::Eval { step, psnr, cc_psnr, ssim, elapsed_s, gaussians });
    }

    fn checkpoint(&self, run: &mut Training) -> Result<()> {
        run.trainer.flush()?;
        let step = run.trainer.steps_done();
        let path = self.output.checkpoint(step);
        crate::files::make_parent(&path)?;
        run.trainer.save_checkpoint(&path)?;
        let progress =
            Progress { run: run.id.clone(), elapsed_s: run.clock.elapsed_s(), history: run.history.clone() };
        write_progress(&path, &progress)?;
        run.last_checkpoint = Some(step);
        self.output.prune_checkpoints(&self.own_checkpoints()?);
        self.emit(Event::Saved { path, kind: "checkpoint".into() });
        Ok(())
    }

    /// Reports which checkpoint is left after a failure of the GPU or the disk.
    fn after_failure(&self, error: &Error, last_checkpoint: Option<u32>) {
        self.log.line(&format!("training stopped: {error}"));
        if let Some(step) = last_checkpoint {
            let path = self.output.checkpoint(step);
            self.warn(format!("training stopped; `{}` is good to go on from", path.display()));
        }
    }
}

/// Writes the metrics file beside a checkpoint.
pub(super) fn write_progress(checkpoint: &Path, progress: &Progress) -> Result<()> {
    write_atomically(&progress_path(checkpoint), |out| {
        serde_json::to_writer(out, progress).map_err(std::io::Error::from)
    })
}

/// Path of the metrics file beside a checkpoint.
pub(super) fn progress_path(checkpoint: &Path) -> std::path::PathBuf {
    debug_assert!(checkpoint_step(checkpoint).is_some(), "`{}` is no checkpoint", checkpoint.display());
    checkpoint.with_extension("json")
}

/// Metrics of the run so far; if the file is missing, they start anew.
pub(super) fn read_progress(path: &Path) -> Progress {
    std::fs::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}
