//! Connections: accepted within the limit of open files, with timeouts, and closed gracefully.
//!
//! HTTP/1.1 only: a proxy in front can offer HTTP/2 to its clients, and without one it would have no benefit here.

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

/// Time that responses in progress get once the service is asked to stop.
const GRACE: Duration = Duration::from_secs(5);
/// Pause after the system refuses a connection, for example for lack of file handles.
const REFUSED_REST: Duration = Duration::from_millis(100);
/// TCP keepalive after this idle time: long requests are quiet, and routers drop idle connections.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// File handles reserved for the queue, the files of jobs, and processes of workers.
const RESERVED_HANDLES: u64 = 256;
/// File handles per connection: its socket, and a file that it sends or stores.
const HANDLES_OF_CONNECTION: u64 = 2;

/// Limits on connections: their number, and how slow they may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionLimits {
    /// Maximum open connections. At the limit, the longest open idle one is closed for a new one.
    connections: usize,
    /// From the first byte of a request to the last of its headers: a slower client holds the connection without using it.
    headers_within: Duration,
    /// Requests whose body delivers fewer than `least_bytes` in this much waiting time are aborted. So are responses of which the
    /// client reads nothing for this long.
    body_window: Duration,
    /// See `body_window`.
    least_bytes: usize,
}

impl ConnectionLimits {
    /// Limits for a process with this many file `handles`.
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

/// Raises this process's limit on open files as far as the system allows, and returns the resulting limits on connections.
pub(crate) fn limits() -> ConnectionLimits {
    ConnectionLimits::of(handles())
}

#[cfg(unix)]
fn handles() -> u64 {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
    // Refused if the system's own limit is lower than the process's; then the old one stays.
    let raised = setrlimit(Resource::Nofile, raised).is_ok();
    // `None`: unlimited.
    if raised { limit.maximum } else { limit.current }.unwrap_or(u64::MAX)
}

#[cfg(not(unix))]
fn handles() -> u64 {
    // Sockets and files do not share a limit on this system.
    u64::MAX
}

/// An open connection.
#[derive(Debug, Default)]
struct Connection {
    /// Requests in progress: at most one, but its response may outlive the call.
    busy: AtomicUsize,
    /// Notified when it must close.
    evicted: Notify,
}

/// A request in progress, until its response is sent or aborted.
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
    /// If there are `most` connections, closes the longest open idle one and waits until there are fewer.
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
            // One that ended between the check and here is noticed on the next check.
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

/// Serves requests until `shutdown` becomes true.
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
                let request = request.map(|body| with_minimum_rate(Body::new(body), limits));
                let (router, busy) = (router.clone(), Busy::new(&connection));
                async move {
                    router.oneshot(request).await.map(|answer| answer.map(|body| busy_until_sent(body, busy)))
                }
            })
        };
        let served = builder.serve_connection(TokioIo::new(Box::pin(prepared(stream, limits))), service);
        let watched = graceful.watch(served);
        let connections = Arc::clone(&connections);
        tokio::spawn(async move {
            tokio::select! {
                // Clients disconnect in many ways; none of them is an error of the service.
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
    // Sends small responses immediately. An error on a closed connection shows at its first use.
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(&stream)
        .set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE));
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limits.body_window));
    stream
}

/// A body that fails if the client sends too slowly. Only the time spent waiting for the client counts, not that of a slow disk.
fn with_minimum_rate(body: Body, limits: ConnectionLimits) -> Body {
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

/// A body that keeps the connection busy until it is sent. One of known length is otherwise unchanged.
fn busy_until_sent(body: Body, busy: Busy) -> Body {
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
