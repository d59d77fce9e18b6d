//! Ctrl-C: the first stops the run at its next safe point, the second ends the process immediately.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use splat_core::CancelToken;

use crate::report::Reporter;

/// Signals within this interval count as one: `timeout`, `make` and terminals may send it to the process and again to its group.
const SAME_REQUEST: Duration = Duration::from_millis(500);

/// Installs the handler. If that fails, Ctrl-C ends the program as usual.
pub(crate) fn install(reporter: &Reporter) -> CancelToken {
    let cancel = CancelToken::new();
    let (token, screen) = (cancel.clone(), reporter.clone());
    let first = OnceLock::new();
    let installed = ctrlc::set_handler(move || {
        if first.get_or_init(Instant::now).elapsed() > SAME_REQUEST {
            std::process::exit(1);
        }
        if token.is_cancelled() {
            return;
        }
        token.cancel();
        screen.note("stopping at the next safe point; press Ctrl-C again to end at once");
    });
    if let Err(error) = installed {
        reporter.warn(&format!("Ctrl-C will not stop cleanly: {error}"));
    }
    cancel
}
