//! A dense layer.

/// A layer y = W x + b. Weights are stored by input, so that both passes read them in order: `weights[i * outputs + o]`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Dense {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) weights: Vec<f32>,
    pub(crate) bias: Vec<f32>,
}

impl Dense {
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
}
