//! Where the shared test data lies. None of it is part of the repository.

use std::path::PathBuf;

/// The file or folder at `relative` below `SPLAT_TEST_DATA` (default: `../shared/data` beside the
/// repository). `None` when it is missing, after saying so: the caller then returns early.
///
/// # Panics
/// In CI (env `CI` set) when it is missing: there, a test that did not run has failed.
pub(crate) fn shared(relative: &str) -> Option<PathBuf> {
    let root = std::env::var_os("SPLAT_TEST_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")),
        PathBuf::from,
    );
    let path = root.join(relative);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none(), "test data `{}` is missing in CI", path.display());
    #[expect(clippy::print_stderr, reason = "the only way for a test to say that it was skipped")]
    {
        eprintln!("skipped: test data `{}` is missing; set SPLAT_TEST_DATA", path.display());
    }
    None
}
