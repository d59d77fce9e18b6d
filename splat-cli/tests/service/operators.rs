//! Commands, limits and metrics for operators.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::access::make_key;
use crate::harness::{Service, form, id, splat, stages_of, state};

/// Output of a command that works on the service's queue.
pub(crate) fn command(service: &Service, arguments: &[&str]) -> Value {
    let mut command = splat();
    command.args(arguments).args(["--json", "--data-dir"]).arg(service.dir.path());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

async fn submit(service: &Service) -> reqwest::Response {
    let form = form(3).text("test", stages_of(0).to_string());
    service.request("POST", "/v1/jobs").multipart(form).send().await.unwrap()
}

#[tokio::test]
async fn a_key_has_and_uses_no_more_than_its_quota() {
    let mut service = Service::start(&["--quota-jobs", "2", "--quota-mib", "1", "--quota-minutes", "1000"]);
    let (user, admin) = (make_key(&service, "user", "user"), make_key(&service, "admin", "admin"));
    service.restart();
    service.with_key(&user);
    let job = id(&submit(&service).await.json().await.unwrap());
    let done = service.ended(&job).await;
    // Results count too, not only photos.
    let scene =
        done["artifacts"].as_array().unwrap().iter().find(|file| file["name"] == "scene.ply").unwrap();
    assert!(done["bytes"].as_u64() > scene["bytes"].as_u64(), "{done:#}");
    assert_eq!(submit(&service).await.status(), StatusCode::ACCEPTED);
    let refused = submit(&service).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    let problem: Value = refused.json().await.unwrap();
    assert_eq!(problem["code"], "quota_used_up", "{problem:#}");
    let usage = service.json("/v1/usage").await;
    assert_eq!((&usage["jobs_today"], &usage["quota"]["jobs_a_day"]), (&json!(2), &json!(2)), "{usage:#}");
    assert!(usage["kept_bytes"].as_u64() >= done["bytes"].as_u64(), "{usage:#}");
    service.with_key(&admin);
    for _ in 0..3 {
        assert_eq!(submit(&service).await.status(), StatusCode::ACCEPTED, "an operator has no quota");
    }
    let output = command(&service, &["admin", "usage"]);
    let lines = output.as_array().unwrap();
    let of = |name: &str| lines.iter().find(|line| line["name"] == name).unwrap();
    assert_eq!((&of("user")["jobs_today"], &of("admin")["jobs_today"]), (&json!(2), &json!(3)), "{output:#}");
}

#[tokio::test]
async fn an_operator_sees_jobs_of_everybody() {
    let mut service = Service::start(&[]);
    // From before the first key.
    let before = id(&submit(&service).await.json().await.unwrap());
    service.ended(&before).await;
    let (user, admin) = (make_key(&service, "user", "user"), make_key(&service, "admin", "admin"));
    service.restart();
    service.with_key(&user);
    let own = id(&submit(&service).await.json().await.unwrap());
    service.ended(&own).await;
    assert_eq!(service.get("/v1/jobs?all=true").await.status(), StatusCode::FORBIDDEN);
    assert_eq!(service.json("/v1/jobs").await["jobs"].as_array().unwrap().len(), 1);
    service.with_key(&admin);
    assert_eq!(service.json("/v1/jobs").await["jobs"], json!([]));
    let all = service.json("/v1/jobs?all=true").await;
    let output: Vec<_> = all["jobs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|job| (job["id"].clone(), job["owner"]["name"].clone()))
        .collect();
    assert_eq!(output, [(json!(own), json!("user")), (json!(before), json!("without a key"))]);
    let listed = command(&service, &["admin", "jobs", "--state", "succeeded", "--limit", "1"]);
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed:#}");
    assert_eq!((&listed[0]["id"], &listed[0]["owner_name"]), (&json!(own), &json!("user")));

    let key = user.split('_').nth(1).unwrap();
    let adopted = command(&service, &["keys", "adopt", key]);
    assert_eq!((&adopted["jobs"], &adopted["gesture_models"]), (&json!(1), &json!(0)), "{adopted:#}");
    service.with_key(&user);
    assert_eq!(state(&service.json(&format!("/v1/jobs/{before}")).await), "succeeded");
    let scene = service.get(&format!("/v1/jobs/{before}/artifacts/scene.ply")).await;
    assert_eq!(scene.status(), StatusCode::OK);
}

/// Every metric that the dashboard shows is exported by the service.
#[tokio::test]
async fn the_dashboard_asks_for_figures_that_there_are() {
    let dashboard =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/grafana.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
    let service = Service::start(&[]);
    // Metrics with labels are exported from their first value on.
    let job = id(&submit(&service).await.json().await.unwrap());
    service.ended(&job).await;
    let output = service.get("/metrics").await.text().await.unwrap();
    let mut names = std::collections::BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let query = target["expr"].as_str().unwrap();
            let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            names.extend(words.filter(|word| word.starts_with("splat_")).map(str::to_owned));
        }
    }
    assert!(names.len() > 8, "{names:?}");
    for name in names {
        let family = name.trim_end_matches("_total").trim_end_matches("_bucket");
        assert!(output.contains(&format!("# TYPE {family} ")), "{name} is missing: {output}");
    }
}

#[tokio::test]
async fn a_paused_service_waits_and_a_draining_one_refuses() {
    let service = Service::start(&[]);
    let output = command(&service, &["admin", "pause"]);
    assert_eq!(output["mode"], "paused", "{output:#}");
    let waiting = id(&submit(&service).await.json().await.unwrap());
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(state(&service.json(&format!("/v1/jobs/{waiting}")).await), "queued");
    assert_eq!(command(&service, &["admin", "drain"])["mode"], "draining");
    assert_eq!(state(&service.ended(&waiting).await), "succeeded");
    let refused = submit(&service).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.json::<Value>().await.unwrap()["code"], "draining");
    let again = service.request("POST", &format!("/v1/jobs/{waiting}/retry")).send().await.unwrap();
    assert_eq!(again.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(command(&service, &["admin", "resume"])["mode"], "open");
    assert_eq!(submit(&service).await.status(), StatusCode::ACCEPTED);
}
