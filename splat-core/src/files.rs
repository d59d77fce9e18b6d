//! Atomic file writes: a reader sees either the old content or all of the new.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// Creates a folder and its parents.
///
/// # Errors
/// [`Error::Write`].
pub fn make_dir(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|source| write_error(path, source))
}

/// Creates the parent folder of `path`.
///
/// # Errors
/// [`Error::Write`].
pub fn make_parent(path: &Path) -> Result<()> {
    path.parent().map_or(Ok(()), make_dir)
}

/// Writes to a file beside `path` and renames it over `path` once everything is on disk.
///
/// Creates the folder if it is missing. On failure `path` is unchanged and the temporary file is removed.
///
/// # Errors
/// [`Error::Write`].
pub fn write_atomically(
    path: &Path,
    content: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<()> {
    make_parent(path)?;
    let unfinished = with_ending(path, ".tmp");
    let written = File::create(&unfinished).and_then(|file| {
        let mut out = BufWriter::new(file);
        content(&mut out)?;
        out.flush()?;
        out.get_ref().sync_all()?;
        fs::rename(&unfinished, path)
    });
    written.map_err(|source| {
        // Cleanup: the first failure is the one reported.
        let _ = fs::remove_file(&unfinished);
        write_error(path, source)
    })
}

/// The path beside `path` whose name has this text appended.
#[must_use]
pub fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Whether the disk of `path` is nearly full. `false` if the system does not report it.
#[must_use]
pub fn disk_is_full(path: &Path) -> bool {
    /// Below this not even the smallest file could be written.
    const FULL_BYTES: u64 = 1 << 20;
    let place = path.ancestors().find(|place| place.exists());
    place.is_some_and(|place| fs4::available_space(place).is_ok_and(|free| free < FULL_BYTES))
}

/// [`Error::Write`] with a hint that depends on the system's error.
#[must_use]
pub fn write_error(path: &Path, source: io::Error) -> Error {
    use io::ErrorKind;
    let hint = match source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "the disk is full; free some space or choose another output folder, then resume"
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "you may not write there; choose another output folder"
        }
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists | ErrorKind::IsADirectory => {
            "something else of that name is in the way; choose another output folder"
        }
        _ => "check the disk and the folder, or choose another output folder",
    };
    Error::Write { path: path.to_path_buf(), hint, source }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_content_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sub/file");
        write_atomically(&path, |out| out.write_all(b"old")).unwrap();
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let error = write_atomically(&path, |out| out.write_all(b"ne").and(Err(full()))).unwrap_err();
        assert!(error.to_string().contains("the disk is full"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }
}
