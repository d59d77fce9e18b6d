//! A job's events as resumable server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Extension, Path, State};
use axum::http::HeaderMap;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Deserialize;
use tokio::sync::watch;

use super::App;
use super::auth::Caller;
use super::hub::{Feed, Seen};
use super::jobs::owned;
use super::json::Parameters;
use super::problem::{Problem, Result};
use crate::metrics::Metrics;

/// A comment at this interval keeps proxies from closing an idle stream.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Where to start.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct After {
    /// Number of the last event that the client has; later ones are sent. A `Last-Event-ID` header takes precedence.
    after: Option<u64>,
}

/// One server-sent event.
#[derive(Debug, utoipa::ToSchema)]
#[expect(dead_code, reason = "describes the stream, which is written as text")]
pub(super) struct EventFrame {
    /// The event's number within the job, for `Last-Event-ID`.
    id: String,
    /// `state`, `stage`, `progress`, `warning`, `placed`, `eval`, `artifact` or `preview`.
    event: String,
    /// A JSON object: the event's data, and the job's current progress.
    data: String,
}

/// Follow a job
///
/// Server-sent events: `id` is the event's number, `event` its kind, `data` a JSON object with the current progress. Past events
/// are sent first, then new ones as they happen. The stream ends after the event of the final state.
#[utoipa::path(
    get, path = "/v1/jobs/{id}/events", tag = "jobs", operation_id = "follow_job",
    params(("id" = String, Path, description = "The job"), After, ("Last-Event-ID" = Option<String>, Header, description = "Go on after this event")),
    responses(
        (status = 200, description = "The events", content_type = "text/event-stream", body = EventFrame),
        (status = 400, description = "A number is none", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such job", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn events(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Parameters(query): Parameters<After>,
    headers: HeaderMap,
) -> Result<Response> {
    let job = owned(&app, &caller, &id).await?;
    let resumed = headers.get("last-event-id").map(|value| {
        let number = value.to_str().ok().and_then(|text| text.trim().parse().ok());
        number.ok_or_else(|| Problem::malformed("`Last-Event-ID` must be the number of an event"))
    });
    let after = resumed.transpose()?.or(query.after).unwrap_or(0);
    let feed = app.hub.feed(&job.owner, &job.id);
    let listener =
        Listener { seen: feed.subscribe(), feed, after, done: false, _open: Open::new(&app.metrics) };
    let body = stream::unfold(listener, |mut listener| async move {
        let bytes = listener.next().await?;
        Some((Ok::<_, Infallible>(bytes), listener))
    });
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-store"),
        (axum::http::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, Body::from_stream(body)).into_response())
}

/// One client's position in a feed.
struct Listener {
    feed: Arc<Feed>,
    seen: watch::Receiver<Seen>,
    after: u64,
    done: bool,
    _open: Open,
}

impl Listener {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if self.done {
                return None;
            }
            let seen = *self.seen.borrow_and_update();
            let (last, bytes) = self.feed.after(self.after);
            self.done = seen.ended;
            self.after = last;
            if !bytes.is_empty() {
                return Some(bytes);
            }
            if self.done {
                return None;
            }
            match tokio::time::timeout(HEARTBEAT, self.seen.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return None,
                Err(_) => return Some(Bytes::from_static(b": still here\n\n")),
            }
        }
    }
}

/// Counts open streams.
struct Open(Arc<Metrics>);

impl Open {
    fn new(metrics: &Arc<Metrics>) -> Self {
        metrics.streams.inc();
        Self(Arc::clone(metrics))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.streams.dec();
    }
}
