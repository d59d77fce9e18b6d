//! One frame of a hand: 21 landmarks and the handedness, validated on construction.
//!
//! Start at [`Frame::parse`]; a sequence of frames is a [`Recording`](crate::Recording).

use crate::error::{GestureError, Result};
pub(crate) use crate::layout::Layout;
use crate::limits;

/// Landmarks of a hand, in MediaPipe's order: wrist, then thumb, index, middle, ring and little finger from palm to tip.
pub const LANDMARKS: usize = 21;

/// Handedness as reported by a detector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Handedness {
    /// 0 on the wire.
    Left,
    /// 1 on the wire.
    Right,
    /// -1 on the wire: Android sends it when the detector gave none.
    Unknown,
}

impl Handedness {
    /// The number clients send.
    #[must_use]
    pub fn code(self) -> f32 {
        match self {
            Self::Left => 0.0,
            Self::Right => 1.0,
            Self::Unknown => -1.0,
        }
    }
}

/// One hand at one moment, within the limits of its layout.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame {
    /// x, y, z of every landmark, as sent.
    pub(crate) points: [[f32; 3]; LANDMARKS],
    /// Which hand.
    pub(crate) hand: Handedness,
}

impl Frame {
    /// Validates `values`: 21 landmarks of x, y, z and then the handedness. `index` is the frame's index in its recording, for
    /// the error message.
    ///
    /// # Errors
    /// The first problem found: length, NaN, range, handedness, or landmarks that do not form a hand.
    pub fn parse(values: &[f32], layout: Layout, index: usize) -> Result<Self> {
        let Ok(values) = <&[f32; limits::FRAME_VALUES]>::try_from(values) else {
            return Err(GestureError::FrameLength { frame: index, found: values.len() });
        };
        if let Some(position) = values.iter().position(|value| !value.is_finite()) {
            return Err(GestureError::NotFinite { frame: index, position });
        }
        let (coordinates, hand) = values.split_at(LANDMARKS * 3);
        let hand = match hand {
            [0.0] => Handedness::Left,
            [1.0] => Handedness::Right,
            [-1.0] => Handedness::Unknown,
            other => {
                let value = other.first().copied().unwrap_or(f32::NAN);
                return Err(GestureError::Handedness { frame: index, value });
            }
        };
        let (low, high) = layout.coordinate_range();
        if let Some(&value) = coordinates.iter().find(|value| !(low..=high).contains(*value)) {
            return Err(GestureError::OutOfRange { frame: index, value, low, high, layout });
        }
        let mut points = [[0.0; 3]; LANDMARKS];
        for (point, xyz) in points.iter_mut().zip(coordinates.chunks_exact(3)) {
            point.copy_from_slice(xyz);
        }
        let frame = Self { points, hand };
        let size = frame.size();
        let (low, high) = layout.size_range();
        if !(low..=high).contains(&size) {
            return Err(GestureError::NoHand { frame: index, size, low, high });
        }
        Ok(frame)
    }

    /// The 64 numbers it was parsed from.
    #[must_use]
    pub fn values(&self) -> [f32; limits::FRAME_VALUES] {
        let mut values = [0.0; limits::FRAME_VALUES];
        for (xyz, point) in values.chunks_exact_mut(3).zip(&self.points) {
            xyz.copy_from_slice(point);
        }
        values[limits::FRAME_VALUES - 1] = self.hand.code();
        values
    }

    /// Root mean square distance of the 20 other landmarks from the wrist, in the layout's unit.
    #[must_use]
    pub fn size(&self) -> f32 {
        let mut sum = 0.0;
        for point in &self.points {
            for (axis, value) in point.iter().enumerate() {
                let offset = value - self.points[0][axis];
                sum += offset * offset;
            }
        }
        (sum / (LANDMARKS - 1) as f32).sqrt()
    }

    /// The mirrored hand: the other hand in the same pose.
    #[must_use]
    pub fn mirrored(&self) -> Self {
        let mut frame = *self;
        for point in &mut frame.points {
            point[0] = -point[0];
        }
        frame.hand = match self.hand {
            Handedness::Left => Handedness::Right,
            Handedness::Right => Handedness::Left,
            Handedness::Unknown => Handedness::Unknown,
        };
        frame
    }

    /// The hand as a detector in two dimensions reports it, without handedness.
    pub(crate) fn flattened(&self) -> Self {
        Self { hand: Handedness::Unknown, ..self.without_depth() }
    }

    pub(crate) fn without_depth(&self) -> Self {
        Self { points: self.points.map(|[x, y, _]| [x, y, 0.0]), hand: self.hand }
    }

    /// Whether the landmarks have no depth.
    pub(crate) fn is_flat(&self) -> bool {
        self.points.iter().all(|point| point[2] == self.points[0][2])
    }

    /// Whether all values are within `tolerance` of the other frame's.
    pub(crate) fn is_close(&self, other: &Self, tolerance: f32) -> bool {
        self.hand == other.hand
            && self
                .points
                .iter()
                .flatten()
                .zip(other.points.iter().flatten())
                .all(|(a, b)| (a - b).abs() <= tolerance)
    }
}

/// Name that clients and this program use for an unknown hand.
pub(crate) const NONE: &str = "none";

/// Checks that `name` is valid for clients, file systems and label files.
///
/// # Errors
/// [`GestureError::NameLength`], [`GestureError::NameCharacter`], [`GestureError::NameBlank`] or [`GestureError::NameNone`].
pub fn check_name(name: &str) -> Result<()> {
    check_stored_name(name)?;
    if name.trim().eq_ignore_ascii_case(NONE) {
        return Err(GestureError::NameNone);
    }
    Ok(())
}

/// The same for names in models, of which earlier versions made some with a gesture called [`NONE`].
pub(crate) fn check_stored_name(name: &str) -> Result<()> {
    let found = name.chars().count();
    if found == 0 || found > limits::MAX_NAME_CHARS {
        return Err(GestureError::NameLength { found });
    }
    let forbidden = |c: &char| limits::FORBIDDEN_NAME_CHARS.contains(c) || c.is_control();
    if let Some(character) = name.chars().find(forbidden) {
        return Err(GestureError::NameCharacter { character });
    }
    if name.trim().is_empty() {
        return Err(GestureError::NameBlank);
    }
    Ok(())
}
