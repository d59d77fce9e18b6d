//! Authentication, permissions, and origins of requests.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Service, form, id, splat, stages_of};

/// Creates a key with the operators' command.
pub(crate) fn make_key(service: &Service, name: &str, role: &str) -> String {
    let mut command = splat();
    command.args(["keys", "create", name, "--role", role, "--json", "--data-dir"]).arg(service.dir.path());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let key: Value = serde_json::from_slice(&output.stdout).unwrap();
    key["secret"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn jobs_are_invisible_to_other_keys() {
    let mut service = Service::start(&[]);
    let (alice, bob) = (make_key(&service, "alice", "user"), make_key(&service, "bob", "user"));
    service.restart();
    let none = service.get("/v1/jobs").await;
    assert_eq!(none.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(none.headers()["content-type"], "application/problem+json");
    assert_eq!(service.json("/v1/info").await["auth_required"], true);
    service.with_key(&alice);
    let job = id(&service.submit(3, stages_of(0)).await);
    service.ended(&job).await;
    service.with_key(&bob);
    for path in ["", "/events", "/log", "/artifacts/scene.ply"] {
        assert_eq!(
            service.get(&format!("/v1/jobs/{job}{path}")).await.status(),
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
    for (method, path) in [("POST", "/cancel"), ("POST", "/retry"), ("DELETE", "")] {
        let response = service.request(method, &format!("/v1/jobs/{job}{path}")).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{method} {path}");
    }
    assert_eq!(service.json("/v1/jobs").await["jobs"], json!([]));
    assert_eq!(service.get("/metrics").await.status(), StatusCode::FORBIDDEN);
    service.with_key(&make_key(&service, "grafana", "admin"));
    let metrics = service.get("/metrics").await.text().await.unwrap();
    assert!(metrics.contains("splat_jobs{lane=\"scene\",state=\"queued\"} 0"), "{metrics}");
    let stored = std::fs::read(service.dir.path().join("queue.db")).unwrap();
    let secret = alice.rsplit('_').next().unwrap();
    assert!(
        !stored.windows(secret.len()).any(|part| part == secret.as_bytes()),
        "the secret lies in the file"
    );
    service.with_key(&format!("{alice}x"));
    assert_eq!(service.get("/v1/jobs").await.status(), StatusCode::UNAUTHORIZED);
}

/// After the last key was revoked, the service stays closed, immediately and after a restart.
#[tokio::test]
async fn a_service_without_its_last_key_stays_closed() {
    let mut service = Service::start(&[]);
    let secret = make_key(&service, "only one", "admin");
    service.restart();
    service.with_key(&secret);
    assert_eq!(service.get("/v1/jobs").await.status(), StatusCode::OK);
    let id = secret.split('_').nth(1).unwrap();
    let mut revoke = splat();
    revoke.args(["keys", "revoke", id, "--data-dir"]).arg(service.dir.path());
    let said = revoke.output().unwrap();
    assert!(said.status.success());
    assert!(String::from_utf8_lossy(&said.stdout).contains("stays closed"), "{said:?}");
    for restarted in [false, true] {
        if restarted {
            service.restart();
        }
        // Longer than the result of the check for keys is cached.
        for _ in 0..12 {
            for path in ["/v1/jobs", "/metrics"] {
                let bare = service.client.get(format!("{}{path}", service.url)).send().await.unwrap();
                assert_eq!(bare.status(), StatusCode::UNAUTHORIZED, "{path}, restarted: {restarted}");
                assert_eq!(service.get(path).await.status(), StatusCode::UNAUTHORIZED, "the key was revoked");
            }
            tokio::time::sleep(std::time::Duration::from_millis(250)).await;
        }
    }
}

/// With keys, clients may use any host name for the service; without keys it must be one of the service's.
#[tokio::test]
async fn a_proxy_in_front_may_keep_or_change_the_host() {
    let mut service = Service::start(&[]);
    let ask = async |service: &Service, headers: &[(&str, &str)]| {
        let mut request = service.request("POST", "/process_images");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.multipart(form(1)).send().await.unwrap().status().as_u16()
    };
    let kept = [
        ("host", "splat.example.com"),
        ("x-forwarded-for", "9.9.9.9"),
        ("origin", "https://splat.example.com"),
    ];
    let changed = [("host", "127.0.0.1:5000"), ("origin", "https://splat.example.com")];
    assert_eq!(ask(&service, &kept).await, 421);
    assert_eq!(ask(&service, &changed).await, 403);
    // A proxy's client on another machine does not get the rights of this machine.
    assert_eq!(ask(&service, &[("host", "localhost"), ("x-forwarded-for", "9.9.9.9")]).await, 401);
    let secret = make_key(&service, "phone", "user");
    service.set_options(&["--public-url", "https://splat.example.com"]);
    service.restart();
    assert_eq!(ask(&service, &changed).await, 401);
    service.with_key(&secret);
    // A single photo is too few, so this status shows that the request was admitted.
    assert_eq!(ask(&service, &kept).await, 422);
    assert_eq!(ask(&service, &changed).await, 422);
}

/// As Caddy forwards requests: with the original host, and the client's address, scheme and host added; the path prefix is
/// removed (`handle_path`) or kept (`handle`).
#[tokio::test]
async fn behind_caddy_at_a_path_addresses_in_answers_are_the_publics() {
    let public = "https://example.com/3d/scenes";
    let mut service = Service::start(&[]);
    let secret = make_key(&service, "phone", "user");
    service.set_options(&["--public-url", public]);
    service.restart();
    service.with_key(&secret);
    let caddy = |request: reqwest::RequestBuilder| {
        let forwarded = [
            ("host", "example.com"),
            ("x-forwarded-for", "9.9.9.9"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "example.com"),
            ("origin", "https://example.com"),
            ("via", "2.0 Caddy"),
        ];
        forwarded.into_iter().fold(request, |request, (name, value)| request.header(name, value))
    };
    for kept in ["", "/3d/scenes"] {
        let form = form(3).text("test", stages_of(0).to_string());
        let request = service.request("POST", &format!("{kept}/v1/jobs")).multipart(form);
        let response = caddy(request).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::ACCEPTED, "{kept}");
        let place = response.headers()["location"].to_str().unwrap().to_owned();
        let job: Value = response.json().await.unwrap();
        assert_eq!(place, format!("/3d/scenes/v1/jobs/{}", id(&job)));
        assert_eq!(job["links"]["self"], format!("{public}/v1/jobs/{}", id(&job)));
        let job = service.ended(&id(&job)).await;
        for file in job["artifacts"].as_array().unwrap() {
            assert_eq!(
                file["url"],
                format!("{public}/v1/jobs/{}/artifacts/{}", id(&job), file["name"].as_str().unwrap())
            );
        }
        let events = caddy(service.request("GET", &format!("{kept}/v1/jobs/{}/events", id(&job))))
            .send()
            .await
            .unwrap();
        let events = events.text().await.unwrap();
        assert!(
            events.contains(&format!("\"url\":\"{public}/v1/jobs/")) && !events.contains("\"url\":\"/"),
            "{events}"
        );
        let page = caddy(service.request("GET", &format!("{kept}/"))).send().await.unwrap();
        assert_eq!(page.status(), StatusCode::OK);
    }
}

#[test]
fn an_open_address_without_keys_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let output =
        splat().args(["serve", "--bind", "0.0.0.0:0", "--data-dir"]).arg(dir.path()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("splat keys create"), "{text}");
}

#[test]
fn print_config_shows_what_holds_and_no_secrets() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("splat.toml");
    std::fs::write(&file, "max_photos = 9\nretention_hours = 5\n").unwrap();
    let mut command = splat();
    command.args(["serve", "--print-config", "--retention-hours", "7", "--config"]).arg(&file);
    command
        .env("SPLAT_MAX_WAITING", "11")
        .env("REDIS_URL", "redis://:hunter2@host")
        .env("SPLAT_MAX_PHOTOS", "10");
    let text = String::from_utf8(command.output().unwrap().stdout).unwrap();
    for line in ["max_photos = 10", "retention_hours = 7", "max_waiting = 11", "bind = \"127.0.0.1:5000\""] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn the_gpu_of_jobs_can_be_chosen() {
    let output = splat()
        .args(["serve", "--print-config", "--adapter", "llvmpipe", "--backend", "vulkan"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("adapter = \"llvmpipe\"") && text.contains("backend = \"vulkan\""), "{text}");
}

/// Abandoned uploads exist for a day, and count.
#[tokio::test]
async fn uploads_that_no_job_uses_are_listed() {
    let service = Service::start(&[]);
    for name in ["YQ==", "Yg=="] {
        let begin = service.request("POST", "/v1/uploads").header("tus-resumable", "1.0.0");
        let begin = begin.header("upload-length", "10").header("upload-metadata", format!("filename {name}"));
        assert_eq!(begin.send().await.unwrap().status(), StatusCode::CREATED);
    }
    let uploads = service.json("/v1/uploads").await["uploads"].clone();
    let mut names: Vec<_> =
        uploads.as_array().unwrap().iter().map(|upload| upload["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(
        (names, uploads[0]["bytes"].as_u64(), uploads[0]["offset"].as_u64()),
        (vec!["a", "b"], Some(10), Some(0))
    );
    let gone = format!("/v1/uploads/{}", uploads[0]["id"].as_str().unwrap());
    let gone = service.request("DELETE", &gone).header("tus-resumable", "1.0.0").send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::NO_CONTENT);
    assert_eq!(service.json("/v1/uploads").await["uploads"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn answers_are_for_their_own_origin_and_keys_pass_cors() {
    let service = Service::start(&["--cors-origins", "https://app.example.com"]);
    let info = service.get("/v1/info").await;
    assert_eq!(info.headers()["cross-origin-resource-policy"], "same-origin");
    let asks = service.request("OPTIONS", "/v1/jobs").header("origin", "https://app.example.com");
    let asks = asks.header("access-control-request-method", "POST");
    let answer = asks.header("access-control-request-headers", "authorization").send().await.unwrap();
    assert_eq!(answer.headers()["access-control-allow-headers"], "authorization");
}

/// `SPLAT_LOG=access=debug` logs one line per request, without colours if the output is not a terminal, and without secrets.
#[cfg(unix)]
#[tokio::test]
async fn requests_are_logged_on_wish_and_the_data_folder_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let log = dir.path().join("log");
    let mut command = splat();
    command.args(["serve", "--test-mode", "--bind", "127.0.0.1:0", "--data-dir"]).arg(&data);
    command.env("SPLAT_LOG", "info,access=debug").stderr(std::fs::File::create(&log).unwrap());
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line)
        .unwrap();
    let url = line.split_whitespace().find(|word| word.starts_with("http")).unwrap().trim_end_matches(';');
    let answer = reqwest::get(format!("{url}/v1/jobs?limit=3")).await.unwrap();
    assert!(answer.status().is_success());
    child.kill().unwrap();
    child.wait().unwrap();
    let text = std::fs::read_to_string(&log).unwrap();
    let line = text.lines().find(|line| line.contains("/v1/jobs")).unwrap_or_else(|| panic!("{text}"));
    for part in ["method=GET", "status=200", "bytes=", "address=127.0.0.1", "key=\"local\"", "request="] {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert!(!text.contains('\u{1b}') && !text.contains("limit=3"), "{text}");
    assert_eq!(std::fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn foreign_pages_and_names_are_refused() {
    let service = Service::start(&["--cors-origins", "https://app.example.com"]);
    let port = service.url.rsplit(':').next().unwrap().to_owned();
    let rebound = service
        .request("GET", "/v1/jobs")
        .header("host", format!("evil.example:{port}"))
        .send()
        .await
        .unwrap();
    assert_eq!(rebound.status(), StatusCode::MISDIRECTED_REQUEST);
    let post = |origin: String| {
        service.request("POST", "/process_images").header("origin", origin).multipart(form(1)).send()
    };
    assert_eq!(post("https://evil.example".into()).await.unwrap().status(), StatusCode::FORBIDDEN);
    assert_eq!(post("null".into()).await.unwrap().status(), StatusCode::FORBIDDEN);
    // A single photo is too few, so this status shows that both requests were admitted.
    assert_eq!(post(service.url.clone()).await.unwrap().status(), StatusCode::UNPROCESSABLE_ENTITY);
    let allowed = post("https://app.example.com".into()).await.unwrap();
    assert_eq!(allowed.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(allowed.headers()["access-control-allow-origin"], "https://app.example.com");
    let strict = Service::start(&[]);
    let foreign =
        strict.request("GET", "/v1/jobs").header("origin", "https://app.example.com").send().await.unwrap();
    assert!(foreign.headers().get("access-control-allow-origin").is_none());
}

#[tokio::test]
async fn what_is_served_is_described() {
    let service = Service::start(&[]);
    let document = service.json("/openapi.json").await;
    let paths = document["paths"].as_object().unwrap();
    for path in [
        "/process_images",
        "/v1/jobs",
        "/v1/jobs/{id}",
        "/v1/jobs/{id}/events",
        "/v1/jobs/{id}/artifacts/{name}",
        "/v1/uploads/{id}",
        "/metrics",
    ] {
        assert!(paths.contains_key(path), "{path}");
    }
    // Generated clients derive function names from these.
    let operations = || paths.values().flat_map(|path| path.as_object().unwrap().values());
    let names: std::collections::BTreeSet<_> =
        operations().map(|operation| operation["operationId"].as_str().unwrap()).collect();
    assert_eq!(names.len(), operations().count(), "{names:?}");
    for (path, status) in [
        ("/", 200),
        ("/healthz", 200),
        ("/readyz", 200),
        ("/v1/info", 200),
        ("/nowhere", 404),
        ("/assets/../../etc/passwd", 404),
        ("/v1/jobs/x", 404),
    ] {
        assert_eq!(service.get(path).await.status().as_u16(), status, "{path}");
    }
    let wrong = service.request("PUT", "/v1/jobs").send().await.unwrap();
    assert_eq!(wrong.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(wrong.headers()["content-type"], "application/problem+json");
}
