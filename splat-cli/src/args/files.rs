//! Options of the commands that read scenes: `render`, `eval`, `info`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueHint};
use splat_core::pipeline::Preset;

use super::scene::{PHOTOS, SceneArgs};

/// `splat render`.
#[derive(Args, Debug)]
#[command(
    group(ArgGroup::new("what").required(true).args(["view", "orbit", "path", "list"])),
    after_help = "Examples:
  splat render out --list
  splat render out --view IMG_0042.jpg -o view.png
  splat render out/ply/point_cloud_29999.ply --orbit 120 -o orbit.mp4
  splat render scene.ply --view IMG_0042.jpg --cameras dataset -o view.png
  splat render scene.ply --path flight.json -o frames

A camera path is JSON; every entry of \"keys\" is a place the camera passes, `between` frames apart:
  {\"width\": 1280, \"height\": 720, \"fov_y_deg\": 50, \"fps\": 30, \"between\": 29,
   \"keys\": [{\"eye\": [0, 0, -4], \"target\": [0, 0, 0]},
            {\"eye\": [4, 0, 0], \"target\": [0, 0, 0], \"down\": [0, 1, 0]}]}
Instead of eye and target a key may hold `world_from_cam`, a 4x4 matrix by rows. Axes are the scene's:
camera x right, y down, z forward."
)]
pub(crate) struct RenderArgs {
    /// The scene: a file in any format, the folder of a run, or that of the 3DGS authors' code
    #[arg(value_name = "SCENE", value_hint = ValueHint::AnyPath)]
    pub(crate) scene: PathBuf,
    /// Render from a training camera, by its photo's name
    #[arg(long, value_name = "NAME")]
    pub(crate) view: Option<String>,
    /// Render this many frames of an orbit around the scene
    #[arg(long, value_name = "FRAMES", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) orbit: Option<u32>,
    /// Render along a camera path
    #[arg(long, value_name = "PATH.json", value_hint = ValueHint::FilePath)]
    pub(crate) path: Option<PathBuf>,
    /// List the training cameras and exit
    #[arg(long)]
    pub(crate) list: bool,
    /// Output: a .png, a folder for PNG frames, or an .mp4 (needs ffmpeg)
    #[arg(short, long, value_name = "OUT", required_unless_present = "list", value_hint = ValueHint::AnyPath)]
    pub(crate) output: Option<PathBuf>,
    /// Training cameras: a cameras.json or a dataset [default: the cameras.json of its run]
    #[arg(long, value_name = "FILE|DIR", value_hint = ValueHint::AnyPath)]
    pub(crate) cameras: Option<PathBuf>,
    /// Width in pixels; height follows the camera [default: the camera's own]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(1..=16_384))]
    pub(crate) width: Option<u32>,
    /// Renderer [default: the one that the scene was trained with]
    #[arg(long, value_name = "RENDERER", value_parser = super::renderer_parser())]
    pub(crate) renderer: Option<splat_core::RendererKind>,
    /// Background colour as three numbers from 0 to 1
    #[arg(long, value_name = "R,G,B", value_delimiter = ',', num_args = 1..=3, default_value = "0,0,0")]
    pub(crate) background: Vec<f32>,
    /// Frames per second of the video [default: those of the path, else 30]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=240))]
    pub(crate) fps: Option<u32>,
}

/// `splat eval`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  splat eval out
  splat eval out/ply/point_cloud_6999.ply
  splat eval scene.spz dataset --max-image-size 960 --json

Size and split of the photos are those of the training, where the folder of its run tells them (run.json, or cfg_args of the 3DGS
authors' code); else photos are as large as they are, and every 8th by name is held out, or what the dataset's own split says. PSNR and
SSIM (11x11 window, sigma 1.5) are taken on the image clamped to 0..1. Corrected is PSNR after the affine colour map that brings each
render nearest to its photo: without what brightness and white balance of single photos decide.")]
pub(crate) struct EvalArgs {
    /// The scene: a file in any format, the folder of a run, or that of the 3DGS authors' code
    #[arg(value_name = "SCENE", value_hint = ValueHint::AnyPath)]
    pub(crate) scene: PathBuf,
    /// The dataset with the held-out photos [default: the one that the scene was trained on]
    #[arg(value_hint = ValueHint::AnyPath)]
    pub(crate) dataset: Option<PathBuf>,
    /// Renderer [default: the one that the scene was trained with]
    #[arg(long, value_name = "RENDERER", value_parser = super::renderer_parser())]
    pub(crate) renderer: Option<splat_core::RendererKind>,
    /// Also write side-by-side images (photo | render) of the held-out views to this folder
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) folders: super::PhotoFolders,
    #[command(flatten)]
    pub(crate) images: SceneArgs<PHOTOS>,
}

/// `splat info`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  splat info scene.ply
  splat info dataset
  splat info dataset --preset preview          what training with that preset takes
  splat info dataset --json")]
pub(crate) struct InfoArgs {
    /// A scene, a dataset folder, a transforms.json, or the folder of an earlier run
    #[arg(value_hint = ValueHint::AnyPath)]
    pub(crate) path: PathBuf,
    /// For a dataset: show steps, size and memory of training with this preset
    #[arg(long, value_name = "PRESET", default_value = "standard", value_parser = super::preset_parser())]
    pub(crate) preset: Preset,
    #[command(flatten)]
    pub(crate) folders: super::PhotoFolders,
    #[command(flatten)]
    pub(crate) images: SceneArgs<PHOTOS>,
}
