//! Operations on a finished scene: links, other formats, archives, names, pins.

use std::io::{Cursor, Read};

use reqwest::StatusCode;
use serde_json::{Value, json};
use splat_core::formats;

use crate::access::make_key;
use crate::harness::{Service, form, id, photo, stages_of, state};

/// A finished scene: 2,000 Gaussians, spread over a ball of radius 1.
async fn scene(service: &Service) -> String {
    let job = id(&service.submit(3, stages_of(0)).await);
    assert_eq!(state(&service.ended(&job).await), "succeeded");
    job
}

async fn send(service: &Service, method: &str, path: &str, body: &Value) -> (StatusCode, Value) {
    let response = service.request(method, path).json(body).send().await.unwrap();
    let status = response.status();
    (status, response.json().await.unwrap_or_default())
}

/// Downloads a scene in any format and returns its Gaussians.
async fn gaussians(service: &Service, path: &str) -> usize {
    let response = service.get(path).await;
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    let file = service.dir.path().join(path.rsplit('/').next().unwrap().split('?').next().unwrap());
    std::fs::write(&file, response.bytes().await.unwrap()).unwrap();
    formats::read(&file).unwrap().cloud.len()
}

#[tokio::test]
async fn a_link_shows_one_scene_to_those_who_have_it() {
    let mut service = Service::start(&[]);
    let (alice, bob) = (make_key(&service, "alice", "user"), make_key(&service, "bob", "user"));
    service.restart();
    service.with_key(&alice);
    let job = scene(&service).await;
    let path = format!("/v1/jobs/{job}/share");
    let (status, share) = send(&service, "POST", &path, &json!({})).await;
    assert_eq!(status, StatusCode::OK, "{share:#}");
    let page = share["url"].as_str().unwrap().to_owned();
    let secret = page.rsplit('/').next().unwrap().to_owned();
    assert_eq!(service.json(&format!("/v1/jobs/{job}")).await["share"]["url"], page.as_str());
    assert!(share["embed"].as_str().unwrap().contains(&page), "{share:#}");
    // Sharing again keeps the URL, and the last request decides what is shown.
    let (_, cut) = send(&service, "POST", &path, &json!({ "region": "box:0,-2,-2,2,2,2" })).await;
    assert_eq!((&cut["url"], &cut["region"]), (&json!(page), &json!("box:0,-2,-2,2,2,2")));

    service.with_key(&bob);
    assert_eq!(send(&service, "POST", &path, &json!({})).await.0, StatusCode::NOT_FOUND);
    assert_eq!(service.request("DELETE", &path).send().await.unwrap().status(), StatusCode::NOT_FOUND);
    let (client, url) = (service.client.clone(), service.url.clone());
    let bare = async |path: &str| client.get(format!("{url}{path}")).send().await.unwrap();
    let shown = bare(&page).await;
    assert_eq!(shown.status(), StatusCode::OK);
    let policy = shown.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("frame-ancestors *"), "{policy}");
    assert_eq!(shown.headers()["referrer-policy"], "no-referrer");
    let about: Value = bare(&format!("/v1/shared/{secret}")).await.json().await.unwrap();
    let names: Vec<&str> =
        about["files"].as_array().unwrap().iter().map(|file| file["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"scene.compressed.ply") && names.contains(&"scene.sog"), "{names:?}");
    assert!(
        !names.contains(&"preview.png"),
        "a picture of the whole scene would show what was cut off: {names:?}"
    );
    assert!(about.get("id").is_none() && !about.to_string().contains(&job), "{about:#}");
    for name in &names {
        assert_eq!(bare(&format!("/v1/shared/{secret}/{name}")).await.status(), StatusCode::OK, "{name}");
    }
    // Half of the ball, and no access to the rest by other routes.
    let part = gaussians(&service, &format!("/v1/shared/{secret}/scene.ply")).await;
    assert!((900..1100).contains(&part), "{part}");
    for closed in [
        format!("/v1/shared/{secret}/log.txt"),
        format!("/v1/shared/{secret}/preview.png"),
        format!("/v1/shared/{secret}/..%2Fimages%2F0001.png"),
        format!("/v1/shared/{}", "0".repeat(26)),
        "/v1/shared/x".to_owned(),
    ] {
        assert_eq!(bare(&closed).await.status(), StatusCode::NOT_FOUND, "{closed}");
    }
    for closed in
        [format!("/v1/jobs/{job}"), format!("/v1/jobs/{job}/scene/scene.ply"), "/v1/jobs".to_owned()]
    {
        assert_eq!(bare(&closed).await.status(), StatusCode::UNAUTHORIZED, "{closed}");
    }

    service.with_key(&alice);
    assert_eq!(service.request("DELETE", &path).send().await.unwrap().status(), StatusCode::NO_CONTENT);
    for gone in [format!("/v1/shared/{secret}"), format!("/v1/shared/{secret}/scene.ply")] {
        assert_eq!(bare(&gone).await.status(), StatusCode::NOT_FOUND, "{gone}");
    }
    let (_, again) = send(&service, "POST", &path, &json!({})).await;
    assert_ne!(again["url"], page.as_str(), "an ended link comes to life again");
}

#[tokio::test]
async fn what_has_no_scene_is_not_shared() {
    let service = Service::start(&[]);
    let failed = id(&service.submit(3, json!({ "stage_ms": 0, "fail_at": "mapping" })).await);
    service.ended(&failed).await;
    let path = format!("/v1/jobs/{failed}/share");
    assert_eq!(send(&service, "POST", &path, &json!({})).await.0, StatusCode::CONFLICT);
    for wrong in [json!({ "region": "cone:1" }), json!({ "region": 3 }), json!({ "regions": "" })] {
        let (status, problem) = send(&service, "POST", &path, &wrong).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}: {problem:#}");
    }
    let fetched = service.get(&format!("/v1/jobs/{failed}/scene/scene.spz")).await;
    assert_eq!(fetched.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_scene_comes_in_every_form_whole_or_cut() {
    let service = Service::start(&[]);
    let job = scene(&service).await;
    let at = |rest: &str| format!("/v1/jobs/{job}/scene/{rest}");
    let forms = service.json("/v1/info").await["scene_forms"].as_array().unwrap().clone();
    assert!(forms.len() >= 6, "{forms:?}");
    let mut sizes = std::collections::BTreeMap::new();
    for form in &forms {
        let name = form.as_str().unwrap();
        assert_eq!(gaussians(&service, &at(name)).await, 2_000, "{name}");
        let first = service.request("GET", &at(name)).header("range", "bytes=0-9").send().await.unwrap();
        assert_eq!(first.status(), StatusCode::PARTIAL_CONTENT, "{name}");
        sizes.insert(
            name,
            first.headers()["content-range"]
                .to_str()
                .unwrap()
                .rsplit('/')
                .next()
                .unwrap()
                .parse::<u64>()
                .unwrap(),
        );
    }
    assert!(sizes["scene.spz"] * 2 < sizes["scene.ply"], "{sizes:?}");
    let half = gaussians(&service, &at("scene.spz?region=box:0,-2,-2,2,2,2")).await;
    assert!((900..1100).contains(&half), "{half}");
    for (rest, status) in [
        ("scene.obj", 404),
        ("scene.spz?region=sphere:0,0,0,0.5", 422),
        ("scene.spz?region=ball", 422),
        ("scene.spz?regoin=x", 400),
        ("scene.spz?drop_floaters=perhaps", 400),
    ] {
        assert_eq!(service.get(&at(rest)).await.status().as_u16(), status, "{rest}");
    }
    // A new scene is exported again: files made from the first one are not returned for it.
    let path = format!("/v1/jobs/{job}");
    let retried = service
        .request("POST", &format!("{path}/retry"))
        .json(&json!({ "from": "train" }))
        .send()
        .await
        .unwrap();
    assert_eq!(retried.status(), StatusCode::ACCEPTED);
    service.ended(&job).await;
    assert_eq!(gaussians(&service, &at("scene.sog")).await, 2_000);
}

fn names_in(archive: &zip::ZipArchive<Cursor<Vec<u8>>>) -> Vec<String> {
    archive.file_names().map(|name| name.unwrap().into_owned()).collect()
}

#[tokio::test]
async fn files_come_as_archives() {
    let service = Service::start(&[]);
    let twice = |number: u32| reqwest::multipart::Part::bytes(photo(number)).file_name("정원.png");
    let form =
        form(2).part("images", twice(8)).part("images", twice(9)).text("test", stages_of(0).to_string());
    let job = service.request("POST", "/v1/jobs").multipart(form).send().await.unwrap();
    let job = id(&job.json().await.unwrap());
    service.ended(&job).await;
    let archive = async |name: &str| {
        let response = service.get(&format!("/v1/jobs/{job}/archives/{name}")).await;
        assert_eq!(response.status(), StatusCode::OK, "{name}");
        assert_eq!(response.headers()["content-type"], "application/zip");
        zip::ZipArchive::new(Cursor::new(response.bytes().await.unwrap().to_vec())).unwrap()
    };
    let mut photos = archive("photos.zip").await;
    let mut names: Vec<String> = names_in(&photos);
    names.sort();
    assert_eq!(names.len(), 4, "{names:?}");
    assert!(
        names.contains(&"IMG_0001.PNG".to_owned()) && names.contains(&"정원.png".to_owned()),
        "{names:?}"
    );
    let mut bytes = Vec::new();
    photos.by_name("IMG_0002.PNG").unwrap().read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, photo(2));
    let everything = names_in(&archive("everything.zip").await);
    assert!(everything.contains(&"images/0001.png".to_owned()), "{everything:?}");
    assert!(everything.iter().any(|name| name.ends_with(".ply")), "{everything:?}");
    assert!(everything.iter().all(|name| !name.starts_with('/') && !name.contains("..")), "{everything:?}");
    for missing in ["all.zip", "..%2Fphotos.zip"] {
        let response = service.get(&format!("/v1/jobs/{job}/archives/{missing}")).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{missing}");
    }
}

#[tokio::test]
async fn jobs_are_renamed_and_pinned() {
    let mut service = Service::start(&[]);
    let form = form(3).text("name", "first").text("test", stages_of(0).to_string());
    let job = service.request("POST", "/v1/jobs").multipart(form).send().await.unwrap();
    let job = id(&job.json().await.unwrap());
    let path = format!("/v1/jobs/{job}");
    assert!(service.ended(&job).await["expires_at"].is_string());
    let (status, changed) = send(&service, "PATCH", &path, &json!({ "name": "정원", "pinned": true })).await;
    assert_eq!(
        (status, &changed["name"], &changed["pinned"]),
        (StatusCode::OK, &json!("정원"), &json!(true))
    );
    assert!(changed.get("expires_at").is_none(), "{changed:#}");
    let (_, unchanged) = send(&service, "PATCH", &path, &json!({})).await;
    assert_eq!(unchanged, changed);
    service.restart();
    assert_eq!(service.json("/v1/jobs").await["jobs"][0]["name"], "정원");
    let (_, back) = send(&service, "PATCH", &path, &json!({ "name": null, "pinned": false })).await;
    assert_eq!((&back["name"], &back["pinned"]), (&json!("first"), &json!(false)));
    assert!(back["expires_at"].is_string());
    for (body, status) in [
        (json!({ "name": "x".repeat(81) }), 422),
        (json!({ "name": "a\u{7}" }), 422),
        (json!({ "nmae": "x" }), 422),
        (json!({ "pinned": "yes" }), 422),
        (json!("name"), 422),
    ] {
        assert_eq!(send(&service, "PATCH", &path, &body).await.0.as_u16(), status, "{body}");
    }
    let nobody = format!("/v1/jobs/{}", "0".repeat(26));
    assert_eq!(send(&service, "PATCH", &nobody, &json!({ "pinned": true })).await.0, StatusCode::NOT_FOUND);
}
