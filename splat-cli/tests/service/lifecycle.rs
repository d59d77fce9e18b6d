//! A job after its submission: idempotency, cancelling, retrying, training again, deleting.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Service, form, id, stages_of, state};

#[tokio::test]
async fn one_idempotency_key_is_one_job() {
    let service = Service::start(&[]);
    let post = |photos| {
        service.request("POST", "/v1/jobs").header("idempotency-key", "k1").multipart(form(photos)).send()
    };
    let first: Value = post(3).await.unwrap().json().await.unwrap();
    let again: Value = post(3).await.unwrap().json().await.unwrap();
    assert_eq!(id(&first), id(&again));
    let other = post(4).await.unwrap();
    assert_eq!(other.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(other.json::<Value>().await.unwrap()["code"], "idempotency_key_reused");
    service.ended(&id(&first)).await;
    let folders = std::fs::read_dir(service.dir.path().join("jobs")).unwrap().count();
    assert_eq!(folders, 1, "files of jobs that were not made are left");
}

#[tokio::test]
async fn cancelling_is_quick_in_every_state() {
    let service = Service::start(&[]);
    let running = id(&service.submit(3, stages_of(60_000)).await);
    let waiting = id(&service.submit(3, stages_of(0)).await);
    service.job_when(&running, |job| state(job) == "running").await;
    assert_eq!(service.json(&format!("/v1/jobs/{waiting}")).await["queue_position"], 0);
    let cancel = |job: &str| service.request("POST", &format!("/v1/jobs/{job}/cancel")).send();
    let answer: Value = cancel(&waiting).await.unwrap().json().await.unwrap();
    assert_eq!(state(&answer), "cancelled");
    assert_eq!(cancel(&running).await.unwrap().status(), StatusCode::ACCEPTED);
    assert_eq!(state(&service.ended(&running).await), "cancelled");
}

#[tokio::test]
async fn failed_jobs_say_why_and_are_done_again_from_a_stage() {
    let service = Service::start(&[]);
    let job = id(&service.submit(3, json!({"stage_ms": 0, "fail_at": "mapping"})).await);
    let failed = service.ended(&job).await;
    assert_eq!(
        (state(&failed), failed["problem"]["code"].as_str()),
        ("failed", Some("acted_out")),
        "{failed:#}"
    );
    let retry = |body: Value| service.request("POST", &format!("/v1/jobs/{job}/retry")).json(&body).send();
    let wrong = retry(json!({"from": "lunch"})).await.unwrap();
    assert_eq!(wrong.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let problem: Value = wrong.json().await.unwrap();
    assert!(problem["detail"].as_str().unwrap().contains("`from`"), "{problem}");
    let no_json = service.request("POST", &format!("/v1/jobs/{job}/retry")).body("{\"from\"").send();
    assert_eq!(no_json.await.unwrap().status(), StatusCode::BAD_REQUEST);
    assert_eq!(retry(json!({"from": "matching"})).await.unwrap().status(), StatusCode::ACCEPTED);
    service.ended(&job).await;
    let log = service.get(&format!("/v1/jobs/{job}/log")).await.text().await.unwrap();
    let count = |stage: &str| log.matches(&format!("{stage} done")).count();
    // Finished stages are skipped quickly, and reported again.
    assert_eq!((count("features"), count("matching")), (2, 2), "{log}");
    let events = service.get(&format!("/v1/jobs/{job}/events")).await.text().await.unwrap();
    let skipped = events.matches("\"skipped\":true").count();
    assert_eq!(skipped, 2, "prepare and features are kept, matching is done again");
}

/// First a small scene, then a full one from the same photos and poses.
#[tokio::test]
async fn a_scene_is_made_again_with_other_settings() {
    let service = Service::start(&[]);
    let first = id(&service.submit(3, stages_of(0)).await);
    service.ended(&first).await;
    let folder = |job: &str| service.dir.path().join("jobs").join(job);
    let poses = "output/colmap_data/sparse/0/cameras.bin";
    std::fs::create_dir_all(folder(&first).join(poses).parent().unwrap()).unwrap();
    std::fs::write(folder(&first).join(poses), b"poses").unwrap();
    let again = |body: Value| service.request("POST", "/v1/jobs").json(&body).send();
    let test = json!({"stage_ms": 0});
    for (options, has_poses) in [
        (json!({"preset": "high", "test": test}), true),
        (json!({"preset": "preview", "quality": "extreme", "test": test}), false),
        (json!({"preset": "preview", "keep_distortion": true, "test": test}), false),
    ] {
        let response = again(json!({"from": first, "options": options})).await.unwrap();
        assert_eq!(response.status(), StatusCode::ACCEPTED, "{}", response.text().await.unwrap());
        let made = id(&response.json().await.unwrap());
        assert_ne!(made, first);
        let job = service.ended(&made).await;
        assert_eq!(state(&job), "succeeded", "{job:#}");
        assert_eq!(job["options"]["preset"], options["preset"]);
        assert_eq!(job["photos"].as_array().unwrap().len(), 3);
        assert!(folder(&made).join("images/0003.png").is_file());
        assert_eq!(folder(&made).join(poses).exists(), has_poses, "{options}");
    }
    // The scenes are independent of each other.
    service.request("DELETE", &format!("/v1/jobs/{first}")).send().await.unwrap();
    let gone = again(json!({"from": first})).await.unwrap();
    assert_eq!(gone.status(), StatusCode::NOT_FOUND);
    let both = again(json!({"from": first, "uploads": [first]})).await.unwrap();
    assert_eq!(both.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let busy = id(&service.submit(3, stages_of(5000)).await);
    let refused = again(json!({"from": busy})).await.unwrap();
    assert_eq!(refused.status(), StatusCode::CONFLICT);
    let words = again(json!({"uploads": [], "options": {"iterations": "many"}})).await.unwrap();
    let problem: Value = words.json().await.unwrap();
    assert!(problem["detail"].as_str().unwrap().contains("must be a whole number"), "{problem:#}");
}

#[tokio::test]
async fn a_deleted_job_is_gone_with_its_files() {
    let service = Service::start(&[]);
    let running = id(&service.submit(3, stages_of(60_000)).await);
    let job = format!("/v1/jobs/{running}");
    let refused = service.request("DELETE", &job).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::CONFLICT);
    service.request("POST", &format!("{job}/cancel")).send().await.unwrap();
    service.ended(&running).await;
    assert_eq!(service.request("DELETE", &job).send().await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(service.get(&job).await.status(), StatusCode::NOT_FOUND);
    assert!(!service.dir.path().join("jobs").join(&running).exists());
}

/// Whichever request is first, the other one finds either a job with all its files or no job.
#[tokio::test]
async fn deleting_beside_a_retry_leaves_no_job_without_photos() {
    let service = Service::start(&[]);
    for _ in 0..12 {
        let job = id(&service.submit(3, stages_of(0)).await);
        service.ended(&job).await;
        let (deleted, retried) = tokio::join!(
            service.request("DELETE", &format!("/v1/jobs/{job}")).send(),
            service.request("POST", &format!("/v1/jobs/{job}/retry")).send(),
        );
        let (deleted, retried) = (deleted.unwrap().status(), retried.unwrap().status());
        let photos = service.dir.path().join("jobs").join(&job).join("images/0003.png");
        match (deleted, retried) {
            (StatusCode::NO_CONTENT, StatusCode::NOT_FOUND) => {
                assert_eq!(service.get(&format!("/v1/jobs/{job}")).await.status(), StatusCode::NOT_FOUND);
            }
            (StatusCode::CONFLICT, StatusCode::ACCEPTED) => {
                assert!(photos.is_file(), "the job goes on without its photos");
                assert_eq!(state(&service.ended(&job).await), "succeeded");
            }
            // The job ended again before the other request was processed.
            (StatusCode::NO_CONTENT, StatusCode::ACCEPTED) => {}
            other => panic!("{other:?}"),
        }
    }
}
