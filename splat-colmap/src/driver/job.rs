//! One run through the stages.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use splat_core::events::{EventSink, Stage};
use splat_core::{CancelToken, Event};

use super::binary::{Colmap, Command};
use super::options::{ColmapOptions, ColmapQuality, Matcher};
use super::prepare::{self, Photos};
use super::process::{Ended, Run, run};
use super::progress::Progress;
use super::stages::{self, Paths};
use super::state::{Raised, State, fingerprint};
use super::{downscale, pairs};
use crate::error::{ColmapError, Result, write_error};
use crate::read::{ModelChoice, ModelForm, find_best_model, read_model};
use crate::write::write_model;

/// Of a failed stage, this many of its last lines are told.
const TAIL_LINES: usize = 5;
/// What the mapper says, in all releases, when it found no model, and when no pair matched at all.
/// It says so on stderr, which may be read before the last lines of stdout: every line is looked at, not the tail.
const NO_MODEL: [&str; 2] = ["failed to create sparse model", "No images with matches"];
/// The quality that is tried where a lower one places too few photos, for sets that it costs minutes.
const RAISED_QUALITY: ColmapQuality = ColmapQuality::High;
const RAISED_MAX_PHOTOS: u64 = 30;
/// Turning on the spot gives poses without any depth: a handful of points that are all wrong.
const MIN_POINTS: usize = 20;
/// Below this part of the photos the user is warned.
const GOOD_REGISTERED_PERCENT: u64 = 60;

/// The folders, the program and the listeners of one run.
pub(super) struct Job<'a> {
    input: &'a Path,
    out: &'a Path,
    work: PathBuf,
    options: ColmapOptions,
    colmap: Colmap,
    use_gpu: bool,
    events: EventSink<'a>,
    cancel: &'a CancelToken,
    state: State,
    log: File,
    /// What all stages so far were made from.
    key: String,
    /// Whether the command that ran last said that these photos give no model.
    found_no_model: bool,
}

impl<'a> Job<'a> {
    pub(super) fn new(
        input: &'a Path,
        out: &'a Path,
        options: &'a ColmapOptions,
        colmap: Colmap,
        events: EventSink<'a>,
        cancel: &'a CancelToken,
    ) -> Result<Self> {
        let work = out.join(super::WORK);
        let state = State::load(&work.join(super::STATE));
        prepare::check_output(input, out, state.wrote_output)?;
        splat_core::files::make_dir(&work)?;
        let log_path = work.join("colmap.log");
        let log = OpenOptions::new().create(true).append(true).open(&log_path);
        let log = log.map_err(|error| write_error(&log_path, error))?;
        let key = format!("{} ", colmap.version());
        let use_gpu = options.use_gpu && colmap.has_cuda();
        let options = options.clone();
        let found_no_model = false;
        Ok(Self {
            input,
            out,
            work,
            options,
            colmap,
            use_gpu,
            events,
            cancel,
            state,
            log,
            key,
            found_no_model,
        })
    }

    pub(super) fn run(mut self) -> Result<()> {
        let photos = self.prepare()?;
        let prepared = self.key.clone();
        // An earlier run may have found that the quality asked for places too few of these photos.
        let asked = self.options.quality;
        let raised = self
            .state
            .raised
            .clone()
            .filter(|raised| self.options.resume && raised.matches(&prepared, asked));
        self.options.quality = raised.map_or(asked, |raised| raised.to);
        let total = photos.count() as u64;
        let mut choice = self.pose(&photos)?;
        if !is_good(&choice, total) && self.may_raise(total) {
            let registered = choice.map_or(0, |choice| choice.registered);
            let message = format!(
                "COLMAP placed only {registered} of {total} photos at {} quality; {} is tried",
                asked.name(),
                RAISED_QUALITY.name()
            );
            (self.events)(Event::Warning { message });
            self.options.quality = RAISED_QUALITY;
            self.state.raised = Some(Raised { photos: prepared.clone(), from: asked, to: RAISED_QUALITY });
            self.key = prepared;
            choice = self.pose(&photos)?;
        }
        let model = self.accept(choice, total)?;
        self.undistort(&model)
    }

    fn pose(&mut self, photos: &Photos) -> Result<Option<ModelChoice>> {
        self.features(photos)?;
        self.matching(photos)?;
        self.mapping(photos.count() as u64)
    }

    fn may_raise(&self, photos: u64) -> bool {
        let higher = self.options.quality < RAISED_QUALITY;
        self.options.raise_quality && higher && photos <= RAISED_MAX_PHOTOS
    }

    /// Does a stage unless an earlier run did it from the same things and `made` is still there.
    fn stage(
        &mut self,
        stage: Stage,
        key: &str,
        made: impl Fn() -> bool,
        work: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        self.cancel.check()?;
        let started = Instant::now();
        (self.events)(Event::StageStarted { stage });
        self.key = fingerprint(&format!("{} {key}", self.key));
        let skipped = self.options.resume && self.state.is_finished(&stage_name(stage), &self.key) && made();
        if !skipped {
            let undone: Vec<String> = stages_from(stage).into_iter().map(stage_name).collect();
            self.state.forget(&undone)?;
            work(self)?;
            self.state.finish(&stage_name(stage), self.key.clone())?;
        }
        (self.events)(Event::StageFinished { stage, elapsed_s: started.elapsed().as_secs_f64(), skipped });
        Ok(())
    }

    fn prepare(&mut self) -> Result<Photos> {
        let sources = prepare::list(self.input, self.out)?;
        let dir = self.photos_dir();
        let known = self.state.photos.clone();
        let made = || {
            known.as_ref().is_some_and(|photos| photos.names().iter().all(|name| dir.join(name).is_file()))
        };
        self.stage(Stage::Prepare, &prepare::key(&sources), made, |job| {
            let photos = prepare::prepare(job.input, &sources, &job.photos_dir(), job.events, job.cancel)?;
            for (name, why) in &photos.skipped {
                job.log(&format!("skipped `{name}`: {why}"));
            }
            job.state.photos = Some(photos);
            Ok(())
        })?;
        let photos = self.state.photos.clone().unwrap_or_default();
        // Said again on every run: the scene lacks them every time.
        if let Some(message) = photos.skipped_warning() {
            (self.events)(Event::Warning { message });
        }
        Ok(photos)
    }

    fn features(&mut self, photos: &Photos) -> Result<()> {
        let key = format!("{:?} {:?} {}", self.options.quality, self.options.camera_model, self.use_gpu);
        let database = self.database();
        // Features of the same database are matched anew only by clearing it; extracting is quick.
        let matcher = pairs::resolve(self.options.matcher, &photos.names(), photos.cameras.len());
        self.stage(
            Stage::Features,
            &format!("{key} {matcher:?}"),
            || database.is_file(),
            |job| {
                job.with_gpu_or_without(|job| {
                    prepare::remove_database(&job.database())?;
                    let mut done = 0;
                    for (mode, names) in stages::camera_lists(photos) {
                        let list = job.work.join("photos.txt");
                        fs::write(&list, names.join("\n") + "\n")
                            .map_err(|error| write_error(&list, error))?;
                        let command = job.with_paths(|colmap, options, paths| {
                            stages::features(colmap, options, paths, &list, mode, names.len())
                        })?;
                        job.colmap(Stage::Features, &command, done, Some(photos.count() as u64))?;
                        done += names.len() as u64;
                    }
                    Ok(())
                })
            },
        )
    }

    fn matching(&mut self, photos: &Photos) -> Result<()> {
        let names = photos.names();
        let matcher = pairs::resolve(self.options.matcher, &names, photos.cameras.len());
        let database = self.database();
        self.stage(
            Stage::Matching,
            &format!("{matcher:?}"),
            || database.is_file(),
            |job| {
                job.with_gpu_or_without(|job| {
                    if matcher == Matcher::Exhaustive {
                        let command = job.with_paths(stages::match_all)?;
                        return job.colmap(Stage::Matching, &command, 0, None);
                    }
                    let command = job.with_paths(stages::match_sequence)?;
                    job.colmap(Stage::Matching, &command, 0, None)?;
                    let list = job.work.join("pairs.txt");
                    fs::write(&list, pairs::loop_pairs(&names)).map_err(|error| write_error(&list, error))?;
                    let command = job.with_paths(|colmap, options, paths| {
                        stages::match_pairs(colmap, options, paths, &list)
                    })?;
                    job.colmap(Stage::Matching, &command, names.len() as u64, None)
                })
            },
        )
    }

    /// The best model, or `None` where no photos connect.
    fn mapping(&mut self, total: u64) -> Result<Option<ModelChoice>> {
        let sparse = self.work.join("sparse");
        // An empty folder is a result, too: these photos do not connect.
        let made = || sparse.is_dir();
        self.stage(Stage::Mapping, "", made, |job| {
            prepare::remove_dir(&sparse)?;
            splat_core::files::make_dir(&sparse)?;
            let command = job.with_paths(|colmap, _, paths| stages::mapping(colmap, paths))?;
            match job.colmap(Stage::Mapping, &command, 0, Some(total)) {
                // Without a model the mapper ends with a failure status. That is the photos' fault.
                Err(ColmapError::StageFailed { .. }) if job.found_no_model => Ok(()),
                result => result,
            }
        })?;
        match find_best_model(&sparse) {
            Ok(choice) => Ok(Some(choice)),
            Err(ColmapError::NoModel { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The folder of the model, with a warning if it holds few of the photos.
    fn accept(&self, choice: Option<ModelChoice>, photos: u64) -> Result<PathBuf> {
        let good = is_good(&choice, photos);
        let refuse =
            |registered| Err(ColmapError::NoReconstruction { registered, photos, log: self.log_path() });
        let Some(ModelChoice { dir, registered, others }) = choice else { return refuse(0) };
        if registered < prepare::MIN_PHOTOS as u64 || read_model(&dir)?.points.len() < MIN_POINTS {
            return refuse(registered);
        }
        if !good {
            let others: Vec<String> = others.iter().map(u64::to_string).collect();
            let others = match others.len() {
                0 => String::new(),
                _ => format!(" (further groups that do not connect with them: {})", others.join(", ")),
            };
            let message = format!(
                "COLMAP placed only {registered} of {photos} photos{others}; the scene shows what these see. \
                 Photos of one place that overlap by 60 % or more connect better, as does a higher COLMAP quality"
            );
            (self.events)(Event::Warning { message });
        }
        Ok(dir)
    }

    fn undistort(&mut self, model: &Path) -> Result<()> {
        let key = format!("{:?}", self.options.downscales);
        let out = self.out;
        let factors = &self.options.downscales.clone();
        let made = || {
            out.join("images").is_dir()
                && find_best_model(&out.join("sparse")).is_ok()
                && factors.iter().all(|factor| out.join(format!("images_{factor}")).is_dir())
        };
        self.stage(Stage::Undistort, &key, made, |job| {
            let undistorted = job.work.join("undistorted");
            prepare::remove_dir(&undistorted)?;
            splat_core::files::make_dir(&undistorted)?;
            let command = job.with_paths(|colmap, _, paths| stages::undistortion(colmap, paths, model))?;
            job.colmap(Stage::Undistort, &command, 0, None)?;
            let posed = read_model(&find_best_model(&undistorted)?.dir)?;
            job.state.own_output()?;
            let images = out.join("images");
            prepare::remove_dir(&images)?;
            fs::rename(undistorted.join("images"), &images).map_err(|error| write_error(&images, error))?;
            prepare::remove_dir(&out.join("sparse"))?;
            write_model(&posed, &out.join("sparse").join("0"), ModelForm::Binary)?;
            prepare::remove_dir(&undistorted)?;
            for &factor in factors {
                downscale::write_downscaled(out, factor, job.cancel)?;
            }
            Ok(())
        })
    }

    /// With CUDA, and once more without where that fails: a CUDA build on a machine without its
    /// driver ends with an error.
    fn with_gpu_or_without(&mut self, mut work: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        match work(self) {
            Err(ColmapError::StageFailed { command, .. }) if self.use_gpu => {
                self.use_gpu = false;
                let message = format!("COLMAP's `{command}` failed on the GPU and is run again on the CPU");
                (self.events)(Event::Warning { message });
                work(self)
            }
            result => result,
        }
    }

    /// Builds a command line.
    fn with_paths(
        &self,
        build: impl FnOnce(&Colmap, &ColmapOptions, &Paths<'_>) -> Result<Command>,
    ) -> Result<Command> {
        let (photos, database) = (self.photos_dir(), self.database());
        let (sparse, undistorted) = (self.work.join("sparse"), self.work.join("undistorted"));
        let paths =
            Paths { photos: &photos, database: &database, sparse: &sparse, undistorted: &undistorted };
        let options = ColmapOptions { use_gpu: self.use_gpu, ..self.options.clone() };
        build(&self.colmap, &options, &paths)
    }

    /// Runs one command, its lines to the log and its progress (from `done_before` on) to the events.
    fn colmap(
        &mut self,
        stage: Stage,
        command: &Command,
        done_before: u64,
        total: Option<u64>,
    ) -> Result<()> {
        self.log(&format!("== colmap {}", command.key()));
        let mut tail = VecDeque::with_capacity(TAIL_LINES);
        let mut progress = Progress::default();
        let (events, log) = (self.events, &mut self.log);
        let found_no_model = &mut self.found_no_model;
        *found_no_model = false;
        let mut on_line = |line: &str| {
            *found_no_model |= NO_MODEL.iter().any(|words| line.contains(words));
            // The log is a help, not a result: a full disk shows in the results.
            let _ = writeln!(log, "{line}");
            if !line.trim().is_empty() {
                if tail.len() == TAIL_LINES {
                    tail.pop_front();
                }
                tail.push_back(line.trim().to_owned());
            }
            if let Some((done, stated)) = progress.read(line) {
                events(Event::StageProgress { stage, done: done_before + done, total: total.or(stated) });
            }
        };
        let (binary, timeout) = (self.colmap.binary(), self.options.stage_timeout);
        let ended = run(
            Run {
                binary,
                arguments: &command.arguments,
                timeout,
                cancel: self.cancel,
                own_group: self.options.own_group,
            },
            &mut on_line,
        )
        .map_err(|source| ColmapError::CannotStart { binary: binary.to_owned(), source })?;
        let (name, log) = (command.name, self.log_path());
        match ended {
            Ended::Exited(status) if status.success() => Ok(()),
            Ended::Exited(status) => {
                let tail = Vec::from(tail).join("\n");
                Err(ColmapError::StageFailed {
                    command: name,
                    status,
                    exited: status.code().is_some(),
                    log,
                    tail,
                })
            }
            Ended::TimedOut => {
                let minutes = timeout.unwrap_or_default().as_secs_f64() / 60.0;
                Err(ColmapError::TimedOut { command: name, minutes, log })
            }
            Ended::Cancelled => Err(splat_core::Error::Cancelled.into()),
        }
    }

    fn log(&mut self, line: &str) {
        let _ = writeln!(self.log, "{line}");
    }

    fn log_path(&self) -> PathBuf {
        self.work.join("colmap.log")
    }

    fn photos_dir(&self) -> PathBuf {
        self.work.join(super::PHOTOS)
    }

    fn database(&self) -> PathBuf {
        self.work.join("database.db")
    }
}

/// Whether enough of the photos are placed.
fn is_good(choice: &Option<ModelChoice>, photos: u64) -> bool {
    choice.as_ref().is_some_and(|choice| 100 * choice.registered >= GOOD_REGISTERED_PERCENT * photos)
}

/// The name of a stage in the record of finished stages.
pub(super) fn stage_name(stage: Stage) -> String {
    format!("{stage:?}").to_lowercase()
}

/// A stage and all that depend on it.
pub(super) fn stages_from(stage: Stage) -> Vec<Stage> {
    let all = [Stage::Prepare, Stage::Features, Stage::Matching, Stage::Mapping, Stage::Undistort];
    all.into_iter().filter(|&other| other >= stage).collect()
}
