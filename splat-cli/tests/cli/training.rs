//! Training through the binary: events, reproducibility, resuming, stopping.

use serde_json::Value;
use splat_colmap::{Reconstruction, read_model};
use splat_core::flight::read_cameras;

use crate::harness::{Ran, Sandbox, bytes, says};

const STEPS: &str = "40";

#[test]
fn json_events_and_files() {
    let sandbox = Sandbox::with_dataset();
    let ran = sandbox.ok(&[
        "train",
        "dataset",
        "-o",
        "out",
        "--steps",
        "200",
        "--stop-at",
        "20",
        "--eval-every",
        "10",
        "--seed",
        "1",
        "--json",
    ]);
    let evals = ran.events_named("eval");
    let steps: Vec<_> = evals.iter().map(|eval| eval["step"].as_u64().unwrap()).collect();
    assert_eq!(steps, [10, 20]);
    for eval in &evals {
        assert!(eval["psnr"].as_f64().unwrap() > 5.0, "{eval}");
        assert!((-1.0..=1.0).contains(&eval["ssim"].as_f64().unwrap()), "{eval}");
        assert!(eval["elapsed_s"].as_f64().unwrap() > 0.0, "{eval}");
        assert!(eval["gaussians"].as_u64().unwrap() >= 576, "{eval}");
    }
    let last_step = ran.events_named("step").pop().unwrap();
    assert_eq!((&last_step["step"], &last_step["steps"]), (&Value::from(20), &Value::from(20)));
    assert!(!ran.events_named("estimate").is_empty());
    let done = ran.events_named("done").pop().unwrap();
    assert_eq!((&done["stopped"], &done["steps"]), (&Value::from("stop_at"), &Value::from(200)));
    assert_eq!(done["psnr"], evals[1]["psnr"], "the last evaluation is made once");

    assert!(sandbox.path("out/ply/point_cloud_19.ply").exists());
    assert!(sandbox.path("out/checkpoints/step_0000020.ckpt").exists());
    // Of 12 photos by name, 0 and 8 are held out.
    for view in ["view_00", "view_08"] {
        let pair = image::open(sandbox.path(&format!("out/eval/{view}.png"))).unwrap();
        assert_eq!((pair.width(), pair.height()), (2 * 64 + 4, 48));
    }
    let metrics: Value = serde_json::from_slice(&bytes(&sandbox.path("out/metrics.json"))).unwrap();
    assert_eq!(metrics["views"].as_array().unwrap().len(), 2);
    assert_eq!(metrics["history"].as_array().unwrap().len(), 2);
    let log = String::from_utf8(bytes(&sandbox.path("out/log.txt"))).unwrap();
    says(&log, &["held-out photos at step 10", "peak memory", "predicted at most", "adapter:"]);
    if let Some(peak) = metrics["peak_memory_bytes"].as_u64() {
        let predicted = metrics["predicted_memory_bytes"].as_u64().unwrap();
        assert!(peak <= predicted, "{peak} bytes were needed, {predicted} predicted");
    }
}

#[test]
fn same_seed_same_bytes() {
    let sandbox = Sandbox::with_dataset();
    for (output, seed) in [("a", "7"), ("b", "7"), ("c", "8")] {
        sandbox.ok(&["train", "dataset", "-o", output, "--steps", STEPS, "--seed", seed, "--quiet"]);
    }
    let ply = |output: &str| bytes(&sandbox.path(&format!("{output}/ply/point_cloud_39.ply")));
    assert!(ply("a") == ply("b"), "two runs with one seed differ");
    assert!(ply("a") != ply("c"), "the seed changes nothing");
}

#[test]
fn refined_poses_make_a_colmap_model() {
    let sandbox = Sandbox::with_dataset();
    let train = |poses: &str, out: &str, model: &str| {
        let options = ["--steps", STEPS, "--poses", poses, "--colmap-model", model];
        sandbox.ok(&[&["train", "dataset", "-o", out][..], &options].concat());
        read_model(&sandbox.path(model)).unwrap()
    };
    let given = read_model(&sandbox.path("dataset/sparse/0")).unwrap();
    let fixed = train("fixed", "out_fixed", "fixed");
    let refined = train("refine", "out", "refined/sparse/0");
    let cameras = read_cameras(&sandbox.path("out/cameras.json")).unwrap();
    let moved = |model: &Reconstruction| -> Vec<f64> {
        assert_eq!((model.names(), model.points.len()), (given.names(), given.points.len()));
        let pairs = model.images.values().zip(given.images.values());
        pairs.map(|(a, b)| a.cam_from_world.centre().distance(b.cam_from_world.centre())).collect()
    };
    assert!(moved(&fixed).iter().all(|&metres| metres < 1e-9), "{:?}", moved(&fixed));
    assert!(moved(&refined).iter().any(|&metres| metres > 1e-6), "{:?}", moved(&refined));
    for (image, camera) in refined.images.values().zip(&cameras) {
        assert_eq!(image.name, camera.name);
        let (written, listed) = (image.cam_from_world, camera.camera.cam_from_world);
        assert!(written.centre().distance(listed.centre()) < 1e-9);
        assert!(written.rotation.angle_between(listed.rotation) < 1e-6);
        let lens = |model: &Reconstruction| model.cameras[&model.images[&1].camera_id].clone();
        assert_eq!(lens(&refined), lens(&given));
    }
    // It is a dataset, and not overwritten.
    sandbox.ok(&["info", "refined", "--images", "dataset/images"]);
    let again = ["train", "dataset", "-o", "out", "--steps", STEPS, "--colmap-model", "refined/sparse/0"];
    says(&sandbox.fails(1, &again), &["already holds a COLMAP model", "another folder"]);
}

#[test]
fn stopped_and_resumed_equals_uninterrupted() {
    let sandbox = Sandbox::with_dataset();
    let train = |output: &str, more: &[&str]| {
        let mut args = vec!["train", "dataset", "-o", output, "--steps", STEPS, "--seed", "3", "--json"];
        args.extend(more);
        sandbox.ok(&args)
    };
    train("whole", &[]);
    train("parts", &["--stop-at", "13"]);
    let resumed = train("parts", &["--resume"]);
    assert_eq!(resumed.events_named("warning"), Vec::<Value>::new());
    let ply = |output: &str| bytes(&sandbox.path(&format!("{output}/ply/point_cloud_39.ply")));
    assert!(ply("whole") == ply("parts"), "resuming changed the result");
    // The metrics of the first part are still there.
    let metrics: Value = serde_json::from_slice(&bytes(&sandbox.path("parts/metrics.json"))).unwrap();
    assert_eq!(metrics["history"][0]["step"], 13);
}

#[test]
fn a_damaged_checkpoint_gives_way_to_the_one_before() {
    let sandbox = Sandbox::with_dataset();
    let args = ["train", "dataset", "-o", "out", "--steps", STEPS, "--checkpoint-every", "5"];
    sandbox.ok(&[&args[..], &["--stop-at", "10"]].concat());
    let newest = sandbox.path("out/checkpoints/step_0000010.ckpt");
    let whole = bytes(&newest);
    sandbox.write("out/checkpoints/step_0000010.ckpt", &whole[..whole.len() / 2]);
    let ran = sandbox.ok(&[&args[..], &["--resume", "--json"]].concat());
    says(ran.events_named("warning")[0]["message"].as_str().unwrap(), &["step_0000010.ckpt", "skipped"]);
    assert_eq!(ran.events_named("step").pop().unwrap()["step"], 40);
}

#[test]
fn full_size_takes_other_steps_than_coarse_to_fine() {
    let sandbox = Sandbox::with_dataset();
    sandbox.ok(&["train", "dataset", "-o", "coarse", "--steps", "20"]);
    sandbox.ok(&["train", "dataset", "-o", "full", "--steps", "20", "--full-size"]);
    let ply = |output: &str| bytes(&sandbox.path(&format!("{output}/ply/point_cloud_19.ply")));
    assert!(ply("coarse") != ply("full"));
}

#[test]
fn quiet_prints_the_result_only_and_plain_lines_need_no_terminal() {
    let sandbox = Sandbox::with_dataset();
    let quiet = sandbox.ok(&["train", "dataset", "-o", "out", "--steps", "5", "--quiet"]);
    assert_eq!(quiet.stderr, "");
    says(&quiet.stdout, &["scene", "point_cloud_4.ply", "comparison", "PSNR"]);
    let plain = sandbox.ok(&["train", "dataset", "-o", "out", "--steps", "5"]);
    says(&plain.stderr, &["training", "step 5 of 5", "wrote ply"]);
    assert!(!plain.stderr.contains('\u{1b}') && !plain.stderr.contains('\r'), "{:?}", plain.stderr);
}

/// The other renderer, which is recorded in the PLY and then used for rendering.
#[test]
fn trains_and_draws_by_3dgut() {
    let sandbox = Sandbox::with_dataset();
    sandbox.ok(&[
        "train",
        "dataset",
        "-o",
        "out",
        "--steps",
        "6",
        "--renderer",
        "3dgut",
        "--keep-distortion",
    ]);
    let ply = std::fs::read(sandbox.path("out/ply/point_cloud_5.ply")).unwrap();
    let header = String::from_utf8_lossy(&ply[..400]).into_owned();
    says(&header, &["comment SplatRenderMode: 3dgut"]);
    let scene = "out/ply/point_cloud_5.ply";
    let [as_trained, gut, ewa] = [&[][..], &["--renderer", "3dgut"], &["--renderer", "ewa"]]
        .map(|more| sandbox.ok(&[&["eval", scene, "dataset", "--json", "--quiet"], more].concat()).stdout);
    assert_eq!(as_trained, gut, "eval does not follow the PLY");
    assert_ne!(as_trained, ewa, "--renderer does nothing");
}

#[test]
#[cfg(unix)]
fn ctrl_c_leaves_checkpoint_and_scene() {
    use std::io::{BufRead, BufReader, Read};
    use std::process::{Command, Stdio};

    let sandbox = Sandbox::with_dataset();
    let mut child = sandbox
        .command(&["train", "dataset", "-o", "out", "--steps", "1000000", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains(r#""event":"step""#) {
        line.clear();
        assert!(stdout.read_line(&mut line).unwrap() > 0, "it ended before its first step");
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{stderr}");
    says(&stderr, &["stopping at the next safe point", "error: stopped", "hint:", "--resume"]);
    let ran = Ran { code: None, stdout: rest, stderr };
    let done = ran.events_named("done").pop().unwrap();
    assert_eq!(done["stopped"], "cancelled");
    let steps = done["steps_done"].as_u64().unwrap();
    assert!(sandbox.path(&format!("out/ply/point_cloud_{}.ply", steps - 1)).exists());
    assert!(sandbox.path(&format!("out/checkpoints/step_{steps:07}.ckpt")).exists());
    says(&sandbox.ok(&["info", &format!("out/ply/point_cloud_{}.ply", steps - 1)]).stdout, &["Gaussians"]);
}
