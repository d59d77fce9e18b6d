//! `log.txt`: the events of a run, one per line, with the seconds since its start.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::files::write_error;
use crate::{Error, Event, Result};

/// Minimum interval between logged steps.
const STEP_EVERY: Duration = Duration::from_secs(10);

/// A log file; later runs in the same folder append to it.
#[derive(Debug)]
pub(super) struct RunLog {
    started: Instant,
    path: PathBuf,
    last_step: Mutex<Option<Instant>>,
    sink: Mutex<Sink>,
}

#[derive(Debug)]
struct Sink {
    file: File,
    failure: Option<std::io::Error>,
}

impl RunLog {
    /// Opens the log for appending.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::options().create(true).append(true).open(path).map_err(|e| write_error(path, e))?;
        Ok(Self {
            started: Instant::now(),
            path: path.to_path_buf(),
            last_step: Mutex::new(None),
            sink: Mutex::new(Sink { file, failure: None }),
        })
    }

    /// Appends a line. A failure does not stop the run: see [`Self::failure`].
    pub(super) fn line(&self, text: &str) {
        let Ok(mut sink) = self.sink.lock() else { return };
        if sink.failure.is_some() {
            return;
        }
        let stamp = self.started.elapsed().as_secs_f64();
        let written = writeln!(sink.file, "[{stamp:9.2} s] {text}");
        sink.failure = written.err();
    }

    /// Appends an event; frequent ones are sampled.
    pub(super) fn event(&self, event: &Event) {
        if let Event::Step { step, steps, .. } = event {
            let Ok(mut last) = self.last_step.lock() else { return };
            if step != steps && last.is_some_and(|at: Instant| at.elapsed() < STEP_EVERY) {
                return;
            }
            *last = Some(Instant::now());
        }
        if !matches!(event, Event::StageProgress { .. }) {
            self.line(&event.to_string());
        }
    }

    /// The first write error, if lines are missing; returned once.
    pub(super) fn failure(&self) -> Option<Error> {
        let failure = self.sink.lock().ok()?.failure.take()?;
        Some(write_error(&self.path, failure))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn lines_are_added_to_what_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.txt");
        RunLog::open(&path).unwrap().line("first");
        let log = RunLog::open(&path).unwrap();
        log.line("second");
        assert!(log.failure().is_none());
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = text.lines().map(|line| line.split("] ").nth(1)).collect();
        assert_eq!(lines, [Some("first"), Some("second")]);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_is_told_once() {
        let log = RunLog::open(Path::new("/dev/full")).unwrap();
        log.line("lost");
        let message = log.failure().unwrap().to_string();
        assert!(message.contains("the disk is full"), "{message}");
        assert!(log.failure().is_none());
    }
}
