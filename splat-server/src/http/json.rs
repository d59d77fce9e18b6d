//! JSON bodies and query parameters; errors name the field or position.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use splat_core::plain::plain;

use super::problem::{Problem, Result};
use crate::code::Code;

/// The query parameters of a request.
pub(super) struct Parameters<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let query = Query::from_request_parts(parts, state).await;
        let Query(parameters) = query.map_err(|error| Problem::malformed(plain(&error.body_text())))?;
        Ok(Self(parameters))
    }
}

/// Reads the body of a request, at most `most` bytes.
pub(super) async fn body(mut request: Request, most: usize) -> Result<Bytes> {
    DefaultBodyLimit::max(most).apply(&mut request);
    Bytes::from_request(request, &()).await.map_err(too_large)
}

/// Parses JSON; an error names the field or position. The parser limits the nesting depth.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let read = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let (path, cause) = (error.path().to_string(), error.into_inner());
        if cause.is_data() {
            Problem::invalid(format!("`{path}` cannot be used: {}", plain(&cause.to_string())))
        } else {
            Problem::malformed(format!("the body is no JSON: {cause}"))
        }
    })?;
    reader.end().map_err(|error| Problem::malformed(format!("the body is no JSON: {error}")))?;
    Ok(read)
}

/// As [`read`], for a body that may be empty or `null`.
pub(super) fn optional<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T> {
    let read: Option<T> = if body.is_empty() { None } else { read(body)? };
    Ok(read.unwrap_or_default())
}

/// The error for a body that could not be read completely.
pub(super) fn too_large(error: BytesRejection) -> Problem {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            Code::TooLarge,
            "the body is larger than any such request needs",
        )
    } else {
        Problem::malformed(error.body_text())
    }
}
