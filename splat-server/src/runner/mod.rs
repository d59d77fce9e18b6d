//! One attempt at one scene job, in a process of its own: what the hidden command `splat job` does.
//!
//! A process of its own can be ended, whatever a driver or a library inside it is doing, and what it breaks stays with it.
//! The protocol with the worker that started it:
//!
//! - working folder: the job's, see [`crate::layout`]. Every path in it is relative, so that no message and no file names this
//!   machine's folders.
//! - standard input: one line, the [`Order`]; then one line an [`Ask`], as somebody looks at the scene. Its end means that the worker is
//!   gone: the attempt is cancelled.
//! - standard output: one line a [`Line`].
//! - TERM asks for an orderly stop with a checkpoint.

mod fake_runner;
mod problem;
mod scene;
mod window;

use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use splat_core::gpu::GpuOptions;
use splat_core::{Backend, CancelToken, Event, Gpu};
use window::{Asked, Window};

pub use problem::Failure;

use crate::job::{JobId, JobProblem};
use crate::look::{LookOptions, LookView};
use crate::scene::SceneSpec;

/// What a worker asks of the process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// What is to be done.
    pub spec: SceneSpec,
    /// Whether this is the first attempt: what the spec wants done again is done again only then.
    pub first_attempt: bool,
    /// The machine's side of it.
    pub machine: MachineOptions,
}

/// What the operator decided about how jobs run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct MachineOptions {
    /// COLMAP's program; `None` is the one on PATH.
    pub colmap: Option<PathBuf>,
    /// Part of the GPU's name; `None` takes the best.
    pub adapter: Option<String>,
    /// The interface by which the GPU is used; `None` takes the best.
    #[serde(default)]
    pub backend: Option<Backend>,
    /// Seconds that one COLMAP stage may take.
    pub colmap_stage_timeout_s: u64,
    /// Seconds of training between checkpoints.
    pub checkpoint_s: u64,
    /// Seconds of training between previews; 0 is never.
    pub preview_s: u64,
    /// Act the job out instead of doing it.
    pub test_mode: bool,
}

/// One line of the process's standard input, after the first: somebody wants to see the scene as it is. Answered between two steps of
/// training.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ask {
    /// Comes back with the picture.
    pub id: JobId,
    /// From where to look.
    pub look: LookOptions,
}

/// One line of the process's standard output.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "line", content = "value", rename_all = "snake_case")]
pub enum Line {
    /// An event of the pipeline.
    Event(Event),
    /// What somebody asked to see.
    Seen {
        /// The [`Ask`].
        id: JobId,
        /// The view, with its picture.
        view: LookView,
    },
    /// The attempt came to its end; the last line.
    Ended(Ended),
}

/// What scenes are trained on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GpuKind {
    /// A graphics card.
    Hardware,
    /// The processor, in place of one.
    Software,
}

/// Writes what a job would be trained on to standard output, as JSON; `null` where there is nothing. In a process of its own, since
/// drivers may take theirs down with them.
///
/// # Errors
/// When it cannot be written.
pub fn tell_gpu(machine: &GpuOptions) -> io::Result<()> {
    let gpu = Gpu::new(machine).ok();
    let kind = gpu.map(|gpu| if gpu.report().is_software() { GpuKind::Software } else { GpuKind::Hardware });
    writeln!(io::stdout().lock(), "{}", serde_json::to_string(&kind)?)
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "snake_case")]
pub enum Ended {
    /// The scene is there.
    Succeeded {
        /// The content of `metrics.json`.
        outcome: serde_json::Value,
    },
    /// It was stopped in order.
    Cancelled,
    /// The attempt failed.
    Failed {
        /// What went wrong.
        problem: JobProblem,
        /// Whether another attempt may go better.
        may_pass: bool,
    },
}

/// Reads the order from standard input, runs it, and reports on standard output.
///
/// # Errors
/// Only when the order cannot be read or standard output is closed; a job's failure is reported as a line.
pub fn run_from_stdin(cancel: &CancelToken) -> io::Result<()> {
    let mut text = String::new();
    io::stdin().lock().read_line(&mut text)?;
    let order: Order = serde_json::from_str(&text)?;
    let orphaned = cancel.clone();
    let asked = Asked::default();
    let heard = asked.clone();
    std::thread::spawn(move || {
        // The lines end when the worker closes the pipe, or is gone. What is none of ours is passed over.
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if let Ok(ask) = serde_json::from_str(&line) {
                heard.put(ask);
            }
        }
        orphaned.cancel();
        // An orderly stop takes seconds. A stage that cannot be stopped must not outlive its worker for ever.
        std::thread::sleep(ORPHAN_GRACE);
        std::process::exit(1);
    });
    let lost = Mutex::new(None);
    let tell = |line: &Line| {
        if let Err(error) = write_line(line)
            && let Ok(mut lost) = lost.lock()
        {
            lost.get_or_insert(error);
            // Nobody listens: the work is for nobody.
            cancel.cancel();
        }
    };
    let events = |event: Event| tell(&Line::Event(event));
    let window = Window::new(asked, &tell);
    let done = if order.machine.test_mode {
        fake_runner::run(&order, &events, &window, cancel)
    } else {
        scene::run(&order, &events, &window, cancel)
    };
    let ended = done.unwrap_or_else(|failure| failure.ended());
    tell(&Line::Ended(ended));
    let lost = lost.into_inner().ok().flatten();
    lost.map_or(Ok(()), Err)
}

/// How long an orphaned process may take to stop in order.
const ORPHAN_GRACE: Duration = Duration::from_secs(20);

fn write_line(line: &Line) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    let mut out = io::stdout().lock();
    out.write_all(&bytes)?;
    out.flush()
}
