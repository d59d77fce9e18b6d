//! Reads and discards the rest of a request's body that a handler has not read, within limits: a client that is still sending
//! when the connection closes reports a broken connection and never reads the response.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use futures_util::stream::{Stream, StreamExt};

/// Maximum bytes to discard.
const MOST_BYTES: usize = 64 << 20;
/// Maximum time to spend on it.
const MOST_TIME: Duration = Duration::from_secs(10);

/// The same body; the part that a handler does not read is discarded in the background, within limits.
pub(super) fn drained(body: Body) -> Body {
    Body::from_stream(DrainedBody { rest: Some(body.into_data_stream()) })
}

struct DrainedBody {
    /// `None` once its end was reached.
    rest: Option<BodyDataStream>,
}

impl Stream for DrainedBody {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(rest) = &mut self.rest else { return Poll::Ready(None) };
        let polled = rest.poll_next_unpin(context);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.rest = None;
        }
        polled
    }
}

impl Drop for DrainedBody {
    fn drop(&mut self) {
        let (Some(mut rest), Ok(runtime)) = (self.rest.take(), tokio::runtime::Handle::try_current()) else {
            return;
        };
        runtime.spawn(async move {
            let drain = async {
                let mut bytes = 0;
                while let Some(Ok(piece)) = rest.next().await {
                    bytes += piece.len();
                    if bytes > MOST_BYTES {
                        return;
                    }
                }
            };
            // A client that sends more, or too slowly, finds the connection closed.
            let _ = tokio::time::timeout(MOST_TIME, drain).await;
        });
    }
}
