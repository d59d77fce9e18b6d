//! From recordings to a model that may be published, or to the reason why not.
//!
//! [`train_addition`] grows a parent by one gesture, [`train_new`] starts from recordings alone. Both split each take by
//! time, train on the first part, end by the second, and report on the third; see [`crate::Report`].

use crate::augment::other_hand;
use crate::bundle::{Bundle, Provenance};
use crate::dataset::{Dataset, Gesture};
use crate::error::{GestureError, Result};
use crate::fit::{Rows, Schedule, Watch, finish, fit};
use crate::frame::{Frame, Layout, Recording};
use crate::limits;
use crate::model::Model;
use crate::network::Network;
use crate::random::Random;
use crate::report::{QualityGate, Report};

/// How to train.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TrainOptions {
    /// Decides every random choice: the same seed and input give the same bytes.
    pub seed: u64,
    /// What the result must reach.
    pub gate: QualityGate,
}

/// How far a training is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// Share of the whole that is done, 0..1; never falls.
    pub done: f32,
}

/// What a training does, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Looking for re-sent frames and look-alikes.
    Comparing,
    /// Rounds over the data.
    Training,
    /// Figures on held-out frames.
    Measuring,
}

impl Stage {
    /// The stage in words.
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            Self::Comparing => "comparing with the gestures that are there",
            Self::Training => "training",
            Self::Measuring => "measuring on frames kept aside",
        }
    }
}

/// How a training ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Good enough: the model, whose report it carries.
    Published(Box<Bundle>),
    /// Trained and not good enough: the report says why and what to record again. There is nothing to use.
    Refused(Box<Report>),
    /// More than a tenth of the frames are copies of frames of this stored gesture. Nothing was trained.
    Duplicate {
        /// The stored gesture.
        of: String,
    },
}

/// An addition goes on from the parent's weights.
const ADDITION: Schedule = Schedule { epochs: 30, frames: 80, others: 1.0, rate: 3e-3, patience: 8 };
/// A model from scratch has further to go.
const SCRATCH: Schedule = Schedule { epochs: 40, frames: 96, others: 1.0, rate: 4e-3, patience: 12 };

/// Adds one gesture to `parent`, which stays as it is.
///
/// The child's labels are the parent's and then the new one. Takes a fraction of a second on one core.
///
/// # Errors
/// [`GestureError::LayoutMismatch`], [`GestureError::NameTaken`], [`GestureError::ModelFull`] before anything is
/// trained; [`GestureError::Cancelled`] soon after `cancel` answers true.
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
    let looked_like = looked_like(&parent.model, new.frames());
    let mut random = Random::new(options.seed, 0x0ADD);
    let mut dataset = parent.dataset.clone();
    dataset.gestures.push(Gesture::split(new));
    let mut network = parent.network.clone();
    network.grow(&mut random);
    // Hands of the parent's gestures are no examples of unknown hands.
    let others = |random: &mut Random| stranger(Some(&parent.model), dataset.layout, random);
    let (model, epochs) = run(&mut network, &dataset, &others, ADDITION, &mut random, progress, cancel)?;
    progress(Progress { stage: Stage::Measuring, done: 0.95 });
    let before = parent.report.confusion.accuracy(0..parent.dataset.gestures.len());
    let report = Report {
        epochs,
        ..Report::measure(&model, &dataset, options.seed).of_addition(
            &model,
            &dataset,
            &looked_like,
            before,
            options.gate,
        )
    };
    if !report.reasons.is_empty() {
        return Ok(Outcome::Refused(Box::new(report)));
    }
    let provenance = parent.descend(format!("added `{}`", new.name()), options.seed);
    Ok(Outcome::Published(Box::new(Bundle { dataset, network, model, report, provenance })))
}

/// What can be said against an addition before it is queued: layout, name and room.
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

/// Trains a model on recordings alone, one a gesture, in the order of its labels; `origin` says where they come from.
///
/// The gate asks `min_old_accuracy` of the mean over all gestures.
///
/// # Errors
/// [`GestureError::TooFewGestures`], [`GestureError::ModelFull`], [`GestureError::LayoutMismatch`] or
/// [`GestureError::NameTaken`] before anything is trained; [`GestureError::Cancelled`] soon after `cancel` answers true.
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
    let mut random = Random::new(options.seed, 0x0EE0);
    let mut network = Network::new(found, &mut random);
    let others = |random: &mut Random| stranger(None, layout, random);
    let (model, epochs) = run(&mut network, &dataset, &others, SCRATCH, &mut random, progress, cancel)?;
    progress(Progress { stage: Stage::Measuring, done: 0.95 });
    let mut report =
        Report { epochs, gate: Some(options.gate), ..Report::measure(&model, &dataset, options.seed) };
    if report.old_accuracy < options.gate.min_old_accuracy {
        report.reasons.push(format!(
            "{:.1} % of the frames kept for checking were recognised; {:.1} % are needed",
            100.0 * report.old_accuracy,
            100.0 * options.gate.min_old_accuracy
        ));
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
    Ok(Outcome::Published(Box::new(Bundle { dataset, network, model, report, provenance })))
}

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

/// A generated hand that `parent` knows no gesture for.
fn stranger(parent: Option<&Model>, layout: Layout, random: &mut Random) -> Frame {
    let mut frame = other_hand(layout, random);
    let Some(parent) = parent else { return frame };
    for _ in 0..4 {
        if parent.predict(&frame).gesture.is_none() {
            break;
        }
        frame = other_hand(layout, random);
    }
    frame
}

fn run(
    network: &mut Network,
    dataset: &Dataset,
    others: &dyn Fn(&mut Random) -> Frame,
    schedule: Schedule,
    random: &mut Random,
    progress: &dyn Fn(Progress),
    cancel: &dyn Fn() -> bool,
) -> Result<(Model, usize)> {
    let train: Vec<&[Frame]> = dataset.gestures.iter().map(|gesture| &gesture.train[..]).collect();
    let validation: Vec<&[Frame]> = dataset.gestures.iter().map(|gesture| &gesture.validation[..]).collect();
    let rows = Rows { train: &train, validation: &validation };
    let told = |done: f32| progress(Progress { stage: Stage::Training, done: 0.05 + 0.9 * done });
    let epochs = fit(network, rows, others, schedule, random, &Watch { progress: &told, cancel })?;
    Ok((finish(network, rows, dataset.layout, random), epochs))
}
