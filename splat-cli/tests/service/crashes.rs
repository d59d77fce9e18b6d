//! Processes that crash, hang and shut down: no job is lost, and none is done twice.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::harness::{Service, form, id, splat, stages_of, state};

#[tokio::test]
async fn a_job_whose_process_dies_is_tried_again_and_goes_on() {
    let service = Service::start(&[]);
    let job = id(&service.submit(3, json!({"stage_ms": 0, "crash_once_at": "train"})).await);
    let job = service.ended(&job).await;
    assert_eq!((state(&job), job["attempts"].as_u64()), ("succeeded", Some(2)), "{job:#}");
    let log = service.get(&format!("/v1/jobs/{}/log", id(&job))).await.text().await.unwrap();
    let events = service.get(&format!("/v1/jobs/{}/events", id(&job))).await.text().await.unwrap();
    assert_eq!(events.matches("\"skipped\":true").count(), 5, "{log}");
}

#[tokio::test]
async fn a_job_that_always_kills_its_process_is_given_up() {
    let service = Service::start(&["--max-attempts", "2"]);
    let job = id(&service.submit(3, json!({"stage_ms": 0, "crash_at": "matching"})).await);
    let job = service.ended(&job).await;
    assert_eq!((state(&job), job["attempts"].as_u64()), ("dead", Some(2)), "{job:#}");
    assert!(job["problem"]["message"].as_str().unwrap().contains("died"), "{job:#}");
    // The queue continues.
    let next = id(&service.submit(3, stages_of(0)).await);
    assert_eq!(state(&service.ended(&next).await), "succeeded");
}

#[tokio::test]
async fn a_hanging_job_is_cancelled_by_force() {
    let service = Service::start(&[]);
    let job = id(&service.submit(3, json!({"stage_ms": 0, "hang_at": "mapping"})).await);
    service.job_when(&job, |job| job["progress"]["stage"] == "mapping").await;
    service.request("POST", &format!("/v1/jobs/{job}/cancel")).send().await.unwrap();
    assert_eq!(state(&service.ended(&job).await), "cancelled");
}

#[tokio::test]
async fn shutting_down_gives_the_job_back_without_counting() {
    let mut service = Service::start(&[]);
    let job = id(&service.submit(3, stages_of(400)).await);
    service.job_when(&job, |job| job["progress"]["stage"] == "matching").await;
    service.terminate();
    service.restart();
    let job = service.ended(&job).await;
    assert_eq!((state(&job), job["attempts"].as_u64()), ("succeeded", Some(1)), "{job:#}");
}

/// A laptop that sleeps for three leases, three times: more often than a job may be attempted.
#[tokio::test]
async fn a_service_that_slept_goes_on_with_its_job() {
    goes_on_after_naps(|service, signal| service.signal(signal)).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_job_that_was_suspended_goes_on() {
    goes_on_after_naps(|service, signal| service.signal_jobs(signal)).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_service_suspended_with_its_job_goes_on_with_it() {
    goes_on_after_naps(|service, signal| {
        // When a machine wakes up, either process may be first.
        service.signal_jobs(signal);
        service.signal(signal);
    })
    .await;
}

async fn goes_on_after_naps(signal: impl Fn(&Service, Signal)) {
    let service = Service::start(&["--lease-s", "2", "--max-attempts", "2"]);
    let job = id(&service.submit(3, stages_of(1500)).await);
    service.job_when(&job, |job| job["progress"]["stage"] == "features").await;
    for _ in 0..3 {
        signal(&service, Signal::STOP);
        tokio::time::sleep(Duration::from_secs(6)).await;
        signal(&service, Signal::CONT);
        // Awake for a while.
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let job = service.ended(&job).await;
    assert_eq!((state(&job), job["attempts"].as_u64()), ("succeeded", Some(1)), "{job:#}");
    let events = service.get(&format!("/v1/jobs/{}/events", id(&job))).await.text().await.unwrap();
    assert_eq!(events.matches("\"state\":\"succeeded\"").count(), 1, "done twice: {events}");
    let scene = service.get(&format!("/v1/jobs/{}/artifacts/scene.ply", id(&job))).await;
    assert!(scene.status().is_success(), "{}", scene.status());
}

/// The queue is lost and restored from a backup: nothing is missing, and a copy without tables is rejected.
#[tokio::test]
async fn a_lost_queue_comes_back_from_its_copy() {
    let mut service = Service::start(&[]);
    let job = id(&service.submit(3, stages_of(0)).await);
    service.ended(&job).await;
    let (data, copy) = (service.dir.path().to_owned(), service.dir.path().join("copy.db"));
    let splat_with = |command: &str| {
        let output = splat().arg(command).arg(&copy).arg("--data-dir").arg(&data).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(splat_with("backup").0, Some(0), "while the service runs");
    service.kill();
    for name in ["queue.db", "queue.db-wal", "queue.db-shm"] {
        // The write-ahead log may not exist.
        let _ = std::fs::remove_file(data.join(name));
    }
    service.restart();
    assert_eq!(service.get(&format!("/v1/jobs/{job}")).await.status(), 404);
    service.kill();
    assert_eq!(splat_with("restore").0, Some(0));
    service.restart();
    let scene = service.get(&format!("/v1/jobs/{job}/artifacts/scene.ply")).await;
    assert!(scene.status().is_success(), "{}", scene.status());
    std::fs::write(&copy, []).unwrap();
    let (code, said) = splat_with("restore");
    assert!(code == Some(2) && said.contains("no tables"), "{code:?}: {said}");
    let output = splat().args(["backup", "x.db", "--redis-url", "redis://127.0.0.1:1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

/// Reduced for normal test runs; `SPLAT_KILLS=100` is the full size.
#[tokio::test]
async fn kill_9_at_any_moment_loses_nothing() {
    let kills: u64 = std::env::var("SPLAT_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(8);
    let mut service = Service::start(&["--lease-s", "2", "--max-attempts", "1000"]);
    let mut jobs = Vec::new();
    for kill in 0..kills {
        // Sometimes killed during an upload: only what was not acknowledged may be lost.
        let request = service
            .request("POST", "/v1/jobs")
            .multipart(form(3).text("test", json!({"stage_ms": 120}).to_string()));
        let submitting = tokio::spawn(request.send());
        // At any moment between the middle of an upload and the end of a job.
        tokio::time::sleep(Duration::from_millis(7 + kill * 397 % 1500)).await;
        service.kill();
        if let Ok(Ok(response)) = submitting.await
            && response.status() == 202
            && let Ok(job) = response.json().await
        {
            jobs.push(id(&job));
        }
        service.restart();
    }
    assert!(!jobs.is_empty(), "no job was ever acknowledged");
    for job in &jobs {
        let job = service.ended(job).await;
        assert_eq!(state(&job), "succeeded", "{job:#}");
        let events = service.get(&format!("/v1/jobs/{}/events", id(&job))).await.text().await.unwrap();
        assert_eq!(events.matches("\"state\":\"succeeded\"").count(), 1, "done twice: {events}");
        let scene = service.get(&format!("/v1/jobs/{}/artifacts/scene.ply", id(&job))).await;
        assert!(scene.status().is_success(), "succeeded without a scene: {job:#}");
    }
}
