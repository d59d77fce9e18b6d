//! What is exported as a byte a number: the weights of the hidden layer and of the gate's axes, and the gate's directions.
//! They are most of a model, and so models of many gestures fit into 40 KB. The axes are rounded before the reach of a
//! gesture is measured on them, so that it belongs to what is exported.

use crate::network::{Dense, Network};

/// Between neighbouring numbers as exported: a byte each, or no model of many gestures would fit
/// into 40 KB.
pub(crate) const WEIGHT_STEP: f32 = 1.0 / 127.0;
/// The byte that stands for the weight 0.
pub(crate) const WEIGHT_ZERO: u8 = 128;

/// The byte nearest to a number of -1..1.
pub(crate) fn step(value: f32) -> u8 {
    (value / WEIGHT_STEP + f32::from(WEIGHT_ZERO)).round().clamp(0.0, 255.0) as u8
}

/// The number that a byte stands for, as TFLite and ONNX compute it.
pub(crate) fn of_step(step: u8) -> f32 {
    (f32::from(step) - f32::from(WEIGHT_ZERO)) * WEIGHT_STEP
}

/// Whether every number is what some byte stands for, to the bit.
pub(crate) fn is_rounded(values: &[f32]) -> bool {
    values.iter().all(|value| of_step(step(*value)) == *value)
}

impl Dense {
    /// The weights as the exports store them, in steps of [`WEIGHT_STEP`] around [`WEIGHT_ZERO`].
    pub(crate) fn steps(&self) -> impl Iterator<Item = u8> {
        self.weights.iter().copied().map(step)
    }

    /// Whether every weight is a whole number of steps, to the bit what runtimes make of them.
    pub(crate) fn is_rounded(&self) -> bool {
        is_rounded(&self.weights)
    }
}

impl Network {
    /// Rounds the hidden layer's weights to what a byte each can hold. Each unit is first scaled to weights of at most 1,
    /// which its weights to the embedding make good.
    pub(crate) fn round_hidden(&mut self) {
        let outputs = self.hidden.outputs;
        let mut largest = vec![0.0_f32; outputs];
        for row in self.hidden.weights.chunks_exact(outputs) {
            for (largest, weight) in largest.iter_mut().zip(row) {
                *largest = largest.max(weight.abs());
            }
        }
        // A unit of zeros stays one.
        largest.iter_mut().for_each(|largest| *largest = largest.max(1e-9));
        for row in self.hidden.weights.chunks_exact_mut(outputs).chain([&mut self.hidden.bias[..]]) {
            row.iter_mut().zip(&largest).for_each(|(value, largest)| *value /= largest);
        }
        for (row, largest) in self.embed.weights.chunks_exact_mut(self.embed.outputs).zip(&largest) {
            row.iter_mut().for_each(|weight| *weight *= largest);
        }
        self.hidden.weights = self.hidden.steps().map(of_step).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::FEATURES;
    use crate::random::Random;

    #[test]
    fn a_rounded_network_says_nearly_the_same() {
        let mut random = Random::new(4, 2);
        let network = Network::new(5, &mut random);
        let mut rounded = network.clone();
        rounded.round_hidden();
        assert!(rounded.hidden.is_rounded() && !network.hidden.is_rounded());
        let steps: Vec<u8> = rounded.hidden.steps().collect();
        assert!(steps.contains(&1) || steps.contains(&255), "the largest weight takes the last step");
        for _ in 0..20 {
            let x = [(); FEATURES].map(|()| random.normal());
            let (a, b) = (network.forward(&x).embedding, rounded.forward(&x).embedding);
            let length = a.iter().map(|a| a * a).sum::<f32>().sqrt();
            let off = a.iter().zip(&b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt();
            assert!(off < 0.02 * length, "{off} of {length}");
        }
        let mut again = rounded.clone();
        again.round_hidden();
        assert_eq!(again, rounded, "rounding twice changes something");
    }
}
