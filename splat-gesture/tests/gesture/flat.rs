//! Landmarks in two dimensions without handedness, of an author whose recordings were not used to choose constants; they were
//! measured while the form of the axes was chosen.

use splat_gesture::{Bundle, Frame, LabelledFrames, Layout, QualityGate, TrainOptions, train_new};
use splat_test_needs::needs;

use crate::samples::{accepted, mean, never, published, quiet, recall, recording};

/// Open hand, fist and pointer: `label, x1, y1, ... x21, y21` per line.
pub(crate) fn author() -> Vec<LabelledFrames> {
    let text = std::fs::read_to_string(crate::test_data::shared("gesture/kazuhito_keypoint.csv")).unwrap();
    let mut groups: Vec<LabelledFrames> = Vec::new();
    for line in text.lines() {
        let numbers: Vec<f32> = line.split(',').map(|field| field.parse().unwrap()).collect();
        // Scales a hand that fills the picture to one within it.
        let mut values: Vec<f32> =
            numbers[1..].chunks(2).flat_map(|xy| [0.3 * xy[0], 0.3 * xy[1], 0.0]).collect();
        values.push(-1.0);
        let frame = Frame::parse(&values, Layout::Image, 0).unwrap();
        let label = numbers[0].to_string();
        match groups.iter_mut().find(|group| group.label == label) {
            Some(group) => group.frames.push(frame),
            None => groups.push(LabelledFrames { label, frames: vec![frame] }),
        }
    }
    assert_eq!(groups.len(), 3);
    groups
}

/// A model of the first 300 frames of each, whatever their recall.
pub(crate) fn known(groups: &[&LabelledFrames]) -> Bundle {
    let recordings: Vec<_> =
        groups.iter().map(|group| recording(&group.label, Layout::Image, &group.frames[..300])).collect();
    let options =
        TrainOptions { gate: QualityGate { min_old_accuracy: 0.0, ..QualityGate::default() }, seed: 1 };
    published(train_new(&recordings, "flat hands", &options, &quiet, &never).unwrap())
}

/// Some of these frames seem to show another gesture, or the transition to this one.
#[needs("gesture/kazuhito_keypoint.csv")]
#[test]
fn two_gestures_are_known_and_the_third_is_not() {
    let groups = author();
    let (mut right, mut unknown) = (Vec::new(), Vec::new());
    for third in 0..3 {
        let two = [&groups[(third + 1) % 3], &groups[(third + 2) % 3]];
        let bundle = known(&two);
        right.extend((0..2).map(|gesture| recall(&bundle, &two[gesture].frames[300..], gesture)[0]));
        unknown.push(accepted(&bundle, &groups[third].frames));
    }
    assert!(mean(&right) >= 0.69, "{right:?}");
    assert!(unknown.iter().all(|share| *share <= 0.05), "{unknown:?}");
}
