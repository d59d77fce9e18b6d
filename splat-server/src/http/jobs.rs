//! Get, list, cancel, retry and delete jobs.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::App;
use super::auth::{self, Caller};
use super::json::{self, Parameters};
use super::problem::{Problem, Result};
use super::view::{JobView, OwnerView};
use crate::code::Code;
use crate::job::{Job, JobId, JobKind, JobState, Owner};
use crate::queue::{ListQuery, Mode, QueueError, Quota};
use crate::scene::{RetryFrom, SceneSpec};
use crate::webhook;

/// Default number of jobs per page.
const PAGE: u32 = 50;

/// Which jobs to list.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct JobListParameters {
    /// Only jobs in this state.
    #[param(example = "running")]
    state: Option<JobState>,
    /// Only jobs of this kind.
    kind: Option<JobKind>,
    /// Jobs of all owners, each with its owner; for keys of the role `admin`.
    #[serde(default)]
    all: bool,
    /// Jobs older than this one: `next` of the previous page.
    before: Option<String>,
    /// Jobs per page, 1 to 200; default 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// A page of jobs.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Page {
    /// Jobs of the page, newest first.
    jobs: Vec<JobView>,
    /// `before` of the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Where to restart a job.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Retry {
    /// This stage and all later ones run again; without it, the job resumes where it stopped.
    from: Option<RetryFrom>,
}

/// The caller's job with this id; a job of another owner is reported as not found.
pub(super) async fn owned(app: &App, caller: &Caller, id: &str) -> Result<Job> {
    let id = job_id(id)?;
    app.queue.get(&caller.owner, &id).await?.ok_or_else(|| Problem::not_found("job"))
}

/// A malformed id is reported as not found.
pub(super) fn job_id(text: &str) -> Result<JobId> {
    text.parse().map_err(|_| Problem::not_found("job"))
}

/// The job as its owner sees it.
pub(super) async fn view(app: &App, job: Job) -> Result<JobView> {
    let ahead = if job.state == JobState::Queued { Some(app.queue.ahead_of(&job.id).await?) } else { None };
    Ok(JobView::of(job, ahead, app.hub.context()))
}

/// All owners of jobs, for an operator.
async fn all_owners(app: &App, caller: &Caller) -> Result<Vec<(Owner, String)>> {
    if !caller.admin {
        let detail = "jobs of everybody are for keys of the role `admin`";
        return Err(Problem::new(StatusCode::FORBIDDEN, Code::Forbidden, detail));
    }
    app.keys.owners().await.map_err(auth::unavailable)
}

/// List jobs
///
/// The caller's jobs, newest first.
#[utoipa::path(
    get, path = "/v1/jobs", tag = "jobs", operation_id = "list_jobs", params(JobListParameters),
    responses(
        (status = 200, description = "A page of jobs", body = Page),
        (status = 400, description = "A parameter cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "Jobs of everybody are for operators", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Parameters(parameters): Parameters<JobListParameters>,
) -> Result<Json<Page>> {
    let limit = parameters.limit.unwrap_or(PAGE);
    if !(1..=200).contains(&limit) {
        return Err(Problem::malformed(format!("`limit` is {limit}, and must be 1 to 200")));
    }
    let before = parameters.before.map(|id| id.parse()).transpose();
    let before = before.map_err(|_| Problem::malformed("`before` must be the id of a job"))?;
    let query = ListQuery { state: parameters.state, kind: parameters.kind, before, limit };
    let owners =
        if parameters.all { all_owners(&app, &caller).await? } else { vec![(caller.owner, String::new())] };
    let ids: Vec<Owner> = owners.iter().map(|(owner, _)| owner.clone()).collect();
    let jobs = app.queue.list(&ids, &query).await?;
    let next = (jobs.len() == limit as usize).then(|| jobs.last().map(|job| job.id.to_string())).flatten();
    let whose = |job: &Job| {
        let (id, name) = owners.iter().find(|(owner, _)| parameters.all && *owner == job.owner)?;
        Some(OwnerView { id: id.0.clone(), name: name.clone() })
    };
    let jobs = jobs.into_iter().map(|job| {
        let owner = whose(&job);
        JobView { photos: None, owner, ..JobView::of(job, None, app.hub.context()) }
    });
    Ok(Json(Page { jobs: jobs.collect(), next }))
}

/// Get a job
#[utoipa::path(
    get, path = "/v1/jobs/{id}", tag = "jobs", operation_id = "get_job", params(("id" = String, Path, description = "The job")),
    responses(
        (status = 200, description = "The job", body = JobView),
        (status = 404, description = "No such job", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response> {
    if let Some(running) = app.hub.running(&caller.owner, &job_id(&id)?) {
        return Ok(([(CONTENT_TYPE, "application/json")], running).into_response());
    }
    let job = owned(&app, &caller, &id).await?;
    Ok(Json(view(&app, job).await?).into_response())
}

/// Cancel a job
///
/// A waiting job is cancelled immediately, a running one within seconds; a job that has ended does not change.
#[utoipa::path(
    post, path = "/v1/jobs/{id}/cancel", tag = "jobs", operation_id = "cancel_job", params(("id" = String, Path, description = "The job")),
    responses(
        (status = 202, description = "The job, cancelled or about to be", body = JobView),
        (status = 404, description = "No such job", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn cancel(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<JobView>)> {
    let job =
        app.queue.cancel(&caller.owner, &job_id(&id)?).await?.ok_or_else(|| Problem::not_found("job"))?;
    app.hub.changed(&job.id);
    if job.state == JobState::Cancelled {
        webhook::enqueue(&*app.queue, &job).await;
    }
    Ok((StatusCode::ACCEPTED, Json(view(&app, job).await?)))
}

/// Retry a job
///
/// Resumes where the job stopped, or runs the stage `from` and all later ones again. The job must have ended.
#[utoipa::path(
    post, path = "/v1/jobs/{id}/retry", tag = "jobs", operation_id = "retry_job", params(("id" = String, Path, description = "The job")),
    request_body(content = Option<Retry>, content_type = "application/json"),
    responses(
        (status = 202, description = "The job, waiting again", body = JobView),
        (status = 400, description = "The body cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such job", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The job has not ended", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "No such stage, or jobs of this kind cannot be retried so", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn retry(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    body: std::result::Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<JobView>)> {
    let Retry { from } = json::optional(&body.map_err(json::too_large)?)?;
    let job = owned(&app, &caller, &id).await?;
    if app.queue.mode().await? == Mode::Draining {
        return Err(QueueError::Draining.into());
    }
    // A retry does not count against the number of jobs, only against the time.
    let quota = Quota { jobs_a_day: None, ..app.quota(&caller) };
    quota.check(&app.queue.usage(&caller.owner).await?, 0)?;
    if !job.state.is_final() {
        return Err(Problem::conflict(
            Code::WrongState,
            format!("the job is {}; cancel it first", job.state.name()),
        ));
    }
    let spec = match serde_json::from_value::<SceneSpec>(job.spec.clone()) {
        Ok(spec) if job.kind == JobKind::Scene => serde_json::to_value(SceneSpec { redo_from: from, ..spec })
            .map_err(|error| Problem::internal(&error))?,
        _ if from.is_none() => job.spec.clone(),
        _ => return Err(Problem::invalid("only scenes have stages; leave `from` out")),
    };
    let job =
        app.queue.retry(&caller.owner, &job.id, spec).await?.ok_or_else(|| Problem::not_found("job"))?;
    app.hub.changed(&job.id);
    Ok((StatusCode::ACCEPTED, Json(view(&app, job).await?)))
}

/// Delete a job
///
/// Removes the job and all its files. It must have ended.
#[utoipa::path(
    delete, path = "/v1/jobs/{id}", tag = "jobs", operation_id = "delete_job", params(("id" = String, Path, description = "The job")),
    responses(
        (status = 204, description = "It is gone"),
        (status = 404, description = "No such job", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The job has not ended", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn delete(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<StatusCode> {
    if app.delete_job(&caller.owner, &job_id(&id)?).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found("job"))
    }
}
