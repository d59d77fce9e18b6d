//! Real servers on this machine's loopback: moto's S3 and a Google Cloud Storage emulator.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::super::{JobStore, StoreConfig};

/// The bucket of every emulator.
const BUCKET: &str = "scenes";
/// Python takes seconds to load an emulator on a busy machine.
const START: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug)]
pub(crate) enum Service {
    S3,
    Gcs,
}

/// A server that is killed at the end of the test.
pub(crate) struct Emulator {
    service: Service,
    port: u16,
    child: Child,
}

/// The Python environment created by `scripts/setup.sh --test`.
const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/tools/bin/python");

/// A free port, below the ephemeral range (32768 and up): an ephemeral port could be taken before the emulator binds it, or while
/// it is stopped.
fn free_port() -> u16 {
    const FIRST: u32 = 15_000;
    const COUNT: u32 = 17_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        // Different from those of other processes that run these tests.
        let next = std::process::id().wrapping_mul(97).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(FIRST + next % COUNT).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

impl Emulator {
    /// Requires `#[needs(program = "target/tools/bin/moto_server")]` on the test.
    pub(crate) fn start(service: Service) -> Self {
        let port = free_port();
        let mut emulator = Self { service, port, child: spawn(service, port) };
        emulator.wait();
        emulator
    }

    /// Kills the server; its in-memory state is lost.
    pub(super) fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(super) fn start_again(&mut self) {
        self.child = spawn(self.service, self.port);
        self.wait();
    }

    /// Waits until the server responds, and creates the bucket.
    fn wait(&mut self) {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the {:?} emulator ended at once: {status}", self.service);
            }
            if self.make_bucket().is_some() {
                return;
            }
            assert!(start.elapsed() < START, "the {:?} emulator does not answer", self.service);
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn make_bucket(&self) -> Option<()> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
        let request = match self.service {
            Service::S3 => format!("PUT /{BUCKET} HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n"),
            // Created at startup.
            Service::Gcs => format!("GET /{BUCKET} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n"),
        };
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).ok()?;
        answer.ends_with(b"200").then_some(())
    }

    pub(super) fn config(&self, data_dir: &Path) -> StoreConfig {
        let endpoint = format!("http://127.0.0.1:{}", self.port);
        let (url, options) = match self.service {
            Service::S3 => (
                format!("s3://{BUCKET}/some/prefix"),
                vec![
                    ("aws_endpoint", endpoint),
                    ("aws_allow_http", "true".to_owned()),
                    ("aws_access_key_id", "test".to_owned()),
                    ("aws_secret_access_key", "test".to_owned()),
                    ("aws_region", "us-east-1".to_owned()),
                ],
            ),
            Service::Gcs => (
                format!("gs://{BUCKET}/some/prefix"),
                vec![("google_base_url", endpoint), ("google_bearer_token", "test".to_owned())],
            ),
        };
        StoreConfig {
            url: Some(url),
            options: options.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
            patience: Duration::from_secs(2),
            ..StoreConfig::local(data_dir)
        }
    }

    /// The same store behind a proxy limited to this many bytes per second, per direction and connection.
    pub(crate) fn slow_store(&self, data_dir: &Path, bytes_per_s: u64) -> JobStore {
        let slow = format!("http://127.0.0.1:{}", throttled(self.port, bytes_per_s));
        let mut config = self.config(data_dir);
        // Requests take seconds here, after which a failed one is still to be repeated.
        config.patience = Duration::from_secs(60);
        config.options.retain(|(key, _)| key != "aws_endpoint");
        config.options.push(("aws_endpoint".to_owned(), slow));
        JobStore::open(&config).unwrap()
    }

    pub(crate) fn store(&self, data_dir: &Path) -> JobStore {
        JobStore::open(&self.config(data_dir)).unwrap()
    }
}

/// A port that forwards to `port` at this rate, as long as the test runs.
fn throttled(port: u16, bytes_per_s: u64) -> u16 {
    /// Chunks per second.
    const PIECES: u64 = 10;
    fn copy(mut from: TcpStream, mut to: TcpStream, piece: usize) {
        let mut buffer = vec![0; piece.max(1)];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            if to.write_all(&buffer[..read]).is_err() {
                break;
            }
            std::thread::sleep(Duration::from_millis(1000 / PIECES));
        }
        // Fails if the other side is already closed.
        let _ = (to.shutdown(Shutdown::Both), from.shutdown(Shutdown::Both));
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let slow = listener.local_addr().unwrap().port();
    let piece = usize::try_from(bytes_per_s / PIECES).unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { return };
            let (from_client, from_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || copy(from_client, server, piece));
            std::thread::spawn(move || copy(from_server, client, piece));
        }
    });
    slow
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // It may already have been stopped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(service: Service, port: u16) -> Child {
    let mut command = Command::new(PYTHON);
    match service {
        // Equivalent to moto's own script, whose `#!` line breaks if the folder was moved.
        Service::S3 => command
            .args(["-c", "from moto.server import main; main()", "-H", "127.0.0.1", "-p"])
            .arg(port.to_string()),
        Service::Gcs => {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/emulators/gcs.py");
            command.arg(script).args([port.to_string().as_str(), BUCKET])
        }
    };
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}
