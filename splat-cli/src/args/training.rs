//! Options of the commands that make scenes: `run`, `colmap`, `train`, `demo`.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use splat_core::RendererKind;
use splat_core::formats::Format;
use splat_core::pipeline::Preset;

use super::scene::{self, SceneArgs};

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
  colmap_data/{images,images_2,masks,sparse/0}   the posed dataset, for `splat train`")]
pub(crate) struct RunArgs {
    /// Folder of photos, zip of them, or video: 20 to 300 photos of one place, neighbours overlapping by 60 % or more
    #[arg(value_hint = ValueHint::AnyPath)]
    pub(crate) photos: PathBuf,
    /// Output folder
    #[arg(short, long, value_name = "OUT", value_hint = ValueHint::DirPath)]
    pub(crate) output: PathBuf,
    /// Folder of masks for the photos, white is used [default: masks/ in the folder of photos or beside it]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) masks: Option<PathBuf>,
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
    /// Output folder for the dataset: DIR/{images,images_2,sparse/0}
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) output: PathBuf,
    /// Folder of masks for the photos, white is used [default: masks/ in the folder of photos or beside it]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) masks: Option<PathBuf>,
    /// Preset; only its COLMAP quality matters here
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
    /// Output folder
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
    /// Output folder; the photos go to OUT/photos
    #[arg(short, long, value_name = "OUT", default_value = "out/demo", value_hint = ValueHint::DirPath)]
    pub(crate) output: PathBuf,
    /// Fewer, smaller photos and fewer steps
    #[arg(long)]
    pub(crate) small: bool,
    /// Render the photos and exit
    #[arg(long)]
    pub(crate) photos_only: bool,
    /// Number of photos of the orbit [default: 30, or 24 with --small]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(3..=10_000))]
    pub(crate) views: Option<u32>,
    #[command(flatten)]
    pub(crate) colmap: ColmapOptions,
    /// Seed of all random choices
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
}

/// Options of COLMAP.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "COLMAP")]
pub(crate) struct ColmapOptions {
    /// COLMAP program [default: the one in PATH]
    #[arg(long, value_name = "FILE", env = "SPLAT_COLMAP", value_hint = ValueHint::ExecutablePath)]
    pub(crate) colmap: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) scene: SceneArgs<{ scene::COLMAP }>,
    /// Time limit per COLMAP stage, in minutes
    #[arg(long, value_name = "MINUTES")]
    pub(crate) colmap_timeout: Option<u64>,
    /// Run every stage again, even those that an earlier run finished
    #[arg(long)]
    pub(crate) redo_colmap: bool,
}

/// Options of training.
#[derive(Args, Debug, Clone)]
pub(crate) struct TrainOptions {
    #[command(flatten)]
    pub(crate) scene: SceneArgs<{ scene::TRAINING }>,
    /// Stop after this step, without changing the schedules of --steps
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Training", conflicts_with = "budget")]
    pub(crate) stop_at: Option<u32>,
    /// Evaluate the held-out photos at this interval of steps (always at the end)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Training")]
    pub(crate) eval_every: Option<u32>,
    /// Write a checkpoint at this interval of steps
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Training")]
    pub(crate) checkpoint_every: Option<u32>,
    /// Resume from the latest checkpoint in OUT; with more --steps than its run had, extend the run
    #[arg(long, help_heading = "Training")]
    pub(crate) resume: bool,
    /// Start with the Gaussians of this scene (PLY, SPZ, SOG, .splat, .ksplat, glTF), in the dataset's coordinates, instead of the dataset's points
    #[arg(long, value_name = "SCENE", value_hint = ValueHint::FilePath, help_heading = "Training")]
    pub(crate) init: Option<PathBuf>,
    /// Further formats for the finished scene, beside its PLY: spz,sog
    #[arg(long, value_name = "FORMS", value_delimiter = ',', value_parser = form_parser(), help_heading = "Training")]
    pub(crate) also: Vec<Format>,
    /// Write the cameras to this folder as a COLMAP model, with the poses that training refined
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = "Training")]
    pub(crate) colmap_model: Option<PathBuf>,
}

/// Location of a dataset's photos and masks.
#[derive(Args, Debug, Clone, Default)]
#[command(next_help_heading = "Photos")]
pub(crate) struct PhotoFolders {
    /// Folder of the dataset's photos [default: images/ and the like beside the model]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) images: Option<PathBuf>,
    /// Folder of masks, white is used [default: masks/ beside the photos]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) masks: Option<PathBuf>,
}

fn form_parser() -> impl clap::builder::TypedValueParser<Value = Format> {
    use clap::builder::{PossibleValuesParser, TypedValueParser};
    let others = Format::EXTENSIONS.map(|(extension, _)| extension).into_iter().filter(|name| *name != "ply");
    PossibleValuesParser::new(others.collect::<Vec<_>>())
        .map(|name| Format::from_extension(&name).expect("clap admits only the forms' names"))
}

pub(crate) fn preset_parser() -> impl clap::builder::TypedValueParser<Value = Preset> {
    scene::word_parser(&Preset::WORDS, Preset::from_name)
}

pub(crate) fn renderer_parser() -> impl clap::builder::TypedValueParser<Value = RendererKind> {
    scene::word_parser(&RendererKind::WORDS, RendererKind::from_name)
}
