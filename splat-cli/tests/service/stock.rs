//! Gesture requests of the two existing apps, byte for byte.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};
use splat_gesture::{Bundle, Frame, Layout};
use splat_test_needs::needs;

use crate::access::make_key;
use crate::gestures::{one, post, start, tell};
use crate::harness::{PATIENCE, Service, splat};
use crate::operators::command;

/// Sends one raw request; returns status and body of the response.
fn wire(service: &Service, head: &str, body: &str) -> (u16, Vec<u8>) {
    let address = service.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(head.replace("{host}", address).as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let mut piece = [0; 65536];
    loop {
        let read = stream.read(&mut piece).unwrap();
        answer.extend_from_slice(&piece[..read]);
        let Some(end) = answer.windows(4).position(|part| part == b"\r\n\r\n") else {
            assert!(read > 0, "the answer breaks off");
            continue;
        };
        let head = String::from_utf8(answer[..end].to_vec()).unwrap().to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        if answer.len() >= end + 4 + length.parse::<usize>().unwrap() {
            let status = head.split(' ').nth(1).unwrap().parse().unwrap();
            return (status, answer[end + 4..].to_vec());
        }
        assert!(read > 0, "the answer breaks off");
    }
}

/// Differences between the two apps: order of JSON keys, headers, and polling interval.
struct Client {
    train: &'static str,
    get: &'static str,
    /// The body, from model code, gesture and landmarks.
    body: fn(&str, &str, &str) -> String,
    every: Duration,
    /// The progress it shows: a stage, or a text in the language that it requests.
    steps: &'static [&'static str],
}

/// The apps' requests by OkHttp with `org.json`, and by URLSession with `JSONEncoder`.
const CLIENTS: [Client; 2] = [
    Client {
        train: "POST /train HTTP/1.1\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: {length}\r\nHost: {host}\r\nConnection: Keep-Alive\r\nAccept-Encoding: gzip\r\nUser-Agent: okhttp/4.12.0\r\n\r\n",
        get: "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Keep-Alive\r\nAccept-Encoding: gzip\r\nUser-Agent: okhttp/4.12.0\r\n\r\n",
        body: |code, gesture, landmarks| {
            format!("{{\"model_code\":\"{code}\",\"gesture\":\"{gesture}\",\"landmarks\":{landmarks}}}")
        },
        every: Duration::from_millis(500),
        steps: &["start", "load", "compare", "train", "measure", "save"],
    },
    Client {
        train: "POST /train HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nConnection: keep-alive\r\nAccept: */*\r\nUser-Agent: Runner/1 CFNetwork/1498.700.2 Darwin/23.6.0\r\nAccept-Language: ko-KR,ko;q=0.9\r\nAccept-Encoding: gzip, deflate\r\nContent-Length: {length}\r\n\r\n",
        get: "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: keep-alive\r\nAccept: */*\r\nUser-Agent: Runner/1 CFNetwork/1498.700.2 Darwin/23.6.0\r\nAccept-Language: ko-KR,ko;q=0.9\r\nAccept-Encoding: gzip, deflate\r\n\r\n",
        body: |code, gesture, landmarks| {
            format!("{{\"landmarks\":{landmarks},\"gesture\":\"{gesture}\",\"model_code\":\"{code}\"}}")
        },
        every: Duration::from_millis(200),
        steps: &[
            "모델을 불러오는 중",
            "기존 제스처와 비교하는 중",
            "제스처를 학습하는 중",
            "결과를 확인하는 중",
            "모델을 저장하는 중",
        ],
    },
];

/// Requests of the page that both apps show during a training: Dart's `http` package, without a language.
const PAGE: &str =
    "GET {path} HTTP/1.1\r\nuser-agent: Dart/3.8 (dart:io)\r\naccept-encoding: gzip\r\nhost: {host}\r\n\r\n";

/// Sends a recording as a phone does, and returns the task.
fn begun(service: &Service, client: &Client, code: &str, gesture: &str, landmarks: &str) -> String {
    let body = (client.body)(code, gesture, landmarks);
    let (status, answer) = wire(service, &client.train.replace("{length}", &body.len().to_string()), &body);
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&answer));
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    let task = answer["task_id"].as_str().unwrap();
    assert_eq!(answer, json!({ "task_id": task }));
    task.to_owned()
}

/// Polls a task once as a phone does.
fn asked(service: &Service, client: &Client, task: &str) -> Value {
    let (status, answer) = wire(service, &client.get.replace("{path}", &format!("/status/{task}")), "");
    assert_eq!(status, 200);
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    let keys: Vec<&String> = answer.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["error_info", "progress", "result", "status", "task_id"]);
    assert_eq!(answer["task_id"], task);
    answer
}

/// Records as a phone does, and returns the URL and the bytes of the resulting model.
fn as_client(service: &Service, client: &Client, gesture: &str, frames: &[Vec<f32>]) -> (String, Vec<u8>) {
    let begun_at = Instant::now();
    let task = begun(service, client, "base_v1", gesture, &serde_json::to_string(frames).unwrap());
    let result = loop {
        let answer = asked(service, client, &task);
        match answer["status"].as_str().unwrap() {
            "PENDING" => assert!(answer["progress"].is_null() && answer["result"].is_null()),
            "PROGRESS" => {
                let step = answer["progress"]["current_step"].as_str().unwrap();
                assert!(client.steps.contains(&step), "{answer}");
            }
            "SUCCESS" => {
                assert!(answer["error_info"].is_null());
                break answer["result"].clone();
            }
            other => panic!("{other}: {answer:#}"),
        }
        assert!(begun_at.elapsed() < PATIENCE);
        std::thread::sleep(client.every);
    };
    let (url, code) = (result["tflite_url"].as_str().unwrap(), result["model_code"].as_str().unwrap());
    assert!(url.starts_with(&service.url) && !url.contains('?') && !url.contains('#'), "{url}");
    // The name that clients save it under; the secret is in front of it.
    let name = url.rsplit('/').next().unwrap();
    assert_eq!(name, format!("{code}.tflite"));
    let path = url.strip_prefix(&service.url).unwrap();
    let (status, model) = wire(service, &client.get.replace("{path}", path), "");
    assert_eq!(status, 200);
    tell(&format!("POST to downloaded model, as a stock client: {:.2} s", begun_at.elapsed().as_secs_f64()));
    (url.to_owned(), model)
}

#[needs("gesture/ghostouch_incremental_one.csv")]
#[tokio::test(flavor = "multi_thread")]
async fn stock_clients_work_unmodified() {
    let frames = one();
    let service = start(&[]);
    for client in &CLIENTS {
        let (url, model) = as_client(&service, client, "one", &frames);
        assert_eq!(&model[4..8], b"TFL3");
        assert!(model.len() <= 40_000, "{} bytes", model.len());
        let code = url.rsplit('/').next().unwrap().trim_end_matches(".tflite").to_owned();
        let stored =
            service.get(&format!("/v1/gestures/{code}/files/model.gesture")).await.bytes().await.unwrap();
        let bundle = Bundle::from_bytes(&stored).unwrap();
        assert_eq!(bundle.labels(), ["paper", "rock", "scissors", "one"], "the new label comes last");
        assert_eq!(bundle.legacy_tflite(), model, "what is fetched is what was trained");
        let known = frames.iter().enumerate().filter(|(index, values)| {
            let frame = Frame::parse(values, Layout::World, *index).unwrap();
            bundle.model().predict(&frame).gesture == Some(3)
        });
        assert!(known.count() >= 90, "the gesture is recognised");
        // The secret gives access to this model only; the name alone gives access to none.
        let other = url.replace(&url[service.url.len() + 8..service.url.len() + 12], "0000");
        assert_eq!(service.client.get(other).send().await.unwrap().status(), StatusCode::NOT_FOUND);
    }
}

/// Both apps log any status but 200 and show their progress forever.
#[needs("gesture/ghostouch_incremental_one.csv")]
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_reaches_stock_clients_as_a_task_that_failed() {
    let frames = one();
    let mut service = start(&[]);
    let (status, model) =
        post(&service, "/v1/gestures/base_v1/rename", &json!({"gesture": "rock", "to": "stone"})).await;
    assert_eq!(status, StatusCode::CREATED, "{model:#}");
    let deleted = model["id"].as_str().unwrap().to_owned();
    let gone = service.request("DELETE", &format!("/v1/gestures/{deleted}")).send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::NO_CONTENT);
    let json_of = |frames: &[Vec<f32>]| serde_json::to_string(frames).unwrap();
    let all = json_of(&frames);
    // Up to a tenth is left out, if enough remain.
    let mut one_bad = frames[..40].to_vec();
    one_bad[5][3] = 9.0;
    let mut bad = frames.clone();
    for frame in &mut bad[17..30] {
        frame.pop();
    }
    let cases = [
        ("base_v1", "one", json_of(&frames[..39]), ["39", "40"]),
        ("base_v1", "paper", all.clone(), ["`paper`", "already"]),
        ("1763212345_3f9c01ab", "one", all.clone(), ["`1763212345_3f9c01ab`", "base_v1"]),
        (&deleted, "one", all.clone(), [&deleted, "base_v1"]),
        ("base_v1", "one", json_of(&one_bad), ["frame 5", "9"]),
        ("base_v1", "one", json_of(&bad), ["frame 17", "63"]),
        ("base_v1", "", all, ["name", "character"]),
    ];
    let mut tasks = Vec::new();
    for client in &CLIENTS {
        for (code, gesture, landmarks, whys) in &cases {
            let task = begun(&service, client, code, gesture, landmarks);
            let answer = asked(&service, client, &task);
            assert_eq!(answer["status"], "FAILURE", "{answer}");
            assert!(answer["progress"].is_null() && answer["result"].is_null(), "{answer}");
            let info = answer["error_info"].as_str().unwrap().to_owned();
            assert!(whys.iter().all(|why| info.contains(why)), "{info}");
            let (status, page) = wire(&service, &PAGE.replace("{path}", &format!("/status/{task}")), "");
            assert_eq!(status, 200);
            assert_eq!(serde_json::from_slice::<Value>(&page).unwrap(), answer, "the page hears the same");
            tasks.push((task, info));
        }
    }
    assert_eq!(service.json("/v1/jobs").await["jobs"], json!([]), "nothing of it is a job");
    service.restart();
    for (task, info) in tasks {
        assert_eq!(asked(&service, &CLIENTS[0], &task)["error_info"], info.as_str(), "also after a restart");
    }
}

#[tokio::test]
async fn a_task_that_is_not_known_has_failed() {
    let service = start(&[]);
    for task in ["nothing", "0123456789abcdefghjkmnpqrs", "..%2f..%2fetc%2fpasswd", "%00"] {
        let response = service.get(&format!("/status/{task}")).await;
        assert_eq!(response.status(), StatusCode::OK, "{task}");
        let answer: Value = response.json().await.unwrap();
        assert_eq!(answer["status"], "FAILURE", "{answer}");
        assert!(answer["error_info"].as_str().unwrap().contains("no such task"), "{answer}");
    }
}

#[needs("gesture/ghostouch_incremental_one.csv")]
#[tokio::test(flavor = "multi_thread")]
async fn an_operator_can_open_the_old_routes_to_clients_without_keys() {
    let frames = one();
    let mut service = start(&["--legacy-gestures"]);
    let alice = make_key(&service, "alice", "user");
    service.add_options(&["--public-url", "https://gestures.example.com/"]);
    service.restart();
    let body = json!({ "model_code": "base_v1", "gesture": "one", "landmarks": frames });
    let (status, task) = post(&service, "/train", &body).await;
    assert_eq!(status, StatusCode::OK, "{task:#}");
    let path = format!("/status/{}", task["task_id"].as_str().unwrap());
    let begun = Instant::now();
    let done = loop {
        let answer = service.json(&path).await;
        if !matches!(answer["status"].as_str(), Some("PENDING" | "PROGRESS")) {
            break answer;
        }
        assert!(begun.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(done["status"], "SUCCESS", "{done:#}");
    let url = done["result"]["tflite_url"].as_str().unwrap();
    assert!(url.starts_with("https://gestures.example.com/models/"), "{url}");
    // No other route is open, and the owner shared by clients without keys has no access to models of those with keys.
    assert_eq!(service.get("/v1/gestures").await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(service.get("/v1/jobs").await.status(), StatusCode::UNAUTHORIZED);
    service.with_key(&alice);
    assert_eq!(service.json(&path).await["status"], "FAILURE");

    // The operator lists all models, and removes one of them together with its URL.
    let model = done["result"]["model_code"].as_str().unwrap();
    let download = url.strip_prefix("https://gestures.example.com").unwrap();
    assert_eq!(service.get(download).await.status(), StatusCode::OK);
    let listed = command(&service, &["admin", "gestures", "--owner", "legacy"]);
    assert_eq!(listed[0]["id"], model, "{listed:#}");
    assert_eq!(listed[0]["labels"], json!(["paper", "rock", "scissors", "one"]));
    assert_eq!(command(&service, &["admin", "gestures", "--owner", "local"]), json!([]));
    let deleted = command(&service, &["admin", "delete-gesture", model]);
    assert_eq!(deleted, json!({ "deleted": model, "owner": "legacy" }));
    assert_eq!(command(&service, &["admin", "gestures"]), json!([]));
    assert_eq!(service.get(download).await.status(), StatusCode::NOT_FOUND);
    let mut again = splat();
    again.args(["admin", "delete-gesture", model, "--data-dir"]).arg(service.dir.path());
    let output = again.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("splat admin gestures"));
}
