//! Which other web pages may use the service (CORS).

use std::time::Duration;

use axum::http::Method;
use axum::http::header::{HeaderName, HeaderValue};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer, ExposeHeaders};

/// Which other web pages may use the service; `None` where none may.
pub(super) fn cors(origins: &[String]) -> Option<CorsLayer> {
    const EXPOSED: [&str; 14] = [
        "location",
        "etag",
        "retry-after",
        "content-range",
        "content-disposition",
        "x-request-id",
        "x-job-id",
        "x-next-from",
        "tus-resumable",
        "tus-version",
        "tus-extension",
        "tus-max-size",
        "upload-offset",
        "upload-length",
    ];
    if origins.is_empty() {
        return None;
    }
    let allowed = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()))
    };
    let methods = [Method::GET, Method::HEAD, Method::POST, Method::PATCH, Method::DELETE, Method::OPTIONS];
    Some(
        CorsLayer::new()
            .allow_origin(allowed)
            .allow_methods(methods)
            // `*` would not cover `Authorization`.
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers(ExposeHeaders::list(EXPOSED.map(HeaderName::from_static)))
            .max_age(Duration::from_secs(3600)),
    )
}
