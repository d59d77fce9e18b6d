//! What a whole recording shows: one hand, and one gesture.

use crate::axes::Axes;
use crate::dataset::thinned;
use crate::error::{GestureError, Result};
use crate::frame::Frame;
use crate::known::Hand;
use crate::quantile::quantile;
use crate::recording::Recording;

/// Squared distance on the axes between what comes before and after a moment from which on a recording shows two gestures. Of recordings of
/// one gesture, of two takes in one, and of one that another person ends the greatest was 20; of two gestures after each other the two
/// most alike of 27 pairs, fists of one signer, were 86 and 130 apart and all others 177 and more.
const APART: f32 = 45.0;
/// Frames that are compared, share of them on either side at least, and share around the moment that may lie in between.
const COMPARED: usize = 100;
const SIDE: f64 = 0.2;
const BETWEEN: f64 = 0.05;
/// So many of one side's frames may be near to the other's: the hand was seen before it moved.
const NEAR: f64 = 0.1;

/// Whether a recording shows one gesture, which may move but not jump.
///
/// # Errors
/// [`GestureError::TwoGestures`].
pub(crate) fn shows_one_gesture(axes: &Axes, recording: &Recording) -> Result<()> {
    let frames = thinned(recording.frames(), COMPARED);
    // A hand seen from its side may then be taken for its mirror image, and so one gesture for two.
    if axes.flat || frames.iter().all(Frame::is_flat) {
        return Ok(());
    }
    let hands: Vec<Hand> = frames.iter().map(|frame| Hand::of(axes, frame)).collect();
    let count = hands.len() as f64;
    let (side, between) = ((count * SIDE) as usize, (count * BETWEEN) as usize);
    for moment in (side..=hands.len() - side).step_by(2) {
        let (before, after) = (&hands[..moment - between], &hands[moment..]);
        // How far most of one side are from all of the other.
        let apart = |own: &[Hand], other: &[Hand]| {
            let nearest = |hand: &Hand| {
                other.iter().map(|known| known.squared_distance(hand)).fold(f32::INFINITY, f32::min)
            };
            quantile(own.iter().map(nearest).collect(), NEAR)
        };
        if apart(before, after) > APART && apart(after, before) > APART {
            return Err(GestureError::TwoGestures { frame: moment * recording.frames().len() / hands.len() });
        }
    }
    Ok(())
}
