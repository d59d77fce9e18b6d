//! The process of one attempt: started in its own process group, stopped gracefully, killed with all its children.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use splat_core::child::Environment;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;

use crate::child::Running;
use crate::runner::{Line, Order, ViewRequest};

/// Bytes kept of the end of the process's standard error.
const STDERR_TAIL_BYTES: usize = 4 << 10;
/// Maximum length of a line; events are a few hundred bytes.
const MAX_LINE_BYTES: usize = 4 << 20;

/// A running attempt.
#[derive(Debug)]
pub(super) struct Runner {
    process: Running,
    /// Open as long as the attempt should continue.
    stdin: Option<ChildStdin>,
    lines: Lines<BufReader<tokio::io::Take<ChildStdout>>>,
    stderr: Option<JoinHandle<String>>,
}

impl Runner {
    /// Starts `program` in `folder` and sends it its order. No shell is involved, the arguments are fixed, and only environment
    /// variables that the pipeline's programs need are passed on: no secret of the service.
    pub(super) async fn start(program: &[OsString], folder: &Path, order: &Order) -> io::Result<Self> {
        let (program, arguments) = program
            .split_first()
            .ok_or_else(|| io::Error::other("no program to run jobs with is configured"))?;
        let mut command = Command::new(program);
        command.args(arguments).current_dir(folder);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Running::start(&mut command, Environment::Compute)?;
        let (Some(mut stdin), Some(stdout), Some(stderr)) = process.pipes() else {
            return Err(io::Error::other("the new process has no pipes"));
        };
        let stderr = tokio::spawn(tail(stderr));
        // The limit of `take` is reset for each line.
        let lines = BufReader::new(stdout.take(MAX_LINE_BYTES as u64)).lines();
        let mut runner = Self { process, stdin: None, lines, stderr: Some(stderr) };
        let mut text = serde_json::to_vec(order)?;
        text.push(b'\n');
        stdin.write_all(&text).await?;
        stdin.flush().await?;
        runner.stdin = Some(stdin);
        Ok(runner)
    }

    /// The next line; `None` once the process has closed its output. Unknown lines are skipped. Cancel-safe.
    pub(super) async fn next_line(&mut self) -> Option<Line> {
        loop {
            let text = self.lines.next_line().await.ok()??;
            self.lines.get_mut().get_mut().set_limit(MAX_LINE_BYTES as u64);
            match serde_json::from_str(&text) {
                Ok(line) => return Some(line),
                Err(error) => {
                    tracing::debug!(%error, "ignored a line that is not UTF-8 or could not be read from a job's process")
                }
            }
        }
    }

    /// Sends a request for a live view. If the process has closed its input, it is about to end, and the request can be dropped.
    pub(super) async fn request_view(&mut self, request: &ViewRequest) {
        let Some(stdin) = &mut self.stdin else { return };
        let Ok(mut text) = serde_json::to_vec(request) else { return };
        text.push(b'\n');
        // The pipe's buffer holds more than the pending requests.
        if stdin.write_all(&text).await.is_ok() {
            let _ = stdin.flush().await;
        }
    }

    /// Requests a graceful stop: SIGTERM, or closing its input on systems without signals.
    pub(super) fn stop(&mut self) {
        self.stdin = None;
        self.process.terminate();
    }

    /// Kills the process and its group.
    pub(super) fn kill(&mut self) {
        self.process.kill();
    }

    /// Waits for the process to end, and kills what is left of its group. Returns the end of its standard error.
    pub(super) async fn wait(mut self) -> (io::Result<ExitStatus>, String) {
        self.stdin = None;
        let status = self.process.wait().await;
        let stderr = match self.stderr.take() {
            Some(task) => task.await.unwrap_or_default(),
            None => String::new(),
        };
        (status, stderr)
    }
}

/// Reads to the end and returns the last bytes.
async fn tail(mut stream: impl tokio::io::AsyncRead + Unpin) -> String {
    let mut kept = Vec::new();
    let mut chunk = vec![0; STDERR_TAIL_BYTES];
    while let Ok(read @ 1..) = stream.read(&mut chunk).await {
        kept.extend_from_slice(&chunk[..read]);
        let surplus = kept.len().saturating_sub(STDERR_TAIL_BYTES);
        kept.drain(..surplus);
    }
    String::from_utf8_lossy(&kept).trim().to_owned()
}
