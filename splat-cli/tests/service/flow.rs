//! From photos to scene: the two ways to submit, events, metrics.

use std::io::Cursor;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::harness::{Service, form, id, photo, stages_of, state};

#[tokio::test]
async fn photos_in_ply_out_in_one_request() {
    let service = Service::start(&[]);
    let response =
        service.request("POST", "/process_images?iterations=300").multipart(form(20)).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "application/octet-stream");
    let job = response.headers()["x-job-id"].to_str().unwrap().to_owned();
    let bytes = response.bytes().await.unwrap();
    let path = service.dir.path().join("fetched.ply");
    std::fs::write(&path, &bytes).unwrap();
    let cloud = splat_core::ply::read(&path).unwrap();
    assert_eq!(cloud.cloud.len(), 2_000);
    // The folder layout of the previous service, which some apps read directly.
    let folder = service.dir.path().join("jobs").join(&job);
    assert!(folder.join("images/0001.png").is_file());
    assert!(folder.join("output/final_trained_model/ply/point_cloud_299.ply").is_file());
}

#[tokio::test]
async fn the_old_clients_default_is_30_000_steps() {
    let service = Service::start(&[]);
    let request = service.request("POST", "/process_images").header("prefer", "respond-async");
    let response = request.multipart(form(3)).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    let job = service.ended(&id(&response.json().await.unwrap())).await;
    assert_eq!(job["result"]["steps"], 30_000, "{job:#}");
    let folder = service.dir.path().join("jobs").join(id(&job));
    assert!(folder.join("output/final_trained_model/ply/point_cloud_29999.ply").is_file());
}

/// For clients behind a proxy with a read timeout.
#[tokio::test]
async fn whoever_waits_so_long_gets_the_job_then() {
    let service = Service::start(&[]);
    let ask = async |prefer: &str, stage_ms: u32| {
        let form = form(3).text("test", stages_of(stage_ms).to_string());
        let request = service.request("POST", "/process_images").header("prefer", prefer);
        request.multipart(form).send().await.unwrap()
    };
    let done = ask("handling=lenient, wait=30", 0).await;
    assert_eq!(done.status(), StatusCode::OK);
    let later = ask("wait=1", 400).await;
    assert_eq!(later.status(), StatusCode::ACCEPTED);
    let place = later.headers()["location"].to_str().unwrap().to_owned();
    let job = id(&later.json().await.unwrap());
    assert_eq!(place, format!("/v1/jobs/{job}"));
    assert_eq!(state(&service.ended(&job).await), "succeeded", "it goes on without its client");
}

#[tokio::test]
async fn leaving_early_cancels() {
    let service = Service::start(&[]);
    let form = form(3).text("test", json!({"stage_ms": 30_000}).to_string());
    let request = service.request("POST", "/process_images").multipart(form);
    let waiting = tokio::spawn(request.send());
    let job = loop {
        let jobs = service.json("/v1/jobs").await;
        if let Some(job) = jobs["jobs"].get(0).filter(|job| state(job) == "running") {
            break id(job);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    waiting.abort();
    let job = service.ended(&job).await;
    assert_eq!(state(&job), "cancelled");
}

/// Repeating the request with the same key keeps waiting, even after one client left and while another one waits.
#[tokio::test]
async fn leaving_with_a_key_cancels_nothing() {
    let service = Service::start(&[]);
    let send = || {
        let form = form(3).text("test", json!({"stage_ms": 300}).to_string());
        service.request("POST", "/process_images").header("idempotency-key", "one").multipart(form).send()
    };
    let leaving = tokio::spawn(send());
    let beside = tokio::spawn(send());
    let job = loop {
        let jobs = service.json("/v1/jobs").await;
        if let Some(job) = jobs["jobs"].get(0).filter(|job| state(job) == "running") {
            break id(job);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    leaving.abort();
    for response in [beside.await.unwrap().unwrap(), send().await.unwrap()] {
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["x-job-id"].to_str().unwrap(), job);
    }
}

#[tokio::test]
async fn a_form_of_long_part_headers_is_refused() {
    let service = Service::start(&[]);
    let head = "--x\r\nContent-Disposition: form-data; name=\"images\"; filename=\"";
    let body = [head.as_bytes(), &vec![b'n'; 8 << 20]].concat();
    let request =
        service.request("POST", "/v1/jobs").header("content-type", "multipart/form-data; boundary=x");
    let response = request.body(body).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let problem: Value = response.json().await.unwrap();
    assert!(problem["detail"].as_str().unwrap().contains("more than 16384 bytes"), "{problem:#}");
}

#[tokio::test]
async fn a_job_is_followed_from_submission_to_its_files() {
    let service = Service::start(&[]);
    let response = service
        .request("POST", "/v1/jobs")
        .multipart(
            form(4)
                .text("preset", "preview")
                .text("name", "Banana, 2nd try")
                .part("images", Part::bytes(b"no photo".to_vec()).file_name("notes.txt")),
        )
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let job: Value = response.json().await.unwrap();
    assert_eq!(location, format!("/v1/jobs/{}", id(&job)));
    assert_eq!(job["rejected"][0]["name"], "notes.txt", "{job:#}");
    assert_eq!(job["photos"][0]["name"], "IMG_0001.PNG");
    let job = service.ended(&id(&job)).await;
    assert_eq!(state(&job), "succeeded", "{job:#}");
    assert_eq!(
        (job["progress"]["percent"].as_f64(), job["name"].as_str()),
        (Some(100.0), Some("Banana, 2nd try"))
    );
    let names: Vec<&str> =
        job["artifacts"].as_array().unwrap().iter().map(|a| a["name"].as_str().unwrap()).collect();
    for name in ["scene.ply", "preview.png", "metrics.json", "log.txt"] {
        assert!(names.contains(&name), "{names:?}");
    }
    let log = service.get(&format!("{location}/log")).await;
    let next = log.headers()["x-next-from"].to_str().unwrap().to_owned();
    let text = log.text().await.unwrap();
    assert!(text.contains("train done") && next == text.len().to_string(), "{next}: {text}");
    let metrics = service.get(&format!("{location}/artifacts/metrics.json")).await.text().await.unwrap();
    let events = service.get(&format!("{location}/events")).await.text().await.unwrap();
    let folder = service.dir.path().to_str().unwrap();
    for text in [&text, &metrics, &events] {
        assert!(!text.is_empty() && !text.contains(folder), "names the server's folder: {text}");
    }
    let rest = service.get(&format!("{location}/log?from={next}")).await;
    assert_eq!(rest.text().await.unwrap(), "");
}

#[tokio::test]
async fn events_come_in_order_and_resume() {
    let service = Service::start(&[]);
    let job = id(&service.submit(3, stages_of(100)).await);
    let whole = service.get(&format!("/v1/jobs/{job}/events")).await;
    assert_eq!(whole.headers()["content-type"], "text/event-stream");
    // The stream ends by itself after the final state.
    let whole = events(&whole.text().await.unwrap());
    let numbers: Vec<u64> = whole.iter().map(|(number, ..)| *number).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    let kinds: Vec<&str> = whole.iter().map(|(_, kind, _)| kind.as_str()).collect();
    for kind in ["state", "stage", "progress", "eval", "preview", "artifact"] {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }
    assert_eq!(
        (whole.last().unwrap().1.as_str(), &whole.last().unwrap().2["data"]["state"]),
        ("state", &json!("succeeded"))
    );
    let half = numbers[numbers.len() / 2];
    let request =
        service.request("GET", &format!("/v1/jobs/{job}/events")).header("last-event-id", half.to_string());
    let rest = events(&request.send().await.unwrap().text().await.unwrap());
    assert_eq!(rest.first().unwrap().0, half + 1);
    assert_eq!(rest.len(), numbers.len() - half as usize);
}

fn events(text: &str) -> Vec<(u64, String, Value)> {
    let blocks = text.split("\n\n").filter(|block| !block.is_empty() && !block.starts_with(':'));
    blocks
        .map(|block| {
            let line = |name: &str| {
                block.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned()
            };
            (line("id:").parse().unwrap(), line("event:"), serde_json::from_str(&line("data:")).unwrap())
        })
        .collect()
}

/// A client that follows events and polls the status must not get an older state from the status.
#[tokio::test]
async fn a_followed_job_is_as_new_as_its_events() {
    let service = Service::start(&[]);
    let follow = async |job: &str| service.get(&format!("/v1/jobs/{job}/events")).await;
    let status = async |job: &str| service.json(&format!("/v1/jobs/{job}")).await;

    let job = id(&service.submit(3, stages_of(200)).await);
    let mut stream = follow(&job).await;
    let (mut text, mut compared) = (String::new(), 0);
    while let Some(piece) = stream.chunk().await.unwrap() {
        let now = status(&job).await;
        text.push_str(std::str::from_utf8(&piece).unwrap());
        let (.., event) = events(&text).pop().unwrap();
        let percent = |progress: &Value| progress["percent"].as_f64().unwrap();
        assert!(percent(&now["progress"]) >= percent(&event["progress"]), "{now:#} {event:#}");
        if event["kind"] == "state" {
            let rank = |state: &Value| {
                ["queued", "running", "succeeded"].iter().position(|known| state == *known).unwrap()
            };
            assert!(rank(&now["state"]) >= rank(&event["data"]["state"]), "{now:#} {event:#}");
            compared += 1;
        }
    }
    assert!(compared >= 2);
    assert_eq!(state(&status(&job).await), "succeeded");

    let job = id(&service.submit(3, stages_of(60_000)).await);
    let _stream = follow(&job).await;
    service.job_when(&job, |job| state(job) == "running").await;
    // By now the status comes from what the stream saw.
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(status(&job).await["cancel_requested"], false);
    service.request("POST", &format!("/v1/jobs/{job}/cancel")).send().await.unwrap();
    let now = status(&job).await;
    assert!(now["cancel_requested"] == true || state(&now) == "cancelled", "{now:#}");
}

#[tokio::test]
async fn waits_durations_stages_and_use_are_measured() {
    let service = Service::start(&[]);
    let job = id(&service.submit(3, stages_of(0)).await);
    service.ended(&job).await;
    let begun = std::time::Instant::now();
    loop {
        let metrics = service.get("/metrics").await.text().await.unwrap();
        let all = [
            "splat_job_wait_seconds_count{lane=\"scene\"} 1",
            "splat_job_seconds_count{lane=\"scene\"} 1",
            "splat_stage_seconds_count{stage=\"train\"} 1",
            "splat_key_job_seconds_total{key=\"local\"} ",
        ];
        // The last figures follow the end of the job.
        if all.iter().all(|figure| metrics.contains(figure)) {
            return;
        }
        assert!(begun.elapsed() < crate::harness::PATIENCE, "{metrics}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn zips_are_taken_and_their_names_are_not() {
    let service = Service::start(&[]);
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for number in 1..=3 {
        zip.start_file(format!("scan/{number}.png"), zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut zip, &photo(number)).unwrap();
    }
    zip.start_file("../../../evil.png", zip::write::SimpleFileOptions::default()).unwrap();
    std::io::Write::write_all(&mut zip, &photo(9)).unwrap();
    let bytes = zip.finish().unwrap().into_inner();
    let form = Form::new().part("files", Part::bytes(bytes).file_name("scan.zip"));
    let response = service.request("POST", "/v1/jobs").multipart(form).send().await.unwrap();
    let status = response.status();
    let job: Value = response.json().await.unwrap();
    assert_eq!(status, StatusCode::ACCEPTED, "{job:#}");
    assert_eq!(job["photos"].as_array().unwrap().len(), 3, "{job:#}");
    assert!(!service.dir.path().parent().unwrap().join("evil.png").exists());
}
