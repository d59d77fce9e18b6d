//! Quantisation to one byte per number, for the weights of the axes and the examples.
//! They make up most of a model, and this lets models of many gestures fit into 40 KB. The axes are rounded before radii are
//! measured on them, so that the radii fit the exported axes.

use crate::dense::Dense;

/// Step between neighbouring exported numbers: with a byte each, models of many gestures fit into 40 KB.
pub(crate) const WEIGHT_STEP: f32 = 1.0 / 127.0;
/// The byte that represents the weight 0.
pub(crate) const WEIGHT_ZERO: u8 = 128;

/// The byte nearest to a number in -1..1.
pub(crate) fn step(value: f32) -> u8 {
    (value / WEIGHT_STEP + f32::from(WEIGHT_ZERO)).round().clamp(0.0, 255.0) as u8
}

/// The number that a byte represents, as TFLite and ONNX compute it.
pub(crate) fn of_step(step: u8) -> f32 {
    (f32::from(step) - f32::from(WEIGHT_ZERO)) * WEIGHT_STEP
}

/// Whether every number is exactly representable as a byte.
pub(crate) fn is_rounded(values: &[f32]) -> bool {
    values.iter().all(|value| of_step(step(*value)) == *value)
}

impl Dense {
    /// The weights as the exports store them, in steps of [`WEIGHT_STEP`] around [`WEIGHT_ZERO`].
    pub(crate) fn steps(&self) -> impl Iterator<Item = u8> {
        self.weights.iter().copied().map(step)
    }

    /// Whether every weight is exactly a whole number of steps.
    pub(crate) fn is_rounded(&self) -> bool {
        is_rounded(&self.weights)
    }
}
