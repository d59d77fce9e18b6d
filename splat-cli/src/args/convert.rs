//! Options of `splat convert`.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};

/// `splat convert`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  splat convert out/ply/point_cloud_29999.ply scene.sog
  splat convert scene.spz scene.ply
  splat convert scene.ply small.spz --keep 500000 --max-sh 1 --drop-floaters
  splat convert scene.ply room.ply --crop box:-2,-1.5,-2,2,1.5,2 --up=-y --recentre

Read are PLY, compressed PLY, SPZ 1 to 4, SOG 2 (a file or its folder), .splat, .ksplat and glTF with KHR_gaussian_splatting.
Steps are done in this order: crop, floaters, harmonics, keep, up, scale, recentre. Coordinates are the input's:
COLMAP's axes, x right, y down, z forward.")]
pub(crate) struct ConvertArgs {
    /// The scene: a file in any format, or the folder of a run
    #[arg(value_name = "IN", value_hint = ValueHint::AnyPath)]
    pub(crate) input: PathBuf,
    /// Output file: .ply, .compressed.ply, .spz, .sog, .splat, .glb, or .html for a page that shows the scene
    #[arg(value_name = "OUT", value_hint = ValueHint::FilePath)]
    pub(crate) output: PathBuf,
    /// SPZ version
    #[arg(long, value_name = "N", value_enum, default_value_t = SpzVersion::V3)]
    pub(crate) spz_version: SpzVersion,
    /// Keep only Gaussians inside a region: box:X0,Y0,Z0,X1,Y1,Z1 or sphere:X,Y,Z,RADIUS
    #[arg(long, value_name = "SHAPE", allow_hyphen_values = true)]
    pub(crate) crop: Option<String>,
    /// Remove Gaussians that are almost invisible, larger than the scene, or isolated
    #[arg(long)]
    pub(crate) drop_floaters: bool,
    /// Maximum degree of the spherical harmonics
    #[arg(long, value_name = "DEGREE", value_parser = clap::value_parser!(u32).range(0..=3))]
    pub(crate) max_sh: Option<u32>,
    /// Keep this many Gaussians, the most visible ones
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) keep: Option<u32>,
    /// Axis of the input that points up; it is rotated to -y, which is up in COLMAP scenes
    #[arg(long, value_name = "AXIS", value_enum, allow_hyphen_values = true)]
    pub(crate) up: Option<Up>,
    /// Scale the scene by this factor
    #[arg(long, value_name = "FACTOR")]
    pub(crate) scale: Option<f64>,
    /// Move the centre of the scene to the origin
    #[arg(long)]
    pub(crate) recentre: bool,
}

/// SPZ versions that can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SpzVersion {
    /// gzip, quaternions of three bytes
    #[value(name = "2")]
    V2,
    /// gzip, quaternions of four bytes: supported by most viewers
    #[value(name = "3")]
    V3,
    /// Zstandard
    #[value(name = "4")]
    V4,
}

/// The input's up axis, for `--up`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Up {
    #[value(name = "x")]
    X,
    #[value(name = "-x")]
    MinusX,
    #[value(name = "y")]
    Y,
    #[value(name = "-y")]
    MinusY,
    #[value(name = "z")]
    Z,
    #[value(name = "-z")]
    MinusZ,
}

impl Up {
    /// The unit vector.
    pub(crate) const fn direction(self) -> [f64; 3] {
        match self {
            Self::X => [1.0, 0.0, 0.0],
            Self::MinusX => [-1.0, 0.0, 0.0],
            Self::Y => [0.0, 1.0, 0.0],
            Self::MinusY => [0.0, -1.0, 0.0],
            Self::Z => [0.0, 0.0, 1.0],
            Self::MinusZ => [0.0, 0.0, -1.0],
        }
    }
}
