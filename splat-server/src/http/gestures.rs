//! Gesture models: list, inspect, change and delete.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Extension, Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, ETAG, LOCATION};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use splat_core::plain::plain;
use splat_gesture::{Bundle, GestureError, Layout, Reason};

use super::auth::Caller;
use super::document::{FileContent, LayoutWord};
use super::problem::{Problem, Result};
use super::view::rfc3339;
use super::{App, json};
use crate::code::Code;
use crate::gesture::models::{ModelError, NewModel};
use crate::gesture::{self, Figures, ModelCode, ModelRecord};
use crate::job::JobId;
use crate::store::{Contents, blocking};

/// Models per page.
const PAGE: usize = 50;

/// A gesture model.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct ModelView {
    /// Its id, also known to clients as `model_code`.
    id: String,
    /// The model it was derived from; naming it as `parent` goes back to it.
    parent: Option<String>,
    /// How it was made, in words.
    step: String,
    /// Names of its gestures; the index of a gesture is its label id.
    labels: Vec<String>,
    /// `world` or `image`.
    #[schema(value_type = LayoutWord)]
    layout: Layout,
    /// When it was made, RFC 3339.
    #[schema(format = DateTime)]
    created: Option<String>,
    /// Measurements on frames that were not used for training, 0..1.
    metrics: Figures,
    /// URL of `legacy.tflite` that needs no key: anyone who has it can download the model.
    download: Option<String>,
    /// Files of the model.
    files: Vec<ModelFileView>,
}

/// A file of a model.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct ModelFileView {
    /// `legacy.tflite`, `model.tflite`, `model.onnx`, `labels.json`, `manifest.json`, `model.gesture`.
    name: String,
    /// Size in bytes.
    bytes: u64,
    /// URL of the file.
    url: String,
}

impl ModelView {
    /// The model as its owner sees it; `base` is the prefix of URLs, see [`crate::config::Config::base_url`].
    fn of(record: ModelRecord, base: &str) -> Self {
        let url = |name: &str| format!("{base}/v1/gestures/{}/files/{name}", record.id);
        Self {
            download: Some(format!("{base}{}", record.download())),
            files: record
                .files
                .iter()
                .map(|file| ModelFileView {
                    url: url(&file.name),
                    name: file.name.clone(),
                    bytes: file.bytes,
                })
                .collect(),
            id: record.id.to_string(),
            parent: Some(record.parent.to_string()),
            step: record.step,
            labels: record.labels,
            layout: record.layout,
            created: Some(rfc3339(record.created_ms)),
            metrics: record.metrics,
        }
    }
}

/// A page of models.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct ModelPage {
    /// Models of the page, newest first.
    gestures: Vec<ModelView>,
    /// `before` of the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Which models to list.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct WhichModels {
    /// Models after this one: `next` of the previous page.
    before: Option<String>,
    /// Models per page, 1 to 200; default 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
}

/// List models
///
/// The caller's gesture models, newest first. They are kept until they are deleted.
#[utoipa::path(
    get, path = "/v1/gestures", tag = "gestures", operation_id = "list_gestures", params(WhichModels),
    responses(
        (status = 200, description = "A page of models", body = ModelPage),
        (status = 400, description = "A parameter cannot be read", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    query: std::result::Result<Query<WhichModels>, QueryRejection>,
) -> Result<Json<ModelPage>> {
    let Query(which) = query.map_err(|error| Problem::malformed(plain(&error.body_text())))?;
    let limit = which.limit.unwrap_or(PAGE);
    if !(1..=200).contains(&limit) {
        return Err(Problem::malformed(format!("`limit` is {limit}, and must be 1 to 200")));
    }
    let before: Option<JobId> = which
        .before
        .map(|id| id.parse())
        .transpose()
        .map_err(|_| Problem::malformed("`before` must be the id of a model"))?;
    let records = app.models.list(&caller.owner, before.as_ref(), limit).await?;
    let next = (records.len() == limit).then(|| records.last().map(|record| record.id.to_string())).flatten();
    let base = app.config.base_url();
    let gestures = records.into_iter().map(|record| ModelView::of(record, base)).collect();
    Ok(Json(ModelPage { gestures, next }))
}

/// Get a model
///
/// `base_v1` is the base model.
#[utoipa::path(
    get, path = "/v1/gestures/{id}", tag = "gestures", operation_id = "get_gesture", params(("id" = String, Path, description = "The model, or `base_v1`")),
    responses(
        (status = 200, description = "The model", body = ModelView),
        (status = 404, description = "No such model", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<ModelView>> {
    match named(&id)? {
        ModelCode::Of(id) => {
            let record = app.models.record(&caller.owner, &id).await?;
            Ok(Json(ModelView::of(record, app.config.base_url())))
        }
        ModelCode::Base => {
            let base = app.models.base().await?;
            Ok(Json(ModelView {
                id: gesture::BASE_CODE.to_owned(),
                parent: None,
                step: base.provenance().step.clone(),
                labels: base.labels(),
                layout: base.layout(),
                created: None,
                metrics: Figures::of(base.report()),
                download: None,
                files: Vec::new(),
            }))
        }
    }
}

/// Fetch a file of a model
#[utoipa::path(
    get, path = "/v1/gestures/{id}/files/{name}", tag = "gestures", operation_id = "get_gesture_file",
    params(("id" = String, Path, description = "The model"), ("name" = String, Path, description = "The file")),
    responses(
        (status = 200, description = "The file, with its own content type", content(
            (FileContent = "application/octet-stream"), (serde_json::Value = "application/json"),
        )),
        (status = 404, description = "No such model or file", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn file(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path((id, name)): Path<(String, String)>,
) -> Result<Response> {
    let record = app.models.record(&caller.owner, &own(&id)?).await?;
    let contents = app.models.file(&caller.owner, &record, &name).await?;
    sent(contents, &name)
}

/// Delete a model
///
/// Deletes the model with its files, the recording it was trained on, and its URL without a key. Models derived from it stay.
#[utoipa::path(
    delete, path = "/v1/gestures/{id}", tag = "gestures", operation_id = "delete_gesture", params(("id" = String, Path, description = "The model")),
    responses(
        (status = 204, description = "It is gone"),
        (status = 404, description = "No such model", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "It is not one's own", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn delete(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<StatusCode> {
    let id = own(&id)?;
    // Checked first, since the id may be that of a job that made no model.
    app.models.record(&caller.owner, &id).await?;
    // The job of the same id has copies and the recording. If it runs again after a crash, it is cancelled, and a model that it
    // still produces is not stored.
    if let Some(job) = app.queue.cancel(&caller.owner, &id).await? {
        app.hub.changed(&id);
        if job.state.is_final() {
            app.delete_job(&caller.owner, &id).await?;
        } else {
            // The job's input is deleted now; its record is deleted when the job has ended.
            app.store.delete_job(&id).await?;
        }
    }
    app.models.delete(&caller.owner, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Another name for a gesture.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Rename {
    /// Name of the gesture.
    gesture: String,
    /// Its new name.
    #[schema(min_length = 1, max_length = 20)]
    to: String,
}

/// Rename a gesture
///
/// Creates a new model, whose parent is the old one. Label ids and weights do not change.
#[utoipa::path(
    post, path = "/v1/gestures/{id}/rename", tag = "gestures", operation_id = "rename_gesture", params(("id" = String, Path, description = "The model, or `base_v1`")),
    request_body = Rename,
    responses(
        (status = 201, description = "The new model", body = ModelView, headers(("Location" = String, description = "The model"))),
        (status = 400, description = "The body cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such model", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The name is taken", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "No such gesture, or a name that cannot be", body = Problem, content_type = "application/problem+json"),
        (status = 507, description = "The disk is full", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn rename(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    body: std::result::Result<Bytes, BytesRejection>,
) -> Result<Response> {
    let Rename { gesture, to } = json::read(&body.map_err(json::too_large)?)?;
    changed(&app, &caller, &id, move |bundle| bundle.rename(&gesture, &to)).await
}

/// A gesture to be removed.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TakeOut {
    /// Name of the gesture.
    gesture: String,
}

/// Delete a gesture
///
/// Creates a new model without it, whose parent is the old one. Label ids of later gestures decrease by one.
#[utoipa::path(
    post, path = "/v1/gestures/{id}/delete", tag = "gestures", operation_id = "take_out_gesture", params(("id" = String, Path, description = "The model, or `base_v1`")),
    request_body = TakeOut,
    responses(
        (status = 201, description = "The new model", body = ModelView, headers(("Location" = String, description = "The model"))),
        (status = 400, description = "The body cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such model", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "No such gesture, or too few would be left", body = Problem, content_type = "application/problem+json"),
        (status = 507, description = "The disk is full", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn take_out(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    body: std::result::Result<Bytes, BytesRejection>,
) -> Result<Response> {
    let TakeOut { gesture } = json::read(&body.map_err(json::too_large)?)?;
    changed(&app, &caller, &id, move |bundle| bundle.delete(&gesture)).await
}

/// Responds with a model that was derived from another one without training.
async fn changed(
    app: &App,
    caller: &Caller,
    id: &str,
    change: impl FnOnce(&Bundle) -> std::result::Result<Bundle, GestureError> + Send + 'static,
) -> Result<Response> {
    let parent = named(id)?;
    let bundle = app.models.bundle(&caller.owner, &parent).await?;
    let bundle = blocking(move || change(&bundle)).await?;
    app.check_room()?;
    let new = NewModel { id: JobId::random(), parent, secret: JobId::random() };
    let record = app.models.keep(&caller.owner, new, bundle.into()).await?;
    let location = [(LOCATION, format!("/v1/gestures/{}", record.id))];
    Ok((StatusCode::CREATED, location, Json(ModelView::of(record, app.config.base_url()))).into_response())
}

/// The model in a URL; a malformed id is reported as not found.
fn named(id: &str) -> Result<ModelCode> {
    id.parse().map_err(|_| Problem::not_found("model"))
}

/// The id of a user's model, which `base_v1` is not.
fn own(id: &str) -> Result<JobId> {
    match named(id)? {
        ModelCode::Of(id) => Ok(id),
        ModelCode::Base => {
            Err(Problem::invalid("`base_v1` belongs to everybody; it has no files of its own and stays"))
        }
    }
}

/// Responds with a file.
pub(super) fn sent(contents: Contents, name: &str) -> Result<Response> {
    let content_type = if name.ends_with(".json") { "application/json" } else { "application/octet-stream" };
    let headers = [
        (CONTENT_TYPE, content_type.to_owned()),
        (CONTENT_LENGTH, contents.head.bytes.to_string()),
        (CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
        (ETAG, contents.head.etag.clone()),
    ];
    Ok((headers, Body::from_stream(contents.stream)).into_response())
}

impl From<GestureError> for Problem {
    fn from(error: GestureError) -> Self {
        let (detail, reason) = (error.to_string(), Reason::from(&error));
        match error {
            GestureError::NameTaken { .. } => Self::conflict(Code::NameTaken, detail).because(reason),
            GestureError::Malformed { .. } | GestureError::TooNew { .. } | GestureError::Cancelled => {
                Self::internal(&detail)
            }
            _ => Self::invalid(detail).because(reason),
        }
    }
}

impl From<ModelError> for Problem {
    fn from(error: ModelError) -> Self {
        match error {
            ModelError::NotFound | ModelError::Deleted | ModelError::ParentDeleted => {
                Self::not_found("model")
            }
            ModelError::Store(error) => error.into(),
            ModelError::Gesture(error) => error.into(),
            error => Self::internal(&error),
        }
    }
}
