use axum::routing::{get, post};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(60);
const LIMITS: ConnectionLimits =
    ConnectionLimits { connections: 64, headers_within: LONG, body_window: LONG, least_bytes: 1000 };

async fn serve(limits: ConnectionLimits) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new()
        .route("/", get(async || "here"))
        .route("/wait", get(async || std::future::pending::<&str>().await))
        .route("/take", post(async |body: Bytes| body.len().to_string()));
    let (sender, shutdown) = watch::channel(false);
    tokio::spawn(async move {
        run(listener, router, limits, shutdown).await;
        drop(sender);
    });
    address
}

async fn say(address: SocketAddr, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

/// Reads until the server closes the connection.
async fn heard(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset connection counts as closed.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("the connection stays open");
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn who_asks_for_nothing_is_not_kept() {
    let address = serve(ConnectionLimits { headers_within: SHORT, ..LIMITS }).await;
    for begun in ["", "G", "GET / HTTP/1.1\r\nHost: x\r\nX-Long:", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let heard = heard(say(address, begun).await).await;
        assert!(!heard.contains("here"), "{begun:?}: {heard}");
    }
    let between = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    assert!(heard(say(address, between).await).await.contains("here"), "closed in between requests");
}

#[tokio::test]
async fn silent_connections_make_room_and_busy_ones_stay() {
    let address = serve(ConnectionLimits { connections: 8, ..LIMITS }).await;
    let mut busy = say(address, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(say(address, "G").await);
    }
    let asks = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert!(heard(say(address, asks).await).await.contains("here"));
    assert!(timeout(SHORT, busy.read_u8()).await.is_err(), "a request under way was cut off");
}

#[tokio::test]
async fn a_body_that_drips_is_given_up_and_a_slow_one_is_not() {
    let address = serve(ConnectionLimits { body_window: SHORT, ..LIMITS }).await;
    let head = "POST /take HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4000\r\n\r\n";
    assert!(!heard(say(address, head).await).await.contains("200 OK"));
    let mut dripping = say(address, head).await;
    for _ in 0..3 {
        // This fails once the server has closed the connection.
        let _ = dripping.write_all(b"x").await;
        sleep(SHORT).await;
    }
    assert!(!heard(dripping).await.contains("200 OK"));
    // Longer than a window in all, with pauses far shorter than one: a busy machine makes them longer.
    let pause = Duration::from_millis(700);
    let address = serve(ConnectionLimits { body_window: 3 * pause, ..LIMITS }).await;
    let mut slow = say(address, head).await;
    for _ in 0..4 {
        slow.write_all(&[b'x'; 1000]).await.unwrap();
        sleep(pause).await;
    }
    assert!(heard(slow).await.contains("200 OK"));
}

#[tokio::test]
async fn an_answer_that_nobody_takes_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let held = Arc::new(());
    let of_answer = Arc::clone(&held);
    // More than the system's buffers hold.
    let endless = move || {
        let held = Arc::clone(&of_answer);
        async move {
            let pieces = stream::repeat_with(move || {
                let _held = &held;
                Ok::<_, std::io::Error>(Bytes::from_static(&[7; 65536]))
            });
            Body::from_stream(pieces)
        }
    };
    let router = Router::new().route("/", get(endless));
    let (_sender, shutdown) = watch::channel(false);
    tokio::spawn(run(listener, router, ConnectionLimits { body_window: SHORT, ..LIMITS }, shutdown));
    let _stream = say(address, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let given_up = async {
        // The route and the test hold one reference each; a body in progress holds another.
        let mut begun = false;
        loop {
            begun |= Arc::strong_count(&held) > 2;
            if begun && Arc::strong_count(&held) == 2 {
                return;
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, given_up).await.expect("the answer is held for a client that takes nothing");
}

#[test]
fn connections_leave_handles_for_the_rest() {
    assert_eq!(ConnectionLimits::of(1024).connections, 384);
    assert_eq!(ConnectionLimits::of(64).connections, 16);
    assert_eq!(ConnectionLimits::of(u64::MAX).connections, 8192);
}
