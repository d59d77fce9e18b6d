//! The pipeline from photos or a posed dataset to a scene, for the command line and services.
//!
//! | stage | input | output |
//! | --- | --- | --- |
//! | [`Pipeline::load`] | a [`SceneSource`]: photos that COLMAP poses first, or a posed dataset | [`Loaded`] |
//! | [`Pipeline::train`] | [`Loaded`], a [`Gpu`] | [`Trained`] |
//! | [`Pipeline::finish`] | [`Trained`] | files and an [`Outcome`] |
//!
//! Start at [`Pipeline::run`], which runs all three. Progress is reported by [`Event`]s and written to `log.txt`; a
//! [`CancelToken`] stops a run at its next safe point, with a checkpoint and the current scene. [`OutputFolder`] documents the
//! files.

mod advice;
mod begin;
mod budget;
mod clock;
mod evaluate;
mod finish;
mod log;
mod look;
pub mod memory;
mod older;
mod outcome;
mod output;
mod pictures;
mod preset;
mod preview;
mod saved;
mod train;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use evaluate::{EvaluateOptions, evaluate_cloud};
pub use look::{Around, Look, PICTURE_SIDES, Picture, Viewer};
pub use outcome::{EvalPoint, Outcome, StopReason};
pub use output::{OutputFolder, checkpoint_step};
pub use pictures::save_png;
pub use preset::Preset;
pub use saved::{DatasetPlace, SavedScene};
pub use train::Trained;

use crate::dataset::{Dataset, DatasetOptions};
use crate::events::{EventSink, Stage};
use crate::folder_lock::FolderLock;
use crate::formats::Format;
use crate::gpu::Gpu;
use crate::train::TrainConfig;
use crate::{CancelToken, Event, Result, SceneSource};
use log::RunLog;

/// Options of a run.
#[derive(Clone, Debug, Default)]
pub struct PipelineOptions {
    /// Training settings. A resumed run uses the checkpoint's settings instead.
    pub train: TrainConfig,
    /// Stop after this many steps, without changing the schedules.
    pub stop_at: Option<u32>,
    /// Deadline for writing and evaluating the scene, which replaces `train.steps`. The number of steps is adapted to the
    /// machine's speed, so two runs may differ.
    pub deadline: Option<Instant>,
    /// Size, split and memory of the photos.
    pub dataset: DatasetOptions,
    /// The preset the settings come from, for advice about faster ones.
    pub preset: Preset,
    /// Evaluate the held-out photos at this interval of steps; they are always evaluated at the end.
    pub eval_every: Option<u32>,
    /// Write a checkpoint at this interval of steps; `None`: by `checkpoint_interval`.
    pub checkpoint_every: Option<u32>,
    /// Write a checkpoint after this much training; default ten minutes.
    pub checkpoint_interval: Option<Duration>,
    /// Render a preview ([`OutputFolder::preview`]) after this much training; default never.
    pub preview_interval: Option<Duration>,
    /// Resume from the latest readable checkpoint in the output folder, if there is one.
    pub resume: bool,
    /// When resuming, extend the run to this many steps if the checkpoint's run has fewer: a number requested explicitly, not by
    /// a preset.
    pub extend_to: Option<u32>,
    /// Scene file with the initial Gaussians of a new run, instead of the dataset's points; in the dataset's world coordinates.
    pub init: Option<PathBuf>,
    /// Further formats in which the scene is written beside its PLY.
    pub also: Vec<Format>,
    /// Location of the dataset, recorded in the output folder for `splat eval`; `None` for [`OutputFolder::colmap_data`].
    pub dataset_place: Option<DatasetPlace>,
}

/// A run: options, output folder, and receiver of events.
pub struct Pipeline<'a> {
    options: PipelineOptions,
    output: OutputFolder,
    log: RunLog,
    /// Held as long as this run may write files.
    _lock: FolderLock,
    events: EventSink<'a>,
    cancel: &'a CancelToken,
    viewer: Option<&'a dyn Viewer>,
}

/// A posed dataset, ready to train on.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Photos, cameras and points.
    pub dataset: Arc<Dataset>,
}

impl std::fmt::Debug for Pipeline<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipeline")
            .field("options", &self.options)
            .field("output", &self.output)
            .finish_non_exhaustive()
    }
}

impl<'a> Pipeline<'a> {
    /// Locks the output folder for this process and opens its log.
    ///
    /// # Errors
    /// [`crate::Error::Busy`] while another run uses the folder; [`crate::Error::Write`] if it cannot be created or written.
    pub fn new(
        options: PipelineOptions,
        output: OutputFolder,
        events: EventSink<'a>,
        cancel: &'a CancelToken,
    ) -> Result<Self> {
        let lock = FolderLock::take(output.root())?;
        let log = RunLog::open(&output.log())?;
        log.line(&format!("splat {}", env!("CARGO_PKG_VERSION")));
        Ok(Self { options, output, log, _lock: lock, events, cancel, viewer: None })
    }

    /// Renders live views for `viewer`, within a few per cent of the time.
    #[must_use]
    pub fn shown_to(self, viewer: &'a dyn Viewer) -> Self {
        Self { viewer: Some(viewer), ..self }
    }

    /// The folder of this run's files.
    #[must_use]
    pub fn output(&self) -> &OutputFolder {
        &self.output
    }

    /// Runs all stages.
    ///
    /// # Errors
    /// The error of the first failing stage; files of finished stages stay. A run cancelled during training succeeds with
    /// [`StopReason::Cancelled`]; one cancelled before that fails with [`crate::Error::Cancelled`].
    pub fn run(&self, source: &mut dyn SceneSource, gpu: &Gpu) -> Result<Outcome> {
        let result = self
            .load(source)
            .and_then(|loaded| self.train(&loaded, gpu))
            .and_then(|trained| self.finish(trained));
        if let Err(error) = &result {
            self.log.line(&format!("failed: {error}"));
        }
        if let Some(failure) = self.log.failure() {
            self.warn(format!("log.txt is incomplete: {failure}"));
        }
        result
    }

    /// Reads the posed dataset, which the source may have to compute first.
    ///
    /// # Errors
    /// Errors of the source, and of its photos.
    pub fn load(&self, source: &mut dyn SceneSource) -> Result<Loaded> {
        let emit = |event| self.emit(event);
        let scene = source.scene(&emit, self.cancel)?;
        let dataset = Dataset::open(scene, &self.options.dataset, &emit)?;
        let dataset = dataset.without_damaged_photos(&emit, self.cancel)?;
        self.log.line(&format!(
            "{} photos to train on, {} held out, {} points",
            dataset.train.len(),
            dataset.held_out.len(),
            dataset.scene.points.len()
        ));
        Ok(Loaded { dataset: Arc::new(dataset) })
    }

    /// Emits an event and logs it.
    fn emit(&self, event: Event) {
        self.log.event(&event);
        (self.events)(event);
    }

    fn warn(&self, message: String) {
        self.emit(Event::Warning { message });
    }

    /// Runs `work` between the stage's start and end events.
    fn stage<T>(&self, stage: Stage, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.emit(Event::StageStarted { stage });
        let started = Instant::now();
        let done = work()?;
        self.emit(Event::StageFinished { stage, elapsed_s: started.elapsed().as_secs_f64(), skipped: false });
        Ok(done)
    }
}
