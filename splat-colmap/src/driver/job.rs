//! One run through the stages.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Instant;

use splat_core::events::{EventSink, Stage};
use splat_core::{CancelToken, Event, LeftOut, LeftOutReason, Placement};

use super::binary::Colmap;
use super::downscale;
use super::gps;
use super::listing;
use super::masks::{self, MASKS, Undistorted};
use super::options::{ColmapOptions, ColmapQuality};
use super::prepare::{self, Photos};
use super::second_try::SecondTryRecord;
use super::stages::{self, WITH_GPS};
use super::state::{Raised, State, fingerprint, stage_name, stages_from};
use super::verify;
use crate::error::{ColmapError, Result, write_error};
use crate::read::{ModelChoice, ModelForm, find_best_model, read_model, read_poses};
use crate::version::Version;
use crate::write::write_model;

/// The quality to fall back to if a lower one places too few photos, for sets small enough to take minutes.
const RAISED_QUALITY: ColmapQuality = ColmapQuality::High;
const RAISED_MAX_PHOTOS: u64 = 30;
/// Minimum number of points: photos taken by rotating on the spot give poses without depth and a handful of wrong points.
const MIN_POINTS: usize = 20;
/// If a smaller share of the photos is placed, a higher quality is tried or suggested.
pub(super) const GOOD_PLACED_PERCENT: u64 = 60;

/// One run: its folders, its program and its event sink.
pub(super) struct PosingRun<'a> {
    input: &'a Path,
    out: &'a Path,
    /// The folder of masks, if it is not the usual one.
    masks: Option<&'a Path>,
    pub(super) work: PathBuf,
    pub(super) options: ColmapOptions,
    pub(super) colmap: Colmap,
    pub(super) use_gpu: bool,
    pub(super) events: EventSink<'a>,
    pub(super) cancel: &'a CancelToken,
    pub(super) state: State,
    pub(super) log: File,
    /// Key of the inputs of all stages so far.
    pub(super) key: String,
    /// Whether the last command reported that these photos give no model.
    pub(super) found_no_model: bool,
}

impl<'a> PosingRun<'a> {
    pub(super) fn new(
        input: &'a Path,
        out: &'a Path,
        masks: Option<&'a Path>,
        options: &'a ColmapOptions,
        colmap: Colmap,
        events: EventSink<'a>,
        cancel: &'a CancelToken,
    ) -> Result<Self> {
        let work = out.join(super::WORK);
        let mut state = State::load(&work.join(super::STATE));
        prepare::check_output(input, out, state.wrote_output)?;
        splat_core::files::make_dir(&work)?;
        if !options.resume {
            state = state.start_over();
        }
        let log_path = work.join("colmap.log");
        let log = OpenOptions::new().create(true).append(true).open(&log_path);
        let log = log.map_err(|error| write_error(&log_path, error))?;
        // Patches do not change what stages make.
        let Version { major, minor, .. } = colmap.version();
        let key = format!("{major}.{minor} ");
        let use_gpu = options.use_gpu && colmap.has_cuda();
        let options = options.clone();
        let found_no_model = false;
        Ok(Self {
            input,
            out,
            masks,
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

    pub(super) fn run(mut self) -> Result<Placement> {
        let photos = self.prepare()?;
        let prepared = self.key.clone();
        // An earlier run may have found that the requested quality places too few of these photos.
        let asked = self.options.quality;
        let raised = self.state.raised.clone().filter(|raised| raised.matches(&prepared, asked));
        self.options.quality = raised.map_or(asked, |raised| raised.to);
        let total = photos.count() as u64;
        let mut attempt = self.attempt(&photos, &prepared)?;
        if !attempt.is_good(total) && self.may_raise(total) {
            let message = format!(
                "COLMAP placed only {} of {total} photos at {} quality; {} is tried",
                attempt.registered,
                asked.name(),
                RAISED_QUALITY.name()
            );
            (self.events)(Event::Warning { message });
            self.options.quality = RAISED_QUALITY;
            self.state.raised = Some(Raised { photos: prepared.clone(), from: asked, to: RAISED_QUALITY });
            self.key.clone_from(&prepared);
            attempt = self.attempt(&photos, &prepared)?;
        }
        let registered = attempt.registered;
        let Some((model, placement)) = attempt.model else {
            let log = self.log_path();
            return Err(ColmapError::NoReconstruction { registered, photos: total, log });
        };
        self.emit_placement(&placement);
        self.warn_if_folded(&read_model(&model)?);
        self.undistort(&model)?;
        Ok(placement)
    }

    /// Estimates the poses of all photos, with a second try of those that get none.
    fn attempt(&mut self, photos: &Photos, prepared: &str) -> Result<Attempt> {
        let quality = self.options.quality;
        let mut second_try =
            self.state.second_try.clone().filter(|second_try| second_try.matches(prepared, quality));
        let Some(choice) = self.pose(photos, second_try.as_ref(), None)? else {
            return Ok(Attempt::without_model(0));
        };
        if choice.registered < prepare::MIN_PHOTOS as u64
            || read_model(&choice.dir)?.points.len() < MIN_POINTS
        {
            return Ok(Attempt::without_model(choice.registered));
        }
        let mut model = choice.dir;
        let mut placement = self.placement(photos, &model)?;
        if second_try.is_none() && self.options.try_again && !placement.left_out.is_empty() {
            let tried = self.begin_second_try(prepared, &placement)?;
            prepared.clone_into(&mut self.key);
            let started = Instant::now();
            let choice = self.pose(photos, Some(&tried), Some(&model))?;
            model = choice.map_or(model, |choice| choice.dir);
            second_try = Some(self.end_second_try(tried, started.elapsed())?);
            placement = self.placement(photos, &model)?;
        }
        placement.second_try = second_try.map(|second_try| second_try.outcome(&placement));
        let in_other = |photo: &&LeftOut| matches!(photo.reason, LeftOutReason::OtherModel { .. });
        let elsewhere = placement.left_out.iter().filter(in_other).count() as u64;
        Ok(Attempt { registered: placement.placed, elsewhere, model: Some((model, placement)) })
    }

    /// Features, matches and poses of all photos; with more features for the photos of `second_try`, starting from a `model` without
    /// these if there is one.
    fn pose(
        &mut self,
        photos: &Photos,
        second_try: Option<&SecondTryRecord>,
        model: Option<&Path>,
    ) -> Result<Option<ModelChoice>> {
        let settings = self.options.quality.settings();
        let of = |name: &str| {
            if second_try.is_some_and(|second_try| second_try.names.contains(name)) {
                return settings.more();
            }
            photos.sides.get(name).map_or(settings, |&side| settings.of_side(side))
        };
        let wanted = photos.names().into_iter().map(|name| (name.to_owned(), of(name))).collect();
        self.features(photos, &wanted)?;
        self.matching(photos)?;
        self.mapping(photos, model)
    }

    fn may_raise(&self, photos: u64) -> bool {
        let higher = self.options.quality < RAISED_QUALITY;
        self.options.raise_quality && higher && photos <= RAISED_MAX_PHOTOS
    }

    /// Runs a stage unless an earlier run did it with the same inputs and `made` still exists.
    pub(super) fn stage(
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
        let skipped = self.state.is_finished(&stage_name(stage), &self.key) && made();
        if !skipped {
            self.state.forget(&stages_from(stage))?;
            work(self)?;
            self.state.finish(&stage_name(stage), self.key.clone())?;
        }
        (self.events)(Event::StageFinished { stage, elapsed_s: started.elapsed().as_secs_f64(), skipped });
        Ok(())
    }

    fn prepare(&mut self) -> Result<Photos> {
        let (listing, masks) = masks::list(self.input, self.out, self.masks)?;
        let sources = &listing.sources;
        if masks.is_any() {
            prepare::check_masks(self.out, self.state.wrote_masks)?;
        }
        let dir = self.photos_dir();
        let known = self.state.photos.clone();
        let made = || {
            known.as_ref().is_some_and(|photos| photos.names().iter().all(|name| dir.join(name).is_file()))
        };
        let key = listing::key(sources) + &masks.key;
        self.stage(Stage::Prepare, &key, made, |job| {
            let photos = prepare::prepare(job.input, sources, &masks, &job.work, job.events, job.cancel)?;
            for (name, why) in &photos.skipped {
                job.log(&format!("skipped `{name}`: {why}"));
            }
            job.state.photos = Some(photos);
            Ok(())
        })?;
        let photos = self.state.photos.clone().unwrap_or_default();
        // Repeated on every run, since the scene lacks them every time.
        let said = [listing.warning(), masks.message, photos.skipped_warning()];
        for message in said.into_iter().flatten() {
            (self.events)(Event::Warning { message });
        }
        Ok(photos)
    }

    /// The best model, or `None` if no photos match.
    fn mapping(&mut self, photos: &Photos, model: Option<&Path>) -> Result<Option<ModelChoice>> {
        let total = photos.count() as u64;
        let mut gps = gps::are_worth_using(photos);
        let sparse = self.work.join("sparse");
        // An empty folder is a result too: these photos do not match.
        let made = || sparse.is_dir();
        self.stage(Stage::Mapping, "", made, |job| {
            if let Some(model) = model {
                return job.add_photos_to_model(model, total, gps);
            }
            let mut mapped = job.map_from_scratch(&sparse, total, gps);
            if let Err(ColmapError::StageFailed { command, .. }) = &mapped
                && *command == WITH_GPS
                && !job.found_no_model
            {
                job.log(&format!("`{command}` failed; the photos are placed without their GPS positions"));
                gps = false;
                mapped = job.map_from_scratch(&sparse, total, gps);
            }
            match mapped {
                // The mapper fails if there is no model, which is due to the photos.
                Err(ColmapError::StageFailed { .. }) if job.found_no_model => return Ok(()),
                result => result?,
            }
            // Once more, with a lower limit, for what it left out. As a limit for all, it would let the first photos in on a few points.
            match find_best_model(&sparse) {
                Ok(best) if best.registered < total => job.add_photos_to_model(&best.dir, total, gps)?,
                _ => return Ok(()),
            }
            match find_best_model(&sparse) {
                Ok(best) if best.registered < total => job.map_globally(&sparse, best.registered, total),
                _ => Ok(()),
            }
        })?;
        match find_best_model(&sparse) {
            Ok(choice) => Ok(Some(choice)),
            Err(ColmapError::NoModel { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Runs the mapper into an empty folder `sparse`.
    fn map_from_scratch(&mut self, sparse: &Path, total: u64, gps: bool) -> Result<()> {
        prepare::remove_dir(sparse)?;
        splat_core::files::make_dir(sparse)?;
        let command =
            self.with_paths(|colmap, options, paths| stages::mapping(colmap, options, paths, gps))?;
        self.colmap(Stage::Mapping, &command, 0, Some(total))
    }

    fn undistort(&mut self, model: &Path) -> Result<()> {
        let key = format!("{:?}", self.options.downscales);
        let out = self.out;
        let factors = &self.options.downscales.clone();
        let masked = self.state.photos.as_ref().is_some_and(|photos| !photos.masked.is_empty());
        let made = || {
            out.join("images").is_dir()
                && find_best_model(&out.join("sparse")).is_ok()
                && (!masked || out.join(MASKS).is_dir())
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
            let log = job.log_path();
            verify::pictures("image_undistorter", &undistorted.join("images"), &names, &log)?;
            let distorted = read_poses(model)?;
            let both = Undistorted {
                work: &job.work,
                distorted: &distorted,
                out: &undistorted,
                undistorted: &posed,
                log: &log,
            };
            let prepared = job.state.photos.clone().unwrap_or_default();
            both.carry(&prepared, job.cancel)?;
            let masks = undistorted.join(MASKS);
            job.state.own_output(masks.is_dir())?;
            if job.state.wrote_masks {
                prepare::remove_dir(&out.join(MASKS))?;
            }
            if masks.is_dir() {
                fs::rename(&masks, out.join(MASKS)).map_err(|error| write_error(&masks, error))?;
            }
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

/// Result at one quality.
struct Attempt {
    /// Number of photos with a pose.
    registered: u64,
    /// Photos placed in other models alone.
    elsewhere: u64,
    /// The model's folder and the photos' placement; `None` if the poses give no scene.
    model: Option<(PathBuf, Placement)>,
}

impl Attempt {
    /// Whether enough of the photos have a pose. What is in other models has features enough: those photos show other things.
    fn is_good(&self, photos: u64) -> bool {
        self.model.is_some() && 100 * (self.registered + self.elsewhere) >= GOOD_PLACED_PERCENT * photos
    }

    fn without_model(registered: u64) -> Self {
        Self { registered, elsewhere: 0, model: None }
    }
}
