//! The exported files in the runtimes of phones, browsers and servers, compared with [`splat_gesture::Model::predict`].

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use serde::Deserialize;
use splat_gesture::{Bundle, Frame, Layout, TrainOptions, as_legacy_sees, quantize, train_new};
use splat_test_needs::needs;

use crate::samples::{labelled, letters, never, published, quiet, recording, tell};
use crate::{base, flat};

/// Maximum difference of a score between this crate and a float runtime.
const FLOAT_TOLERANCE: f32 = 1e-5;
/// If the two best scores differ by less than this, runtimes may choose either.
const MARGIN: f32 = 1e-4;

#[derive(Deserialize)]
struct Scores {
    float: Vec<Vec<f32>>,
    onnx: Vec<Vec<f32>>,
    legacy: Vec<Vec<u8>>,
    legacy_input: [f32; 2],
    legacy_output: [f32; 2],
    operators: BTreeMap<String, i32>,
}

/// Python with LiteRT and ONNX Runtime, as `scripts/setup.sh --test` installs it.
fn python() -> PathBuf {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/tools/bin/python"));
    let ready = Command::new(&path)
        .args(["-c", "import ai_edge_litert.interpreter, onnxruntime"])
        .output()
        .is_ok_and(|output| output.status.success());
    assert!(
        ready,
        "`{}` with LiteRT and ONNX Runtime is missing; `scripts/setup.sh --test` installs it",
        path.display()
    );
    path
}

fn top(scores: &[f32]) -> usize {
    (0..scores.len()).max_by(|a, b| scores[*a].total_cmp(&scores[*b])).unwrap()
}

fn margin(scores: &[f32]) -> f32 {
    let best = top(scores);
    scores
        .iter()
        .enumerate()
        .filter(|(index, _)| *index != best)
        .fold(1.0, |gap, (_, score)| gap.min(scores[best] - score))
}

fn compare(bundle: &Bundle, frames: &[Frame]) {
    let python = python();
    assert!(frames.len() >= 200, "only {} vectors", frames.len());
    let folder = tempfile::tempdir().unwrap();
    bundle.export_to(folder.path()).unwrap();
    for file in bundle.export() {
        assert!(file.bytes.len() <= 40_000, "{} has {} bytes", file.name, file.bytes.len());
    }
    let vectors: Vec<_> = frames
        .iter()
        .map(|frame| {
            let bytes = quantize(frame, bundle.layout()).to_vec();
            serde_json::json!({"values": frame.values().to_vec(), "bytes": bytes})
        })
        .collect();
    std::fs::write(folder.path().join("vectors.json"), serde_json::to_vec(&vectors).unwrap()).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gesture/run_exports.py");
    let output = Command::new(python).arg(script).arg(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let scores: Scores =
        serde_json::from_slice(&std::fs::read(folder.path().join("scores.json")).unwrap()).unwrap();

    assert_eq!(scores.legacy_input, [0.001, 128.0]);
    assert_eq!(scores.legacy_output, [1.0 / 256.0, 0.0]);
    assert!(scores.operators.values().all(|version| *version == 1), "{:?}", scores.operators);
    let mut worst = [0.0_f32; 3];
    let mut compared = 0;
    for (index, frame) in frames.iter().enumerate() {
        let ours = bundle.model().predict(frame);
        for (worst, theirs) in worst.iter_mut().zip([&scores.float[index], &scores.onnx[index]]) {
            assert_eq!(ours.scores.len(), theirs.len());
            for (a, b) in ours.scores.iter().zip(theirs) {
                *worst = worst.max((a - b).abs());
            }
            if margin(&ours.scores) > MARGIN {
                assert_eq!(top(theirs), ours.best, "vector {index}");
                compared += 1;
            }
        }
        let ours = bundle.model().predict(&as_legacy_sees(frame, bundle.layout()));
        let theirs = &scores.legacy[index];
        for (a, b) in ours.scores.iter().zip(theirs) {
            worst[2] = worst[2].max(((a * 256.0).min(255.0) - f32::from(*b)).abs());
        }
        if margin(&ours.scores) > 2.0 / 256.0 {
            let best = (0..theirs.len()).max_by_key(|answer| theirs[*answer]).unwrap();
            assert_eq!(best, ours.best, "quantised vector {index}");
        }
    }
    tell(&format!(
        "{} vectors: LiteRT off by {:.1e}, ONNX Runtime by {:.1e}, quantised by {:.2} steps",
        frames.len(),
        worst[0],
        worst[1],
        worst[2]
    ));
    assert!(compared > frames.len(), "hardly any vector had a clear answer");
    assert!(worst[0] <= FLOAT_TOLERANCE && worst[1] <= FLOAT_TOLERANCE, "{worst:?}");
    assert!(worst[2] <= 1.0, "{worst:?}");
}

/// Each frame with every handedness, and mirrored.
fn views(frame: &Frame, layout: Layout) -> Vec<Frame> {
    let unknown = |frame: &Frame| {
        let mut values = frame.values();
        values[63] = -1.0;
        Frame::parse(&values, layout, 0).unwrap()
    };
    vec![*frame, frame.mirrored(), unknown(frame), unknown(&frame.mirrored())]
}

#[needs("gesture/ghostouch_base_v1.csv", program = "target/tools/bin/python")]
#[test]
fn a_world_model_is_the_same_everywhere() {
    let real = labelled("ghostouch_base_v1.csv", Layout::World);
    let frames = real.iter().flat_map(|group| group.frames.iter().step_by(3));
    compare(base::base(), &frames.flat_map(|frame| views(frame, Layout::World)).collect::<Vec<_>>());
}

#[needs("gesture/asl_letters_a_to_m.csv", program = "target/tools/bin/python")]
#[test]
fn an_image_model_is_the_same_everywhere() {
    let letters = letters();
    let recordings: Vec<_> = letters[..5]
        .iter()
        .map(|letter| recording(&letter.label, Layout::Image, &letter.frames[..100]))
        .collect();
    let bundle =
        published(train_new(&recordings, "sign letters", &TrainOptions::default(), &quiet, &never).unwrap());
    // Unknown letters are included.
    let known = letters[..5].iter().flat_map(|letter| letter.frames.iter().step_by(20));
    let frames = known.chain(letters[5..].iter().flat_map(|letter| letter.frames.iter().step_by(100)));
    compare(&bundle, &frames.flat_map(|frame| views(frame, Layout::Image)).collect::<Vec<_>>());
}

#[needs(
    "gesture/kazuhito_keypoint.csv",
    "gesture/asl_letters_a_to_m.csv",
    program = "target/tools/bin/python"
)]
#[test]
fn a_model_of_flat_hands_is_the_same_everywhere() {
    let groups = flat::author();
    let bundle = flat::known(&groups.iter().collect::<Vec<_>>());
    // Hands with depth are included, which is ignored then.
    let deep = letters();
    let frames = groups.iter().chain(&deep).flat_map(|group| group.frames.iter().step_by(60));
    compare(&bundle, &frames.flat_map(|frame| views(frame, Layout::Image)).collect::<Vec<_>>());
}
