//! The frames of a model in chronological order, and their source.

use crate::frame::{Frame, Layout};
use crate::recording::Recording;

/// Number of frames stored from the first four fifths of a recording, and from the last fifth.
pub(crate) const TRAIN_ROWS: usize = 96;
pub(crate) const HELD_OUT_ROWS: usize = 24;
/// Number of frames left out between the two parts.
const GAP: usize = 2;
/// Frames whose values differ by no more than this, in the layout's unit, count as the same frame sent again.
const SAME_FRAME: f32 = 5e-5;

/// One gesture: its name and a limited number of its frames, in chronological order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Gesture {
    pub(crate) name: String,
    pub(crate) train: Vec<Frame>,
    /// Of made-up hands those that the report is of; of a recording its end, see [`crate::folds`].
    pub(crate) held_out: Vec<Frame>,
}

impl Gesture {
    /// Selects the frames to store from a recording.
    pub(crate) fn split(recording: &Recording) -> Self {
        let frames = recording.frames();
        let n = frames.len();
        let held_out_from = n - n / 5;
        let part = |from: usize, to: usize| frames.get(from..to).unwrap_or(&[]);
        Self {
            name: recording.name().to_owned(),
            train: thinned(part(0, held_out_from - GAP), TRAIN_ROWS),
            held_out: thinned(part(held_out_from, n), HELD_OUT_ROWS),
        }
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = &Frame> {
        self.train.iter().chain(&self.held_out)
    }

    /// Whether its hands are synthetic, as those of the base model are: there are more of them than of a recording, in no
    /// chronological order.
    pub(crate) fn is_made_up(&self) -> bool {
        self.train.len() > TRAIN_ROWS
    }
}

/// At most `limit` of the frames, evenly spaced in time.
pub(crate) fn thinned(frames: &[Frame], limit: usize) -> Vec<Frame> {
    if frames.len() <= limit {
        return frames.to_vec();
    }
    (0..limit).map(|index| frames[index * frames.len() / limit]).collect()
}

/// The gestures of a model, in the order of its labels.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Dataset {
    pub(crate) layout: Layout,
    pub(crate) gestures: Vec<Gesture>,
}

impl Dataset {
    pub(crate) fn names(&self) -> Vec<String> {
        self.gestures.iter().map(|gesture| gesture.name.clone()).collect()
    }

    /// Whether all hands lack depth.
    pub(crate) fn is_flat(&self) -> bool {
        self.gestures.iter().flat_map(Gesture::rows).all(Frame::is_flat)
    }

    /// The stored gesture of which more than a tenth of the recording's frames are copies.
    pub(crate) fn duplicate_of(&self, recording: &Recording) -> Option<&str> {
        let frames = recording.frames();
        self.gestures.iter().find_map(|gesture| {
            let copies = frames
                .iter()
                .filter(|frame| gesture.rows().any(|row| row.is_close(frame, SAME_FRAME)))
                .count();
            (copies * 10 > frames.len()).then_some(gesture.name.as_str())
        })
    }
}
