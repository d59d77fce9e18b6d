//! What a caller has used and may use.

use axum::Json;
use axum::extract::{Extension, State};
use serde::Serialize;

use super::App;
use super::auth::Caller;
use super::problem::Result;

/// What the caller has and has used. Days begin at midnight UTC.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct UsageView {
    /// Jobs that are there.
    kept_jobs: u64,
    /// Bytes that are kept of them.
    kept_bytes: u64,
    /// Jobs submitted today.
    jobs_today: u64,
    /// Minutes that jobs took, in attempts that ended today.
    minutes_today: f64,
    /// Limits on these; what is absent has none.
    quota: QuotaView,
}

/// Limits of what the caller may have and use.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct QuotaView {
    /// Bytes that may be kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    /// Jobs in a day.
    #[serde(skip_serializing_if = "Option::is_none")]
    jobs_a_day: Option<u64>,
    /// Minutes in a day.
    #[serde(skip_serializing_if = "Option::is_none")]
    minutes_a_day: Option<u64>,
}

/// What the caller has used and may use
#[utoipa::path(
    get, path = "/v1/usage", tag = "service", operation_id = "get_usage",
    responses((status = 200, description = "Of the caller's key", body = UsageView))
)]
pub(super) async fn usage(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<UsageView>> {
    let usage = app.queue.usage(&caller.owner).await?;
    let quota = app.quota(&caller);
    Ok(Json(UsageView {
        kept_jobs: usage.kept_jobs,
        kept_bytes: usage.kept_bytes,
        jobs_today: usage.jobs_today,
        minutes_today: usage.busy_ms_today as f64 / 60_000.0,
        quota: QuotaView {
            bytes: quota.bytes,
            jobs_a_day: quota.jobs_a_day,
            minutes_a_day: quota.busy_ms_a_day.map(|ms| ms / 60_000),
        },
    }))
}
