//! What the user chooses about a COLMAP run, and what each choice costs and loses.

use std::path::PathBuf;
use std::time::Duration;

use splat_core::LensModel;
use splat_core::pipeline::Preset;

/// How much work COLMAP does.
///
/// On a CPU, comparing features takes most of the time: it grows with the square of the features a
/// photo has and with the number of pairs. Measured on 49 photos of 960x720 (1,176 pairs) with COLMAP
/// 3.8 on a CPU, in CPU seconds (about half of that passes on two quiet cores):
///
/// | quality | finding + comparing + mapping | registered | points | error |
/// | --- | --- | --- | --- | --- |
/// | low | 11 + 96 + 9 | 48 of 49 | 2,904 | 0.93 px |
/// | medium | 38 + 277 + 15 | 48 of 49 | 5,228 | 0.83 px |
///
/// Those photos have no more than some 1,500 features each, so that high and extreme find hardly
/// more than medium there. Photos with more texture or pixels cost up to four times more from each
/// quality to the next.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ColmapQuality {
    /// 1,000 pixels, about 1,000 features, none smaller than the photo's own pixels show: a third of
    /// medium's time. Loses half of the points, a tenth of the accuracy, and photos of places with
    /// little texture: of 16 photos of a banana on a table it places 7. Where it places less than 60 % of
    /// a small set, [`ColmapQuality::High`] is tried, which places 14 of those.
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

    pub(super) fn settings(self) -> QualitySettings {
        match self {
            Self::Low => {
                QualitySettings { max_image_size: 1000, max_features: 1024, first_octave: 0, overlap: 8 }
            }
            Self::Medium => {
                QualitySettings { max_image_size: 1600, max_features: 2048, first_octave: -1, overlap: 10 }
            }
            Self::High => {
                QualitySettings { max_image_size: 2400, max_features: 4096, first_octave: -1, overlap: 15 }
            }
            Self::Extreme => {
                QualitySettings { max_image_size: 3200, max_features: 8192, first_octave: -1, overlap: 20 }
            }
        }
    }
}

impl From<Preset> for ColmapQuality {
    fn from(preset: Preset) -> Self {
        match preset {
            Preset::Preview => Self::Low,
            Preset::High => Self::High,
            // `Standard`, and what later releases may add between.
            _ => Self::Medium,
        }
    }
}

/// COLMAP's own knobs behind a [`ColmapQuality`].
#[derive(Clone, Copy, Debug)]
pub(super) struct QualitySettings {
    /// Longer side, in pixels, at which features are sought.
    pub(super) max_image_size: u32,
    /// Features kept per photo, largest first. Matching time grows with the square.
    pub(super) max_features: u32,
    /// 0 starts at the photo's own resolution, -1 at twice that: four times the work for the
    /// smallest features.
    pub(super) first_octave: i32,
    /// Neighbours in order that sequential matching compares.
    pub(super) overlap: u32,
}

/// Which pairs of photos are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Matcher {
    /// All pairs up to [`Matcher::EXHAUSTIVE_PHOTOS`] photos, and up to
    /// [`Matcher::UNORDERED_PHOTOS`] if names do not count up as those of frames and of one camera do;
    /// sequential beyond.
    #[default]
    Auto,
    /// All pairs: the most reliable; time grows with the square of the photos.
    Exhaustive,
    /// Each photo with its next ones by name, with ones at 2, 4, 8 ... places, and loops closed by
    /// comparing all pairs of some 30 photos spread evenly. For videos and walks taken in order.
    Sequential,
}

impl Matcher {
    /// Sets up to this size are compared exhaustively by [`Matcher::Auto`]: 1,770 pairs.
    pub const EXHAUSTIVE_PHOTOS: usize = 60;
    /// Unordered sets up to this size are compared exhaustively by [`Matcher::Auto`]: 44,850 pairs.
    pub const UNORDERED_PHOTOS: usize = 300;
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
            use_gpu: true,
            own_group: true,
        }
    }
}
