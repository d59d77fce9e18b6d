//! A list of plain operators on tensors, built once and written in each format. Every operator exists in TFLite's version 1 and in ONNX.

use crate::dense::Dense;

/// Index of a tensor in [`Graph::tensors`].
pub(crate) type TensorId = usize;

/// Values of a tensor if they are constant.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Values {
    /// Computed.
    None,
    Float(Vec<f32>),
    /// Quantised weights, see [`Op::Dequantize`].
    Bytes(Vec<u8>),
    Int(Vec<i32>),
}

#[derive(Clone, Debug)]
pub(crate) struct Tensor {
    pub(crate) shape: Vec<i32>,
    pub(crate) values: Values,
}

/// Operators; broadcasting follows numpy's rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Op {
    Add,
    Sub,
    Mul,
    Div,
    Maximum,
    Minimum,
    /// Inputs: x, shape.
    Reshape,
    /// Inputs: x, begin, size.
    Slice,
    /// Inputs: x, indices along axis 0.
    Gather,
    Square,
    Sqrt,
    /// Inputs: x, axes, which are kept with size 1.
    Sum,
    /// The minimum along an axis, which is kept with size 1. Inputs: x, and the axis, which is an attribute in ONNX.
    Least(i32),
    /// Inputs: all of one rank, joined along the axis.
    Concatenation(i32),
    /// Inputs: x `[1, in]`, weights `[out, in]`, bias `[out]`.
    FullyConnected,
    /// Input: bytes that represent `rounded::WEIGHT_STEP` times their difference from `rounded::WEIGHT_ZERO`.
    Dequantize,
    /// Along the last axis.
    Softmax,
    Logistic,
}

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) op: Op,
    pub(crate) inputs: Vec<TensorId>,
    pub(crate) output: TensorId,
}

/// A layer's weights, or their quantised form, one row per output.
fn by_output<T: Copy>(layer: &Dense, weights: &[T]) -> Vec<T> {
    let (inputs, outputs) = (layer.inputs, layer.outputs);
    (0..outputs).flat_map(|o| (0..inputs).map(move |i| weights[i * outputs + o])).collect()
}

/// A computation from one tensor to another.
#[derive(Clone, Debug)]
pub(crate) struct Graph {
    pub(crate) tensors: Vec<Tensor>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) input: TensorId,
    pub(crate) output: TensorId,
}

impl Graph {
    /// Nothing but an input of this shape, which is the output until there is another.
    pub(super) fn new(input: &[usize]) -> Self {
        let mut graph = Self { tensors: Vec::new(), nodes: Vec::new(), input: 0, output: 0 };
        graph.input = graph.tensor(input, Values::None);
        graph.output = graph.input;
        graph
    }

    /// A new tensor, or an existing one with the same constant values.
    fn tensor(&mut self, shape: &[usize], values: Values) -> TensorId {
        let shape: Vec<i32> = shape.iter().map(|side| *side as i32).collect();
        let same = |known: &Tensor| known.shape == shape && known.values == values;
        if values != Values::None
            && let Some(known) = self.tensors.iter().position(same)
        {
            return known;
        }
        self.tensors.push(Tensor { shape, values });
        self.tensors.len() - 1
    }

    pub(super) fn floats(&mut self, shape: &[usize], values: Vec<f32>) -> TensorId {
        self.tensor(shape, Values::Float(values))
    }

    pub(super) fn number(&mut self, value: f32) -> TensorId {
        self.floats(&[1], vec![value])
    }

    fn ints(&mut self, values: &[usize]) -> TensorId {
        let ints = values.iter().map(|value| *value as i32).collect();
        self.tensor(&[values.len()], Values::Int(ints))
    }

    pub(super) fn node(&mut self, op: Op, inputs: &[TensorId], shape: &[usize]) -> TensorId {
        let output = self.tensor(shape, Values::None);
        self.nodes.push(Node { op, inputs: inputs.to_vec(), output });
        output
    }

    pub(super) fn reshape(&mut self, x: TensorId, shape: &[usize]) -> TensorId {
        let sides = self.ints(shape);
        self.node(Op::Reshape, &[x, sides], shape)
    }

    pub(super) fn slice(&mut self, x: TensorId, begin: &[usize], size: &[usize]) -> TensorId {
        let (begin, sides) = (self.ints(begin), self.ints(size));
        self.node(Op::Slice, &[x, begin, sides], size)
    }

    /// A matrix with `columns` columns, or a vector if that is 0.
    pub(super) fn gather(&mut self, x: TensorId, indices: &[usize], columns: usize) -> TensorId {
        let at = self.ints(indices);
        let shape = [indices.len(), columns];
        self.node(Op::Gather, &[x, at], if columns == 0 { &shape[..1] } else { &shape })
    }

    pub(super) fn sum(&mut self, x: TensorId, axes: &[usize], shape: &[usize]) -> TensorId {
        let axes = self.ints(axes);
        self.node(Op::Sum, &[x, axes], shape)
    }

    /// x within low..high.
    pub(super) fn clamp(&mut self, x: TensorId, low: f32, high: f32, shape: &[usize]) -> TensorId {
        let (low, high) = (self.number(low), self.number(high));
        let x = self.node(Op::Maximum, &[x, low], shape);
        self.node(Op::Minimum, &[x, high], shape)
    }

    pub(super) fn scaled(&mut self, x: TensorId, factor: f32, shape: &[usize]) -> TensorId {
        let factor = self.number(factor);
        self.node(Op::Mul, &[x, factor], shape)
    }

    /// x through a layer with quantised weights.
    pub(super) fn rounded(&mut self, x: TensorId, layer: &Dense) -> TensorId {
        let steps: Vec<u8> = layer.steps().collect();
        let weights = self.dequantized(&[layer.outputs, layer.inputs], by_output(layer, &steps));
        let bias = self.floats(&[layer.outputs], layer.bias.clone());
        self.node(Op::FullyConnected, &[x, weights, bias], &[1, layer.outputs])
    }

    pub(super) fn dequantized(&mut self, shape: &[usize], steps: Vec<u8>) -> TensorId {
        let steps = self.tensor(shape, Values::Bytes(steps));
        self.node(Op::Dequantize, &[steps], shape)
    }

    /// The minimum of `[rows, columns, 1]` along the columns: `[rows, 1, 1]`.
    pub(super) fn least(&mut self, x: TensorId, rows: usize) -> TensorId {
        let axis = self.ints(&[1]);
        self.node(Op::Least(1), &[x, axis], &[rows, 1, 1])
    }

    /// A vector `[1, 3]` divided by its length, or by `least` if that is larger.
    pub(super) fn divided(&mut self, vector: TensorId, least: TensorId) -> TensorId {
        let length = self.lengths(vector, 1);
        let length = self.node(Op::Maximum, &[length, least], &[1, 1]);
        self.node(Op::Div, &[vector, length], &[1, 3])
    }

    /// Of vectors `[count, 3]`: `[count, 1]`.
    pub(super) fn lengths(&mut self, vectors: TensorId, count: usize) -> TensorId {
        let squares = self.node(Op::Square, &[vectors], &[count, 3]);
        let sums = self.sum(squares, &[1], &[count, 1]);
        self.node(Op::Sqrt, &[sums], &[count, 1])
    }
}
