//! Gesture jobs under way: killed, cancelled, without their parent, and beside scenes.

use std::time::Instant;

use reqwest::StatusCode;
use serde_json::json;
use splat_test_needs::needs;

use crate::gestures::{add, gesture, one, post, start, tell};
use crate::harness::{Service, id, stages_of, state};

#[needs("gesture/ghostouch_incremental_one.csv")]
#[tokio::test]
async fn kill_9_in_mid_training_loses_nothing() {
    let frames = one();
    let mut service = start(&["--lease-s", "2"]);
    let mut body = gesture("one", "base_v1", &frames);
    body["test"] = json!({ "stage_ms": 1500 });
    let (_, job) = post(&service, "/v1/jobs", &body).await;
    let job = id(&job);
    service.job_when(&job, |job| job["progress"]["stage"] == "compare").await;
    service.kill();
    service.restart();
    let job = service.ended(&job).await;
    assert_eq!((state(&job), job["attempts"].as_u64()), ("succeeded", Some(2)), "{job:#}");
    assert_eq!(service.json("/v1/gestures").await["gestures"].as_array().unwrap().len(), 1);
}

#[needs("gesture/ghostouch_incremental_one.csv")]
#[tokio::test]
async fn a_training_is_cancelled_within_seconds() {
    let frames = one();
    let service = start(&[]);
    let mut body = gesture("one", "base_v1", &frames);
    body["test"] = json!({ "stage_ms": 60_000 });
    let (_, job) = post(&service, "/v1/jobs", &body).await;
    let job = id(&job);
    service.job_when(&job, |job| job["state"] == "running").await;
    service.request("POST", &format!("/v1/jobs/{job}/cancel")).send().await.unwrap();
    assert_eq!(state(&service.ended(&job).await), "cancelled");
    assert_eq!(service.json("/v1/gestures").await["gestures"], json!([]));
}

/// Otherwise the frames of a deleted model would persist in a child stored after the deletion.
#[needs("gesture/ghostouch_incremental_one.csv")]
#[tokio::test]
async fn no_job_keeps_a_child_of_a_model_that_is_deleted_meanwhile() {
    let frames = one();
    let service = start(&[]);
    let renaming = json!({"gesture": "rock", "to": "stone"});
    let (_, parent) = post(&service, "/v1/gestures/base_v1/rename", &renaming).await;
    let parent = id(&parent);
    let mut body = gesture("one", &parent, &frames);
    body["test"] = json!({ "stage_ms": 1500 });
    let (status, job) = post(&service, "/v1/jobs", &body).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{job:#}");
    let job = id(&job);
    service.job_when(&job, |job| job["progress"]["stage"] == "compare").await;
    let deleted = service.request("DELETE", &format!("/v1/gestures/{parent}")).send().await.unwrap();
    assert_eq!(deleted.status(), StatusCode::NO_CONTENT);
    let job = service.ended(&job).await;
    assert_eq!((state(&job), &job["problem"]["code"]), ("failed", &json!("no_parent")), "{job:#}");
    assert!(job["problem"]["message"].as_str().unwrap().contains("deleted"), "{job:#}");
    assert_eq!(service.json("/v1/gestures").await["gestures"], json!([]));
    assert_eq!(job["artifacts"], json!([]));
    // A job without a model cannot be deleted by this route.
    let path = format!("/v1/gestures/{}", id(&job));
    assert_eq!(service.request("DELETE", &path).send().await.unwrap().status(), StatusCode::NOT_FOUND);
    assert_eq!(state(&service.json(&format!("/v1/jobs/{}", id(&job))).await), "failed");
}

/// Without a given base model, the service builds it at the first request, and only once for concurrent requests.
#[needs("gesture/ghostouch_incremental_one.csv")]
#[tokio::test]
async fn a_scene_delays_no_gesture_and_the_base_model_is_made_once() {
    let frames = one();
    let service = Service::start(&[]);
    let scene = id(&service.submit(3, stages_of(20_000)).await);
    service.job_when(&scene, |job| job["state"] == "running").await;
    let begun = Instant::now();
    let mut jobs = Vec::new();
    for _ in 0..4 {
        let (status, job) = post(&service, "/v1/jobs", &gesture("one", "base_v1", &frames)).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{job:#}");
        jobs.push(id(&job));
    }
    for job in &jobs {
        assert_eq!(state(&service.ended(job).await), "succeeded");
    }
    tell(&format!("four at once, base model made meanwhile: {:.1} s", begun.elapsed().as_secs_f64()));
    assert_eq!(state(&service.json(&format!("/v1/jobs/{scene}")).await), "running");
    // The same input and seed give the same bytes.
    let mut models = Vec::new();
    for job in &jobs {
        models.push(
            service.get(&format!("/v1/gestures/{job}/files/model.gesture")).await.bytes().await.unwrap(),
        );
    }
    assert!(models.windows(2).all(|pair| pair[0] == pair[1]));
    let begun = Instant::now();
    add(&service, "up", "base_v1", &frames).await;
    tell(&format!("POST to finished job while a scene runs: {:.2} s", begun.elapsed().as_secs_f64()));
}
