//! COLMAP as a process, against its stand-in: time limits, cancellation, programs that are not COLMAP.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use splat_colmap::{Colmap, ColmapError};
use splat_core::{CancelToken, SceneSource as _};

use crate::stand_in::{ALL_STAGES, Bench, HELP, OPTIONS, SCRIPT, install};

/// Long enough for a busy machine: only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(120);

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not after {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether a process still runs (a zombie does not).
fn runs(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.contains(") Z") && !stat.contains(") X"))
}

/// A killed process ends when the kernel next schedules it, which may be after its parent was collected.
fn ends(pid: &str) {
    if cfg!(target_os = "linux") {
        wait_until("a killed child has ended", || !runs(pid));
    }
}

fn wait_for(path: &Path) -> String {
    let line = || fs::read_to_string(path).ok().filter(|text| text.ends_with('\n'));
    wait_until(&format!("{} is written", path.display()), || line().is_some());
    line().unwrap_or_default().trim().to_owned()
}

#[test]
fn the_time_limit_ends_a_hanging_stage_with_its_children() {
    let mut bench = Bench::new(4, 4);
    bench.mode("exhaustive_matcher hang");
    bench.options.stage_timeout = Some(Duration::from_secs(3));
    let error = bench.run().0.unwrap_err();
    assert!(matches!(error, ColmapError::TimedOut { command: "exhaustive_matcher", .. }), "{error}");
    ends(&wait_for(&bench.path("child")));
    // The next run goes on where this one was stopped.
    bench.mode("none none");
    bench.calls();
    bench.run().0.unwrap();
    assert_eq!(bench.calls(), ALL_STAGES[1..]);
}

#[test]
fn cancelling_ends_the_whole_group_at_once() {
    let bench = Bench::new(4, 4);
    bench.mode("feature_extractor hang");
    let cancel = CancelToken::new();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| bench.source().scene(&|_| (), &cancel));
        let child = wait_for(&bench.path("child"));
        assert!(!cfg!(target_os = "linux") || runs(&child));
        cancel.cancel();
        let result = run.join().unwrap();
        assert!(matches!(result, Err(splat_core::Error::Cancelled)), "{result:?}");
        ends(&child);
    });
}

#[test]
fn programs_that_are_missing_old_or_other_are_refused_in_words() {
    let bench = Bench::new(4, 4);
    let missing = Colmap::find(Some(Path::new("/nowhere/colmap"))).unwrap_err();
    assert!(matches!(missing, ColmapError::CannotStart { .. }), "{missing}");
    assert!(missing.to_string().contains("/nowhere/colmap") && missing.to_string().contains("install"));
    let binary = bench.path("colmap");
    assert_eq!(Colmap::find(Some(&binary)).unwrap().version().to_string(), "3.8");
    fs::write(bench.path("help"), "COLMAP 3.4 -- Structure-from-Motion\n").unwrap();
    let old = Colmap::find(Some(&binary)).unwrap_err().to_string();
    assert!(old.contains("COLMAP 3.4") && old.contains("too old"), "{old}");
    fs::write(bench.path("help"), "I am a calculator\n").unwrap();
    let other = Colmap::find(Some(&binary)).unwrap_err().to_string();
    assert!(other.contains("not COLMAP") && other.contains("I am a calculator"), "{other}");
    // The error reaches the core's callers as itself.
    let core = bench.source().scene(&|_| (), &CancelToken::new()).unwrap_err();
    assert_eq!(core.to_string(), other);
    fs::write(bench.path("help"), HELP).unwrap();
    fs::write(bench.path("options"), "unknown command\n").unwrap();
    let message = bench.run().0.unwrap_err().to_string();
    assert!(message.contains("no command `feature_extractor`"), "{message}");
}

#[test]
fn a_gpu_that_fails_gives_way_to_the_cpu() {
    let bench = Bench::new(4, 4);
    fs::write(bench.path("help"), "COLMAP 3.13.0 (Commit x with CUDA)\n").unwrap();
    fs::write(bench.path("options"), OPTIONS.replace("SiftExtraction.use_gpu", "FeatureExtraction.use_gpu"))
        .unwrap();
    let script = SCRIPT.replace(
        "case $command in",
        "case \"$command $all\" in *extractor*use_gpu?1*) exit 1 ;; esac\ncase $command in",
    );
    let script = script.replace("command=$1\n", "command=$1\nall=\"$*\"\n");
    install(&script, &bench.path("colmap"));
    let (result, events) = bench.run();
    result.unwrap();
    assert!(events.warnings().contains("failed on the GPU"), "{}", events.warnings());
    let calls = fs::read_to_string(bench.path("calls")).unwrap();
    assert!(
        calls.contains("--FeatureExtraction.use_gpu 1") && calls.contains("--FeatureExtraction.use_gpu 0"),
        "{calls}"
    );
}
