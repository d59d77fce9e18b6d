//! Gestures through the public interface: the native API, rejections, and owners.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Instant;

use reqwest::StatusCode;
use serde_json::{Value, json};
use splat_gesture::{Frame, Layout, read_landmarks};
use splat_test_needs::needs;

use crate::access::make_key;
use crate::harness::{Service, id, state};

/// Recordings in the shared test data, by label.
fn recordings(file: &str) -> Vec<(String, Vec<Vec<f32>>)> {
    let path = crate::test_data::shared(&format!("gesture/{file}"));
    let groups = read_landmarks(&fs::read_to_string(path).unwrap(), Layout::World).unwrap();
    let values = |frames: &[Frame]| frames.iter().map(|frame| frame.values().to_vec()).collect();
    groups.iter().map(|group| (group.label.clone(), values(&group.frames))).collect()
}

/// The real recording of a new gesture: 100 frames of a raised finger.
pub(crate) fn one() -> Vec<Vec<f32>> {
    recordings("ghostouch_incremental_one.csv").swap_remove(0).1
}

#[expect(clippy::print_stderr, reason = "figures for who runs the tests with --nocapture")]
pub(crate) fn tell(text: &str) {
    eprintln!("{text}");
}

/// The base model as a file, built once for all tests.
fn base_file() -> &'static Path {
    static MADE: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = MADE.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("base.gesture");
        let begun = Instant::now();
        fs::write(&path, splat_gesture::base_v1(&|_| {}, &|| false).unwrap().to_bytes()).unwrap();
        tell(&format!("the base model took {:.1} s", begun.elapsed().as_secs_f64()));
        (dir, path)
    });
    path
}

pub(crate) fn start(options: &[&str]) -> Service {
    let base = base_file().to_str().unwrap();
    Service::start(&[&["--gesture-base", base], options].concat())
}

pub(crate) async fn post(service: &Service, path: &str, body: &Value) -> (StatusCode, Value) {
    let response = service.request("POST", path).json(body).send().await.unwrap();
    let status = response.status();
    (status, response.json().await.unwrap())
}

/// The reason `/train` gives its client for rejecting a body.
pub(crate) async fn refused(service: &Service, body: &str) -> String {
    let request = service.request("POST", "/train").header("content-type", "application/json");
    let response = request.body(body.to_owned()).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let task: Value = response.json().await.unwrap();
    let answer = service.json(&format!("/status/{}", task["task_id"].as_str().unwrap())).await;
    assert_eq!(answer["status"], "FAILURE", "{answer}");
    assert_eq!(answer["task_id"], task["task_id"]);
    answer["error_info"].as_str().unwrap().to_owned()
}

pub(crate) fn gesture(name: &str, parent: &str, frames: &[Vec<f32>]) -> Value {
    json!({ "kind": "gesture", "parent": parent, "gesture": name, "landmarks": frames, "layout": "world" })
}

/// Adds a gesture and waits for the end of the job.
pub(crate) async fn add(service: &Service, name: &str, parent: &str, frames: &[Vec<f32>]) -> Value {
    let (status, job) = post(service, "/v1/jobs", &gesture(name, parent, frames)).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{job:#}");
    service.ended(&id(&job)).await
}

#[needs("gesture/ghostouch_incremental_one.csv")]
#[tokio::test]
async fn a_model_grows_is_changed_and_goes_back() {
    let frames = one();
    let service = start(&[]);
    assert_eq!(service.json("/v1/info").await["gestures"], true);
    let begun = Instant::now();
    let job = add(&service, "one", "base_v1", &frames).await;
    tell(&format!("POST to finished job: {:.2} s", begun.elapsed().as_secs_f64()));
    assert_eq!(state(&job), "succeeded", "{job:#}");
    assert_eq!(
        job["gesture"],
        json!({"parent": "base_v1", "gesture": "one", "layout": "world", "frames": 100})
    );
    let model = job["result"]["model_code"].as_str().unwrap().to_owned();
    assert_eq!(job["result"]["labels"], json!(["paper", "rock", "scissors", "one"]));
    for figure in ["old_accuracy", "new_recall", "unknown_accepted", "legacy_accuracy"] {
        assert!(job["result"]["metrics"][figure].is_f64(), "{figure}: {job:#}");
    }
    let names: Vec<&str> =
        job["artifacts"].as_array().unwrap().iter().map(|file| file["name"].as_str().unwrap()).collect();
    for name in
        ["legacy.tflite", "model.tflite", "model.onnx", "labels.json", "manifest.json", "model.gesture"]
    {
        assert!(names.contains(&name), "{names:?}");
        let of_job =
            service.get(&format!("/v1/jobs/{}/artifacts/{name}", id(&job))).await.bytes().await.unwrap();
        let of_model =
            service.get(&format!("/v1/gestures/{model}/files/{name}")).await.bytes().await.unwrap();
        assert!(!of_job.is_empty() && of_job == of_model, "{name}");
    }
    let events = service.get(&format!("/v1/jobs/{}/events", id(&job))).await.text().await.unwrap();
    for kind in ["event: progress", "event: artifact", "event: eval", "\"state\":\"succeeded\""] {
        assert!(events.contains(kind), "{kind}: {events}");
    }

    let path = |action: &str| format!("/v1/gestures/{model}{action}");
    let (status, renamed) = post(&service, &path("/rename"), &json!({"gesture": "one", "to": "up"})).await;
    assert_eq!(status, StatusCode::CREATED, "{renamed:#}");
    assert_eq!(renamed["labels"], json!(["paper", "rock", "scissors", "up"]));
    assert_eq!(renamed["parent"], model.as_str());
    let (status, smaller) = post(&service, &path("/delete"), &json!({"gesture": "rock"})).await;
    assert_eq!(status, StatusCode::CREATED, "{smaller:#}");
    assert_eq!(smaller["labels"], json!(["paper", "scissors", "one"]));
    for (action, body, status) in [
        ("/rename", json!({"gesture": "none such", "to": "x"}), 422),
        ("/rename", json!({"gesture": "one", "to": "paper"}), 409),
        ("/rename", json!({"gesture": "one", "to": "a/b"}), 422),
        ("/delete", json!({"gesture": "none such"}), 422),
        ("/delete", json!({}), 422),
    ] {
        let (answered, problem) = post(&service, &path(action), &body).await;
        assert_eq!(answered.as_u16(), status, "{action} {body}: {problem:#}");
    }
    let listed = service.json("/v1/gestures").await;
    assert_eq!(listed["gestures"].as_array().unwrap().len(), 3, "{listed:#}");
    let page = service.json("/v1/gestures?limit=2").await;
    let rest = service.json(&format!("/v1/gestures?limit=2&before={}", page["next"].as_str().unwrap())).await;
    assert_eq!(rest["gestures"].as_array().unwrap().len(), 1, "{rest:#}");

    // A gesture is added to the renamed model after its parent was deleted.
    assert_eq!(service.request("DELETE", &path("")).send().await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(service.get(&path("")).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(service.get(&format!("/v1/jobs/{}", id(&job))).await.status(), StatusCode::NOT_FOUND);
    let url = format!("{}{}", service.url, job["result"]["download"].as_str().unwrap());
    assert_eq!(service.client.get(url).send().await.unwrap().status(), StatusCode::NOT_FOUND);
    let (status, problem) = post(&service, "/v1/jobs", &gesture("one", &model, &frames)).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{problem:#}");
    // The original parent is unchanged.
    let back = add(&service, "one", "base_v1", &frames).await;
    assert_eq!(back["result"]["labels"], job["result"]["labels"], "{back:#}");
    let twice = add(&service, "two", renamed["id"].as_str().unwrap(), &frames).await;
    assert_eq!(
        (state(&twice), twice["problem"]["code"].as_str()),
        ("failed", Some("duplicate")),
        "{twice:#}"
    );
}

#[needs("gesture/ghostouch_base_v1.csv", "gesture/ghostouch_incremental_one.csv")]
#[tokio::test]
async fn what_is_not_good_enough_is_refused_with_the_reason() {
    let frames = one();
    let base = recordings("ghostouch_base_v1.csv");
    let service = start(&[]);
    let rock = &base.iter().find(|(label, _)| label == "rock").unwrap().1;
    let job = add(&service, "fist", "base_v1", rock).await;
    assert_eq!((state(&job), job["problem"]["code"].as_str()), ("failed", Some("refused")), "{job:#}");
    assert!(job["problem"]["message"].as_str().unwrap().contains("`rock`"), "{job:#}");
    assert!(job["problem"]["hint"].is_string(), "{job:#}");
    let alike =
        job["problem"]["reasons"].as_array().unwrap().iter().find(|reason| reason["code"] == "look_alike");
    assert_eq!(alike.map(|alike| &alike["params"]["other"]), Some(&json!("rock")), "{job:#}");
    let report = service.json(&format!("/v1/jobs/{}/artifacts/report.json", id(&job))).await;
    assert_eq!(report["confused_with"][0]["gesture"], "rock", "{report:#}");
    let answer = service.json(&format!("/status/{}", id(&job))).await;
    assert_eq!(answer["status"], "FAILURE", "{answer}");
    assert!(answer["error_info"].as_str().unwrap().contains("rock"), "{answer}");
    assert_eq!(service.json("/v1/gestures").await["gestures"], json!([]));

    let model = id(&add(&service, "one", "base_v1", &frames).await);
    let body = json!({ "model_code": model, "gesture": "again", "landmarks": frames });
    let (status, task) = post(&service, "/train", &body).await;
    assert_eq!(status, StatusCode::OK, "{task:#}");
    let task = task["task_id"].as_str().unwrap();
    service.ended(task).await;
    let answer = service.json(&format!("/status/{task}")).await;
    assert_eq!(answer["status"], "DUPLICATE", "{answer}");
}

#[tokio::test]
async fn bad_input_is_told_and_nothing_is_stored() {
    let service = start(&[]);
    let frame = |index: usize| -> Vec<f32> {
        (0..64)
            .map(|at| if at == 63 { 1.0 } else { (at * 7 % 19) as f32 * 0.01 - 0.09 + index as f32 * 1e-4 })
            .collect()
    };
    let good: Vec<Vec<f32>> = (0..100).map(frame).collect();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut body = json!({ "model_code": "base_v1", "gesture": "new", "landmarks": good });
        change(&mut body);
        body.to_string()
    };
    // A tenth of bad frames is left out.
    let most = |pointer: &'static str, value: Value| {
        with(&move |body| {
            for frame in 7..30 {
                *body.pointer_mut(&format!("/landmarks/{frame}{pointer}")).unwrap() = value.clone();
            }
        })
    };
    let set = |pointer: &'static str, value: Value| {
        with(&move |body| *body.pointer_mut(pointer).unwrap() = value.clone())
    };
    let cases = [
        (most("", json!([0.1])), 422, "frame 7"),
        (set("/landmarks/7/3", json!(null)), 422, "landmarks[7][3]"),
        (most("/3", json!(9.5)), 422, "9.5"),
        (most("/63", json!(0.5)), 422, "handedness"),
        (most("", json!(vec![0.0; 64])), 422, "no hand"),
        (set("/landmarks", json!([])), 422, "too few"),
        (set("/landmarks", json!(good[..20])), 422, "too few"),
        (set("/landmarks", json!(vec![good[0].clone(); 100])), 422, "differ"),
        (set("/landmarks", json!(good.iter().cycle().take(700).collect::<Vec<_>>())), 422, "too many"),
        (set("/gesture", json!("")), 422, "name"),
        (set("/gesture", json!("../../etc/passwd")), 422, "name"),
        (set("/gesture", json!("x".repeat(21))), 422, "21 characters"),
        (set("/gesture", json!("paper")), 409, "already"),
        (set("/model_code", json!("../../../etc/passwd")), 422, "Begin anew"),
        (set("/model_code", json!("base_v1/../../x")), 422, "Begin anew"),
        (set("/model_code", json!("C:\\base_v1")), 422, "Begin anew"),
        (set("/model_code", json!("0123456789abcdefghjkmnpqrs")), 404, "Begin anew"),
        (set("/model_code", json!(7)), 422, "model_code"),
        (with(&|body| drop(body.as_object_mut().unwrap().remove("gesture"))), 422, "gesture"),
        (with(&|_| {}).replacen("-0.09", "NaN", 1), 400, "JSON"),
        (with(&|_| {}).replacen("-0.09", "1e999", 1), 400, "JSON"),
        (with(&|_| {}) + "x", 400, "JSON"),
        ("[".repeat(100_000), 422, "cannot be used"),
        (format!("{{\"x\":{}", "[".repeat(100_000)), 400, "JSON"),
        (" ".repeat(5 << 20), 413, "large"),
    ];
    let reasons = [
        ("frame 7", "frame_length"),
        ("9.5", "out_of_range"),
        ("handedness", "handedness"),
        ("no hand", "no_hand"),
        ("too few", "too_few_frames"),
        ("differ", "frozen"),
        ("too many", "too_many_frames"),
        ("21 characters", "name_length"),
        ("already", "name_taken"),
    ];
    for (body, status, why) in cases {
        let shown: String = body.chars().take(80).collect();
        // Stock clients wait forever on any other status, so the task gives the reason.
        let refusal = refused(&service, &body).await;
        assert!(refusal.contains(why), "{shown}: {refusal}");
        // The native route responds with an error status; it checks the kind of job first.
        if !body.starts_with('{') || why == "JSON" {
            continue;
        }
        let native =
            body.replacen('{', "{\"kind\":\"gesture\",", 1).replacen("\"model_code\"", "\"parent\"", 1);
        let request = service.request("POST", "/v1/jobs").header("content-type", "application/json");
        let answered = request.body(native).send().await.unwrap();
        assert_eq!(answered.status().as_u16(), status, "{shown}");
        let problem: Value = answered.json().await.unwrap();
        // What the gesture's own checks refuse has a reason for programs; `invalid` and `name_taken` stay the codes.
        if let Some((_, reason)) = reasons.iter().find(|(text, _)| *text == why) {
            assert_eq!(problem["reasons"][0]["code"], *reason, "{shown}: {problem:#}");
            let code = if status == 409 { "name_taken" } else { "invalid" };
            assert_eq!(problem["code"], code, "{shown}: {problem:#}");
        }
    }
    for (change, status) in [
        (json!({"parent": "../base_v1"}), 422),
        (json!({"layout": "image"}), 422),
        (json!({"layout": "side"}), 422),
        (json!({"path": "/etc/passwd"}), 422),
        (json!({"webhook": "http://127.0.0.1/"}), 422),
    ] {
        let mut body = gesture("new", "base_v1", &good);
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let (answered, problem) = post(&service, "/v1/jobs", &body).await;
        assert_eq!(answered.as_u16(), status, "{change}: {problem:#}");
    }
    assert_eq!(service.json("/v1/jobs").await["jobs"], json!([]));
    for folder in ["jobs", "gestures", "gesture_downloads"] {
        let left: Vec<_> = fs::read_dir(service.dir.path().join(folder)).unwrap().collect();
        assert!(left.is_empty(), "{folder}: {left:?}");
    }
}

#[needs("gesture/ghostouch_incremental_one.csv")]
#[tokio::test(flavor = "multi_thread")]
async fn models_belong_to_their_owner() {
    let frames = one();
    let mut service = start(&[]);
    let (alice, bob) = (make_key(&service, "alice", "user"), make_key(&service, "bob", "user"));
    service.restart();
    let body = json!({ "model_code": "base_v1", "gesture": "one", "landmarks": frames });
    let (status, _) = post(&service, "/train", &body).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "keys are in use, and nobody opened this route");
    service.with_key(&alice);
    let job = add(&service, "one", "base_v1", &frames).await;
    let model = job["result"]["model_code"].as_str().unwrap().to_owned();
    let url = format!("{}{}", service.url, job["result"]["download"].as_str().unwrap());
    service.with_key(&bob);
    let files_before = count(service.dir.path());
    for (path, body) in [
        ("/v1/jobs".to_owned(), gesture("two", &model, &frames)),
        (format!("/v1/gestures/{model}/rename"), json!({"gesture": "one", "to": "two"})),
        (format!("/v1/gestures/{model}/delete"), json!({"gesture": "one"})),
    ] {
        let (status, problem) = post(&service, &path, &body).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}: {problem:#}");
    }
    let body = json!({ "model_code": model, "gesture": "two", "landmarks": frames });
    let refusal = refused(&service, &body.to_string()).await;
    assert!(refusal.contains(&model) && refusal.contains("no model"), "{refusal}");
    for path in ["", "/files/model.gesture"] {
        assert_eq!(service.get(&format!("/v1/gestures/{model}{path}")).await.status(), StatusCode::NOT_FOUND);
    }
    let delete = service.request("DELETE", &format!("/v1/gestures/{model}")).send().await.unwrap();
    assert_eq!(delete.status(), StatusCode::NOT_FOUND);
    assert_eq!(service.json("/v1/gestures").await["gestures"], json!([]));
    assert_eq!(service.json(&format!("/status/{model}")).await["status"], "FAILURE");
    assert_eq!(count(service.dir.path()), files_before, "nothing was stored");
    // The URL alone gives access to the model.
    assert_eq!(service.client.get(url).send().await.unwrap().status(), StatusCode::OK);
}

/// Files below a folder, except those of the queue.
fn count(dir: &Path) -> usize {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| {
            if path.is_dir() {
                count(&path)
            } else {
                usize::from(!path.to_string_lossy().contains("queue.db"))
            }
        })
        .sum()
}
