//! `base_v1`: paper, rock and scissors, trained on synthetic hands only, without recordings.

use crate::axes::Axes;
use crate::bundle::{Bundle, Provenance};
use crate::dataset::{Dataset, Gesture};
use crate::error::{GestureError, Result};
use crate::frame::{Frame, Layout};
use crate::hand::{Person, Pose, View, joints, observe};
use crate::known::Known;
use crate::model::Model;
use crate::random::Random;
use crate::report::Report;
use crate::train::{Progress, Stage};

/// Labels of the base model, in the order that stock clients know.
pub const BASE_LABELS: [&str; 3] = ["paper", "rock", "scissors"];

/// How detectors see hands that gesture at a camera: turned any way in the picture, seen from most sides.
const VIEW: View = View { turns: [1.1, 0.65, 0.5], lean: 0.35, noise: 0.0025 };

/// A hand that shows `BASE_LABELS[gesture]`.
pub(crate) fn base_hand(gesture: usize, random: &mut Random) -> Frame {
    let pose = match gesture {
        0 => {
            let curl = random.between(0.0, 0.35);
            let curls = [(); 4].map(|()| curl + random.between(-0.08, 0.08));
            let wide = random.between(0.2, 1.6);
            let mut pose = Pose::new(
                curls,
                random.between(0.1, 1.0),
                random.between(0.0, 0.35),
                random.between(-0.1, 0.5),
            );
            pose.spread = pose.spread.map(|spread| spread * wide);
            pose
        }
        1 => {
            let curl = random.between(0.45, 0.92);
            let curls = [(); 4].map(|()| curl + random.between(-0.06, 0.06));
            Pose::new(curls, random.between(0.0, 0.6), random.between(0.1, 1.0), random.between(0.1, 1.1))
        }
        _ => {
            let straight = random.between(0.0, 0.22);
            let curled = random.between(0.5, 0.95);
            let curls = [
                straight + random.between(-0.03, 0.06),
                straight + random.between(-0.03, 0.06),
                curled + random.between(-0.08, 0.08),
                curled + random.between(-0.1, 0.08),
            ];
            let mut pose = Pose::new(
                curls,
                random.between(0.0, 0.6),
                random.between(0.2, 1.0),
                random.between(0.2, 1.1),
            );
            let apart = random.between(0.05, 0.3);
            pose.spread[0] = -apart;
            pose.spread[1] = apart * 0.6;
            pose
        }
    };
    // Fists close more in the knuckles or more in the outer joints, and an open hand bends in more ways than two extended
    // fingers.
    let habit = [0.3, 0.35, 0.2].get(gesture).copied().unwrap_or(0.2);
    let pose = pose.shared_habit(random, habit).loosened(random, 0.1);
    observe(&joints(&pose, &Person::any(random)), &VIEW, random)
}

/// Seed of the base model, which is the same on all machines with the same rounding.
const SEED: u64 = 1;
/// Number of synthetic hands of each gesture: to choose examples from, to measure the radius on, and for the report.
const HANDS: [usize; 3] = [4000, 500, 300];
/// Number of hands of each gesture that the bundle stores, of the first and the last kind.
const KEPT: [usize; 2] = [192, 64];

/// Trains the base model: [`BASE_LABELS`] in world landmarks, on synthetic hands.
///
/// Takes seconds. The result is the same, byte for byte, every time on the same machine, so the caller can cache it.
///
/// # Errors
/// [`crate::GestureError::Cancelled`] soon after `cancel` returns true.
pub fn base_v1(progress: &dyn Fn(Progress), cancel: &dyn Fn() -> bool) -> Result<Bundle> {
    let mut random = Random::new(SEED, 0xBA5E);
    let mut parts: [Vec<Vec<Frame>>; 3] = HANDS.map(|count| {
        let gestures = 0..BASE_LABELS.len();
        gestures.map(|gesture| (0..count).map(|_| base_hand(gesture, &mut random)).collect()).collect()
    });
    let axes = Axes::of(Layout::World, false).clone();
    let [examples, others, held_out] = &mut parts;
    let mut known = Vec::new();
    for (examples, others) in examples.iter().zip(others) {
        if cancel() {
            return Err(GestureError::Cancelled);
        }
        progress(Progress { stage: Stage::Training, done: 0.3 + 0.2 * known.len() as f32 });
        known.push(Known::made_up(&axes, examples, others));
    }
    let model = Model { layout: Layout::World, axes, gestures: known };
    progress(Progress { stage: Stage::Measuring, done: 0.95 });
    let keep = |frames: &mut Vec<Frame>, count: usize| std::mem::take(frames).drain(..count).collect();
    let gestures =
        BASE_LABELS.iter().zip(examples).zip(held_out).map(|((name, examples), held_out)| Gesture {
            name: (*name).to_owned(),
            train: keep(examples, KEPT[0]),
            held_out: keep(held_out, KEPT[1]),
        });
    let dataset = Dataset { layout: Layout::World, gestures: gestures.collect() };
    let report = Report::measure(&model, &dataset, SEED);
    let provenance = Provenance {
        step: "base_v1, trained from scratch".to_owned(),
        origin: "hands made up by splat-gesture's kinematic model; nobody's recordings".to_owned(),
        parent: None,
        ancestors: Vec::new(),
        seed: SEED,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    Ok(Bundle { dataset, model, report, provenance })
}
