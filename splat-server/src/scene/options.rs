//! The options of a scene, each said once: read by `splat run` and `splat train`, HTTP, its OpenAPI document, the page and jobs.
//!
//! To add one, add it to this list and use it in `apply.rs`.

use splat_colmap::{ColmapQuality, Matcher, MatcherEngine};
use splat_core::RendererKind;
use splat_core::pipeline::Preset;
use splat_core::scene::AlphaMode;
use splat_core::train::{PoseMode, Strategy, TrainConfig};

use super::option::{Part, SceneOption, scene_options};
use super::{Faults, MAX_NAME_CHARS};

/// Steps that a client may ask for.
const MAX_STEPS: u64 = 200_000;
/// Longest time that a client may give a scene, seconds: a week.
const MAX_BUDGET_S: u64 = 7 * 24 * 3600;
/// Gaussians that a client may ask for; what the GPU's memory holds is a second limit.
const MAX_GAUSSIANS: u64 = 20_000_000;
/// Whole numbers that a field of 32 bits holds.
const MAX_U32: u64 = u32::MAX as u64;

scene_options! {
    /// A title for people
    name: String = SceneOption::text(MAX_NAME_CHARS).part(Part::Job);
    /// Steps, resolution and COLMAP quality together
    preset: Preset = SceneOption::word(&Preset::WORDS).value("PRESET").part(Part::Effort)
        .default("standard, with a budget what fits it");
    /// Training steps; every schedule scales with them
    steps as "iterations" or "steps": u32 = SceneOption::whole(1..=10_000_000).served(1..=MAX_STEPS)
        .default("the preset's");
    /// The best scene within this time, from the start of the work to its end, in as many steps as fit
    budget as "budget_s": u32 = SceneOption::seconds(1..=MAX_U32).served(1..=MAX_BUDGET_S).value("TIME")
        .part(Part::Effort).excludes(&["steps"]);
    /// How hard COLMAP looks for features
    quality: ColmapQuality = SceneOption::word(&ColmapQuality::WORDS).value("QUALITY").part(Part::Colmap)
        .default("the preset's");
    /// How Gaussians are added and removed
    strategy: Strategy = SceneOption::word(&Strategy::WORDS).value("STRATEGY")
        .default(Strategy::default().name());
    /// How Gaussians are drawn in training
    renderer: RendererKind = SceneOption::word(&RendererKind::WORDS).value("RENDERER")
        .default("ewa; where a lens distorts and photos are used as they were taken, 3dgut");
    /// Train on the photos as they were taken, through their own lenses, instead of undistorting them (needs 3dgut)
    keep_distortion: bool = SceneOption::switch().part(Part::Photos);
    /// Which photos are compared
    matcher: Matcher = SceneOption::word(&Matcher::WORDS).value("MATCHER").part(Part::Colmap)
        .default(Matcher::default().name());
    /// Who compares features
    matcher_engine: MatcherEngine = SceneOption::word(&MatcherEngine::WORDS).value("ENGINE").part(Part::Colmap)
        .default(MatcherEngine::default().name());
    /// Decides every random choice
    seed: u64 = SceneOption::whole(0..=u64::MAX).served(0..=MAX_U32).default(0);
    /// Longest side of a training photo in pixels; larger ones are scaled down
    max_image_size: u32 = SceneOption::whole(16..=MAX_U32).served(64..=16_384).value("PIXELS")
        .part(Part::Photos).default("the preset's");
    /// Divide the photos' width and height by this
    downscale: u32 = SceneOption::whole(1..=64).part(Part::Photos).excludes(&["max_image_size"]);
    /// What alpha channels mean: pixels to leave out of training, or transparency that the scene learns
    alpha: Alpha = SceneOption::word(&Alpha::WORDS).value("ALPHA").part(Part::Photos).default(Alpha::Auto.name());
    /// Hold out every n-th photo by name for PSNR and SSIM; 0 trains on all
    holdout_every: u32 = SceneOption::whole(0..=MAX_U32).served(0..=10_000).part(Part::Photos)
        .default("the dataset's own split, else 8");
    /// Most Gaussians to have
    max_gaussians: u32 = SceneOption::whole(1..=MAX_U32).served(1..=MAX_GAUSSIANS).default("what memory holds");
    /// Start with at least so many Gaussians: where the dataset has fewer points, the rest begin where photos agree
    seed_points: u32 = SceneOption::whole(0..=MAX_U32).served(0..=MAX_GAUSSIANS)
        .default(TrainConfig::default().seed_points);
    /// With adc, add Gaussians where the mean gradient is larger than this; less makes more Gaussians
    grow_gradient: f32 = SceneOption::decimal(0.0..=1e6).value("GRADIENT")
        .default(TrainConfig::default().densify.grow_gradient);
    /// Degree of the view-dependent colour
    sh_degree: u32 = SceneOption::whole(0..=3).value("0..3").default(TrainConfig::default().sh_degree);
    /// Photos of different brightness or white balance
    exposure: Exposure = SceneOption::word(&Exposure::WORDS).value("EXPOSURE").default(Exposure::Auto.name());
    /// What becomes of the cameras' poses while training
    poses: PoseMode = SceneOption::word(&PoseMode::WORDS).value("POSES").default(PoseMode::default().name());
    /// After 3dgut, train so many of the last steps with ewa, so that ordinary viewers show what was trained; with distortion kept, on
    /// undistorted photos
    finish_ewa: u32 = SceneOption::whole(0..=MAX_U32).served(0..=MAX_STEPS).value("STEPS").default(0);
    /// Draw no Gaussian smaller than this variance, in square pixels of the nearest photo; 0 for none
    scale_floor: f32 = SceneOption::decimal(0.0..=100.0).value("PX2").default("0.2 with 3dgut, 0 with ewa");
    /// Train every step at full size instead of coarse to fine
    full_size: bool = SceneOption::switch();
    /// Where a signed message goes when the job has ended
    webhook: String = SceneOption::text(crate::webhook::MAX_URL_CHARS).part(Part::Job);
    /// Faults to act out; taken in test mode only
    test: Faults = SceneOption::object("Faults").part(Part::Job);
}

/// What alpha channels mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Alpha {
    /// As the dataset says.
    Auto,
    /// Pixels to leave out.
    Mask,
    /// Transparency that the scene learns.
    Transparent,
}

splat_core::words! { Alpha:
    Auto = "auto", "Transparent in photos whose background is cut out and in Blender's renders, else mask";
    Mask = "mask", "Pixels with alpha below one half are not compared";
    Transparent = "transparent", "What is transparent in the photos is to be empty in the scene: for photos with the background cut out";
}

impl Alpha {
    /// `None`: as the dataset says.
    #[must_use]
    pub fn mode(self) -> Option<AlphaMode> {
        match self {
            Self::Auto => None,
            Self::Mask => Some(AlphaMode::Mask),
            Self::Transparent => Some(AlphaMode::Transparent),
        }
    }
}

/// What is done about photos of different brightness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exposure {
    /// Compensate for it where photos differ.
    Auto,
    /// Photos are taken as they are.
    Off,
}

splat_core::words! { Exposure:
    Auto = "auto", "Train in their mean brightness and compare each photo with the render in its own, where they differ";
    Off = "off", "Take photos as they are";
}
