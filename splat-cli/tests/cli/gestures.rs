//! `splat gesture`: training, evaluation, prediction and export, and errors for unusable input.

use splat_test_needs::needs;

use crate::harness::{Sandbox, bytes, says};

/// A recording in the shared test data.
fn recording(file: &str) -> String {
    let path = crate::test_data::shared(&format!("gesture/{file}"));
    std::path::absolute(path).unwrap().to_str().unwrap().to_owned()
}

#[needs("gesture/ghostouch_base_v1.csv", "gesture/ghostouch_incremental_one.csv")]
#[test]
fn a_model_grows_is_measured_and_tried() {
    let three = recording("ghostouch_base_v1.csv");
    let one = recording("ghostouch_incremental_one.csv");
    let sandbox = Sandbox::new();
    sandbox.ok(&["gesture", "train", "--from-scratch", &three, "-o", "parent"]);
    let grown = sandbox.ok(&["gesture", "train", &one, "--parent", "parent", "-o", "child", "--json"]);
    let done = &grown.events_named("done")[0];
    assert_eq!(done["labels"], serde_json::json!(["paper", "rock", "scissors", "one"]));
    assert!(done["report"]["new_recall"].as_f64().unwrap() >= 0.9, "{done:#}");

    let files = ["legacy.tflite", "model.tflite", "model.onnx", "labels.json", "manifest.json"];
    sandbox.ok(&["gesture", "export", "child", "-o", "again"]);
    for file in files.into_iter().chain(["model.gesture"]) {
        let (first, again) = (sandbox.path("child").join(file), sandbox.path("again").join(file));
        assert!(bytes(&first) == bytes(&again), "{file} is not what was trained");
    }

    let measured = sandbox.ok(&["gesture", "eval", "child", &three, &one, "--json"]);
    let figures = &measured.events_named("done")[0];
    assert!(figures["accuracy"].as_f64().unwrap() >= 0.95, "{figures:#}");
    // The parent does not have the new gesture, so it is rejected there.
    let parent = sandbox.ok(&["gesture", "eval", "parent", &one, "--json"]);
    let figures = &parent.events_named("done")[0];
    assert!(figures["unknown_accepted"].as_f64().unwrap() <= 0.2, "{figures:#}");

    let tried = sandbox.ok(&["gesture", "predict", "child", &one, "--json"]);
    let frames = tried.events_named("frame");
    let recognised = frames.iter().filter(|frame| frame["gesture"] == "one").count();
    assert!(10 * recognised >= 9 * frames.len() && frames.len() == 100, "{recognised} of {}", frames.len());

    // The same frames under another name are rejected, and nothing is written.
    let text = std::fs::read_to_string(&one).unwrap().replace("\none,", "\ntwo,");
    sandbox.write("two.csv", text);
    let said = sandbox.fails(1, &["gesture", "train", "two.csv", "--parent", "child", "-o", "no"]);
    says(&said, &["`one`", "record the new gesture anew"]);
    says(&sandbox.fails(1, &["gesture", "train", &one, "--parent", "child", "-o", "no"]), &["`one`"]);
    assert!(!sandbox.path("no").exists());
}

/// Occasional bad landmarks, in files of a recorder as over the network.
#[needs("gesture/ghostouch_incremental_one.csv")]
#[test]
fn up_to_a_tenth_of_bad_frames_is_left_out_and_told() {
    let sandbox = Sandbox::new();
    let text = std::fs::read_to_string(recording("ghostouch_incremental_one.csv")).unwrap();
    let with = |bad: usize| -> String {
        let frame = |(index, line): (usize, &str)| {
            if (10..10 + bad).contains(&index) {
                return format!("one{}\n", ",9".repeat(64));
            }
            format!("{line}\n")
        };
        text.lines().enumerate().map(frame).collect()
    };
    sandbox.write("some.csv", with(5));
    sandbox.write("many.csv", with(15));
    let grown = sandbox.ok(&["gesture", "train", "some.csv", "-o", "out"]);
    says(&grown.stderr, &["`one`: 5 of 100 frames were left out", "frame 9"]);
    says(
        &sandbox.fails(1, &["gesture", "train", "many.csv", "-o", "no"]),
        &["many.csv", "frame 9 has handedness 9"],
    );
}

#[test]
fn what_cannot_be_used_is_named() {
    let sandbox = Sandbox::new();
    let frame = vec!["0.01"; 63].join(",");
    sandbox.write("short.csv", format!("label,{frame}\nwave,{frame}\n"));
    sandbox.write("words.csv", "label,0\nwave,hello\n");
    sandbox.write("model.gesture", b"not a model");
    for (args, parts) in [
        (&["gesture", "predict", "none.gesture", "short.csv"][..], &["none.gesture"][..]),
        (&["gesture", "predict", "model.gesture", "short.csv"], &["model"]),
        (&["gesture", "train", "none.csv", "--from-scratch", "-o", "out"], &["none.csv"]),
        (&["gesture", "train", "words.csv", "--from-scratch", "-o", "out"], &["words.csv"]),
        (&["gesture", "train", "short.csv", "--from-scratch", "-o", "out"], &["short.csv"]),
    ] {
        says(&sandbox.fails(1, args), parts);
        assert!(!sandbox.path("out").exists());
    }
    says(&sandbox.fails(2, &["gesture", "train", "a.csv"]), &["--output"]);
    says(
        &sandbox.fails(2, &["gesture", "train", "a.csv", "--parent", "p", "--from-scratch", "-o", "x"]),
        &["cannot be used with"],
    );
}
