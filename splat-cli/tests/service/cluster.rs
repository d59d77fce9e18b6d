//! Several workers on Redis and a shared store, killed at random: every job is done exactly once.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

#[cfg(target_os = "linux")]
use rustix::process::{Pid, Signal};
use tempfile::TempDir;

#[cfg(target_os = "linux")]
use crate::harness::jobs_of;
use crate::harness::{Service, id, splat, stages_of, state};

/// A Redis server or a worker; killed on drop.
struct Process(Child);

impl Process {
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails if the process has already ended, which is fine.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn redis(folder: &Path) -> Process {
    let child = Command::new("redis-server")
        .args(["--port", "0", "--unixsocket", "redis.sock", "--save", "", "--daemonize", "no"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server is installed: scripts/setup.sh --test installs it");
    let begun = std::time::Instant::now();
    while !folder.join("redis.sock").exists() {
        assert!(begun.elapsed() < Duration::from_secs(120), "redis-server does not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    Process(child)
}

fn worker(shared: &[&str], data: &Path) -> Process {
    let mut command = splat();
    command
        .args(["worker", "--test-mode", "--lease-s", "2", "--disk-floor-mib", "1", "--data-dir"])
        .arg(data);
    command.args(shared).env("SPLAT_LOG", "error").stdin(Stdio::null()).stdout(Stdio::null());
    Process(command.spawn().unwrap())
}

/// A worker is suspended with its job for three leases, while another one takes the job: it is done exactly once.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_suspended_worker_finds_its_job_with_another_one_and_lets_go() {
    let folder = TempDir::new().unwrap();
    let _redis = redis(folder.path());
    let redis_url = format!("redis+unix://{}", folder.path().join("redis.sock").display());
    let store_url = format!("file://{}", folder.path().join("store").display());
    let shared = ["--redis-url", &redis_url, "--store-url", &store_url];
    let service = Service::start(&[&["--no-worker", "--max-attempts", "4"], &shared[..]].concat());
    let sleeper = worker(&shared, &folder.path().join("sleeper"));
    let job = id(&service.submit(3, stages_of(900)).await);
    service.job_when(&job, |job| job["progress"]["stage"] == "matching").await;
    let pid = Pid::from_raw(sleeper.0.id() as i32).unwrap();
    let attempt = jobs_of(sleeper.0.id());
    assert_eq!(attempt.len(), 1);
    rustix::process::kill_process(pid, Signal::STOP).unwrap();
    rustix::process::kill_process_group(attempt[0], Signal::STOP).unwrap();
    let _other = worker(&shared, &folder.path().join("other"));
    service.job_when(&job, |job| job["attempts"].as_u64() == Some(2)).await;
    // The attempt first: the worker ends it as soon as it runs again.
    rustix::process::kill_process_group(attempt[0], Signal::CONT).unwrap();
    rustix::process::kill_process(pid, Signal::CONT).unwrap();
    let ended = service.ended(&job).await;
    assert_eq!((state(&ended), ended["attempts"].as_u64()), ("succeeded", Some(2)), "{ended:#}");
    let events = service.get(&format!("/v1/jobs/{job}/events")).await.text().await.unwrap();
    assert_eq!(events.matches("\"state\":\"succeeded\"").count(), 1, "done twice: {events}");
    let begun = std::time::Instant::now();
    while jobs_of(sleeper.0.id()).iter().any(|pid| attempt.contains(pid)) {
        assert!(begun.elapsed() < Duration::from_secs(60), "the worker that lost the job goes on with it");
        std::thread::sleep(Duration::from_millis(50));
    }
    let scene = service.get(&format!("/v1/jobs/{job}/artifacts/scene.ply")).await;
    assert!(scene.bytes().await.unwrap().starts_with(b"ply\n"));
}

fn number_from(variable: &str, default: usize) -> usize {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Reduced for normal test runs; `SPLAT_CLUSTER_JOBS=60 SPLAT_CLUSTER_KILLS=10` is the full size.
#[tokio::test]
async fn killed_workers_lose_no_job_and_do_none_twice() {
    let (jobs, kills) = (number_from("SPLAT_CLUSTER_JOBS", 12), number_from("SPLAT_CLUSTER_KILLS", 3));
    let folder = TempDir::new().unwrap();
    let _redis = redis(folder.path());
    let redis_url = format!("redis+unix://{}", folder.path().join("redis.sock").display());
    let store_url = format!("file://{}", folder.path().join("store").display());
    let shared = ["--redis-url", &redis_url, "--store-url", &store_url];
    let service = Service::start(&[&["--no-worker", "--max-attempts", "1000"], &shared[..]].concat());
    let homes: Vec<_> = (0..3).map(|number| folder.path().join(format!("worker-{number}"))).collect();
    let mut workers: Vec<_> = homes.iter().map(|home| worker(&shared, home)).collect();
    let mut submitted = Vec::new();
    for _ in 0..jobs {
        submitted.push(id(&service.submit(3, stages_of(60)).await));
    }
    // Pseudo-random numbers, the same each time (Knuth's linear congruential generator).
    let mut random = 1_u64;
    for _ in 0..kills {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        tokio::time::sleep(Duration::from_millis(300 + (random >> 33) % 1000)).await;
        let victim = (random >> 50) as usize % workers.len();
        workers[victim].kill();
        workers[victim] = worker(&shared, &homes[victim]);
    }
    let mut interrupted = 0;
    for job in &submitted {
        let job = service.ended(job).await;
        assert_eq!(state(&job), "succeeded", "{job:#}");
        interrupted += usize::from(job["attempts"].as_u64() > Some(1));
        let events = service.get(&format!("/v1/jobs/{}/events", id(&job))).await.text().await.unwrap();
        assert_eq!(events.matches("\"state\":\"succeeded\"").count(), 1, "done twice: {events}");
        let scene = service.get(&format!("/v1/jobs/{}/artifacts/scene.ply", id(&job))).await;
        assert!(scene.status().is_success(), "{job:#}");
        assert!(scene.bytes().await.unwrap().starts_with(b"ply\n"));
    }
    assert!(interrupted > 0, "no kill met a job; this run has shown nothing");
}
