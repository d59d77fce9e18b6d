//! Normalisation: features of a frame, independent of handedness, position and distance of the hand.
//!
//! 1. Centre on the wrist and divide by the hand's size, the root mean square distance from the wrist.
//! 2. Mirror to one hand. Which hand it is follows from the geometry: fingers bend towards the palm, so the sign of
//!    det(index knuckle, little knuckle, sum of fingertips from their knuckles) tells left from right. The detector's
//!    handedness decides where the fingers are too straight for that, and is not missed where it is unknown.
//! 3. Turn it upright in the picture, so that the palm points up: however the phone is held, a gesture is the same. Where
//!    the palm pointed is kept beside the rest, for gestures that differ only by it.
//! 4. Add coordinates along the axes of the palm, in three dimensions: a pose is the same from whichever side it is seen, as far as the
//!    detector's depth is right. From which side that is are nine numbers more, the palm's axes in the upright picture. Of landmarks without
//!    depth the palm's axes are foreshortened themselves: these numbers are 0 then, and the upright picture stands for them.
//! 5. Add distances between landmarks.
//! 6. Add the directions of the bones, in which a small finger counts as much as the whole hand: of coordinates its tip is
//!    one of twenty.
//!
//! The exported graphs do the same steps from the same constants; `export::graph` builds them.

use crate::frame::{Frame, LANDMARKS};

/// Number of landmarks without the wrist, which is the origin.
pub(crate) const JOINTS: usize = LANDMARKS - 1;
/// Coordinates among the features.
pub(crate) const COORDINATES: usize = JOINTS * 3;
/// Number of coordinates in the upright picture and along the palm's axes, and distances, which come first among the features:
/// the appearance of the hand as a whole.
pub(crate) const SHAPE: usize = 2 * COORDINATES + DISTANCES.len();
/// Number of features that do not change as the hand turns in the picture: those above, a direction for each bone, and the palm's
/// axes.
pub(crate) const UPRIGHT: usize = SHAPE + JOINTS * 3 + 9;
/// All features: those above, and the palm's direction in the picture (x, y).
pub(crate) const FEATURES: usize = UPRIGHT + 2;
/// The palm points from the wrist to the mean of these landmarks.
pub(crate) const KNUCKLES: [usize; 4] = [5, 9, 13, 17];
/// The palm's first axis leads from the wrist to the first of these, the second one from the second to the third across it, and the third is
/// perpendicular to both.
pub(crate) const PALM: [usize; 3] = [9, 5, 17];
/// Distance from the index to the little finger's knuckle, in hand sizes. If a palm is seen from its edge, detectors guess its
/// direction and see it narrower than this; its second and third axis are scaled down accordingly, and so have less weight.
pub(crate) const PALM_WIDTH: f32 = 0.5;
/// The axes of the upright picture.
const PICTURE: [[f32; 3]; 3] = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
/// The landmark at the other end of the bone that ends in landmark 1, 2, ... 20.
pub(crate) const BONES: [usize; JOINTS] =
    [0, 1, 2, 3, 0, 5, 6, 7, 0, 9, 10, 11, 0, 13, 14, 15, 0, 17, 18, 19];

/// Pairs of landmarks whose distances are features: each tip from the wrist, each finger's tip from its knuckle, each
/// middle joint from the wrist, neighbouring tips, and the thumb from what it can touch.
pub(crate) const DISTANCES: [(usize, usize); 24] = [
    (4, 0),
    (8, 0),
    (12, 0),
    (16, 0),
    (20, 0),
    (4, 2),
    (8, 5),
    (12, 9),
    (16, 13),
    (20, 17),
    (4, 8),
    (8, 12),
    (12, 16),
    (16, 20),
    (4, 5),
    (4, 6),
    (4, 9),
    (4, 10),
    (4, 12),
    (4, 13),
    (4, 14),
    (4, 16),
    (4, 17),
    (4, 20),
];

/// The three vectors whose determinant decides the handedness: (weight, landmark) of each, in centred coordinates.
pub(crate) const CHIRALITY: [&[(f32, usize)]; 3] = [
    &[(1.0, 5)],
    &[(1.0, 17)],
    &[(1.0, 8), (1.0, 12), (1.0, 16), (1.0, 20), (-1.0, 5), (-1.0, 9), (-1.0, 13), (-1.0, 17)],
];
/// The six products of a 3x3 determinant with rows x, y, z: sign and the column in each row.
pub(crate) const DETERMINANT: [(f32, [usize; 3]); 6] = [
    (1.0, [0, 1, 2]),
    (1.0, [1, 2, 0]),
    (1.0, [2, 0, 1]),
    (-1.0, [2, 1, 0]),
    (-1.0, [1, 0, 2]),
    (-1.0, [0, 2, 1]),
];
/// Weight of the detector's handedness against the determinant, whose noise is of this order for a flat hand.
pub(crate) const HANDEDNESS_WEIGHT: f32 = 0.15;
/// Weight of the side of the thumb in the picture: it decides if neither of the two does, as for a hand in two dimensions whose
/// detector did not report the handedness. Such a hand is assumed to show its palm.
pub(crate) const THUMB_SIDE_WEIGHT: f32 = 0.1;
/// Over this width around 0 the result changes continuously from the mirrored hand to the original, so that there is no jump.
pub(crate) const MIRROR_STEEPNESS: f32 = 50.0;
/// Below this size, in any unit, a hand or a bone counts as a point: keeps divisions finite in graphs that see unchecked input.
pub(crate) const SMALLEST_SIZE: f32 = 1e-4;

/// The handedness as a vote: -1 left, 1 right, 0 unknown.
fn vote(frame: &Frame) -> f32 {
    let code = frame.hand.code();
    if code < 0.0 { 0.0 } else { 2.0 * code - 1.0 }
}

/// The frame's features `[FEATURES]`: landmarks 1..=20 in the upright picture, then along the axes of the palm, then [`DISTANCES`], all in hand
/// sizes, then a vector of length 1 along each of [`BONES`] on those axes, then the axes themselves, then the direction of the palm. Where `flat`,
/// depth counts as 0, bones are given in the upright picture, and what refers to the palm's axes is 0.
pub(crate) fn features(frame: &Frame, flat: bool) -> [f32; FEATURES] {
    let frame = if flat { frame.without_depth() } else { *frame };
    let wrist = frame.points[0];
    let scale = 1.0 / frame.size().max(SMALLEST_SIZE);
    let mut points = frame.points.map(|point| {
        let mut centred = [0.0; 3];
        for (value, (coordinate, origin)) in centred.iter_mut().zip(point.iter().zip(wrist)) {
            *value = (coordinate - origin) * scale;
        }
        centred
    });
    let side = side(&points, vote(&frame));
    let mut features = [0.0; FEATURES];
    let (upright, direction) = features.split_at_mut(UPRIGHT);
    let (shape, rest) = upright.split_at_mut(SHAPE);
    let (coordinates, distances) = shape.split_at_mut(2 * COORDINATES);
    let (coordinates, of_palm) = coordinates.split_at_mut(COORDINATES);
    let (bones, view) = rest.split_at_mut(JOINTS * 3);
    for (distance, (a, b)) in distances.iter_mut().zip(DISTANCES) {
        *distance = length(between(points[a], points[b]));
    }
    points.iter_mut().for_each(|point| point[0] *= side);
    let palm = palm_direction(&points);
    direction.copy_from_slice(&palm);
    let [u, v] = palm;
    points.iter_mut().for_each(|point| {
        let [x, y, _] = *point;
        point[0] = u * y - v * x;
        point[1] = -u * x - v * y;
    });
    let axes = if flat { PICTURE } else { palm_axes(&points) };
    let on_palm = |vector: [f32; 3]| axes.map(|axis| dot(axis, vector));
    let places = coordinates.chunks_exact_mut(3).zip(of_palm.chunks_exact_mut(3));
    for ((xyz, of_palm), point) in places.zip(points.iter().skip(1)) {
        xyz.copy_from_slice(point);
        if !flat {
            of_palm.copy_from_slice(&on_palm(*point));
        }
    }
    for ((direction, point), root) in bones.chunks_exact_mut(3).zip(points.iter().skip(1)).zip(BONES) {
        let bone = between(*point, points[root]);
        direction.copy_from_slice(&on_palm(divided(bone, length(bone).max(SMALLEST_SIZE))));
    }
    if !flat {
        view.copy_from_slice(axes.as_flattened());
    }
    features
}

/// The palm's axes: to the fingers, across, and off it; see [`PALM`].
fn palm_axes(points: &[[f32; 3]; LANDMARKS]) -> [[f32; 3]; 3] {
    let along = points[PALM[0]];
    let along = divided(along, length(along).max(SMALLEST_SIZE));
    let across = between(points[PALM[2]], points[PALM[1]]);
    let slant = dot(along, across);
    let across = std::array::from_fn(|i| across[i] - slant * along[i]);
    let across = divided(across, length(across).max(PALM_WIDTH));
    let [[a, b, c], [d, e, f]] = [along, across];
    [along, across, [b * f - c * e, c * d - a * f, a * e - b * d]]
}

/// Direction of the palm in the picture, a unit vector.
fn palm_direction(points: &[[f32; 3]; LANDMARKS]) -> [f32; 2] {
    let mut sum = [0.0; 2];
    for knuckle in KNUCKLES {
        sum[0] += points[knuckle][0];
        sum[1] += points[knuckle][1];
    }
    let length = (sum[0] * sum[0] + sum[1] * sum[1]).sqrt().max(SMALLEST_SIZE);
    sum.map(|value| value / length)
}

fn between(from: [f32; 3], to: [f32; 3]) -> [f32; 3] {
    std::array::from_fn(|axis| from[axis] - to[axis])
}

fn dot(a: [f32; 3], b: [f32; 3]) -> f32 {
    let mut sum = 0.0;
    for (a, b) in a.iter().zip(b) {
        sum += a * b;
    }
    sum
}

fn length(vector: [f32; 3]) -> f32 {
    dot(vector, vector).sqrt()
}

fn divided(vector: [f32; 3], divisor: f32) -> [f32; 3] {
    vector.map(|value| value / divisor)
}

/// 1 for the hand that stays, -1 for the hand to mirror, between them where the hand is uncertain.
fn side(points: &[[f32; 3]; LANDMARKS], vote: f32) -> f32 {
    let vectors = CHIRALITY.map(|terms| {
        let mut sum = [0.0; 3];
        for (weight, landmark) in terms {
            for (value, coordinate) in sum.iter_mut().zip(points[*landmark]) {
                *value += weight * coordinate;
            }
        }
        sum
    });
    let [[index_x, little_x], [index_y, little_y]] = [0, 1].map(|axis| [points[5][axis], points[17][axis]]);
    let mut total = HANDEDNESS_WEIGHT * vote - THUMB_SIDE_WEIGHT * (index_x * little_y - index_y * little_x);
    for (sign, columns) in DETERMINANT {
        total += sign * vectors[columns[0]][0] * vectors[columns[1]][1] * vectors[columns[2]][2];
    }
    (-MIRROR_STEEPNESS * total).clamp(-1.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Layout;
    use crate::hand;

    #[test]
    fn moved_scaled_and_mirrored_hands_have_the_same_features() {
        for frame in hand::some_hands(50) {
            let plain = features(&frame, false);
            let mut moved = frame;
            for point in &mut moved.points {
                *point = [point[0] * 0.5 + 0.03, point[1] * 0.5 - 0.02, point[2] * 0.5 + 0.01];
            }
            for other in [moved, frame.mirrored()] {
                for (a, b) in plain.iter().zip(features(&other, false)) {
                    assert!((a - b).abs() < 1e-4, "{a} {b}");
                }
            }
            assert!(Frame::parse(&frame.values(), Layout::World, 0).is_ok());
            // If depth is ignored, none changes anything.
            let mut deeper = frame;
            deeper.points.iter_mut().for_each(|point| point[2] *= 2.0);
            assert_eq!(features(&frame, true), features(&deeper, true));
        }
    }
}
