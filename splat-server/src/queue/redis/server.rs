//! A real Redis server for tests: each has its own process and folder.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::RedisQueue;

/// Stopped and removed when dropped.
pub(crate) struct Server {
    folder: TempDir,
    child: Child,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let child = spawn(&folder);
        let server = Self { folder, child };
        server.connect().await;
        server
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    pub(crate) fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    /// Connects as soon as the server responds.
    pub(crate) async fn connect(&self) -> RedisQueue {
        let mut last = None;
        for _ in 0..400 {
            match RedisQueue::connect(&self.url()).await {
                Ok(queue) => return queue,
                Err(error) => last = Some(error),
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("redis-server does not answer: {last:?}");
    }

    /// Kills the server, as a power failure would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// `STOP`: it keeps its connections but does not respond. `CONT`: it continues.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    pub(crate) fn start_again(&mut self) {
        self.child = spawn(&self.folder);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may already have been killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(folder: &TempDir) -> Child {
    Command::new("redis-server")
        .args(["--port", "0", "--unixsocket", "redis.sock", "--save", "", "--daemonize", "no"])
        .args(["--appendonly", "yes", "--appendfsync", "always", "--dir"])
        .arg(folder.path())
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server is installed: scripts/setup.sh --test installs it")
}
