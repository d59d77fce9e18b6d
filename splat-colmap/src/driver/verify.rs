//! Checks that a stage's output is complete: COLMAP does not always report write errors.

use std::path::Path;

use splat_core::files;

use crate::error::{ColmapError, Result, write_error};

/// Rejects an incomplete folder of images.
///
/// # Errors
/// [`ColmapError::Incomplete`].
pub(super) fn pictures(command: &'static str, dir: &Path, names: &[&str], log: &Path) -> Result<()> {
    let whole = |name: &str| dir.join(name).metadata().is_ok_and(|file| file.is_file() && file.len() > 0);
    let missing: Vec<&str> = names.iter().copied().filter(|name| !whole(name)).collect();
    let Some(first) = missing.first() else { return Ok(()) };
    Err(ColmapError::Incomplete {
        command,
        missing: missing.len(),
        expected: names.len(),
        first: (*first).to_owned(),
        log: log.to_owned(),
    })
}

/// The error of a run, replaced by that of a full disk if this is the cause.
pub(super) fn explained(error: ColmapError, dir: &Path) -> ColmapError {
    let by_files = matches!(
        error,
        ColmapError::Malformed { .. }
            | ColmapError::Incomplete { .. }
            | ColmapError::StageFailed { .. }
            | ColmapError::NoModel { .. }
            | ColmapError::Core(splat_core::Error::Malformed { .. })
    );
    if by_files && files::disk_is_full(dir) {
        return write_error(dir, std::io::ErrorKind::StorageFull.into());
    }
    error
}
