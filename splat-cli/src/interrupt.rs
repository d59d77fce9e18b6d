//! Ctrl-C: the first asks the run to stop at its next safe point, the second ends it at once.

use splat_core::CancelToken;

use crate::report::Reporter;

/// Installs the handler. Where the system has none to give, Ctrl-C ends the program as usual.
pub(crate) fn install(reporter: &Reporter) -> CancelToken {
    let cancel = CancelToken::new();
    let (token, screen) = (cancel.clone(), reporter.clone());
    let installed = ctrlc::set_handler(move || {
        if token.is_cancelled() {
            std::process::exit(1);
        }
        token.cancel();
        screen.note("stopping at the next safe point; press Ctrl-C again to end at once");
    });
    if let Err(error) = installed {
        reporter.warn(&format!("Ctrl-C will not stop cleanly: {error}"));
    }
    cancel
}
