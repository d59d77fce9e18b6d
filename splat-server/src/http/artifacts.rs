//! Files of a job, whole or in ranges, and its log.

use std::ops::Range;

use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, IF_RANGE, RANGE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::App;
use super::auth::Caller;
use super::document::FileContent;
use super::jobs::owned;
use super::json::Parameters;
use super::problem::{Problem, Result};
use crate::job::{Artifact, Job, JobId};
use crate::layout;
use crate::store::{Contents, FileHead, StoreError};

const NEXT_FROM: HeaderName = HeaderName::from_static("x-next-from");
/// Maximum bytes of the log per response.
const LOG_PIECE: u64 = 256 << 10;

/// Fetch a file of a job
///
/// `scene.ply`, `preview.png`, `comparison.png`, `eval-1.png` ..., `cameras.json`, `metrics.json`, `log.txt`, once the job has
/// written them.
#[utoipa::path(
    get, path = "/v1/jobs/{id}/artifacts/{name}", tag = "artifacts", operation_id = "get_artifact",
    params(
        ("id" = String, Path, description = "The job"), ("name" = String, Path, description = "The file"),
        ("Range" = Option<String>, Header, description = "A part of the file: `bytes=0-99`"),
        ("If-None-Match" = Option<String>, Header, description = "ETags that the client has"),
    ),
    responses(
        (status = 200, description = "The file, with its own content type", content(
            (FileContent = "application/octet-stream"), (FileContent = "image/png"), (String = "text/plain"), (serde_json::Value = "application/json"),
        )),
        (status = 206, description = "The part asked for, with the file's content type", content(
            (FileContent = "application/octet-stream"), (FileContent = "image/png"), (String = "text/plain"), (FileContent = "application/json"),
        )),
        (status = 304, description = "The client has it"),
        (status = 404, description = "No such job or file", body = Problem, content_type = "application/problem+json"),
        (status = 416, description = "The part lies outside of the file", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path((id, name)): Path<(String, String)>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response> {
    let job = owned(&app, &caller, &id).await?;
    // The name is looked up in the job's list; it never becomes part of a path.
    let artifact = job
        .artifacts
        .iter()
        .find(|artifact| artifact.name == name)
        .ok_or_else(|| Problem::not_found("file of this job"))?;
    send(&app, Stored::of(&job, artifact), &method, &headers).await
}

/// A stored file, and how it is presented to clients.
pub(super) struct Stored<'a> {
    pub(super) id: &'a JobId,
    pub(super) path: &'a str,
    pub(super) name: &'a str,
    pub(super) content_type: &'a str,
}

impl<'a> Stored<'a> {
    /// An artefact of a job.
    pub(super) fn of(job: &'a Job, artifact: &'a Artifact) -> Self {
        let Artifact { name, path, content_type, .. } = artifact;
        Self { id: &job.id, path, name, content_type }
    }
}

/// Responds with the file or the requested range of it.
pub(super) async fn send(
    app: &App,
    file: Stored<'_>,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response> {
    let content_type = HeaderValue::from_str(file.content_type).map_err(|error| Problem::internal(&error))?;
    let file_name = format!("attachment; filename=\"{}\"", file.name);
    let disposition = HeaderValue::from_str(&file_name).map_err(|error| Problem::internal(&error))?;
    let (asked, no_body) = (headers.clone(), *method == Method::HEAD);
    // A preview of a running job is replaced every few seconds: length, ETag and bytes must be of the same version.
    let contents = app.store.get_part(file.id, file.path, move |head| {
        Ok(match wanted(&asked, head) {
            Wanted::Bytes { range, .. } if !no_body => range,
            _ => 0..0,
        })
    });
    let Contents { head, stream, .. } = contents.await?;
    let etag = HeaderValue::from_str(&head.etag).map_err(|error| Problem::internal(&error))?;
    let shared = [(ETAG, etag), (CACHE_CONTROL, HeaderValue::from_static("private, no-cache"))];
    let (range, is_part) = match wanted(headers, &head) {
        Wanted::Bytes { range, is_part } => (range, is_part),
        Wanted::Known => return Ok((StatusCode::NOT_MODIFIED, shared).into_response()),
        Wanted::Outside => {
            let size = [(CONTENT_RANGE, format!("bytes */{}", head.bytes))];
            return Ok((size, Problem::from(StoreError::BadRange { bytes: head.bytes })).into_response());
        }
    };
    let own = [
        (CONTENT_TYPE, content_type),
        (CONTENT_DISPOSITION, disposition),
        (ACCEPT_RANGES, HeaderValue::from_static("bytes")),
        (CONTENT_LENGTH, HeaderValue::from(range.end - range.start)),
    ];
    if !is_part {
        return Ok((shared, own, Body::from_stream(stream)).into_response());
    }
    let part = format!("bytes {}-{}/{}", range.start, range.end.saturating_sub(1), head.bytes);
    let part = [(CONTENT_RANGE, part)];
    Ok((StatusCode::PARTIAL_CONTENT, shared, own, part, Body::from_stream(stream)).into_response())
}

/// What the request's headers ask for.
enum Wanted {
    /// The client already has this version.
    Known,
    Bytes {
        range: Range<u64>,
        is_part: bool,
    },
    /// A range outside of the file.
    Outside,
}

fn wanted(headers: &HeaderMap, head: &FileHead) -> Wanted {
    if headers.get_all(IF_NONE_MATCH).into_iter().any(|tags| matches(tags, &head.etag)) {
        return Wanted::Known;
    }
    // With `If-Range`, a range of another version must not be sent.
    let same = headers.get(IF_RANGE).is_none_or(|tag| tag.as_bytes() == head.etag.as_bytes());
    match headers.get(RANGE).filter(|_| same).and_then(|range| parse(range.to_str().ok()?, head.bytes)) {
        None => Wanted::Bytes { range: 0..head.bytes, is_part: false },
        Some(Some(range)) => Wanted::Bytes { range, is_part: true },
        Some(None) => Wanted::Outside,
    }
}

/// Look at a file of a job
///
/// The headers of the file, without its content.
#[utoipa::path(
    head, path = "/v1/jobs/{id}/artifacts/{name}", tag = "artifacts", operation_id = "head_artifact",
    params(("id" = String, Path, description = "The job"), ("name" = String, Path, description = "The file")),
    responses(
        (status = 200, description = "The file is there"),
        (status = 206, description = "The part asked for is there"),
        (status = 304, description = "The client has it"),
        (status = 404, description = "No such job or file"),
        (status = 416, description = "The part lies outside of the file"),
    )
)]
pub(super) async fn head(
    app: State<App>,
    caller: Extension<Caller>,
    path: Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response> {
    get(app, caller, path, Method::HEAD, headers).await
}

/// Whether an `If-None-Match` header contains the ETag.
fn matches(tags: &HeaderValue, etag: &str) -> bool {
    let Ok(tags) = tags.to_str() else { return false };
    tags.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}

/// Parses a `Range` header: `None` if it is to be ignored (several ranges, or malformed), `Some(None)` if it is outside of the
/// file.
fn parse(text: &str, bytes: u64) -> Option<Option<Range<u64>>> {
    let (first, last) = text.trim().strip_prefix("bytes=")?.split_once('-')?;
    let (first, last) = (first.trim(), last.trim());
    if first.is_empty() {
        let wanted: u64 = last.parse().ok()?;
        return Some((wanted > 0 && bytes > 0).then(|| bytes.saturating_sub(wanted)..bytes));
    }
    let first: u64 = first.parse().ok()?;
    let end = if last.is_empty() { bytes } else { last.parse::<u64>().ok()?.saturating_add(1).min(bytes) };
    if !last.is_empty() && end <= first && first < bytes {
        return None;
    }
    Some((first < bytes).then_some(first..end))
}

/// Where to start reading the log.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct LogOffset {
    /// Bytes to skip: `X-Next-From` of the previous response.
    from: Option<u64>,
}

/// Read a job's log
///
/// Up to 256 KiB after `from`. `X-Next-From` is the offset of the next request; it stays the same while there is no more.
#[utoipa::path(
    get, path = "/v1/jobs/{id}/log", tag = "jobs", operation_id = "get_log", params(("id" = String, Path, description = "The job"), LogOffset),
    responses(
        (status = 200, description = "Lines of the log", content_type = "text/plain", body = String, headers(("X-Next-From" = u64, description = "Where to go on"))),
        (status = 400, description = "`from` is no number", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such job", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn log(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Parameters(query): Parameters<LogOffset>,
) -> Result<Response> {
    let job = owned(&app, &caller, &id).await?;
    let from = query.from.unwrap_or(0);
    let piece =
        move |head: &FileHead| Ok(from.min(head.bytes)..head.bytes.min(from.saturating_add(LOG_PIECE)));
    let (next, body) = match app.store.get_part(&job.id, layout::LOG, piece).await {
        Ok(contents) => (contents.range.end, Body::from_stream(contents.stream)),
        // Nothing has been logged yet.
        Err(StoreError::NotFound { .. }) => (0, Body::empty()),
        Err(error) => return Err(error.into()),
    };
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")),
        (NEXT_FROM, HeaderValue::from(next)),
    ];
    Ok((headers, body).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_as_rfc_9110_has_them() {
        assert_eq!(parse("bytes=0-9", 100), Some(Some(0..10)));
        assert_eq!(parse("bytes=90-", 100), Some(Some(90..100)));
        assert_eq!(parse("bytes=-5", 100), Some(Some(95..100)));
        assert_eq!(parse("bytes=-500", 100), Some(Some(0..100)));
        assert_eq!(parse("bytes=50-5000", 100), Some(Some(50..100)));
        assert_eq!(parse("bytes=100-", 100), Some(None));
        assert_eq!(parse("bytes=-0", 100), Some(None));
        assert_eq!(parse("bytes=0-0", 0), Some(None));
        for ignored in
            ["bytes=5-2", "bytes=a-b", "items=0-9", "bytes=0-1,5-6", "", "bytes=18446744073709551616-"]
        {
            assert_eq!(parse(ignored, 100), None, "{ignored}");
        }
        assert_eq!(parse("bytes=0-18446744073709551615", 100), Some(Some(0..100)));
    }
}
