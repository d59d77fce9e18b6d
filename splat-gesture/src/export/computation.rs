//! The model's computation as a [`Graph`]: everything from the 64 raw numbers to the scores: centring, scaling, mirroring and turning (the
//! steps and constants of `features`), the axes, and the distances from the gestures' examples.

use super::graph::{Graph, Op, TensorId};
use crate::axes::AXES;
use crate::features::{
    BONES, CHIRALITY, COORDINATES, DETERMINANT, DISTANCES, HANDEDNESS_WEIGHT, JOINTS, KNUCKLES,
    MIRROR_STEEPNESS, PALM, PALM_WIDTH, SMALLEST_SIZE, THUMB_SIDE_WEIGHT, UPRIGHT,
};
use crate::frame::LANDMARKS;
use crate::known::{BLOCK, Hand, Known, SPAN};
use crate::limits::FRAME_VALUES;
use crate::model::{Model, STEEPNESS};
use crate::rounded::step;

/// From one tensor `[1, 64, 1]` to one `[1, gestures]`.
pub(crate) fn graph(model: &Model) -> Graph {
    let mut graph = Graph::new(&[1, FRAME_VALUES, 1]);
    let (upright, palm) = features(&mut graph, model.axes.flat);
    graph.output = scores(&mut graph, upright, palm, model);
    graph
}

/// `features::features`: the features of the upright hand, and the palm's direction.
fn features(graph: &mut Graph, flat: bool) -> (TensorId, TensorId) {
    const POINTS: [usize; 2] = [LANDMARKS, 3];
    let values = graph.reshape(graph.input, &[1, FRAME_VALUES]);
    let coordinates = graph.slice(values, &[0, 0], &[1, LANDMARKS * 3]);
    let points = graph.reshape(coordinates, &POINTS);
    let code = graph.slice(values, &[0, LANDMARKS * 3], &[1, 1]);

    let wrist = graph.slice(points, &[0, 0], &[1, 3]);
    let mut centred = graph.node(Op::Sub, &[points, wrist], &POINTS);
    if flat {
        let picture = graph.floats(&[1, 3], vec![1.0, 1.0, 0.0]);
        centred = graph.node(Op::Mul, &[centred, picture], &POINTS);
    }
    let squares = graph.node(Op::Square, &[centred], &POINTS);
    let total = graph.sum(squares, &[0, 1], &[1, 1]);
    let mean = graph.scaled(total, 1.0 / JOINTS as f32, &[1, 1]);
    let size = graph.node(Op::Sqrt, &[mean], &[1, 1]);
    let smallest = graph.number(SMALLEST_SIZE);
    let size = graph.node(Op::Maximum, &[size, smallest], &[1, 1]);
    let points = graph.node(Op::Div, &[centred, size], &POINTS);

    let side = side(graph, points, code);
    let same = graph.floats(&[1, 2], vec![1.0, 1.0]);
    let mirror = graph.node(Op::Concatenation(1), &[side, same], &[1, 3]);
    let mirrored = graph.node(Op::Mul, &[points, mirror], &POINTS);
    let palm = palm(graph, mirrored, smallest);
    let upright = turned(graph, mirrored, palm);
    let axes = (!flat).then(|| palm_axes(graph, upright, smallest));
    let joints = graph.slice(upright, &[1, 0], &[JOINTS, 3]);
    let coordinates = graph.reshape(joints, &[1, COORDINATES]);
    let (of_palm, view) = match axes {
        Some(axes) => (on_palm(graph, joints, axes), graph.node(Op::Concatenation(1), &axes, &[1, 9])),
        None => {
            (graph.floats(&[1, COORDINATES], vec![0.0; COORDINATES]), graph.floats(&[1, 9], vec![0.0; 9]))
        }
    };

    let roots = graph.gather(upright, &BONES, 3);
    let bones = graph.node(Op::Sub, &[joints, roots], &[JOINTS, 3]);
    let lengths = graph.lengths(bones, JOINTS);
    let lengths = graph.node(Op::Maximum, &[lengths, smallest], &[JOINTS, 1]);
    let directions = graph.node(Op::Div, &[bones, lengths], &[JOINTS, 3]);
    let directions = match axes {
        Some(axes) => on_palm(graph, directions, axes),
        None => graph.reshape(directions, &[1, COORDINATES]),
    };

    let rows = [DISTANCES.len(), 3];
    let from = graph.gather(points, &DISTANCES.map(|(a, _)| a), 3);
    let to = graph.gather(points, &DISTANCES.map(|(_, b)| b), 3);
    let offsets = graph.node(Op::Sub, &[from, to], &rows);
    let distances = graph.lengths(offsets, DISTANCES.len());
    let distances = graph.reshape(distances, &[1, DISTANCES.len()]);
    let parts = [coordinates, of_palm, distances, directions, view];
    (graph.node(Op::Concatenation(1), &parts, &[1, UPRIGHT]), palm)
}

/// `features::palm_axes`, each `[1, 3]`.
fn palm_axes(graph: &mut Graph, upright: TensorId, smallest: TensorId) -> [TensorId; 3] {
    let [middle, index, little] = PALM.map(|landmark| graph.slice(upright, &[landmark, 0], &[1, 3]));
    let along = graph.divided(middle, smallest);
    let across = graph.node(Op::Sub, &[little, index], &[1, 3]);
    let products = graph.node(Op::Mul, &[along, across], &[1, 3]);
    let slant = graph.sum(products, &[1], &[1, 1]);
    let slant = graph.node(Op::Mul, &[along, slant], &[1, 3]);
    let across = graph.node(Op::Sub, &[across, slant], &[1, 3]);
    let width = graph.number(PALM_WIDTH);
    let across = graph.divided(across, width);
    let [a, b] = [along, across].map(|axis| {
        let axis = graph.reshape(axis, &[3]);
        [[1, 2, 0], [2, 0, 1]].map(|order| graph.gather(axis, &order, 0))
    });
    let plus = graph.node(Op::Mul, &[a[0], b[1]], &[3]);
    let minus = graph.node(Op::Mul, &[a[1], b[0]], &[3]);
    let off = graph.node(Op::Sub, &[plus, minus], &[3]);
    [along, across, graph.reshape(off, &[1, 3])]
}

/// Vectors `[20, 3]` along the palm's axes, one after the other: `[1, 60]`.
fn on_palm(graph: &mut Graph, vectors: TensorId, axes: [TensorId; 3]) -> TensorId {
    let along = axes.map(|axis| {
        let products = graph.node(Op::Mul, &[vectors, axis], &[JOINTS, 3]);
        graph.sum(products, &[1], &[JOINTS, 1])
    });
    let along = graph.node(Op::Concatenation(1), &along, &[JOINTS, 3]);
    graph.reshape(along, &[1, COORDINATES])
}

/// `features::palm_direction`, `[1, 2]`.
fn palm(graph: &mut Graph, points: TensorId, smallest: TensorId) -> TensorId {
    let knuckles = graph.gather(points, &KNUCKLES, 3);
    let sum = graph.sum(knuckles, &[0], &[1, 3]);
    let sum = graph.slice(sum, &[0, 0], &[1, 2]);
    let squares = graph.node(Op::Square, &[sum], &[1, 2]);
    let length = graph.sum(squares, &[1], &[1, 1]);
    let length = graph.node(Op::Sqrt, &[length], &[1, 1]);
    let length = graph.node(Op::Maximum, &[length, smallest], &[1, 1]);
    graph.node(Op::Div, &[sum, length], &[1, 2])
}

/// Points `[21, 3]` rotated in the image plane so that the palm points up.
fn turned(graph: &mut Graph, points: TensorId, palm: TensorId) -> TensorId {
    const COLUMN: [usize; 2] = [LANDMARKS, 1];
    let [x, y, z] = [0, 1, 2].map(|axis| graph.slice(points, &[0, axis], &COLUMN));
    let [u, v] = [0, 1].map(|axis| graph.slice(palm, &[0, axis], &[1, 1]));
    let (uy, vx) = (graph.node(Op::Mul, &[y, u], &COLUMN), graph.node(Op::Mul, &[x, v], &COLUMN));
    let across = graph.node(Op::Sub, &[uy, vx], &COLUMN);
    let (ux, vy) = (graph.node(Op::Mul, &[x, u], &COLUMN), graph.node(Op::Mul, &[y, v], &COLUMN));
    let up = graph.node(Op::Add, &[ux, vy], &COLUMN);
    let down = graph.scaled(up, -1.0, &COLUMN);
    graph.node(Op::Concatenation(1), &[across, down, z], &[LANDMARKS, 3])
}

/// `features::side`, `[1, 1]`.
fn side(graph: &mut Graph, points: TensorId, code: TensorId) -> TensorId {
    let vectors = CHIRALITY.map(|terms| {
        let landmarks = |positive: bool| -> Vec<usize> {
            terms
                .iter()
                .filter(|(weight, _)| (*weight > 0.0) == positive)
                .map(|(_, landmark)| *landmark)
                .collect()
        };
        let (plus, minus) = (landmarks(true), landmarks(false));
        let added = graph.gather(points, &plus, 3);
        if minus.is_empty() {
            return added;
        }
        let taken = graph.gather(points, &minus, 3);
        let differences = graph.node(Op::Sub, &[added, taken], &[plus.len(), 3]);
        graph.sum(differences, &[0], &[1, 3])
    });
    let matrix = graph.node(Op::Concatenation(0), &vectors, &[3, 3]);
    let matrix = graph.reshape(matrix, &[9]);
    let factors = [0, 1, 2].map(|axis| {
        let places = DETERMINANT.map(|(_, columns)| columns[axis] * 3 + axis);
        graph.gather(matrix, &places, 0)
    });
    let [x, y, z] = factors;
    let products = graph.node(Op::Mul, &[x, y], &[6]);
    let products = graph.node(Op::Mul, &[products, z], &[6]);
    let signs = graph.floats(&[6], DETERMINANT.iter().map(|(sign, _)| *sign).collect());
    let products = graph.node(Op::Mul, &[products, signs], &[6]);
    let determinant = graph.sum(products, &[0], &[1]);
    // The first two rows are the knuckles of index and little finger.
    let (index, little) = (graph.gather(matrix, &[0, 1], 0), graph.gather(matrix, &[4, 3], 0));
    let products = graph.node(Op::Mul, &[index, little], &[2]);
    let signs = graph.floats(&[2], vec![-THUMB_SIDE_WEIGHT, THUMB_SIDE_WEIGHT]);
    let products = graph.node(Op::Mul, &[products, signs], &[2]);
    let thumb_side = graph.sum(products, &[0], &[1]);
    let determinant = graph.node(Op::Add, &[determinant, thumb_side], &[1]);
    let determinant = graph.reshape(determinant, &[1, 1]);

    // Left is 0, right is 1 or the largest byte, unknown -1 or the smallest: any of them far beyond +-1 after this.
    let code = graph.scaled(code, 60.0, &[1, 1]);
    let code = graph.clamp(code, -1.0, 1.0, &[1, 1]);
    let double = graph.scaled(code, 2.0, &[1, 1]);
    let minus_one = graph.number(-1.0);
    let known = graph.node(Op::Add, &[double, minus_one], &[1, 1]);
    let unknown = graph.node(Op::Sub, &[minus_one, code], &[1, 1]);
    let vote = graph.node(Op::Maximum, &[known, unknown], &[1, 1]);
    let vote = graph.scaled(vote, HANDEDNESS_WEIGHT, &[1, 1]);
    let total = graph.node(Op::Add, &[determinant, vote], &[1, 1]);
    let side = graph.scaled(total, -MIRROR_STEEPNESS, &[1, 1]);
    graph.clamp(side, -1.0, 1.0, &[1, 1])
}

/// `Model::predict_features`.
fn scores(graph: &mut Graph, upright: TensorId, palm: TensorId, model: &Model) -> TensorId {
    let gestures = model.gestures();
    let distances = distances(graph, upright, palm, model);
    let slopes: Vec<f32> = model.gestures.iter().map(|known| STEEPNESS / known.reach).collect();
    let slopes = graph.floats(&[1, gestures], slopes);
    let losses = graph.node(Op::Mul, &[distances, slopes], &[1, gestures]);
    let narrowness = model.gestures.iter().map(Known::narrowness).collect();
    let narrowness = graph.floats(&[1, gestures], narrowness);
    let logits = graph.node(Op::Sub, &[narrowness, losses], &[1, gestures]);
    let shares = graph.node(Op::Softmax, &[logits], &[1, gestures]);
    let steepness = graph.number(STEEPNESS);
    let within = graph.node(Op::Sub, &[steepness, losses], &[1, gestures]);
    let within = graph.node(Op::Logistic, &[within], &[1, gestures]);
    graph.node(Op::Mul, &[shares, within], &[1, gestures])
}

/// `Known::distance` of every gesture, `[1, gestures]`.
///
/// Examples are stored in blocks of [`BLOCK`], with the last block of a gesture padded by repeating one of its examples; a
/// table maps blocks to gestures.
fn distances(graph: &mut Graph, upright: TensorId, palm: TensorId, model: &Model) -> TensorId {
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

    let place = graph.rounded(upright, &model.axes.layer);
    let units = graph.floats(&[1, AXES], model.axes.units.map(|unit| unit / SPAN).to_vec());
    let place = graph.node(Op::Mul, &[place, units], &[1, AXES]);
    let place = graph.reshape(place, &[1, 1, AXES]);
    let steps = examples.iter().flat_map(|hand| hand.place).map(|value| step(value / SPAN)).collect();
    let mut squares = squared_distances(graph, place, steps, count, AXES);
    squares = graph.scaled(squares, SPAN * SPAN, &[count, BLOCK, 1]);
    if turns.iter().any(|turn| *turn != 0.0) {
        let palm = graph.reshape(palm, &[1, 1, 2]);
        let steps = examples.iter().flat_map(|hand| hand.palm).map(step).collect();
        let turned = squared_distances(graph, palm, steps, count, 2);
        let turns = graph.floats(&[count, 1, 1], turns);
        let turned = graph.node(Op::Mul, &[turned, turns], &[count, BLOCK, 1]);
        squares = graph.node(Op::Add, &[squares, turned], &[count, BLOCK, 1]);
    }
    let least = graph.least(squares, count);
    let mut least = graph.reshape(least, &[count]);
    if count > gestures {
        let most = blocks.iter().map(std::ops::Range::len).max().unwrap_or(1);
        let whose: Vec<usize> = blocks.iter().flat_map(|own| own.clone().cycle().take(most)).collect();
        let gathered = graph.gather(least, &whose, 0);
        let gathered = graph.reshape(gathered, &[gestures, most, 1]);
        least = graph.least(gathered, gestures);
    }
    graph.reshape(least, &[1, gestures])
}

/// Sums of squared differences between `x` `[1, 1, width]` and each of `count` blocks of examples: `[count, BLOCK, 1]`.
fn squared_distances(graph: &mut Graph, x: TensorId, steps: Vec<u8>, count: usize, width: usize) -> TensorId {
    let shape = [count, BLOCK, width];
    let examples = graph.dequantized(&shape, steps);
    let offsets = graph.node(Op::Sub, &[examples, x], &shape);
    let squares = graph.node(Op::Square, &[offsets], &shape);
    graph.sum(squares, &[2], &[count, BLOCK, 1])
}
