//! One run through the stages.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Instant;

use splat_core::events::{EventSink, Stage};
use splat_core::{CancelToken, Event};

use super::binary::Colmap;
use super::options::{ColmapOptions, ColmapQuality, Matcher, MatcherEngine};
use super::prepare::{self, Photos};
use super::stages;
use super::state::{Raised, State, fingerprint, stage_name, stages_from};
use super::verify;
use super::{downscale, pairs};
use crate::error::{ColmapError, Result, write_error};
use crate::read::{ModelChoice, ModelForm, find_best_model, read_model};
use crate::write::write_model;

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
    pub(super) work: PathBuf,
    pub(super) options: ColmapOptions,
    pub(super) colmap: Colmap,
    pub(super) use_gpu: bool,
    pub(super) events: EventSink<'a>,
    pub(super) cancel: &'a CancelToken,
    state: State,
    pub(super) log: File,
    /// What all stages so far were made from.
    key: String,
    /// Whether the command that ran last said that these photos give no model.
    pub(super) found_no_model: bool,
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
            self.state.forget(&stages_from(stage))?;
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
            &format!("{key} {matcher:?} {:?}", self.engine()),
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
                    // Steps of progress: blocks of COLMAP's, or photos, once for comparing and once for verifying.
                    let steps = match matcher {
                        Matcher::Exhaustive => stages::blocks(names.len()),
                        _ => names.len() as u64,
                    };
                    let compares = job.engine() == MatcherEngine::Splat;
                    let (done, total) = if compares { (steps, 2 * steps) } else { (0, steps) };
                    job.compare(&names, matcher, steps, total)?;
                    if matcher == Matcher::Exhaustive {
                        let command = job.with_paths(stages::match_all)?;
                        return job.colmap(Stage::Matching, &command, done, Some(total));
                    }
                    let command = job.with_paths(stages::match_sequence)?;
                    job.colmap(Stage::Matching, &command, done, Some(total + 1))?;
                    let list = job.work.join("pairs.txt");
                    fs::write(&list, pairs::loop_pairs(&names)).map_err(|error| write_error(&list, error))?;
                    let command = job.with_paths(|colmap, options, paths| {
                        stages::match_pairs(colmap, options, paths, &list)
                    })?;
                    job.colmap(Stage::Matching, &command, total, Some(total + 1))
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
            let photos = job.photos_dir();
            let names: Vec<&str> =
                posed.names().into_iter().filter(|name| photos.join(name).is_file()).collect();
            verify::pictures("image_undistorter", &undistorted.join("images"), &names, &job.log_path())?;
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
}

/// Whether enough of the photos are placed.
fn is_good(choice: &Option<ModelChoice>, photos: u64) -> bool {
    choice.as_ref().is_some_and(|choice| 100 * choice.registered >= GOOD_REGISTERED_PERCENT * photos)
}
