//! The API of Ghostouch clients: `POST /train`, `GET /status/{task_id}`, and a download URL per model.

use axum::Json;
use axum::extract::{Extension, Path, Request, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use splat_gesture::{Layout, Recording};

use super::auth::Caller;
use super::document::{FileContent, TrainingWord};
use super::gesture_jobs::{self, GestureOrder};
use super::gestures::sent;
use super::problem::{Problem, Result};
use super::{App, json, refusals, site};
use crate::gesture::{GestureOptions, ModelCode};
use crate::job::{Job, JobId, JobKind, JobState, Owner};
use crate::queue::{Admission, QueueError};

/// A gesture as stock clients send it.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub(super) struct TrainRequest {
    /// The model to extend: `base_v1`, or `model_code` of an earlier result.
    #[schema(example = "base_v1")]
    model_code: String,
    /// Frames of 64 numbers: 21 world landmarks of x, y, z in metres, then the handedness (0 left, 1 right, -1 unknown).
    #[schema(value_type = Vec<Vec<f32>>, min_items = 40, max_items = 600)]
    landmarks: Vec<Vec<f32>>,
    /// Name of the new gesture.
    #[schema(min_length = 1, max_length = 20)]
    gesture: String,
}

/// The task to poll at `/status`.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct TrainAnswer {
    /// Id of the job.
    task_id: String,
}

/// State of a training, as stock clients name it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct StatusAnswer {
    /// Id of the job.
    task_id: String,
    /// State of the training.
    #[schema(value_type = TrainingWord, example = "SUCCESS")]
    status: &'static str,
    /// With `PROGRESS`: `{current_step}`, a stage name, or its description in the language of `Accept-Language` (English,
    /// Korean).
    #[schema(value_type = Option<Object>)]
    progress: Option<Value>,
    /// With `SUCCESS`: `{tflite_url, model_code}`.
    #[schema(value_type = Option<Object>)]
    result: Option<Value>,
    /// With `DUPLICATE` and `FAILURE`: why, and what to try.
    error_info: Option<String>,
}

/// Train a gesture, as Ghostouch clients ask for it
///
/// A rejected request returns a task as well, with status `FAILURE` and the reason: these clients wait forever on any response
/// other than 200. `POST /v1/jobs` uses HTTP statuses. If keys are in use, this route is open to clients without one only if the
/// operator allows it (`legacy_gestures`).
#[utoipa::path(
    post, path = "/train", tag = "compatible", operation_id = "train_gesture", request_body = TrainRequest,
    responses(
        (status = 200, description = "The training waits, or was refused; `/status` says which", body = TrainAnswer),
    )
)]
pub(super) async fn train(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Json<TrainAnswer> {
    let task_id = match begin(&app, &caller, request).await {
        Ok(job) => job.to_string(),
        Err(problem) => {
            let why = problem.in_words();
            tracing::info!(why, "rejected a gesture of a Ghostouch client");
            refusals::task_id(&why)
        }
    };
    Json(TrainAnswer { task_id })
}

/// Submits a stock client's request as a job.
async fn begin(app: &App, caller: &Caller, request: Request) -> Result<JobId> {
    let request: TrainRequest = json::read(&json::body(request, gesture_jobs::MAX_BYTES).await?)?;
    let unknown = || begin_anew(&request.model_code);
    let parent: ModelCode = request.model_code.parse().map_err(|_| unknown())?;
    let recording = Recording::new(&request.gesture, Layout::World, &request.landmarks)?;
    let order = GestureOrder { parent, recording, seed: 0, options: GestureOptions::default() };
    let mut admission = app.admission(caller);
    if caller.owner == Owner::legacy() {
        // Many users share one owner here, so only the queue length limits them.
        admission = Admission { max_unfinished_per_owner: admission.max_waiting.max(1) * 2, ..admission };
    }
    match gesture_jobs::submit(app, caller, order, admission, None).await {
        Ok(submitted) => Ok(submitted.job.id),
        // Only the parent model can be missing.
        Err(problem) if problem.status() == StatusCode::NOT_FOUND => Err(unknown()),
        Err(problem) => Err(problem),
    }
}

/// Error for an unknown model: it was made by the service that this one replaced, or was deleted.
fn begin_anew(code: &str) -> Problem {
    let code: String = code.chars().filter(|c| !c.is_control()).take(40).collect();
    Problem::invalid(format!(
        "this server has no model `{code}`: it was deleted here, or made by the server that this one replaced"
    ))
    .hint("Begin anew with the basic gestures (reset the app's gestures, or send model_code `base_v1`) and record your own again")
}

/// How far a training is, in the words of Ghostouch clients
///
/// Always 200. An unknown or expired task is a `FAILURE`, so that clients stop polling.
#[utoipa::path(
    get, path = "/status/{task_id}", tag = "compatible", operation_id = "training_status", params(("task_id" = String, Path, description = "What `/train` answered")),
    responses(
        (status = 200, description = "How far it is", body = StatusAnswer),
    )
)]
pub(super) async fn status(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(task_id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Json<StatusAnswer> {
    let found = match task_id.parse::<JobId>() {
        Ok(id) => app.queue.get(&caller.owner, &id).await,
        Err(_) => Ok(None),
    };
    let answer = |status, progress, result, error_info: Option<String>| {
        Json(StatusAnswer { task_id: shown(&task_id), status, progress, result, error_info })
    };
    let job = match found {
        Ok(Some(job)) if job.kind == JobKind::Gesture => job,
        Ok(_) => {
            if let Some(why) = refusals::why(&task_id) {
                return Json(StatusAnswer {
                    task_id,
                    status: "FAILURE",
                    progress: None,
                    result: None,
                    error_info: Some(why),
                });
            }
            let why = "there is no such task; its result was perhaps removed after some days. Send the gesture again";
            return answer("FAILURE", None, None, Some(why.to_owned()));
        }
        // This is temporary, and clients give up on any status other than 200.
        Err(QueueError::Unavailable { why }) => {
            tracing::error!(why, "could not read the status of a gesture task");
            return answer("PENDING", None, None, None);
        }
        Err(error) => {
            tracing::error!(%error, "could not read the status of a gesture task");
            return answer(
                "FAILURE",
                None,
                None,
                Some("the service failed at this; its log says why".into()),
            );
        }
    };
    match job.state {
        JobState::Queued => answer("PENDING", None, None, None),
        JobState::Running => {
            let step = job.progress.stage.as_deref().unwrap_or("start");
            let step = refusals::step(step, refusals::language(&headers));
            answer("PROGRESS", Some(json!({ "current_step": step })), None, None)
        }
        JobState::Succeeded => {
            let download = job.result.as_ref().and_then(|result| result.get("download")?.as_str());
            let url = format!("{}{}", base_url(&app, &uri, &headers), download.unwrap_or_default());
            answer("SUCCESS", None, Some(json!({ "tflite_url": url, "model_code": job.id })), None)
        }
        JobState::Failed if code(&job) == "duplicate" => answer("DUPLICATE", None, None, Some(why(&job))),
        JobState::Failed | JobState::Cancelled | JobState::Dead => {
            answer("FAILURE", None, None, Some(why(&job)))
        }
    }
}

/// Fetch a model by its secret
///
/// `tflite_url` of a finished training points here. Needs no key; anyone who has the URL can download the model.
#[utoipa::path(
    get, path = "/models/{secret}/{file}", tag = "compatible", operation_id = "get_model",
    params(("secret" = String, Path, description = "Cannot be guessed"), ("file" = String, Path, description = "`<model>.tflite`")),
    responses(
        (status = 200, description = "The quantised model", content_type = "application/octet-stream", body = FileContent),
        (status = 404, description = "No such model", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn model(
    State(app): State<App>,
    Path((secret, file)): Path<(String, String)>,
) -> Result<Response> {
    let ids = || Some((secret.parse().ok()?, file.strip_suffix(".tflite")?.parse().ok()?));
    let (secret, id): (JobId, JobId) = ids().ok_or_else(|| Problem::not_found("model"))?;
    sent(app.models.download(&secret, &id).await?, &file)
}

/// The URL at which the client reaches this service.
fn base_url(app: &App, uri: &Uri, headers: &HeaderMap) -> String {
    if let Some(url) = &app.config.public_url {
        return url.clone();
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    // Set by a proxy that terminates TLS. Safe to use: the response goes only to the sender of these headers.
    let scheme =
        text("x-forwarded-proto").filter(|scheme| matches!(*scheme, "http" | "https")).unwrap_or("http");
    let plain = |host: &&str| {
        !host.is_empty()
            && host
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']'))
    };
    let host =
        site::host(uri, headers).filter(plain).map_or_else(|| app.config.bind.to_string(), str::to_owned);
    format!("{scheme}://{host}")
}

fn code(job: &Job) -> &str {
    job.problem.as_ref().map_or("", |problem| problem.code.as_str())
}

fn why(job: &Job) -> String {
    match &job.problem {
        Some(problem) => [Some(&problem.message), problem.hint.as_ref()]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(". "),
        None => format!("the training was {}", job.state.name()),
    }
}

/// The requested task id, truncated to a sensible length.
fn shown(task_id: &str) -> String {
    task_id.chars().take(64).collect()
}
