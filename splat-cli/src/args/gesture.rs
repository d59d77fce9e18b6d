//! Options of `splat gesture`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use splat_gesture::Layout;

/// `splat gesture`.
#[derive(Args, Debug)]
#[command(after_help = "Landmarks are MediaPipe's 21 points of a hand, frame by frame, in one of two forms:
  CSV   a header, then label[,frame], and 63 or 64 numbers a line: x, y, z of each point, then the handedness
        (0 left, 1 right, -1 unknown, which is also what 63 numbers mean)
  JSON  {\"gesture\": \"name\", \"landmarks\": [[64 numbers], ...]}, or a list of those

A model is the file model.gesture of an earlier run, the folder that holds it, or base_v1: paper, rock and scissors,
trained on hands that this program makes up.")]
pub(crate) struct GestureArgs {
    #[command(subcommand)]
    pub(crate) command: GestureCommand,
}

#[derive(Subcommand, Debug)]
pub(crate) enum GestureCommand {
    /// Adds all gestures of the recordings to a model, one after another
    Train(GestureTrainArgs),
    /// Evaluates a model on recordings: confusions between gestures, and rejection of unknown ones
    Eval(GestureEvalArgs),
    /// Exports a model to TFLite and ONNX
    Export(GestureExportArgs),
    /// Recognises recordings frame by frame
    Predict(GesturePredictArgs),
}

/// Meaning of the coordinates, as named on the command line.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LayoutArg {
    /// World landmarks: metres
    World,
    /// Image landmarks: fractions of the image size
    Image,
}

impl From<LayoutArg> for Layout {
    fn from(layout: LayoutArg) -> Self {
        match layout {
            LayoutArg::World => Self::World,
            LayoutArg::Image => Self::Image,
        }
    }
}

/// `splat gesture train`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  splat gesture train thumbs_up.json -o out                       base_v1 and one gesture more
  splat gesture train wave.json --parent out -o out2              one more still
  splat gesture train letters.csv --from-scratch --layout image -o letters

OUT gets model.gesture (what --parent takes), legacy.tflite, model.tflite, model.onnx, labels.json, manifest.json.
A gesture takes 40 to 600 frames; 100 in two takes are good. What is not good enough is refused with the reason, and
nothing is written. The same seed writes the same bytes.")]
pub(crate) struct GestureTrainArgs {
    /// Recordings
    #[arg(required = true, value_name = "LANDMARKS", value_hint = ValueHint::FilePath)]
    pub(crate) recordings: Vec<PathBuf>,
    /// Output folder for the model
    #[arg(short, long, value_name = "OUT", value_hint = ValueHint::DirPath)]
    pub(crate) output: PathBuf,
    /// The model to extend
    #[arg(long, value_name = "MODEL", default_value = "base_v1", value_hint = ValueHint::AnyPath)]
    pub(crate) parent: PathBuf,
    /// Train on the recordings only, all gestures at once
    #[arg(long, conflicts_with = "parent")]
    pub(crate) from_scratch: bool,
    /// Meaning of the coordinates, with --from-scratch; otherwise that of the parent
    #[arg(long, value_enum, requires = "from_scratch")]
    pub(crate) layout: Option<LayoutArg>,
    /// Seed of the synthetic hands that the model is evaluated on
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Publish a gesture even if it is easily confused with another one; the report gives how often that happens
    #[arg(long)]
    pub(crate) accept_look_alikes: bool,
}

/// `splat gesture eval`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  splat gesture eval base_v1 recordings.csv
  splat gesture eval out recordings.csv --skip 300      only frames after the first 300 of each gesture
  splat gesture eval out recordings.csv --json

Gestures that the model does not know count as unknown: for them `none` is the right answer. Give frames that were not
trained on; neighbours in time of those that were are hardly different.")]
pub(crate) struct GestureEvalArgs {
    /// The model
    #[arg(value_hint = ValueHint::AnyPath)]
    pub(crate) model: PathBuf,
    /// Recordings
    #[arg(required = true, value_name = "LANDMARKS", value_hint = ValueHint::FilePath)]
    pub(crate) recordings: Vec<PathBuf>,
    /// Skip the first N frames of every gesture
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) skip: usize,
    /// Evaluate the quantised legacy.tflite
    #[arg(long)]
    pub(crate) legacy: bool,
}

/// `splat gesture export`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  splat gesture export base_v1 -o base
  splat gesture export out/model.gesture -o phone")]
pub(crate) struct GestureExportArgs {
    /// The model
    #[arg(value_hint = ValueHint::AnyPath)]
    pub(crate) model: PathBuf,
    /// Output folder for the files
    #[arg(short, long, value_name = "OUT", value_hint = ValueHint::DirPath)]
    pub(crate) output: PathBuf,
}

/// `splat gesture predict`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  splat gesture predict base_v1 frames.json
  splat gesture predict out frames.csv --json       one object a frame, with all scores")]
pub(crate) struct GesturePredictArgs {
    /// The model
    #[arg(value_hint = ValueHint::AnyPath)]
    pub(crate) model: PathBuf,
    /// Recordings
    #[arg(required = true, value_name = "LANDMARKS", value_hint = ValueHint::FilePath)]
    pub(crate) recordings: Vec<PathBuf>,
}
