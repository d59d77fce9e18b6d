//! Variations of a recorded frame: what the same gesture could have looked like at another moment, to another camera,
//! or made by another hand.

use crate::frame::{Frame, Handedness, LANDMARKS, Layout};
use crate::hand::{any_hand, any_pose};
use crate::random::Random;
use crate::vector::{Vec3, add, cross, dot, normalize, rotation, scale, transform};

/// How much a frame is varied: standard deviations.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Variation {
    /// Turn of the whole hand in the picture, to the side, up: radians.
    pub(crate) turns: [f32; 3],
    /// Turn of each finger about its knuckle, radians.
    pub(crate) finger: f32,
    /// Length of each finger, relative.
    pub(crate) length: f32,
    /// Depth and width, relative.
    pub(crate) stretch: f32,
    /// Noise of each coordinate, hand sizes.
    pub(crate) noise: f32,
    /// More of it in depth, which detectors guess.
    pub(crate) depth_noise: f32,
}

impl Variation {
    /// As the same person would show the gesture a moment later.
    pub(crate) const MOMENT: Self = Self {
        turns: [0.25, 0.2, 0.2],
        finger: 0.1,
        length: 0.06,
        stretch: 0.12,
        noise: 0.015,
        depth_noise: 0.0,
    };
    /// Variation for the same pose by another person, or by the same one on another day, in another camera: differences that
    /// should count little in a distance between hands.
    pub(crate) const APART: Self = Self {
        turns: [0.25, 0.4, 0.4],
        finger: 0.1,
        length: 0.08,
        stretch: 0.1,
        noise: 0.015,
        depth_noise: 0.08,
    };
    /// The same for viewpoint changes of landmarks without depth.
    pub(crate) const APART_FLAT: Self = Self { turns: [0.25, 0.1, 0.1], ..Self::APART };
}

/// Share of frames whose handedness is withheld, and share of frames in which it is wrong.
const HANDEDNESS_UNKNOWN: f32 = 0.25;
const HANDEDNESS_WRONG: f32 = 0.04;

/// A variation of `frame`.
pub(crate) fn vary(frame: &Frame, amount: &Variation, random: &mut Random) -> Frame {
    let wrist = frame.points[0];
    let size = frame.size();
    let old = frame.points.map(|point| add(point, scale(wrist, -1.0)));
    let mut points = [[0.0; 3]; LANDMARKS];
    for finger in 0..5 {
        let first = 1 + 4 * finger;
        let length = 1.0 + amount.length * random.normal();
        let turn = rotation([(); 3].map(|()| amount.finger * random.normal()));
        points[first] = old[first];
        for joint in first + 1..first + 4 {
            let bone = add(old[joint], scale(old[joint - 1], -1.0));
            points[joint] = add(points[joint - 1], scale(transform(&turn, bone), length));
        }
    }
    let turn = rotation(amount.turns.map(|deviation| deviation * random.normal()));
    let stretch: Vec3 =
        [1.0 + 0.6 * amount.stretch * random.normal(), 1.0, 1.0 + amount.stretch * random.normal()];
    let noise = [0.0, 0.0, amount.depth_noise].map(|depth| (amount.noise + depth) * size);
    let mut common = [0.0; 3];
    for (index, point) in points.iter_mut().enumerate() {
        if index % 4 == 1 {
            common = noise.map(|noise| 0.7 * noise * random.normal());
        }
        *point = transform(&turn, *point);
        for (axis, value) in point.iter_mut().enumerate() {
            *value = *value * stretch[axis] + common[axis] + 0.7 * noise[axis] * random.normal();
        }
    }
    let luck = random.uniform();
    let hand = if luck < HANDEDNESS_UNKNOWN {
        Handedness::Unknown
    } else if luck < HANDEDNESS_UNKNOWN + HANDEDNESS_WRONG {
        match frame.hand {
            Handedness::Left => Handedness::Right,
            Handedness::Right => Handedness::Left,
            Handedness::Unknown => Handedness::Unknown,
        }
    } else {
        frame.hand
    };
    Frame { points, hand }
}

/// A random hand, as a camera of this layout would see it.
pub(crate) fn other_hand(layout: Layout, random: &mut Random) -> Frame {
    let frame = any_hand(random);
    in_picture(frame, layout, aspect(random))
}

/// Repeated frames of one pose of a random hand, see [`any_pose`].
pub(crate) fn other_pose(layout: Layout, count: usize, random: &mut Random) -> Vec<Frame> {
    let frames = any_pose(count, random);
    let aspect = aspect(random);
    frames.into_iter().map(|frame| in_picture(frame, layout, aspect)).collect()
}

/// Width over height of a random picture, which may be landscape or portrait.
fn aspect(random: &mut Random) -> f32 {
    (0.6 * (2.0 * random.uniform() - 1.0)).exp()
}

/// The hand in the coordinates of this layout: those of pictures are fractions of each side.
fn in_picture(mut frame: Frame, layout: Layout, aspect: f32) -> Frame {
    if layout == Layout::Image {
        frame.points.iter_mut().for_each(|point| point[0] *= aspect);
    }
    frame
}

/// Root mean square difference of two hands' landmarks, in hand sizes, from which on they count as different poses: one finger in
/// another position.
pub(crate) const SAME_POSE: f32 = 0.14;

/// Landmarks relative to the wrist, hand sizes.
fn relative(frame: &Frame) -> [Vec3; LANDMARKS] {
    let (wrist, size) = (scale(frame.points[0], -1.0), 1.0 / frame.size().max(1e-6));
    frame.points.map(|point| scale(add(point, wrist), size))
}

/// Axes of the palm: to the fingers, across, and off it.
fn palm(points: &[Vec3; LANDMARKS]) -> [Vec3; 3] {
    let along = normalize(points[9]);
    let across = add(points[17], scale(points[5], -1.0));
    let across = normalize(add(across, scale(along, -dot(along, across))));
    [along, across, cross(along, across)]
}

/// Root mean square distance of the landmarks of two hands, hand sizes, when each stands on its own palm.
pub(crate) fn difference(a: &Frame, b: &Frame) -> f32 {
    let [a, b] = [a, b].map(|frame| {
        let points = relative(frame);
        let palm = palm(&points);
        points.map(|point| transform(&palm, point))
    });
    let mut sum = 0.0;
    for (a, b) in a.iter().zip(&b) {
        let offset = add(*a, scale(*b, -1.0));
        sum += dot(offset, offset);
    }
    (sum / (LANDMARKS - 1) as f32).sqrt()
}

/// `frame` with one or two neighbouring fingers of `other`, each expressed relative to its own palm. Bone lengths of `frame` are
/// kept, also if `other` is another person's hand.
pub(crate) fn with_fingers_of(frame: &Frame, other: &Frame, random: &mut Random) -> Frame {
    let (own, theirs) = (relative(frame), relative(other));
    let (own_axes, their_axes) = (palm(&own), palm(&theirs));
    let mut points = own;
    let first = random.below(5);
    let count = 1 + random.below(2);
    for finger in first..(first + count).min(5) {
        let knuckle = 1 + 4 * finger;
        for joint in knuckle + 1..knuckle + 4 {
            let bone = |points: &[Vec3; LANDMARKS]| add(points[joint], scale(points[joint - 1], -1.0));
            let (mine, local) = (bone(&own), transform(&their_axes, bone(&theirs)));
            let mut turned = [0.0; 3];
            for (axis, value) in own_axes.iter().zip(normalize(local)) {
                turned = add(turned, scale(*axis, value));
            }
            points[joint] = add(points[joint - 1], scale(turned, dot(mine, mine).sqrt()));
        }
    }
    let size = frame.size();
    Frame { points: points.map(|point| add(scale(point, size), frame.points[0])), hand: frame.hand }
}
