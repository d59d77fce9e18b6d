//! What the user chooses about a COLMAP run, and what each choice costs and loses.

use std::path::PathBuf;
use std::time::Duration;

use splat_core::LensModel;
use splat_core::pipeline::Preset;

/// How much work COLMAP does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ColmapQuality {
    /// MEASURED
    Low,
    /// MEASURED
    #[default]
    Medium,
    /// MEASURED
    High,
    /// MEASURED
    Extreme,
}

impl ColmapQuality {
    /// All qualities, fastest first.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Extreme];

    pub(super) fn settings(self) -> QualitySettings {
        match self {
            Self::Low => {
                QualitySettings { max_image_size: 1000, max_features: 1024, first_octave: 0, overlap: 8 }
            }
            Self::Medium => {
                QualitySettings { max_image_size: 1600, max_features: 2048, first_octave: 0, overlap: 10 }
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

/// How photos are posed.
#[derive(Clone, Debug)]
pub struct ColmapOptions {
    /// The program; `None` takes `SPLAT_COLMAP`, then `colmap` on PATH.
    pub binary: Option<PathBuf>,
    /// How much work is done.
    pub quality: ColmapQuality,
    /// Which pairs are compared.
    pub matcher: Matcher,
    /// Camera model for the photos; `None` takes OPENCV for cameras with ten photos or more, and
    /// SIMPLE_RADIAL, which fewer can calibrate.
    pub camera_model: Option<LensModel>,
    /// Longest that one stage may take; `None` for no limit.
    pub stage_timeout: Option<Duration>,
    /// Whether stages that an earlier run finished with the same photos and options are skipped.
    pub resume: bool,
    /// Down-scaled copies to write besides `images`: 2 writes `images_2`.
    pub downscales: Vec<u32>,
    /// Whether a CUDA build may use its GPU.
    pub use_gpu: bool,
}

impl Default for ColmapOptions {
    fn default() -> Self {
        Self {
            binary: None,
            quality: ColmapQuality::default(),
            matcher: Matcher::default(),
            camera_model: None,
            stage_timeout: Some(Duration::from_secs(4 * 60 * 60)),
            resume: true,
            downscales: vec![2],
            use_gpu: true,
        }
    }
}
