//! Runs one attempt at a scene job in its own process: the hidden command `splat job`.
//!
//! A separate process can be killed, whatever a driver or library in it is doing, and its crashes do not affect the service. The
//! protocol with the worker that started it:
//!
//! - working folder: the job's, see [`crate::layout`]. Every path in it is relative, so that no message and no file names this
//!   machine's folders.
//! - standard input: one line, the [`Order`]; then one line per [`ViewRequest`], for live views. Its end means that the worker is
//!   gone: the attempt is cancelled.
//! - standard output: one line per [`Line`].
//! - SIGTERM requests a graceful stop with a checkpoint.

mod fake_runner;
mod live_views;
mod problem;
mod scene;

use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use live_views::{LiveViewer, PendingRequest};
use serde::{Deserialize, Serialize};
use splat_core::gpu::GpuOptions;
use splat_core::{Backend, CancelToken, Event, Gpu};

pub use problem::Failure;

use crate::job::{JobId, JobProblem};
use crate::look::{LookOptions, LookView};
use crate::scene::SceneSpec;

/// Input of the process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// What to do.
    pub spec: SceneSpec,
    /// Whether this is the first attempt: stages that the spec restarts are restarted only then.
    pub first_attempt: bool,
    /// Options of the machine.
    pub machine: MachineOptions,
}

/// The operator's options for running jobs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct MachineOptions {
    /// The COLMAP program; `None` is the one in PATH.
    pub colmap: Option<PathBuf>,
    /// Part of the GPU's name; `None` selects the best one.
    pub adapter: Option<String>,
    /// Graphics API of the GPU; `None` selects the best one.
    #[serde(default)]
    pub backend: Option<Backend>,
    /// Time limit of one COLMAP stage, in seconds.
    pub colmap_stage_timeout_s: u64,
    /// Seconds of training between checkpoints.
    pub checkpoint_s: u64,
    /// Seconds of training between previews; 0 for none.
    pub preview_s: u64,
    /// Simulate the job.
    pub test_mode: bool,
}

/// One line of the process's standard input, after the first: a request for a live view. Answered between two steps of training.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ViewRequest {
    /// Id of the request, repeated in the response.
    pub id: JobId,
    /// The requested view.
    pub look: LookOptions,
}

/// One line of the process's standard output.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "line", content = "value", rename_all = "snake_case")]
pub enum Line {
    /// An event of the pipeline.
    Event(Event),
    /// Response to a [`ViewRequest`].
    Seen {
        /// Id of the request.
        id: JobId,
        /// The view, with its image.
        view: LookView,
    },
    /// The attempt ended; the last line.
    Ended(Ended),
}

/// What scenes are trained on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GpuKind {
    /// A GPU.
    Hardware,
    /// A software renderer on the CPU.
    Software,
}

/// Prints what jobs would be trained on to standard output, as JSON; `null` if there is no device. Runs in its own process, since
/// drivers may crash.
///
/// # Errors
/// If standard output cannot be written.
pub fn print_gpu(machine: &GpuOptions) -> io::Result<()> {
    let gpu = Gpu::new(machine).ok();
    let kind = gpu.map(|gpu| if gpu.report().is_software() { GpuKind::Software } else { GpuKind::Hardware });
    writeln!(io::stdout().lock(), "{}", serde_json::to_string(&kind)?)
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "snake_case")]
pub enum Ended {
    /// The scene is done.
    Succeeded {
        /// The content of `metrics.json`.
        outcome: serde_json::Value,
    },
    /// It was cancelled.
    Cancelled,
    /// The attempt failed.
    Failed {
        /// What went wrong.
        problem: JobProblem,
        /// Whether another attempt may succeed.
        may_pass: bool,
    },
}

/// Reads the [`Order`] from standard input, runs it, and reports on standard output.
///
/// # Errors
/// Only if the order cannot be read or standard output is closed; a job's failure is reported as a line.
pub fn run_from_stdin(cancel: &CancelToken) -> io::Result<()> {
    let mut text = String::new();
    io::stdin().lock().read_line(&mut text)?;
    let order: Order = serde_json::from_str(&text)?;
    let orphaned = cancel.clone();
    let pending = PendingRequest::default();
    let received = pending.clone();
    std::thread::spawn(move || {
        // Input ends when the worker closes the pipe or dies. Unknown lines are ignored.
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if let Ok(request) = serde_json::from_str(&line) {
                received.set(request);
            }
        }
        orphaned.cancel();
        // A graceful stop takes seconds. A stage that cannot be stopped must not outlive its worker indefinitely.
        std::thread::sleep(ORPHAN_GRACE);
        std::process::exit(1);
    });
    let lost = Mutex::new(None);
    let send = |line: &Line| {
        if let Err(error) = write_line(line)
            && let Ok(mut lost) = lost.lock()
        {
            lost.get_or_insert(error);
            // The worker is gone, so the result has no use.
            cancel.cancel();
        }
    };
    let events = |event: Event| send(&Line::Event(event));
    let viewer = LiveViewer::new(pending, &send);
    let done = if order.machine.test_mode {
        fake_runner::run(&order, &events, &viewer, cancel)
    } else {
        scene::run(&order, &events, &viewer, cancel)
    };
    let ended = done.unwrap_or_else(|failure| failure.ended());
    send(&Line::Ended(ended));
    let lost = lost.into_inner().ok().flatten();
    lost.map_or(Ok(()), Err)
}

/// How long an orphaned process may take for a graceful stop.
const ORPHAN_GRACE: Duration = Duration::from_secs(20);

fn write_line(line: &Line) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    let mut out = io::stdout().lock();
    out.write_all(&bytes)?;
    out.flush()
}
