//! Changes to a job by its owner: its name, and whether it expires.

use axum::Json;
use axum::extract::{Extension, Path, Request, State};
use serde::{Deserialize, Deserializer};

use super::auth::Caller;
use super::jobs::{job_id, view};
use super::problem::{Problem, Result};
use super::view::JobView;
use super::{App, MAX_JSON_BYTES, json};
use crate::job::Change;
use crate::scene::name_fault;

/// The fields to change; absent fields stay as they are.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct JobChange {
    /// Title for display; `null` restores the one that the job was submitted with.
    #[serde(deserialize_with = "double_option")]
    #[schema(value_type = Option<String>, max_length = 80)]
    name: Option<Option<String>>,
    /// `true` keeps the job until it is deleted; `false` lets it expire.
    pinned: Option<bool>,
}

/// Distinguishes `null` from an absent field.
fn double_option<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Rename or pin a job
#[utoipa::path(
    patch, path = "/v1/jobs/{id}", tag = "jobs", operation_id = "change_job", params(("id" = String, Path, description = "The job")),
    request_body = JobChange,
    responses(
        (status = 200, description = "The job as it is now", body = JobView),
        (status = 400, description = "The body cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such job", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "No such change", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn change(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<JobView>> {
    let id = job_id(&id)?;
    let JobChange { name, pinned } = json::read(&json::body(request, MAX_JSON_BYTES).await?)?;
    // An empty name counts as none.
    let name = name.map(|name| name.filter(|name| !name.is_empty()));
    if let Some(fault) = name.iter().flatten().find_map(|name| name_fault(name)) {
        return Err(Problem::invalid(fault));
    }
    let change = Change { name, pinned, share: None };
    let job = app.queue.change(&caller.owner, &id, change).await?.ok_or_else(|| Problem::not_found("job"))?;
    app.hub.changed(&id);
    Ok(Json(view(&app, job).await?))
}
