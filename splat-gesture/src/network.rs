//! The network: features -> hidden (ReLU) -> embedding -> one logit per gesture and one for "none of them", and a decoder
//! used in training only.
//!
//! ```text
//! x [FEATURES] -> h = relu(A x + a) [HIDDEN] -> z = B h + b [EMBEDDING] -> logits = C z + c [gestures + 1]
//!                                               z -> D z + d [FEATURES], compared with x
//! ```
//!
//! The decoder makes the embedding keep more of a hand than what tells the training frames apart, and so they are told by
//! what they have in common and not by chance: `base_v1` knows real hands better for it. It is not exported.
//! Its sizes never change but for the logits' row per gesture. Plain loops in a fixed order: same input, same bits.

use crate::features::FEATURES;
use crate::random::Random;

/// Width of the hidden layer.
pub(crate) const HIDDEN: usize = 48;
/// Width of the embedding.
pub(crate) const EMBEDDING: usize = 32;

/// A layer y = W x + b. Weights lie by input, so that both passes walk them in order: `weights[i * outputs + o]`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Dense {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) weights: Vec<f32>,
    pub(crate) bias: Vec<f32>,
}

impl Dense {
    /// Uniform in +-sqrt(6 / (inputs + outputs)) (Glorot and Bengio 2010).
    fn new(inputs: usize, outputs: usize, random: &mut Random) -> Self {
        let limit = (6.0 / (inputs + outputs) as f32).sqrt();
        let weights = (0..inputs * outputs).map(|_| random.between(-limit, limit)).collect();
        Self { inputs, outputs, weights, bias: vec![0.0; outputs] }
    }

    fn zeros_like(other: &Self) -> Self {
        Self {
            inputs: other.inputs,
            outputs: other.outputs,
            weights: vec![0.0; other.weights.len()],
            bias: vec![0.0; other.bias.len()],
        }
    }

    /// y = W x + b.
    pub(crate) fn forward(&self, x: &[f32], y: &mut [f32]) {
        y.copy_from_slice(&self.bias);
        for (x, row) in x.iter().zip(self.weights.chunks_exact(self.outputs)) {
            if *x != 0.0 {
                for (y, w) in y.iter_mut().zip(row) {
                    *y += x * w;
                }
            }
        }
    }

    /// Adds to `grads` the gradient of the loss whose gradient on y is `v_y`.
    fn accumulate(grads: &mut Self, x: &[f32], v_y: &[f32]) {
        for (v_b, v) in grads.bias.iter_mut().zip(v_y) {
            *v_b += v;
        }
        for (x, row) in x.iter().zip(grads.weights.chunks_exact_mut(v_y.len())) {
            if *x != 0.0 {
                for (v_w, v) in row.iter_mut().zip(v_y) {
                    *v_w += x * v;
                }
            }
        }
    }

    /// Adds to `v_x` the gradient on x.
    fn backward(&self, v_y: &[f32], v_x: &mut [f32]) {
        for (v_x, row) in v_x.iter_mut().zip(self.weights.chunks_exact(self.outputs)) {
            *v_x += sum_of_products(row, v_y);
        }
    }

    fn parameters(&self) -> impl Iterator<Item = &f32> {
        self.weights.iter().chain(&self.bias)
    }

    fn parameters_mut(&mut self) -> impl Iterator<Item = &mut f32> {
        self.weights.iter_mut().chain(&mut self.bias)
    }
}

/// Eight sums side by side and then together: an order that is fixed and that a compiler can vectorise.
fn sum_of_products(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let (a_rest, b_rest) = (a8.remainder(), b8.remainder());
    for (a, b) in a8.zip(b8) {
        for (lane, (a, b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
            *lane += a * b;
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    lanes.iter().sum::<f32>() + rest
}

/// All trainable layers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Network {
    pub(crate) hidden: Dense,
    pub(crate) embed: Dense,
    pub(crate) head: Dense,
    pub(crate) decoder: Dense,
}

/// What a sample is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A frame of this gesture.
    Gesture(usize),
    /// A hand that is none of them.
    Other,
}

/// Values between the layers for one sample.
#[derive(Clone, Debug)]
pub(crate) struct Activations {
    pub(crate) hidden: [f32; HIDDEN],
    pub(crate) embedding: [f32; EMBEDDING],
    pub(crate) logits: Vec<f32>,
}

/// What the loss weighs besides the gesture's cross entropy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LossWeights {
    /// Mean square error of the decoder.
    pub(crate) decoder: f32,
    /// Probability spread over the other gestures by label smoothing.
    pub(crate) smoothing: f32,
}

impl Network {
    pub(crate) fn new(gestures: usize, random: &mut Random) -> Self {
        Self {
            hidden: Dense::new(FEATURES, HIDDEN, random),
            embed: Dense::new(HIDDEN, EMBEDDING, random),
            head: Dense::new(EMBEDDING, gestures + 1, random),
            decoder: Dense::new(EMBEDDING, FEATURES, random),
        }
    }

    pub(crate) fn gestures(&self) -> usize {
        self.head.outputs - 1
    }

    pub(crate) fn zeros_like(other: &Self) -> Self {
        Self {
            hidden: Dense::zeros_like(&other.hidden),
            embed: Dense::zeros_like(&other.embed),
            head: Dense::zeros_like(&other.head),
            decoder: Dense::zeros_like(&other.decoder),
        }
    }

    /// Moves every weight towards `other`'s, keeping this share of itself: over many steps, their running mean.
    pub(crate) fn follow(&mut self, other: &Self, keep: f32) {
        for (mine, theirs) in self.layers_mut().into_iter().zip(other.layers()) {
            for (mine, theirs) in mine.parameters_mut().zip(theirs.parameters()) {
                *mine = keep * *mine + (1.0 - keep) * theirs;
            }
        }
    }

    pub(crate) fn layers(&self) -> [&Dense; 4] {
        [&self.hidden, &self.embed, &self.head, &self.decoder]
    }

    pub(crate) fn layers_mut(&mut self) -> [&mut Dense; 4] {
        [&mut self.hidden, &mut self.embed, &mut self.head, &mut self.decoder]
    }

    /// Appends a gesture: one more row of the head, before that of "none".
    pub(crate) fn grow(&mut self, random: &mut Random) {
        let fresh = Dense::new(EMBEDDING, 1, random);
        let old = self.head.outputs;
        let mut weights = Vec::with_capacity(EMBEDDING * (old + 1));
        for (row, new) in self.head.weights.chunks_exact(old).zip(&fresh.weights) {
            let (gestures, none) = row.split_at(old - 1);
            weights.extend_from_slice(gestures);
            weights.push(new * 0.1);
            weights.extend_from_slice(none);
        }
        self.head.weights = weights;
        self.head.bias.insert(old - 1, 0.0);
        self.head.outputs = old + 1;
    }

    /// Takes a gesture's row out.
    pub(crate) fn remove(&mut self, gesture: usize) {
        self.head = Self::without(&self.head, gesture);
    }

    /// `head` without one output.
    pub(crate) fn without(head: &Dense, output: usize) -> Dense {
        let keep = |(index, value): (usize, &f32)| (index % head.outputs != output).then_some(*value);
        Dense {
            inputs: head.inputs,
            outputs: head.outputs - 1,
            weights: head.weights.iter().enumerate().filter_map(keep).collect(),
            bias: head.bias.iter().enumerate().filter_map(keep).collect(),
        }
    }

    pub(crate) fn forward(&self, x: &[f32; FEATURES]) -> Activations {
        let mut hidden = [0.0; HIDDEN];
        self.hidden.forward(x, &mut hidden);
        for value in &mut hidden {
            *value = value.max(0.0);
        }
        let mut embedding = [0.0; EMBEDDING];
        self.embed.forward(&hidden, &mut embedding);
        let mut logits = vec![0.0; self.head.outputs];
        self.head.forward(&embedding, &mut logits);
        Activations { hidden, embedding, logits }
    }

    /// The sample's loss; its gradient is added to `grads`.
    pub(crate) fn backward(
        &self,
        x: &[f32; FEATURES],
        target: Target,
        weights: LossWeights,
        grads: &mut Self,
    ) -> f32 {
        let activations = self.forward(x);
        let mut v_embedding = [0.0; EMBEDDING];
        let mut loss = 0.0;
        let wanted_index = match target {
            Target::Gesture(gesture) => gesture,
            Target::Other => self.gestures(),
        };
        let mut v_logits = softmax(&activations.logits);
        let off = weights.smoothing / v_logits.len() as f32;
        for (index, v) in v_logits.iter_mut().enumerate() {
            let wanted = off + if index == wanted_index { 1.0 - weights.smoothing } else { 0.0 };
            loss -= wanted * v.max(1e-12).ln();
            *v -= wanted;
        }
        Dense::accumulate(&mut grads.head, &activations.embedding, &v_logits);
        self.head.backward(&v_logits, &mut v_embedding);
        if weights.decoder > 0.0 {
            let mut decoded = [0.0; FEATURES];
            self.decoder.forward(&activations.embedding, &mut decoded);
            let factor = weights.decoder / FEATURES as f32;
            for (value, x) in decoded.iter_mut().zip(x) {
                let error = *value - x;
                loss += factor * error * error;
                *value = 2.0 * factor * error;
            }
            Dense::accumulate(&mut grads.decoder, &activations.embedding, &decoded);
            self.decoder.backward(&decoded, &mut v_embedding);
        }
        Dense::accumulate(&mut grads.embed, &activations.hidden, &v_embedding);
        let mut v_hidden = [0.0; HIDDEN];
        self.embed.backward(&v_embedding, &mut v_hidden);
        for (v, value) in v_hidden.iter_mut().zip(activations.hidden) {
            if !(value > 0.0) {
                *v = 0.0;
            }
        }
        Dense::accumulate(&mut grads.hidden, x, &v_hidden);
        loss
    }
}

/// exp(logit) over their sum, without overflow.
pub(crate) fn softmax(logits: &[f32]) -> Vec<f32> {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut values: Vec<f32> = logits.iter().map(|logit| (logit - top).exp()).collect();
    let sum: f32 = values.iter().sum();
    for value in &mut values {
        *value /= sum;
    }
    values
}

/// Adam (Kingma and Ba 2015) with decoupled weight decay (Loshchilov and Hutter 2019).
#[derive(Clone, Debug)]
pub(crate) struct Adam {
    first: Network,
    second: Network,
    step: i32,
}

const BETA1: f32 = 0.9;
const BETA2: f32 = 0.99;
const EPSILON: f32 = 1e-8;

impl Adam {
    pub(crate) fn new(network: &Network) -> Self {
        Self { first: Network::zeros_like(network), second: Network::zeros_like(network), step: 0 }
    }

    /// One step down `grads`, whose values are `1 / scale` of the mean's; `grads` is 0 afterwards.
    pub(crate) fn step(
        &mut self,
        network: &mut Network,
        grads: &mut Network,
        scale: f32,
        rate: f32,
        decay: f32,
    ) {
        self.step += 1;
        let correction1 = 1.0 - BETA1.powi(self.step);
        let correction2 = 1.0 - BETA2.powi(self.step);
        let layers = network.layers_mut().into_iter().zip(grads.layers_mut());
        let moments = self.first.layers_mut().into_iter().zip(self.second.layers_mut());
        for ((layer, grads), (first, second)) in layers.zip(moments) {
            let values = layer.parameters_mut().zip(grads.parameters_mut());
            let moments = first.parameters_mut().zip(second.parameters_mut());
            for ((value, grad), (m, v)) in values.zip(moments) {
                let g = *grad * scale;
                *grad = 0.0;
                *m = BETA1 * *m + (1.0 - BETA1) * g;
                *v = BETA2 * *v + (1.0 - BETA2) * g * g;
                *value -= rate * (*m / correction1 / ((*v / correction2).sqrt() + EPSILON) + decay * *value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Central differences in f32 need a coarse step; a slip in any formula is off by far more than the tolerance.
    #[test]
    fn gradients_match_finite_differences() {
        const H: f32 = 5e-3;
        let mut random = Random::new(5, 6);
        let network = Network::new(4, &mut random);
        let weights = LossWeights { decoder: 3.0, smoothing: 0.05 };
        // Differences across a unit's kink are no gradient, so no unit may be near its own.
        let x = loop {
            let x = [(); FEATURES].map(|()| random.normal());
            let mut sums = [0.0; HIDDEN];
            network.hidden.forward(&x, &mut sums);
            if sums.iter().all(|sum| sum.abs() > 5.0 * H) {
                break x;
            }
        };
        for target in [Target::Gesture(2), Target::Other] {
            let mut grads = Network::zeros_like(&network);
            network.backward(&x, target, weights, &mut grads);
            let loss = |network: &Network| {
                f64::from(network.backward(&x, target, weights, &mut Network::zeros_like(network)))
            };
            for layer in 0..4 {
                let analytic: Vec<f32> = grads.layers()[layer].parameters().copied().collect();
                let mut largest = 0.0_f64;
                for index in (0..analytic.len()).step_by(7) {
                    let [above, below] = [H, -H].map(|h| {
                        let mut nudged = network.clone();
                        *nudged.layers_mut()[layer].parameters_mut().nth(index).expect("in range") += h;
                        loss(&nudged)
                    });
                    let numeric = (above - below) / f64::from(2.0 * H);
                    let error = (numeric - f64::from(analytic[index])).abs();
                    assert!(
                        error < 2e-3 + 2e-2 * numeric.abs(),
                        "layer {layer} [{index}]: {} {numeric}",
                        analytic[index]
                    );
                    largest = largest.max(numeric.abs());
                }
                assert!(largest > 1e-2, "layer {layer} does not move the loss under {target:?}");
            }
        }
    }

    #[test]
    fn growing_and_removing_keep_the_other_gestures() {
        let mut random = Random::new(8, 9);
        let network = Network::new(3, &mut random);
        let x = [0.3; FEATURES];
        let before = network.forward(&x).logits;
        let mut grown = network.clone();
        grown.grow(&mut random);
        let after = grown.forward(&x).logits;
        assert_eq!((&after[..3], after[4]), (&before[..3], before[3]));
        grown.remove(1);
        let after = grown.forward(&x).logits;
        assert_eq!(after.len(), 4);
        assert_eq!((after[0], after[1], after[3]), (before[0], before[2], before[3]));
    }
}
