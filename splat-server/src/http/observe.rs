//! Access log, metrics and common headers of every response.

use std::net::SocketAddr;
use std::time::Instant;

use axum::body::HttpBody as _;
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::Method;
use axum::http::header::HeaderValue;
use axum::middleware::Next;
use axum::response::Response;
use tower_http::request_id::RequestId;

use super::{App, REQUEST_ID, auth, drain_body, site};
use crate::metrics::RequestLabels;

/// Counts and logs each response. Query strings and headers may contain secrets and are not logged.
pub(super) async fn observe(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    let id = request
        .extensions()
        .get::<RequestId>()
        .and_then(|id| id.header_value().to_str().ok())
        .unwrap_or("")
        .to_owned();
    // A client may send an id of any length; long ones are not logged.
    if id.len() > 64 {
        request.headers_mut().remove(REQUEST_ID);
    }
    let address = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    let forwarded = site::client_of(address, request.headers());
    let bodiless = matches!(method, Method::GET | Method::HEAD | Method::OPTIONS);
    let request = if bodiless { request } else { request.map(drain_body::drained) };
    let mut response = next.run(request).await;
    let (status, took) = (response.status(), started.elapsed());
    let headers = response.headers_mut();
    headers.entry("x-content-type-options").or_insert(HeaderValue::from_static("nosniff"));
    // Other origins may read responses through CORS, where allowed, but not embed them as images or scripts.
    headers.entry("cross-origin-resource-policy").or_insert(HeaderValue::from_static("same-origin"));
    headers.entry("cache-control").or_insert(HeaderValue::from_static("no-store"));
    app.metrics.latency.observe(took.as_secs_f64());
    let labels = RequestLabels { method: known(&method), route: route.clone(), status: status.as_u16() };
    app.metrics.requests.get_or_create(&labels).inc();
    let ms = took.as_millis() as u64;
    // `None` for a streamed body.
    let bytes = response.body().size_hint().exact();
    let key = response.extensions().get::<auth::Asked>().map_or("", |asked| asked.0.0.as_str());
    let address = forwarded.map(tracing::field::display);
    // A slow response is either a request that waits for a job, or an error.
    if status.is_server_error() {
        tracing::warn!(target: "access", %method, route, status = status.as_u16(), ms, bytes, address, key, request = id, "request");
    } else {
        tracing::debug!(target: "access", %method, route, status = status.as_u16(), ms, bytes, address, key, request = id, "request");
    }
    response
}

/// The method, or `other` for an unusual one: the set of labels must stay bounded.
fn known(method: &Method) -> String {
    const USUAL: [Method; 7] = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
    ];
    if USUAL.contains(method) { method.as_str().to_owned() } else { "other".to_owned() }
}
