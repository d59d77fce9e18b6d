//! Coordinate systems of landmarks.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::limits;

/// The coordinate system of a dataset. A model is trained on one of them and must be given the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// MediaPipe's world landmarks: metres, origin in the hand's centre, x right, y down, z away from the camera.
    World,
    /// MediaPipe's image landmarks: x and y as fractions of the picture, z on the scale of x.
    Image,
}

impl Layout {
    /// Name of the layout for messages.
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            Self::World => "MediaPipe's world landmarks in metres",
            Self::Image => "MediaPipe's image landmarks as fractions of the picture",
        }
    }

    pub(crate) fn coordinate_range(self) -> (f32, f32) {
        match self {
            Self::World => limits::WORLD_RANGE,
            Self::Image => limits::IMAGE_RANGE,
        }
    }

    pub(crate) fn size_range(self) -> (f32, f32) {
        match self {
            Self::World => limits::WORLD_SIZE,
            Self::Image => limits::IMAGE_SIZE,
        }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::World => "world",
            Self::Image => "image",
        })
    }
}
