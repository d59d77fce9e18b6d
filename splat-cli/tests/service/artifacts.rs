//! What a job shows and serves: pictures of a scene in training, files whole and in ranges.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Service, id, stages_of};

#[tokio::test]
async fn a_scene_in_training_is_looked_at_from_anywhere() {
    let service = Service::start(&[]);
    let job = service.submit(3, json!({"stage_ms": 50, "hang_at": "train"})).await;
    let path = format!("/v1/jobs/{}/look", id(&job));
    let look = async |body: Value| {
        let response = service.request("POST", &path).json(&body).send().await.unwrap();
        (response.status(), response.json::<Value>().await.unwrap())
    };
    let done = id(&service.submit(3, stages_of(0)).await);
    let refused = service.request("POST", &format!("/v1/jobs/{done}/look")).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::CONFLICT, "it waits");
    service.job_when(&id(&job), |job| job["progress"]["stage"] == "train").await;
    let first = service.request("POST", &path).send().await.unwrap();
    assert_eq!(first.status(), StatusCode::OK);
    let first: Value = first.json().await.unwrap();
    let picture = |view: &Value| {
        let bytes = STANDARD.decode(view["jpeg"].as_str().unwrap()).unwrap();
        image::load_from_memory_with_format(&bytes, image::ImageFormat::Jpeg).unwrap().to_rgb8()
    };
    let seen = picture(&first);
    assert_eq!(
        json!([seen.width(), seen.height()]),
        json!([first["lens"]["width"], first["lens"]["height"]])
    );
    // The same camera again, then one on the other side of the ball, then two concurrently.
    let here = json!({ "camera": first["camera"], "longest_side": 96 });
    let (status, again) = look(here.clone()).await;
    assert_eq!((status, picture(&again).width()), (StatusCode::OK, 96), "{again}");
    let (x, y) = (seen.width() / 2, seen.height() / 2);
    assert!(near(seen.get_pixel(x, y), picture(&again).get_pixel(48, 32)));
    let behind =
        json!({ "camera": { "position": [0, 0, 3.5], "rotation": [[-1, 0, 0], [0, 1, 0], [0, 0, -1]] } });
    let (both, other) = tokio::join!(look(behind), look(here));
    let (behind, other) = (picture(&both.1), picture(&other.1));
    assert!(!near(seen.get_pixel(x, y), behind.get_pixel(behind.width() / 2, behind.height() / 2)));
    assert!(near(seen.get_pixel(x, y), other.get_pixel(48, 32)), "one saw what the other asked for");
    for (wrong, expected) in [
        (json!({ "longest_side": 5 }), StatusCode::UNPROCESSABLE_ENTITY),
        (
            json!({ "camera": { "position": [0, 0, 0], "rotation": [[2, 0, 0], [0, 1, 0], [0, 0, 1]] } }),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (json!({ "camera": { "position": [0, 0] } }), StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        let (status, problem) = look(wrong).await;
        assert_eq!(status, expected, "{problem}");
        assert!(problem["detail"].as_str().is_some_and(|text| text.contains('`')), "{problem}");
    }
}

/// Equal within the precision of JPEG.
fn near(a: &image::Rgb<u8>, b: &image::Rgb<u8>) -> bool {
    a.0.iter().zip(b.0).all(|(a, b)| a.abs_diff(b) < 24)
}

#[tokio::test]
async fn files_come_in_parts_and_only_once() {
    let service = Service::start(&[]);
    let job = id(&service.submit(3, stages_of(0)).await);
    service.ended(&job).await;
    let path = format!("/v1/jobs/{job}/artifacts/scene.ply");
    let whole = service.get(&path).await;
    let etag = whole.headers()["etag"].clone();
    let whole = whole.bytes().await.unwrap();
    let part = service.request("GET", &path).header("range", "bytes=10-19").send().await.unwrap();
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.headers()["content-range"], format!("bytes 10-19/{}", whole.len()));
    assert_eq!(part.bytes().await.unwrap(), whole[10..20]);
    let outside = service.request("GET", &path).header("range", "bytes=999999999-").send().await.unwrap();
    assert_eq!(outside.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    let known = service.request("GET", &path).header("if-none-match", &etag).send().await.unwrap();
    assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
    let head = service.request("HEAD", &path).send().await.unwrap();
    assert_eq!(head.headers()["content-length"], whole.len().to_string());
    let none = service.get(&format!("/v1/jobs/{job}/artifacts/..%2f..%2fqueue.db")).await;
    assert_eq!(none.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_picture_comes_whole_while_it_is_replaced() {
    let service = Service::start(&[]);
    let job = id(&service.submit(3, stages_of(0)).await);
    service.ended(&job).await;
    let folder = service.dir.path().join("jobs").join(&job).join("output/final_trained_model");
    let replaced = std::thread::spawn(move || {
        for round in 0..400_usize {
            let next = folder.join("preview.png.next");
            std::fs::write(&next, vec![round as u8; 1_000 + 100_000 * (round % 2)]).unwrap();
            std::fs::rename(&next, folder.join("preview.png")).unwrap();
            std::thread::sleep(Duration::from_millis(2));
        }
    });
    while !replaced.is_finished() {
        let picture = service.get(&format!("/v1/jobs/{job}/artifacts/preview.png")).await;
        assert_eq!(picture.status(), StatusCode::OK);
        let length: usize = picture.headers()["content-length"].to_str().unwrap().parse().unwrap();
        // Fails if fewer bytes arrive than announced.
        assert_eq!(picture.bytes().await.unwrap().len(), length);
    }
    replaced.join().unwrap();
}
