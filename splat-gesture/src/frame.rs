//! One frame of a hand: 21 landmarks and which hand it is, checked before anything else sees it.
//!
//! Start at [`Frame::parse`]; [`Recording::new`] checks a whole take and its name.

use crate::error::{GestureError, Result};
pub(crate) use crate::layout::Layout;
use crate::limits;
use crate::take;

/// Landmarks of a hand, in MediaPipe's order: wrist, then thumb, index, middle, ring and little finger from palm to tip.
pub const LANDMARKS: usize = 21;

/// Which hand a detector said it saw.
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
    /// Checks `values`, which are 21 landmarks of x, y, z and then the handedness; `index` is the frame's place in its
    /// recording, for the message.
    ///
    /// # Errors
    /// What is wrong with the first value that is: length, NaN, range, handedness, or that this is no hand.
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

    /// The 64 numbers it came from.
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

    /// The same hand seen in a mirror: the other hand in the same pose.
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

    /// Whether every value is within `tolerance` of the other frame's.
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

/// What clients and this program call an unknown hand.
pub(crate) const NONE: &str = "none";

/// Checks that clients, file systems and label files all take `name`.
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

/// One take of one gesture: frames in the order in which they were recorded, all of one layout.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    name: String,
    layout: Layout,
    frames: Vec<Frame>,
    left_out: Option<String>,
}

impl Recording {
    /// Checks a take, whose name loses its outer spaces: `frames` of 64 numbers each, see [`Frame::parse`], within [`crate::limits`]. Up to
    /// a tenth of the frames may be wrong: they are left out, which [`Recording::left_out`] tells.
    ///
    /// # Errors
    /// What is wrong with the name, with the number of frames, with the first frame that is wrong where more than a tenth are, or with all of
    /// them together; see [`Recording::from_frames`].
    pub fn new<F: AsRef<[f32]>>(name: &str, layout: Layout, frames: &[F]) -> Result<Self> {
        let name = name.trim();
        check_name(name)?;
        // Counted before they are parsed, so that a flood costs nothing.
        check_count(frames.len())?;
        let mut good = Vec::with_capacity(frames.len());
        let mut first = None;
        for (index, values) in frames.iter().enumerate() {
            match Frame::parse(values.as_ref(), layout, index) {
                Ok(frame) => good.push(frame),
                Err(error) => {
                    first.get_or_insert(error);
                }
            }
        }
        let bad = frames.len() - good.len();
        let Some(first) = first else { return Self::from_frames(name, layout, good) };
        if bad * limits::BAD_FRAMES_ONE_IN > frames.len() {
            return Err(first);
        }
        let left_out = format!("{bad} of {} frames were left out; the first of them: {first}", frames.len());
        Ok(Self { left_out: Some(left_out), ..Self::from_frames(name, layout, good)? })
    }

    /// The same from frames that are parsed already.
    ///
    /// # Errors
    /// What is wrong with the name or the number of frames; [`GestureError::Frozen`] when hardly any two differ, and
    /// [`GestureError::Noise`] when the bones' lengths change from frame to frame as no hand's do.
    pub fn from_frames(name: &str, layout: Layout, frames: Vec<Frame>) -> Result<Self> {
        // Two names that differ in such spaces only look the same in every list.
        let name = name.trim();
        check_name(name)?;
        check_count(frames.len())?;
        let distinct = 1 + frames.windows(2).filter(|pair| pair[0] != pair[1]).count();
        if distinct < limits::MIN_DISTINCT_FRAMES {
            return Err(GestureError::Frozen { distinct, frames: frames.len() });
        }
        let change = take::unsteadiness(&frames);
        if change > limits::MAX_UNSTEADINESS {
            return Err(GestureError::Noise { change });
        }
        Ok(Self { name: name.to_owned(), layout, frames, left_out: None })
    }

    /// The gesture's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the coordinates mean.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// How many frames were left out, and why, where any were.
    #[must_use]
    pub fn left_out(&self) -> Option<&str> {
        self.left_out.as_deref()
    }

    /// The frames, in time.
    #[must_use]
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }
}

fn check_count(found: usize) -> Result<()> {
    if found < limits::MIN_FRAMES {
        return Err(GestureError::TooFewFrames { found });
    }
    if found > limits::MAX_FRAMES {
        return Err(GestureError::TooManyFrames { found });
    }
    Ok(())
}
