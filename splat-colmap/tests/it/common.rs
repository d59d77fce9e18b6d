//! What several tests need.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use splat_core::Event;

/// A file or folder of the shared test data; the test has `#[needs(name)]`.
pub(crate) fn test_data(name: &str) -> PathBuf {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data");
    let root = std::env::var_os("SPLAT_TEST_DATA").unwrap_or_else(|| default.into());
    let path = Path::new(&root).join(name);
    assert!(path.exists(), "test data `{}` is missing; set SPLAT_TEST_DATA", path.display());
    path
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

    /// All warnings, one per line.
    pub(crate) fn warnings(&self) -> String {
        let warnings = self.all().into_iter().filter_map(|event| match event {
            Event::Warning { message } => Some(message),
            _ => None,
        });
        warnings.collect::<Vec<_>>().join("\n")
    }
}
