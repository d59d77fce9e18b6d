//! Runs a program with its output line by line, a time limit, and cancellation that also ends its children.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::group;
use crate::events::CancelToken;

/// Interval at which cancellation and the time limit are checked.
const POLL: Duration = Duration::from_millis(50);
/// Maximum length of a line, so that output without line ends cannot fill memory.
const MAX_LINE_BYTES: u64 = 64 << 10;
/// How long to wait for output after the program ended; only a child that left its group can hold the output open longer.
const LAST_LINES: Duration = Duration::from_secs(2);

/// A program to run.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// Path of the program, or its name to look up in `PATH`.
    pub program: &'a Path,
    /// Its arguments.
    pub arguments: &'a [OsString],
    /// Additional environment variables.
    pub variables: &'a [(&'a str, &'a str)],
    /// Time limit.
    pub timeout: Option<Duration>,
    /// Cancels the run.
    pub cancel: &'a CancelToken,
    /// Whether it runs in its own process group, so that it can be ended with all its descendants.
    pub own_group: bool,
}

/// How a run ended.
#[derive(Debug)]
pub enum Ended {
    /// By itself, with this status.
    Exited(ExitStatus),
    /// It was killed at the time limit.
    TimedOut,
    /// It was killed on cancellation.
    Cancelled,
}

/// Runs a program and passes its lines (of both streams, without line ends) to a callback. On cancellation and at the time limit it is
/// killed, with its whole group if it has its own.
///
/// # Errors
/// If the program cannot be started.
pub fn run(run: Run<'_>, on_line: &mut dyn FnMut(&str)) -> io::Result<Ended> {
    let mut command = Command::new(run.program);
    command.args(run.arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.envs(run.variables.iter().copied());
    if run.own_group {
        group::separate(&mut command);
    }
    let mut child = command.spawn()?;
    let (sender, lines) = mpsc::channel();
    let streams = [child.stdout.take().map(boxed), child.stderr.take().map(boxed)];
    for stream in streams.into_iter().flatten() {
        let sender = sender.clone();
        thread::spawn(move || read_lines(stream, &sender));
    }
    drop(sender);

    let deadline = run.timeout.map(|timeout| Instant::now() + timeout);
    let mut open = true;
    let ended = loop {
        match if open { lines.recv_timeout(POLL) } else { Err(RecvTimeoutError::Timeout) } {
            Ok(line) => on_line(&line),
            Err(RecvTimeoutError::Disconnected) => open = false,
            Err(RecvTimeoutError::Timeout) => {
                if let Some(status) = child.try_wait()? {
                    break Ended::Exited(status);
                }
                if !open {
                    thread::sleep(POLL);
                }
            }
        }
        if run.cancel.is_cancelled() {
            end(&mut child, run.own_group)?;
            break Ended::Cancelled;
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            end(&mut child, run.own_group)?;
            break Ended::TimedOut;
        }
    };
    let last = Instant::now() + LAST_LINES;
    while let Ok(line) = lines.recv_timeout(last.saturating_duration_since(Instant::now())) {
        on_line(&line);
    }
    Ok(ended)
}

fn boxed(stream: impl Read + Send + 'static) -> Box<dyn Read + Send> {
    Box::new(stream)
}

fn read_lines(stream: impl Read, sender: &mpsc::Sender<String>) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = Vec::new();
        match stream.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line);
        if sender.send(text.trim_end_matches(['\r', '\n']).to_owned()).is_err() {
            return;
        }
    }
}

fn end(child: &mut Child, own_group: bool) -> io::Result<()> {
    if own_group {
        group::kill(child.id());
    }
    // The group may be gone already; the child itself must not outlive this call.
    let _ = child.kill();
    child.wait()?;
    Ok(())
}
