//! Options of `splat view`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

/// `splat view`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  splat view out                                  the scene of a run
  splat view scene.spz
  splat view scene.ply --cameras dataset          start where the first photo was taken
  splat view out --export scene.html              one file to send or to put on any web server

On another machine, over SSH: `splat view out --no-open --port 8000` there, `ssh -L 8000:127.0.0.1:8000 HOST` here, then
http://127.0.0.1:8000 in the browser.")]
pub(crate) struct ViewArgs {
    /// The scene: a file in any format, the folder of a run, or that of the 3DGS authors' code
    #[arg(value_name = "SCENE", value_hint = ValueHint::AnyPath)]
    pub(crate) scene: PathBuf,
    /// Training cameras, which say where to start and which way is up: a cameras.json or a dataset [default: the cameras.json of its
    /// run]
    #[arg(long, value_name = "FILE|DIR", value_hint = ValueHint::AnyPath)]
    pub(crate) cameras: Option<PathBuf>,
    /// Write an HTML file with the viewer and the scene (as SOG), and exit
    #[arg(long, value_name = "FILE.html", value_hint = ValueHint::FilePath, conflicts_with_all = ["port", "no_open"])]
    pub(crate) export: Option<PathBuf>,
    /// Serve on this port of 127.0.0.1 [default: a free one]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Option<u16>,
    /// Do not open a browser, only print the URL
    #[arg(long)]
    pub(crate) no_open: bool,
}
