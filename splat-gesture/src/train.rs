//! Training: from recordings to a model that may be published, or to the reason why not.
//!
//! [`train_addition`] adds one gesture to a parent, [`train_new`] trains on recordings alone. Both choose examples from whole
//! recordings, and report on parts that are held out in turn; see [`crate::Report`].

use crate::axes::Axes;
use crate::bundle::{Bundle, Provenance};
use crate::dataset::{Dataset, Gesture};
use crate::error::{GestureError, Result};
use crate::frame::Frame;
use crate::known::Known;
use crate::limits;
use crate::model::Model;
use crate::reason::{self, percent};
use crate::recording::Recording;
use crate::report::{QualityGate, Report, mixed};
use crate::take::shows_one_gesture;

/// Options of a training.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TrainOptions {
    /// Seed of every random choice: the same seed and input give the same bytes.
    pub seed: u64,
    /// Requirements for the result to be published.
    pub gate: QualityGate,
}

/// Progress of a training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Current stage.
    pub stage: Stage,
    /// Completed fraction of the whole, 0..1; never decreases.
    pub done: f32,
}

/// Stages of a training, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Search for frames that were sent before, and for similar gestures.
    Comparing,
    /// Choice of examples and radii.
    Training,
    /// Evaluation on held-out frames.
    Measuring,
}

impl Stage {
    /// Name of the stage for messages.
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            Self::Comparing => "comparing with the gestures that are there",
            Self::Training => "training",
            Self::Measuring => "measuring on frames kept aside",
        }
    }
}

/// Result of a training.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Good enough: the model, including its report.
    Published(Box<Bundle>),
    /// Trained but not good enough: the report says why and what to record again. No model is returned.
    Refused(Box<Report>),
    /// More than a tenth of the frames are copies of frames of this stored gesture. Nothing was trained.
    Duplicate {
        /// The stored gesture.
        of: String,
    },
}

/// Adds one gesture to `parent`, which is not modified.
///
/// The new label is appended to the parent's. Takes a fraction of a second on one core.
///
/// # Errors
/// [`GestureError::LayoutMismatch`], [`GestureError::NameTaken`], [`GestureError::ModelFull`], [`GestureError::TwoGestures`]
/// before training; [`GestureError::Cancelled`] soon after `cancel` returns true.
pub fn train_addition(
    parent: &Bundle,
    new: &Recording,
    options: &TrainOptions,
    progress: &dyn Fn(Progress),
    cancel: &dyn Fn() -> bool,
) -> Result<Outcome> {
    check_addition(parent, new)?;
    progress(Progress { stage: Stage::Comparing, done: 0.0 });
    if let Some(of) = parent.dataset.duplicate_of(new) {
        return Ok(Outcome::Duplicate { of: of.to_owned() });
    }
    shows_one_gesture(&parent.model.axes, new)?;
    let looked_like = looked_like(&parent.model, new.frames());
    let mut dataset = parent.dataset.clone();
    dataset.gestures.push(Gesture::split(new));
    if cancel() {
        return Err(GestureError::Cancelled);
    }
    let mut model = parent.model.clone();
    let gesture = &dataset.gestures[dataset.gestures.len() - 1];
    model.gestures.push(Known::of(&model.axes, gesture));
    progress(Progress { stage: Stage::Training, done: 0.5 });
    let told_by_angle = tell_by_angle(&mut model, &dataset, parent.dataset.gestures.len());
    progress(Progress { stage: Stage::Measuring, done: 0.6 });
    let measured = Report::measure(&model, &dataset, options.seed);
    let report = Report { told_by_angle, ..measured }.of_addition(
        &model,
        &dataset,
        &looked_like,
        &parent.report.confusion,
        options.gate,
    );
    if !report.reasons.is_empty() {
        return Ok(Outcome::Refused(Box::new(report)));
    }
    let provenance = parent.descend(format!("added `{}`", new.name()), options.seed);
    Ok(Outcome::Published(Box::new(Bundle { dataset, model, report, provenance })))
}

/// Checks an addition before it is queued: layout, name and number of gestures.
///
/// # Errors
/// [`GestureError::LayoutMismatch`], [`GestureError::NameTaken`] or [`GestureError::ModelFull`].
pub fn check_addition(parent: &Bundle, new: &Recording) -> Result<()> {
    if new.layout() != parent.layout() {
        return Err(GestureError::LayoutMismatch { expected: parent.layout(), found: new.layout() });
    }
    if parent.dataset.gestures.iter().any(|gesture| gesture.name == new.name()) {
        return Err(GestureError::NameTaken { name: new.name().to_owned() });
    }
    if parent.dataset.gestures.len() >= limits::MAX_GESTURES {
        return Err(GestureError::ModelFull);
    }
    Ok(())
}

/// Trains a model on recordings alone, one per gesture, in the order of its labels; `origin` names their source.
///
/// `min_old_accuracy` applies to the mean over all gestures.
///
/// # Errors
/// [`GestureError::TooFewGestures`], [`GestureError::ModelFull`], [`GestureError::LayoutMismatch`], [`GestureError::NameTaken`]
/// or [`GestureError::TwoGestures`] before training; [`GestureError::Cancelled`] soon after `cancel` returns true.
pub fn train_new(
    recordings: &[Recording],
    origin: &str,
    options: &TrainOptions,
    progress: &dyn Fn(Progress),
    cancel: &dyn Fn() -> bool,
) -> Result<Outcome> {
    let found = recordings.len();
    let Some(first) = recordings.first().filter(|_| found >= limits::MIN_GESTURES) else {
        return Err(GestureError::TooFewGestures { found });
    };
    if found > limits::MAX_GESTURES {
        return Err(GestureError::ModelFull);
    }
    let layout = first.layout();
    for (index, recording) in recordings.iter().enumerate() {
        if recording.layout() != layout {
            return Err(GestureError::LayoutMismatch { expected: layout, found: recording.layout() });
        }
        if recordings.iter().take(index).any(|earlier| earlier.name() == recording.name()) {
            return Err(GestureError::NameTaken { name: recording.name().to_owned() });
        }
    }
    let dataset = Dataset { layout, gestures: recordings.iter().map(Gesture::split).collect() };
    let axes = Axes::of(layout, dataset.is_flat()).clone();
    let (mut gestures, mut told_by_angle) = (Vec::new(), Vec::new());
    for (gesture, recording) in dataset.gestures.iter().zip(recordings) {
        shows_one_gesture(&axes, recording)?;
        if cancel() {
            return Err(GestureError::Cancelled);
        }
        gestures.push(Known::of(&axes, gesture));
    }
    let mut model = Model { layout, axes, gestures };
    progress(Progress { stage: Stage::Training, done: 0.5 });
    for (index, gesture) in dataset.gestures.iter().enumerate() {
        for other in tell_by_angle(&mut model, &dataset, index) {
            told_by_angle.push(other);
            told_by_angle.push(gesture.name.clone());
        }
    }
    told_by_angle.sort();
    told_by_angle.dedup();
    progress(Progress { stage: Stage::Measuring, done: 0.95 });
    let mut report =
        Report { gate: Some(options.gate), told_by_angle, ..Report::measure(&model, &dataset, options.seed) };
    if report.old_accuracy < options.gate.min_old_accuracy {
        let (accuracy, least) = (report.old_accuracy, options.gate.min_old_accuracy);
        let (shown, needed) = (100.0 * accuracy, 100.0 * least);
        report.refuse(
            format!("{shown:.1} % of the frames kept for checking were recognised; {needed:.1} % are needed"),
            reason::ACCURACY_LOW,
            [("accuracy", percent(accuracy)), ("least", percent(least))],
        );
        let worst =
            (0..found).min_by(|a, b| report.confusion.recall(*a).total_cmp(&report.confusion.recall(*b)));
        if let Some(name) = worst.and_then(|worst| report.confusion.labels.get(worst)) {
            report.advice.push(format!("record `{name}` again, which was recognised least"));
        }
        return Ok(Outcome::Refused(Box::new(report)));
    }
    let provenance = Provenance {
        step: "trained from scratch".to_owned(),
        origin: origin.to_owned(),
        parent: None,
        ancestors: Vec::new(),
        seed: options.seed,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    Ok(Outcome::Published(Box::new(Bundle { dataset, model, report, provenance })))
}

/// Weight of the palm's direction, relative to a gesture's reach, where two gestures differ only by it: hands rotated by 60
/// degrees are one reach apart.
const TURN: f32 = 1.0;

/// If gesture `new` mixes with an existing one and they differ by the rotation of the hand, makes both use it. Returns the names
/// of those gestures.
fn tell_by_angle(model: &mut Model, dataset: &Dataset, new: usize) -> Vec<String> {
    let mut names = Vec::new();
    for old in 0..new {
        let without = mixed(model, dataset, new, old);
        if without < ALIKE {
            continue;
        }
        let before = [old, new].map(|gesture| model.gestures[gesture].turn);
        for gesture in [old, new] {
            let known = &mut model.gestures[gesture];
            known.turn = TURN * known.reach;
        }
        if mixed(model, dataset, new, old) < TOLD {
            names.extend(dataset.gestures.get(old).map(|gesture| gesture.name.clone()));
        } else {
            [old, new]
                .into_iter()
                .zip(before)
                .for_each(|(gesture, turn)| model.gestures[gesture].turn = turn);
        }
    }
    names
}

/// Two gestures that mix in at least this share of varied frames are look-alikes; with less they count as distinguishable.
const ALIKE: f64 = 0.05;
const TOLD: f64 = 0.02;

/// For each gesture of a model the share of frames that it recognises as it.
fn looked_like(model: &Model, frames: &[Frame]) -> Vec<f64> {
    let mut shares = vec![0.0; model.gestures()];
    for frame in frames {
        if let Some(gesture) = model.predict(frame).gesture {
            shares[gesture] += 1.0 / frames.len() as f64;
        }
    }
    shares
}
