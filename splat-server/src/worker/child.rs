//! The process that does one attempt: started in a group of its own, stopped in order, ended with all its children.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use splat_core::child::Environment;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;

use crate::child::Running;
use crate::runner::{Ask, Line, Order};

/// Of what the process says on standard error, the last so many bytes are kept.
const STDERR_TAIL_BYTES: usize = 4 << 10;
/// The memory of a line; events are a few hundred bytes.
const MAX_LINE_BYTES: usize = 4 << 20;

/// A running attempt.
#[derive(Debug)]
pub(super) struct Runner {
    process: Running,
    /// Open as long as the attempt should go on.
    stdin: Option<ChildStdin>,
    lines: Lines<BufReader<tokio::io::Take<ChildStdout>>>,
    stderr: Option<JoinHandle<String>>,
}

impl Runner {
    /// Starts `program` in `folder` and gives it its order. No shell is involved, the arguments are fixed, and of the environment only
    /// what the machine's own programs need goes along: no secret of the service.
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
        // `take` is renewed with each line.
        let lines = BufReader::new(stdout.take(MAX_LINE_BYTES as u64)).lines();
        let mut runner = Self { process, stdin: None, lines, stderr: Some(stderr) };
        let mut text = serde_json::to_vec(order)?;
        text.push(b'\n');
        stdin.write_all(&text).await?;
        stdin.flush().await?;
        runner.stdin = Some(stdin);
        Ok(runner)
    }

    /// The next line; `None` once the process has closed its output. Lines that are none of ours are passed over.
    /// Safe to drop half-way.
    pub(super) async fn next_line(&mut self) -> Option<Line> {
        loop {
            let text = self.lines.next_line().await.ok()??;
            self.lines.get_mut().get_mut().set_limit(MAX_LINE_BYTES as u64);
            match serde_json::from_str(&text) {
                Ok(line) => return Some(line),
                Err(error) => tracing::debug!(%error, "a job's process wrote something else than a line"),
            }
        }
    }

    /// Passes an ask on. Nothing is lost where the process has closed its input: then it ends.
    pub(super) async fn ask(&mut self, ask: &Ask) {
        let Some(stdin) = &mut self.stdin else { return };
        let Ok(mut text) = serde_json::to_vec(ask) else { return };
        text.push(b'\n');
        // The pipe holds more than the asks that wait at once.
        if stdin.write_all(&text).await.is_ok() {
            let _ = stdin.flush().await;
        }
    }

    /// Asks for an orderly stop: TERM, and the end of its input where there are no signals.
    pub(super) fn stop(&mut self) {
        self.stdin = None;
        self.process.terminate();
    }

    /// Ends the process and all of its group at once.
    pub(super) fn kill(&mut self) {
        self.process.kill();
    }

    /// Waits for its end; what is left of the group ends with it. Gives the last words it wrote on standard error.
    pub(super) async fn wait(mut self) -> (io::Result<ExitStatus>, String) {
        self.stdin = None;
        let status = self.process.wait().await;
        let words = match self.stderr.take() {
            Some(task) => task.await.unwrap_or_default(),
            None => String::new(),
        };
        (status, words)
    }
}

/// Reads to the end and keeps the last bytes.
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
