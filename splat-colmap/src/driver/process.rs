//! One run of another program: its lines, a time limit, cancellation that ends its children too.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use splat_core::CancelToken;

use crate::process_group;

/// How often cancellation and the time limit are looked at.
const POLL: Duration = Duration::from_millis(50);
/// A line is cut here, so that a program that writes none cannot fill memory.
const MAX_LINE_BYTES: u64 = 64 << 10;
/// How long lines are awaited after the program ended; only a child that left its group can hold
/// its output open longer.
const LAST_LINES: Duration = Duration::from_secs(2);

/// What to run.
pub(super) struct Run<'a> {
    pub(super) binary: &'a Path,
    pub(super) arguments: &'a [OsString],
    pub(super) timeout: Option<Duration>,
    pub(super) cancel: &'a CancelToken,
    /// In a process group of its own, see [`super::ColmapOptions::own_group`].
    pub(super) own_group: bool,
}

/// How a run ended.
#[derive(Debug)]
pub(super) enum Ended {
    Exited(ExitStatus),
    TimedOut,
    Cancelled,
}

/// Runs a program and hands over its lines (both streams, without line ends). On cancellation and at the time limit it is
/// ended, with its whole group if that is its own.
///
/// # Errors
/// The program cannot be started.
pub(super) fn run(run: Run<'_>, on_line: &mut dyn FnMut(&str)) -> io::Result<Ended> {
    let mut command = Command::new(run.binary);
    command.args(run.arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // COLMAP links Qt, which looks for a display even for commands without a window.
    if cfg!(target_os = "linux") {
        command.env("QT_QPA_PLATFORM", "offscreen");
    }
    if run.own_group {
        process_group::separate(&mut command);
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
        process_group::kill(child.id());
    }
    // The group may be gone already; the child itself must not outlive this call.
    let _ = child.kill();
    child.wait()?;
    Ok(())
}
