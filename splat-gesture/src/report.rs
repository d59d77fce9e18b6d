//! Figures of a trained model, and advice to the user.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::augment::{SAME_POSE, Variation, difference, other_hand, vary, with_fingers_of};
use crate::dataset::{Dataset, thinned};
use crate::evaluate::Confusion;
use crate::folds::{Fold, folds};
use crate::frame::Frame;
use crate::model::Model;
use crate::quantize::as_legacy_sees;
use crate::random::Random;
use crate::reason::{self, Reason, percent};

/// Requirements for a model to be published.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct QualityGate {
    /// Minimum mean recall of the existing gestures, 0..1.
    pub min_old_accuracy: f64,
    /// Minimum recall of the new gesture, 0..1.
    pub min_new_recall: f64,
    /// Maximum decrease of any existing gesture's recall, 0..1.
    #[serde(default = "max_fall")]
    pub max_fall: f64,
    /// Maximum of [`Confused::mixed_when_varied`] with any stored gesture, 0..1. At 1 look-alikes are published, and the report
    /// describes the consequences.
    #[serde(default = "max_mixed")]
    pub max_mixed: f64,
}

/// The same gesture recorded twice under two names mixes more than this (`tests/gesture/letters.rs`); sign letters, and letters
/// with fingers of others, that are distinguished on later frames never do (`examples/protocol`, ten additions).
const fn max_mixed() -> f64 {
    0.05
}

const fn max_fall() -> f64 {
    0.1
}

impl Default for QualityGate {
    fn default() -> Self {
        Self { min_old_accuracy: 0.95, min_new_recall: 0.85, max_fall: max_fall(), max_mixed: max_mixed() }
    }
}

/// A stored gesture that is confused with the new one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Confused {
    /// The stored gesture.
    pub gesture: String,
    /// Share of the new gesture's frames that the parent model recognised as it.
    pub looked_like: f64,
    /// Share of the new gesture's frames recognised as it.
    pub new_taken_for_it: f64,
    /// Share of its frames recognised as the new gesture.
    pub it_taken_for_new: f64,
    /// Share of both gestures' frames that are nearer to the other gesture after small rotations of the hand and movements of its
    /// fingers; the larger of the two shares. The same gesture recorded twice mixes, however well other differences separate the
    /// two recordings.
    #[serde(default)]
    pub mixed_when_varied: f64,
}

/// Figures of one model, on frames that the evaluated model was not trained on: each quarter of a recording is recognised with
/// the other three.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The gesture that was added; `None` for a model trained on recordings alone.
    pub new_gesture: Option<String>,
    /// Mean recall of the existing gestures (of all, if none was added).
    pub old_accuracy: f64,
    /// The same before the addition.
    pub old_accuracy_before: Option<f64>,
    /// Share of the new gesture's frames recognised as it.
    pub new_recall: Option<f64>,
    /// Mean recall of all gestures with the quantised legacy model.
    pub legacy_accuracy: f64,
    /// Share of unknown hands that were recognised as a gesture: half of them are synthetic, half stored frames with one or two
    /// fingers of a synthetic hand, and none of them has the pose of a stored frame.
    pub unknown_accepted: f64,
    /// Confusion matrix of all frames of the folds.
    pub confusion: Confusion,
    /// Stored gestures that the new one is confused with, worst first.
    pub confused_with: Vec<Confused>,
    /// Why it is not published; empty if it is.
    pub reasons: Vec<String>,
    /// The same in the same order, for programs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused_for: Vec<Reason>,
    /// What to record again, and how.
    pub advice: Vec<String>,
    /// What a published model's advice says, for programs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<Reason>,
    /// Stored gestures that differ from the new one only by the rotation of the hand in the picture: these, and no others,
    /// require that the phone is held as in their recordings.
    #[serde(default)]
    pub told_by_angle: Vec<String>,
    /// The requirements.
    pub gate: Option<QualityGate>,
}

/// Number of unknown hands for `unknown_accepted`, of each of the two kinds, before those in a stored pose are removed.
const OTHERS: usize = 400;
/// Number of stored frames of a gesture that they are compared with.
const COMPARED: usize = 24;
/// Number of variations tried of each of two gestures.
const VARIATIONS: usize = 300;

/// Hands in poses that no stored frame shows.
fn unlike(dataset: &Dataset, seed: u64) -> Vec<Frame> {
    let stored: Vec<Frame> =
        dataset.gestures.iter().flat_map(|gesture| thinned(&gesture.train, COMPARED)).collect();
    let mut random = Random::new(seed, 0x0415);
    let mut hands = Vec::new();
    for index in 0..OTHERS {
        let made_up = other_hand(dataset.layout, &mut random);
        // Gestures in rotation.
        let gesture = &dataset.gestures[index % dataset.gestures.len()];
        let frame = &gesture.train[random.below(gesture.train.len())];
        hands.push(with_fingers_of(frame, &made_up, &mut random));
        hands.push(made_up);
    }
    hands.retain(|hand| stored.iter().all(|known| difference(known, hand) > SAME_POSE));
    hands
}

/// The larger of the two gestures' shares of varied frames that are at least as near to the other gesture, with models built
/// without those frames; 0 if no hand could be accepted by both.
pub(crate) fn mixed(model: &Model, dataset: &Dataset, a: usize, b: usize) -> f64 {
    if !model.gestures[a].meets(&model.gestures[b]) {
        return 0.0;
    }
    // The same variations for every pair.
    let mut random = Random::new(0, 0x0A11);
    let mut share = |own: usize, other: usize| {
        let folds = folds(model, own, &dataset.gestures[own]);
        let (mut wrong, mut tried) = (0, 0);
        for fold in &folds {
            for frame in fold.frames.iter().cycle().take(VARIATIONS / folds.len()) {
                let hand = fold.model.hand(&vary(frame, &Variation::MOMENT, &mut random));
                wrong += usize::from(fold.model.nearness(other, &hand) <= fold.model.nearness(own, &hand));
                tried += 1;
            }
        }
        wrong as f64 / tried.max(1) as f64
    };
    share(a, b).max(share(b, a))
}

impl Report {
    /// Evaluates a model on its folds; every gesture counts as an existing one.
    pub(crate) fn measure(model: &Model, dataset: &Dataset, seed: u64) -> Self {
        let labels = dataset.names();
        let gestures = dataset.gestures.iter().enumerate();
        let folds: Vec<Vec<Fold>> = gestures.map(|(index, gesture)| folds(model, index, gesture)).collect();
        let confusion = Confusion::of_folds(&labels, &folds, |frame| *frame);
        let legacy = Confusion::of_folds(&labels, &folds, |frame| as_legacy_sees(frame, model.layout));
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

    /// Turns it into the report of an addition to `model`: the last gesture is new, `looked_like` holds for each other one the
    /// share of the new frames that the parent model recognised as it, `parent` is the parent model's confusion.
    pub(crate) fn of_addition(
        mut self,
        model: &Model,
        dataset: &Dataset,
        looked_like: &[f64],
        parent: &Confusion,
        gate: QualityGate,
    ) -> Self {
        let new = self.confusion.labels.len() - 1;
        let name = self.confusion.labels[new].clone();
        self.old_accuracy = self.confusion.accuracy(0..new);
        let before = parent.accuracy(0..new);
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
            let confused = Confused { mixed_when_varied: mixed(model, dataset, new, old), ..confused };
            if confused.weight() >= NOTABLE {
                self.confused_with.push(confused);
            }
        }
        for angle in &self.told_by_angle {
            self.advice.push(format!(
                "`{name}` and `{angle}` differ only in how the hand is turned: keep the phone as it was while recording, or choose another pose"
            ));
            self.remarks.push(Reason::new(
                reason::TOLD_BY_ANGLE,
                [("gesture", json!(name)), ("other", json!(angle))],
            ));
        }
        self.confused_with.sort_by(|a, b| b.weight().total_cmp(&a.weight()));
        let worst = self.confused_with.first().map(|confused| confused.gesture.clone());
        if recall < gate.min_new_recall {
            let (right, frames) = self.confusion.right(new);
            self.refuse(
                format!(
                    "only {} of `{name}` that were kept for checking were recognised; {:.0} % are needed",
                    self.confusion.right_of(new),
                    100.0 * gate.min_new_recall
                ),
                reason::NEW_RECALL_LOW,
                [
                    ("gesture", json!(name)),
                    ("right", json!(right)),
                    ("frames", json!(frames)),
                    ("least", percent(gate.min_new_recall)),
                ],
            );
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
            let text = format!(
                "with `{name}` in it the model recognises {:.1} % of its earlier gestures ({:.1} % without); {:.1} % are needed",
                100.0 * self.old_accuracy,
                100.0 * before,
                100.0 * gate.min_old_accuracy
            );
            self.refuse(
                text,
                reason::OLD_ACCURACY_LOW,
                [
                    ("gesture", json!(name)),
                    ("accuracy", percent(self.old_accuracy)),
                    ("before", percent(before)),
                    ("least", percent(gate.min_old_accuracy)),
                ],
            );
            self.advice.push(match &worst {
                Some(other) => {
                    format!("choose another pose for `{name}`, or delete `{other}` and record it again")
                }
                None => format!("choose another pose for `{name}`"),
            });
        }
        let fall = |old: &usize| parent.recall(*old) - self.confusion.recall(*old);
        if let Some(old) = (0..new).max_by(|a, b| fall(a).total_cmp(&fall(b)))
            && fall(&old) > gate.max_fall
        {
            let hurt = self.confusion.labels[old].clone();
            let ((right, frames), (before, _)) = (self.confusion.right(old), parent.right(old));
            self.refuse(
                format!(
                    "with `{name}` in it the model recognises {} of `{hurt}` ({} without)",
                    self.confusion.right_of(old),
                    parent.right_of(old)
                ),
                reason::OLD_RECALL_FALLS,
                [
                    ("gesture", json!(name)),
                    ("other", json!(hurt)),
                    ("right", json!(right)),
                    ("before", json!(before)),
                    ("frames", json!(frames)),
                ],
            );
            self.advice.push(format!("choose a pose for `{name}` that is more unlike `{hurt}`"));
        }
        let most = |a: &&Confused, b: &&Confused| a.mixed_when_varied.total_cmp(&b.mixed_when_varied);
        if let Some(alike) = self.confused_with.iter().max_by(most).cloned() {
            let params = || {
                [
                    ("gesture", json!(name)),
                    ("other", json!(alike.gesture)),
                    ("mixed", percent(alike.mixed_when_varied)),
                ]
            };
            let cost = format!(
                "`{name}` looks like `{}`: when the hand turns and moves a little, up to {:.0} % of the frames of one are taken for the other",
                alike.gesture,
                100.0 * alike.mixed_when_varied
            );
            if alike.mixed_when_varied >= gate.max_mixed {
                self.refuse(cost, reason::LOOK_ALIKE, params());
                self.advice.push(format!(
                    "choose a pose for `{name}` that differs from `{0}` in at least one finger, or delete `{0}` first; to have both all the same, accept look-alikes",
                    alike.gesture
                ));
            } else if alike.mixed_when_varied >= max_mixed() {
                self.advice.push(cost);
                self.remarks.push(Reason::new(reason::LOOK_ALIKE, params()));
            }
        }
        self.new_gesture = Some(name);
        self.gate = Some(gate);
        self
    }

    /// Adds a reason why the model is not published, as a text and for programs.
    pub(crate) fn refuse<const N: usize>(&mut self, text: String, code: &str, params: [(&str, Value); N]) {
        self.reasons.push(text);
        self.refused_for.push(Reason::new(code, params));
    }

    /// The same figures with other names.
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
        for name in &mut report.told_by_angle {
            *name = rename(name);
        }
        report.confusion.labels = labels;
        report
    }
}

/// Minimum confusion that is reported.
const NOTABLE: f64 = 0.03;

impl Confused {
    fn weight(&self) -> f64 {
        self.mixed_when_varied.max(self.new_taken_for_it).max(self.it_taken_for_new)
    }
}
