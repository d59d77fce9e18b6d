//! A recording of one gesture: its name, its frames, and the check that they show a hand in plausible motion.
//!
//! Start at [`Recording::new`].

use crate::error::{GestureError, Result};
use crate::features::BONES;
use crate::frame::{Frame, check_name};
use crate::layout::Layout;
use crate::limits;
use crate::quantile::quantile;

/// A recording of one gesture: frames in chronological order, all of one layout.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    name: String,
    layout: Layout,
    frames: Vec<Frame>,
    left_out: Option<String>,
    left_out_frames: usize,
}

impl Recording {
    /// Checks a recording of frames of 64 numbers each (see [`Frame::parse`]) against [`crate::limits`]; surrounding white space
    /// of the name is removed. Up to a tenth of the frames may be invalid: they are left out, as [`Recording::left_out`] reports.
    ///
    /// # Errors
    /// Errors about the name or the number of frames; the first invalid frame if more than a tenth are invalid or too few remain;
    /// and errors of [`Recording::from_frames`].
    pub fn new<F: AsRef<[f32]>>(name: &str, layout: Layout, frames: &[F]) -> Result<Self> {
        let name = name.trim();
        check_name(name)?;
        // Counted before they are parsed, so that excessive input costs nothing.
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
        // If enough frames were sent, the error of one is more helpful than their number.
        if bad * limits::BAD_FRAMES_ONE_IN > frames.len() || good.len() < limits::MIN_FRAMES {
            return Err(first);
        }
        let left_out = format!("{bad} of {} frames were left out; the first of them: {first}", frames.len());
        Ok(Self { left_out: Some(left_out), left_out_frames: bad, ..Self::from_frames(name, layout, good)? })
    }

    /// The same from parsed frames.
    ///
    /// # Errors
    /// Errors about the name or the number of frames; [`GestureError::Frozen`] if hardly any two frames differ, and
    /// [`GestureError::Noise`] if bone lengths change from frame to frame more than a hand's do.
    pub fn from_frames(name: &str, layout: Layout, frames: Vec<Frame>) -> Result<Self> {
        // Names that differ only in surrounding spaces would look the same in lists.
        let name = name.trim();
        check_name(name)?;
        check_count(frames.len())?;
        let distinct = 1 + frames.windows(2).filter(|pair| pair[0] != pair[1]).count();
        if distinct < limits::MIN_DISTINCT_FRAMES {
            return Err(GestureError::Frozen { distinct, frames: frames.len() });
        }
        let change = unsteadiness(&frames);
        if change > limits::MAX_UNSTEADINESS {
            return Err(GestureError::Noise { change });
        }
        Ok(Self { name: name.to_owned(), layout, frames, left_out: None, left_out_frames: 0 })
    }

    /// The gesture's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Meaning of the coordinates.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Number of frames left out, and why, if any were.
    #[must_use]
    pub fn left_out(&self) -> Option<&str> {
        self.left_out.as_deref()
    }

    pub(crate) fn left_out_frames(&self) -> usize {
        self.left_out_frames
    }

    /// The frames in chronological order.
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

/// Median of the bones' median relative change of length between frames. Bone lengths of a real hand are constant; 0 for
/// landmarks without depth, where they are not.
fn unsteadiness(frames: &[Frame]) -> f32 {
    if frames.iter().all(Frame::is_flat) {
        return 0.0;
    }
    let lengths = |frame: &Frame| -> Vec<f32> {
        let size = frame.size().max(f32::MIN_POSITIVE);
        let bones = frame.points.iter().skip(1).zip(BONES);
        bones
            .map(|(end, root)| {
                let start = frame.points[root];
                (0..3).map(|axis| (end[axis] - start[axis]).powi(2)).sum::<f32>().sqrt() / size
            })
            .collect()
    };
    let lengths: Vec<Vec<f32>> = frames.iter().map(lengths).collect();
    let changes = (0..BONES.len()).map(|bone| {
        let change = |pair: &[Vec<f32>]| {
            let (a, b) = (pair[0][bone], pair[1][bone]);
            2.0 * (a - b).abs() / (a + b).max(f32::MIN_POSITIVE)
        };
        quantile(lengths.windows(2).map(change).collect(), 0.5)
    });
    quantile(changes.collect(), 0.5)
}
