//! Reads on, for a while, what a handler left of a request's body: a client that is still sending when the connection closes
//! reports a broken connection and never looks at the answer.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use futures_util::stream::{Stream, StreamExt};

/// Most bytes to read and throw away.
const MOST_BYTES: usize = 64 << 20;
/// Longest time to do so.
const MOST_TIME: Duration = Duration::from_secs(10);

/// The same body; what a handler leaves of it is read and thrown away, within limits.
pub(super) fn drained(body: Body) -> Body {
    Body::from_stream(DrainedBody { rest: Some(body.into_data_stream()) })
}

struct DrainedBody {
    /// `None` once it came to its end.
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
            // Who sends more, or slower, finds the connection closed.
            let _ = tokio::time::timeout(MOST_TIME, drain).await;
        });
    }
}
