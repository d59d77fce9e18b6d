//! What the service is and accepts, health checks, and metrics for operators.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use serde::Serialize;
use splat_colmap::ColmapQuality;
use splat_core::RendererKind;
use splat_core::pipeline::Preset;
use splat_core::train::Strategy;

use super::App;
use super::auth::Caller;
use super::options::OptionView;
use super::problem::{Problem, Result};
use crate::code::Code;
use crate::export::FORMS;
use crate::metrics::LaneLabels;
use crate::page;
use crate::runner::GpuKind;
use crate::scene;

/// The OpenAPI document, rendered once.
#[derive(Clone, Debug)]
pub(super) struct Served(pub(super) Bytes);

impl Served {
    pub(super) fn new(document: &utoipa::openapi::OpenApi) -> Self {
        Self(document.to_json().unwrap_or_default().into())
    }
}

/// What the service is and accepts.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Info {
    /// Version of the program.
    version: &'static str,
    /// Whether requests need a key.
    auth_required: bool,
    /// Whether jobs are simulated.
    test_mode: bool,
    /// Limits of requests.
    limits: LimitsView,
    /// Presets of steps, resolution and COLMAP quality.
    presets: Vec<PresetView>,
    /// Options of a scene, with help and ranges.
    options: Vec<OptionView>,
    /// Renderers for training.
    renderers: Vec<&'static str>,
    /// How Gaussians are added and removed.
    strategies: Vec<&'static str>,
    /// COLMAP's quality levels.
    qualities: Vec<&'static str>,
    /// Whether the 3-D viewer was built in.
    viewer: bool,
    /// Whether gestures are accepted.
    gestures: bool,
    /// Whether videos are accepted.
    video: bool,
    /// What scenes are trained on: a GPU, or a software renderer on the CPU, which takes hours where a GPU takes minutes. Absent
    /// if other machines run the jobs, or before it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    gpu: Option<GpuKind>,
    /// Formats in which a scene can be downloaded.
    scene_forms: Vec<&'static str>,
}

/// Limits of requests.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct LimitsView {
    min_photos: usize,
    max_photos: usize,
    max_file_bytes: u64,
    max_job_bytes: u64,
    max_pixels: u64,
    max_uploads: usize,
    retention_hours: u64,
}

/// A preset: steps, image size and COLMAP quality chosen together.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct PresetView {
    name: &'static str,
    steps: u32,
    max_image_size: Option<u32>,
    summary: &'static str,
}

/// What the service is and accepts
#[utoipa::path(
    get, path = "/v1/info", tag = "service",
    responses(
        (status = 200, description = "About this service", body = Info),
    )
)]
pub(super) async fn info(State(app): State<App>) -> Result<Json<Info>> {
    let limits = app.intake.limits();
    let presets = Preset::ALL.map(|preset| PresetView {
        name: preset.name(),
        steps: preset.steps(),
        max_image_size: preset.max_image_size(),
        summary: preset.summary(),
    });
    Ok(Json(Info {
        version: env!("CARGO_PKG_VERSION"),
        auth_required: app.gate.requires_key().await?,
        test_mode: app.config.test_mode,
        limits: LimitsView {
            min_photos: limits.min_photos,
            max_photos: limits.max_photos,
            max_file_bytes: limits.max_file_bytes,
            max_job_bytes: limits.max_job_bytes,
            max_pixels: limits.max_pixels,
            max_uploads: limits.max_uploads,
            retention_hours: app.config.retention_hours,
        },
        presets: presets.into(),
        options: scene::options().iter().map(OptionView::of).collect(),
        renderers: RendererKind::ALL.map(RendererKind::name).into(),
        strategies: Strategy::ALL.map(Strategy::name).into(),
        qualities: ColmapQuality::ALL.map(ColmapQuality::name).into(),
        viewer: page::has_viewer(),
        gestures: true,
        video: app.intake.takes_videos(),
        gpu: app.gpu.get().copied().flatten(),
        scene_forms: FORMS.iter().map(|form| form.name).collect(),
    }))
}

/// Whether the process is alive
#[utoipa::path(get, path = "/healthz", tag = "service", responses(
    (status = 200, description = "It lives", content_type = "text/plain", body = String),
))]
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether requests can be served
/// Checks the job store, the file store and the free disk space.
/// Asks the job store and the file store, and looks at the disk.
#[utoipa::path(get, path = "/readyz", tag = "service", responses(
    (status = 200, description = "They can", content_type = "text/plain", body = String),
    (status = 503, description = "Something does not answer, or the disk is full", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn readyz(State(app): State<App>) -> Result<&'static str> {
    app.queue.ping().await?;
    app.store.ping().await?;
    if app.store.free_bytes()? < app.intake.limits().disk_floor_bytes {
        return Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            Code::DiskFull,
            "the disk is as full as it may be; no photos are taken",
        ));
    }
    Ok("ready\n")
}

/// Metrics for Prometheus
///
/// If keys are in use, only for keys of the role `admin`.
#[utoipa::path(get, path = "/metrics", tag = "service", responses(
    (status = 200, description = "Figures as OpenMetrics text", content_type = "application/openmetrics-text", body = String),
    (status = 403, description = "Not a key of an operator", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn metrics(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
) -> Result<impl IntoResponse> {
    if !caller.admin {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            Code::Forbidden,
            "figures of the whole service are for keys of the role `admin`",
        ));
    }
    for depth in app.queue.depth().await? {
        let lane = depth.lane.name();
        for (state, count) in [("queued", depth.queued), ("running", depth.running)] {
            let gauge = app.metrics.jobs.get_or_create_owned(&LaneLabels { lane, state });
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
    if let Ok(free) = app.store.free_bytes() {
        app.metrics.disk_free.set(i64::try_from(free).unwrap_or(i64::MAX));
    }
    Ok(([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], app.metrics.text()))
}
