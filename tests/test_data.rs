//! Location of the shared test data, which is not part of the repository.

use std::path::PathBuf;

/// The file or folder at `relative` below `SPLAT_TEST_DATA` (default: `../shared/data` beside the repository). A test that
/// asks for it says so with `#[needs(relative)]`, which shows it as ignored where the data is missing.
///
/// # Panics
/// When it is missing all the same.
pub(crate) fn shared(relative: &str) -> PathBuf {
    let root = std::env::var_os("SPLAT_TEST_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")),
        PathBuf::from,
    );
    let path = root.join(relative);
    assert!(path.exists(), "test data `{}` is missing; set SPLAT_TEST_DATA", path.display());
    path
}
