//! A trained model: what the exported graphs compute, computed here.
//!
//! A hand's nearness to a gesture is its squared distance from the nearest of the gesture's examples, in parts of the gesture's reach. Its
//! score falls as that grows, and gestures compete, of which a narrow one counts more where two are equally near:
//! `scores = softmax(-STEEPNESS * nearness - NARROWNESS * ln(reach)) * sigmoid(STEEPNESS * (1 - nearness))`. So a score is a half
//! where a hand is as far off as the gesture reaches and near to nothing else, and clients take less than that for "none".

use crate::axes::Axes;
use crate::error::{GestureError, Result};
use crate::features::{FEATURES, features};
use crate::frame::{Frame, Layout};
use crate::known::{Hand, Known};

/// Below this score the answer is "none": stock clients' own rule.
pub const ACCEPT_SCORE: f32 = 0.5;
/// How sharply the score falls at the reach; gentle enough that runtimes agree to 1e-5.
pub(crate) const STEEPNESS: f32 = 8.0;

/// Normalisation, examples and reach of the gestures of one model, for frames of one layout.
///
/// Same values as its exports: the float ones to 1e-5, the quantised one to a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    pub(crate) layout: Layout,
    pub(crate) axes: Axes,
    pub(crate) gestures: Vec<Known>,
}

/// What a model says of one frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// One score per gesture, in the order of the labels, 0..1; they add up to 1 at most.
    pub scores: Vec<f32>,
    /// The gesture with the highest score, if that reaches [`ACCEPT_SCORE`]; `None` is an unknown hand.
    pub gesture: Option<usize>,
    /// The gesture with the highest score, whether it reaches it or not.
    pub best: usize,
}

impl Model {
    /// Number of gestures.
    #[must_use]
    pub fn gestures(&self) -> usize {
        self.gestures.len()
    }

    /// What the coordinates of its frames mean.
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
    /// What [`Frame::parse`] finds wrong.
    pub fn predict_values(&self, values: &[f32]) -> Result<Prediction, GestureError> {
        Ok(self.predict(&Frame::parse(values, self.layout, 0)?))
    }

    /// The hand of a frame on the model's axes.
    pub(crate) fn hand(&self, frame: &Frame) -> Hand {
        Hand::of(&self.axes, frame)
    }

    /// Distance of a hand from a gesture, in parts of the gesture's reach.
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
        // Far from all of them scores are 0, and the nearest is the best guess.
        let farther = |a: &usize, b: &usize| nearness[*b].total_cmp(&nearness[*a]);
        let better = |a: &usize, b: &usize| scores[*a].total_cmp(&scores[*b]).then(farther(a, b));
        // Of equals the first, as runtimes answer.
        let best = (0..scores.len()).rev().max_by(better).unwrap_or(0);
        let accepted = scores.get(best).is_some_and(|score| *score >= ACCEPT_SCORE);
        Prediction { gesture: accepted.then_some(best), best, scores }
    }
}
