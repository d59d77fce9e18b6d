//! Gestures: what a gesture job is to do, and where the models lie that users grow.
//!
//! | module | what |
//! | --- | --- |
//! | [`models`] | models by owner, kept until they are deleted; the base model, made once |
//! | `record` | what is known of a model without reading it whole |
//!
//! A job of kind `gesture` adds one gesture to one model. Its recording lies with the job's files, as the numbers that the
//! client sent; what it makes is a new model, named like the job. The parent stays as it is, so that going back is to
//! name the parent again.

pub mod models;
mod record;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use splat_gesture::{GestureError, Layout, Recording};

use crate::job::{JobId, NotAnId};
use crate::scene::Faults;

pub use record::{Figures, ModelFile, ModelRecord};

/// The code of the model that everybody starts from.
pub const BASE_CODE: &str = "base_v1";
/// The recording below a job's folder: 32-bit floats, little endian, 64 a frame.
pub const RECORDING: &str = "recording.f32";
/// What a gesture job makes, below its folder.
pub const OUTPUT: &str = "output/gesture";
/// A model with everything it takes to grow it.
pub const MODEL_FILE: &str = "model.gesture";

/// Which model: what clients call its `model_code`. Nothing else of theirs names one, so that none can name a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ModelCode {
    /// The model that everybody starts from.
    Base,
    /// A model of an owner.
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
    /// The model to grow.
    pub parent: ModelCode,
    /// Name of the new gesture.
    pub gesture: String,
    /// What its coordinates mean.
    pub layout: Layout,
    /// Frames of its recording.
    pub frames: usize,
    /// How many more the client sent that were no hand, and why, where there were some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<String>,
    /// Decides every random choice.
    pub seed: u64,
    /// Part of the URL under which the model can be fetched without a key. Chosen with the job, so that an attempt after
    /// a crash writes to the same place.
    pub secret: JobId,
    /// What else the client chose.
    #[serde(default)]
    pub options: GestureOptions,
}

/// What a client may choose about a gesture job beside the gesture.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GestureOptions {
    /// Where a signed message goes when the job has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
    /// Whether a gesture that looks like another one is published all the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub accept_look_alikes: bool,
    /// In test mode: how long the job waits before it trains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<Faults>,
}

/// The recording as [`RECORDING`] holds it.
#[must_use]
pub fn to_bytes(recording: &Recording) -> Vec<u8> {
    recording.frames().iter().flat_map(|frame| frame.values()).flat_map(f32::to_le_bytes).collect()
}

/// Reads what [`to_bytes`] wrote, with all its checks.
///
/// # Errors
/// Those of [`Recording::new`]: whatever the bytes are, they become a recording or a sentence.
pub fn from_bytes(gesture: &str, layout: Layout, bytes: &[u8]) -> Result<Recording, GestureError> {
    let values: Vec<f32> = bytes
        .chunks(4)
        .map(|chunk| <[u8; 4]>::try_from(chunk).map_or(f32::NAN, f32::from_le_bytes))
        .collect();
    let frames: Vec<&[f32]> = values.chunks(splat_gesture::limits::FRAME_VALUES).collect();
    // A file cut short is damaged: its last frame is no bad frame among good ones.
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
