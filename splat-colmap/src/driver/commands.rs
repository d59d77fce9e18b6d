//! Running COLMAP's commands: paths, logging, and the interpretation of failures.

use std::collections::VecDeque;
use std::io::Write;
use std::path::PathBuf;

use splat_core::Event;
use splat_core::child::{self, Ended, Run};
use splat_core::events::Stage;

use super::binary::{Colmap, Command, VARIABLES};
use super::job::PosingRun;
use super::masks::FEATURE_MASKS;
use super::options::ColmapOptions;
use super::progress::Progress;
use super::stages::Paths;
use crate::error::{ColmapError, Result};

/// Number of last lines of a failed stage in the error.
const TAIL_LINES: usize = 5;
/// Messages of the mapper, in all releases, when it found no model and when no pair matched. They are on stderr, which may be read
/// before the last lines of stdout, so all lines are searched.
const NO_MODEL: [&str; 2] = ["failed to create sparse model", "No images with matches"];

impl PosingRun<'_> {
    /// Runs with CUDA, and again without if that fails: a CUDA build fails on a machine without the driver.
    pub(super) fn with_gpu_or_without(
        &mut self,
        mut work: impl FnMut(&mut Self) -> Result<()>,
    ) -> Result<()> {
        match work(self) {
            Err(ColmapError::StageFailed { command, .. }) if self.use_gpu => {
                self.use_gpu = false;
                let message = format!("COLMAP's `{command}` failed on the GPU and is run again on the CPU");
                (self.events)(Event::Warning { message });
                work(self)
            }
            result => result,
        }
    }

    /// Builds a command line.
    pub(super) fn with_paths(
        &self,
        build: impl FnOnce(&Colmap, &ColmapOptions, &Paths<'_>) -> Result<Command>,
    ) -> Result<Command> {
        let (photos, database) = (self.photos_dir(), self.database());
        let (sparse, undistorted) = (self.work.join("sparse"), self.work.join("undistorted"));
        let feature_masks = self.work.join(FEATURE_MASKS);
        let paths = Paths {
            photos: &photos,
            // There is none if all of every photo is used.
            feature_masks: feature_masks.is_dir().then_some(&feature_masks),
            database: &database,
            sparse: &sparse,
            undistorted: &undistorted,
        };
        let options = ColmapOptions { use_gpu: self.use_gpu, ..self.options.clone() };
        build(&self.colmap, &options, &paths)
    }

    /// Runs one command; logs its lines and emits its progress (starting at `done_before`).
    pub(super) fn colmap(
        &mut self,
        stage: Stage,
        command: &Command,
        done_before: u64,
        total: Option<u64>,
    ) -> Result<()> {
        self.log(&format!("== colmap {}", command.key()));
        let mut tail = VecDeque::with_capacity(TAIL_LINES);
        let mut progress = Progress::default();
        let (events, log) = (self.events, &mut self.log);
        let found_no_model = &mut self.found_no_model;
        *found_no_model = false;
        let mut on_line = |line: &str| {
            *found_no_model |= NO_MODEL.iter().any(|words| line.contains(words));
            // Logging errors are ignored: a full disk is detected with the results.
            let _ = writeln!(log, "{line}");
            if !line.trim().is_empty() {
                if tail.len() == TAIL_LINES {
                    tail.pop_front();
                }
                tail.push_back(line.trim().to_owned());
            }
            if let Some((done, stated)) = progress.read(line) {
                events(Event::StageProgress { stage, done: done_before + done, total: total.or(stated) });
            }
        };
        let (binary, timeout) = (self.colmap.binary(), self.options.stage_timeout);
        let ended = child::run(
            Run {
                program: binary,
                arguments: &command.arguments,
                variables: VARIABLES,
                timeout,
                cancel: self.cancel,
                own_group: self.options.own_group,
            },
            &mut on_line,
        )
        .map_err(|source| ColmapError::CannotStart { binary: binary.to_owned(), source })?;
        let (name, log) = (command.name, self.log_path());
        match ended {
            Ended::Exited(status) if status.success() => Ok(()),
            Ended::Exited(status) => {
                let tail = Vec::from(tail).join("\n");
                Err(ColmapError::StageFailed {
                    command: name,
                    status,
                    exited: status.code().is_some(),
                    log,
                    tail,
                })
            }
            Ended::TimedOut => {
                let minutes = timeout.unwrap_or_default().as_secs_f64() / 60.0;
                Err(ColmapError::TimedOut { command: name, minutes, log })
            }
            Ended::Cancelled => Err(splat_core::Error::Cancelled.into()),
        }
    }

    pub(super) fn log(&mut self, line: &str) {
        let _ = writeln!(self.log, "{line}");
    }

    pub(super) fn log_path(&self) -> PathBuf {
        self.work.join("colmap.log")
    }

    pub(super) fn photos_dir(&self) -> PathBuf {
        self.work.join(super::PHOTOS)
    }

    pub(super) fn database(&self) -> PathBuf {
        self.work.join(super::DATABASE)
    }
}
