//! Errors of the HTTP API, as RFC 9457 problem documents with matching statuses.

use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::code::Code;
use crate::intake::{IntakeError, Rejected};
use crate::job::Reason;
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
    #[serde(serialize_with = "word")]
    #[schema(value_type = String)]
    code: Code,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<Box<str>>,
    /// Files that were rejected, each with its reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rejected: Vec<Rejected>,
    /// Why a gesture was refused, for programs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<Reason>,
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

fn word<S: serde::Serializer>(code: &Code, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(code.name())
}

/// Result of a handler.
pub(super) type Result<T> = std::result::Result<T, Problem>;

impl Problem {
    /// Creates a problem from its status, code and detail.
    pub fn new(status: StatusCode, code: Code, detail: impl Into<Box<str>>) -> Self {
        Self {
            kind: Kind::AboutBlank,
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into(),
            code,
            hint: None,
            rejected: Vec::new(),
            reasons: Vec::new(),
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

    /// Sets why a gesture was refused.
    #[must_use]
    pub fn because(mut self, reason: splat_gesture::Reason) -> Self {
        self.reasons = vec![reason.into()];
        self
    }

    /// 404 for a job, upload or file that does not exist or belongs to another owner; the response does not say which.
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, Code::NotFound, format!("there is no such {what}"))
    }

    /// 422: the request is well formed but its values are not usable.
    pub fn invalid(detail: impl Into<Box<str>>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, Code::Invalid, detail)
    }

    /// 400: the request cannot be parsed.
    pub fn malformed(detail: impl Into<Box<str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Code::Malformed, detail)
    }

    /// 409: the request does not fit the current state.
    pub fn conflict(code: Code, detail: impl Into<Box<str>>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// 503: a backend does not respond, which may be temporary.
    pub fn unavailable(detail: impl Into<Box<str>>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable, detail).retry_after(5)
    }

    fn store_unavailable(error: &StoreError) -> Self {
        tracing::error!(%error, "could not use the file store");
        Self::unavailable("the file store does not answer now; nothing is lost, try again")
    }

    /// 500: an internal error. The cause is logged and not sent to the client.
    pub fn internal(cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(%cause, "request failed with an internal error");
        let detail = "the service failed at this; its log says why";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, Code::Internal, detail)
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
    pub fn code(&self) -> Code {
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
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, Code::IdempotencyKeyReused, detail)
            }
            QueueError::Full { .. } => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, Code::QueueFull, detail).retry_after(60)
            }
            QueueError::OwnerFull { .. } => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, Code::TooManyJobs, detail).retry_after(60)
            }
            QueueError::TooManyQuestions { .. } => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, Code::TooManyLooks, detail).retry_after(1)
            }
            QueueError::QuotaUsedUp { .. } => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, Code::QuotaUsedUp, detail)
            }
            QueueError::Draining => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, Code::Draining, detail).retry_after(600)
            }
            QueueError::WrongState { .. } => Self::conflict(Code::WrongState, detail),
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
                Code::BadRange,
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
            IntakeError::Interrupted { .. } => with(StatusCode::BAD_REQUEST, Code::Interrupted),
            IntakeError::TooManyPhotos { .. } => with(StatusCode::UNPROCESSABLE_ENTITY, Code::TooManyPhotos),
            IntakeError::TooManyFiles { .. } => with(StatusCode::UNPROCESSABLE_ENTITY, Code::TooManyFiles),
            IntakeError::JobTooLarge { .. } => with(StatusCode::PAYLOAD_TOO_LARGE, Code::TooLarge),
            IntakeError::NoPhotos { rejected } => {
                with(StatusCode::UNPROCESSABLE_ENTITY, Code::NoPhotos).rejected(rejected)
            }
            IntakeError::TooFewPhotos { rejected, .. } => {
                with(StatusCode::UNPROCESSABLE_ENTITY, Code::TooFewPhotos).rejected(rejected)
            }
            IntakeError::Refused(rejected) => {
                let status =
                    StatusCode::from_u16(rejected.code.status()).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
                with(status, Code::Refused).rejected(std::slice::from_ref(rejected))
            }
            IntakeError::NoRoom => with(StatusCode::INSUFFICIENT_STORAGE, Code::DiskFull).retry_after(600),
            IntakeError::NoUpload => with(StatusCode::NOT_FOUND, Code::NotFound),
            IntakeError::Locked => with(StatusCode::LOCKED, Code::Locked).retry_after(1),
            IntakeError::WrongOffset { .. } => with(StatusCode::CONFLICT, Code::WrongOffset),
            IntakeError::BeyondLength { .. } | IntakeError::UploadTooLarge { .. } => {
                with(StatusCode::PAYLOAD_TOO_LARGE, Code::TooLarge)
            }
            IntakeError::BadRequest { .. } => with(StatusCode::BAD_REQUEST, Code::Malformed),
            IntakeError::Incomplete { .. } => with(StatusCode::CONFLICT, Code::Incomplete),
            IntakeError::TooManyUploads { .. } | IntakeError::OwnerFull { .. } => {
                with(StatusCode::TOO_MANY_REQUESTS, Code::TooManyUploads).retry_after(600)
            }
            // 460 is tus's status for a checksum mismatch.
            IntakeError::WrongChecksum => {
                with(StatusCode::from_u16(460).unwrap_or(StatusCode::BAD_REQUEST), Code::WrongChecksum)
            }
            IntakeError::Store(error) if error.may_pass() => Self::store_unavailable(error),
            IntakeError::Store(_) => Self::internal(&error),
        }
    }
}
