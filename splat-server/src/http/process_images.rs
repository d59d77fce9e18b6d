//! `POST /process_images`: photos in, PLY out, in one request, as clients of the service that this one replaces expect it.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};

use super::App;
use super::auth::Caller;
use super::create::{Form, idempotency_key, submit};
use super::document::FileContent;
use super::jobs::view;
use super::json::Parameters;
use super::options::{SceneForm, SceneQuery};
use super::problem::{Problem, Result};
use super::view::JobView;
use crate::code::Code;
use crate::job::{Job, JobId, JobState, Owner};

const JOB_ID: HeaderName = HeaderName::from_static("x-job-id");
/// Interval at which the job is read if its feed is idle.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Photos in, PLY out
///
/// The response is sent when the scene is done, after minutes to hours without a byte, which proxies in between must allow.
/// Disconnecting cancels the job, unless it was sent with an `Idempotency-Key`: then the same request waits again. With `Prefer:
/// respond-async` the response is the job, immediately, and with `Prefer: wait=50` after 50 seconds at the latest; follow it at
/// `/v1/jobs`. That helps behind proxies that time out. Options may be form fields or query parameters.
#[utoipa::path(
    post, path = "/process_images", tag = "compatible",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "Any text of the client's; one job a key"),
        ("Prefer" = Option<String>, Header, description = "`respond-async` answers at once, `wait=50` after 50 seconds at the latest"),
        SceneQuery,
    ),
    request_body(content = SceneForm, content_type = "multipart/form-data"),
    responses(
        (status = 200, description = "The scene as PLY", content_type = "application/octet-stream", body = FileContent),
        (status = 202, description = "The job, to be followed", body = JobView),
        (status = 400, description = "The request cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "The job was deleted meanwhile", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The job was cancelled meanwhile", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "Too much", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "A file of another format", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "No scene can be made of these photos or options", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many jobs or requests", body = Problem, content_type = "application/problem+json"),
        (status = 500, description = "The job failed", body = Problem, content_type = "application/problem+json"),
        (status = 507, description = "The disk is full", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn process_images(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Parameters(query): Parameters<Vec<(String, String)>>,
    request: Request,
) -> Result<Response> {
    let key = idempotency_key(request.headers())?;
    let (max_wait, keyed) = (max_wait(request.headers()), key.is_some());
    let mut form = Form::read(&app, &caller, request).await?;
    for (name, value) in query {
        form.options.add(name, value)?;
    }
    let (submitted, _) = submit(&app, &caller, form.draft, form.options.parse()?, key).await?;
    let id = submitted.job.id.clone();
    // If the client disconnects, this future and its guard are dropped. A client with a key can come back, or may have sent a
    // second request that waits.
    let waits = max_wait != Some(Duration::ZERO);
    let leaving = (!keyed && waits).then(|| id.clone());
    let mut guard = CancelOnDrop { app: app.clone(), owner: caller.owner.clone(), id: leaving };
    let ended = ended(&app, &caller.owner, &id);
    let ended = match max_wait {
        None => Some(ended.await?),
        Some(max_wait) => tokio::time::timeout(max_wait, ended).await.ok().transpose()?,
    };
    guard.id = None;
    let Some(job) = ended else {
        let job = app.queue.get(&caller.owner, &id).await?.ok_or_else(|| Problem::not_found("job"))?;
        let headers = [(LOCATION, format!("/v1/jobs/{id}")), (JOB_ID, id.to_string())];
        return Ok((StatusCode::ACCEPTED, headers, Json(view(&app, job).await?)).into_response());
    };
    match job.state {
        JobState::Succeeded => scene(&app, &job).await,
        JobState::Cancelled => Err(Problem::conflict(Code::Cancelled, "the job was cancelled before its end").hint(
            "a client or a proxy that leaves before the end cancels its job: send `Prefer: respond-async` and follow the job at /v1/jobs",
        )),
        _ => Err(failed(&job)),
    }
}

/// How long the client waits before it prefers the job as response (RFC 7240): zero for `respond-async`, 50 seconds for
/// `wait=50`; `None` waits as long as it takes.
fn max_wait(headers: &HeaderMap) -> Option<Duration> {
    let all = headers.get_all("prefer").into_iter().filter_map(|value| value.to_str().ok());
    let words = all.flat_map(|text| text.split(',')).filter_map(|word| word.split(';').next());
    let waits = words.filter_map(|word| match word.split_once('=') {
        Some((name, seconds)) if name.trim().eq_ignore_ascii_case("wait") => {
            seconds.trim().trim_matches('"').parse().ok().map(Duration::from_secs)
        }
        None if word.trim().eq_ignore_ascii_case("respond-async") => Some(Duration::ZERO),
        _ => None,
    });
    waits.min()
}

/// Waits for the job to end.
async fn ended(app: &App, owner: &Owner, id: &JobId) -> Result<Job> {
    let feed = app.hub.feed(owner, id);
    let mut seen = feed.subscribe();
    loop {
        match app.queue.get(owner, id).await {
            Ok(Some(job)) if job.state.is_final() => return Ok(job),
            Ok(Some(_)) => {}
            Ok(None) => return Err(Problem::not_found("job; it was deleted meanwhile")),
            // The job continues in the meantime.
            Err(error) => {
                tracing::warn!(%error, job = %id, "could not read the job that a client waits for; will retry")
            }
        }
        // If the feed ends or is idle, the job is read again.
        let _ = tokio::time::timeout(LOOK_AGAIN, async {
            if seen.changed().await.is_err() {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        })
        .await;
    }
}

async fn scene(app: &App, job: &Job) -> Result<Response> {
    let artifact = job.artifacts.iter().find(|artifact| artifact.name == "scene.ply");
    let artifact = artifact.ok_or_else(|| Problem::internal(&"a job without its scene succeeded"))?;
    let contents = app.store.get(&job.id, &artifact.path, None).await?;
    let headers = [
        (CONTENT_TYPE, "application/octet-stream".to_owned()),
        (CONTENT_LENGTH, contents.head.bytes.to_string()),
        (CONTENT_DISPOSITION, "attachment; filename=\"point_cloud.ply\"".to_owned()),
        (JOB_ID, job.id.to_string()),
    ];
    Ok((headers, Body::from_stream(contents.stream)).into_response())
}

/// Response for a failed job: 422 if other photos or options would help, else 500.
fn failed(job: &Job) -> Problem {
    let problem = job.problem.as_ref();
    let code = problem.map_or("", |problem| problem.code.as_str());
    let by_client = matches!(
        code,
        "no_reconstruction" | "too_few_photos" | "bad_photo" | "timed_out" | "out_of_gpu_memory"
    );
    let status = if by_client { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::INTERNAL_SERVER_ERROR };
    let message = problem.map_or("the job failed", |problem| problem.message.as_str());
    let answer = Problem::new(status, Code::JobFailed, format!("{message} (job {})", job.id));
    match problem.and_then(|problem| problem.hint.clone()) {
        Some(hint) => answer.hint(hint),
        None => answer,
    }
}

/// Cancels the job of a client that disconnected.
struct CancelOnDrop {
    app: App,
    owner: Owner,
    id: Option<JobId>,
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        let (queue, owner) = (self.app.queue.clone(), self.owner.clone());
        tokio::spawn(async move {
            tracing::info!(job = %id, "client disconnected; cancelling its job");
            if let Err(error) = queue.cancel(&owner, &id).await {
                tracing::warn!(job = %id, %error, "could not cancel the job of a client that disconnected");
            }
        });
    }
}
