//! Submits a job: a scene from photos in one multipart request or from finished uploads, or a gesture.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::multipart::{Field, Multipart, MultipartRejection};
use axum::extract::{DefaultBodyLimit, Extension, FromRequest, Request, State};
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::auth::Caller;
use super::document::SceneWord;
use super::gesture_jobs::{self, NewGesture};
use super::jobs::{job_id, owned, view};
use super::options::{SceneForm, TextOptions};
use super::part_headers::{HeaderTooLong, Watch};
use super::problem::{Problem, Result};
use super::view::JobView;
use super::{App, MAX_JSON_BYTES, json};
use crate::code::Code;
use crate::intake::{Draft, Rejected};
use crate::job::{Idempotency, JobId, JobKind, Lane, NewJob};
use crate::layout;
use crate::queue::Submitted;
use crate::scene::{SceneOptions, SceneSpec};
use crate::webhook;

/// Maximum bytes of a text field.
const MAX_FIELD_BYTES: usize = 4 << 10;
/// Bytes that the multipart parser gets at a time.
const PIECE_BYTES: usize = 16 << 10;
/// Maximum characters of an idempotency key.
const MAX_KEY_CHARS: usize = 200;

/// A scene from uploads.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewScene {
    /// `scene`, the default.
    #[serde(default)]
    #[schema(value_type = Option<SceneWord>)]
    kind: Option<String>,
    /// Finished uploads: photos, zips of photos or videos.
    #[serde(default)]
    #[schema(max_items = 2000)]
    uploads: Vec<String>,
    /// Instead of uploads: id of a finished scene of the same owner, whose photos and camera poses are used again.
    #[serde(default)]
    from: Option<String>,
    /// Options of the scene.
    #[serde(default)]
    options: SceneOptions,
}

/// A scene from uploads, or a gesture.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes a body, which is read by its kind")]
pub(super) enum NewJobBody {
    /// A scene.
    Scene(NewScene),
    /// A gesture.
    Gesture(NewGesture),
}

/// The kind that a JSON body asks for.
#[derive(Deserialize)]
struct Kind {
    kind: Option<String>,
}

/// A job that was submitted.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct SubmittedView {
    #[serde(flatten)]
    job: JobView,
    /// Files that were rejected, each with its reason; the job uses the others.
    rejected: Vec<Rejected>,
}

/// Submit a scene or a gesture
///
/// A request with the same `Idempotency-Key` and content returns the first job again.
#[utoipa::path(
    post, path = "/v1/jobs", tag = "jobs", operation_id = "create_job",
    params(("Idempotency-Key" = Option<String>, Header, description = "Any text of the client's; one job a key")),
    request_body(content((NewJobBody = "application/json"), (SceneForm = "multipart/form-data"))),
    responses(
        (status = 202, description = "The job", body = SubmittedView, headers(("Location" = String, description = "The job"))),
        (status = 400, description = "The request cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such upload or model", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "An upload is not finished, or the model has a gesture of that name", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "Too much", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "Neither JSON nor multipart, or a file of another format", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Options or photos that cannot be used", body = Problem, content_type = "application/problem+json"),
        (status = 423, description = "An upload is in use", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many jobs or requests", body = Problem, content_type = "application/problem+json"),
        (status = 507, description = "The disk is full", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn create(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response> {
    let key = idempotency_key(request.headers())?;
    let content_type =
        request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let content_type = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    let (draft, options) = match content_type.as_str() {
        "multipart/form-data" => {
            let form = Form::read(&app, &caller, request).await?;
            (form.draft, form.options.parse()?)
        }
        "application/json" => {
            let body = json::body(request, gesture_jobs::MAX_BYTES).await?;
            // Malformed JSON and a missing kind are reported when the body is parsed as a scene.
            let kind = serde_json::from_slice(&body).ok().and_then(|Kind { kind }| kind);
            if kind.as_deref() == Some(JobKind::Gesture.name()) {
                let order = NewGesture::order(&app, &body)?;
                let submitted =
                    gesture_jobs::submit(&app, &caller, order, app.admission(&caller), key).await?;
                return accepted(&app, submitted, Vec::new()).await;
            }
            let scene = scene(&app, &body)?;
            if let Some(from) = scene.from {
                if !scene.uploads.is_empty() {
                    return Err(Problem::invalid("give `uploads` or `from`, not both"));
                }
                let submitted = resubmit(&app, &caller, &from, scene.options, key).await?;
                return accepted(&app, submitted, Vec::new()).await;
            }
            let ids = scene.uploads.iter().map(|id| job_id(id).map_err(|_| Problem::not_found("upload")));
            let ids: Vec<JobId> = ids.collect::<Result<_>>()?;
            (app.intake.take(&caller.owner, &ids).await?, scene.options)
        }
        _ => {
            let detail = "send photos as `multipart/form-data`, or a list of uploads as `application/json`";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::UnsupportedMediaType, detail));
        }
    };
    let (submitted, rejected) = submit(&app, &caller, draft, options, key).await?;
    accepted(&app, submitted, rejected).await
}

/// A scene's job as it is queued, with photos that are stored under `id`.
fn scene_job(
    app: &App,
    caller: &Caller,
    id: JobId,
    spec: &SceneSpec,
    idempotency: Option<Idempotency>,
) -> Result<NewJob> {
    Ok(NewJob {
        id,
        owner: caller.owner.clone(),
        kind: JobKind::Scene,
        lane: Lane::Scene,
        priority: 0,
        max_attempts: app.config.max_attempts,
        spec: serde_json::to_value(spec).map_err(|error| Problem::internal(&error))?,
        bytes: spec.photos.iter().map(|photo| photo.bytes).sum(),
        idempotency,
    })
}

async fn accepted(app: &App, submitted: Submitted, rejected: Vec<Rejected>) -> Result<Response> {
    let id = submitted.job.id.clone();
    let job = view(app, submitted.job).await?;
    let location = [(LOCATION, format!("/v1/jobs/{id}"))];
    Ok((StatusCode::ACCEPTED, location, Json(SubmittedView { job, rejected })).into_response())
}

/// Submits a draft as a job.
pub(super) async fn submit(
    app: &App,
    caller: &Caller,
    draft: Draft,
    options: SceneOptions,
    key: Option<String>,
) -> Result<(Submitted, Vec<Rejected>)> {
    if let Some(fault) = options.fault(app.config.test_mode) {
        return Err(Problem::invalid(fault).rejected(draft.rejected()));
    }
    if let Some(url) = &options.webhook {
        webhook::check(&app.config, url).map_err(Problem::invalid)?;
    }
    let photos = draft.finish().await?;
    let rejected = photos.rejected().to_vec();
    let idempotency = key.map(|key| {
        let mut hash = Sha256::new();
        hash.update(serde_json::to_vec(&options).unwrap_or_default());
        for photo in photos.entries() {
            hash.update(serde_json::to_vec(photo).unwrap_or_default());
        }
        Idempotency { key, fingerprint: hex::encode(hash.finalize()) }
    });
    let id = app.begin_job().await?;
    let spec = SceneSpec { photos: photos.entries().cloned().collect(), options, redo_from: None };
    // Files first, so that every queued job has its photos. Files without a job are swept.
    photos.commit(&app.store, &id).await?;
    let job = scene_job(app, caller, id, &spec, idempotency)?;
    Ok((app.enqueue(job, app.admission(caller)).await?, rejected))
}

/// The client's `Idempotency-Key`.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| !key.is_empty() && key.chars().count() <= MAX_KEY_CHARS);
    let fault =
        || Problem::malformed(format!("an `Idempotency-Key` has 1 to {MAX_KEY_CHARS} ASCII characters"));
    key.map(|key| Some(key.to_owned())).ok_or_else(fault)
}

/// Parses a JSON body.
fn scene(app: &App, body: &[u8]) -> Result<NewScene> {
    if body.len() > MAX_JSON_BYTES {
        let detail = format!("a list of uploads has at most {MAX_JSON_BYTES} bytes");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, Code::TooLarge, detail));
    }
    let scene: NewScene = json::read(body)?;
    if let Some(kind) = scene.kind.as_ref().filter(|kind| *kind != JobKind::Scene.name()) {
        return Err(Problem::invalid(format!("`{kind}` is no kind of job here; `scene` and `gesture` are")));
    }
    if let Some(fault) = scene.options.fault(app.config.test_mode) {
        return Err(Problem::invalid(fault));
    }
    Ok(scene)
}

/// Submits a scene with the photos of another one, and with its camera poses unless the options require different ones.
async fn resubmit(
    app: &App,
    caller: &Caller,
    from: &str,
    options: SceneOptions,
    key: Option<String>,
) -> Result<Submitted> {
    if let Some(url) = &options.webhook {
        webhook::check(&app.config, url).map_err(Problem::invalid)?;
    }
    let source = owned(app, caller, from).await?;
    let Some(spec) =
        serde_json::from_value::<SceneSpec>(source.spec).ok().filter(|_| source.kind == JobKind::Scene)
    else {
        return Err(Problem::invalid("only scenes have photos of which another one can be made"));
    };
    if !source.state.is_final() {
        let detail = format!("the job is {}; wait for its end, or cancel it first", source.state.name());
        return Err(Problem::conflict(Code::WrongState, detail));
    }
    app.check_room()?;
    let idempotency = key.map(|key| {
        let mut hash = Sha256::new();
        hash.update(source.id.as_str());
        hash.update(serde_json::to_vec(&options).unwrap_or_default());
        Idempotency { key, fingerprint: hex::encode(hash.finalize()) }
    });
    let poses = options.same_poses(&spec.options);
    let options = SceneOptions { name: options.name.or(spec.options.name), ..options };
    let spec = SceneSpec { photos: spec.photos, options, redo_from: None };
    let id = app.begin_job().await?;
    let wanted = |path: &str| path.starts_with("images/") || poses && path.starts_with(layout::COLMAP_DATA);
    app.store.copy_files(&source.id, &id, wanted).await?;
    let job = scene_job(app, caller, id, &spec, idempotency)?;
    app.enqueue(job, app.admission(caller)).await
}

/// A multipart request, read part by part: files are streamed to disk.
pub(super) struct Form {
    pub(super) draft: Draft,
    pub(super) options: TextOptions,
}

impl Form {
    pub(super) async fn read(app: &App, caller: &Caller, mut request: Request) -> Result<Self> {
        // Files have their own limits, which are enforced while they are streamed.
        DefaultBodyLimit::disable().apply(&mut request);
        let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        // A body without a boundary is rejected below.
        let boundary = content_type.and_then(|text| multer::parse_boundary(text).ok()).unwrap_or_default();
        let request = request.map(|body| in_small_pieces(body, &boundary));
        let mut parts = Multipart::from_request(request, app).await.map_err(not_multipart)?;
        let mut draft = app.intake.begin(&caller.owner).await?;
        let mut options = TextOptions::default();
        while let Some(part) = parts.next_field().await.map_err(broken)? {
            let name = part.name().unwrap_or("").to_owned();
            match part.file_name().map(str::to_owned) {
                Some(file_name) => {
                    draft.add_file(&file_name, part).await?;
                }
                // Some clients send files without a file name; these fields can only be files.
                None if matches!(name.as_str(), "images" | "files" | "images[]" | "files[]") => {
                    draft.add_file("photo", part).await?;
                }
                None => options.add(name, text(part).await?)?,
            }
        }
        Ok(Self { draft, options })
    }
}

/// Splits the body into small pieces, each followed by a pending poll. The parser reads everything that is ready whenever it is
/// polled, and with a client that is faster than the disk that is the whole upload. The parser also rejects a body whose
/// beginning and end become ready between two polls, which this prevents.
fn in_small_pieces(body: Body, boundary: &str) -> Body {
    let start = (Some(body.into_data_stream()), Bytes::new(), false, Watch::new(boundary));
    Body::from_stream(stream::unfold(start, async |(body, mut rest, begun, mut watch)| {
        let mut body = body?;
        if begun {
            tokio::task::yield_now().await;
        }
        while rest.is_empty() {
            match body.next().await? {
                Ok(piece) => rest = piece,
                Err(error) => return Some((Err(error), (None, rest, true, watch))),
            }
        }
        let piece = rest.split_to(rest.len().min(PIECE_BYTES));
        if let Err(error) = watch.pass(&piece) {
            return Some((Err(axum::Error::new(error)), (None, rest, true, watch)));
        }
        Some((Ok(piece), (Some(body), rest, true, watch)))
    }))
}

/// Reads a text field, up to its limit.
async fn text(mut part: Field<'_>) -> Result<String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = part.chunk().await.map_err(broken)? {
        if bytes.len() + chunk.len() > MAX_FIELD_BYTES {
            return Err(Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                Code::TooLarge,
                format!("a text field has more than {MAX_FIELD_BYTES} bytes"),
            ));
        }
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes).map_err(|_| Problem::malformed("a text field is not UTF-8"))
}

fn not_multipart(error: MultipartRejection) -> Problem {
    Problem::malformed(format!("the body is no multipart form: {}", error.body_text()))
}

fn broken(error: axum::extract::multipart::MultipartError) -> Problem {
    // The parser wraps the body's own error.
    let mut cause: Option<&dyn std::error::Error> = Some(&error);
    while let Some(inner) = cause {
        if let Some(too_long) = inner.downcast_ref::<HeaderTooLong>() {
            return Problem::malformed(format!("the form cannot be read on: {too_long}"));
        }
        cause = inner.source();
    }
    Problem::malformed(format!("the form cannot be read on: {}", error.body_text()))
}
