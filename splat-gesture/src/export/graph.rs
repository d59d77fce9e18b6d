//! The exported computation as a list of plain operators, built once and written in each format.
//!
//! It holds everything from the 64 raw numbers to the scores: centring, scaling, mirroring and turning (the steps and constants
//! of `features`), the axes, and the distances from the gestures' examples. Every operator exists in TFLite's version 1 and in ONNX.

use crate::axes::AXES;
use crate::dense::Dense;
use crate::features::{
    BONES, CHIRALITY, COORDINATES, DETERMINANT, DISTANCES, HANDEDNESS_WEIGHT, JOINTS, KNUCKLES,
    MIRROR_STEEPNESS, PALM, PALM_WIDTH, SMALLEST_SIZE, THUMB_SIDE_WEIGHT, UPRIGHT,
};
use crate::frame::LANDMARKS;
use crate::known::{BLOCK, Hand, Known, SPAN};
use crate::limits::FRAME_VALUES;
use crate::model::{Model, STEEPNESS};
use crate::rounded::step;

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

/// A computation from one tensor `[1, 64, 1]` to one `[1, gestures]`.
#[derive(Clone, Debug)]
pub(crate) struct Graph {
    pub(crate) tensors: Vec<Tensor>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) input: TensorId,
    pub(crate) output: TensorId,
}

impl Graph {
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

    /// A matrix with `columns` columns, or a vector if that is 0.
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

    /// x through a layer with quantised weights.
    fn rounded(&mut self, x: TensorId, layer: &Dense) -> TensorId {
        let steps: Vec<u8> = layer.steps().collect();
        let weights = self.dequantized(&[layer.outputs, layer.inputs], by_output(layer, &steps));
        let bias = self.floats(&[layer.outputs], layer.bias.clone());
        self.node(Op::FullyConnected, &[x, weights, bias], &[1, layer.outputs])
    }

    fn dequantized(&mut self, shape: &[usize], steps: Vec<u8>) -> TensorId {
        let steps = self.tensor(shape, Values::Bytes(steps));
        self.node(Op::Dequantize, &[steps], shape)
    }

    /// The minimum of `[rows, columns, 1]` along the columns: `[rows, 1, 1]`.
    fn least(&mut self, x: TensorId, rows: usize) -> TensorId {
        let axis = self.ints(&[1]);
        self.node(Op::Least(1), &[x, axis], &[rows, 1, 1])
    }

    /// The graph of a model.
    pub(crate) fn new(model: &Model) -> Self {
        let mut graph = Self { tensors: Vec::new(), nodes: Vec::new(), input: 0, output: 0 };
        graph.input = graph.tensor(&[1, FRAME_VALUES, 1], Values::None);
        let (upright, palm) = graph.features(model.axes.flat);
        graph.output = graph.scores(upright, palm, model);
        graph
    }

    /// `features::features`: the features of the upright hand, and the palm's direction.
    fn features(&mut self, flat: bool) -> (TensorId, TensorId) {
        const POINTS: [usize; 2] = [LANDMARKS, 3];
        let values = self.reshape(self.input, &[1, FRAME_VALUES]);
        let coordinates = self.slice(values, &[0, 0], &[1, LANDMARKS * 3]);
        let points = self.reshape(coordinates, &POINTS);
        let code = self.slice(values, &[0, LANDMARKS * 3], &[1, 1]);

        let wrist = self.slice(points, &[0, 0], &[1, 3]);
        let mut centred = self.node(Op::Sub, &[points, wrist], &POINTS);
        if flat {
            let picture = self.floats(&[1, 3], vec![1.0, 1.0, 0.0]);
            centred = self.node(Op::Mul, &[centred, picture], &POINTS);
        }
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
        let palm = self.palm(mirrored, smallest);
        let upright = self.turned(mirrored, palm);
        let axes = (!flat).then(|| self.palm_axes(upright, smallest));
        let joints = self.slice(upright, &[1, 0], &[JOINTS, 3]);
        let coordinates = self.reshape(joints, &[1, COORDINATES]);
        let (of_palm, view) = match axes {
            Some(axes) => (self.on_palm(joints, axes), self.node(Op::Concatenation(1), &axes, &[1, 9])),
            None => {
                (self.floats(&[1, COORDINATES], vec![0.0; COORDINATES]), self.floats(&[1, 9], vec![0.0; 9]))
            }
        };

        let roots = self.gather(upright, &BONES, 3);
        let bones = self.node(Op::Sub, &[joints, roots], &[JOINTS, 3]);
        let lengths = self.lengths(bones, JOINTS);
        let lengths = self.node(Op::Maximum, &[lengths, smallest], &[JOINTS, 1]);
        let directions = self.node(Op::Div, &[bones, lengths], &[JOINTS, 3]);
        let directions = match axes {
            Some(axes) => self.on_palm(directions, axes),
            None => self.reshape(directions, &[1, COORDINATES]),
        };

        let rows = [DISTANCES.len(), 3];
        let from = self.gather(points, &DISTANCES.map(|(a, _)| a), 3);
        let to = self.gather(points, &DISTANCES.map(|(_, b)| b), 3);
        let offsets = self.node(Op::Sub, &[from, to], &rows);
        let distances = self.lengths(offsets, DISTANCES.len());
        let distances = self.reshape(distances, &[1, DISTANCES.len()]);
        let parts = [coordinates, of_palm, distances, directions, view];
        (self.node(Op::Concatenation(1), &parts, &[1, UPRIGHT]), palm)
    }

    /// `features::palm_axes`, each `[1, 3]`.
    fn palm_axes(&mut self, upright: TensorId, smallest: TensorId) -> [TensorId; 3] {
        let [middle, index, little] = PALM.map(|landmark| self.slice(upright, &[landmark, 0], &[1, 3]));
        let along = self.divided(middle, smallest);
        let across = self.node(Op::Sub, &[little, index], &[1, 3]);
        let products = self.node(Op::Mul, &[along, across], &[1, 3]);
        let slant = self.sum(products, &[1], &[1, 1]);
        let slant = self.node(Op::Mul, &[along, slant], &[1, 3]);
        let across = self.node(Op::Sub, &[across, slant], &[1, 3]);
        let width = self.number(PALM_WIDTH);
        let across = self.divided(across, width);
        let [a, b] = [along, across].map(|axis| {
            let axis = self.reshape(axis, &[3]);
            [[1, 2, 0], [2, 0, 1]].map(|order| self.gather(axis, &order, 0))
        });
        let plus = self.node(Op::Mul, &[a[0], b[1]], &[3]);
        let minus = self.node(Op::Mul, &[a[1], b[0]], &[3]);
        let off = self.node(Op::Sub, &[plus, minus], &[3]);
        [along, across, self.reshape(off, &[1, 3])]
    }

    /// A vector `[1, 3]` divided by its length, or by `least` if that is larger.
    fn divided(&mut self, vector: TensorId, least: TensorId) -> TensorId {
        let length = self.lengths(vector, 1);
        let length = self.node(Op::Maximum, &[length, least], &[1, 1]);
        self.node(Op::Div, &[vector, length], &[1, 3])
    }

    /// Vectors `[20, 3]` along the palm's axes, one after the other: `[1, 60]`.
    fn on_palm(&mut self, vectors: TensorId, axes: [TensorId; 3]) -> TensorId {
        let along = axes.map(|axis| {
            let products = self.node(Op::Mul, &[vectors, axis], &[JOINTS, 3]);
            self.sum(products, &[1], &[JOINTS, 1])
        });
        let along = self.node(Op::Concatenation(1), &along, &[JOINTS, 3]);
        self.reshape(along, &[1, COORDINATES])
    }

    /// `features::palm_direction`, `[1, 2]`.
    fn palm(&mut self, points: TensorId, smallest: TensorId) -> TensorId {
        let knuckles = self.gather(points, &KNUCKLES, 3);
        let sum = self.sum(knuckles, &[0], &[1, 3]);
        let sum = self.slice(sum, &[0, 0], &[1, 2]);
        let squares = self.node(Op::Square, &[sum], &[1, 2]);
        let length = self.sum(squares, &[1], &[1, 1]);
        let length = self.node(Op::Sqrt, &[length], &[1, 1]);
        let length = self.node(Op::Maximum, &[length, smallest], &[1, 1]);
        self.node(Op::Div, &[sum, length], &[1, 2])
    }

    /// Points `[21, 3]` rotated in the image plane so that the palm points up.
    fn turned(&mut self, points: TensorId, palm: TensorId) -> TensorId {
        const COLUMN: [usize; 2] = [LANDMARKS, 1];
        let [x, y, z] = [0, 1, 2].map(|axis| self.slice(points, &[0, axis], &COLUMN));
        let [u, v] = [0, 1].map(|axis| self.slice(palm, &[0, axis], &[1, 1]));
        let (uy, vx) = (self.node(Op::Mul, &[y, u], &COLUMN), self.node(Op::Mul, &[x, v], &COLUMN));
        let across = self.node(Op::Sub, &[uy, vx], &COLUMN);
        let (ux, vy) = (self.node(Op::Mul, &[x, u], &COLUMN), self.node(Op::Mul, &[y, v], &COLUMN));
        let up = self.node(Op::Add, &[ux, vy], &COLUMN);
        let down = self.scaled(up, -1.0, &COLUMN);
        self.node(Op::Concatenation(1), &[across, down, z], &[LANDMARKS, 3])
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
        // The first two rows are the knuckles of index and little finger.
        let (index, little) = (self.gather(matrix, &[0, 1], 0), self.gather(matrix, &[4, 3], 0));
        let products = self.node(Op::Mul, &[index, little], &[2]);
        let signs = self.floats(&[2], vec![-THUMB_SIDE_WEIGHT, THUMB_SIDE_WEIGHT]);
        let products = self.node(Op::Mul, &[products, signs], &[2]);
        let thumb_side = self.sum(products, &[0], &[1]);
        let determinant = self.node(Op::Add, &[determinant, thumb_side], &[1]);
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
    fn scores(&mut self, upright: TensorId, palm: TensorId, model: &Model) -> TensorId {
        let gestures = model.gestures();
        let distances = self.distances(upright, palm, model);
        let slopes: Vec<f32> = model.gestures.iter().map(|known| STEEPNESS / known.reach).collect();
        let slopes = self.floats(&[1, gestures], slopes);
        let losses = self.node(Op::Mul, &[distances, slopes], &[1, gestures]);
        let narrowness = model.gestures.iter().map(Known::narrowness).collect();
        let narrowness = self.floats(&[1, gestures], narrowness);
        let logits = self.node(Op::Sub, &[narrowness, losses], &[1, gestures]);
        let shares = self.node(Op::Softmax, &[logits], &[1, gestures]);
        let steepness = self.number(STEEPNESS);
        let within = self.node(Op::Sub, &[steepness, losses], &[1, gestures]);
        let within = self.node(Op::Logistic, &[within], &[1, gestures]);
        self.node(Op::Mul, &[shares, within], &[1, gestures])
    }

    /// `Known::distance` of every gesture, `[1, gestures]`.
    ///
    /// Examples are stored in blocks of [`BLOCK`], with the last block of a gesture padded by repeating one of its examples; a
    /// table maps blocks to gestures.
    fn distances(&mut self, upright: TensorId, palm: TensorId, model: &Model) -> TensorId {
        let mut examples: Vec<&Hand> = Vec::new();
        let (mut blocks, mut turns) = (Vec::new(), Vec::new());
        for known in &model.gestures {
            let first = turns.len();
            for block in known.examples.chunks(BLOCK) {
                examples.extend(block.iter().chain(block.iter().cycle()).take(BLOCK));
                turns.push(known.turn);
            }
            blocks.push(first..turns.len());
        }
        let (count, gestures) = (turns.len(), blocks.len());

        let place = self.rounded(upright, &model.axes.layer);
        let units = self.floats(&[1, AXES], model.axes.units.map(|unit| unit / SPAN).to_vec());
        let place = self.node(Op::Mul, &[place, units], &[1, AXES]);
        let place = self.reshape(place, &[1, 1, AXES]);
        let steps = examples.iter().flat_map(|hand| hand.place).map(|value| step(value / SPAN)).collect();
        let mut squares = self.squares(place, steps, count, AXES);
        squares = self.scaled(squares, SPAN * SPAN, &[count, BLOCK, 1]);
        if turns.iter().any(|turn| *turn != 0.0) {
            let palm = self.reshape(palm, &[1, 1, 2]);
            let steps = examples.iter().flat_map(|hand| hand.palm).map(step).collect();
            let turned = self.squares(palm, steps, count, 2);
            let turns = self.floats(&[count, 1, 1], turns);
            let turned = self.node(Op::Mul, &[turned, turns], &[count, BLOCK, 1]);
            squares = self.node(Op::Add, &[squares, turned], &[count, BLOCK, 1]);
        }
        let least = self.least(squares, count);
        let mut least = self.reshape(least, &[count]);
        if count > gestures {
            let most = blocks.iter().map(std::ops::Range::len).max().unwrap_or(1);
            let whose: Vec<usize> = blocks.iter().flat_map(|own| own.clone().cycle().take(most)).collect();
            let gathered = self.gather(least, &whose, 0);
            let gathered = self.reshape(gathered, &[gestures, most, 1]);
            least = self.least(gathered, gestures);
        }
        self.reshape(least, &[1, gestures])
    }

    /// Sums of squared differences between `x` `[1, 1, width]` and each of `count` blocks of examples: `[count, BLOCK, 1]`.
    fn squares(&mut self, x: TensorId, steps: Vec<u8>, count: usize, width: usize) -> TensorId {
        let shape = [count, BLOCK, width];
        let examples = self.dequantized(&shape, steps);
        let offsets = self.node(Op::Sub, &[examples, x], &shape);
        let squares = self.node(Op::Square, &[offsets], &shape);
        self.sum(squares, &[2], &[count, BLOCK, 1])
    }
}
