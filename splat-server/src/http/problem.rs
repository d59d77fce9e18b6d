//! Errors of the HTTP API, as RFC 9457 problem documents with matching statuses.

use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::intake::{IntakeError, Rejected};
use crate::queue::QueueError;
use crate::store::StoreError;

/// Why a request failed.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Problem {
    /// `about:blank`: the title is the status, and `code` is for programs.
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "about:blank")]
    kind: Kind,
    /// Reason phrase of the status.
    title: &'static str,
    /// HTTP status.
    status: u16,
    /// What happened and why, as a sentence.
    detail: Box<str>,
    /// A word for programs, such as `not_found` or `queue_full`.
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<Box<str>>,
    /// Files that were rejected, each with its reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rejected: Vec<Rejected>,
    /// Seconds after which the same request may succeed; also in `Retry-After`.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_s: Option<u64>,
}

/// Problem types have no page of their own; `about:blank` says so.
#[derive(Clone, Copy, Debug, Serialize)]
enum Kind {
    #[serde(rename = "about:blank")]
    AboutBlank,
}

/// Result of a handler.
pub(super) type Result<T> = std::result::Result<T, Problem>;

impl Problem {
    /// Creates a problem from its status, code and detail.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<Box<str>>) -> Self {
        Self {
            kind: Kind::AboutBlank,
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into(),
            code,
            hint: None,
            rejected: Vec::new(),
            retry_after_s: None,
        }
    }

    /// Sets what to try.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Box<str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Sets when to try again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds.max(1));
        self
    }

    /// Sets the files that were rejected.
    #[must_use]
    pub fn rejected(mut self, rejected: &[Rejected]) -> Self {
        self.rejected = rejected.to_vec();
        self
    }

    /// 404 for a job, upload or file that does not exist or belongs to another owner; the response does not say which.
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("there is no such {what}"))
    }

    /// 422: the request is well formed but its values are not usable.
    pub fn invalid(detail: impl Into<Box<str>>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail)
    }

    /// 400: the request cannot be parsed.
    pub fn malformed(detail: impl Into<Box<str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", detail)
    }

    /// 409: the request does not fit the current state.
    pub fn conflict(code: &'static str, detail: impl Into<Box<str>>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// 503: a backend does not respond, which may be temporary.
    pub fn unavailable(detail: impl Into<Box<str>>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail).retry_after(5)
    }

    fn store_unavailable(error: &StoreError) -> Self {
        tracing::error!(%error, "could not use the file store");
        Self::unavailable("the file store does not answer now; nothing is lost, try again")
    }

    /// 500: an internal error. The cause is logged and not sent to the client.
    pub fn internal(cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(%cause, "request failed with an internal error");
        let detail = "the service failed at this; its log says why";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }

    /// Detail and hint as plain text.
    pub(super) fn in_words(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{}. {hint}", self.detail),
            None => self.detail.to_string(),
        }
    }

    /// The code for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, retry_after) = (self.status(), self.retry_after_s);
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<QueueError> for Problem {
    fn from(error: QueueError) -> Self {
        let detail = error.to_string();
        match error {
            QueueError::KeyReused => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", detail)
            }
            QueueError::Full { .. } => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "queue_full", detail).retry_after(60)
            }
            QueueError::OwnerFull { .. } => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_jobs", detail).retry_after(60)
            }
            QueueError::TooManyQuestions { .. } => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_looks", detail).retry_after(1)
            }
            QueueError::QuotaUsedUp { .. } => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "quota_used_up", detail)
            }
            QueueError::Draining => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "draining", detail).retry_after(600)
            }
            QueueError::WrongState { .. } => Self::conflict("wrong_state", detail),
            QueueError::Unavailable { .. } => {
                tracing::error!(detail, "could not reach the job store");
                Self::unavailable("the job store does not answer now; nothing is lost, try again")
            }
            QueueError::ClaimLost { .. } | QueueError::Malformed { .. } => Self::internal(&detail),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound { .. } => Self::not_found("file"),
            StoreError::BadRange { .. } => Self::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                "bad_range",
                "the range asked for lies outside of the file",
            ),
            error if error.may_pass() => Self::store_unavailable(&error),
            error => Self::internal(&error),
        }
    }
}

impl From<IntakeError> for Problem {
    fn from(error: IntakeError) -> Self {
        let detail = error.to_string();
        let with = |status, code| Self::new(status, code, detail.clone());
        match &error {
            IntakeError::Interrupted { .. } => with(StatusCode::BAD_REQUEST, "interrupted"),
            IntakeError::TooManyPhotos { .. } => with(StatusCode::UNPROCESSABLE_ENTITY, "too_many_photos"),
            IntakeError::TooManyFiles { .. } => with(StatusCode::UNPROCESSABLE_ENTITY, "too_many_files"),
            IntakeError::JobTooLarge { .. } => with(StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            IntakeError::NoPhotos { rejected } => {
                with(StatusCode::UNPROCESSABLE_ENTITY, "no_photos").rejected(rejected)
            }
            IntakeError::TooFewPhotos { rejected, .. } => {
                with(StatusCode::UNPROCESSABLE_ENTITY, "too_few_photos").rejected(rejected)
            }
            IntakeError::Refused(rejected) => {
                let status =
                    StatusCode::from_u16(rejected.code.status()).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
                with(status, "refused").rejected(std::slice::from_ref(rejected))
            }
            IntakeError::NoRoom => with(StatusCode::INSUFFICIENT_STORAGE, "disk_full").retry_after(600),
            IntakeError::NoUpload => with(StatusCode::NOT_FOUND, "not_found"),
            IntakeError::Locked => with(StatusCode::LOCKED, "locked").retry_after(1),
            IntakeError::WrongOffset { .. } => with(StatusCode::CONFLICT, "wrong_offset"),
            IntakeError::BeyondLength { .. } | IntakeError::UploadTooLarge { .. } => {
                with(StatusCode::PAYLOAD_TOO_LARGE, "too_large")
            }
            IntakeError::BadRequest { .. } => with(StatusCode::BAD_REQUEST, "malformed"),
            IntakeError::Incomplete { .. } => with(StatusCode::CONFLICT, "incomplete"),
            IntakeError::TooManyUploads { .. } | IntakeError::OwnerFull { .. } => {
                with(StatusCode::TOO_MANY_REQUESTS, "too_many_uploads").retry_after(600)
            }
            // 460 is tus's status for a checksum mismatch.
            IntakeError::WrongChecksum => {
                with(StatusCode::from_u16(460).unwrap_or(StatusCode::BAD_REQUEST), "wrong_checksum")
            }
            IntakeError::Store(error) if error.may_pass() => Self::store_unavailable(error),
            IntakeError::Store(_) => Self::internal(&error),
        }
    }
}
