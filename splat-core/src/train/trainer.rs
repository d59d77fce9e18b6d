//! The training loop, one step at a time.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::average::Window;
use super::config::TrainConfig;
use super::exposure::{LogGain, exposures};
use super::floor::{Sampling, seen_by_any};
use super::frame::SceneFrame;
use super::optimizer::Moments;
use super::own_loss::{OwnLoss, StepBuffers, StepView, record_counts};
use super::passes::{Kernels, Passes};
use super::photos::Photos;
use super::reports::Reports;
use super::seeds::seed_points;
use super::small_view::SmallView;
use crate::camera::LensCamera;
use crate::dataset::Dataset;
use crate::gaussians::{GaussianCloud, SeedOptions, thinned};
use crate::gpu::Gpu;
use crate::gpu::profile::{Pass, Timer};
use crate::gpu::shaders::Switches;
use crate::random::Random;
use crate::render::rays::RayTables;
use crate::render::{GaussianBuffers, RendererKind, Seen, grown};
use crate::scene::SeedPoint;
use crate::{Error, Result};

/// Steps handed to the GPU before the host looks at their reports.
const STEPS_IN_FLIGHT: usize = 2;
/// Tiles a Gaussian reaches on average, for the first guess of the room for intersections.
const FIRST_ISECTS_PER_GAUSSIAN: u32 = 8;

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport {
    /// Steps done; counts from 1.
    pub step: u32,
    /// Loss of the latest step whose report has come back, a few steps ago; NaN before the first.
    pub loss: f32,
    /// Gaussians now.
    pub gaussians: u32,
    /// Width and height that the step trained at.
    pub image_size: (u32, u32),
}

/// Trains a cloud of Gaussians on a [`Dataset`].
#[derive(Debug)]
pub struct Trainer {
    pub(super) gpu: Gpu,
    pub(super) photos: Photos,
    /// The form of them in use.
    pub(super) dataset: Arc<Dataset>,
    pub(super) config: TrainConfig,
    pub(super) kernels: Kernels,
    pub(super) gaussians: GaussianBuffers,
    pub(super) moments: Moments,
    /// Mean of the last states, once it has begun.
    pub(super) average: Option<GaussianBuffers>,
    pub(super) window: Window,
    pub(super) passes: Passes,
    /// The next step, from 0.
    pub(super) next_step: u32,
    /// Where Gaussians, cameras and all lengths are while the run lasts.
    pub(super) frame: SceneFrame,
    pub(super) cap: u32,
    /// The step before which Gaussians were last added and removed: a step that is run again after an overflow
    /// must not do so twice.
    densified_before: Option<u32>,
    /// Of steps handed to the GPU.
    reports: Reports,
    last_loss: f32,
    pub(super) timer: Option<Timer>,
    pub(super) rays: RayTables,
    pub(super) sampling: Sampling,
    /// Logarithms of what each view's photo is brighter than the scene, by channel; see [`super::exposure`].
    pub(super) gains: Vec<LogGain>,
}

/// What every new run settles first.
struct Start {
    photos: Photos,
    config: TrainConfig,
    cap: u32,
    frame: SceneFrame,
}

impl Start {
    fn of(gpu: &Gpu, dataset: Arc<Dataset>, mut config: TrainConfig) -> Result<Self> {
        config.validate()?;
        config.renderer.get_or_insert(dataset.fitting_renderer());
        config.alpha_mode.get_or_insert(dataset.fitting_alpha());
        let photos = Photos::new(dataset, &config)?;
        let workload = photos.workload(&config)?;
        let cap = config
            .max_gaussians
            .unwrap_or_else(|| workload.default_gaussians(gpu.report(), crate::machine::available_memory()));
        let frame = SceneFrame::of(&photos.given);
        Ok(Self { photos, config, cap, frame })
    }
}

impl Trainer {
    /// Starts from the dataset's seed points.
    ///
    /// # Errors
    /// [`Error::Config`] for settings that cannot work, [`Error::Scene`] for a dataset without training
    /// views, and whatever the device reports.
    pub fn new(gpu: &Gpu, dataset: Arc<Dataset>, config: TrainConfig) -> Result<Self> {
        let Start { photos, config, cap, frame } = Start::of(gpu, dataset, config)?;
        let views = SmallView::of_training_views(&photos.given, frame)?;
        let points = seed_points(&photos.given, &views, frame, config.seed_points.min(cap), config.seed);
        let gains = config.exposure.then(|| exposures(&photos.given, &views, &points));
        let points = thinned(points, cap as usize, config.seed);
        let options = SeedOptions {
            sh_degree: config.sh_degree,
            opacity: config.initial_opacity,
            scale: config.initial_scale,
        };
        let cloud = GaussianCloud::from_seed_points(&points, &options);
        let gaussians = GaussianBuffers::upload(gpu, &cloud)?;
        let moments = Moments::new(gpu, gaussians.count, gaussians.sh_stride())?;
        Self::assemble(gpu, photos, config, frame, (gaussians, moments), cap, 0)
            .map(|trainer| trainer.with(gains))
    }

    /// With the photos' brightness as measured.
    fn with(mut self, gains: Option<Vec<LogGain>>) -> Self {
        self.gains = gains.unwrap_or(self.gains);
        self
    }

    /// Whether the photos were found to differ in brightness or white balance; see [`TrainConfig::exposure`].
    #[must_use]
    pub fn differs_in_exposure(&self) -> bool {
        self.gains.iter().any(|gain| *gain != [0.0; 3])
    }

    /// What a view's photo is brighter than the scene: factors of red, green and blue. See [`TrainConfig::exposure`].
    #[must_use]
    pub fn exposure(&self, view: usize) -> [f64; 3] {
        self.gains.get(view).map_or([1.0; 3], |gain| gain.map(f64::exp))
    }

    /// Starts from the Gaussians of a scene in the dataset's world coordinates, counted from `origin`. They are trained at full image
    /// size and, where they have view-dependent colours, with all of them from the first step on. Of more Gaussians than the cap
    /// allows the most visible (opacity times cross-section) are taken.
    ///
    /// # Errors
    /// [`Error::Cloud`] for one whose parts do not fit together or that is empty, and as [`Trainer::new`].
    pub fn from_scene(
        gpu: &Gpu,
        dataset: Arc<Dataset>,
        config: TrainConfig,
        mut cloud: GaussianCloud,
        origin: [f64; 3],
    ) -> Result<Self> {
        let Start { photos, mut config, cap, frame } = Start::of(gpu, dataset, config)?;
        cloud.retain_finite()?;
        if cloud.is_empty() {
            return Err(Error::Cloud { why: "it is empty; start with a scene that holds Gaussians".into() });
        }
        cloud.keep_most_visible(cap as usize);
        config.coarse_until.clear();
        if cloud.sh_degree > 0 {
            config.sh_degree_every = 0;
        }
        let cloud = frame.to_frame(cloud.with_sh_degree(config.sh_degree), origin);
        let gains = if config.exposure {
            let views = SmallView::of_training_views(&photos.given, frame)?;
            let points =
                cloud.means.iter().map(|mean| SeedPoint { position: mean.map(f64::from), rgb: [0; 3] });
            Some(exposures(&photos.given, &views, &points.collect::<Vec<_>>()))
        } else {
            None
        };
        let gaussians = GaussianBuffers::upload(gpu, &cloud)?;
        let moments = Moments::new(gpu, gaussians.count, gaussians.sh_stride())?;
        Self::assemble(gpu, photos, config, frame, (gaussians, moments), cap, 0)
            .map(|trainer| trainer.with(gains))
    }

    /// Goes on beyond the end of the run: to `steps` steps, with the schedules of a run of so many; see
    /// [`TrainConfig::extended`].
    ///
    /// # Errors
    /// [`Error::Config`] where it would be no more than the run has, and as [`Trainer::step`].
    pub fn extend_to(&mut self, steps: u32) -> Result<()> {
        self.flush()?;
        if steps <= self.config.steps {
            let why = format!("a run of {} steps cannot be extended to {steps}", self.config.steps);
            return Err(Error::Config { why });
        }
        self.config = self.config.extended(self.next_step, steps);
        self.window = Window::last(self.config.averaged_steps(), steps);
        self.restart_average(self.next_step);
        Ok(())
    }

    pub(super) fn assemble(
        gpu: &Gpu,
        photos: Photos,
        config: TrainConfig,
        frame: SceneFrame,
        (gaussians, moments): (GaussianBuffers, Moments),
        cap: u32,
        next_step: u32,
    ) -> Result<Self> {
        if photos.given.train.is_empty() {
            return Err(Error::Scene { why: "it has no view to train on".into() });
        }
        let renderer = config.renderer_at(next_step);
        // The statistic of 3DGUT is that of the mean in 3-D, which has no such form.
        let abs_gradient = config.uses_abs_gradient();
        let switches = Switches { abs_gradient, renderer, ..Switches::default() };
        let dataset = Arc::clone(photos.seen_by(renderer));
        let kernels = Kernels::new(gpu, switches, gaussians.sh_stride());
        let isects = room_for(gpu, &dataset, switches, gaussians.count, FIRST_ISECTS_PER_GAUSSIAN);
        let passes = Passes::new(gpu, &kernels, &gaussians, &moments, &dataset, isects)?;
        let sampling = Sampling::new(&photos.given, frame)?;
        let window = Window::last(config.averaged_steps(), config.steps);
        let gains = vec![[0.0; 3]; photos.given.scene.views.len()];
        Ok(Self {
            gpu: gpu.clone(),
            photos,
            dataset,
            config,
            kernels,
            gaussians,
            moments,
            average: None,
            window,
            passes,
            next_step,
            frame,
            cap,
            densified_before: None,
            reports: Reports::default(),
            last_loss: f32::NAN,
            timer: None,
            rays: RayTables::default(),
            sampling,
            gains,
        })
    }

    /// Runs one step.
    ///
    /// # Errors
    /// A photo that cannot be read, or what the device reports.
    pub fn step(&mut self) -> Result<StepReport> {
        self.advance(None)
    }

    /// One step, with the built-in loss or another. A step with another loss is not left in flight: nobody could run it again.
    pub(super) fn advance(&mut self, mut own_loss: Option<&mut OwnLoss<'_>>) -> Result<StepReport> {
        let left_in_flight = if own_loss.is_some() { 0 } else { STEPS_IN_FLIGHT };
        let target = self.next_step + 1;
        let mut image_size = (0, 0);
        // More than one round only where an earlier step had not enough room and is run again.
        while self.next_step < target {
            let step = self.next_step;
            let config = &self.config;
            let due =
                config.densifies_before(step) || config.resets_before(step) || config.floors_before(step);
            if due && self.densified_before != Some(step) {
                self.flush()?;
                if self.next_step < step {
                    continue;
                }
                self.refine(step)?;
                self.densified_before = Some(step);
            }
            if self.config.renderer_at(step) != self.renderer() {
                self.flush()?;
                if self.next_step < step {
                    continue;
                }
                let switches = Switches { renderer: self.config.renderer_at(step), ..Switches::default() };
                self.kernels = Kernels::new(&self.gpu, switches, self.gaussians.sh_stride());
                self.restart_average(step);
                self.use_fitting_photos();
                self.rebuild(self.passes.forward.capacity.isects)?;
            }
            image_size = self.submit(step, own_loss.as_deref_mut())?;
            self.next_step += 1;
            while self.reports.len() > left_in_flight {
                self.collect_oldest()?;
            }
        }
        Ok(StepReport {
            step: self.next_step,
            loss: self.last_loss,
            gaussians: self.gaussians.count,
            image_size,
        })
    }

    /// Runs one step by itself and adds the GPU milliseconds of each kernel to `totals`.
    ///
    /// Returns false, with the step done all the same, where the device has no timestamps inside passes.
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

    /// Waits until every step handed to the GPU has run, running again what had not enough room.
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

    /// Copies the Gaussians to the host: world units, relative to [`Trainer::origin`]. In a run's last steps they are the
    /// mean of its states so far; see [`TrainConfig::average_last`].
    ///
    /// # Errors
    /// As [`Trainer::step`].
    pub fn cloud(&mut self) -> Result<GaussianCloud> {
        self.flush()?;
        Ok(self.frame.to_world(self.shown().download(&self.gpu)?))
    }

    /// [`Trainer::cloud`] without the Gaussians that no view of the dataset shows a pixel of: what a file of the scene needs.
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

    /// World coordinates that [`Trainer::cloud`] counts from: zero, unless the scene lies so far off (a survey's coordinates)
    /// that f32 cannot hold where its Gaussians are.
    #[must_use]
    pub fn origin(&self) -> [f64; 3] {
        self.frame.file_origin()
    }

    /// Gaussians nearer to a camera than this, in world units, are not drawn in this run; whoever draws its scene should use
    /// the same, see [`crate::RenderOptions::near`].
    #[must_use]
    pub fn near(&self) -> f32 {
        self.frame.near_world()
    }

    /// Loss of the latest step that the host has heard of; after [`Trainer::flush`], of the last one.
    #[must_use]
    pub fn latest_loss(&self) -> f32 {
        self.last_loss
    }

    /// Steps done.
    #[must_use]
    pub fn steps_done(&self) -> u32 {
        self.next_step
    }

    /// Gaussians now.
    #[must_use]
    pub fn gaussian_count(&self) -> u32 {
        self.gaussians.count
    }

    /// The cap on Gaussians that this run keeps to.
    #[must_use]
    pub fn gaussian_cap(&self) -> u32 {
        self.cap
    }

    /// The run's settings.
    #[must_use]
    pub fn config(&self) -> &TrainConfig {
        &self.config
    }

    /// The view of a step: every training view once, in an order of its own each round.
    fn view_of(&self, step: u32) -> usize {
        let views = self.dataset.train.len();
        let (round, place) = (step as usize / views, step as usize % views);
        let order = Random::new(self.config.seed, 0x0076_6965_7773, round as u32).permutation(views);
        self.dataset.train[order[place]]
    }

    fn submit(&mut self, step: u32, own_loss: Option<&mut OwnLoss<'_>>) -> Result<(u32, u32)> {
        let factor = self.config.downscale_at(step);
        let index = self.view_of(step);
        let photo = self.dataset.image(index, factor)?;
        let next = step + 1;
        self.dataset.prefetch(self.view_of(next), self.config.downscale_at(next));
        let camera = self.dataset.camera_at(index, photo.width, photo.height);
        let background = self.background(step);
        let seen = self.see(&camera, background, self.config.sh_degree_at(step))?;
        let view = seen.view;
        self.prepare_average(step)?;
        let train = self.train_uniform(step, index, &view);
        let Passes { forward, backward, loss, optimizer, .. } = &self.passes;
        let queue = self.gpu.queue();
        forward.set_view(&self.gpu, &view, &seen);
        queue.write_buffer(&self.passes.train, 0, bytemuck::bytes_of(&train));
        queue.write_buffer(&loss.photo, 0, bytemuck::cast_slice(&photo.pixels));

        let mut timer = self.timer.take();
        let descriptor = wgpu::CommandEncoderDescriptor { label: Some("splat.train_step") };
        let mut encoder = self.gpu.device().create_command_encoder(&descriptor);
        forward.record_clear(&mut encoder);
        forward.record_rays(&mut encoder, seen.table.as_deref());
        if let Some(own_loss) = own_loss {
            let mut pass = Pass::begin(&mut encoder, None);
            forward.record(&self.kernels.forward, &mut pass, &view, seen.optics);
            drop(pass);
            let view_of_step =
                StepView { index, photo: Arc::clone(&photo), background, exposure: train.gain };
            let buffers = StepBuffers {
                view: &view_of_step,
                frame: &forward.frame,
                photo: &loss.photo,
                v_frame: &backward.v_frame,
                loss: &loss.report,
                uniforms: &view,
                counters: &forward.counters,
            };
            own_loss(&mut encoder, &buffers)?;
            record_counts(&mut encoder, &forward.counters, &loss.report);
            let mut pass = Pass::begin(&mut encoder, None);
            backward.record(&self.kernels.backward, &mut pass, forward, &view, seen.optics);
            optimizer.record(&self.kernels.optimizer, &mut pass);
            self.record_average(step, &mut pass);
        } else {
            let mut pass = Pass::begin(&mut encoder, timer.as_mut());
            forward.record(&self.kernels.forward, &mut pass, &view, seen.optics);
            loss.record(&self.kernels.loss, &mut pass, &view);
            backward.record(&self.kernels.backward, &mut pass, forward, &view, seen.optics);
            optimizer.record(&self.kernels.optimizer, &mut pass);
            self.record_average(step, &mut pass);
        }
        if let Some(timer) = &mut timer {
            timer.resolve(&mut encoder);
        }
        self.timer = timer;
        self.reports.submit(&self.gpu, encoder, &loss.report, step);
        self.gpu.check()?;
        Ok((photo.width, photo.height))
    }

    /// Waits for the oldest step in flight. If it had no room, everything after it changed nothing either:
    /// the buffers grow and the run goes back to it.
    fn collect_oldest(&mut self) -> Result<()> {
        let Some((step, report)) = self.reports.wait_for_oldest(&self.gpu)? else { return Ok(()) };
        if report.overflowed == 0 {
            self.last_loss = report.loss;
            return Ok(());
        }
        self.gpu.wait()?;
        self.reports.clear();
        self.next_step = step;
        self.rebuild(self.room_for(report.isects_needed))
    }

    /// Room for so many intersections and, as far as the GPU can bind it, for more.
    pub(super) fn room_for(&self, isects: u32) -> u32 {
        room_for(&self.gpu, &self.dataset, self.kernels.forward.switches, isects, 1).max(isects)
    }

    /// New working buffers for the Gaussians there are now. The large old ones are freed first: nothing in them is needed
    /// again, and old and new together would take twice the memory.
    pub(super) fn rebuild(&mut self, isects: u32) -> Result<()> {
        self.gpu.wait()?;
        self.passes.forward.release();
        self.passes.backward.release();
        self.passes =
            Passes::new(&self.gpu, &self.kernels, &self.gaussians, &self.moments, &self.dataset, isects)?;
        Ok(())
    }

    /// The renderer in force: that of the step done last, or of the first to do.
    #[must_use]
    pub fn renderer(&self) -> RendererKind {
        self.kernels.forward.switches.renderer
    }

    /// How many ray tables were worked out: one for each lens and image size that was trained at or drawn.
    #[must_use]
    pub fn ray_tables_computed(&self) -> u32 {
        self.rays.computed()
    }

    /// A camera as the kernels of this run see it now.
    pub(super) fn see(&self, camera: &LensCamera, background: [f32; 3], sh_degree: u32) -> Result<Seen> {
        let camera = self.frame.camera(camera);
        let mut seen = Seen::new(&self.gpu, self.renderer(), &self.rays, &camera, background)?;
        let view = &mut seen.view;
        view.near_world = self.frame.near();
        view.gaussian_count = self.gaussians.count;
        view.sh_stride = self.gaussians.sh_stride();
        view.sh_degree = sh_degree.min(self.gaussians.sh_degree);
        view.antialiased = u32::from(self.config.antialiased);
        view.isect_capacity = self.passes.forward.capacity.isects;
        Ok(seen)
    }
}

/// Room to begin with for `count` times `each` intersections: a guess that is too small costs a step run again, one that is too
/// large for a binding would end a run that fits.
fn room_for(gpu: &Gpu, dataset: &Dataset, switches: Switches, count: u32, each: u32) -> u32 {
    let rolling = switches.renderer == RendererKind::Gut && dataset.keeps_rolling_shutter();
    let slot_bytes = 4 * Switches { rolling, ..switches }.slot_floats();
    let most = gpu.report().max_binding_bytes.min(gpu.report().max_buffer_bytes) / slot_bytes;
    grown(count.saturating_mul(each)).min(u32::try_from(most).unwrap_or(u32::MAX))
}
