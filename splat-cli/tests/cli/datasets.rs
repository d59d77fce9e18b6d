//! Datasets as found in practice, and output folders that are used again.

use std::fs;

use crate::harness::{Sandbox, says};

#[test]
fn damaged_photos_are_left_out_before_training() {
    let sandbox = Sandbox::with_dataset();
    let mut photos: Vec<_> =
        fs::read_dir(sandbox.path("dataset/images")).unwrap().map(|entry| entry.unwrap().path()).collect();
    photos.sort();
    // One held out, one for training.
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
    // Files that macOS adds to copies are not photos.
    sandbox.write("elsewhere/._0000.png", "\0\u{5}");
    says(&sandbox.ok(&["info", "dataset", "--images", "elsewhere"]).stdout, &["12 placed, 2 held out"]);
    says(&sandbox.fails(1, &["info", "dataset", "--images", "nowhere"]), &["`nowhere` does not exist"]);
    says(
        &sandbox.fails(1, &["info", "dataset", "--masks", "nowhere"]),
        &["`nowhere` does not exist", "a folder of masks is needed"],
    );
    fs::create_dir(sandbox.path("none")).unwrap();
    let ran = sandbox.ok(&["info", "dataset", "--images", "elsewhere", "--masks", "none"]);
    says(&ran.stdout, &["masks          0 of 12", "alpha          0 of 12", "one in 8 by name"]);
    says(&ran.stderr, &["no masks are used"]);
}

/// A run started where another ended, stopped half way and resumed, ends like one that never stopped.
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
    // A checkpoint of another run, copied there by hand, is neither used nor pruned.
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

/// A dataset can be given by its file instead of its folder.
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
    // In a further folder, as in archives; and a COLMAP model given by one of its files.
    fs::create_dir_all(sandbox.path("unpacked/export")).unwrap();
    fs::rename(sandbox.path("scan"), sandbox.path("unpacked/export/scan")).unwrap();
    let info = sandbox.ok(&["info", "unpacked"]);
    says(&info.stdout, &["3 placed"]);
    says(&info.stderr, &["the poses of `unpacked/export/scan/transforms.json` are used"]);
    says(&sandbox.ok(&["info", "dataset/sparse/0/images.txt"]).stdout, &["12 placed"]);
}

#[test]
fn cut_out_photos_are_told_of_and_a_mask_stays_one() {
    let sandbox = Sandbox::with_dataset();
    let folder = sandbox.path("dataset/images");
    let photos: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let originals: Vec<_> = photos.iter().map(|photo| image::open(photo).unwrap().into_rgba8()).collect();
    let rewrite = |hidden: &dyn Fn(&mut image::Rgba<u8>)| {
        for (at, (photo, image)) in photos.iter().zip(&originals).enumerate() {
            let mut image = image.clone();
            let (width, height) = image.dimensions();
            for (x, y, pixel) in image.enumerate_pixels_mut() {
                let across = (f64::from(x) - f64::from(width) / 2.0 - at as f64).abs();
                let down = (f64::from(y) - f64::from(height) / 2.0).abs();
                if across.max(down) > f64::from(width.min(height)) / 4.0 {
                    hidden(pixel);
                }
            }
            // The format is detected from the content, not from the name.
            image.save_with_format(photo, image::ImageFormat::Png).unwrap();
        }
    };
    rewrite(&|pixel| pixel.0 = [0; 4]);
    says(&sandbox.ok(&["info", "dataset"]).stdout, &["alpha          12 of 12, transparency"]);
    let trained = sandbox.ok(&["train", "dataset", "-o", "out", "--steps", "2"]);
    says(
        &trained.stderr,
        &["12 of 12 photos have an alpha channel", "the background is cut out", "`--alpha`"],
    );
    let asked = sandbox.ok(&["train", "dataset", "-o", "out2", "--steps", "2", "--alpha", "mask"]);
    assert!(!asked.stderr.contains("alpha channel"), "{}", asked.stderr);
    // Evaluation uses the alpha mode of the training, whatever the photos look like.
    let run = |out: &str| fs::read_to_string(sandbox.path(out).join("run.json")).unwrap();
    assert!(run("out").contains(r#""alpha":"transparent""#) && run("out2").contains(r#""alpha":"mask""#));
    let psnr = |out: &str| {
        let events = sandbox.ok(&["eval", out, "--json"]).events_named("done");
        let metrics = fs::read_to_string(sandbox.path(out).join("metrics.json")).unwrap();
        let metrics: serde_json::Value = serde_json::from_str(&metrics).unwrap();
        let [again, then] = [&events[0]["psnr"], &metrics["psnr"]].map(|psnr| psnr.as_f64().unwrap());
        assert!((again - then).abs() < 0.1, "{out}: {again} {then}");
    };
    psnr("out");
    psnr("out2");
    rewrite(&|pixel| pixel[3] = 0);
    says(&sandbox.ok(&["info", "dataset"]).stdout, &["alpha          12 of 12, a mask"]);
}

/// A file of the wrong kind is named, with advice, whichever command gets it.
#[test]
fn files_of_other_kinds_come_with_what_helps() {
    let sandbox = Sandbox::new();
    sandbox.write("lfs.ply", "version https://git-lfs.github.com/spec/v1\noid sha256:ab\n");
    sandbox.write("a.nef", b"MM\0*\0\0\0\0");
    sandbox.write("page.zip", "<!doctype html>");
    for (file, words) in
        [("lfs.ply", "git lfs pull"), ("a.nef", "dcraw -T \"a.nef\""), ("page.zip", "download")]
    {
        for command in [&["run", file, "-o", "out"][..], &["train", file, "-o", "out"]] {
            says(&sandbox.fails(1, command), &[file, words]);
        }
    }
    for command in ["eval", "info"] {
        says(&sandbox.fails(1, &[command, "lfs.ply"]), &["git lfs pull"]);
    }
}

#[test]
fn poses_that_are_not_used_are_named() {
    let sandbox = Sandbox::with_dataset();
    let frame = serde_json::json!({"file_path": "a.png", "transform_matrix": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]});
    image::RgbImage::new(40, 30).save(sandbox.path("dataset/a.png")).unwrap();
    let transforms = serde_json::json!({"fl_x": 40.0, "w": 40, "h": 30, "frames": [frame]});
    sandbox.write("dataset/transforms.json", transforms.to_string());
    let info = sandbox.ok(&["info", "dataset"]);
    says(&info.stderr, &["the poses of `transforms.json` are used", "sparse/0` is passed over"]);
    says(&sandbox.ok(&["info", "dataset/sparse/0"]).stdout, &["12 placed"]);
    for (file, hint) in
        [("scan/keyframes/cameras/1.json", "Polycam"), ("raw/metadata.json", "ns-process-data record3d")]
    {
        sandbox.write(file, "{}");
        let dataset = file.split('/').next().unwrap();
        says(&sandbox.fails(1, &["train", dataset, "-o", "out"]), &["no COLMAP model", hint]);
    }
}
