//! The figures that come with every result, and what they ask of the user.

use serde::{Deserialize, Serialize};

use crate::augment::{Variation, other_hand, vary};
use crate::dataset::Dataset;
use crate::evaluate::Confusion;
use crate::features::{COORDINATES, DISTANCES, SHAPE, features};
use crate::frame::Frame;
use crate::model::Model;
use crate::quantize::as_legacy_sees;
use crate::random::Random;

/// What a result must reach to be published.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct QualityGate {
    /// Least mean recall of the gestures that were there before, 0..1.
    pub min_old_accuracy: f64,
    /// Least recall of the new gesture, 0..1.
    pub min_new_recall: f64,
    /// From this share of its frames recognised as one stored gesture by the model before, the new one is that gesture, unless the
    /// new model tells the two apart also when they are varied.
    pub look_alike_share: f64,
}

impl Default for QualityGate {
    fn default() -> Self {
        Self { min_old_accuracy: 0.95, min_new_recall: 0.85, look_alike_share: 0.9 }
    }
}

/// A stored gesture that the new one is taken for, or the other way round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Confused {
    /// The stored gesture.
    pub gesture: String,
    /// Share of the new gesture's frames that the model before took for it.
    pub looked_like: f64,
    /// Share of the new gesture's held-out frames taken for it.
    pub new_taken_for_it: f64,
    /// Share of its held-out frames taken for the new gesture.
    pub it_taken_for_new: f64,
    /// The same of both gestures' held-out frames when the hand is turned and its fingers move a little, the greater share of the two.
    /// One gesture recorded twice mixes then, however well its recordings are told apart by what else differs between them.
    #[serde(default)]
    pub mixed_when_varied: f64,
}

/// Figures of one model. All but `epochs` are of frames that no training saw: the last fifth of every take.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The gesture that was added; none for a model trained at once.
    pub new_gesture: Option<String>,
    /// Mean recall of the gestures that were there before (of all, where none was added).
    pub old_accuracy: f64,
    /// The same before the addition.
    pub old_accuracy_before: Option<f64>,
    /// Share of the new gesture's frames recognised as it.
    pub new_recall: Option<f64>,
    /// Mean recall of all gestures as the quantised legacy model sees them.
    pub legacy_accuracy: f64,
    /// Share of generated hands, in poses unlike every stored frame, that were taken for a gesture.
    pub unknown_accepted: f64,
    /// Every held-out frame: what it is against what it was taken for.
    pub confusion: Confusion,
    /// Stored gestures that the new one is confused with, worst first.
    pub confused_with: Vec<Confused>,
    /// Why it is not published; empty when it is.
    pub reasons: Vec<String>,
    /// What to record again, and how.
    pub advice: Vec<String>,
    /// What was asked of it.
    pub gate: Option<QualityGate>,
    /// Rounds over the data that training took.
    pub epochs: usize,
}

/// Generated hands that are tried for `unknown_accepted`.
const OTHERS: usize = 500;
/// Two gestures mix from this share on. Measured on sign letters: one letter recorded twice 0.027 or more, two letters 0.003 or less.
const MIXED: f64 = 0.01;
/// Variations that are tried of each of two gestures.
const VARIATIONS: usize = 500;
/// Root mean square difference of the distances between landmarks, hand sizes, from which a pose is another.
const UNLIKE: f32 = 0.2;

/// Generated hands in poses that no stored frame shows, however it is turned.
fn unlike(dataset: &Dataset, seed: u64) -> Vec<Frame> {
    let shape = |frame: &Frame| -> [f32; DISTANCES.len()] {
        let mut shape = [0.0; DISTANCES.len()];
        shape.copy_from_slice(&features(frame)[COORDINATES..SHAPE]);
        shape
    };
    let stored: Vec<_> =
        dataset.gestures.iter().flat_map(|gesture| gesture.train.iter().map(shape)).collect();
    let mut random = Random::new(seed, 0x0415);
    let hands = (0..OTHERS).map(|_| other_hand(dataset.layout, &mut random));
    let new = hands.filter(|frame| {
        let shape = shape(frame);
        stored.iter().all(|known| {
            let sum: f32 = known.iter().zip(&shape).map(|(a, b)| (a - b) * (a - b)).sum();
            sum > UNLIKE * UNLIKE * DISTANCES.len() as f32
        })
    });
    new.collect()
}

/// The greater share of two gestures' varied held-out frames that are more like the other one.
fn mixed(model: &Model, dataset: &Dataset, a: usize, b: usize) -> f64 {
    // The same variations for every pair.
    let mut random = Random::new(0, 0x0A11);
    let mut share = |own: usize, other: usize| {
        let frames = dataset.gestures.get(own).map_or(&[][..], |gesture| &gesture.held_out[..]);
        let varied = frames.iter().cycle().take(if frames.is_empty() { 0 } else { VARIATIONS });
        let wrong = varied.filter(|frame| {
            let scores = model.predict(&vary(frame, &Variation::TRAINING, &mut random)).scores;
            scores.get(other) > scores.get(own)
        });
        wrong.count() as f64 / VARIATIONS as f64
    };
    share(a, b).max(share(b, a))
}

impl Report {
    /// Measures a model on its held-out frames, every gesture an old one.
    pub(crate) fn measure(model: &Model, dataset: &Dataset, seed: u64) -> Self {
        let labels = dataset.names();
        let held_out = || dataset.gestures.iter().map(|gesture| &gesture.held_out[..]);
        let confusion = Confusion::measure(model, &labels, held_out());
        let quantised: Vec<Vec<_>> = held_out()
            .map(|frames| frames.iter().map(|frame| as_legacy_sees(frame, model.layout)).collect())
            .collect();
        let legacy = Confusion::measure(model, &labels, quantised.iter().map(|frames| &frames[..]));
        let others = unlike(dataset, seed);
        let accepted = others.iter().filter(|frame| model.predict(frame).gesture.is_some()).count();
        Self {
            old_accuracy: confusion.accuracy(0..labels.len()),
            legacy_accuracy: legacy.accuracy(0..labels.len()),
            unknown_accepted: accepted as f64 / others.len().max(1) as f64,
            confusion,
            ..Self::default()
        }
    }

    /// Makes it the report of an addition by `model`: the last gesture is new, `looked_like` holds for each other one the share
    /// of the new frames that the model before took for it.
    pub(crate) fn of_addition(
        mut self,
        model: &Model,
        dataset: &Dataset,
        looked_like: &[f64],
        before: f64,
        gate: QualityGate,
    ) -> Self {
        let new = self.confusion.labels.len() - 1;
        let name = self.confusion.labels[new].clone();
        self.old_accuracy = self.confusion.accuracy(0..new);
        self.old_accuracy_before = Some(before);
        let recall = self.confusion.recall(new);
        self.new_recall = Some(recall);
        for (old, looked_like) in looked_like.iter().enumerate() {
            let confused = Confused {
                gesture: self.confusion.labels[old].clone(),
                looked_like: *looked_like,
                new_taken_for_it: self.confusion.taken_for(new, old),
                it_taken_for_new: self.confusion.taken_for(old, new),
                mixed_when_varied: 0.0,
            };
            if confused.weight() >= NOTABLE {
                self.confused_with
                    .push(Confused { mixed_when_varied: mixed(model, dataset, new, old), ..confused });
            }
        }
        self.confused_with.sort_by(|a, b| b.weight().total_cmp(&a.weight()));
        let worst = self.confused_with.first().map(|confused| confused.gesture.clone());
        if recall < gate.min_new_recall {
            self.reasons.push(format!(
                "only {:.0} % of the frames of `{name}` kept for checking were recognised; {:.0} % are needed",
                100.0 * recall,
                100.0 * gate.min_new_recall
            ));
            self.advice.push(match &worst {
                Some(other) => format!(
                    "record `{name}` again, in two takes with a pause between, held more unlike `{other}`; turn the hand a little while recording"
                ),
                None => format!(
                    "record `{name}` again, in two takes with a pause between: hold the same pose throughout and turn the hand a little"
                ),
            });
        }
        if self.old_accuracy < gate.min_old_accuracy {
            self.reasons.push(format!(
                "with `{name}` in it the model recognises {:.1} % of its earlier gestures ({:.1} % without); {:.1} % are needed",
                100.0 * self.old_accuracy,
                100.0 * before,
                100.0 * gate.min_old_accuracy
            ));
            self.advice.push(match &worst {
                Some(other) => {
                    format!("choose another pose for `{name}`, or delete `{other}` and record it again")
                }
                None => format!("choose another pose for `{name}`"),
            });
        }
        if let Some(alike) = self.confused_with.iter().find(|confused| {
            confused.looked_like >= gate.look_alike_share && confused.mixed_when_varied >= MIXED
        }) {
            self.reasons.push(format!(
                "`{name}` looks like `{}`: the model took {:.0} % of its frames for that gesture, and mixes {:.0} % when the hand turns a little",
                alike.gesture,
                100.0 * alike.looked_like,
                100.0 * alike.mixed_when_varied
            ));
            self.advice.push(format!(
                "choose a pose for `{name}` that differs from `{0}` in at least one finger or in how the hand is turned, or delete `{0}` first",
                alike.gesture
            ));
        }
        self.new_gesture = Some(name);
        self.gate = Some(gate);
        self
    }

    /// The same figures under other names.
    pub(crate) fn relabelled(&self, labels: Vec<String>) -> Self {
        let mut report = self.clone();
        let rename = |name: &str| {
            let at = self.confusion.labels.iter().position(|label| label == name);
            at.and_then(|at| labels.get(at)).cloned().unwrap_or_else(|| name.to_owned())
        };
        report.new_gesture = report.new_gesture.as_deref().map(rename);
        for confused in &mut report.confused_with {
            confused.gesture = rename(&confused.gesture);
        }
        report.confusion.labels = labels;
        report
    }
}

/// Confusion from this share on is told.
const NOTABLE: f64 = 0.1;

impl Confused {
    fn weight(&self) -> f64 {
        self.looked_like.max(self.new_taken_for_it).max(self.it_taken_for_new)
    }
}
