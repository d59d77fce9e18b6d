//! `base_v1`: paper, rock and scissors from hands that this program makes up, and from nobody's recordings.

use crate::bundle::{Bundle, Provenance};
use crate::dataset::{Dataset, Gesture};
use crate::error::Result;
use crate::fit::{Rows, Schedule, Watch, finish, fit};
use crate::frame::{Frame, Layout};
use crate::hand::{Person, Pose, View, joints, observe};
use crate::network::Network;
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
            let curl = random.between(0.0, 0.25);
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
    // Fists close more in the knuckles or more in the outer joints than open fingers bend.
    let habit = if gesture == 1 { 0.35 } else { 0.2 };
    let pose = pose.shared_habit(random, habit).loosened(random, 0.1);
    observe(&joints(&pose, &Person::any(random)), &VIEW, random)
}

/// A hand in a pose that none of the base gestures could be.
pub(crate) fn other_hand(random: &mut Random) -> Frame {
    let pose = loop {
        let pose = Pose::any(random);
        if !resembles_base(&pose) {
            break pose;
        }
    };
    observe(&joints(&pose, &Person::any(random)), &VIEW, random)
}

/// Whether the fingers are near one of the base gestures; wider than what [`base_hand`] makes.
fn resembles_base(pose: &Pose) -> bool {
    let curls = pose.bend.map(|[knuckle, middle, end]| (knuckle + middle + end) / (1.57 + 1.92 + 1.22));
    let straight = curls.map(|curl| curl < 0.36);
    let curled = curls.map(|curl| curl > 0.4);
    straight == [true; 4] || curled == [true; 4] || (straight[..2] == [true; 2] && curled[2..] == [true; 2])
}

/// Seed of the base model: it is the same everywhere that rounds alike.
const SEED: u64 = 1;
/// Generated hands of each gesture to train on, to end training by, and to report on.
const HANDS: [usize; 3] = [6000, 300, 300];
/// Hands of each gesture that the bundle keeps for its children, of the same three kinds.
const KEPT: [usize; 3] = [160, 32, 64];
const SCHEDULE: Schedule = Schedule { epochs: 40, frames: 800, others: 3.0, rate: 4e-3, patience: 40 };

/// The base model: [`BASE_LABELS`] in world landmarks, trained here and now on hands that this program makes up.
///
/// Takes seconds; the same bytes every time on the same machine, so that the caller can keep them.
///
/// # Errors
/// [`crate::GestureError::Cancelled`] soon after `cancel` answers true.
pub fn base_v1(progress: &dyn Fn(Progress), cancel: &dyn Fn() -> bool) -> Result<Bundle> {
    let mut random = Random::new(SEED, 0xBA5E);
    let mut parts: [Vec<Vec<Frame>>; 3] = HANDS.map(|count| {
        let gestures = 0..BASE_LABELS.len();
        gestures.map(|gesture| (0..count).map(|_| base_hand(gesture, &mut random)).collect()).collect()
    });
    let train: Vec<&[Frame]> = parts[0].iter().map(|frames| &frames[..]).collect();
    let validation: Vec<&[Frame]> = parts[1].iter().map(|frames| &frames[..]).collect();
    let rows = Rows { train: &train, validation: &validation };
    let mut network = Network::new(BASE_LABELS.len(), &mut random);
    let told = |done: f32| progress(Progress { stage: Stage::Training, done: 0.95 * done });
    let epochs =
        fit(&mut network, rows, &other_hand, SCHEDULE, &mut random, &Watch { progress: &told, cancel })?;
    let model = finish(&network, rows, Layout::World, &mut random);
    progress(Progress { stage: Stage::Measuring, done: 0.95 });
    for (part, kept) in parts.iter_mut().zip(KEPT) {
        part.iter_mut().for_each(|frames| frames.truncate(kept));
    }
    let [train, validation, held_out] = parts;
    let gestures = BASE_LABELS.iter().zip(train).zip(validation).zip(held_out);
    let gestures = gestures.map(|(((name, train), validation), held_out)| Gesture {
        name: (*name).to_owned(),
        train,
        validation,
        held_out,
    });
    let dataset = Dataset { layout: Layout::World, gestures: gestures.collect() };
    let report = Report { epochs, ..Report::measure(&model, &dataset, SEED) };
    let provenance = Provenance {
        step: "base_v1, trained from scratch".to_owned(),
        origin: "hands made up by splat-gesture's kinematic model; nobody's recordings".to_owned(),
        parent: None,
        ancestors: Vec::new(),
        seed: SEED,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    Ok(Bundle { dataset, network, model, report, provenance })
}
