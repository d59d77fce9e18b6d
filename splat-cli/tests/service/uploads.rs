//! Resumable uploads: lost connections, offsets, rejections, and jobs that use them.

use base64::Engine;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Service, id, photo, state};

async fn begin(service: &Service, name: &str, length: usize) -> reqwest::Response {
    let name = base64::engine::general_purpose::STANDARD.encode(name);
    let request = service.request("POST", "/v1/uploads").header("tus-resumable", "1.0.0");
    request
        .header("upload-length", length)
        .header("upload-metadata", format!("filename {name}"))
        .send()
        .await
        .unwrap()
}

async fn piece(service: &Service, path: &str, offset: usize, bytes: Vec<u8>) -> reqwest::Response {
    let request =
        service.request("PATCH", path).header("tus-resumable", "1.0.0").header("upload-offset", offset);
    request.header("content-type", "application/offset+octet-stream").body(bytes).send().await.unwrap()
}

async fn upload(service: &Service, name: &str, bytes: Vec<u8>) -> String {
    let begun = begin(service, name, bytes.len()).await;
    assert_eq!(begun.status(), StatusCode::CREATED);
    let path = begun.headers()["location"].to_str().unwrap().to_owned();
    let half = bytes.len() / 2;
    assert_eq!(piece(service, &path, 0, bytes[..half].to_vec()).await.status(), StatusCode::NO_CONTENT);
    let wrong = piece(service, &path, half + 1, bytes[half + 1..].to_vec()).await;
    assert_eq!(wrong.status(), StatusCode::CONFLICT);
    let head = service.request("HEAD", &path).header("tus-resumable", "1.0.0").send().await.unwrap();
    assert_eq!(head.headers()["upload-offset"], half.to_string());
    assert_eq!(piece(service, &path, half, bytes[half..].to_vec()).await.status(), StatusCode::NO_CONTENT);
    path
}

#[tokio::test]
async fn a_scene_of_uploads() {
    let service = Service::start(&[]);
    let mut ids = Vec::new();
    for number in [3, 1, 2] {
        let path = upload(&service, &format!("p{number}.png"), photo(number)).await;
        ids.push(path.rsplit('/').next().unwrap().to_owned());
    }
    let body =
        json!({"kind": "scene", "uploads": ids, "options": {"preset": "preview", "test": {"stage_ms": 0}}});
    let response = service.request("POST", "/v1/jobs").json(&body).send().await.unwrap();
    let status = response.status();
    let job: Value = response.json().await.unwrap();
    assert_eq!(status, StatusCode::ACCEPTED, "{job:#}");
    let names: Vec<&str> =
        job["photos"].as_array().unwrap().iter().map(|photo| photo["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["p1.png", "p2.png", "p3.png"]);
    assert_eq!(state(&service.ended(&id(&job)).await), "succeeded");
    let again = service.request("POST", "/v1/jobs").json(&body).send().await.unwrap();
    assert_eq!(again.status(), StatusCode::NOT_FOUND, "uploads are used once");
}

#[tokio::test]
async fn a_file_that_is_no_photo_is_named_at_its_end_at_the_latest() {
    let service = Service::start(&[]);
    let path = begin(&service, "virus.jpg", 2000).await.headers()["location"].to_str().unwrap().to_owned();
    let refused = piece(&service, &path, 0, vec![b'x'; 2000]).await;
    assert_eq!(refused.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let problem: Value = refused.json().await.unwrap();
    assert_eq!(problem["rejected"][0]["name"], "virus.jpg", "{problem:#}");
}

#[tokio::test]
async fn wrong_headers_are_told() {
    let service = Service::start(&[]);
    let old = service.request("POST", "/v1/uploads").header("upload-length", 5).send().await.unwrap();
    assert_eq!(old.status(), StatusCode::PRECONDITION_FAILED);
    let none = service.request("POST", "/v1/uploads").header("tus-resumable", "1.0.0").send().await.unwrap();
    assert_eq!(none.status(), StatusCode::BAD_REQUEST);
    let stranger = "/v1/uploads/0123456789abcdefghjkmnpqrs";
    let gone = service.request("HEAD", stranger).header("tus-resumable", "1.0.0").send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::NOT_FOUND);
    let options = service.request("OPTIONS", "/v1/uploads").send().await.unwrap();
    assert!(options.headers()["tus-extension"].to_str().unwrap().contains("creation"));
}
