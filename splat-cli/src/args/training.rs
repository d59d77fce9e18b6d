//! Options of the commands that make scenes: `run`, `colmap`, `train`, `demo`.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum, ValueHint};
use splat_core::formats::Format;
use splat_core::pipeline::Preset;
use splat_core::train::{AlphaMode, TrainConfig};

/// `splat run`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  splat run photos/ -o out
  splat run photos/ -o out --preset preview
  splat run photos/ -o out --budget 10m        the best scene in ten minutes
  splat run photos/ -o out --resume            go on after Ctrl-C or a crash
  splat run walk.mp4 -o out                    sharp frames of a video, where ffmpeg is installed; or a zip of photos

OUT gets:
  ply/point_cloud_<last step>.ply   the scene, for any 3DGS viewer
  eval/*.png                        held-out photo | render, side by side
  metrics.json  cameras.json  log.txt  checkpoints/
  colmap_data/{images,images_2,sparse/0}   the posed dataset, for `splat train`")]
pub(crate) struct RunArgs {
    /// Folder of photos, zip of them, or video: 20 to 300 photos of one place, neighbours overlapping by 60 % or more
    #[arg(value_hint = ValueHint::AnyPath)]
    pub(crate) photos: PathBuf,
    /// Folder for everything that is made
    #[arg(short, long, value_name = "OUT", value_hint = ValueHint::DirPath)]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) colmap: ColmapOptions,
    #[command(flatten)]
    pub(crate) train: TrainOptions,
}

/// `splat colmap`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  splat colmap photos/ -o dataset
  splat colmap photos/ -o dataset --quality low
  splat train dataset -o out")]
pub(crate) struct ColmapArgs {
    /// Folder of photos, zip of them, or video
    #[arg(value_hint = ValueHint::AnyPath)]
    pub(crate) photos: PathBuf,
    /// Folder for the dataset: DIR/{images,images_2,sparse/0}
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) output: PathBuf,
    /// Steps, resolution and COLMAP quality together; here only the latter counts
    #[arg(long, value_name = "PRESET", default_value = "standard", value_parser = preset_parser())]
    pub(crate) preset: Preset,
    #[command(flatten)]
    pub(crate) colmap: ColmapOptions,
}

/// `splat train`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  splat train dataset -o out
  splat train dataset -o out --preset preview
  splat train dataset -o out --steps 2000 --stop-at 500 --eval-every 250 --seed 1 --json
  splat train dataset -o out --resume

The same seed on the same machine writes the same PLY, byte for byte.")]
pub(crate) struct TrainArgs {
    /// Dataset: a COLMAP folder (images/ and sparse/0/) or nerfstudio's transforms.json
    #[arg(value_hint = ValueHint::AnyPath)]
    pub(crate) dataset: PathBuf,
    /// Folder for everything that is made
    #[arg(short, long, value_name = "OUT", value_hint = ValueHint::DirPath)]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) folders: PhotoFolders,
    #[command(flatten)]
    pub(crate) train: TrainOptions,
}

/// `splat demo`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  splat demo -o out
  splat demo -o out --small        a minute or two, coarser; what CI runs")]
pub(crate) struct DemoArgs {
    /// Folder for everything that is made; the photos go to OUT/photos
    #[arg(short, long, value_name = "OUT", default_value = "out/demo", value_hint = ValueHint::DirPath)]
    pub(crate) output: PathBuf,
    /// Fewer, smaller photos and fewer steps
    #[arg(long)]
    pub(crate) small: bool,
    /// Take the photos and stop
    #[arg(long)]
    pub(crate) photos_only: bool,
    /// Photos to take, once around [default: 30, or 24 with --small]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(3..=10_000))]
    pub(crate) views: Option<u32>,
    #[command(flatten)]
    pub(crate) colmap: ColmapOptions,
    /// Decides every random choice
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
}

/// How COLMAP is run.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "COLMAP")]
pub(crate) struct ColmapOptions {
    /// COLMAP program [default: the one on PATH]
    #[arg(long, value_name = "FILE", env = "SPLAT_COLMAP", value_hint = ValueHint::ExecutablePath)]
    pub(crate) colmap: Option<PathBuf>,
    /// Image size, feature count and matching effort [default: the preset's]
    #[arg(long, value_name = "QUALITY", value_enum)]
    pub(crate) quality: Option<Quality>,
    /// Which photos are compared [default: auto, all pairs while that is cheap, then preselection]
    #[arg(long, value_name = "MATCHER", value_enum)]
    pub(crate) matcher: Option<Matcher>,
    /// Who compares features [default: auto, COLMAP where it has a CUDA GPU, else splat]
    #[arg(long, value_name = "ENGINE", value_enum)]
    pub(crate) matcher_engine: Option<MatcherEngine>,
    /// Minutes that any one COLMAP stage may take before it is ended
    #[arg(long, value_name = "MINUTES")]
    pub(crate) colmap_timeout: Option<u64>,
    /// Do every stage again, even those that an earlier run finished
    #[arg(long)]
    pub(crate) redo_colmap: bool,
}

/// COLMAP quality.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quality {
    Low,
    Medium,
    High,
    Extreme,
}

/// COLMAP matcher.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Matcher {
    Auto,
    /// Every pair: most reliable, slow beyond 150 photos
    Exhaustive,
    /// Each photo with the 32 whose largest features resemble its own, and its neighbours by name and GPS
    Preselection,
    /// Neighbours by file name: for video frames
    Sequential,
}

/// Who compares features.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MatcherEngine {
    Auto,
    /// In this program, on all cores: exact, and several times as fast as COLMAP on a CPU
    Splat,
    Colmap,
}

/// How Gaussians are trained.
#[derive(Args, Debug, Clone)]
pub(crate) struct TrainOptions {
    /// Steps, resolution and COLMAP quality together [default: standard, with --budget what fits it]
    #[arg(long, value_name = "PRESET", value_parser = preset_parser())]
    pub(crate) preset: Option<Preset>,
    /// The best scene within this time, from the command's start to its end: 45s, 10m, 2h; as many steps as fit
    #[arg(long, value_name = "TIME", value_parser = budget_parser, conflicts_with_all = ["steps", "stop_at"])]
    pub(crate) budget: Option<Duration>,
    /// Training steps; every schedule scales with them [default: the preset's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000), help_heading = "Training")]
    pub(crate) steps: Option<u32>,
    /// Stop after this step, with the schedules of all --steps
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Training")]
    pub(crate) stop_at: Option<u32>,
    /// Decides every random choice
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Training")]
    pub(crate) seed: u64,
    /// How Gaussians are drawn [default: ewa; with --keep-distortion 3dgut where a lens distorts]
    #[arg(long, value_name = "RENDERER", value_enum, help_heading = "Training")]
    pub(crate) renderer: Option<Renderer>,
    /// After 3dgut, train so many of the last steps with ewa, so that ordinary viewers show what was trained; with
    /// --keep-distortion on undistorted photos
    #[arg(long, value_name = "STEPS", default_value_t = 0, help_heading = "Training")]
    pub(crate) finish_ewa: u32,
    /// Draw no Gaussian smaller than this variance, in square pixels of the nearest photo; 0 for none [default: 0.2 with
    /// 3dgut, 0 with ewa]
    #[arg(long, value_name = "PX2", help_heading = "Training")]
    pub(crate) scale_floor: Option<f32>,
    /// How Gaussians are added and removed
    #[arg(long, value_name = "STRATEGY", value_enum, help_heading = "Training")]
    pub(crate) strategy: Option<Strategy>,
    /// With adc, add Gaussians where the mean gradient is larger than this; less makes more Gaussians
    #[arg(long, value_name = "GRADIENT", default_value_t = TrainConfig::default().densify.grow_gradient, help_heading = "Training")]
    pub(crate) grow_gradient: f32,
    /// Start with at least so many Gaussians: where the dataset has fewer points, the rest begin where photos agree
    #[arg(long, value_name = "N", default_value_t = TrainConfig::default().seed_points, help_heading = "Training")]
    pub(crate) seed_points: u32,
    /// Most Gaussians to have [default: what memory holds]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Training")]
    pub(crate) max_gaussians: Option<u32>,
    /// Degree of the view-dependent colour
    #[arg(long, value_name = "0..3", value_parser = clap::value_parser!(u32).range(0..=3), help_heading = "Training")]
    pub(crate) sh_degree: Option<u32>,
    /// Photos of different brightness or white balance
    #[arg(long, value_name = "EXPOSURE", value_enum, default_value = "auto", help_heading = "Training")]
    pub(crate) exposure: Exposure,
    /// Train every step at full size instead of coarse to fine
    #[arg(long, help_heading = "Training")]
    pub(crate) full_size: bool,
    /// Measure the held-out photos every so many steps (always at the end)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Training")]
    pub(crate) eval_every: Option<u32>,
    /// Write a checkpoint every so many steps
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Training")]
    pub(crate) checkpoint_every: Option<u32>,
    /// Go on from the newest checkpoint in OUT; with more --steps than its run had, train on to those
    #[arg(long, help_heading = "Training")]
    pub(crate) resume: bool,
    /// Start with the Gaussians of this scene (PLY, SPZ, SOG, .splat, .ksplat, glTF), in the dataset's coordinates, instead of the dataset's points
    #[arg(long, value_name = "SCENE", value_hint = ValueHint::FilePath, help_heading = "Training")]
    pub(crate) init: Option<PathBuf>,
    /// Write the finished scene in these forms too, beside its PLY: spz,sog
    #[arg(long, value_name = "FORMS", value_delimiter = ',', value_parser = form_parser(), help_heading = "Training")]
    pub(crate) also: Vec<Format>,
    #[command(flatten)]
    pub(crate) images: ImageOptions,
}

/// Where a dataset's photos and masks are.
#[derive(Args, Debug, Clone, Default)]
#[command(next_help_heading = "Photos")]
pub(crate) struct PhotoFolders {
    /// Take the dataset's photos from this folder [default: images/ and the like beside the model]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) images: Option<PathBuf>,
    /// Take masks (white is used) from this folder [default: masks/ beside the photos]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) masks: Option<PathBuf>,
}

/// Which photos, and at what size.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Photos")]
pub(crate) struct ImageOptions {
    /// Longest side of a training photo in pixels; larger ones are scaled down [default: the preset's]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(16..), conflicts_with = "downscale")]
    pub(crate) max_image_size: Option<u32>,
    /// Divide the photos' width and height by this
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) downscale: Option<u32>,
    /// Train on the photos as they were taken, through their own lenses, instead of undistorting them (needs 3dgut)
    #[arg(long)]
    pub(crate) keep_distortion: bool,
    /// What alpha channels mean: pixels to leave out of training, or transparency that the scene learns
    #[arg(long, value_name = "ALPHA", value_enum, default_value = "auto")]
    pub(crate) alpha: Alpha,
    /// Hold out every n-th photo by name for PSNR and SSIM; 0 trains on all [default: the dataset's own split, else 8]
    #[arg(long, value_name = "N")]
    pub(crate) holdout_every: Option<u32>,
}

/// What alpha channels mean.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alpha {
    /// Transparent in Blender's renders (transforms.json with an angle of view alone), else mask
    Auto,
    /// Pixels with alpha below one half are not compared
    Mask,
    /// What is transparent in the photos is to be empty in the scene: for photos with the background cut out
    Transparent,
}

impl Alpha {
    /// `None`: what the dataset tells.
    pub(crate) fn mode(self) -> Option<AlphaMode> {
        match self {
            Self::Auto => None,
            Self::Mask => Some(AlphaMode::Mask),
            Self::Transparent => Some(AlphaMode::Transparent),
        }
    }
}

/// What is done about photos of different brightness.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exposure {
    /// Train in their mean brightness and compare each photo with the render in its own, where they differ
    Auto,
    /// Take photos as they are
    Off,
}

/// How Gaussians are drawn.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Renderer {
    /// As flat splats, to first order: what ordinary viewers show (Kerbl et al. 2023)
    Ewa,
    /// In 3-D along each pixel's ray (Wu et al. 2025)
    #[value(name = "3dgut")]
    Gut,
}

impl From<Renderer> for splat_core::RendererKind {
    fn from(renderer: Renderer) -> Self {
        match renderer {
            Renderer::Ewa => Self::Ewa,
            Renderer::Gut => Self::Gut,
        }
    }
}

/// How Gaussians are added and removed.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strategy {
    /// Clone, split and prune by screen-space gradients (Kerbl et al. 2023)
    Adc,
    /// Move dead Gaussians onto living ones, up to a cap (Kheradmand et al. 2024)
    Mcmc,
}

fn form_parser() -> impl clap::builder::TypedValueParser<Value = Format> {
    use clap::builder::{PossibleValuesParser, TypedValueParser};
    let others = Format::EXTENSIONS.map(|(extension, _)| extension).into_iter().filter(|name| *name != "ply");
    PossibleValuesParser::new(others.collect::<Vec<_>>())
        .map(|name| Format::from_extension(&name).expect("clap admits only the forms' names"))
}

fn budget_parser(text: &str) -> Result<Duration, String> {
    let least = Duration::from_secs(1);
    match humantime::parse_duration(text) {
        Ok(budget) if budget >= least => Ok(budget),
        Ok(_) => Err("a scene takes at least a second".into()),
        Err(_) => Err("give a time with its unit, as 45s, 10m or 2h".into()),
    }
}

pub(crate) fn preset_parser() -> impl clap::builder::TypedValueParser<Value = Preset> {
    use clap::builder::{PossibleValuesParser, TypedValueParser};
    PossibleValuesParser::new(Preset::ALL.map(|p| PossibleValue::new(p.name()).help(p.summary())))
        .map(|name| Preset::from_name(&name).expect("clap admits only the presets' names"))
}
