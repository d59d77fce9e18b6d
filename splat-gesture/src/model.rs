//! A trained model; computes the same as the exported graphs.
//!
//! The distance of a hand from a gesture is its squared distance from the nearest of the gesture's examples, divided by the
//! gesture's reach (the squared radius of acceptance). The score falls as it grows, and of two equally near gestures the one with
//! the smaller reach wins: `scores = softmax(-STEEPNESS * nearness - NARROWNESS * ln(reach)) * sigmoid(STEEPNESS * (1 -
//! nearness))`. So the score is 0.5 for a hand at the radius that is near to no other gesture, and clients treat less than that
//! as "none".

use crate::axes::Axes;
use crate::error::{GestureError, Result};
use crate::features::{FEATURES, features};
use crate::frame::{Frame, Layout};
use crate::known::{Hand, Known};

/// Below this score the answer is "none", as in stock clients.
pub const ACCEPT_SCORE: f32 = 0.5;
/// Steepness of the score at the radius; small enough that runtimes agree to 1e-5.
pub(crate) const STEEPNESS: f32 = 8.0;

/// Normalisation, examples and reach of the gestures of one model, for frames of one layout.
///
/// It computes the same values as its exports: to 1e-5 of the float ones, to one quantisation step of the legacy one.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    pub(crate) layout: Layout,
    pub(crate) axes: Axes,
    pub(crate) gestures: Vec<Known>,
}

/// Result of recognising one frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// One score per gesture, in the order of the labels, 0..1; they add up to 1 at most.
    pub scores: Vec<f32>,
    /// The gesture with the highest score, if that reaches [`ACCEPT_SCORE`]; `None` is an unknown hand.
    pub gesture: Option<usize>,
    /// The gesture with the highest score, even if below [`ACCEPT_SCORE`].
    pub best: usize,
}

impl Model {
    /// Number of gestures.
    #[must_use]
    pub fn gestures(&self) -> usize {
        self.gestures.len()
    }

    /// Meaning of its frames' coordinates.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Recognises a frame of the model's layout.
    #[must_use]
    pub fn predict(&self, frame: &Frame) -> Prediction {
        self.predict_features(&features(frame, self.axes.flat))
    }

    /// Recognises 64 numbers as clients send them.
    ///
    /// # Errors
    /// Errors of [`Frame::parse`].
    pub fn predict_values(&self, values: &[f32]) -> Result<Prediction, GestureError> {
        Ok(self.predict(&Frame::parse(values, self.layout, 0)?))
    }

    /// The hand of a frame on the model's axes.
    pub(crate) fn hand(&self, frame: &Frame) -> Hand {
        Hand::of(&self.axes, frame)
    }

    /// Squared distance of a hand from a gesture, divided by the gesture's reach.
    pub(crate) fn nearness(&self, gesture: usize, hand: &Hand) -> f32 {
        self.gestures[gesture].distance(hand) / self.gestures[gesture].reach
    }

    fn predict_features(&self, x: &[f32; FEATURES]) -> Prediction {
        let hand = Hand::new(&self.axes, x);
        let nearness: Vec<f32> =
            (0..self.gestures.len()).map(|gesture| self.nearness(gesture, &hand)).collect();
        let logit = |(nearness, known): (&f32, &Known)| -STEEPNESS * nearness + known.narrowness();
        let logits: Vec<f32> = nearness.iter().zip(&self.gestures).map(logit).collect();
        let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut scores: Vec<f32> = logits.iter().map(|logit| (logit - top).exp()).collect();
        let sum: f32 = scores.iter().sum();
        for (score, nearness) in scores.iter_mut().zip(&nearness) {
            *score /= sum * (1.0 + (-STEEPNESS * (1.0 - nearness)).exp());
        }
        // Far from all of them all scores are 0, and the nearest gesture is the best guess.
        let farther = |a: &usize, b: &usize| nearness[*b].total_cmp(&nearness[*a]);
        let better = |a: &usize, b: &usize| scores[*a].total_cmp(&scores[*b]).then(farther(a, b));
        // The first of equals, as in the runtimes.
        let best = (0..scores.len()).rev().max_by(better).unwrap_or(0);
        let accepted = scores.get(best).is_some_and(|score| *score >= ACCEPT_SCORE);
        Prediction { gesture: accepted.then_some(best), best, scores }
    }
}
