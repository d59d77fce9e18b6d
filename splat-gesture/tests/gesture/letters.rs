//! The crate's accuracy on real sign letters, split by time. `--ignored --nocapture` runs all measurements.

use splat_gesture::{
    Bundle, Frame, LabelledFrames, Layout, Outcome, QualityGate, TrainOptions, as_legacy_sees,
    train_addition, train_new,
};
use splat_test_needs::needs;

use crate::samples::{accepted, letters, mean, never, published, quiet, recall, recording, tell};

const LAYOUT: Layout = Layout::Image;

/// The first three quarters of a recording, to train on, and the last, to measure on.
fn earlier(letter: &LabelledFrames) -> &[Frame] {
    &letter.frames[..letter.frames.len() * 3 / 4]
}

fn later(letter: &LabelledFrames) -> &[Frame] {
    &letter.frames[letter.frames.len() * 3 / 4..]
}

fn trained(letters: &[&LabelledFrames], part: fn(&LabelledFrames) -> &[Frame], seed: u64) -> Bundle {
    let recordings: Vec<_> =
        letters.iter().map(|letter| recording(&letter.label, LAYOUT, part(letter))).collect();
    let options = TrainOptions { seed, ..TrainOptions::default() };
    published(train_new(&recordings, "sign letters", &options, &quiet, &never).unwrap())
}

fn burst(letter: &LabelledFrames) -> &[Frame] {
    &letter.frames[..100]
}

/// 100 frames of the first three quarters: as from several takes of a gesture rather than one burst.
fn spread(letter: &LabelledFrames) -> Vec<Frame> {
    earlier(letter).iter().step_by(3).copied().collect()
}

/// Letters in an order that depends on the seed only.
fn shuffled(count: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    for i in (1..count).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        order.swap(i, (state >> 33) as usize % (i + 1));
    }
    order
}

#[needs("gesture/asl_letters_a_to_m.csv")]
#[test]
fn thirteen_letters_split_by_time_on_either_hand() {
    let letters = letters();
    let all: Vec<_> = letters.iter().collect();
    let bundle = trained(&all, earlier, 1);
    let measure = |view: fn(&Frame) -> Frame| -> [f64; 2] {
        let per_letter = letters.iter().enumerate().map(|(gesture, letter)| {
            let frames: Vec<Frame> = later(letter).iter().map(view).collect();
            recall(&bundle, &frames, gesture)
        });
        let per_letter: Vec<[f64; 2]> = per_letter.collect();
        [0, 1].map(|kind| mean(&per_letter.iter().map(|both| both[kind]).collect::<Vec<_>>()))
    };
    let plain = measure(|frame| *frame);
    let mirrored = measure(Frame::mirrored);
    let quantised = measure(|frame| as_legacy_sees(frame, LAYOUT));
    tell(&format!(
        "13 letters: accepted and right, argmax: {plain:.4?}, mirrored {mirrored:.4?}, legacy {quantised:.4?}"
    ));
    assert!(plain[1] >= 0.99, "accuracy {plain:?}");
    assert!(plain[0] >= 0.98, "with rejection {plain:?}");
    assert!((plain[0] - mirrored[0]).abs() <= 0.01, "left and right: {plain:?} {mirrored:?}");
    assert!((plain[1] - quantised[1]).abs() <= 0.01, "quantised: {quantised:?}");
}

/// `[new recall, old accuracy]` with rejection and without, after adding `new` to ten others.
fn added(
    letters: &[LabelledFrames],
    parent: &Bundle,
    old: &[usize],
    new: usize,
    take: &[Frame],
    test: &[Frame],
) -> [[f64; 2]; 2] {
    let options = TrainOptions::default();
    let take = recording(&letters[new].label, LAYOUT, take);
    let bundle = published(train_addition(parent, &take, &options, &quiet, &never).unwrap());
    let old_recalls: Vec<[f64; 2]> = old
        .iter()
        .enumerate()
        .map(|(gesture, letter)| recall(&bundle, later(&letters[*letter]), gesture))
        .collect();
    [0, 1].map(|kind| {
        [
            recall(&bundle, test, old.len())[kind],
            mean(&old_recalls.iter().map(|both| both[kind]).collect::<Vec<_>>()),
        ]
    })
}

fn additions(letters: &[LabelledFrames], new_letters: &[usize], seed: u64) {
    let mut worst = [[1.0_f64; 2]; 2];
    for new in new_letters {
        let old: Vec<usize> =
            shuffled(letters.len(), seed).into_iter().filter(|i| i != new).take(10).collect();
        let parent = trained(&old.iter().map(|i| &letters[*i]).collect::<Vec<_>>(), earlier, seed);
        let frames = &letters[*new].frames;
        let spread = spread(&letters[*new]);
        for (how, take, test) in
            [("burst", &frames[..100], &frames[100..]), ("spread", &spread[..], later(&letters[*new]))]
        {
            let figures = added(letters, &parent, &old, *new, take, test);
            tell(&format!(
                "{} added to ten from 100 frames ({how}): new {:.3} (argmax {:.3}), old {:.4} (argmax {:.4})",
                letters[*new].label, figures[0][0], figures[1][0], figures[0][1], figures[1][1]
            ));
            for (worst, figures) in worst.iter_mut().flatten().zip(figures.iter().flatten()) {
                *worst = worst.min(*figures);
            }
        }
    }
    tell(&format!(
        "worst: new {:.3} (argmax {:.3}), old {:.4} (argmax {:.4})",
        worst[0][0], worst[1][0], worst[0][1], worst[1][1]
    ));
    // J is drawn in the air: frames of phases that a single burst does not show are recognised correctly but below the threshold.
    assert!(worst[1][0] >= 0.90 && worst[0][0] >= 0.75, "new recall {worst:?}");
    assert!(worst[1][1] >= 0.995 && worst[0][1] >= 0.985, "old accuracy {worst:?}");
}

#[needs("gesture/asl_letters_a_to_m.csv")]
#[test]
fn one_letter_joins_ten() {
    let letters = letters();
    // J has the worst figures: its first 100 frames differ most from the rest. A resembles M.
    additions(&letters, &[9, 0], 2);
}

#[needs("gesture/asl_letters_a_to_m.csv")]
#[test]
#[ignore = "minutes: every letter, several companies"]
fn every_letter_joins_ten() {
    let letters = letters();
    for seed in 0..3 {
        additions(&letters, &(0..13).collect::<Vec<_>>(), seed);
    }
}

/// Three letters and ten additions of 100 frames each: accuracy of the first twelve on frames after the hundredth.
fn ten_in_a_row(letters: &[LabelledFrames], seed: u64) -> [f64; 2] {
    let order = shuffled(letters.len(), seed);
    let mut bundle = trained(&order[..3].iter().map(|i| &letters[*i]).collect::<Vec<_>>(), burst, seed);
    for letter in order[3..].iter().map(|i| &letters[*i]) {
        let take = recording(&letter.label, LAYOUT, burst(letter));
        let options = TrainOptions { seed, ..TrainOptions::default() };
        let child = published(train_addition(&bundle, &take, &options, &quiet, &never).unwrap());
        assert_eq!(child.provenance().parent, Some(bundle.id()));
        assert_eq!(child.labels()[..bundle.labels().len()], bundle.labels()[..], "old positions stay");
        // A child is trained only from the stored bytes of its parent.
        bundle = Bundle::from_bytes(&child.to_bytes()).unwrap();
        assert_eq!(bundle.id(), child.id(), "what is stored is another model");
    }
    let old = order[..12]
        .iter()
        .enumerate()
        .map(|(gesture, i)| recall(&bundle, &letters[*i].frames[100..], gesture));
    let old: Vec<[f64; 2]> = old.collect();
    [0, 1].map(|kind| mean(&old.iter().map(|both| both[kind]).collect::<Vec<_>>()))
}

#[needs("gesture/asl_letters_a_to_m.csv")]
#[test]
fn ten_additions_in_a_row_forget_nothing() {
    let letters = letters();
    let figures = ten_in_a_row(&letters, 1);
    tell(&format!("ten in a row: old {:.4} (argmax {:.4})", figures[0], figures[1]));
    assert!(figures[0] >= 0.96 && figures[1] >= 0.99, "{figures:?}");
}

#[needs("gesture/asl_letters_a_to_m.csv")]
#[test]
#[ignore = "minutes: five orders"]
fn ten_additions_in_any_order() {
    let letters = letters();
    for seed in 2..7 {
        let figures = ten_in_a_row(&letters, seed);
        tell(&format!("ten in a row, order {seed}: old {:.4} (argmax {:.4})", figures[0], figures[1]));
        assert!(figures[0] >= 0.96 && figures[1] >= 0.99, "{figures:?}");
    }
}

/// The frames of a letter to train on, and those to measure on.
type Take = fn(&LabelledFrames) -> (Vec<Frame>, &[Frame]);

/// The first 100 frames; three quarters of all; 100 frames of those three quarters.
const TAKES: [(&str, Take); 3] = [
    ("burst", |letter| (burst(letter).to_vec(), &letter.frames[100..])),
    ("long", |letter| (earlier(letter).to_vec(), later(letter))),
    ("spread", |letter| (spread(letter), later(letter))),
];

/// `[known lost, unknown accepted, the same of the legacy export]` with the letters of one shuffle left out.
fn left_out(letters: &[LabelledFrames], known: usize, take: Take, seed: u64) -> [f64; 4] {
    let order = shuffled(letters.len(), seed);
    let (in_it, out) = order.split_at(known);
    let recorded = |i: &usize| recording(&letters[*i].label, LAYOUT, &take(&letters[*i]).0);
    let recordings: Vec<_> = in_it.iter().map(recorded).collect();
    let options = TrainOptions { seed, ..TrainOptions::default() };
    let bundle = published(train_new(&recordings, "sign letters", &options, &quiet, &never).unwrap());
    let views: [fn(&Frame) -> Frame; 2] = [|frame| *frame, |frame| as_legacy_sees(frame, LAYOUT)];
    let [plain, legacy] = views.map(|view| {
        let seen = |frames: &[Frame]| frames.iter().map(view).collect::<Vec<_>>();
        let lost = in_it
            .iter()
            .enumerate()
            .map(|(gesture, i)| 1.0 - recall(&bundle, &seen(take(&letters[*i]).1), gesture)[0]);
        let lost: Vec<f64> = lost.collect();
        let taken: Vec<f64> = out.iter().map(|i| accepted(&bundle, &seen(&letters[*i].frames))).collect();
        [mean(&lost), mean(&taken)]
    });
    [plain[0], plain[1], legacy[0], legacy[1]]
}

fn unknown(letters: &[LabelledFrames], known: usize, (how, take): (&str, Take), seeds: &[u64]) {
    let rounds: Vec<[f64; 4]> = seeds.iter().map(|seed| left_out(letters, known, take, *seed)).collect();
    let figures = [0, 1, 2, 3].map(|kind| mean(&rounds.iter().map(|round| round[kind]).collect::<Vec<_>>()));
    let worst = rounds.iter().map(|round| round[1]).fold(0.0, f64::max);
    tell(&format!(
        "{known} letters known ({how}): lost {:.4}, unknown accepted {:.4} (worst company {worst:.4}); legacy {:.4}, {:.4}",
        figures[0], figures[1], figures[2], figures[3]
    ));
    assert!(figures[0] <= 0.05 && figures[2] <= 0.05, "known lost: {figures:?}");
    assert!(
        worst <= 0.10 && figures[1] <= 0.05 && figures[3] <= 0.05,
        "unknown accepted: {worst} {figures:?}"
    );
}

#[needs("gesture/asl_letters_a_to_m.csv")]
#[test]
fn unknown_letters_are_none() {
    let letters = letters();
    unknown(&letters, 6, TAKES[0], &[0, 1]);
    // The hardest case: E or A is left out in some, fists like M, which is known and was recorded in motion.
    unknown(&letters, 10, TAKES[1], &[0, 1, 2, 3, 4, 5]);
}

#[needs("gesture/asl_letters_a_to_m.csv")]
#[test]
#[ignore = "minutes: several companies of several sizes"]
fn unknown_letters_are_none_in_every_company() {
    let letters = letters();
    for known in [2, 3, 6, 10] {
        for take in TAKES {
            unknown(&letters, known, take, &[0, 1, 2, 3, 4, 5]);
        }
    }
}

/// Why J has the worst figures: it is drawn in the air, and for about ten frames of its last quarter the hand holds G's pose,
/// twice as near to G's recorded frames as to any of J's. They are distinguished because J is a motion and G is not; because they
/// are far from all of J's frames, they are not accepted.
#[needs("gesture/asl_letters_a_to_m.csv")]
#[test]
fn a_nearest_neighbour_takes_the_same_frames_of_j_for_g() {
    let letters = letters();
    let shape = |frame: &Frame| -> Vec<f32> {
        let values = frame.values();
        let size = frame.size();
        (3..63).map(|at| (values[at] - values[at % 3]) / size).collect()
    };
    let known: Vec<(usize, Vec<f32>)> = letters
        .iter()
        .enumerate()
        .flat_map(|(index, letter)| earlier(letter).iter().map(move |frame| (index, shape(frame))))
        .collect();
    let nearest = |frame: &Frame| {
        let own = shape(frame);
        let distance = |other: &[f32]| own.iter().zip(other).map(|(a, b)| (a - b) * (a - b)).sum::<f32>();
        known.iter().min_by(|a, b| distance(&a.1).total_cmp(&distance(&b.1))).unwrap().0
    };
    let (g, j) = (6, 9);
    let answers: Vec<usize> = later(&letters[j]).iter().map(nearest).collect();
    let share =
        |of: usize| answers.iter().filter(|answer| **answer == of).count() as f64 / answers.len() as f64;
    tell(&format!("nearest neighbour: {:.3} of J's later frames are J, {:.3} are G", share(j), share(g)));
    assert!(share(j) < 0.92 && share(g) > 0.07);
}

#[needs("gesture/asl_letters_a_to_m.csv")]
#[test]
fn the_same_input_gives_the_same_bytes() {
    let letters = letters();
    let three: Vec<_> = letters[..3].iter().collect();
    let bundles = [1, 1].map(|seed| {
        let parent = trained(&three, burst, seed);
        let take = recording("D", LAYOUT, burst(&letters[3]));
        let options = TrainOptions { seed, ..TrainOptions::default() };
        published(train_addition(&parent, &take, &options, &quiet, &never).unwrap())
    });
    assert_eq!(bundles[0].to_bytes(), bundles[1].to_bytes());
    assert_eq!(bundles[0].export(), bundles[1].export());
}

#[needs("gesture/asl_letters_a_to_m.csv")]
#[test]
fn look_alikes_are_published_where_they_are_accepted_and_the_cost_is_told() {
    let letters = letters();
    let parent = trained(&letters[..3].iter().collect::<Vec<_>>(), burst, 3);
    let take = recording("again", LAYOUT, &letters[0].frames[200..300]);
    let gate = QualityGate { max_mixed: 1.0, max_fall: 1.0, min_new_recall: 0.0, min_old_accuracy: 0.0 };
    let options = TrainOptions { gate, ..TrainOptions::default() };
    let report =
        published(train_addition(&parent, &take, &options, &quiet, &never).unwrap()).report().clone();
    assert_eq!(report.confused_with[0].gesture, letters[0].label);
    assert!(report.confused_with[0].mixed_when_varied >= 0.05, "{report:?}");
    assert!(report.advice.iter().any(|advice| advice.contains("looks like")), "{:?}", report.advice);
    let remark = &report.remarks[0];
    assert_eq!(
        (remark.code.as_str(), &remark.params["other"]),
        ("look_alike", &letters[0].label.as_str().into())
    );
    let refused = match train_addition(&parent, &take, &TrainOptions::default(), &quiet, &never).unwrap() {
        Outcome::Refused(report) => report,
        other => panic!("published: {other:?}"),
    };
    assert_eq!(refused.refused_for.len(), refused.reasons.len());
    let alike = refused.refused_for.iter().find(|reason| reason.code == "look_alike").expect("the reason");
    assert_eq!(alike.params["gesture"], "again");
    assert!(alike.params["mixed"].as_i64().unwrap() >= 5, "{alike:?}");
}

/// The frames rotated in the image plane by 90 degrees.
fn sideways(frames: &[Frame]) -> Vec<Frame> {
    let turn = |frame: &Frame| {
        let mut values = frame.values();
        for xyz in values[..63].chunks_exact_mut(3) {
            (xyz[0], xyz[1]) = (0.5 - (xyz[1] - 0.5), xyz[0]);
        }
        Frame::parse(&values, LAYOUT, 0).unwrap()
    };
    frames.iter().map(turn).collect()
}

#[needs("gesture/asl_letters_a_to_m.csv")]
#[test]
fn a_gesture_holds_at_any_angle_unless_another_differs_in_nothing_else() {
    let letters = letters();
    let parent = trained(&letters[..3].iter().collect::<Vec<_>>(), burst, 3);
    let later = &letters[2].frames[100..];
    let [upright, turned] = [later.to_vec(), sideways(later)].map(|frames| recall(&parent, &frames, 2)[0]);
    assert!(upright >= 0.95 && (upright - turned).abs() < 0.01, "{upright} {turned}");
    let take = recording("sideways", LAYOUT, &sideways(burst(&letters[2])));
    let both = published(train_addition(&parent, &take, &TrainOptions::default(), &quiet, &never).unwrap());
    assert_eq!(both.report().told_by_angle, [letters[2].label.clone()]);
    let rates = [(later.to_vec(), 2), (sideways(later), 3)]
        .map(|(frames, gesture)| recall(&both, &frames, gesture)[0]);
    assert!(rates.iter().all(|rate| *rate >= 0.95), "{rates:?}");
    // The others are recognised at any angle.
    let other = recall(&both, &sideways(&letters[1].frames[100..]), 1)[0];
    assert!(other >= 0.9, "{other}");
}

#[needs("gesture/asl_letters_a_to_m.csv")]
#[test]
fn a_gesture_recorded_twice_is_refused_under_another_name() {
    let letters = letters();
    let parent = trained(&letters[..4].iter().collect::<Vec<_>>(), burst, 3);
    let add = |name: &str, frames: &[Frame]| {
        let take = recording(name, LAYOUT, frames);
        train_addition(&parent, &take, &TrainOptions::default(), &quiet, &never).unwrap()
    };
    match add("again", &letters[1].frames[20..120]) {
        Outcome::Duplicate { of } => assert_eq!(of, "B"),
        other => panic!("re-sent frames were not seen: {other:?}"),
    }
    for letter in &letters[..4] {
        match add("again", &letter.frames[200..300]) {
            Outcome::Refused(report) => {
                assert_eq!(report.confused_with[0].gesture, letter.label);
                assert!(!report.reasons.is_empty() && !report.advice.is_empty());
                assert!(
                    report.advice.iter().any(|advice| advice.contains(&letter.label)),
                    "{:?}",
                    report.advice
                );
            }
            other => panic!("{} under another name: {other:?}", letter.label),
        }
    }
}
