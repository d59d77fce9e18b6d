//! The command line and its help.
//!
//! Start at [`Cli`]. Options are converted to the library's in [`crate::settings`].

mod convert;
mod files;
mod gesture;
mod scene;
mod serve;
mod training;
mod view;

use clap::{Args, Parser, Subcommand, ValueHint};

pub(crate) use convert::{ConvertArgs, SpzVersion};
pub(crate) use files::{EvalArgs, InfoArgs, RenderArgs};
pub(crate) use gesture::{
    GestureArgs, GestureCommand, GestureEvalArgs, GestureExportArgs, GesturePredictArgs, GestureTrainArgs,
};
pub(crate) use serve::{
    AdminArgs, AdminCommand, BackupArgs, KeysArgs, KeysCommand, ServeArgs, ServiceArgs, SettingsArgs,
    WorkerArgs,
};
pub(crate) use training::{
    ColmapArgs, ColmapOptions, DemoArgs, PhotoFolders, RunArgs, TrainArgs, TrainOptions, preset_parser,
    renderer_parser,
};
pub(crate) use view::ViewArgs;

/// Reconstructs 3-D Gaussian splatting scenes from photos.
#[derive(Parser, Debug)]
#[command(
    name = "splat",
    version,
    propagate_version = true,
    after_help = "Examples:
  splat run photos/ -o out                     photos to out/ply/point_cloud_29999.ply
  splat run photos/ -o out --preset preview    the same in minutes, smaller
  splat view out                               look at it in the browser
  splat doctor                                 is this machine ready?

Exit codes: 0 done, 1 the input failed or the run was stopped, 2 wrong usage or setup."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
}

/// Options that every command takes.
#[derive(Args, Debug, Clone)]
pub(crate) struct GlobalArgs {
    /// Print events and results as JSON, one object per line, on stdout
    #[arg(long, global = true, help_heading = "Output")]
    pub(crate) json: bool,
    /// Print only results, warnings and errors
    #[arg(long, short, global = true, help_heading = "Output")]
    pub(crate) quiet: bool,
    /// Use the GPU whose name contains this text (`splat doctor` lists them)
    #[arg(long, global = true, value_name = "NAME", env = "SPLAT_ADAPTER", help_heading = "Machine")]
    pub(crate) adapter: Option<String>,
    /// Use the GPU only through this API: vulkan, metal or dx12 [default: for the same GPU, dx12 last]
    #[arg(long, global = true, value_name = "NAME", env = "SPLAT_BACKEND", help_heading = "Machine")]
    pub(crate) backend: Option<splat_core::Backend>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Photos to a scene: camera poses by COLMAP, training, PLY
    Run(Box<RunArgs>),
    /// Photos to camera poses: a COLMAP dataset for training
    Colmap(ColmapArgs),
    /// Trains a scene on a posed dataset (COLMAP or nerfstudio)
    Train(TrainArgs),
    /// Renders images of a scene: a training camera, an orbit or a camera path
    Render(RenderArgs),
    /// Computes PSNR and SSIM of a scene on a dataset's held-out photos
    Eval(EvalArgs),
    /// Describes a scene or a dataset
    Info(InfoArgs),
    /// Shows a scene in the browser, or exports it as one HTML file
    View(ViewArgs),
    /// Converts a scene to PLY, compressed PLY, SPZ, SOG, .splat, GLB or HTML; crops, thins, rotates
    Convert(ConvertArgs),
    /// Checks GPU, kernels, COLMAP and ffmpeg, with advice on each problem
    Doctor,
    /// Hand-gesture models: extend, evaluate, export, predict
    Gesture(GestureArgs),
    /// Renders photos of a built-in scene and reconstructs them, without any download
    Demo(DemoArgs),
    /// Benchmarks blending, complete training steps and every kernel
    Bench(BenchArgs),
    /// The HTTP service: upload photos, follow the job, download the scene; with a web page
    Serve(Box<ServeArgs>),
    /// Runs jobs of a service on other machines or in other processes
    Worker(Box<WorkerArgs>),
    /// Manages API keys of the service
    Keys(KeysArgs),
    /// Lists jobs of all owners and usage by key, and controls whether jobs are accepted and started
    Admin(AdminArgs),
    /// Copies the service's queue and keys to a file, while it runs
    Backup(BackupArgs),
    /// Restores the service's queue and keys from such a copy
    Restore(BackupArgs),
    /// Runs one attempt at one job; used by the service internally
    #[command(hide = true)]
    Job {
        /// Print what it would be trained on, and exit
        #[arg(long)]
        gpu: bool,
    },
    /// Prints the completion script for a shell
    #[command(after_help = "Examples:
  splat completions bash > /etc/bash_completion.d/splat
  splat completions zsh > ~/.zfunc/_splat
  splat completions powershell >> $PROFILE")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// `splat bench`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  splat bench                                     blend rates, and what the device itself can do
  splat bench dataset                             also whole steps at full size and GPU time by kernel
  splat bench --gaussians 100000,1000000 --size 1632x1224
                                                  the same on a made-up scene of each number and size
  splat bench --dump-shaders wgsl --renderer 3dgut
                                                  the kernels' text, to read or to give to other tools")]
pub(crate) struct BenchArgs {
    /// Posed dataset to run steps on
    #[arg(value_hint = ValueHint::AnyPath)]
    pub(crate) dataset: Option<std::path::PathBuf>,
    /// Run steps on a synthetic scene with this many Gaussians; several: 10000,100000
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    pub(crate) gaussians: Vec<u32>,
    /// Image size of the synthetic scene, pixels; several: 480x360,1632x1224
    #[arg(long, value_name = "WxH", value_delimiter = ',', default_value = "480x360", requires = "gaussians", value_parser = image_size)]
    pub(crate) size: Vec<(u32, u32)>,
    /// Number of timed steps
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) steps: u32,
    /// Time limit per scene, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0, value_parser = positive_seconds)]
    pub(crate) seconds: f64,
    /// Renderer for these steps
    #[arg(long, value_name = "RENDERER", default_value = "ewa", value_parser = renderer_parser())]
    pub(crate) renderer: splat_core::RendererKind,
    /// Do not benchmark; write the complete WGSL of every kernel, for this GPU and `--renderer`, to this folder
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with_all = ["dataset", "gaussians"])]
    pub(crate) dump_shaders: Option<std::path::PathBuf>,
}

fn image_size(text: &str) -> Result<(u32, u32), String> {
    let side = |text: &str| {
        text.parse::<u32>().ok().filter(|side| (1..=splat_core::render::MAX_IMAGE_SIDE).contains(side))
    };
    text.split_once(['x', 'X']).and_then(|(width, height)| Some((side(width)?, side(height)?))).ok_or_else(
        || format!("a size is WIDTHxHEIGHT in pixels, each 1 to {}", splat_core::render::MAX_IMAGE_SIDE),
    )
}

fn positive_seconds(text: &str) -> Result<f64, String> {
    (text.parse().ok())
        .filter(|seconds: &f64| seconds.is_finite() && *seconds > 0.0)
        .ok_or_else(|| "a number of seconds above 0 is needed".into())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    /// Clap checks conflicts, names and defaults of all options here.
    #[test]
    fn command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
