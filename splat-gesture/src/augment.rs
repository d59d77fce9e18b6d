//! Variations of a recorded frame: what the same gesture could have looked like at another moment, to another camera,
//! or made by another hand.

use crate::frame::{Frame, Handedness, LANDMARKS, Layout};
use crate::hand::any_hand;
use crate::random::Random;
use crate::vector::{Vec3, add, rotation, scale, transform};

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
}

impl Variation {
    /// What training sees, and what a gesture's reach is measured on.
    pub(crate) const TRAINING: Self =
        Self { turns: [0.25, 0.2, 0.2], finger: 0.10, length: 0.06, stretch: 0.12, noise: 0.015 };
    /// Turned twice as far: how a hand is held says less of a gesture than its pose.
    pub(crate) const TURNED: Self = {
        let [in_picture, to_side, up] = Self::TRAINING.turns;
        Self { turns: [2.0 * in_picture, 2.0 * to_side, 2.0 * up], ..Self::TRAINING }
    };
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
    let noise = amount.noise * size;
    let mut common = [0.0; 3];
    for (index, point) in points.iter_mut().enumerate() {
        if index % 4 == 1 {
            common = [(); 3].map(|()| noise * 0.7 * random.normal());
        }
        *point = transform(&turn, *point);
        for (axis, value) in point.iter_mut().enumerate() {
            *value = *value * stretch[axis] + common[axis] + noise * 0.7 * random.normal();
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

/// Any hand as a camera of this layout would see it.
pub(crate) fn other_hand(layout: Layout, random: &mut Random) -> Frame {
    let mut frame = any_hand(random);
    if layout == Layout::Image {
        // Pictures are wider than high or the other way round, and coordinates are fractions of each side.
        let aspect = (0.6 * (2.0 * random.uniform() - 1.0)).exp();
        for point in &mut frame.points {
            point[0] *= aspect;
        }
    }
    frame
}
