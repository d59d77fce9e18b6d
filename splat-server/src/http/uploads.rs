//! Resumable uploads: tus 1.0 with creation, creation-with-upload, termination, expiration and checksum.

use std::time::SystemTime;

use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::App;
use super::auth::Caller;
use super::document::FileContent;
use super::problem::{Problem, Result};
use super::view::rfc3339;
use crate::code::Code;
use crate::intake::Upload;
use crate::job::JobId;

const VERSION: HeaderName = HeaderName::from_static("tus-resumable");
const VERSIONS: HeaderName = HeaderName::from_static("tus-version");
const EXTENSIONS: HeaderName = HeaderName::from_static("tus-extension");
const MAX_SIZE: HeaderName = HeaderName::from_static("tus-max-size");
const ALGORITHMS: HeaderName = HeaderName::from_static("tus-checksum-algorithm");
const LENGTH: HeaderName = HeaderName::from_static("upload-length");
const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const METADATA: HeaderName = HeaderName::from_static("upload-metadata");
const CHECKSUM: HeaderName = HeaderName::from_static("upload-checksum");
const EXPIRES: HeaderName = HeaderName::from_static("upload-expires");
const TUS: HeaderValue = HeaderValue::from_static("1.0.0");
/// Media type of a chunk.
const PIECE: &str = "application/offset+octet-stream";

/// Capabilities of resumable uploads
#[utoipa::path(
    options, path = "/v1/uploads", tag = "uploads", operation_id = "upload_options",
    responses(
        (status = 204, description = "Version, extensions and limits, in headers"),
    )
)]
pub(super) async fn options(State(app): State<App>) -> Response {
    let headers = [
        (VERSION, TUS),
        (VERSIONS, TUS),
        (
            EXTENSIONS,
            HeaderValue::from_static("creation,creation-with-upload,termination,expiration,checksum"),
        ),
        (ALGORITHMS, HeaderValue::from_static("sha1")),
        (MAX_SIZE, HeaderValue::from(app.intake.limits().max_job_bytes)),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// Begin an upload
///
/// tus 1.0: `Upload-Length` in bytes, the file name in `Upload-Metadata`. The body may contain a first chunk.
#[utoipa::path(
    post, path = "/v1/uploads", tag = "uploads", operation_id = "create_upload",
    params(
        ("Tus-Resumable" = String, Header, description = "`1.0.0`"),
        ("Upload-Length" = u64, Header, description = "Bytes of the file"),
        ("Upload-Metadata" = Option<String>, Header, description = "`filename` and its value in base64"),
    ),
    responses(
        (status = 201, description = "The upload", headers(("Location" = String, description = "The upload"), ("Upload-Offset" = u64, description = "Bytes that are there"))),
        (status = 400, description = "A header is missing or wrong, or the body broke off", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "Another version of tus", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "Too large", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The file is of a format that is not taken", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The file cannot be used", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many uploads or requests", body = Problem, content_type = "application/problem+json"),
        (status = 460, description = "The checksum does not fit", body = Problem, content_type = "application/problem+json"),
        (status = 507, description = "The disk is full", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn create(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    check_version(&headers)?;
    let length = number(&headers, &LENGTH)?;
    let metadata = text(&headers, &METADATA)?.unwrap_or("");
    let upload = app.intake.create_upload(&caller.owner, length, metadata).await?;
    let with_piece = text(&headers, &CONTENT_TYPE)?.is_some_and(|kind| kind == PIECE);
    let upload = if with_piece {
        let checksum = text(&headers, &CHECKSUM)?;
        let appended =
            app.intake.append(&caller.owner, &upload.id, 0, checksum, body.into_data_stream()).await;
        match appended {
            Ok(upload) => upload,
            // What arrived is stored; the client gets the upload's URL and resumes.
            Err(crate::intake::IntakeError::Interrupted { .. }) => {
                app.intake.upload(&caller.owner, &upload.id).await?
            }
            Err(error) => return Err(error.into()),
        }
    } else {
        upload
    };
    let location = [(LOCATION, format!("/v1/uploads/{}", upload.id))];
    Ok((StatusCode::CREATED, location, state(&upload)).into_response())
}

/// An upload that no job uses yet.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct UploadView {
    /// Id, for `uploads` of a new job.
    id: String,
    /// File name as given by the client.
    name: String,
    /// Size of the file in bytes.
    bytes: u64,
    /// Bytes received.
    offset: u64,
    /// When the upload expires unless more is received.
    #[schema(format = DateTime)]
    expires_at: String,
}

/// The caller's uploads.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Uploads {
    /// In order of their ids.
    uploads: Vec<UploadView>,
}

/// List uploads
///
/// The caller's uploads that no job uses yet. Each counts against the limit until it is used, removed, or expires.
#[utoipa::path(
    get, path = "/v1/uploads", tag = "uploads", operation_id = "list_uploads",
    responses((status = 200, description = "The uploads", body = Uploads)),
)]
pub(super) async fn list(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Uploads>> {
    let expires = |at: SystemTime| {
        let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        rfc3339(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    };
    let mut uploads: Vec<_> = app
        .intake
        .uploads(&caller.owner)
        .await?
        .into_iter()
        .map(|upload| UploadView {
            id: upload.id.to_string(),
            name: upload.name,
            bytes: upload.length,
            offset: upload.offset,
            expires_at: expires(upload.expires),
        })
        .collect();
    uploads.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(Json(Uploads { uploads }))
}

/// Progress of an upload
#[utoipa::path(
    head, path = "/v1/uploads/{id}", tag = "uploads", operation_id = "get_upload",
    params(("id" = String, Path, description = "The upload"), ("Tus-Resumable" = String, Header, description = "`1.0.0`")),
    responses(
        (status = 200, description = "`Upload-Offset`, `Upload-Length`, `Upload-Metadata`, `Upload-Expires`"),
        (status = 404, description = "No such upload"),
        (status = 412, description = "Another version of tus"),
        (status = 413, description = "The file was refused"),
        (status = 415, description = "The file was refused"),
        (status = 422, description = "The file was refused"),
        (status = 423, description = "Another request writes to it"),
    )
)]
pub(super) async fn head(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response> {
    check_version(&headers)?;
    let upload = app.intake.upload(&caller.owner, &upload_id(&id)?).await?;
    let metadata = HeaderValue::from_str(&upload.metadata).ok().filter(|value| !value.is_empty());
    let mut response =
        (StatusCode::OK, state(&upload), [(LENGTH, HeaderValue::from(upload.length))]).into_response();
    if let Some(metadata) = metadata {
        response.headers_mut().insert(METADATA, metadata);
    }
    Ok(response)
}

/// Append a chunk
///
/// The chunk begins at `Upload-Offset`. A file that cannot be used is rejected as soon as that is detected, at the latest with
/// its last chunk.
#[utoipa::path(
    patch, path = "/v1/uploads/{id}", tag = "uploads", operation_id = "append_upload",
    params(
        ("id" = String, Path, description = "The upload"), ("Tus-Resumable" = String, Header, description = "`1.0.0`"),
        ("Upload-Offset" = u64, Header, description = "Where the piece begins"),
        ("Upload-Checksum" = Option<String>, Header, description = "`sha1` and the value in base64"),
    ),
    request_body(content = FileContent, content_type = "application/offset+octet-stream"),
    responses(
        (status = 204, description = "It is there", headers(("Upload-Offset" = u64, description = "Bytes that are there"))),
        (status = 400, description = "A header is missing or wrong, or the body broke off", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such upload", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The piece begins elsewhere than the upload ends", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "Another version of tus", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "More than was announced, or too large", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "Not a piece, or the file is of a format that is not taken", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The file cannot be used", body = Problem, content_type = "application/problem+json"),
        (status = 423, description = "Another request writes to it", body = Problem, content_type = "application/problem+json"),
        (status = 460, description = "The checksum does not fit", body = Problem, content_type = "application/problem+json"),
        (status = 507, description = "The disk is full", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn append(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    check_version(&headers)?;
    if text(&headers, &CONTENT_TYPE)?.is_none_or(|kind| kind != PIECE) {
        let detail = format!("a piece comes as `Content-Type: {PIECE}`");
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::UnsupportedMediaType, detail));
    }
    let (id, offset, checksum) = (upload_id(&id)?, number(&headers, &OFFSET)?, text(&headers, &CHECKSUM)?);
    let upload = app.intake.append(&caller.owner, &id, offset, checksum, body.into_data_stream()).await?;
    Ok((StatusCode::NO_CONTENT, state(&upload)).into_response())
}

/// Remove an upload
#[utoipa::path(
    delete, path = "/v1/uploads/{id}", tag = "uploads", operation_id = "delete_upload",
    params(("id" = String, Path, description = "The upload"), ("Tus-Resumable" = String, Header, description = "`1.0.0`")),
    responses(
        (status = 204, description = "It is gone"),
        (status = 404, description = "No such upload", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "Another version of tus", body = Problem, content_type = "application/problem+json"),
        (status = 423, description = "Another request writes to it", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn terminate(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response> {
    check_version(&headers)?;
    app.intake.terminate(&caller.owner, &upload_id(&id)?).await?;
    Ok((StatusCode::NO_CONTENT, [(VERSION, TUS)]).into_response())
}

fn upload_id(text: &str) -> Result<JobId> {
    text.parse().map_err(|_| Problem::not_found("upload"))
}

fn check_version(headers: &HeaderMap) -> Result<()> {
    if headers.get(&VERSION).is_some_and(|version| *version == TUS) {
        return Ok(());
    }
    let detail = "this service speaks tus 1.0.0; send `Tus-Resumable: 1.0.0`";
    Err(Problem::new(StatusCode::PRECONDITION_FAILED, Code::TusVersion, detail))
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>> {
    let value = headers.get(name).map(HeaderValue::to_str).transpose();
    value.map_err(|_| Problem::malformed(format!("`{name}` must be ASCII")))
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Result<u64> {
    let fault = || Problem::malformed(format!("`{name}` must be there and be a whole number of bytes"));
    text(headers, name)?.and_then(|text| text.parse().ok()).ok_or_else(fault)
}

fn state(upload: &Upload) -> [(HeaderName, HeaderValue); 3] {
    [(VERSION, TUS), (OFFSET, HeaderValue::from(upload.offset)), (EXPIRES, http_date(upload.expires))]
}

/// Formats a time as an HTTP date (RFC 9110).
fn http_date(at: SystemTime) -> HeaderValue {
    let zoned =
        jiff::Timestamp::try_from(at).unwrap_or(jiff::Timestamp::MAX).to_zoned(jiff::tz::TimeZone::UTC);
    HeaderValue::from_str(&zoned.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
        .unwrap_or(HeaderValue::from_static("0"))
}
