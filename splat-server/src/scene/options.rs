//! The list of options of a scene, used by `splat run` and `splat train`, HTTP, its OpenAPI document, the page and stored jobs.
//!
//! To add one, add it to this list and use it in `apply.rs`.

use splat_colmap::{ColmapQuality, Matcher, MatcherEngine};
use splat_core::RendererKind;
use splat_core::pipeline::Preset;
use splat_core::scene::AlphaMode;
use splat_core::train::{PoseMode, Strategy, TrainConfig};

use super::option::{Part, SceneOption, scene_options};
use super::{Faults, MAX_NAME_CHARS};

/// Maximum steps for clients of the service.
const MAX_STEPS: u64 = 200_000;
/// Maximum time budget for clients of the service, in seconds: a week.
const MAX_BUDGET_S: u64 = 7 * 24 * 3600;
/// Maximum Gaussians for clients of the service; the GPU's memory is a second limit.
const MAX_GAUSSIANS: u64 = 20_000_000;
/// Maximum of a 32-bit field.
const MAX_U32: u64 = u32::MAX as u64;

scene_options! {
    /// Title for display
    name: String = SceneOption::text(MAX_NAME_CHARS).part(Part::Job);
    /// Steps, resolution and COLMAP quality together
    preset: Preset = SceneOption::word(&Preset::WORDS).value("PRESET").part(Part::Effort)
        .default("standard, with a budget what fits it");
    /// Training steps; every schedule scales with them
    steps as "iterations" or "steps": u32 = SceneOption::whole(1..=10_000_000).served(1..=MAX_STEPS)
        .default("the preset's");
    /// Time limit for the whole scene: the best result within it, in as many steps as fit
    budget as "budget_s": u32 = SceneOption::seconds(1..=MAX_U32).served(1..=MAX_BUDGET_S).value("TIME")
        .part(Part::Effort).excludes(&["steps"]);
    /// How thoroughly COLMAP searches for features
    quality: ColmapQuality = SceneOption::word(&ColmapQuality::WORDS).value("QUALITY").part(Part::Colmap)
        .default("the preset's");
    /// How Gaussians are added and removed
    strategy: Strategy = SceneOption::word(&Strategy::WORDS).value("STRATEGY")
        .default(Strategy::default().name());
    /// How Gaussians are rendered in training
    renderer: RendererKind = SceneOption::word(&RendererKind::WORDS).value("RENDERER")
        .default("ewa; where a lens distorts and photos are used as they were taken, 3dgut");
    /// Train on the original photos through their own lenses, instead of undistorting them (needs 3dgut)
    keep_distortion: bool = SceneOption::switch().part(Part::Photos);
    /// Which pairs of photos are matched
    matcher: Matcher = SceneOption::word(&Matcher::WORDS).value("MATCHER").part(Part::Colmap)
        .default(Matcher::default().name());
    /// What matches features
    matcher_engine: MatcherEngine = SceneOption::word(&MatcherEngine::WORDS).value("ENGINE").part(Part::Colmap)
        .default(MatcherEngine::default().name());
    /// Seed of all random choices
    seed: u64 = SceneOption::whole(0..=u64::MAX).served(0..=MAX_U32).default(0);
    /// Longest side of a training photo in pixels; larger ones are scaled down
    max_image_size: u32 = SceneOption::whole(16..=MAX_U32).served(64..=16_384).value("PIXELS")
        .part(Part::Photos).default("the preset's");
    /// Divide the photos' width and height by this
    downscale: u32 = SceneOption::whole(1..=64).part(Part::Photos).excludes(&["max_image_size"]);
    /// Meaning of alpha channels: pixels to leave out of training, or transparency that the scene learns
    alpha: Alpha = SceneOption::word(&Alpha::WORDS).value("ALPHA").part(Part::Photos).default(Alpha::Auto.name());
    /// Hold out every n-th photo by name for PSNR and SSIM; 0 trains on all
    holdout_every: u32 = SceneOption::whole(0..=MAX_U32).served(0..=10_000).part(Part::Photos)
        .default("the dataset's own split, else 8");
    /// Maximum number of Gaussians
    max_gaussians: u32 = SceneOption::whole(1..=MAX_U32).served(1..=MAX_GAUSSIANS).default("what memory holds");
    /// Minimum number of initial Gaussians: if the dataset has fewer points, the others start where photos agree
    seed_points: u32 = SceneOption::whole(0..=MAX_U32).served(0..=MAX_GAUSSIANS)
        .default(TrainConfig::default().seed_points);
    /// With adc, add Gaussians where the mean gradient is larger than this; less makes more Gaussians
    grow_gradient: f32 = SceneOption::decimal(0.0..=1e6).value("GRADIENT")
        .default(TrainConfig::default().densify.grow_gradient);
    /// Degree of the spherical harmonics for view-dependent colour
    sh_degree: u32 = SceneOption::whole(0..=3).value("0..3").default(TrainConfig::default().sh_degree);
    /// Compensation for vignettes and for different brightness or white balance of photos
    exposure: Exposure = SceneOption::word(&Exposure::WORDS).value("EXPOSURE").default(Exposure::Auto.name());
    /// Gaussians far behind the scene: the sky, and whatever else photos show that has no points
    backdrop: Backdrop = SceneOption::word(&Backdrop::WORDS).value("BACKDROP").default(Backdrop::Auto.name());
    /// What to do with the cameras' poses during training
    poses: PoseMode = SceneOption::word(&PoseMode::WORDS).value("POSES").default(PoseMode::default().name());
    /// After 3dgut, train this many of the last steps with ewa, so that ordinary viewers show what was trained; with distortion
    /// kept, on undistorted photos
    finish_ewa: u32 = SceneOption::whole(0..=MAX_U32).served(0..=MAX_STEPS).value("STEPS").default(0);
    /// Minimum variance of a rendered Gaussian, in square pixels of the nearest photo; 0 for none
    scale_floor: f32 = SceneOption::decimal(0.0..=100.0).value("PX2").default("0.2 with 3dgut, 0 with ewa");
    /// Train every step at full size instead of coarse to fine
    full_size: bool = SceneOption::switch();
    /// URL to which a signed message is sent when the job has ended
    webhook: String = SceneOption::text(crate::webhook::MAX_URL_CHARS).part(Part::Job);
    /// Simulated faults; accepted in test mode only
    test: Faults = SceneOption::object("Faults").part(Part::Job);
}

splat_core::words! {
    /// Meaning of alpha channels.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Alpha {
        Auto = "auto", "Transparent in photos whose background is cut out and in Blender's renders, else mask";
        Mask = "mask", "Pixels with alpha below one half are not compared";
        Transparent = "transparent", "What is transparent in the photos is to be empty in the scene: for photos with the background cut out";
    }
}

impl Alpha {
    /// `None`: as given by the dataset.
    #[must_use]
    pub fn mode(self) -> Option<AlphaMode> {
        match self {
            Self::Auto => None,
            Self::Mask => Some(AlphaMode::Mask),
            Self::Transparent => Some(AlphaMode::Transparent),
        }
    }
}

splat_core::words! {
    /// Compensation for different brightness of photos.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Exposure {
        Auto = "auto", "Train in their mean brightness, without vignettes, and compare each photo with the render in its own, where they differ";
        Off = "off", "Take photos as they are";
    }
}

splat_core::words! {
    /// Gaussians far behind the scene.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Backdrop {
        Auto = "auto", "In every direction that photos show, unless they are transparent, mostly masked or black there";
        Off = "off", "None: where photos show no scene, there is nothing";
    }
}
