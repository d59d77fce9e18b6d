//! Recordings for tests, from the shared test data outside the repository.

use splat_gesture::{Bundle, Frame, LabelledFrames, Layout, Outcome, Recording, read_landmarks};

/// The gesture data of the shared test data.
pub(crate) fn labelled(name: &str, layout: Layout) -> Vec<LabelledFrames> {
    let path = crate::test_data::shared(&format!("gesture/{name}"));
    read_landmarks(&std::fs::read_to_string(path).unwrap(), layout).unwrap()
}

/// Sign letters A to M in the order of the file: image coordinates, one recording of about 400 frames each.
pub(crate) fn letters() -> Vec<LabelledFrames> {
    let letters = labelled("asl_letters_a_to_m.csv", Layout::Image);
    assert_eq!(letters.len(), 13);
    letters
}

pub(crate) fn recording(name: &str, layout: Layout, frames: &[Frame]) -> Recording {
    Recording::from_frames(name, layout, frames.to_vec()).unwrap()
}

/// The published model, or a panic.
pub(crate) fn published(outcome: Outcome) -> Bundle {
    match outcome {
        Outcome::Published(bundle) => *bundle,
        other => panic!("not published: {other:?}"),
    }
}

/// Share of frames recognised as this gesture, with the rejection of unknown hands and without.
pub(crate) fn recall(bundle: &Bundle, frames: &[Frame], gesture: usize) -> [f64; 2] {
    assert!(!frames.is_empty());
    let predictions: Vec<_> = frames.iter().map(|frame| bundle.model().predict(frame)).collect();
    let share = |count: usize| count as f64 / frames.len() as f64;
    [
        share(predictions.iter().filter(|prediction| prediction.gesture == Some(gesture)).count()),
        share(predictions.iter().filter(|prediction| prediction.best == gesture).count()),
    ]
}

/// Share of frames recognised as any gesture.
pub(crate) fn accepted(bundle: &Bundle, frames: &[Frame]) -> f64 {
    let count = frames.iter().filter(|frame| bundle.model().predict(frame).gesture.is_some()).count();
    count as f64 / frames.len() as f64
}

pub(crate) fn mean(values: &[f64]) -> f64 {
    assert!(!values.is_empty());
    values.iter().sum::<f64>() / values.len() as f64
}

pub(crate) fn quiet(_: splat_gesture::Progress) {}

pub(crate) fn never() -> bool {
    false
}

/// Prints figures that the README cites, with `--nocapture`.
#[expect(clippy::print_stderr, reason = "figures have no other way out")]
pub(crate) fn tell(text: &str) {
    eprintln!("{text}");
}
