//! Gestures: what a gesture job does, and where users' models are stored.
//!
//! | module | what |
//! | --- | --- |
//! | [`models`] | models by owner, kept until they are deleted; the base model, built once |
//! | `record` | metadata of a model, readable without loading the model |
//!
//! A job of kind `gesture` adds one gesture to one model. The recording is stored with the job's files, as the numbers that the
//! client sent. The result is a new model with the id of the job. The parent model is not changed, so a client can go back by
//! naming the parent again.

pub mod models;
mod record;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use splat_gesture::{GestureError, Layout, Reason, Recording};

use crate::job::{JobId, NotAnId};
use crate::scene::Faults;

pub use record::{Figures, ModelFile, ModelRecord};

/// Code of the base model, which every user starts from.
pub const BASE_CODE: &str = "base_v1";
/// Name of the recording in a job's folder: 32-bit floats, little endian, 64 per frame.
pub const RECORDING: &str = "recording.f32";
/// Output folder of a gesture job, relative to its folder.
pub const OUTPUT: &str = "output/gesture";
/// A model with everything that is needed to extend it.
pub const MODEL_FILE: &str = "model.gesture";

/// Which model, known to clients as `model_code`. Parsed into this type, so that no text of a client becomes part of a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ModelCode {
    /// The base model.
    Base,
    /// A model of a user.
    Of(JobId),
}

impl FromStr for ModelCode {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        if text == BASE_CODE { Ok(Self::Base) } else { text.parse().map(Self::Of) }
    }
}

impl TryFrom<String> for ModelCode {
    type Error = NotAnId;

    fn try_from(text: String) -> Result<Self, NotAnId> {
        text.parse()
    }
}

impl From<ModelCode> for String {
    fn from(code: ModelCode) -> Self {
        code.to_string()
    }
}

impl fmt::Display for ModelCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Base => f.write_str(BASE_CODE),
            Self::Of(id) => id.fmt(f),
        }
    }
}

/// The spec of a job of kind `gesture`, as the queue stores it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GestureSpec {
    /// The model to extend.
    pub parent: ModelCode,
    /// Name of the new gesture.
    pub gesture: String,
    /// What the coordinates mean.
    pub layout: Layout,
    /// Frames in the recording.
    pub frames: usize,
    /// How many frames were dropped because they show no hand, and why; `None` if none were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<String>,
    /// The same for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remark: Option<Reason>,
    /// Seed of all random choices.
    pub seed: u64,
    /// Secret part of the URL at which the model can be downloaded without a key. Chosen with the job, so that an attempt after a
    /// crash writes to the same place.
    pub secret: JobId,
    /// Optional settings.
    #[serde(default)]
    pub options: GestureOptions,
}

/// Optional settings of a gesture job.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GestureOptions {
    /// URL to notify when the job has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
    /// Whether to publish a gesture that is easily confused with another one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub accept_look_alikes: bool,
    /// Test mode only: how long the job waits before it trains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<Faults>,
}

/// Serializes the recording in the format of [`RECORDING`].
#[must_use]
pub fn to_bytes(recording: &Recording) -> Vec<u8> {
    recording.frames().iter().flat_map(|frame| frame.values()).flat_map(f32::to_le_bytes).collect()
}

/// Parses and validates what [`to_bytes`] wrote.
///
/// # Errors
/// Those of [`Recording::new`]; no input panics.
pub fn from_bytes(gesture: &str, layout: Layout, bytes: &[u8]) -> Result<Recording, GestureError> {
    let values: Vec<f32> = bytes
        .chunks(4)
        .map(|chunk| <[u8; 4]>::try_from(chunk).map_or(f32::NAN, f32::from_le_bytes))
        .collect();
    let frames: Vec<&[f32]> = values.chunks(splat_gesture::limits::FRAME_VALUES).collect();
    // A truncated file is an error, even where a bad last frame of a client would be dropped.
    if let Some((frame, last)) = frames.iter().enumerate().next_back()
        && bytes.len() != 4 * splat_gesture::limits::FRAME_VALUES * frames.len()
    {
        return Err(GestureError::FrameLength {
            frame,
            found: last.len().min(bytes.len() / 4 % splat_gesture::limits::FRAME_VALUES),
        });
    }
    Recording::new(gesture, layout, &frames)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn only_ids_and_the_base_name_models() {
        assert_eq!("base_v1".parse(), Ok(ModelCode::Base));
        let id = JobId::random();
        assert_eq!(id.as_str().parse(), Ok(ModelCode::Of(id.clone())));
        for code in [
            "",
            "base_v2",
            "BASE_V1",
            "../base_v1",
            "base_v1/../x",
            "..",
            "/etc/passwd",
            "base_v1\0",
            "%2e%2e",
        ] {
            assert!(code.parse::<ModelCode>().is_err(), "{code:?}");
        }
        assert!(format!("{id}/").parse::<ModelCode>().is_err());
        assert_eq!(serde_json::to_string(&ModelCode::Base).unwrap(), "\"base_v1\"");
        assert!(serde_json::from_str::<ModelCode>("\"../x\"").is_err());
    }

    #[test]
    fn recordings_survive_their_bytes_and_damage_is_told() {
        let frame = |shift: usize| -> Vec<f32> {
            let point = |index: usize| if index == 63 { 1.0 } else { (index * 7 % 19) as f32 * 0.01 - 0.09 };
            (0..64).map(|index| point(index) + if index == 0 { shift as f32 * 1e-4 } else { 0.0 }).collect()
        };
        let frames: Vec<Vec<f32>> = (0..60).map(frame).collect();
        let recording = Recording::new("fist", Layout::World, &frames).unwrap();
        let bytes = to_bytes(&recording);
        assert_eq!(bytes.len(), 60 * 64 * 4);
        assert_eq!(from_bytes("fist", Layout::World, &bytes).unwrap(), recording);
        assert!(from_bytes("fist", Layout::World, &bytes[..bytes.len() - 1]).is_err());
        assert!(from_bytes("fist", Layout::World, &[]).is_err());
    }
}
