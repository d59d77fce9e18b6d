//! `base_v1`, which is trained on synthetic hands only, on real recordings.

use std::sync::OnceLock;

use splat_gesture::{
    BASE_LABELS, Bundle, Frame, Layout, TrainOptions, as_legacy_sees, base_v1, train_addition, train_new,
};
use splat_test_needs::needs;

use crate::hostile::resealed;
use crate::samples::{accepted, labelled, mean, never, published, quiet, recall, recording, tell};

const LAYOUT: Layout = Layout::World;

pub(crate) fn base() -> &'static Bundle {
    static BASE: OnceLock<Bundle> = OnceLock::new();
    BASE.get_or_init(|| base_v1(&quiet, &never).unwrap())
}

/// Mean recall of the three gestures on real frames, with rejection and without.
fn on_real_hands(bundle: &Bundle, view: fn(&Frame) -> Frame) -> [f64; 2] {
    let real = labelled("ghostouch_base_v1.csv", LAYOUT);
    let recalls: Vec<[f64; 2]> = BASE_LABELS
        .iter()
        .enumerate()
        .map(|(gesture, name)| {
            let frames = &real.iter().find(|group| group.label == *name).unwrap().frames;
            recall(bundle, &frames.iter().map(view).collect::<Vec<_>>(), gesture)
        })
        .collect();
    tell(&format!("real paper, rock, scissors (accepted and right, argmax): {recalls:.3?}"));
    [0, 1].map(|kind| mean(&recalls.iter().map(|both| both[kind]).collect::<Vec<_>>()))
}

#[needs("gesture/ghostouch_base_v1.csv", "gesture/ghostouch_incremental_one.csv")]
#[test]
fn the_base_recognises_real_hands_and_leaves_others() {
    let bundle = base();
    assert_eq!(bundle.labels(), BASE_LABELS);
    let plain = on_real_hands(bundle, |frame| *frame);
    assert!(plain[0] >= 0.94, "{plain:?}");
    let quantised = on_real_hands(bundle, |frame| as_legacy_sees(frame, LAYOUT));
    assert!(quantised[0] >= 0.94, "{quantised:?}");
    let mirrored = on_real_hands(bundle, Frame::mirrored);
    assert!((plain[0] - mirrored[0]).abs() <= 0.01, "{plain:?} {mirrored:?}");
    let one = &labelled("ghostouch_incremental_one.csv", LAYOUT)[0];
    let taken = accepted(bundle, &one.frames);
    tell(&format!("`one`, unknown to the base, accepted: {taken:.3}"));
    assert!(taken <= 0.10, "{taken}");
}

#[test]
fn a_base_model_of_an_earlier_format_recognises_as_the_base_of_today() {
    let mut older = base().to_bytes();
    older[8] = 4;
    let read = Bundle::from_bytes(&resealed(older)).unwrap();
    assert_eq!(read.model(), base().model());
}

#[needs("gesture/ghostouch_base_v1.csv", "gesture/ghostouch_incremental_one.csv")]
#[test]
fn a_real_gesture_joins_the_base() {
    let one = labelled("ghostouch_incremental_one.csv", LAYOUT);
    let take = recording("one", LAYOUT, &one[0].frames);
    let grown = published(train_addition(base(), &take, &TrainOptions::default(), &quiet, &never).unwrap());
    assert_eq!(grown.labels(), ["paper", "rock", "scissors", "one"]);
    let old = on_real_hands(&grown, |frame| *frame);
    let new = grown.report().new_recall.unwrap();
    tell(&format!("`one` joins the base: new {new:.3}, real old {old:.3?}"));
    assert!(new >= 0.95 && old[0] >= 0.94, "{new} {old:?}");
}

/// World landmarks of four real gestures, three of them known, from all of their frames or the first three quarters.
#[needs("gesture/ghostouch_base_v1.csv", "gesture/ghostouch_incremental_one.csv")]
#[test]
fn of_four_real_gestures_the_one_left_out_is_none() {
    let mut real = labelled("ghostouch_base_v1.csv", LAYOUT);
    real.extend(labelled("ghostouch_incremental_one.csv", LAYOUT));
    assert_eq!(real.len(), 4);
    let mut recalls = Vec::new();
    for (left_out, seed) in (0..4).flat_map(|left_out| [(left_out, 0), (left_out, 1)]) {
        let known: Vec<_> =
            real.iter().enumerate().filter(|(i, _)| *i != left_out).map(|(_, known)| known).collect();
        let model = |frames: usize| {
            let takes = known.iter().map(|known| recording(&known.label, LAYOUT, &known.frames[..frames]));
            let options = TrainOptions { seed, ..TrainOptions::default() };
            published(train_new(&takes.collect::<Vec<_>>(), "real hands", &options, &quiet, &never).unwrap())
        };
        let [most, all] = [75, 100].map(model);
        let own: Vec<f64> = known
            .iter()
            .enumerate()
            .map(|(gesture, known)| recall(&most, &known.frames[75..], gesture)[0])
            .collect();
        let taken = [&most, &all].map(|model| accepted(model, &real[left_out].frames));
        tell(&format!("without `{}`: known {own:.2?}, it is accepted {taken:.3?}", real[left_out].label));
        assert!(taken.iter().all(|taken| *taken <= 0.10), "{taken:?}");
        recalls.extend(own);
    }
    assert!(mean(&recalls) >= 0.95, "{recalls:?}");
}
