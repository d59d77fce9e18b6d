//! The exported computation as a list of plain operators, built once and written in each format.
//!
//! It holds everything from the 64 raw numbers to the scores: centring, scaling and mirroring (the steps and constants
//! of `features`), the network, and the gate. Every operator exists in TFLite's version 1 and in ONNX.

use crate::features::{
    BONES, CHIRALITY, COORDINATES, DETERMINANT, DISTANCES, FEATURES, HANDEDNESS_WEIGHT, JOINTS,
    MIRROR_STEEPNESS, SHAPE, SMALLEST_SIZE,
};
use crate::frame::LANDMARKS;
use crate::limits::FRAME_VALUES;
use crate::model::Model;
use crate::network::{Dense, HIDDEN};
use crate::reject::{AXES, Gate, MOTIONS, STEEPNESS};
use crate::rounded::step;

/// Place of a tensor in [`Graph::tensors`].
pub(crate) type TensorId = usize;

/// A tensor's values, where they are fixed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Values {
    /// Computed.
    None,
    Float(Vec<f32>),
    /// Weights in steps, see [`Op::Dequantize`].
    Bytes(Vec<u8>),
    Int(Vec<i32>),
}

#[derive(Clone, Debug)]
pub(crate) struct Tensor {
    pub(crate) shape: Vec<i32>,
    pub(crate) values: Values,
}

/// What an operator does with its inputs; numpy's rules of broadcasting hold.
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
    /// Inputs: x, axes, which stay as 1.
    Sum,
    /// Inputs: all of one rank, joined along the axis.
    Concatenation(i32),
    /// Inputs: x `[1, in]`, weights `[out, in]`, bias `[out]`; with ReLU or without.
    FullyConnected(bool),
    /// Input: bytes that stand for `rounded::WEIGHT_STEP` times their difference from `rounded::WEIGHT_ZERO`.
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

/// A layer's weights, or what stands for them, in rows by output.
fn by_output<T: Copy>(layer: &Dense, weights: &[T]) -> Vec<T> {
    let (inputs, outputs) = (layer.inputs, layer.outputs);
    (0..outputs).flat_map(|o| (0..inputs).map(move |i| weights[i * outputs + o])).collect()
}

/// A computation from one tensor `[1, 64, 1]` to one `[1, gestures]`.
#[derive(Clone, Debug)]
pub(crate) struct Graph {
    pub(crate) tensors: Vec<Tensor>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) input: TensorId,
    pub(crate) output: TensorId,
}

impl Graph {
    /// A new tensor, or one that holds the same fixed values.
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

    fn floats(&mut self, shape: &[usize], values: Vec<f32>) -> TensorId {
        self.tensor(shape, Values::Float(values))
    }

    fn number(&mut self, value: f32) -> TensorId {
        self.floats(&[1], vec![value])
    }

    fn ints(&mut self, values: &[usize]) -> TensorId {
        let ints = values.iter().map(|value| *value as i32).collect();
        self.tensor(&[values.len()], Values::Int(ints))
    }

    fn node(&mut self, op: Op, inputs: &[TensorId], shape: &[usize]) -> TensorId {
        let output = self.tensor(shape, Values::None);
        self.nodes.push(Node { op, inputs: inputs.to_vec(), output });
        output
    }

    fn reshape(&mut self, x: TensorId, shape: &[usize]) -> TensorId {
        let sides = self.ints(shape);
        self.node(Op::Reshape, &[x, sides], shape)
    }

    fn slice(&mut self, x: TensorId, begin: &[usize], size: &[usize]) -> TensorId {
        let (begin, sides) = (self.ints(begin), self.ints(size));
        self.node(Op::Slice, &[x, begin, sides], size)
    }

    /// Rows of a matrix with `columns`, or values of a vector where that is 0.
    fn gather(&mut self, x: TensorId, indices: &[usize], columns: usize) -> TensorId {
        let at = self.ints(indices);
        let shape = [indices.len(), columns];
        self.node(Op::Gather, &[x, at], if columns == 0 { &shape[..1] } else { &shape })
    }

    fn sum(&mut self, x: TensorId, axes: &[usize], shape: &[usize]) -> TensorId {
        let axes = self.ints(axes);
        self.node(Op::Sum, &[x, axes], shape)
    }

    /// x within low..high.
    fn clamp(&mut self, x: TensorId, low: f32, high: f32, shape: &[usize]) -> TensorId {
        let (low, high) = (self.number(low), self.number(high));
        let x = self.node(Op::Maximum, &[x, low], shape);
        self.node(Op::Minimum, &[x, high], shape)
    }

    fn scaled(&mut self, x: TensorId, factor: f32, shape: &[usize]) -> TensorId {
        let factor = self.number(factor);
        self.node(Op::Mul, &[x, factor], shape)
    }

    /// x through a layer, as it is.
    fn dense(&mut self, x: TensorId, layer: &Dense) -> TensorId {
        let weights = by_output(layer, &layer.weights);
        let weights = self.floats(&[layer.outputs, layer.inputs], weights);
        self.fully_connected(x, layer, weights, false)
    }

    /// x through a layer whose weights are rounded to steps, with ReLU or without.
    fn rounded(&mut self, x: TensorId, layer: &Dense, relu: bool) -> TensorId {
        let steps: Vec<u8> = layer.steps().collect();
        let weights = self.dequantized(&[layer.outputs, layer.inputs], by_output(layer, &steps));
        self.fully_connected(x, layer, weights, relu)
    }

    fn dequantized(&mut self, shape: &[usize], steps: Vec<u8>) -> TensorId {
        let steps = self.tensor(shape, Values::Bytes(steps));
        self.node(Op::Dequantize, &[steps], shape)
    }

    fn fully_connected(&mut self, x: TensorId, layer: &Dense, weights: TensorId, relu: bool) -> TensorId {
        let outputs = layer.outputs;
        let bias = self.floats(&[outputs], layer.bias.clone());
        self.node(Op::FullyConnected(relu), &[x, weights, bias], &[1, outputs])
    }

    /// The whole of a model.
    pub(crate) fn new(model: &Model) -> Self {
        let mut graph = Self { tensors: Vec::new(), nodes: Vec::new(), input: 0, output: 0 };
        graph.input = graph.tensor(&[1, FRAME_VALUES, 1], Values::None);
        let features = graph.features();
        graph.output = graph.scores(features, model);
        graph
    }

    /// `features::features`.
    fn features(&mut self) -> TensorId {
        const POINTS: [usize; 2] = [LANDMARKS, 3];
        let flat = self.reshape(self.input, &[1, FRAME_VALUES]);
        let coordinates = self.slice(flat, &[0, 0], &[1, LANDMARKS * 3]);
        let points = self.reshape(coordinates, &POINTS);
        let code = self.slice(flat, &[0, LANDMARKS * 3], &[1, 1]);

        let wrist = self.slice(points, &[0, 0], &[1, 3]);
        let centred = self.node(Op::Sub, &[points, wrist], &POINTS);
        let squares = self.node(Op::Square, &[centred], &POINTS);
        let total = self.sum(squares, &[0, 1], &[1, 1]);
        let mean = self.scaled(total, 1.0 / JOINTS as f32, &[1, 1]);
        let size = self.node(Op::Sqrt, &[mean], &[1, 1]);
        let smallest = self.number(SMALLEST_SIZE);
        let size = self.node(Op::Maximum, &[size, smallest], &[1, 1]);
        let points = self.node(Op::Div, &[centred, size], &POINTS);

        let side = self.side(points, code);
        let same = self.floats(&[1, 2], vec![1.0, 1.0]);
        let mirror = self.node(Op::Concatenation(1), &[side, same], &[1, 3]);
        let mirrored = self.node(Op::Mul, &[points, mirror], &POINTS);
        let joints = self.slice(mirrored, &[1, 0], &[JOINTS, 3]);
        let coordinates = self.reshape(joints, &[1, COORDINATES]);

        let roots = self.gather(mirrored, &BONES, 3);
        let bones = self.node(Op::Sub, &[joints, roots], &[JOINTS, 3]);
        let lengths = self.lengths(bones, JOINTS);
        let lengths = self.node(Op::Maximum, &[lengths, smallest], &[JOINTS, 1]);
        let directions = self.node(Op::Div, &[bones, lengths], &[JOINTS, 3]);
        let directions = self.reshape(directions, &[1, JOINTS * 3]);

        let rows = [DISTANCES.len(), 3];
        let from = self.gather(points, &DISTANCES.map(|(a, _)| a), 3);
        let to = self.gather(points, &DISTANCES.map(|(_, b)| b), 3);
        let offsets = self.node(Op::Sub, &[from, to], &rows);
        let distances = self.lengths(offsets, DISTANCES.len());
        let distances = self.reshape(distances, &[1, DISTANCES.len()]);
        self.node(Op::Concatenation(1), &[coordinates, distances, directions], &[1, FEATURES])
    }

    /// Of vectors `[count, 3]`: `[count, 1]`.
    fn lengths(&mut self, vectors: TensorId, count: usize) -> TensorId {
        let squares = self.node(Op::Square, &[vectors], &[count, 3]);
        let sums = self.sum(squares, &[1], &[count, 1]);
        self.node(Op::Sqrt, &[sums], &[count, 1])
    }

    /// `features::side`, `[1, 1]`.
    fn side(&mut self, points: TensorId, code: TensorId) -> TensorId {
        let vectors = CHIRALITY.map(|terms| {
            let landmarks = |positive: bool| -> Vec<usize> {
                terms
                    .iter()
                    .filter(|(weight, _)| (*weight > 0.0) == positive)
                    .map(|(_, landmark)| *landmark)
                    .collect()
            };
            let (plus, minus) = (landmarks(true), landmarks(false));
            let added = self.gather(points, &plus, 3);
            if minus.is_empty() {
                return added;
            }
            let taken = self.gather(points, &minus, 3);
            let differences = self.node(Op::Sub, &[added, taken], &[plus.len(), 3]);
            self.sum(differences, &[0], &[1, 3])
        });
        let matrix = self.node(Op::Concatenation(0), &vectors, &[3, 3]);
        let matrix = self.reshape(matrix, &[9]);
        let factors = [0, 1, 2].map(|axis| {
            let places = DETERMINANT.map(|(_, columns)| columns[axis] * 3 + axis);
            self.gather(matrix, &places, 0)
        });
        let [x, y, z] = factors;
        let products = self.node(Op::Mul, &[x, y], &[6]);
        let products = self.node(Op::Mul, &[products, z], &[6]);
        let signs = self.floats(&[6], DETERMINANT.iter().map(|(sign, _)| *sign).collect());
        let products = self.node(Op::Mul, &[products, signs], &[6]);
        let determinant = self.sum(products, &[0], &[1]);
        let determinant = self.reshape(determinant, &[1, 1]);

        // Left is 0, right is 1 or the largest byte, unknown -1 or the smallest: any of them far beyond +-1 after this.
        let code = self.scaled(code, 60.0, &[1, 1]);
        let code = self.clamp(code, -1.0, 1.0, &[1, 1]);
        let double = self.scaled(code, 2.0, &[1, 1]);
        let minus_one = self.number(-1.0);
        let known = self.node(Op::Add, &[double, minus_one], &[1, 1]);
        let unknown = self.node(Op::Sub, &[minus_one, code], &[1, 1]);
        let vote = self.node(Op::Maximum, &[known, unknown], &[1, 1]);
        let vote = self.scaled(vote, HANDEDNESS_WEIGHT, &[1, 1]);
        let total = self.node(Op::Add, &[determinant, vote], &[1, 1]);
        let side = self.scaled(total, -MIRROR_STEEPNESS, &[1, 1]);
        self.clamp(side, -1.0, 1.0, &[1, 1])
    }

    /// `Model::predict_features`.
    fn scores(&mut self, features: TensorId, model: &Model) -> TensorId {
        let gestures = model.gestures();
        let hidden = self.rounded(features, &model.hidden, true);
        debug_assert_eq!(model.hidden.outputs, HIDDEN, "one hidden layer");
        let embedding = self.dense(hidden, &model.embed);
        let logits = self.dense(embedding, &model.head);
        let shares = self.node(Op::Softmax, &[logits], &[1, gestures + 1]);
        let shares = self.slice(shares, &[0, 0], &[1, gestures]);

        let ratios = self.ratios(features, &model.gate);
        let one = self.number(1.0);
        let nearness = self.node(Op::Sub, &[one, ratios], &[1, gestures]);
        let nearness = self.scaled(nearness, STEEPNESS, &[1, gestures]);
        let factors = self.node(Op::Logistic, &[nearness], &[1, gestures]);
        self.node(Op::Mul, &[shares, factors], &[1, gestures])
    }

    /// `Gate::ratios`, `[1, gestures]`.
    fn ratios(&mut self, features: TensorId, gate: &Gate) -> TensorId {
        let gestures = gate.centres.len();
        let shape = self.slice(features, &[0, 0], &[1, SHAPE]);
        let hand = self.rounded(shape, &gate.axes, false);
        let units = self.floats(&[1, AXES], gate.units.to_vec());
        let hand = self.node(Op::Mul, &[hand, units], &[1, AXES]);

        let centres = self.floats(&[gestures, AXES], gate.centres.iter().flatten().copied().collect());
        let offsets = self.node(Op::Sub, &[centres, hand], &[gestures, AXES]);
        let squares = self.node(Op::Square, &[offsets], &[gestures, AXES]);
        let distances = self.sum(squares, &[1], &[gestures, 1]);
        let nearness = self.floats(&[gestures, 1], gate.nearness.clone());
        let distances = self.node(Op::Mul, &[distances, nearness], &[gestures, 1]);

        let shape = [gestures, MOTIONS, AXES];
        let steps = gate.directions.iter().flatten().flatten().copied().map(step).collect();
        let directions = self.dequantized(&shape, steps);
        let offsets = self.reshape(offsets, &[gestures, 1, AXES]);
        let products = self.node(Op::Mul, &[directions, offsets], &shape);
        let along = self.sum(products, &[2], &[gestures, MOTIONS, 1]);
        let along = self.reshape(along, &[gestures, MOTIONS]);
        let squares = self.node(Op::Square, &[along], &[gestures, MOTIONS]);
        let rooms = gate.rooms.iter().flatten().copied().collect();
        let rooms = self.floats(&[gestures, MOTIONS], rooms);
        let squares = self.node(Op::Mul, &[squares, rooms], &[gestures, MOTIONS]);
        let taken = self.sum(squares, &[1], &[gestures, 1]);
        let ratios = self.node(Op::Sub, &[distances, taken], &[gestures, 1]);
        self.reshape(ratios, &[1, gestures])
    }
}
