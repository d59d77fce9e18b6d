//! The way from photos or a posed dataset to a scene, for the command line and for services alike.
//!
//! | stage | takes | gives |
//! | --- | --- | --- |
//! | [`Pipeline::load`] | a [`SceneSource`]: photos that COLMAP poses first, or a posed dataset | [`Loaded`] |
//! | [`Pipeline::train`] | [`Loaded`], a [`Gpu`] | [`Trained`] |
//! | [`Pipeline::finish`] | [`Trained`] | files and an [`Outcome`] |
//!
//! Start at [`Pipeline::run`], which is the three in a row. What happens is told through [`Event`]s and written to
//! `log.txt`; a [`CancelToken`] stops a run at its next safe point, with a checkpoint and the scene so far.
//! Where files go is in [`OutputFolder`].

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

/// What a run is to do.
#[derive(Clone, Debug, Default)]
pub struct PipelineOptions {
    /// How Gaussians are trained. On resuming, the checkpoint's settings hold instead.
    pub train: TrainConfig,
    /// Stop after this many steps, with the schedules of all of them.
    pub stop_at: Option<u32>,
    /// Train so many steps that the scene is written and measured by then, instead of `train.steps`; the plan follows the
    /// machine's speed, so that two runs need not have equally many.
    pub deadline: Option<Instant>,
    /// Which photos, and at what size.
    pub dataset: DatasetOptions,
    /// The preset the settings come from, for advice about faster ones.
    pub preset: Preset,
    /// Measure the held-out photos every so many steps; they are always measured at the end.
    pub eval_every: Option<u32>,
    /// Write a checkpoint every so many steps; without it, every `checkpoint_interval`.
    pub checkpoint_every: Option<u32>,
    /// Write a checkpoint after so much training; by default ten minutes.
    pub checkpoint_interval: Option<Duration>,
    /// Draw a view of the scene ([`OutputFolder::preview`]) after so much training; by default never.
    pub preview_interval: Option<Duration>,
    /// Go on from the newest readable checkpoint in the output folder, if there is one.
    pub resume: bool,
    /// On resuming, train on to so many steps where the checkpoint's run had fewer: what was asked for on purpose, not a
    /// preset's number.
    pub extend_to: Option<u32>,
    /// A scene file whose Gaussians a new run starts with instead of the dataset's points; in the dataset's world coordinates.
    pub init: Option<PathBuf>,
    /// Forms in which the finished scene is written beside its PLY.
    pub also: Vec<Format>,
    /// Where the dataset lies, to be noted in the output folder for `splat eval`; `None` for [`OutputFolder::colmap_data`].
    pub dataset_place: Option<DatasetPlace>,
}

/// One run: options, an output folder, and where its events go.
pub struct Pipeline<'a> {
    options: PipelineOptions,
    output: OutputFolder,
    log: RunLog,
    /// Held as long as anything of this run may be written.
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
    /// Takes the output folder for this process alone and opens its log.
    ///
    /// # Errors
    /// [`crate::Error::Busy`] while another run writes there;
    /// [`crate::Error::Write`] when the folder cannot be made or written to.
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

    /// Draws pictures for who looks at the scene while it trains, in a few hundredths of the time.
    #[must_use]
    pub fn shown_to(self, viewer: &'a dyn Viewer) -> Self {
        Self { viewer: Some(viewer), ..self }
    }

    /// Where this run's files go.
    #[must_use]
    pub fn output(&self) -> &OutputFolder {
        &self.output
    }

    /// All stages in a row.
    ///
    /// # Errors
    /// What the first failing stage says; files of finished stages stay. Cancelled during training, a run ends well with
    /// [`StopReason::Cancelled`]; before that, with [`crate::Error::Cancelled`].
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

    /// Makes or reads the posed dataset.
    ///
    /// # Errors
    /// The source's own, or what is wrong with its photos.
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

    /// Tells the caller and the log.
    fn emit(&self, event: Event) {
        self.log.event(&event);
        (self.events)(event);
    }

    fn warn(&self, message: String) {
        self.emit(Event::Warning { message });
    }

    /// Runs `work` between its stage's first and last event.
    fn stage<T>(&self, stage: Stage, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.emit(Event::StageStarted { stage });
        let started = Instant::now();
        let done = work()?;
        self.emit(Event::StageFinished { stage, elapsed_s: started.elapsed().as_secs_f64(), skipped: false });
        Ok(done)
    }
}
