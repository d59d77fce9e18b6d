//! The web page.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{ACCEPT_ENCODING, IF_NONE_MATCH, LOCATION};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::{App, Problem};
use crate::page;

/// The routes of all embedded files.
pub(super) fn router() -> Router<App> {
    ["/", "/gestures", "/viewer/", "/viewer/{*rest}", "/assets/{*rest}"]
        .into_iter()
        .fold(Router::new(), |router, route| router.route(route, get(serve)))
        .route("/viewer", get(viewer))
        .route("/shared/{secret}", get(shared))
}

/// Redirects to the folder, since the page's URLs are relative to it.
async fn viewer(request: Request) -> Response {
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    (StatusCode::PERMANENT_REDIRECT, [(LOCATION, format!("viewer/{query}"))]).into_response()
}

async fn serve(method: Method, headers: HeaderMap, request: Request) -> Response {
    embedded(request.uri().path(), &method, &headers)
}

/// The page behind a share link: it requests the scene whose secret is the last part of its URL.
async fn shared(method: Method, headers: HeaderMap) -> Response {
    embedded("/shared/", &method, &headers)
}

fn embedded(path: &str, method: &Method, headers: &HeaderMap) -> Response {
    match page::find(path) {
        Some(file) => respond(&file, method, headers),
        None => Problem::not_found("page").into_response(),
    }
}

/// Responds to a GET or HEAD with an embedded file.
pub(crate) fn respond(file: &page::PageFile, method: &Method, headers: &HeaderMap) -> Response {
    let text = |name| headers.get(name).and_then(|value: &axum::http::HeaderValue| value.to_str().ok());
    let reply = file.reply(text(IF_NONE_MATCH), text(ACCEPT_ENCODING));
    let body = if *method == Method::HEAD { Body::empty() } else { Body::from(reply.body) };
    let mut builder =
        Response::builder().status(StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK));
    for (name, value) in &reply.headers {
        builder = builder.header(*name, *value);
    }
    builder.body(body).unwrap_or_else(|error| Problem::internal(&error).into_response())
}
