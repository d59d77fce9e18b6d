//! Output while a command runs: progress bars, plain lines, JSON or nothing.
//!
//! Results go to stdout, everything else to stderr; with `--json` events go to stdout too, one object per line.

mod bars;

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use splat_core::Event;

use crate::args::GlobalArgs;
use crate::failure::Failure;
use bars::Bars;

/// Interval of progress lines without a terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Shows events and results. Clones share one screen.
#[derive(Clone)]
pub(crate) struct Reporter(Arc<Shared>);

struct Shared {
    json: bool,
    quiet: bool,
    screen: Mutex<Screen>,
}

enum Screen {
    Bars(Bars),
    /// With the time of the last progress line.
    Lines(Option<Instant>),
}

impl Reporter {
    pub(crate) fn new(args: &GlobalArgs) -> Self {
        let bars = !args.json && !args.quiet && std::io::stderr().is_terminal();
        let screen = if bars { Screen::Bars(Bars::new()) } else { Screen::Lines(None) };
        Self(Arc::new(Shared { json: args.json, quiet: args.quiet, screen: Mutex::new(screen) }))
    }

    /// Whether output is JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.0.json
    }

    /// Shows an event.
    pub(crate) fn event(&self, event: Event) {
        if self.0.json {
            if !self.0.quiet {
                print_json(&event);
            }
            return;
        }
        if self.0.quiet && !matches!(event, Event::Warning { .. }) {
            return;
        }
        match &mut *self.0.screen.lock().unwrap_or_else(PoisonError::into_inner) {
            Screen::Bars(bars) => bars.event(&event),
            Screen::Lines(last) => {
                if is_progress(&event) && last.is_some_and(|at| at.elapsed() < LINE_EVERY) {
                    return;
                }
                if is_progress(&event) {
                    *last = Some(Instant::now());
                }
                print_err(&event.to_string());
            }
        }
    }

    /// Prints a note that is neither event nor result.
    pub(crate) fn note(&self, text: &str) {
        if !self.0.quiet {
            self.print_line(text);
        }
    }

    /// Prints a warning.
    pub(crate) fn warn(&self, text: &str) {
        self.event(Event::Warning { message: text.to_owned() });
    }

    /// The command's result: `value` with `--json`, else `text`.
    pub(crate) fn result<T: Serialize>(&self, value: &T, text: &str) {
        self.clear();
        if self.0.json { print_json(value) } else { print_out(text) }
    }

    /// The command's failure, on stderr; with `--json` also as an object on stdout.
    pub(crate) fn failure(&self, failure: &Failure) {
        #[derive(Serialize)]
        struct Failed<'a> {
            event: &'a str,
            message: String,
            causes: Vec<String>,
            hint: Option<String>,
        }
        self.clear();
        if self.0.json {
            print_json(&Failed {
                event: "failed",
                message: failure.to_string(),
                causes: failure.causes(),
                hint: failure.hint(),
            });
        }
        print_err(&failure.text());
    }

    fn print_line(&self, text: &str) {
        match &*self.0.screen.lock().unwrap_or_else(PoisonError::into_inner) {
            Screen::Bars(bars) => bars.line(text),
            Screen::Lines(_) => print_err(text),
        }
    }

    fn clear(&self) {
        if let Screen::Bars(bars) = &mut *self.0.screen.lock().unwrap_or_else(PoisonError::into_inner) {
            bars.clear();
        }
    }
}

/// Frequent events, which may be skipped.
fn is_progress(event: &Event) -> bool {
    match event {
        Event::StageProgress { done, total, .. } => *total != Some(*done),
        Event::Step { step, steps, .. } => step != steps,
        _ => false,
    }
}

// Write errors are ignored: a closed pipe (`splat ... | head`) must not stop the run.

fn print_json<T: Serialize>(value: &T) {
    if let Ok(text) = serde_json::to_string(value) {
        print_out(&text);
    }
}

fn print_out(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

fn print_err(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
