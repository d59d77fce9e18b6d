//! Checks that a recording shows one hand and one gesture.

use crate::axes::Axes;
use crate::dataset::thinned;
use crate::error::{GestureError, Result};
use crate::frame::Frame;
use crate::known::Hand;
use crate::quantile::quantile;
use crate::recording::Recording;

/// Squared distance on the axes between the frames before and after a moment from which on a recording shows two gestures. Among
/// recordings of one gesture, and of one finished by another person, the maximum was 35; among two gestures in sequence the two
/// most similar of 84 pairs, B and C of one signer and two of his fists, had 52 and 57, and all others at least 101.
const APART: f32 = 45.0;
/// Number of frames compared, minimum share of them on either side, and maximum share around the moment that may lie in between.
const COMPARED: usize = 100;
const SIDE: f64 = 0.2;
const BETWEEN: f64 = 0.05;
/// This many frames of one side may be near to the other's, because the hand was visible before it moved.
const NEAR: f64 = 0.1;

/// Checks that a recording shows one gesture, which may move but not jump.
///
/// # Errors
/// [`GestureError::TwoGestures`].
pub(crate) fn shows_one_gesture(axes: &Axes, recording: &Recording) -> Result<()> {
    let frames = thinned(recording.frames(), COMPARED);
    // A hand seen from its side may be mistaken for its mirror image, which would look like two gestures.
    if axes.flat || frames.iter().all(Frame::is_flat) {
        return Ok(());
    }
    let hands: Vec<Hand> = frames.iter().map(|frame| Hand::of(axes, frame)).collect();
    let count = hands.len() as f64;
    let (side, between) = ((count * SIDE) as usize, (count * BETWEEN) as usize);
    for moment in (side..=hands.len() - side).step_by(2) {
        let (before, after) = (&hands[..moment - between], &hands[moment..]);
        // Distance of most of one side from all of the other.
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
