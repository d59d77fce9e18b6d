//! Share links: each shows one scene to anyone who has the link; created and revoked by the owner, listed nowhere.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;

use super::artifacts::{Stored, send};
use super::auth::Caller;
use super::document::FileContent;
use super::exports::{self, CutOptions};
use super::jobs::{job_id, owned};
use super::problem::{Problem, Result};
use super::view::{name_of, rfc3339};
use super::{App, json};
use crate::code::Code;
use crate::export::FORMS;
use crate::job::{Change, Job, JobId, JobState, Share};
use crate::queue::now_ms;

/// Maximum bytes read of `cameras.json`: a megabyte is thousands of cameras.
const MAX_CAMERAS_BYTES: usize = 8 << 20;
/// Fields of a camera that a viewer needs. Names of photos are private.
const OF_CAMERAS: [&str; 7] = ["id", "position", "rotation", "width", "height", "fx", "fy"];

/// A link to a scene.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub(super) struct ShareView {
    /// The page that shows the scene. Anyone who has this URL can see it.
    url: String,
    /// HTML to embed it in another page.
    embed: String,
    /// When the link was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// The region that is shown, unless it is the whole scene.
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    /// Whether floaters are removed.
    drop_floaters: bool,
}

impl ShareView {
    pub(super) fn of(share: &Share, base: &str) -> Self {
        let url = format!("{base}/shared/{}", share.secret);
        Self {
            embed: format!(
                "<iframe src=\"{url}\" width=\"800\" height=\"600\" style=\"border: 0\" allow=\"fullscreen; xr-spatial-tracking\"></iframe>"
            ),
            url,
            created_at: rfc3339(share.created_ms),
            region: share.cut.region.as_ref().map(ToString::to_string),
            drop_floaters: share.cut.drop_floaters,
        }
    }
}

/// A scene as visitors with its link see it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct SharedView {
    /// Title of the scene.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// When the link was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// Files that can be fetched.
    files: Vec<SharedFile>,
}

/// A file of a scene that is shared.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct SharedFile {
    /// `scene.ply`, `scene.sog` ...; `preview.png`, `cameras.json`.
    name: String,
    /// URL of the file.
    url: String,
}

/// Share a scene
///
/// Creates a link that shows the scene to anyone who has it, or changes what the link shows: its URL stays the same. Anyone with
/// the URL can also download the scene. The link is not listed anywhere, and ends when it is revoked or the job is deleted.
#[utoipa::path(
    post, path = "/v1/jobs/{id}/share", tag = "sharing", operation_id = "share_job", params(("id" = String, Path, description = "The job")),
    request_body(content = Option<CutOptions>, content_type = "application/json"),
    responses(
        (status = 200, description = "The link", body = ShareView),
        (status = 400, description = "The body cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such job", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The job has no scene", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "No such region", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn share(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    body: std::result::Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<Json<ShareView>> {
    let cut = json::optional::<CutOptions>(&body.map_err(json::too_large)?)?.read()?;
    let job = owned(&app, &caller, &id).await?;
    if job.state != JobState::Succeeded || !job.artifacts.iter().any(|file| file.name == FORMS[0].name) {
        return Err(Problem::conflict(Code::NoScene, "the job has no scene that could be shared"));
    }
    let (secret, created_ms) = match job.notes.share {
        Some(known) => (known.secret, known.created_ms),
        None => (JobId::random(), now_ms()),
    };
    let share = Share { secret, created_ms, cut };
    let view = ShareView::of(&share, app.config.base_url());
    let change = Change { share: Some(Some(share)), ..Change::default() };
    app.queue.change(&caller.owner, &job.id, change).await?.ok_or_else(|| Problem::not_found("job"))?;
    Ok(Json(view))
}

/// Revoke a link
///
/// The link stops working at once. A new one gets a new URL.
#[utoipa::path(
    delete, path = "/v1/jobs/{id}/share", tag = "sharing", operation_id = "unshare_job", params(("id" = String, Path, description = "The job")),
    responses(
        (status = 204, description = "There is no link to it"),
        (status = 404, description = "No such job", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn unshare(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<StatusCode> {
    let change = Change { share: Some(None), ..Change::default() };
    let changed = app.queue.change(&caller.owner, &job_id(&id)?, change).await?;
    changed.map(|_| StatusCode::NO_CONTENT).ok_or_else(|| Problem::not_found("job"))
}

/// The job that a link points to.
async fn shared(app: &App, secret: &str) -> Result<(Job, Share)> {
    let unknown = || Problem::not_found("scene: the link has ended, or was never one");
    let secret: JobId = secret.parse().map_err(|_| unknown())?;
    let job = app.queue.shared(&secret).await?.ok_or_else(unknown)?;
    let share = job.notes.share.clone().filter(|_| job.state == JobState::Succeeded).ok_or_else(unknown)?;
    Ok((job, share))
}

/// Names of the files that a link gives access to. Pictures of the whole scene are excluded if the link crops it.
fn files_of(job: &Job, share: &Share) -> Vec<&'static str> {
    let others = ["preview.png", "cameras.json"].into_iter().filter(|name| {
        let hidden = *name == "preview.png" && share.cut.region.is_some();
        !hidden && job.artifacts.iter().any(|file| file.name == *name)
    });
    FORMS.iter().map(|form| form.name).chain(others).collect()
}

/// Get a shared scene
///
/// Needs no key: anyone who has the link can see the scene.
#[utoipa::path(
    get, path = "/v1/shared/{secret}", tag = "sharing", operation_id = "get_shared", params(("secret" = String, Path, description = "The end of the link")),
    responses(
        (status = 200, description = "The scene", body = SharedView),
        (status = 404, description = "No such link", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn look(State(app): State<App>, Path(secret): Path<String>) -> Result<Json<SharedView>> {
    let (job, share) = shared(&app, &secret).await?;
    let base = app.config.base_url();
    let file = |name: &str| SharedFile {
        name: name.to_owned(),
        url: format!("{base}/v1/shared/{}/{name}", share.secret),
    };
    let files = files_of(&job, &share).into_iter().map(file).collect();
    Ok(Json(SharedView { name: name_of(&job), created_at: rfc3339(share.created_ms), files }))
}

/// Fetch a file of a shared scene
///
/// Needs no key. The scene in each format, `preview.png`, and `cameras.json` without names of photos.
#[utoipa::path(
    get, path = "/v1/shared/{secret}/{name}", tag = "sharing", operation_id = "get_shared_file",
    params(
        ("secret" = String, Path, description = "The end of the link"), ("name" = String, Path, description = "The file"),
        ("Range" = Option<String>, Header, description = "A part of the file: `bytes=0-99`"),
        ("If-None-Match" = Option<String>, Header, description = "ETags that the client has"),
    ),
    responses(
        (status = 200, description = "The file", content(
            (FileContent = "application/octet-stream"), (FileContent = "model/gltf-binary"), (FileContent = "image/png"), (Value = "application/json"),
        )),
        (status = 206, description = "The part asked for", content(
            (FileContent = "application/octet-stream"), (FileContent = "model/gltf-binary"), (FileContent = "image/png"),
        )),
        (status = 304, description = "The client has it"),
        (status = 404, description = "No such link or file", body = Problem, content_type = "application/problem+json"),
        (status = 416, description = "The part lies outside of the file", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The link's region holds nothing", body = Problem, content_type = "application/problem+json"),
        (status = 507, description = "The disk is full", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn file(
    State(app): State<App>,
    Path((secret, name)): Path<(String, String)>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response> {
    let (job, share) = shared(&app, &secret).await?;
    if !files_of(&job, &share).contains(&name.as_str()) {
        return Err(Problem::not_found("file of this scene"));
    }
    let Some(artifact) = job.artifacts.iter().find(|file| file.name == name && !name.starts_with("scene."))
    else {
        return exports::scene(&app, &job, &name, &share.cut, &method, &headers).await;
    };
    if name == "cameras.json" {
        let bytes = app.store.read(&job.id, &artifact.path, MAX_CAMERAS_BYTES).await?;
        let cameras: Vec<serde_json::Map<String, Value>> =
            serde_json::from_slice(&bytes).map_err(|error| Problem::internal(&error))?;
        let cameras: Vec<_> = cameras.into_iter().map(without_names).collect();
        return Ok(([(CONTENT_TYPE, "application/json")], Json(cameras)).into_response());
    }
    send(&app, Stored::of(&job, artifact), &method, &headers).await
}

fn without_names(mut camera: serde_json::Map<String, Value>) -> serde_json::Map<String, Value> {
    camera.retain(|name, _| OF_CAMERAS.contains(&name.as_str()));
    camera
}
