//! A run of training, as programs use it: started, advanced step by step, read.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::average::Average;
use super::config::TrainConfig;
use super::frame::SceneFrame;
use super::optimizer::Moments;
use super::passes::{Kernels, Passes, slot_switches, switches_at};
use super::photo_limits::PhotoLimits;
use super::photos::Photos;
use super::poses::Poses;
use super::reports::Reports;
use super::start::RunStart;
use super::visibility::seen_by_any;
use crate::camera::Pose;
use crate::dataset::Dataset;
use crate::gaussians::GaussianCloud;
use crate::gpu::Gpu;
use crate::gpu::pool::Pool;
use crate::gpu::profile::Timer;
use crate::render::rays::RayTables;
use crate::render::{GaussianBuffers, RendererKind, grown, isects_per_slice};
use crate::{Error, Exposure, Result};

/// Tiles per Gaussian assumed for the initial capacity for intersections.
const FIRST_ISECTS_PER_GAUSSIAN: u32 = 8;

/// Report of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport {
    /// Steps done; counts from 1.
    pub step: u32,
    /// Loss of the latest step whose report has arrived, a few steps ago; NaN before the first.
    pub loss: f32,
    /// Current number of Gaussians.
    pub gaussians: u32,
    /// Width and height of the step's image.
    pub image_size: (u32, u32),
}

/// Trains a cloud of Gaussians on a [`Dataset`].
#[derive(Debug)]
pub struct Trainer {
    pub(super) gpu: Gpu,
    pub(super) photos: Photos,
    /// The version of the photos in use.
    pub(super) dataset: Arc<Dataset>,
    pub(super) config: TrainConfig,
    pub(super) kernels: Kernels,
    pub(super) gaussians: GaussianBuffers,
    pub(super) moments: Moments,
    /// Mean of the last states.
    pub(super) average: Average,
    pub(super) passes: Passes,
    /// The buffers of the passes, to be used again.
    pub(super) pool: Pool,
    /// The next step, from 0.
    pub(super) next_step: u32,
    /// The run's coordinate frame: of Gaussians, cameras and all lengths.
    pub(super) frame: SceneFrame,
    pub(super) cap: u32,
    /// The step before which the last densification happened: a step that is run again after an overflow must not densify
    /// twice.
    pub(super) densified_before: Option<u32>,
    /// Pending reports of submitted steps.
    pub(super) reports: Reports,
    pub(super) last_loss: f32,
    pub(super) timer: Option<Timer>,
    pub(super) rays: RayTables,
    pub(super) limits: PhotoLimits,
    /// Exposure of each view; empty: all as bright as the scene. See [`super::exposure`].
    pub(super) exposures: Vec<Exposure>,
    pub(super) poses: Poses,
}

impl Trainer {
    /// Starts from the dataset's seed points.
    ///
    /// # Errors
    /// [`Error::Config`] for invalid settings, [`Error::Scene`] for a dataset without training views, and errors of the device.
    pub fn new(gpu: &Gpu, dataset: Arc<Dataset>, config: TrainConfig) -> Result<Self> {
        Self::start(gpu, RunStart::from_seed_points(gpu, dataset, config)?)
    }

    /// Whether the photos differ from the scene in exposure, white balance or by a vignette; see [`TrainConfig::exposure`].
    #[must_use]
    pub fn differs_in_exposure(&self) -> bool {
        self.exposures.iter().any(|exposure| *exposure != Exposure::default())
    }

    /// Exposure of a view's photo relative to the scene. See [`TrainConfig::exposure`].
    #[must_use]
    pub fn exposure(&self, view: usize) -> Exposure {
        self.exposures.get(view).copied().unwrap_or_default()
    }

    /// Starts from the Gaussians of a scene in the dataset's world coordinates, relative to `origin`. They are trained at full
    /// image size and, if they have view-dependent colours, with all SH degrees from the first step on. If there are more than
    /// the cap allows, the most visible ones (opacity times cross-section) are kept.
    ///
    /// # Errors
    /// [`Error::Cloud`] if the cloud is empty or its parts are inconsistent, and as [`Trainer::new`].
    pub fn from_scene(
        gpu: &Gpu,
        dataset: Arc<Dataset>,
        config: TrainConfig,
        cloud: GaussianCloud,
        origin: [f64; 3],
    ) -> Result<Self> {
        Self::start(gpu, RunStart::from_scene(gpu, dataset, config, cloud, origin)?)
    }

    /// Extends the run to `steps` steps, with the schedules of a run of that length; see [`TrainConfig::extended`].
    ///
    /// # Errors
    /// [`Error::Config`] if `steps` is not larger than the run's, and as [`Trainer::step`].
    pub fn extend_to(&mut self, steps: u32) -> Result<()> {
        self.flush()?;
        if steps <= self.config.steps {
            let why = format!("a run of {} steps cannot be extended to {steps}", self.config.steps);
            return Err(Error::Config { why });
        }
        self.config = self.config.extended(self.next_step, steps);
        self.average = Average::new(self.config.averaged_steps(), steps);
        self.average.restart(self.next_step);
        Ok(())
    }

    /// Changes the run's number of steps: learning rates, image sizes and densification continue from their current values and
    /// end with the last of `steps`. For runs with a deadline.
    ///
    /// # Errors
    /// [`Error::Config`] if `steps` are already done, and as [`Trainer::step`].
    pub fn replan(&mut self, steps: u32) -> Result<()> {
        self.flush()?;
        if steps <= self.next_step {
            let why = format!("a run cannot end with step {steps}: {} are done", self.next_step);
            return Err(Error::Config { why });
        }
        self.config = self.config.replanned(self.next_step, steps);
        self.average.replan(self.config.averaged_steps(), steps, self.next_step);
        Ok(())
    }

    /// Compiles the kernels and allocates the buffers of a run.
    pub(super) fn start(gpu: &Gpu, start: RunStart) -> Result<Self> {
        let RunStart { photos, config, cap, frame, poses, exposures, gaussians, moments, steps_done } = start;
        if photos.given.train.is_empty() {
            return Err(Error::Scene { why: "it has no view to train on".into() });
        }
        let switches = switches_at(&config, &poses, steps_done);
        let dataset = Arc::clone(photos.for_renderer(switches.renderer));
        let kernels = Kernels::new(gpu, switches, gaussians.sh_stride());
        // An estimate that is too low costs one repeated step; unnecessary depth slices would cost more.
        let isects = grown(gaussians.count.saturating_mul(FIRST_ISECTS_PER_GAUSSIAN))
            .min(isects_per_slice(gpu, slot_switches(&dataset, switches)));
        let pool = Pool::default();
        let passes = Passes::new(&gpu.with_pool(&pool), &kernels, &gaussians, &moments, &dataset, isects)?;
        let limits = PhotoLimits::new(gpu, &photos.given, frame)?;
        let average = Average::new(config.averaged_steps(), config.steps);
        Ok(Self {
            gpu: gpu.clone(),
            photos,
            dataset,
            config,
            kernels,
            gaussians,
            moments,
            average,
            passes,
            pool,
            next_step: steps_done,
            frame,
            cap,
            densified_before: None,
            reports: Reports::default(),
            last_loss: f32::NAN,
            timer: None,
            rays: RayTables::default(),
            limits,
            exposures,
            poses,
        })
    }

    /// Runs one step.
    ///
    /// # Errors
    /// A photo that cannot be read, and errors of the device.
    pub fn step(&mut self) -> Result<StepReport> {
        self.advance(None)
    }

    /// Runs one step with nothing else in flight and adds the GPU milliseconds of each kernel to `totals`.
    ///
    /// Returns false, with the step done, if the device does not support timestamps inside passes.
    ///
    /// # Errors
    /// As [`Trainer::step`].
    pub fn profile_step(&mut self, totals: &mut BTreeMap<&'static str, f64>) -> Result<bool> {
        self.flush()?;
        self.timer = Timer::new(&self.gpu);
        self.step()?;
        self.flush()?;
        match self.timer.take() {
            Some(mut timer) => timer.collect(&self.gpu, totals).map(|()| true),
            None => Ok(false),
        }
    }

    /// Waits until every submitted step has completed, and runs again those that overflowed.
    ///
    /// # Errors
    /// As [`Trainer::step`].
    pub fn flush(&mut self) -> Result<()> {
        let target = self.next_step;
        loop {
            while self.reports.len() > 0 {
                self.collect_oldest()?;
            }
            if self.next_step >= target {
                return Ok(());
            }
            self.submit(self.next_step, None)?;
            self.next_step += 1;
        }
    }

    /// Copies the Gaussians to the host, in world units relative to [`Trainer::origin`]. In a run's last steps they are the mean
    /// of the last states; see [`TrainConfig::average_last`].
    ///
    /// # Errors
    /// As [`Trainer::step`].
    pub fn cloud(&mut self) -> Result<GaussianCloud> {
        self.flush()?;
        Ok(self.frame.to_world(self.shown().download(&self.gpu)?))
    }

    /// [`Trainer::cloud`] without the Gaussians that are not visible in any view of the dataset, for writing the scene to a file.
    ///
    /// # Errors
    /// As [`Trainer::step`].
    pub fn seen_cloud(&mut self) -> Result<GaussianCloud> {
        self.flush()?;
        let mut cloud = self.shown().download(&self.gpu)?;
        let seen = seen_by_any(&self.photos.given, self.frame, &cloud)?;
        cloud.retain(&seen);
        Ok(self.frame.to_world(cloud))
    }

    /// World coordinates of the origin of [`Trainer::cloud`]: zero, unless the scene is so far away (survey coordinates) that f32
    /// lacks the precision.
    #[must_use]
    pub fn origin(&self) -> [f64; 3] {
        self.frame.file_origin()
    }

    /// Near plane of this run, world units. Render its scene with the same value, see [`crate::RenderOptions::near`].
    #[must_use]
    pub fn near(&self) -> f32 {
        self.frame.near_world()
    }

    /// Whether the photos' poses are being refined, or were.
    #[must_use]
    pub fn refines_poses(&self) -> bool {
        self.dataset.train.iter().any(|&view| self.poses.refined(view).is_some())
    }

    /// The pose of a view in world coordinates, refined if it is.
    #[must_use]
    pub fn cam_from_world(&self, view: usize) -> Pose {
        let given = self.dataset.pinhole_camera(view).cam_from_world;
        self.poses.refined(view).map_or(given, |pose| self.frame.pose_to_world(&pose))
    }

    /// Loss of the latest step whose report has arrived; after [`Trainer::flush`] that of the last step.
    #[must_use]
    pub fn latest_loss(&self) -> f32 {
        self.last_loss
    }

    /// Steps done.
    #[must_use]
    pub fn steps_done(&self) -> u32 {
        self.next_step
    }

    /// Current number of Gaussians.
    #[must_use]
    pub fn gaussian_count(&self) -> u32 {
        self.gaussians.count
    }

    /// Maximum number of Gaussians in this run.
    #[must_use]
    pub fn gaussian_cap(&self) -> u32 {
        self.cap
    }

    /// The run's settings.
    #[must_use]
    pub fn config(&self) -> &TrainConfig {
        &self.config
    }

    /// The Gaussians for evaluation and output: the mean of the last states once it has begun, else the state.
    pub(super) fn shown(&self) -> &GaussianBuffers {
        self.average.before(self.next_step).unwrap_or(&self.gaussians)
    }

    /// Runs `work` with the shown Gaussians in place of the state.
    pub(super) fn with_shown<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.average.before(self.next_step).is_none() {
            return work(self);
        }
        self.average.exchange(&self.gpu, &self.gaussians)?;
        let done = work(self);
        // Restored even if the work failed, so that training can continue.
        self.average.exchange(&self.gpu, &self.gaussians)?;
        done
    }

    /// The current renderer: that of the last step, or of the first step before training.
    #[must_use]
    pub fn renderer(&self) -> RendererKind {
        self.kernels.forward.switches.renderer
    }

    /// Number of ray tables computed: one per lens and image size used.
    #[must_use]
    pub fn ray_tables_computed(&self) -> u32 {
        self.rays.computed()
    }
}
