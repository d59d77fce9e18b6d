//! Each kind of bad input gives a sentence on what, why and what to try, and the right exit code.

use std::fs;
use std::path::Path;

use crate::harness::{Sandbox, says};

fn noise_png(path: &Path, seed: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let pixel = |x: u32, y: u32| {
        let hash = (x ^ y.rotate_left(16) ^ seed.rotate_left(8))
            .wrapping_mul(0x9E37_79B9)
            .rotate_left(13)
            .wrapping_mul(0x85EB_CA6B);
        image::Rgb([(hash >> 8) as u8, (hash >> 16) as u8, (hash >> 24) as u8])
    };
    image::RgbImage::from_fn(160, 120, pixel).save(path).unwrap();
}

#[test]
fn photos_that_are_not_there() {
    let sandbox = Sandbox::new();
    says(&sandbox.fails(1, &["run", "nowhere", "-o", "out"]), &["`nowhere` does not exist", "hint:"]);
    sandbox.write("file.txt", "x");
    says(
        &sandbox.fails(1, &["run", "file.txt", "-o", "out"]),
        &["`file.txt` is a file (text)", "photos are needed", "the folder that holds the photos"],
    );
}

/// What users give instead of a folder is named, with a command that makes a folder from it.
#[test]
fn videos_archives_and_photos_without_poses() {
    let sandbox = Sandbox::new();
    for (name, head, kind, command) in [
        ("v.mp4", &b"\0\0\0\x18ftypmp42"[..], "a video", "ffmpeg -i \"v.mp4\" -vf fps=2"),
        ("my clip.MOV", b"\0\0\0\x14ftypqt  \0\0", "a video", "ffmpeg -i \"my clip.MOV\""),
        ("p.zip", b"PK\x03\x04\x14\0\0\0", "a zip archive", "unzip \"p.zip\""),
        ("p.tar.gz", b"\x1f\x8b\x08\0\0\0\0\0", "a gzip file", "tar -xf \"p.tar.gz\""),
        ("noise", b"\x01\x02\x03\x04", "a file", "give the folder"),
    ] {
        sandbox.write(name, head);
        let message = sandbox.fails(1, &["train", name, "-o", "out"]);
        says(&message, &[kind, "a folder is needed", "hint:", command]);
        assert!(!sandbox.path("out").exists(), "nothing is made for `{name}`");
    }
    noise_png(&sandbox.path("photos/a.png"), 1);
    noise_png(&sandbox.path("capture/left/b.PNG"), 1);
    for folder in ["photos", "capture"] {
        let expected = format!("splat run \"{folder}\" -o OUT");
        says(&sandbox.fails(1, &["train", folder, "-o", "out"]), &["no COLMAP model", &expected]);
    }
}

#[test]
fn too_few_photos() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("empty")).unwrap();
    says(&sandbox.fails(1, &["run", "empty", "-o", "out"]), &["no photos", "empty"]);
    sandbox.write("text/notes.txt", "no photo");
    says(&sandbox.fails(1, &["colmap", "text", "-o", "out"]), &["no photos"]);
    noise_png(&sandbox.path("two/a.png"), 1);
    noise_png(&sandbox.path("two/b.png"), 2);
    says(&sandbox.fails(1, &["run", "two", "-o", "out"]), &["2", "at least 3"]);
}

#[test]
fn broken_photos_are_named_and_counted() {
    let sandbox = Sandbox::new();
    noise_png(&sandbox.path("photos/a.png"), 1);
    noise_png(&sandbox.path("photos/b.png"), 2);
    let whole = fs::read(sandbox.path("photos/a.png")).unwrap();
    sandbox.write("photos/cut.png", &whole[..whole.len() / 2]);
    sandbox.write("photos/fake.jpg", "this is text");
    says(&sandbox.fails(1, &["run", "photos", "-o", "out"]), &["cut.png", "fake.jpg", "2", "at least 3"]);
}

#[test]
fn photos_of_nothing_in_common() {
    let sandbox = Sandbox::new();
    for seed in 0..4 {
        noise_png(&sandbox.path(&format!("photos/{seed}.png")), seed);
    }
    says(&sandbox.fails(1, &["colmap", "photos", "-o", "out", "--quality", "low"]), &["overlap"]);
}

#[test]
fn colmap_that_is_missing_or_broken() {
    let sandbox = Sandbox::new();
    for seed in 0..3 {
        noise_png(&sandbox.path(&format!("photos/{seed}.png")), seed);
    }
    let message = sandbox.fails(2, &["colmap", "photos", "-o", "out", "--colmap", "no-such-program"]);
    says(&message, &["no-such-program", "hint:", "apt install colmap"]);
    // Any program other than COLMAP.
    let message =
        sandbox.fails(2, &["colmap", "photos", "-o", "out", "--colmap", env!("CARGO_BIN_EXE_splat")]);
    says(&message, &["COLMAP"]);
}

#[test]
fn datasets_that_are_none() {
    let sandbox = Sandbox::with_dataset();
    says(
        &sandbox.fails(1, &["train", "nowhere", "-o", "out"]),
        &["`nowhere` does not exist", "transforms.json"],
    );
    fs::create_dir(sandbox.path("empty")).unwrap();
    says(&sandbox.fails(1, &["train", "empty", "-o", "out"]), &["empty", "sparse"]);
    let model = sandbox.path("dataset/sparse/0/cameras.txt");
    sandbox.write("dataset/sparse/0/cameras.txt", "1 PINHOLE 64 forty-eight 60 60 32 24\n");
    says(&sandbox.fails(1, &["train", "dataset", "-o", "out"]), &["cameras.txt", "line 1"]);
    fs::remove_file(model).unwrap();
    sandbox.fails(1, &["train", "dataset", "-o", "out"]);
    sandbox.write("dataset/transforms.json", "{");
    says(&sandbox.fails(1, &["train", "dataset", "-o", "out"]), &["transforms.json"]);
}

#[test]
fn scenes_that_are_none() {
    let sandbox = Sandbox::with_dataset();
    sandbox.write("mesh.ply", "ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\nend_header\n0 0 0\n");
    sandbox.write("text.ply", "not a ply");
    for file in ["mesh.ply", "text.ply"] {
        for args in
            [&["info", file][..], &["eval", file, "dataset"], &["render", file, "--orbit", "2", "-o", "x"]]
        {
            says(&sandbox.fails(1, args), &[file]);
        }
    }
    says(&sandbox.fails(1, &["info", "nowhere.ply"]), &["does not exist"]);
}

#[test]
fn an_output_that_cannot_be() {
    let sandbox = Sandbox::with_dataset();
    sandbox.write("file", "x");
    says(&sandbox.fails(1, &["train", "dataset", "-o", "file"]), &["another output folder"]);
    says(&sandbox.fails(1, &["train", "dataset", "-o", "file/out"]), &["another output folder"]);
}

/// `/dev/full` can be opened, but every write fails: a full disk.
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk() {
    let sandbox = Sandbox::with_dataset();
    fs::create_dir_all(sandbox.path("out/ply")).unwrap();
    // The PLY is first written beside its final path, then renamed.
    std::os::unix::fs::symlink("/dev/full", sandbox.path("out/ply/point_cloud_4.ply.tmp")).unwrap();
    let message = sandbox.fails(1, &["train", "dataset", "-o", "out", "--steps", "5"]);
    says(&message, &["point_cloud_4.ply", "the disk is full"]);
    assert!(sandbox.path("out/checkpoints/step_0000005.ckpt").exists(), "finished work is gone");
}
