//! A kinematic model of a hand with 21 joints, in any size, posture and view.
//!
//! The rest pose is a right hand in front of the camera, palm towards it, fingers up: x right, y down, z away. All lengths are in
//! metres. Bone lengths follow the landmarks of MediaPipe's detector, whose knuckles are nearer to the fingertips than the joints
//! of a skeleton; joint limits are those of a healthy hand (90, 110 and 70 degrees).
//!
//! It contains no recorded data. `base_v1` is trained on these hands, the axes are derived from them, and reports use them as
//! unknown hands.

use crate::frame::{Frame, Handedness, LANDMARKS};
use crate::random::Random;
use crate::vector::{Vec3, add, dot, normalize, rotation, scale, transform};

/// Knuckles of index, middle, ring and little finger from the wrist, metres.
const KNUCKLES: [Vec3; 4] =
    [[-0.030, -0.098, -0.002], [-0.006, -0.100, 0.002], [0.014, -0.094, 0.000], [0.031, -0.080, -0.006]];
/// Lengths of the three bones beyond each knuckle, metres.
const PHALANGES: [[f32; 3]; 4] =
    [[0.031, 0.024, 0.026], [0.037, 0.028, 0.026], [0.033, 0.027, 0.024], [0.024, 0.021, 0.019]];
/// Start of the thumb, and the lengths of its three bones, metres.
const THUMB_BASE: Vec3 = [-0.028, -0.024, -0.012];
const THUMB: [f32; 3] = [0.036, 0.036, 0.029];
/// Maximum bending of each joint of a finger, radians.
const FINGER_LIMITS: [f32; 3] = [1.57, 1.92, 1.22];

/// Angles of the joints.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pose {
    /// Bending of every joint, radians: `[finger][knuckle, middle, end]`, index to little finger.
    pub(crate) bend: [[f32; 3]; 4],
    /// Sideways angle of every finger, radians, positive towards the little finger.
    pub(crate) spread: [f32; 4],
    /// Thumb from beside the palm (0) to straight out sideways (1).
    pub(crate) thumb_out: f32,
    /// Thumb from the palm's plane (0) to in front of the palm (1).
    pub(crate) thumb_over: f32,
    /// Bending of the thumb's two outer joints, radians.
    pub(crate) thumb_bend: [f32; 2],
}

impl Pose {
    /// A pose with the fingers bent by the given fractions of their limits and the given thumb.
    pub(crate) fn new(curls: [f32; 4], thumb_out: f32, thumb_over: f32, thumb_bend: f32) -> Self {
        let bend = curls.map(|curl| FINGER_LIMITS.map(|limit| limit * curl));
        Self {
            bend,
            spread: [-0.12, -0.02, 0.08, 0.2],
            thumb_out,
            thumb_over,
            thumb_bend: [thumb_bend, thumb_bend * 0.8],
        }
    }

    /// A random pose: each finger straight, bent, curled in, or in between.
    pub(crate) fn any(random: &mut Random) -> Self {
        let curls = [(); 4].map(|()| match random.below(4) {
            0 | 1 => random.between(0.0, 0.2),
            2 => random.between(0.7, 1.0),
            _ => random.uniform(),
        });
        let mut pose = Self::new(curls, random.uniform(), random.uniform(), random.between(0.0, 1.2));
        for bend in &mut pose.bend {
            // A claw bends the outer joints, a beak the knuckles.
            match random.below(4) {
                0 => bend[0] *= random.uniform(),
                1 => {
                    let straight = random.uniform();
                    bend[1] *= straight;
                    bend[2] *= straight;
                }
                _ => {}
            }
        }
        let wide = random.between(0.0, 1.6);
        pose.spread = pose.spread.map(|spread| spread * wide + 0.05 * random.normal());
        pose.loosened(random, 0.06)
    }

    /// The pose with all fingers bent more or less at each of their three joints: hands close more in the knuckles or more in the
    /// outer joints, and all fingers do so alike.
    pub(crate) fn shared_habit(mut self, random: &mut Random, radians: f32) -> Self {
        let habit = [(); 3].map(|()| radians * random.normal());
        for bend in &mut self.bend {
            for ((angle, habit), limit) in bend.iter_mut().zip(habit).zip(FINGER_LIMITS) {
                *angle = (*angle + habit).clamp(-0.25, limit + 0.1);
            }
        }
        self
    }

    /// The pose with closed fingers bent more in the knuckles and less in the middle joints, or the reverse, by about `radians`: the
    /// fingertips are hidden then, and detectors guess how the joints share the bending. All fingers share most of it.
    pub(crate) fn closed_otherwise(mut self, random: &mut Random, radians: f32) -> Self {
        const OWN: f32 = 0.3;
        // Bending of all joints, radians, from which on a finger hides its tip, and from there to a finger that is closed.
        const HIDES: f32 = 2.0;
        const CLOSED: f32 = 3.5;
        let habit = random.normal();
        for bend in &mut self.bend {
            let hidden = ((bend.iter().sum::<f32>() - HIDES) / (CLOSED - HIDES)).clamp(0.0, 1.0);
            let moved = hidden * radians * (habit + OWN * random.normal());
            bend[0] = (bend[0] + moved).clamp(-0.25, FINGER_LIMITS[0] + 0.6);
            bend[1] = (bend[1] - moved).clamp(-0.25, FINGER_LIMITS[1] + 0.7);
        }
        self
    }

    /// The pose as it is held at another time or by another person: every joint varied by about `radians`, within its limits.
    pub(crate) fn loosened(mut self, random: &mut Random, radians: f32) -> Self {
        for bend in &mut self.bend {
            for (angle, limit) in bend.iter_mut().zip(FINGER_LIMITS) {
                *angle = (*angle + radians * random.normal()).clamp(-0.25, limit + 0.1);
            }
        }
        for spread in &mut self.spread {
            *spread += 0.5 * radians * random.normal();
        }
        self.thumb_out = (self.thumb_out + radians * random.normal()).clamp(-0.1, 1.1);
        self.thumb_over = (self.thumb_over + radians * random.normal()).clamp(-0.1, 1.2);
        for angle in &mut self.thumb_bend {
            *angle = (*angle + radians * random.normal()).clamp(-0.3, 1.5);
        }
        self
    }
}

/// Bone lengths of one person relative to the average.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Person {
    size: f32,
    palm_width: f32,
    fingers: [f32; 5],
}

impl Person {
    pub(crate) fn any(random: &mut Random) -> Self {
        Self {
            size: (1.0 + 0.12 * random.normal()).clamp(0.6, 1.3),
            palm_width: (1.0 + 0.12 * random.normal()).clamp(0.7, 1.3),
            fingers: [(); 5].map(|()| (1.0 + 0.1 * random.normal()).clamp(0.75, 1.25)),
        }
    }
}

/// The 21 joints of a right hand in its own axes, wrist at the origin, metres.
pub(crate) fn joints(pose: &Pose, person: &Person) -> [Vec3; LANDMARKS] {
    let mut joints = [[0.0; 3]; LANDMARKS];
    let widen = |point: Vec3| [point[0] * person.palm_width, point[1], point[2]];
    // The thumb's first bone, between beside, to the side of and in front of the palm.
    let beside: Vec3 = [-0.14, -0.94, -0.26];
    let sideways: Vec3 = [-0.86, -0.48, -0.15];
    let before: Vec3 = [0.10, -0.84, -0.50];
    let mut direction = [0.0; 3];
    for (axis, value) in direction.iter_mut().enumerate() {
        let out = beside[axis] + (sideways[axis] - beside[axis]) * pose.thumb_out;
        *value = out + (before[axis] - out) * pose.thumb_over;
    }
    let direction = normalize(direction);
    // Its outer joints bend across the palm.
    let across: Vec3 = [0.85, -0.2 + 0.1 * pose.thumb_over, -0.35 + 0.45 * pose.thumb_over];
    let across = normalize(add(across, scale(direction, -dot(across, direction))));
    let mut at = widen(THUMB_BASE);
    let mut angle = 0.0;
    joints[1] = at;
    for (bone, length) in THUMB.iter().enumerate() {
        if bone > 0 {
            angle += pose.thumb_bend[bone - 1];
        }
        let along = add(scale(direction, angle.cos()), scale(across, angle.sin()));
        at = add(at, scale(along, length * person.fingers[0]));
        joints[2 + bone] = at;
    }
    for finger in 0..4 {
        let mut at = widen(KNUCKLES[finger]);
        let (sin, cos) = pose.spread[finger].sin_cos();
        let straight: Vec3 = [sin, -cos, 0.0];
        let mut angle = 0.0;
        joints[5 + 4 * finger] = at;
        for bone in 0..3 {
            angle += pose.bend[finger][bone];
            let along = add(scale(straight, angle.cos()), [0.0, 0.0, -angle.sin()]);
            at = add(at, scale(along, PHALANGES[finger][bone] * person.fingers[finger + 1]));
            joints[6 + 4 * finger + bone] = at;
        }
    }
    joints.map(|joint| scale(joint, person.size))
}

/// Variation of viewpoint and detector.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    /// Standard deviation of the rotation in the picture, to the side and up or down, radians.
    pub(crate) turns: [f32; 3],
    /// Mean tilt of the fingers towards the camera, radians: people reach out when they show a hand.
    pub(crate) lean: f32,
    /// Standard deviation of each coordinate, metres.
    pub(crate) noise: f32,
}

/// The joints as a detector reports them: rotated, left or right, with its noise and its uncertain depth, centred.
pub(crate) fn observe(joints: &[Vec3; LANDMARKS], view: &View, random: &mut Random) -> Frame {
    let mut turns = view.turns.map(|deviation| deviation * random.normal());
    turns[2] += view.lean;
    let turn = rotation(turns);
    let depth = random.between(0.7, 1.15);
    // Noise of a finger's joints is correlated: half of it is common.
    let mut common = [0.0; 3];
    let mut points = [[0.0; 3]; LANDMARKS];
    for (index, (point, joint)) in points.iter_mut().zip(joints).enumerate() {
        if index % 4 == 1 {
            common = [(); 3].map(|()| view.noise * 0.7 * random.normal());
        }
        *point = transform(&turn, *joint);
        point[2] *= depth;
        for (value, common) in point.iter_mut().zip(common) {
            *value += common + view.noise * 0.7 * random.normal();
        }
    }
    let mut centre = [0.0; 3];
    for point in &points {
        centre = add(centre, scale(*point, 1.0 / LANDMARKS as f32));
    }
    for point in &mut points {
        *point = add(*point, scale(centre, -1.0));
    }
    // A right hand that is not mirrored: MediaPipe, which expects mirrored selfies, calls it left.
    let frame = Frame { points, hand: Handedness::Left };
    if random.uniform() < 0.5 { frame.mirrored() } else { frame }
}

/// A random person's hand in a random pose and view.
pub(crate) fn any_hand(random: &mut Random) -> Frame {
    let pose = Pose::any(random);
    let person = Person::any(random);
    observe(&joints(&pose, &person), &ANY_VIEW, random)
}

/// Repeated frames of a random person's hand in a random pose, from one view, as closed fingers are seen in turn.
pub(crate) fn any_pose(count: usize, random: &mut Random) -> Vec<Frame> {
    const HABIT: f32 = 0.3;
    let (pose, person) = (Pose::any(random), Person::any(random));
    let view = Random::new(random.next_u64(), 0x51E8);
    (0..count)
        .map(|_| {
            let pose = pose.closed_otherwise(random, HABIT);
            observe(&joints(&pose, &person), &ANY_VIEW, &mut view.clone())
        })
        .collect()
}

/// Views of hands in front of a phone.
const ANY_VIEW: View = View { turns: [0.9, 0.65, 0.6], lean: 0.35, noise: 0.002 };

/// The palm's outward normal, from joints in any axes.
#[cfg(test)]
pub(crate) fn palm_normal(joints: &[Vec3; LANDMARKS]) -> Vec3 {
    normalize(crate::vector::cross(
        add(joints[5], scale(joints[0], -1.0)),
        add(joints[17], scale(joints[0], -1.0)),
    ))
}

/// Some hands with bent fingers, so that the geometry determines the handedness.
#[cfg(test)]
pub(crate) fn some_hands(count: usize) -> Vec<Frame> {
    let mut random = Random::new(7, 1);
    (0..count)
        .map(|_| {
            let pose = Pose::new([0.1, 0.6, 0.8, 0.7], 0.4, 0.5, 0.3).loosened(&mut random, 0.05);
            observe(
                &joints(&pose, &Person::any(&mut random)),
                &View { turns: [0.5; 3], lean: 0.2, noise: 0.001 },
                &mut random,
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Layout;

    #[test]
    fn every_hand_is_within_the_limits() {
        let mut random = Random::new(1, 2);
        for _ in 0..2000 {
            let frame = any_hand(&mut random);
            Frame::parse(&frame.values(), Layout::World, 0).expect("a generated hand is a hand");
        }
    }

    #[test]
    fn closed_fingers_share_the_bending_otherwise_and_open_ones_do_not() {
        let mut random = Random::new(2, 5);
        let pose = Pose::new([0.0, 0.2, 0.85, 0.9], 0.4, 0.5, 0.3);
        for _ in 0..200 {
            let other = pose.closed_otherwise(&mut random, 0.3);
            assert_eq!(other.bend[..2], pose.bend[..2]);
            for (old, new) in pose.bend.iter().zip(other.bend).skip(2) {
                assert!(old[0] != new[0] && old[2] == new[2]);
                // Whatever the knuckle gains the middle joint loses, within the limits.
                assert!((old[0] - new[0]) * (old[1] - new[1]) <= 0.0, "{old:?} {new:?}");
            }
        }
        let views = any_pose(4, &mut random);
        assert!(views.len() == 4 && views.windows(2).all(|pair| pair[0].hand == pair[1].hand));
    }

    #[test]
    fn bones_keep_their_lengths_and_fingers_bend_to_the_palm() {
        let mut random = Random::new(3, 4);
        let person = Person { size: 1.0, palm_width: 1.0, fingers: [1.0; 5] };
        for _ in 0..200 {
            let joints = joints(&Pose::any(&mut random), &person);
            for finger in 0..4 {
                for bone in 0..3 {
                    let (a, b) = (joints[5 + 4 * finger + bone], joints[6 + 4 * finger + bone]);
                    let length = dot(add(b, scale(a, -1.0)), add(b, scale(a, -1.0))).sqrt();
                    assert!((length - PHALANGES[finger][bone]).abs() < 1e-5);
                }
            }
        }
        let fist = joints(&Pose::new([0.9; 4], 0.3, 0.8, 0.6), &person);
        let normal = palm_normal(&fist);
        for tip in [8, 12, 16, 20] {
            assert!(dot(fist[tip], normal) < -0.005, "tip {tip} lies behind the palm");
        }
    }
}
