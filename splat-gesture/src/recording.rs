//! One take of one gesture: its name, its frames, and whether they show a hand that moves as hands do.
//!
//! Start at [`Recording::new`].

use crate::error::{GestureError, Result};
use crate::features::BONES;
use crate::frame::{Frame, check_name};
use crate::layout::Layout;
use crate::limits;
use crate::quantile::quantile;

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
    /// a tenth of the frames may be wrong: they are left out, as [`Recording::left_out`] reports.
    ///
    /// # Errors
    /// What is wrong with the name, with the number of frames, with the first frame that is wrong where more than a tenth are or too few remain, or with all of
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
        // Who sent enough of them is helped by what is wrong with one, not by their number.
        if bad * limits::BAD_FRAMES_ONE_IN > frames.len() || good.len() < limits::MIN_FRAMES {
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
        let change = unsteadiness(&frames);
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

/// The median bone's median change of length from a frame to the next, relative. Bones of one hand keep theirs, whatever it does; 0 of
/// landmarks without depth, in which they do not.
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
