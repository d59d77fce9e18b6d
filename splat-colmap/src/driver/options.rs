//! What the user chooses about a COLMAP run, and what each choice costs and loses.

use std::path::PathBuf;
use std::time::Duration;

use splat_core::LensModel;

/// How much work COLMAP does.
///
/// Finding features takes most of the time on a CPU, four times as much where they are sought at twice the photo's resolution
/// (every quality but the lowest). Comparing takes 2 processor nanoseconds a pair of features, so it grows with the square of
/// the features a photo has and with the number of pairs. Whatever a quality leaves out is tried once more with more features
/// ([`ColmapOptions::try_again`]), which costs as much as [`ColmapQuality::High`] for those photos alone. Features that a
/// higher quality would find alike are kept when the quality is raised.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ColmapQuality {
    /// 1,200 pixels, up to 2,000 features, faint ones as well; none smaller than the photo's own pixels show, unless it has at most 600 of them a side. Loses
    /// half of the points and a tenth of the accuracy. Where it places less than 60 % of a small set even with a second try, [`ColmapQuality::High`] is tried.
    Low,
    /// 1,600 pixels, about 2,000 features, found at twice the resolution.
    #[default]
    Medium,
    /// 2,400 pixels, about 4,000 features. For photos with much fine texture or little overlap.
    High,
    /// 3,200 pixels, about 8,000 features: COLMAP's own defaults.
    Extreme,
}

impl ColmapQuality {
    /// All qualities, fastest first.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Extreme];

    /// The quality of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|quality| quality.name() == name)
    }

    /// The name users type.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Extreme => "extreme",
        }
    }

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

    /// Neighbours in order that sequential matching compares.
    pub(super) fn overlap(self) -> u32 {
        match self {
            Self::Low => 8,
            Self::Medium => 10,
            Self::High => 15,
            Self::Extreme => 20,
        }
    }
}

/// How COLMAP looks for features in a photo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub(super) struct FeatureSettings {
    /// Longer side, in pixels, at which features are sought.
    pub(super) max_image_size: u32,
    /// Features kept per photo, largest first. Matching time grows with the square.
    pub(super) max_features: u32,
    /// 0 starts at the photo's own resolution, -1 at twice that: four times the work for the
    /// smallest features.
    pub(super) first_octave: i32,
    /// Whether features of half the usual contrast are taken, too.
    pub(super) faint: bool,
}

impl FeatureSettings {
    /// For a photo whose longer side has `side_px` pixels: one that at twice its resolution is no larger than what is looked at anyway is
    /// looked at so. At its own, a small photo has too few features to be found again.
    pub(super) fn of_side(self, side_px: u32) -> Self {
        let small = side_px.saturating_mul(2) <= self.max_image_size;
        Self { first_octave: if small { -1 } else { self.first_octave }, ..self }
    }

    /// For photos that too little was found in.
    pub(super) fn more(self) -> Self {
        Self {
            max_image_size: self.max_image_size.max(2400),
            max_features: self.max_features.max(8192),
            first_octave: -1,
            faint: true,
        }
    }
}

/// Which pairs of photos are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Matcher {
    /// All pairs as long as that takes no more than [`Matcher::EXHAUSTIVE_PRODUCTS`] products of descriptors, preselection
    /// beyond.
    #[default]
    Auto,
    /// All pairs: the most reliable; time grows with the square of the photos.
    Exhaustive,
    /// Each photo with the 32 that it shares most with, as far as the largest 512 features of one and all of the other tell,
    /// with the next ones by name, and with the nearest ones by GPS.
    Preselection,
    /// Each photo with its next ones by name, with ones at 2, 4, 8 ... places, and loops closed by
    /// comparing all pairs of some 30 photos spread evenly. For videos and walks taken in order.
    Sequential,
}

impl Matcher {
    /// Products of two descriptors that [`Matcher::Auto`] takes for cheap: 100 processor seconds at 2 nanoseconds each, those of
    /// 160 photos with 2,000 features, or of 80 with 4,000.
    pub const EXHAUSTIVE_PRODUCTS: u64 = 50_000_000_000;
}

/// Who compares features.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MatcherEngine {
    /// COLMAP where it may use a CUDA GPU, else this program.
    #[default]
    Auto,
    /// This program: all products of descriptors, in integers, on all cores. The same matches on every machine.
    Splat,
    /// COLMAP: on a CPU by an approximate search.
    Colmap,
}

/// How photos are posed.
#[derive(Clone, Debug)]
pub struct ColmapOptions {
    /// The program; `None` takes `SPLAT_COLMAP`, then `colmap` on PATH.
    pub binary: Option<PathBuf>,
    /// How much work is done.
    pub quality: ColmapQuality,
    /// Which pairs are compared.
    pub matcher: Matcher,
    /// Who compares them; COLMAP verifies the matches in any case.
    pub matcher_engine: MatcherEngine,
    /// Camera model for the photos; `None` takes OPENCV for cameras with ten photos or more, and
    /// SIMPLE_RADIAL, which fewer can calibrate.
    pub camera_model: Option<LensModel>,
    /// Longest that one stage may take; `None` for no limit.
    pub stage_timeout: Option<Duration>,
    /// Whether stages that an earlier run finished with the same photos and options are skipped.
    pub resume: bool,
    /// Down-scaled copies to write besides `images`: 2 writes `images_2`.
    pub downscales: Vec<u32>,
    /// Whether a set of up to 30 photos, of which less than 60 % can be placed, is tried once more
    /// at [`ColmapQuality::High`].
    pub raise_quality: bool,
    /// Whether photos that are left out are tried once more, with more features for them alone.
    pub try_again: bool,
    /// Whether a CUDA build may use its GPU.
    pub use_gpu: bool,
    /// Whether COLMAP runs in a process group of its own, so that a terminal's Ctrl-C does not reach it and all that it
    /// started ends with it. A caller that is ended by its group, and COLMAP with it, wants `false`.
    pub own_group: bool,
}

impl Default for ColmapOptions {
    fn default() -> Self {
        Self {
            binary: None,
            quality: ColmapQuality::default(),
            matcher: Matcher::default(),
            matcher_engine: MatcherEngine::default(),
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
