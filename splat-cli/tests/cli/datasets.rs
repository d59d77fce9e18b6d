//! Datasets as people have them, and output folders that are used again.

use std::fs;

use crate::harness::{Sandbox, says};

#[test]
fn damaged_photos_are_left_out_before_training() {
    let sandbox = Sandbox::with_dataset();
    let mut photos: Vec<_> =
        fs::read_dir(sandbox.path("dataset/images")).unwrap().map(|entry| entry.unwrap().path()).collect();
    photos.sort();
    // Held out, and trained on.
    let bytes = fs::read(&photos[8]).unwrap();
    fs::write(&photos[8], &bytes[..bytes.len() / 2]).unwrap();
    fs::write(&photos[3], "").unwrap();
    let ran = sandbox.ok(&["train", "dataset", "-o", "out", "--steps", "4"]);
    let name = |at: usize| photos[at].file_name().unwrap().to_str().unwrap().to_owned();
    says(&ran.stderr, &["2 of 12 photos are left out", &name(8), &name(3), "empty"]);
    assert!(sandbox.path("out/metrics.json").is_file());
    says(&sandbox.ok(&["info", "dataset"]).stderr, &["2 of 12 photos are left out"]);
    photos.iter().for_each(|photo| fs::write(photo, "").unwrap());
    says(&sandbox.fails(1, &["info", "dataset"]), &["empty"]);
}

#[test]
fn photos_and_masks_may_lie_elsewhere() {
    let sandbox = Sandbox::with_dataset();
    fs::rename(sandbox.path("dataset/images"), sandbox.path("elsewhere")).unwrap();
    says(&sandbox.fails(1, &["info", "dataset"]), &["--images"]);
    sandbox.ok(&["info", "dataset", "--images", "elsewhere"]);
    says(&sandbox.fails(1, &["info", "dataset", "--images", "nowhere"]), &["`nowhere` does not exist"]);
    fs::create_dir(sandbox.path("none")).unwrap();
    let ran = sandbox.ok(&["info", "dataset", "--images", "elsewhere", "--masks", "none"]);
    says(&ran.stdout, &["masks          0 of 12", "alpha          0 of 12", "one in 8 by name"]);
    says(&ran.stderr, &["no masks are used"]);
}

/// A run begun anew where another ended, stopped half way and resumed, ends as one that never stopped.
#[test]
fn resuming_goes_on_with_the_run_that_began_last() {
    let sandbox = Sandbox::with_dataset();
    let first = ["train", "dataset", "-o", "out", "--steps", "8", "--checkpoint-every", "2", "-q"];
    sandbox.ok(&first);
    let other = [&first[..2], &["-o", "out2"], &first[4..], &["--seed", "5", "--sh-degree", "0"]].concat();
    sandbox.ok(&other);
    let again = [&first[..], &["--seed", "5", "--sh-degree", "0"]].concat();
    let half = sandbox.ok(&[&again[..], &["--stop-at", "4"]].concat());
    says(&half.stderr, &["kept in `out/older/1`"]);
    assert!(!sandbox.path("out/ply/point_cloud_7.ply").exists());
    assert!(sandbox.path("out/older/1/ply/point_cloud_7.ply").is_file());
    assert!(sandbox.path("out/checkpoints/step_0000004.ckpt").is_file());
    // A checkpoint of another run, put there by hand, neither wins nor is pruned.
    let foreign = "step_0000008";
    for end in ["ckpt", "json"] {
        let from = sandbox.path(&format!("out/older/1/checkpoints/{foreign}.{end}"));
        fs::copy(from, sandbox.path(&format!("out/checkpoints/{}.{end}", "step_0000099"))).unwrap();
    }
    let resumed = sandbox.ok(&[&again[..], &["--resume"]].concat());
    assert!(!resumed.stderr.contains("warning"), "{}", resumed.stderr);
    let ply = |out: &str| fs::read(sandbox.path(&format!("{out}/ply/point_cloud_7.ply"))).unwrap();
    assert!(ply("out") == ply("out2"), "the resumed run is not the one that began last");
    assert!(sandbox.path("out/checkpoints/step_0000099.ckpt").is_file());
}

#[test]
#[cfg(unix)]
fn a_folder_in_use_is_refused_and_free_after_a_kill() {
    use std::io::{BufRead as _, BufReader};
    use std::process::Stdio;

    let sandbox = Sandbox::with_dataset();
    let mut child = sandbox
        .command(&[
            "train",
            "dataset",
            "-o",
            "out",
            "--steps",
            "1000000",
            "--checkpoint-every",
            "2",
            "--json",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("checkpoint") {
        line.clear();
        assert!(stdout.read_line(&mut line).unwrap() > 0, "it ended before its first checkpoint");
    }
    let message = sandbox.fails(1, &["train", "dataset", "-o", "out", "--steps", "2"]);
    says(&message, &["`out` is in use by process", &child.id().to_string(), "another output folder"]);
    child.kill().unwrap();
    child.wait().unwrap();
    drop(stdout);
    sandbox.ok(&["train", "dataset", "-o", "out", "--steps", "2"]);
    assert!(sandbox.path("out/older/1/checkpoints").is_dir());
}

/// A dataset can be named by its file, wherever a folder can.
#[test]
fn a_transforms_json_is_a_dataset_itself() {
    let sandbox = Sandbox::with_dataset();
    let frame = |at: u32| serde_json::json!({"file_path": format!("images/{at}.png"), "transform_matrix": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]});
    let frames: Vec<_> = (0..3).map(frame).collect();
    for at in 0..3 {
        let path = sandbox.path(&format!("scan/images/{at}.png"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        image::RgbImage::new(40, 30).save(path).unwrap();
    }
    let transforms = serde_json::json!({"fl_x": 40.0, "w": 40, "h": 30, "frames": frames});
    sandbox.write("scan/transforms.json", transforms.to_string());
    for path in ["scan", "scan/transforms.json"] {
        let info = sandbox.ok(&["info", path]);
        says(&info.stdout, &["3 placed"]);
    }
}
