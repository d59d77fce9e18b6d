//! Training and evaluation.

use splat_gesture::{
    Bundle, Frame, LabelledFrames, Layout, Outcome, QualityGate, Recording, TrainOptions, train_addition,
    train_new,
};

/// Requirements that accept everything, to measure what a model reaches.
fn options() -> TrainOptions {
    let gate = QualityGate { min_old_accuracy: 0.0, min_new_recall: 0.0, max_fall: 1.0, max_mixed: 1.0 };
    TrainOptions { seed: 1, gate }
}

fn published(outcome: Outcome) -> Bundle {
    match outcome {
        Outcome::Published(bundle) => *bundle,
        other => panic!("no model: {other:?}"),
    }
}

fn recording(name: &str, layout: Layout, frames: &[Frame]) -> Recording {
    Recording::from_frames(name, layout, frames.to_vec()).unwrap()
}

/// A model of gestures, each with its frames.
pub(crate) fn trained(gestures: &[(&str, &[Frame])], layout: Layout) -> Bundle {
    let recordings: Vec<Recording> =
        gestures.iter().map(|(name, frames)| recording(name, layout, frames)).collect();
    published(train_new(&recordings, "recordings", &options(), &|_| {}, &|| false).unwrap())
}

/// A model of the first `count` frames of each of these.
pub(crate) fn trained_on(letters: &[&LabelledFrames], count: usize, layout: Layout) -> Bundle {
    let gestures: Vec<(&str, &[Frame])> =
        letters.iter().map(|letter| (letter.label.as_str(), &letter.frames[..count])).collect();
    trained(&gestures, layout)
}

pub(crate) fn added(parent: &Bundle, name: &str, frames: &[Frame]) -> Bundle {
    let new = recording(name, parent.layout(), frames);
    published(train_addition(parent, &new, &options(), &|_| {}, &|| false).unwrap())
}

/// The same with the default requirements, as for a client: `None` if the gesture is rejected.
pub(crate) fn offered(parent: &Bundle, name: &str, frames: &[Frame]) -> Option<Bundle> {
    let new = recording(name, parent.layout(), frames);
    match train_addition(parent, &new, &TrainOptions::default(), &|_| {}, &|| false).unwrap() {
        Outcome::Published(bundle) => Some(*bundle),
        _ => None,
    }
}

/// Share of frames recognised as a gesture and right, and the same without rejection.
pub(crate) fn right(bundle: &Bundle, frames: &[Frame], gesture: usize) -> [f64; 2] {
    let mut counts = [0, 0];
    for frame in frames {
        let prediction = bundle.model().predict(frame);
        counts[0] += usize::from(prediction.gesture == Some(gesture));
        counts[1] += usize::from(prediction.best == gesture);
    }
    counts.map(|count| count as f64 / frames.len().max(1) as f64)
}

/// Share of frames recognised as any gesture.
pub(crate) fn accepted(bundle: &Bundle, frames: &[Frame]) -> f64 {
    let count = frames.iter().filter(|frame| bundle.model().predict(frame).gesture.is_some()).count();
    count as f64 / frames.len().max(1) as f64
}

fn score(bundle: &Bundle, frame: &Frame) -> (usize, f32) {
    let prediction = bundle.model().predict(frame);
    (prediction.best, prediction.scores[prediction.best])
}

/// Separation of known and unknown hands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Telling {
    /// Known frames that are right, and right and accepted.
    pub(crate) argmax: f64,
    pub(crate) right: f64,
    /// Unknown frames accepted at the score 0.5, and at the score that 95 % of the known frames reach and are right.
    pub(crate) unknown: f64,
    pub(crate) unknown_at_95: f64,
    /// Area under the curve of known accepted over unknown accepted, whatever the gesture.
    pub(crate) area: f64,
}

/// Known frames with their gesture, weighted equally by gesture, against unknown ones.
pub(crate) fn telling(bundle: &Bundle, known: &[&[Frame]], unknown: &[&[Frame]]) -> Telling {
    const EACH: usize = 90;
    let thin =
        |frames: &[Frame]| -> Vec<Frame> { (0..EACH).map(|i| frames[i * frames.len() / EACH]).collect() };
    let mut own = Vec::new();
    let (mut argmax, mut accepted) = (0.0, 0.0);
    for (gesture, frames) in known.iter().enumerate() {
        let [taken, best] = right(bundle, frames, gesture);
        argmax += best / known.len() as f64;
        accepted += taken / known.len() as f64;
        own.extend(thin(frames).iter().map(|frame| {
            let (best, score) = score(bundle, frame);
            (best == gesture, score)
        }));
    }
    let others: Vec<f32> =
        unknown.iter().flat_map(|frames| thin(frames)).map(|frame| score(bundle, &frame).1).collect();
    let share =
        |limit: f32| others.iter().filter(|score| **score >= limit).count() as f64 / others.len() as f64;
    let mut of_right: Vec<f32> =
        own.iter().map(|(right, score)| if *right { *score } else { f32::NEG_INFINITY }).collect();
    of_right.sort_by(f32::total_cmp);
    let mut sorted = others.clone();
    sorted.sort_by(f32::total_cmp);
    let below = |score: f32| {
        let less = sorted.partition_point(|other| *other < score);
        let no_more = sorted.partition_point(|other| *other <= score);
        0.5 * (less + no_more) as f64
    };
    let area: f64 = own.iter().map(|(_, score)| below(*score)).sum();
    Telling {
        argmax,
        right: accepted,
        unknown: share(0.5),
        unknown_at_95: share(of_right[of_right.len() / 20]),
        area: area / (own.len() * sorted.len()) as f64,
    }
}

/// Mean and worst of some figures; `worst` selects the maximum or the minimum.
pub(crate) fn summary(values: &[f64], worst: fn(f64, f64) -> f64) -> String {
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    let worst = values.iter().copied().reduce(worst).unwrap_or(f64::NAN);
    format!("{mean:.3} (worst {worst:.3})")
}
