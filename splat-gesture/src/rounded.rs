//! The hidden layer as it is exported: a byte for each weight. It is most of a network, and so models of many gestures fit
//! into 40 KB. A trained network is rounded before its gate is set, so that the gate belongs to what is exported.

use crate::network::{Dense, Network};

/// Between neighbouring weights of the hidden layer as exported: a byte each, or no model of many gestures would fit
/// into 40 KB.
pub(crate) const WEIGHT_STEP: f32 = 1.0 / 127.0;
/// The byte that stands for the weight 0.
pub(crate) const WEIGHT_ZERO: u8 = 128;

/// The weight that a byte stands for, as TFLite and ONNX compute it.
fn of_step(step: u8) -> f32 {
    (f32::from(step) - f32::from(WEIGHT_ZERO)) * WEIGHT_STEP
}

impl Dense {
    /// The weights as the exports store them, in steps of [`WEIGHT_STEP`] around [`WEIGHT_ZERO`].
    pub(crate) fn steps(&self) -> impl Iterator<Item = u8> {
        let step = |weight: &f32| (weight / WEIGHT_STEP + f32::from(WEIGHT_ZERO)).round().clamp(0.0, 255.0);
        self.weights.iter().map(move |weight| step(weight) as u8)
    }

    /// Whether every weight is a whole number of steps, to the bit what runtimes make of them.
    pub(crate) fn is_rounded(&self) -> bool {
        self.steps().zip(&self.weights).all(|(step, weight)| of_step(step) == *weight)
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
