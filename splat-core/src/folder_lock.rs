//! Locks a folder against concurrent runs.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use crate::files::{make_dir, write_error};
use crate::{Error, Result};

/// The lock file; it is unlocked but not removed when the run ends.
const LOCK_FILE: &str = ".splat.lock";
/// Maximum length of the holder's description in the lock file.
const MAX_HOLDER_BYTES: u64 = 200;

/// A folder locked by this process until the value is dropped or the process ends, also by a crash.
#[derive(Debug)]
pub struct FolderLock {
    /// Closing it releases the lock.
    _file: File,
}

impl FolderLock {
    /// Locks a folder, which is created if it is missing. On file systems without locks this has no effect.
    ///
    /// # Errors
    /// [`Error::Busy`], which names the process that holds the lock; [`Error::Write`] if the folder is not writable.
    pub fn take(dir: &Path) -> Result<Self> {
        make_dir(dir)?;
        let path = dir.join(LOCK_FILE);
        let open = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path);
        let mut file = open.map_err(|source| write_error(&path, source))?;
        if let Err(fs4::TryLockError::WouldBlock) = fs4::FileExt::try_lock(&file) {
            let mut holder = String::new();
            // Only for the message; systems with mandatory locks do not allow reading it.
            let _ = file.take(MAX_HOLDER_BYTES).read_to_string(&mut holder);
            let holder = Some(holder.trim()).filter(|holder| !holder.is_empty()).unwrap_or("another process");
            return Err(Error::Busy { path: dir.to_owned(), holder: holder.to_owned() });
        }
        let program = std::env::current_exe().ok();
        let program =
            program.as_deref().and_then(Path::file_stem).unwrap_or_default().to_string_lossy().into_owned();
        let line = format!("process {} ({program})\n", std::process::id());
        let written = file
            .set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| file.write_all(line.as_bytes()));
        written.map_err(|source| write_error(&path, source))?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_has_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("a/out");
        let first = FolderLock::take(&out).unwrap();
        let message = FolderLock::take(&out).unwrap_err().to_string();
        assert!(message.contains(&format!("process {}", std::process::id())), "{message}");
        drop(first);
        FolderLock::take(&out).unwrap();
    }
}
