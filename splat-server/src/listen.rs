//! Connections: accepted as far as handles reach, timed, and ended in order.
//!
//! HTTP/1.1 alone: a proxy in front speaks HTTP/2 to its clients, and without one nothing here gains by it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{ConnectInfo, Request};
use futures_util::{StreamExt, stream};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt;

/// How long answers under way may take once the service is asked to stop.
const GRACE: Duration = Duration::from_secs(5);
/// Rest after the system refuses a connection, for want of file handles for instance.
const REFUSED_REST: Duration = Duration::from_millis(100);
/// A client that has said nothing for so long is asked whether it is still there: long requests are quiet, and routers between forget
/// quiet connections.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// Handles for the queue, the files of jobs, and what workers start.
const RESERVED_HANDLES: u64 = 256;
/// Handles of one connection: its own, and a file that it sends or stores.
const HANDLES_OF_CONNECTION: u64 = 2;

/// Limits of connections: how many, how slow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionLimits {
    /// Connections at once. When there are as many, the longest open one that asks for nothing makes room for a new one.
    connections: usize,
    /// For the first byte of a request to the last of its headers: a client that takes longer holds the connection and does not use it.
    headers_within: Duration,
    /// A body that brings fewer than `least_bytes` in so much waiting for it is given up. So is an answer of which the client takes
    /// nothing for so long.
    body_window: Duration,
    /// See `body_window`.
    least_bytes: usize,
}

impl ConnectionLimits {
    /// What `handles` allow, of which the process has as many.
    fn of(handles: u64) -> Self {
        let connections = handles.saturating_sub(RESERVED_HANDLES) / HANDLES_OF_CONNECTION;
        Self {
            connections: usize::try_from(connections.clamp(16, 8192)).unwrap_or(16),
            headers_within: Duration::from_secs(20),
            body_window: Duration::from_secs(60),
            least_bytes: 4 << 10,
        }
    }
}

/// Raises this process's limit on open files as far as the system lets it, and returns the limits of connections that result.
pub(crate) fn limits() -> ConnectionLimits {
    ConnectionLimits::of(handles())
}

#[cfg(unix)]
fn handles() -> u64 {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
    // Refused where the system's own limit is below the process's: then the old one holds.
    let raised = setrlimit(Resource::Nofile, raised).is_ok();
    // `None`: as many as there is memory for.
    if raised { limit.maximum } else { limit.current }.unwrap_or(u64::MAX)
}

#[cfg(not(unix))]
fn handles() -> u64 {
    // Sockets and files do not share a limit there.
    u64::MAX
}

/// An open connection.
#[derive(Debug, Default)]
struct Connection {
    /// Requests under way: one at most, but its answer may outlive the call.
    busy: AtomicUsize,
    /// Told to make room.
    evicted: Notify,
}

/// A request under way, until its answer is sent or given up.
struct Busy(Arc<Connection>);

impl Busy {
    fn new(connection: &Arc<Connection>) -> Self {
        connection.busy.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(connection))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

/// All open connections, in the order in which they were opened.
#[derive(Debug, Default)]
struct Connections {
    open: Mutex<BTreeMap<u64, Arc<Connection>>>,
    left: Notify,
}

impl Connections {
    /// Has the longest open connection that asks for nothing end where there are `most`, and waits until there are fewer.
    async fn make_room(&self, most: usize) {
        loop {
            let left = self.left.notified();
            {
                let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
                if open.len() < most {
                    return;
                }
                let quiet = open.values().find(|connection| connection.busy.load(Ordering::Relaxed) == 0);
                if let Some(quiet) = quiet {
                    quiet.evicted.notify_one();
                }
            }
            // One that ended between the look and here is seen at the next.
            let _ = timeout(REFUSED_REST, left).await;
        }
    }

    fn add(&self, number: u64) -> Arc<Connection> {
        let connection = Arc::new(Connection::default());
        self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(number, Arc::clone(&connection));
        connection
    }

    fn remove(&self, number: u64) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
        self.left.notify_one();
    }
}

/// Answers requests until `shutdown` turns true.
pub(crate) async fn run(
    listener: TcpListener,
    router: Router,
    limits: ConnectionLimits,
    mut shutdown: watch::Receiver<bool>,
) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(limits.headers_within);
    let connections = Arc::new(Connections::default());
    let graceful = GracefulShutdown::new();
    let mut number = 0;
    loop {
        let accepted = tokio::select! {
            accepted = async {
                connections.make_room(limits.connections).await;
                listener.accept().await
            } => accepted,
            _ = shutdown.wait_for(|stop| *stop) => break,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection");
                sleep(REFUSED_REST).await;
                continue;
            }
        };
        number += 1;
        let connection = connections.add(number);
        let service = {
            let (router, connection) = (router.clone(), Arc::clone(&connection));
            hyper::service::service_fn(move |mut request: Request<hyper::body::Incoming>| {
                request.extensions_mut().insert(ConnectInfo::<SocketAddr>(address));
                let request = request.map(|body| at_a_pace(Body::new(body), limits));
                let (router, busy) = (router.clone(), Busy::new(&connection));
                async move {
                    router.oneshot(request).await.map(|answer| answer.map(|body| until_sent(body, busy)))
                }
            })
        };
        let served = builder.serve_connection(TokioIo::new(Box::pin(prepared(stream, limits))), service);
        let watched = graceful.watch(served);
        let connections = Arc::clone(&connections);
        tokio::spawn(async move {
            tokio::select! {
                // Clients leave in many ways; none of them is our failure.
                _ = watched => {}
                () = connection.evicted.notified() => {}
            }
            connections.remove(number);
        });
    }
    // Event streams do not end by themselves.
    let _ = timeout(GRACE, graceful.shutdown()).await;
}

fn prepared(stream: TcpStream, limits: ConnectionLimits) -> TimeoutStream<TcpStream> {
    // Small answers should not wait for more. A connection that is gone already fails at its first use.
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(&stream)
        .set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE));
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limits.body_window));
    stream
}

/// The body, which ends with an error when the client sends it too slowly. Only waiting for the client counts: a full disk is not
/// its fault.
fn at_a_pace(body: Body, limits: ConnectionLimits) -> Body {
    if body.is_end_stream() {
        return body;
    }
    let begun = (Some(body.into_data_stream()), limits.body_window, 0);
    Body::from_stream(stream::unfold(begun, move |(body, mut left, mut got)| async move {
        let mut body = body?;
        loop {
            let asked = Instant::now();
            match timeout(left, body.next()).await {
                Ok(None) => return None,
                Ok(Some(Err(error))) => return Some((Err(error), (None, left, got))),
                Ok(Some(Ok(piece))) => {
                    let piece: Bytes = piece;
                    got += piece.len();
                    left = left.saturating_sub(asked.elapsed());
                    return Some((Ok(piece), (Some(body), left, got)));
                }
                Err(_) if got >= limits.least_bytes => (left, got) = (limits.body_window, 0),
                Err(_) => {
                    let window = limits.body_window.as_secs_f32();
                    let why = format!("fewer than {} bytes came within {window} s", limits.least_bytes);
                    let error = std::io::Error::new(std::io::ErrorKind::TimedOut, why);
                    return Some((Err(axum::Error::new(error)), (None, left, got)));
                }
            }
        }
    }))
}

/// The body, which keeps the connection busy until it is sent. One whose length is known stays as it is otherwise.
fn until_sent(body: Body, busy: Busy) -> Body {
    struct Sent {
        body: Body,
        _busy: Busy,
    }
    impl HttpBody for Sent {
        type Data = Bytes;
        type Error = axum::Error;

        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            context: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, axum::Error>>> {
            std::pin::Pin::new(&mut self.body).poll_frame(context)
        }

        fn is_end_stream(&self) -> bool {
            self.body.is_end_stream()
        }

        fn size_hint(&self) -> hyper::body::SizeHint {
            self.body.size_hint()
        }
    }
    Body::new(Sent { body, _busy: busy })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
