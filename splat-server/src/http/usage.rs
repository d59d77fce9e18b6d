//! A caller's usage and quota.

use axum::Json;
use axum::extract::{Extension, State};
use serde::Serialize;

use super::App;
use super::auth::Caller;
use super::problem::Result;

/// The caller's usage. Days begin at midnight UTC.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct UsageView {
    /// Number of stored jobs.
    kept_jobs: u64,
    /// Bytes stored for them.
    kept_bytes: u64,
    /// Jobs submitted today.
    jobs_today: u64,
    /// Minutes of run time, in attempts that ended today.
    minutes_today: f64,
    /// Limits on these; an absent one is unlimited.
    quota: QuotaView,
}

/// The caller's limits.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct QuotaView {
    /// Bytes stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    /// Jobs per day.
    #[serde(skip_serializing_if = "Option::is_none")]
    jobs_a_day: Option<u64>,
    /// Minutes per day.
    #[serde(skip_serializing_if = "Option::is_none")]
    minutes_a_day: Option<u64>,
}

/// The caller's usage and quota
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
