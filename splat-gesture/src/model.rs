//! A trained model: what the exported graphs compute, computed here.

use crate::error::{GestureError, Result};
use crate::features::{FEATURES, features};
use crate::frame::{Frame, Layout};
use crate::network::{Dense, EMBEDDING, HIDDEN, softmax};
use crate::reject::Gate;

/// Below this score the answer is "none": stock clients' own rule.
pub const ACCEPT_SCORE: f32 = 0.5;

/// Normalisation, network and gate of one model, for frames of one layout.
///
/// Same values as its exports: the float ones to 1e-5, the quantised one to a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    pub(crate) layout: Layout,
    pub(crate) hidden: Dense,
    pub(crate) embed: Dense,
    pub(crate) head: Dense,
    pub(crate) gate: Gate,
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
        self.head.outputs - 1
    }

    /// What the coordinates of its frames mean.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Recognises a frame of the model's layout.
    #[must_use]
    pub fn predict(&self, frame: &Frame) -> Prediction {
        self.predict_features(&features(frame))
    }

    /// Recognises 64 numbers as clients send them.
    ///
    /// # Errors
    /// What [`Frame::parse`] finds wrong.
    pub fn predict_values(&self, values: &[f32]) -> Result<Prediction, GestureError> {
        Ok(self.predict(&Frame::parse(values, self.layout, 0)?))
    }

    pub(crate) fn embedding(&self, x: &[f32; FEATURES]) -> [f32; EMBEDDING] {
        let mut hidden = [0.0; HIDDEN];
        self.hidden.forward(x, &mut hidden);
        for value in &mut hidden {
            *value = value.max(0.0);
        }
        let mut z = [0.0; EMBEDDING];
        self.embed.forward(&hidden, &mut z);
        z
    }

    pub(crate) fn predict_features(&self, x: &[f32; FEATURES]) -> Prediction {
        let z = self.embedding(x);
        let mut logits = vec![0.0; self.head.outputs];
        self.head.forward(&z, &mut logits);
        let mut scores = softmax(&logits);
        // The last is "none of them": its share is what the others lack to 1.
        scores.truncate(self.gestures());
        for (score, factor) in scores.iter_mut().zip(self.gate.factors(x)) {
            *score *= factor;
        }
        let mut best = 0;
        for (index, score) in scores.iter().enumerate() {
            if *score > scores[best] {
                best = index;
            }
        }
        let accepted = scores.get(best).is_some_and(|score| *score >= ACCEPT_SCORE);
        Prediction { gesture: accepted.then_some(best), best, scores }
    }
}
