//! Invalid and hostile input: every case is rejected with its reason, and none panics.

use std::sync::OnceLock;

use proptest::prelude::*;
use splat_gesture::{
    Bundle, Frame, GestureError, Layout, QualityGate, Recording, TrainOptions, check_name, limits,
    read_landmarks, train_addition, train_new,
};

use crate::samples::{never, published, quiet};

/// A synthetic hand with fingers bent by `curl` (0..1), slightly different at every `step`.
fn hand(curl: f32, step: usize) -> Vec<f32> {
    let mut values = vec![0.0, 0.0, 0.0];
    for finger in 0..5 {
        let x = -0.04 + 0.02 * finger as f32;
        let mut angle = 0.0;
        let (mut y, mut z) = (-0.08, 0.0);
        for _ in 0..4 {
            values.extend([x + 1e-4 * ((step * 7 + finger) % 13) as f32, y, z]);
            angle += curl * 1.2 + 1e-3 * (step % 11) as f32;
            y -= 0.03 * f32::cos(angle);
            z -= 0.03 * f32::sin(angle);
        }
    }
    values.push((step % 2) as f32);
    values
}

fn take(curl: f32, frames: usize) -> Vec<Vec<f32>> {
    (0..frames).map(|step| hand(curl, step)).collect()
}

/// Two gestures, trained once for all tests here.
fn bundle() -> &'static Bundle {
    static BUNDLE: OnceLock<Bundle> = OnceLock::new();
    BUNDLE.get_or_init(|| {
        let recordings = [("open", 0.0), ("closed", 0.9)]
            .map(|(name, curl)| Recording::new(name, Layout::World, &take(curl, 60)).unwrap());
        let gate = QualityGate { min_old_accuracy: 0.0, ..QualityGate::default() };
        published(train_new(&recordings, "made up", &TrainOptions { seed: 1, gate }, &quiet, &never).unwrap())
    })
}

#[test]
fn recordings_are_refused_with_the_reason() {
    let new = |frames: &[Vec<f32>]| Recording::new("open", Layout::World, frames).map(|_| ());
    let with = |position: usize, value: f32| {
        let mut frames = take(0.3, 100);
        frames[42..].iter_mut().for_each(|frame| frame[position] = value);
        new(&frames)
    };
    assert!(new(&take(0.3, 100)).is_ok());
    assert!(matches!(new(&take(0.3, 39)), Err(GestureError::TooFewFrames { found: 39 })));
    assert!(matches!(new(&take(0.3, 601)), Err(GestureError::TooManyFrames { found: 601 })));
    assert!(matches!(new(&vec![hand(0.3, 1); 100]), Err(GestureError::Frozen { distinct: 1, frames: 100 })));
    assert!(matches!(with(7, f32::NAN), Err(GestureError::NotFinite { frame: 42, position: 7 })));
    assert!(matches!(with(7, f32::INFINITY), Err(GestureError::NotFinite { .. })));
    assert!(matches!(with(7, 5.0), Err(GestureError::OutOfRange { frame: 42, .. })));
    for handedness in [0.5, 2.0, -2.0] {
        assert!(matches!(with(63, handedness), Err(GestureError::Handedness { frame: 42, .. })));
    }
    let mut short = take(0.3, 100);
    short[3..].iter_mut().for_each(|frame| frame.truncate(63));
    assert!(matches!(new(&short), Err(GestureError::FrameLength { frame: 3, found: 63 })));
    assert!(matches!(new(&vec![vec![0.0; 64]; 100]), Err(GestureError::NoHand { frame: 0, .. })));
}

#[test]
fn up_to_a_tenth_of_bad_frames_is_left_out_and_told() {
    let with = |bad: usize| {
        let mut frames = take(0.3, 100);
        frames[42..42 + bad].iter_mut().for_each(|frame| frame[7] = 5.0);
        Recording::new("open", Layout::World, &frames)
    };
    assert_eq!(with(0).unwrap().left_out(), None);
    let some = with(10).unwrap();
    let remark = some.left_out().unwrap();
    assert!(
        some.frames().len() == 90
            && remark.starts_with("10 of 100 frames were left out")
            && remark.contains("frame 42"),
        "{remark}"
    );
    assert!(matches!(with(11), Err(GestureError::OutOfRange { frame: 42, .. })));
    let mut few = take(0.3, 42);
    few[..3].iter_mut().for_each(|frame| frame[7] = 5.0);
    // 39 of 42 frames would remain.
    assert!(matches!(
        Recording::new("open", Layout::World, &few),
        Err(GestureError::OutOfRange { frame: 0, .. })
    ));
}

#[test]
fn noise_and_two_gestures_in_one_recording_are_refused() {
    let mut state = 1_u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    let noise: Vec<Vec<f32>> =
        (0..100).map(|_| (0..64).map(|i| if i == 63 { 0.0 } else { 0.2 * random() }).collect()).collect();
    assert!(matches!(Recording::new("open", Layout::World, &noise), Err(GestureError::Noise { .. })));
    // Uniform in +-35 mm: a deviation of 20 mm.
    let mut shaken = take(0.3, 100);
    shaken.iter_mut().for_each(|frame| frame[..63].iter_mut().for_each(|value| *value += 0.07 * random()));
    assert!(matches!(Recording::new("open", Layout::World, &shaken), Err(GestureError::Noise { .. })));

    let two: Vec<Vec<f32>> = take(0.03, 50).into_iter().chain(take(0.6, 50)).collect();
    let two = Recording::new("two", Layout::World, &two).unwrap();
    let answer = train_addition(bundle(), &two, &TrainOptions::default(), &quiet, &never);
    assert!(matches!(answer, Err(GestureError::TwoGestures { frame: 45..=55 })), "{answer:?}");
    // A hand that closes slowly shows one gesture.
    let moving: Vec<Vec<f32>> = (0..100).map(|step| hand(0.006 * step as f32, step)).collect();
    let moving = Recording::new("closing", Layout::World, &moving).unwrap();
    let answer = train_addition(bundle(), &moving, &TrainOptions::default(), &quiet, &never);
    assert!(!matches!(answer, Err(GestureError::TwoGestures { .. })), "{answer:?}");
}

#[test]
fn names_are_what_clients_take() {
    for name in ["a", "thumbs up", "가위", &"x".repeat(20), "👍"] {
        assert!(check_name(name).is_ok(), "{name}");
    }
    for character in limits::FORBIDDEN_NAME_CHARS {
        let name = format!("a{character}b");
        assert!(
            matches!(check_name(&name), Err(GestureError::NameCharacter { character: c }) if c == character)
        );
    }
    assert!(matches!(check_name(""), Err(GestureError::NameLength { found: 0 })));
    assert!(matches!(check_name(&"x".repeat(21)), Err(GestureError::NameLength { found: 21 })));
    assert!(matches!(check_name("a\nb"), Err(GestureError::NameCharacter { .. })));
    assert!(matches!(check_name("  "), Err(GestureError::NameBlank)));
    for name in ["none", " None", "NONE\u{3000}"] {
        assert!(matches!(check_name(name), Err(GestureError::NameNone)), "{name}");
        assert!(
            matches!(bundle().rename(&bundle().labels()[0], name), Err(GestureError::NameNone)),
            "{name}"
        );
    }
    let spaced = Recording::new("  thumbs up\u{3000}", Layout::World, &take(0.3, 100)).unwrap();
    assert_eq!(spaced.name(), "thumbs up");
    assert_eq!(bundle().rename(&bundle().labels()[0], " up ").unwrap().labels()[0], "up");
}

#[test]
fn bundles_come_back_as_they_were() {
    let bytes = bundle().to_bytes();
    let back = Bundle::from_bytes(&bytes).unwrap();
    assert_eq!(&back, bundle());
    assert_eq!(back.to_bytes(), bytes);
    assert_eq!(back.id().len(), 64);
}

#[test]
fn renaming_and_deleting_keep_what_the_others_are() {
    let renamed = bundle().rename("open", "flat").unwrap();
    assert_eq!(renamed.labels(), ["flat", "closed"]);
    assert_eq!(renamed.model(), bundle().model());
    assert_eq!(renamed.provenance().parent, Some(bundle().id()));
    assert!(matches!(bundle().rename("open", "closed"), Err(GestureError::NameTaken { .. })));
    assert!(matches!(bundle().rename("open", "a/b"), Err(GestureError::NameCharacter { .. })));
    assert!(matches!(bundle().rename("fist", "hand"), Err(GestureError::NoSuchGesture { .. })));
    assert!(matches!(bundle().delete("open"), Err(GestureError::TooFewGestures { found: 1 })));
    assert!(Bundle::from_bytes(&renamed.to_bytes()).is_ok());
}

#[test]
fn bundles_cut_anywhere_are_refused() {
    let bytes = bundle().to_bytes();
    for length in (0..bytes.len()).step_by(997).chain(0..64) {
        assert!(Bundle::from_bytes(&bytes[..length]).is_err(), "cut at {length}");
    }
    let mut longer = bytes.clone();
    longer.extend([0; 4]);
    assert!(Bundle::from_bytes(&longer).is_err());
}

/// The bytes with a valid checksum, as an attacker would send them.
pub(crate) fn resealed(mut bytes: Vec<u8>) -> Vec<u8> {
    use sha2::{Digest, Sha256};
    let body = bytes.len() - 32;
    let digest = Sha256::digest(&bytes[..body]);
    bytes[body..].copy_from_slice(&digest);
    bytes
}

/// Formats up to 4 contained a network or other axes: gestures are trained again from the frames. Format 5 had other axes only
/// for landmarks without depth.
#[test]
fn bundles_of_the_formats_before_are_read() {
    for format in [3, 4, 5, 6] {
        let mut older = bundle().to_bytes();
        older[8] = format;
        let read = Bundle::from_bytes(&resealed(older)).unwrap();
        assert_eq!(read.labels(), bundle().labels());
        assert_eq!(read.model(), bundle().model());
        assert_eq!(read.to_bytes()[8], 7);
    }
}

#[test]
fn sealed_bundles_with_foreign_values_are_refused() {
    let bytes = bundle().to_bytes();
    let header = 16 + u32::from_le_bytes([bytes[12], bytes[13], bytes[14], bytes[15]]) as usize;
    assert!(Bundle::from_bytes(&resealed(bytes.clone())).is_ok());
    for (at, value) in
        [(header, f32::NAN), (header, 9.0), (bytes.len() - 36, -1.0), (bytes.len() - 36, f32::INFINITY)]
    {
        let mut changed = bytes.clone();
        changed[at..at + 4].copy_from_slice(&value.to_le_bytes());
        assert!(Bundle::from_bytes(&resealed(changed)).is_err(), "{value} at {at}");
    }
    let mut newer = bytes.clone();
    newer[8] = 200;
    assert!(matches!(Bundle::from_bytes(&resealed(newer)), Err(GestureError::TooNew { .. })));
    let mut older = bytes;
    older[8] = 1;
    assert!(matches!(Bundle::from_bytes(&resealed(older)), Err(GestureError::Malformed { offset: 8, .. })));
}

proptest! {
    #[test]
    fn any_numbers_are_a_frame_or_an_error(values in prop::collection::vec(any::<f32>(), 0..80), image in any::<bool>()) {
        let layout = if image { Layout::Image } else { Layout::World };
        if let Ok(frame) = Frame::parse(&values, layout, 0) {
            prop_assert_eq!(frame.values().to_vec(), values);
        }
    }

    #[test]
    fn plausible_numbers_are_recognised_without_a_panic(values in prop::collection::vec(-0.2_f32..0.2, 63), hand in 0_u8..3) {
        let mut values = values;
        values.push(f32::from(hand) - 1.0);
        if let Ok(prediction) = bundle().model().predict_values(&values) {
            prop_assert!(prediction.scores.iter().all(|score| (0.0..=1.0).contains(score)));
            prop_assert!(prediction.scores.iter().sum::<f32>() <= 1.0001);
        }
    }

    #[test]
    fn any_text_is_landmarks_or_an_error(text in ".{0,400}") {
        let _ = read_landmarks(&text, Layout::World);
        let _ = read_landmarks(&format!("label,0,1\n{text}"), Layout::World);
        let _ = read_landmarks(&format!("{{\"gesture\": \"a\", \"landmarks\": [[{text}"), Layout::World);
    }

    #[test]
    fn any_bytes_are_a_bundle_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Bundle::from_bytes(&bytes).is_err());
        let mut marked = b"SPLTGEST\x02\x00\x00\x00".to_vec();
        marked.extend(&bytes);
        prop_assert!(Bundle::from_bytes(&marked).is_err());
    }

    /// An attacker may change any byte and fix the checksum: the result is an error or a working bundle.
    #[test]
    fn changed_bundles_are_refused_or_work(at in 0_usize..20_000, value in any::<u8>()) {
        let mut bytes = bundle().to_bytes();
        let at = at % (bytes.len() - 32);
        bytes[at] = value;
        prop_assert!(bytes == bundle().to_bytes() || Bundle::from_bytes(&bytes).is_err(), "the checksum saw nothing");
        if let Ok(changed) = Bundle::from_bytes(&resealed(bytes)) {
            let prediction = changed.model().predict_values(&hand(0.3, 1)).unwrap();
            prop_assert!(prediction.scores.iter().all(|score| !score.is_nan()));
        }
    }
}

#[test]
fn both_text_forms_say_the_same() {
    let frames = take(0.4, 3);
    let row = |frame: &[f32]| frame.iter().map(f32::to_string).collect::<Vec<_>>().join(",");
    let csv: String = frames.iter().map(|frame| format!("fist,{}\n", row(frame))).collect();
    let csv = format!("label,{}\n{csv}", (0..64).map(|i| i.to_string()).collect::<Vec<_>>().join(","));
    let json = format!(
        "{{\"model_code\": \"base_v1\", \"gesture\": \"fist\", \"landmarks\": [{}]}}",
        frames.iter().map(|frame| format!("[{}]", row(frame))).collect::<Vec<_>>().join(",")
    );
    let from_csv = read_landmarks(&csv, Layout::World).unwrap();
    assert_eq!(from_csv, read_landmarks(&json, Layout::World).unwrap());
    assert_eq!(from_csv[0].frames[2].values().to_vec(), frames[2]);
    assert!(matches!(
        read_landmarks("label,0\nfist,x\n", Layout::World),
        Err(GestureError::Unreadable { line: 2, .. })
    ));
    assert!(read_landmarks("", Layout::World).is_err());
    assert!(read_landmarks("label\n", Layout::World).is_err());
    assert!(read_landmarks("[]", Layout::World).is_err());
}
