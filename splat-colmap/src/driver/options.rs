//! Options of a COLMAP run, and their cost.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use splat_core::LensModel;
use splat_core::descriptors::CompareDescriptors;

splat_core::words! {
    /// Trade-off between time and completeness.
    ///
    /// Feature extraction takes most of the time on a CPU, four times as much if it starts at twice the photo's resolution (every
    /// quality but the lowest). Matching takes 2 processor nanoseconds per pair of features, so it grows with the square of the number
    /// of features per photo and with the number of pairs. Photos that get no pose are tried once more with more features
    /// ([`ColmapOptions::try_again`]), which costs as much as [`ColmapQuality::High`] for those photos alone. Features that a higher
    /// quality would find alike are kept when the quality is raised.
    ///
    /// [`ColmapQuality::Low`] accepts faint features as well, but none smaller than the photo's own pixels show, unless it has at most
    /// 600 of them a side. It loses half of the points and a tenth of the accuracy; where it places less than 60 % of a small set even
    /// with a second try, [`ColmapQuality::High`] is tried.
    #[derive(
        Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
    )]
    #[serde(rename_all = "snake_case")]
    #[non_exhaustive]
    pub enum ColmapQuality {
        Low = "low", "Photos at most 1,200 pixels, up to 2,000 features each";
        #[default]
        Medium = "medium", "1,600 pixels, about 2,000 features, looked for at twice the resolution";
        High = "high", "2,400 pixels, about 4,000 features: for fine texture or little overlap";
        Extreme = "extreme", "3,200 pixels, about 8,000 features: COLMAP's own defaults";
    }
}

impl ColmapQuality {
    pub(super) fn settings(self) -> FeatureSettings {
        let (max_image_size, max_features, first_octave) = match self {
            Self::Low => (1200, 2048, 0),
            Self::Medium => (1600, 2048, -1),
            Self::High => (2400, 4096, -1),
            Self::Extreme => (3200, 8192, -1),
        };
        // Without the smallest features there is room for faint ones, which are found in the same time: of 49 photos at 960x720 half as
        // many again a photo, and 391 verified pairs with 45,570 matches for 343 with 31,651.
        FeatureSettings { max_image_size, max_features, first_octave, faint: self == Self::Low }
    }

    /// Number of neighbours in sequential matching.
    pub(super) fn overlap(self) -> u32 {
        match self {
            Self::Low => 8,
            Self::Medium => 10,
            Self::High => 15,
            Self::Extreme => 20,
        }
    }
}

/// Feature extraction settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub(super) struct FeatureSettings {
    /// Longer side, in pixels, to which photos are scaled for extraction.
    pub(super) max_image_size: u32,
    /// Maximum number of features per photo; the largest are kept. Matching time grows with the square.
    pub(super) max_features: u32,
    /// 0 starts at the photo's own resolution, -1 at twice that: four times the work for the
    /// smallest features.
    pub(super) first_octave: i32,
    /// Whether features of half the usual contrast are accepted.
    pub(super) faint: bool,
}

impl FeatureSettings {
    /// For a photo whose longer side has `side_px` pixels: one that at twice its resolution is no larger than what is looked at anyway is
    /// looked at so. At its own, a small photo has too few features to be found again.
    pub(super) fn of_side(self, side_px: u32) -> Self {
        let small = side_px.saturating_mul(2) <= self.max_image_size;
        Self { first_octave: if small { -1 } else { self.first_octave }, ..self }
    }

    /// For photos with too few features.
    pub(super) fn more(self) -> Self {
        Self {
            max_image_size: self.max_image_size.max(2400),
            max_features: self.max_features.max(8192),
            first_octave: -1,
            faint: true,
        }
    }
}

splat_core::words! {
    /// Selection of the pairs of photos to match.
    ///
    /// [`Matcher::Auto`] compares all pairs if that takes no more than [`Matcher::EXHAUSTIVE_PRODUCTS`] products of descriptors: time
    /// grows with the square of the number of photos. [`Matcher::Preselection`] counts the matches between the largest 512 features of
    /// one photo and all of the other; beyond 32 per photo it takes pairs only while no more than a quarter of all pairs are chosen.
    /// [`Matcher::Sequential`] pairs each photo with its next ones by name, with ones at 2, 4, 8 ... places, and closes loops by comparing
    /// all pairs of some 30 photos spread evenly.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "snake_case")]
    #[non_exhaustive]
    pub enum Matcher {
        #[default]
        Auto = "auto", "All pairs while that is cheap, then preselection";
        Exhaustive = "exhaustive", "Every pair: most reliable, slow beyond 150 photos";
        Preselection = "preselection", "Each photo with the 32 to 64 whose largest features resemble its own, and its neighbours by name and GPS";
        Sequential = "sequential", "Neighbours by file name: for videos and walks taken in order";
    }
}

impl Matcher {
    /// Maximum number of descriptor products for which [`Matcher::Auto`] matches all pairs: 100 processor seconds at 2 nanoseconds each,
    /// for 160 photos with 2,000 features or 80 with 4,000.
    pub const EXHAUSTIVE_PRODUCTS: u64 = 50_000_000_000;
}

splat_core::words! {
    /// The program that matches features. This program multiplies descriptors in integers, which gives the same matches on every machine.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "snake_case")]
    #[non_exhaustive]
    pub enum MatcherEngine {
        #[default]
        Auto = "auto", "COLMAP where it has a CUDA GPU, else splat";
        Splat = "splat", "In this program, on the GPU or all cores: exact, and several times as fast as COLMAP on a CPU";
        Colmap = "colmap", "In COLMAP: approximate on a CPU";
    }
}

/// Options for posing photos.
#[derive(Clone, Debug)]
pub struct ColmapOptions {
    /// The program; `None` takes `SPLAT_COLMAP`, then `colmap` on PATH.
    pub binary: Option<PathBuf>,
    /// Quality.
    pub quality: ColmapQuality,
    /// Selection of pairs.
    pub matcher: Matcher,
    /// The program that matches features; COLMAP verifies the matches in any case.
    pub matcher_engine: MatcherEngine,
    /// What compares features where this program matches them, such as [`splat_core::gpu::GpuDescriptors`] on a GPU; `None` for the
    /// processor. Matches are the same.
    pub comparer: Option<Arc<dyn CompareDescriptors>>,
    /// Camera model for the photos; `None` takes OPENCV for cameras with ten photos or more, and
    /// SIMPLE_RADIAL, which fewer can calibrate.
    pub camera_model: Option<LensModel>,
    /// Time limit per stage; `None` for no limit.
    pub stage_timeout: Option<Duration>,
    /// Skip stages that an earlier run finished with the same photos and options.
    pub resume: bool,
    /// Downscaled copies to write besides `images`: 2 writes `images_2`.
    pub downscales: Vec<u32>,
    /// Try [`ColmapQuality::High`] if less than 60 % of up to 30 photos get a pose.
    pub raise_quality: bool,
    /// Try photos without a pose once more, with more features for them only.
    pub try_again: bool,
    /// Allow a CUDA build to use its GPU.
    pub use_gpu: bool,
    /// Run COLMAP in its own process group, so that a terminal's Ctrl-C does not reach it and it is ended with all its descendants. Set
    /// to `false` if the caller itself, with COLMAP, is ended by its group.
    pub own_group: bool,
}

impl Default for ColmapOptions {
    fn default() -> Self {
        Self {
            binary: None,
            quality: ColmapQuality::default(),
            matcher: Matcher::default(),
            matcher_engine: MatcherEngine::default(),
            comparer: None,
            camera_model: None,
            stage_timeout: Some(Duration::from_secs(4 * 60 * 60)),
            resume: true,
            downscales: vec![2],
            raise_quality: true,
            try_again: true,
            use_gpu: true,
            own_group: true,
        }
    }
}
