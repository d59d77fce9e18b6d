//! What several tests need.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use splat_core::Event;

/// A file or folder of the shared test data, or `None` (said on stderr) where it is not installed.
#[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
pub(crate) fn test_data(name: &str) -> Option<PathBuf> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data");
    let root = std::env::var_os("SPLAT_TEST_DATA").unwrap_or_else(|| default.into());
    let path = Path::new(&root).join(name);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none(), "test data `{}` is missing", path.display());
    eprintln!("skipped: `{}` is missing; set SPLAT_TEST_DATA", path.display());
    None
}

/// Collects events.
#[derive(Default)]
pub(crate) struct Events(Mutex<Vec<Event>>);

impl Events {
    pub(crate) fn push(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }

    pub(crate) fn all(&self) -> Vec<Event> {
        self.0.lock().unwrap().clone()
    }

    /// All warnings, one a line.
    pub(crate) fn warnings(&self) -> String {
        let warnings = self.all().into_iter().filter_map(|event| match event {
            Event::Warning { message } => Some(message),
            _ => None,
        });
        warnings.collect::<Vec<_>>().join("\n")
    }
}
