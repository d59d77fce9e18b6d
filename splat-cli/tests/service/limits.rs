//! Limits of requests, of the queue and of uploads.

use reqwest::StatusCode;
use reqwest::multipart::{Form, Part};
use serde_json::Value;

use crate::harness::{Service, form, id, photo, stages_of, state};

#[tokio::test]
async fn too_many_requests_are_told_when_to_come_again() {
    let service = Service::start(&["--requests-per-minute", "5"]);
    let mut last = service.get("/v1/jobs").await;
    for _ in 0..10 {
        last = service.get("/v1/jobs").await;
    }
    assert_eq!(last.status(), StatusCode::TOO_MANY_REQUESTS);
    let wait: u64 = last.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait));
}

#[tokio::test]
async fn a_full_queue_says_so_and_keeps_nothing() {
    let service = Service::start(&["--max-waiting", "1"]);
    let running = id(&service.submit(3, stages_of(60_000)).await);
    service.job_when(&running, |job| state(job) == "running").await;
    service.submit(3, stages_of(0)).await;
    let refused = service.request("POST", "/v1/jobs").multipart(form(3)).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(refused.json::<Value>().await.unwrap()["code"], "queue_full");
    assert_eq!(std::fs::read_dir(service.dir.path().join("jobs")).unwrap().count(), 2);
}

#[tokio::test]
async fn limits_hold_while_photos_arrive() {
    let service = Service::start(&[
        "--max-photos",
        "4",
        "--max-file-mib",
        "1",
        "--max-job-mib",
        "2",
        "--max-megapixels",
        "1",
    ]);
    let post = |form: Form| service.request("POST", "/v1/jobs").multipart(form).send();
    let code = async |form: Form| {
        let response = post(form).await.unwrap();
        let status = response.status().as_u16();
        let problem: Value = response.json().await.unwrap();
        (
            status,
            problem["code"].as_str().unwrap_or("").to_owned(),
            problem["rejected"][0]["code"].as_str().unwrap_or("").to_owned(),
        )
    };
    assert_eq!(code(form(5)).await.1, "too_many_photos");
    assert_eq!(code(form(2)).await.1, "too_few_photos");
    assert_eq!(code(Form::new().text("preset", "preview")).await.1, "no_photos");
    let big = Part::bytes([photo(1), vec![0; 1_200_000]].concat()).file_name("big.png");
    assert_eq!(code(form(2).part("images", big)).await.2, "file_too_large");
    // A header that claims 60,000 x 60,000 pixels is rejected before anything is decoded.
    let mut bomb = photo(1);
    bomb[16..24].copy_from_slice(&[0, 0, 234, 96, 0, 0, 234, 96]);
    let crc = crc32(&bomb[12..29]);
    bomb[29..33].copy_from_slice(&crc.to_be_bytes());
    assert_eq!(
        code(form(2).part("images", Part::bytes(bomb).file_name("bomb.png"))).await.2,
        "too_many_pixels"
    );
    // Each file is small enough, but not all of them together.
    let padded = |number| [photo(number), vec![0; 900_000]].concat();
    let large = (1..=3).fold(Form::new(), |form, number| {
        form.part("images", Part::bytes(padded(number)).file_name(format!("{number}.png")))
    });
    let (status, code_of, _) = code(large).await;
    assert_eq!((status, code_of.as_str()), (413, "too_large"));
    for (options, why) in [
        ("iterations=0", "iterations"),
        ("iterations=a", "iterations"),
        ("quality=best", "quality"),
        ("colour=red", "colour"),
        ("keep_distortion=perhaps", "keep_distortion"),
        // A boolean as text, and two options that exclude each other.
        ("keep_distortion=true&renderer=ewa", "3dgut"),
    ] {
        let filled = options.split('&').fold(form(3), |form, option| {
            let (name, value) = option.split_once('=').unwrap();
            form.text(name.to_owned(), value.to_owned())
        });
        let response = post(filled).await.unwrap();
        assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY, "{options}");
        assert!(response.text().await.unwrap().contains(why), "{options}");
    }
    assert_eq!(std::fs::read_dir(service.dir.path().join("jobs")).unwrap().count(), 0);
}

/// The checksum of PNG.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, &byte| {
        (0..8).fold(
            crc ^ u32::from(byte),
            |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 },
        )
    })
}
