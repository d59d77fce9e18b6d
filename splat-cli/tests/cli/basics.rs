//! Help, version, completions, usage.

use crate::harness::{Sandbox, says};

const COMMANDS: [&str; 14] = [
    "run",
    "colmap",
    "train",
    "render",
    "eval",
    "info",
    "doctor",
    "gesture",
    "demo",
    "bench",
    "serve",
    "worker",
    "keys",
    "completions",
];

#[test]
fn help_lists_every_command_and_each_helps() {
    let sandbox = Sandbox::new();
    let help = sandbox.ok(&["--help"]).stdout;
    says(&help, &COMMANDS.map(|command| format!("  {command} ")).each_ref().map(String::as_str));
    says(&help, &["Exit codes: 0 done, 1 the input failed or the run was stopped, 2 wrong usage or setup"]);
    for command in COMMANDS {
        says(&sandbox.ok(&[command, "--help"]).stdout, &["Usage: splat", "--json", "--quiet"]);
    }
    says(&sandbox.ok(&["train", "--help"]).stdout, &["Examples:", "--stop-at", "preview", "30,000 steps"]);
    says(&sandbox.ok(&["--version"]).stdout, &[concat!("splat ", env!("CARGO_PKG_VERSION"))]);
}

#[test]
fn completions_for_every_shell() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = sandbox.ok(&["completions", shell]).stdout;
        says(&script, &["splat", "stop-at", "doctor"]);
    }
}

#[test]
fn wrong_usage_is_2() {
    let sandbox = Sandbox::with_dataset();
    for (args, what) in [
        (&["train", "dataset"][..], "--output"),
        (&["train", "dataset", "-o", "out", "--stpes", "3"], "--steps"),
        (&["train", "dataset", "-o", "out", "--steps", "0"], "--steps"),
        (&["train", "dataset", "-o", "out", "--preset", "ultra"], "preview"),
        (&["train", "dataset", "-o", "out", "--budget", "45"], "with its unit"),
        (&["train", "dataset", "-o", "out", "--budget", "200ms"], "at least a second"),
        (&["train", "dataset", "-o", "out", "--budget", "45s", "--steps", "9"], "cannot be used with"),
        (
            &["train", "dataset", "-o", "out", "--downscale", "2", "--max-image-size", "99"],
            "cannot be used with",
        ),
        (&["render", "x.ply", "-o", "y.png"], "--view"),
        (&["bench", "--gaussians", "500", "--size", "64"], "WIDTHxHEIGHT"),
        (&["trian"], "train"),
    ] {
        says(&sandbox.fails(2, args), &[what]);
        assert!(!sandbox.path("out").exists());
    }
}

#[test]
fn doctor_reports_this_machine() {
    let sandbox = Sandbox::new();
    let ran = sandbox.ok(&["doctor", "--json"]);
    let checks = &ran.events()[0];
    let names: Vec<_> =
        checks.as_array().unwrap().iter().map(|check| check["name"].as_str().unwrap()).collect();
    for name in ["GPU", "limits", "kernels", "memory", "COLMAP", "ffmpeg"] {
        assert!(names.contains(&name), "{names:?}");
    }
    says(&sandbox.ok(&["doctor"]).stdout, &["self-test passed", "COLMAP"]);
}

#[test]
fn doctor_says_what_is_missing() {
    let sandbox = Sandbox::new();
    let output = sandbox.command(&["doctor"]).env("SPLAT_COLMAP", "no-such-colmap").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    says(&stdout, &["FAIL  COLMAP", "no-such-colmap", "apt install colmap"]);
    says(&stderr, &["error: this machine is not ready: see COLMAP"]);
}

#[test]
fn no_gpu_of_that_name_is_2() {
    let sandbox = Sandbox::with_dataset();
    let message = sandbox.fails(2, &["train", "dataset", "-o", "out", "--adapter", "Voodoo2"]);
    says(&message, &["Voodoo2", "hint: `splat doctor`"]);
    let message = sandbox.fails(2, &["train", "dataset", "-o", "out", "--backend", "glide"]);
    says(&message, &["glide", "vulkan, metal or dx12"]);
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn bench_times_steps_of_made_up_scenes() {
    let sandbox = Sandbox::new();
    let args = ["bench", "--gaussians", "300,700", "--size", "64x48,48x32", "--steps", "2", "--json"];
    // A debug build first warns that its ratios are meaningless.
    let stdout = sandbox.ok(&args).stdout;
    let report: serde_json::Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
    assert!(report["device"]["multiply_adds"].as_f64().unwrap() > 0.0, "{report}");
    let scenes = report["made_up"].as_array().unwrap();
    assert_eq!(scenes.len(), 4, "{report}");
    for scene in scenes {
        let steps = &scene["steps"];
        assert_eq!((&steps["gaussians"], &steps["width"]), (&scene["gaussians"], &scene["width"]), "{scene}");
        assert!(steps["step_ms"].as_f64().unwrap() > 0.0, "{scene}");
        assert_eq!(steps["host_waits"], 1.0, "a step waits for one report: {scene}");
    }
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn bench_writes_the_kernels_text() {
    let sandbox = Sandbox::new();
    for (renderer, kernel, missing) in [
        ("ewa", "project.wgsl", "project_gut.wgsl"),
        ("3dgut", "project_gut.fisheye.rolling.wgsl", "sort_count.fisheye.wgsl"),
    ] {
        let stdout =
            sandbox.ok(&["bench", "--dump-shaders", renderer, "--renderer", renderer, "--json"]).stdout;
        let report: serde_json::Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
        let files = std::fs::read_dir(sandbox.path(renderer)).unwrap().count();
        assert_eq!(report["files"], files, "{report}");
        let text = std::fs::read_to_string(sandbox.path(renderer).join(kernel)).unwrap();
        // Complete sources: constants, shared files, kernel.
        for part in ["const LANES", "struct ViewUniform", "@compute", "fn main"] {
            assert!(text.contains(part), "{kernel} has no `{part}`");
        }
        assert!(!sandbox.path(renderer).join(missing).exists(), "{missing}");
    }
}
