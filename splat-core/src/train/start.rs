//! The initial state of a run: Gaussians from seed points or from a scene, and what is determined once per run.

use std::sync::Arc;

use super::backdrop::Backdrop;
use super::config::TrainConfig;
use super::exposure::exposures;
use super::frame::SceneFrame;
use super::optimizer::Moments;
use super::photos::Photos;
use super::poses::Poses;
use super::seeds::seed_points;
use super::small_view::SmallView;
use crate::dataset::Dataset;
use crate::gaussians::{GaussianCloud, SeedOptions, thinned};
use crate::gpu::Gpu;
use crate::render::GaussianBuffers;
use crate::scene::{AlphaMode, SeedPoint};
use crate::{Error, Exposure, Result};

/// State of a new run before its first step, or of a resumed one before its next step.
pub(super) struct RunStart {
    pub(super) photos: Photos,
    /// Settings, with those that depend on the dataset filled in.
    pub(super) config: TrainConfig,
    /// Maximum number of Gaussians.
    pub(super) cap: u32,
    pub(super) frame: SceneFrame,
    pub(super) poses: Poses,
    /// Exposure of every view; empty: all as bright as the scene.
    pub(super) exposures: Vec<Exposure>,
    pub(super) gaussians: GaussianBuffers,
    pub(super) moments: Moments,
    pub(super) steps_done: u32,
}

/// What follows from dataset and settings.
struct Setup {
    photos: Photos,
    config: TrainConfig,
    cap: u32,
    frame: SceneFrame,
}

impl Setup {
    fn of(gpu: &Gpu, dataset: Arc<Dataset>, mut config: TrainConfig) -> Result<Self> {
        config.validate()?;
        config.renderer.get_or_insert(dataset.fitting_renderer());
        config.alpha_mode.get_or_insert_with(|| dataset.fitting_alpha());
        let photos = Photos::new(dataset, &config)?;
        let workload = photos.workload(&config)?;
        let cap = config
            .max_gaussians
            .unwrap_or_else(|| workload.default_gaussians(gpu.report(), crate::machine::available_memory()));
        let frame = SceneFrame::of(&photos.given);
        Ok(Self { photos, config, cap, frame })
    }

    /// Uploads the first Gaussians; all moments are zero.
    fn with(self, gpu: &Gpu, cloud: &GaussianCloud, exposures: Vec<Exposure>) -> Result<RunStart> {
        let Self { photos, config, cap, frame } = self;
        let gaussians = GaussianBuffers::upload(gpu, cloud)?;
        let moments = Moments::new(gpu, gaussians.count, gaussians.sh_stride())?;
        let poses = Poses::of(&photos.given, frame, config.poses);
        Ok(RunStart { photos, config, cap, frame, poses, exposures, gaussians, moments, steps_done: 0 })
    }
}

impl RunStart {
    /// See [`Trainer::new`](super::Trainer::new).
    pub(super) fn from_seed_points(gpu: &Gpu, dataset: Arc<Dataset>, config: TrainConfig) -> Result<Self> {
        let mut setup = Setup::of(gpu, dataset, config)?;
        let Setup { photos, config, cap, frame } = &mut setup;
        let views = SmallView::of_training_views(&photos.given, *frame)?;
        let points = seed_points(&photos.given, &views, *frame, config.seed_points.min(*cap), config.seed);
        let exposures = if config.exposure { exposures(&photos.given, &views, &points) } else { Vec::new() };
        let behind = backdrop(&photos.given, &views, *frame, config, *cap);
        let mut points = thinned(points, *cap as usize - behind.points.len(), config.seed);
        points.extend(&behind.points);
        let options = SeedOptions {
            sh_degree: config.sh_degree,
            opacity: config.initial_opacity,
            scale: config.initial_scale,
        };
        let mut cloud = GaussianCloud::from_seed_points(&points, &options);
        behind.shape(&mut cloud, config.initial_scale);
        setup.with(gpu, &cloud, exposures)
    }

    /// See [`Trainer::from_scene`](super::Trainer::from_scene).
    pub(super) fn from_scene(
        gpu: &Gpu,
        dataset: Arc<Dataset>,
        config: TrainConfig,
        mut cloud: GaussianCloud,
        origin: [f64; 3],
    ) -> Result<Self> {
        let mut setup = Setup::of(gpu, dataset, config)?;
        cloud.retain_finite()?;
        if cloud.is_empty() {
            return Err(Error::Cloud { why: "it is empty; start with a scene that holds Gaussians".into() });
        }
        cloud.keep_most_visible(setup.cap as usize);
        setup.config.coarse_until.clear();
        // What the scene lacks, a random background would fill with veils.
        setup.config.backdrop.get_or_insert(false);
        if cloud.sh_degree > 0 {
            setup.config.sh_degree_every = 0;
        }
        let Setup { photos, config, frame, .. } = &setup;
        let cloud = frame.to_frame(cloud.with_sh_degree(config.sh_degree), origin);
        let exposures = if config.exposure {
            let views = SmallView::of_training_views(&photos.given, *frame)?;
            let points =
                cloud.means.iter().map(|mean| SeedPoint { position: mean.map(f64::from), rgb: [0; 3] });
            exposures(&photos.given, &views, &points.collect::<Vec<_>>())
        } else {
            Vec::new()
        };
        setup.with(gpu, &cloud, exposures)
    }
}

/// What stands behind everything, maybe nothing; sets [`TrainConfig::backdrop`] to whether there is something.
fn backdrop(
    dataset: &Dataset,
    views: &[SmallView],
    frame: SceneFrame,
    config: &mut TrainConfig,
    cap: u32,
) -> Backdrop {
    let wanted = config.backdrop != Some(false) && config.alpha() == AlphaMode::Mask;
    let found = wanted.then(|| {
        let points: Vec<SeedPoint> = dataset.scene.points.iter().map(|point| frame.point(point)).collect();
        Backdrop::of(views, &points, frame, config.background)
    });
    // Leaving some out would leave gaps, which are worse than no backdrop.
    let found = found.flatten().filter(|found| found.points.len() <= cap as usize / 4);
    config.backdrop = Some(found.is_some());
    found.unwrap_or_default()
}
