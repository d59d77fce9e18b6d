//! `render`, `eval` and `info` on the output of `train`.

use serde_json::Value;
use splat_test_needs::needs;

use crate::harness::{Sandbox, says};

const SCENE: &str = "out/ply/point_cloud_299.ply";

/// A trained scene, created once for all tests of this file.
fn trained() -> &'static Sandbox {
    static TRAINED: std::sync::LazyLock<Sandbox> = std::sync::LazyLock::new(|| {
        let sandbox = Sandbox::with_dataset();
        sandbox.ok(&["train", "dataset", "-o", "out", "--steps", "300", "--full-size"]);
        sandbox
    });
    &TRAINED
}

#[test]
fn a_held_out_view_resembles_its_photo() {
    let sandbox = trained();
    sandbox.ok(&["render", SCENE, "--view", "view_08", "-o", "view.png"]);
    let render = image::open(sandbox.path("view.png")).unwrap().to_rgb8();
    let photo = image::open(sandbox.path("dataset/images/view_08.png")).unwrap().to_rgb8();
    assert_eq!(render.dimensions(), photo.dimensions());
    let difference = |other: &image::RgbImage| {
        let sum: u64 = photo.iter().zip(other.iter()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        sum as f64 / photo.len() as f64
    };
    let elsewhere = image::open(sandbox.path("dataset/images/view_02.png")).unwrap().to_rgb8();
    assert!(
        difference(&render) < 0.5 * difference(&elsewhere),
        "{} against {}",
        difference(&render),
        difference(&elsewhere)
    );
}

#[test]
fn eval_agrees_with_the_run() {
    let sandbox = trained();
    let ran = sandbox.ok(&["eval", SCENE, "dataset", "--json", "-o", "pairs"]);
    let done = ran.events_named("done").pop().unwrap();
    let metrics: Value =
        serde_json::from_slice(&std::fs::read(sandbox.path("out/metrics.json")).unwrap()).unwrap();
    let psnr = |value: &Value| value["psnr"].as_f64().unwrap();
    // The PLY is lossless, and the trainer's forward pass is the renderer's.
    assert!((psnr(&done) - psnr(&metrics)).abs() < 0.01, "{} and {}", psnr(&done), psnr(&metrics));
    assert_eq!(done["views"].as_array().unwrap().len(), 2);
    assert!(sandbox.path("pairs/view_08.png").exists());
    says(&sandbox.ok(&["eval", SCENE, "dataset"]).stdout, &["view_00.png", "view_08.png", "mean", "SSIM"]);
    says(&sandbox.fails(2, &["eval", SCENE, "dataset", "--holdout-every", "0"]), &["no photo is held out"]);
}

#[test]
fn a_run_is_measured_and_drawn_by_its_folder_alone_as_it_was_trained() {
    let sandbox = Sandbox::with_dataset();
    std::fs::rename(sandbox.path("dataset/images"), sandbox.path("elsewhere")).unwrap();
    let train = ["train", "dataset", "-o", "run", "--images", "elsewhere", "--steps", "20"];
    sandbox
        .ok(&[&train[..], &["--max-image-size", "32", "--holdout-every", "5", "--also", "spz,sog"]].concat());
    for form in ["spz", "sog"] {
        says(&sandbox.ok(&["info", &format!("run/ply/point_cloud_19.{form}")]).stdout, &["SH degree  3"]);
    }
    let metrics: Value =
        serde_json::from_slice(&std::fs::read(sandbox.path("run/metrics.json")).unwrap()).unwrap();
    // From another folder than the one in which the training was started.
    std::fs::create_dir(sandbox.path("work")).unwrap();
    let eval = |args: &[&str]| {
        let output = sandbox.command(args).current_dir(sandbox.path("work")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let last = String::from_utf8(output.stdout).unwrap().lines().last().unwrap().to_owned();
        serde_json::from_str::<Value>(&last).unwrap()
    };
    let psnr = |value: &Value| value["psnr"].as_f64().unwrap();
    for args in [["eval", "../run", "--json"].as_slice(), &["eval", "../run", "../dataset", "--json"]] {
        let done = eval(args);
        assert_eq!(done["views"].as_array().unwrap().len(), 3);
        assert!((psnr(&done) - psnr(&metrics)).abs() < 0.01, "{} and {}", psnr(&done), psnr(&metrics));
    }
    let full = eval(&["eval", "../run", "--json", "--downscale", "1", "--holdout-every", "6"]);
    assert_eq!(full["views"].as_array().unwrap().len(), 2);
    says(&sandbox.ok(&["render", "run", "--list"]).stdout, &["view_05.png  32x24  held out"]);
    sandbox.ok(&["render", "run", "--view", "view_05", "-o", "view.png"]);
    says(&sandbox.ok(&["info", "run"]).stdout, &["Gaussians", "SH degree"]);
    sandbox.ok(&["convert", "run", "alone/scene.spz"]);
    says(&sandbox.fails(1, &["eval", "alone/scene.spz"]), &["which dataset", "splat eval SCENE DATASET"]);
    std::fs::rename(sandbox.path("dataset"), sandbox.path("moved")).unwrap();
    says(&sandbox.fails(1, &["eval", "run"]), &["dataset", "not there any more"]);
}

#[test]
fn orbit_and_path_to_frames() {
    let sandbox = trained();
    sandbox.ok(&["render", SCENE, "--orbit", "3", "-o", "orbit", "--width", "33"]);
    let first = image::open(sandbox.path("orbit/frame_00000.png")).unwrap().to_rgb8();
    assert_eq!(first.dimensions(), (33, 25));
    assert!(first.iter().any(|c| *c > 60), "the orbit sees nothing");
    assert!(
        sandbox.path("orbit/frame_00002.png").exists() && !sandbox.path("orbit/frame_00003.png").exists()
    );
    sandbox.write(
        "path.json",
        r#"{"width": 40, "height": 30, "between": 1, "keys": [{"eye": [3, -2, 0], "target": [0, 0, 0]}, {"eye": [0, -2, 3], "target": [0, 0, 0]}]}"#,
    );
    sandbox.ok(&["render", SCENE, "--path", "path.json", "-o", "flight"]);
    assert!(sandbox.path("flight/frame_00002.png").exists());
    sandbox.write("bad.json", r#"{"width": 40, "height": 30, "keys": []}"#);
    says(
        &sandbox.fails(1, &["render", SCENE, "--path", "bad.json", "-o", "flight"]),
        &["bad.json", "no keys"],
    );
}

#[test]
fn videos_need_ffmpeg() {
    let sandbox = trained();
    let mut without = sandbox.command(&["render", SCENE, "--orbit", "2", "-o", "none.mp4"]);
    let without = without.env("PATH", "").output().unwrap();
    assert_eq!(without.status.code(), Some(2));
    says(&String::from_utf8_lossy(&without.stderr), &["ffmpeg", "hint:", "PNG frames"]);
    assert!(!sandbox.path("none.mp4").exists());
}

#[needs(program = "ffmpeg")]
#[test]
fn videos_are_whole() {
    let sandbox = trained();
    sandbox.ok(&["render", SCENE, "--orbit", "4", "-o", "orbit.mp4", "--fps", "10"]);
    let video = std::fs::read(sandbox.path("orbit.mp4")).unwrap();
    assert_eq!(video.get(4..8), Some(&b"ftyp"[..]));
    assert!(!sandbox.path("orbit.unfinished.mp4").exists());
}

#[test]
fn outputs_that_make_no_sense_are_usage_errors() {
    let sandbox = trained();
    says(&sandbox.fails(2, &["render", SCENE, "--orbit", "3", "-o", "one.png"]), &["3 frames"]);
    says(&sandbox.fails(2, &["render", SCENE, "--orbit", "3", "-o", "one.gif"]), &[".gif"]);
    says(
        &sandbox.fails(2, &["render", SCENE, "--orbit", "3", "-o", "x", "--background", "1,2"]),
        &["background"],
    );
    says(&sandbox.fails(1, &["render", SCENE, "--view", "view_99", "-o", "x.png"]), &["view_99", "--list"]);
}

#[test]
fn info_tells_what_is_there() {
    let sandbox = trained();
    let scene = sandbox.ok(&["info", SCENE, "--json"]).events().remove(0);
    assert_eq!((scene["kind"].as_str(), scene["sh_degree"].as_u64()), (Some("scene"), Some(3)));
    assert!(scene["gaussians"].as_u64().unwrap() >= 576);
    says(
        &sandbox.ok(&["info", SCENE]).stdout,
        &["Gaussians", "SH degree  3", "bounds", "Generated by splat"],
    );
    let dataset = sandbox.ok(&["info", "dataset", "--json"]).events().pop().unwrap();
    assert_eq!((dataset["photos"].as_u64(), dataset["points"].as_u64()), (Some(12), Some(576)));
    assert_eq!(dataset["held_out"], 2);
    assert!(dataset["memory"][0]["bytes"].as_u64().unwrap() > 0);
    let preview = sandbox.ok(&["info", "dataset", "--preset", "preview", "--json"]).events().pop().unwrap();
    assert_eq!((preview["preset"].as_str(), preview["steps"].as_u64()), (Some("preview"), Some(500)));
    says(&sandbox.ok(&["info", "dataset"]).stdout, &["PINHOLE 64x48 (12 photos)", "12 placed", "memory"]);
    let listed = sandbox.ok(&["render", SCENE, "--list"]).stdout;
    assert_eq!(listed.lines().count(), 12);
    says(&listed, &["view_08.png  64x48  held out"]);
}

#[test]
fn scenes_are_converted_cut_and_told_of_in_every_form() {
    let sandbox = Sandbox::new();
    let names =
        ["x", "y", "z", "rot_0", "rot_1", "rot_2", "rot_3", "scale_0", "scale_1", "scale_2", "opacity"];
    let mut text = "ply\nformat ascii 1.0\nelement vertex 3\n".to_owned();
    names
        .iter()
        .chain(&["f_dc_0", "f_dc_1", "f_dc_2"])
        .for_each(|name| text += &format!("property float {name}\n"));
    text += "end_header\n";
    ["0 0 0", "1 1 1", "9 9 9"].iter().for_each(|at| text += &format!("{at} 1 0 0 0 -3 -3 -3 2 0 0 0\n"));
    sandbox.write("in.ply", text);
    for name in ["a.compressed.ply", "b.spz", "c.sog", "d.splat", "e.glb", "f.ply"] {
        sandbox.ok(&["convert", "in.ply", name, "--crop", "box:-1,-1,-1,2,2,2"]);
        let info = sandbox.ok(&["info", name, "--json"]).stdout;
        assert!(info.contains("\"gaussians\":2"), "{name}: {info}");
    }
    assert!(sandbox.fails(2, &["convert", "in.ply", "out.obj"]).contains(".compressed.ply"));
    assert!(
        sandbox
            .fails(2, &["convert", "in.ply", "out.spz", "--crop", "cube:1"])
            .contains("sphere:X,Y,Z,RADIUS")
    );
    assert!(
        sandbox
            .fails(1, &["convert", "in.ply", "out.spz", "--crop", "sphere:50,0,0,1"])
            .contains("no Gaussians left")
    );
}
