//! The scene of a job in other formats, whole or cropped.

use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use serde::Deserialize;

use super::App;
use super::artifacts::{Stored, send};
use super::auth::Caller;
use super::document::FileContent;
use super::jobs::owned;
use super::json::Parameters;
use super::problem::{Problem, Result};
use crate::export::{ExportError, FORMS, Form};
use crate::job::{Cut, Job};

/// Which part of the scene to export.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams, utoipa::ToSchema)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub(super) struct CutOptions {
    /// Only Gaussians inside a region, in the scene's coordinates: `box:X0,Y0,Z0,X1,Y1,Z1` or `sphere:X,Y,Z,RADIUS`.
    #[param(max_length = 200, example = "sphere:0,0,0,2")]
    #[schema(max_length = 200, example = "sphere:0,0,0,2")]
    pub(super) region: Option<String>,
    /// Removes isolated Gaussians and those that hide the scene.
    pub(super) drop_floaters: bool,
}

impl CutOptions {
    pub(super) fn read(self) -> Result<Cut> {
        let region = self.region.map(|text| text.parse()).transpose();
        let region = region.map_err(|error| Problem::invalid(format!("`region` cannot be used: {error}")))?;
        Ok(Cut { region, drop_floaters: self.drop_floaters })
    }
}

/// Fetch the scene in a format
///
/// `scene.ply`, `scene.compressed.ply`, `scene.spz`, `scene.sog`, `scene.splat` or `scene.glb`. Converted on the first request,
/// which takes seconds for a large scene, then stored.
#[utoipa::path(
    get, path = "/v1/jobs/{id}/scene/{form}", tag = "artifacts", operation_id = "get_scene",
    params(
        ("id" = String, Path, description = "The job"), ("form" = String, Path, description = "The form, as a file's name"), CutOptions,
        ("Range" = Option<String>, Header, description = "A part of the file: `bytes=0-99`"),
        ("If-None-Match" = Option<String>, Header, description = "ETags that the client has"),
    ),
    responses(
        (status = 200, description = "The scene", content((FileContent = "application/octet-stream"), (FileContent = "model/gltf-binary"))),
        (status = 206, description = "The part asked for", content((FileContent = "application/octet-stream"), (FileContent = "model/gltf-binary"))),
        (status = 304, description = "The client has it"),
        (status = 400, description = "A parameter cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such job or form, or the job has no scene", body = Problem, content_type = "application/problem+json"),
        (status = 416, description = "The part lies outside of the file", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "No such region, or nothing in it", body = Problem, content_type = "application/problem+json"),
        (status = 507, description = "The disk is full", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path((id, form)): Path<(String, String)>,
    Parameters(cut): Parameters<CutOptions>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response> {
    let job = owned(&app, &caller, &id).await?;
    scene(&app, &job, &form, &cut.read()?, &method, &headers).await
}

/// Responds with the scene of a job in a format.
pub(super) async fn scene(
    app: &App,
    job: &Job,
    form: &str,
    cut: &Cut,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response> {
    let form = Form::of_name(form).ok_or_else(|| {
        let names: Vec<&str> = FORMS.iter().map(|form| form.name).collect();
        Problem::not_found(&format!("form of a scene; there are {}", names.join(", ")))
    })?;
    app.check_room()?;
    let head = app.exporter.file(job, form, cut).await?;
    let file = Stored { id: &job.id, path: &head.path, name: form.name, content_type: form.content_type() };
    send(app, file, method, headers).await
}

impl From<ExportError> for Problem {
    fn from(error: ExportError) -> Self {
        let detail = error.to_string();
        match error {
            ExportError::NoScene => Self::not_found("scene: the job has made none yet"),
            ExportError::NothingLeft | ExportError::Form(_) => Self::invalid(detail),
            ExportError::Store(error) => error.into(),
            ExportError::Intake(error) => error.into(),
        }
    }
}
