//! Cross-validation: held-out frames of a gesture, with a model that was built without them.
//!
//! A recording is too short to hold out a part of it permanently. Instead each part in turn is recognised with examples from the
//! other parts (blocked cross-validation, since neighbouring frames are near-copies), and the model itself has examples from all.

use crate::dataset::Gesture;
use crate::frame::Frame;
use crate::known::{Known, PARTS};
use crate::model::Model;

/// Frames left out on either side of a part, because they are near-copies of it.
const GAP: usize = 2;

/// Some frames of a gesture, and the model built without them.
pub(crate) struct Fold {
    pub(crate) model: Model,
    pub(crate) frames: Vec<Frame>,
}

/// The folds of gesture `index` of a model, in chronological order. Synthetic hands have one, of those that were held out.
pub(crate) fn folds(model: &Model, index: usize, gesture: &Gesture) -> Vec<Fold> {
    if gesture.is_made_up() {
        return vec![Fold { model: model.clone(), frames: gesture.held_out.clone() }];
    }
    let rows: Vec<Frame> = gesture.rows().copied().collect();
    let fold = |part: usize| {
        let [from, to] = [part, part + 1].map(|part| rows.len() * part / PARTS);
        let before = &rows[..from.saturating_sub(GAP)];
        let after = &rows[(to + GAP).min(rows.len())..];
        let others: Vec<Frame> = before.iter().chain(after).copied().collect();
        let mut model = model.clone();
        let known = &mut model.gestures[index];
        *known = Known { turn: known.turn, ..Known::recorded(&model.axes, &others) };
        Fold { model, frames: rows[from..to].to_vec() }
    };
    (0..PARTS).map(fold).filter(|fold| !fold.frames.is_empty()).collect()
}
