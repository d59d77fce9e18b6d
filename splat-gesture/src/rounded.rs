//! What is exported as a byte a number: the weights of the axes, and the examples.
//! They are most of a model, and so models of many gestures fit into 40 KB. The axes are rounded before the reach of a
//! gesture is measured on them, so that it belongs to what is exported.

use crate::dense::Dense;

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
