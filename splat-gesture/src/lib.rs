//! Hand-gesture models to which gestures are added one at a time.
//!
//! A phone records a hundred frames of hand landmarks (MediaPipe's 21 points) of a new gesture; this crate adds it to the user's
//! own model, evaluates the result on frames that it was not trained on, and exports it to TFLite and ONNX, or reports why it is
//! not good enough and what to record again. It uses no GPU, network or threads; the same seed and input give the same bytes.
//!
//! | to | use |
//! | --- | --- |
//! | check what a client sent | [`Recording::new`], limits in [`limits`] |
//! | start | [`base_v1`], or [`train_new`] on recordings |
//! | add a gesture | [`train_addition`]: published, refused with reasons, or a duplicate |
//! | rename, delete | [`Bundle::rename`], [`Bundle::delete`] |
//! | keep, and grow later | [`Bundle::to_bytes`], [`Bundle::from_bytes`] |
//! | say a refusal in another language | [`Reason`]: a code and the values of its sentence |
//! | hand out | [`Bundle::export`]: `legacy.tflite`, `model.tflite`, `model.onnx`, `labels.json`, `manifest.json` |
//! | recognise here | [`Model::predict`] |
//!
//! ```no_run
//! use splat_gesture::{Layout, Outcome, Recording, TrainOptions, base_v1, train_addition};
//!
//! # fn frames() -> Vec<Vec<f32>> { Vec::new() }
//! # fn main() -> Result<(), splat_gesture::GestureError> {
//! let parent = base_v1(&|_| {}, &|| false)?;
//! let thumbs_up = Recording::new("thumbs up", Layout::World, &frames())?;
//! match train_addition(&parent, &thumbs_up, &TrainOptions::default(), &|_| {}, &|| false)? {
//!     Outcome::Published(bundle) => bundle.export_to("out".as_ref())?,
//!     Outcome::Refused(report) => println!("{}", report.advice.join("\n")),
//!     Outcome::Duplicate { of } => println!("these frames were sent before, as {of}"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # How it works
//!
//! A frame becomes 215 numbers that do not depend on position, distance, handedness and rotation of the phone, and little on the
//! viewpoint; 28 linear combinations of them are its coordinates among all hands. A gesture consists of a dozen examples in this
//! space and a radius around them: hands outside all radii are unknown, and otherwise the nearest gesture wins. Only the examples
//! are learned, so an addition takes a fraction of a second and does not change existing gestures.

mod augment;
mod axes;
mod base;
mod bundle;
mod dataset;
mod dense;
mod error;
mod evaluate;
mod export;
mod features;
mod folds;
mod frame;
mod hand;
mod known;
mod layout;
pub mod limits;
mod linear;
mod model;
mod quantile;
mod quantize;
mod random;
mod read;
mod reason;
mod recording;
mod report;
mod rounded;
mod store;
mod take;
mod train;
mod vector;

pub use base::{BASE_LABELS, base_v1};
pub use bundle::{Bundle, Provenance};
pub use error::{GestureError, Result};
pub use evaluate::Confusion;
pub use export::{ExportFile, LABELS_JSON, LEGACY_TFLITE, MANIFEST_JSON, MODEL_ONNX, MODEL_TFLITE};
pub use frame::{Frame, Handedness, LANDMARKS, check_name};
pub use layout::Layout;
pub use model::{ACCEPT_SCORE, Model, Prediction};
pub use quantize::{INPUT_SCALE, INPUT_ZERO_POINT, OUTPUT_SCALE, as_legacy_sees, quantize};
pub use read::{LabelledFrames, LabelledRows, MAX_TEXT_BYTES, MAX_TEXT_FRAMES, read_landmarks, read_rows};
pub use reason::Reason;
pub use recording::Recording;
pub use report::{Confused, QualityGate, Report};
pub use train::{Outcome, Progress, Stage, TrainOptions, check_addition, train_addition, train_new};
