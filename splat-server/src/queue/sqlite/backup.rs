//! Backup and restore of the queue's database while it is in use. A plain copy of the file would be incomplete, since recent
//! writes are in the write-ahead log beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::Backup;
use rusqlite::{Connection, OpenFlags};
use splat_core::files::with_ending;

use super::schema;

/// Pages copied per step on restore: the whole file, so that no process sees a partial one.
const ALL_PAGES: i32 = i32::MAX;
/// How long to wait for another process's write.
const BUSY: Duration = Duration::from_secs(10);

/// Why a backup or restore failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// There is no queue to back up.
    #[error("there is no queue at `{}`", path.display())]
    NoQueue {
        /// Path where it was expected.
        path: PathBuf,
    },
    /// The file is not a queue, or was written by a newer program.
    #[error("`{}` is no backup of a queue: {why}", path.display())]
    NoBackup {
        /// Path of the backup.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The backup file is the queue itself.
    #[error("`{}` is the queue itself, and no copy of it", path.display())]
    QueueItself {
        /// Path of both.
        path: PathBuf,
    },
    /// The queue is in Redis.
    #[error("the queue lies in Redis, which keeps its own copies")]
    InRedis,
    /// A file cannot be read or written.
    #[error("cannot use `{}`: {source}", path.display())]
    Io {
        /// Path of the file.
        path: PathBuf,
        /// The I/O error.
        source: std::io::Error,
    },
    /// SQLite failed.
    #[error("the queue at `{}` cannot be copied: {source}", path.display())]
    Sqlite {
        /// Path of the queue's database.
        path: PathBuf,
        /// SQLite's error.
        source: rusqlite::Error,
    },
}

impl BackupError {
    /// What to try.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoQueue { .. } => Some("name the service's folder with --data-dir"),
            Self::NoBackup { .. } => {
                Some("`splat backup` makes one; a `cp` of a running service's queue.db lacks its newest part")
            }
            Self::QueueItself { .. } => Some("name another file"),
            Self::InRedis => Some("copy Redis' append-only file, or use its BGSAVE"),
            Self::Io { .. } | Self::Sqlite { .. } => None,
        }
    }
}

/// Contents of a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Copied {
    /// Number of jobs.
    pub jobs: u64,
    /// Number of API keys.
    pub keys: u64,
}

/// Copies the queue at `queue` to `file`, replacing it, as a consistent snapshot; the service may be running. Blocks.
///
/// # Errors
/// [`BackupError`], but neither `NoBackup` nor `InRedis`.
pub fn backup(queue: &Path, file: &Path) -> Result<Copied, BackupError> {
    let connection = open(queue)?;
    refuse_itself(file, queue)?;
    copy(&connection, queue, file)?;
    counted(&connection).map_err(|source| BackupError::Sqlite { path: queue.to_path_buf(), source })
}

/// Replaces the queue at `queue` by the backup in `file`. The old queue is kept beside it; its new, unique path is returned. Stop
/// the service first: running jobs would be lost to their workers. Blocks.
///
/// # Errors
/// [`BackupError::NoBackup`] if the file is not a queue or is damaged; then nothing is changed.
pub fn restore(file: &Path, queue: &Path) -> Result<(Copied, Option<PathBuf>), BackupError> {
    let no_backup = |why: String| BackupError::NoBackup { path: file.to_path_buf(), why };
    if !file.is_file() {
        return Err(no_backup("there is no such file".into()));
    }
    refuse_itself(file, queue)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let from = Connection::open_with_flags(file, flags).map_err(|error| no_backup(error.to_string()))?;
    let copied = checked(&from).map_err(no_backup)?;
    let sqlite = |source| BackupError::Sqlite { path: queue.to_path_buf(), source };
    let before = match open(queue) {
        Ok(old) => {
            let kept = free_name(queue);
            copy(&old, queue, &kept)?;
            Some(kept)
        }
        Err(BackupError::NoQueue { .. }) => None,
        Err(error) => return Err(error),
    };
    let mut into = Connection::open(queue).map_err(sqlite)?;
    into.busy_timeout(BUSY).map_err(sqlite)?;
    let backup = Backup::new(&from, &mut into).map_err(sqlite)?;
    backup.run_to_completion(ALL_PAGES, Duration::from_millis(100), None).map_err(sqlite)?;
    Ok((copied, before))
}

/// SQLite would deadlock, or the service would continue on a deleted file.
fn refuse_itself(file: &Path, queue: &Path) -> Result<(), BackupError> {
    match (file.canonicalize(), queue.canonicalize()) {
        (Ok(file), Ok(queue)) if file == queue => Err(BackupError::QueueItself { path: queue }),
        _ => Ok(()),
    }
}

/// A path for the old queue that does not overwrite one kept by an earlier restore.
fn free_name(queue: &Path) -> PathBuf {
    let mut kept = with_ending(queue, ".before-restore");
    let mut number = 2;
    while kept.exists() {
        kept = with_ending(queue, &format!(".before-restore-{number}"));
        number += 1;
    }
    kept
}

fn open(queue: &Path) -> Result<Connection, BackupError> {
    if !queue.is_file() {
        return Err(BackupError::NoQueue { path: queue.to_path_buf() });
    }
    let opened =
        Connection::open_with_flags(queue, OpenFlags::SQLITE_OPEN_READ_WRITE).and_then(|connection| {
            connection.busy_timeout(BUSY)?;
            Ok(connection)
        });
    opened.map_err(|source| BackupError::Sqlite { path: queue.to_path_buf(), source })
}

/// Writes a snapshot of the database to a file, atomically, and readable by the owner only.
fn copy(connection: &Connection, queue: &Path, file: &Path) -> Result<(), BackupError> {
    let unfinished = with_ending(file, ".part");
    let io = |source| BackupError::Io { path: file.to_path_buf(), source };
    // SQLite only writes to an empty file, so the rest of an interrupted backup is truncated.
    private(&unfinished).map_err(io)?;
    let copied = connection
        .execute("VACUUM INTO ?1", [unfinished.to_string_lossy()])
        .map_err(|source| BackupError::Sqlite { path: queue.to_path_buf(), source })
        .and_then(|_| fs::File::open(&unfinished).and_then(|written| written.sync_all()).map_err(io))
        .and_then(|()| fs::rename(&unfinished, file).map_err(io));
    if copied.is_err() {
        // The original error is the one to report.
        let _ = fs::remove_file(&unfinished);
    }
    copied
}

/// Creates an empty file that only its owner can read: it will contain key hashes and data of all owners.
fn private(path: &Path) -> std::io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

/// Contents of a backup, or what is wrong with it.
fn checked(connection: &Connection) -> Result<Copied, String> {
    let text = |error: rusqlite::Error| error.to_string();
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(text)?;
    if version == 0 {
        return Err("it has no tables".into());
    }
    if usize::try_from(version).is_ok_and(|version| version > schema::newest()) {
        return Err(format!("a newer version of this program wrote it (its schema has version {version})"));
    }
    let sound: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(text)?;
    if sound != "ok" {
        return Err(format!("it is damaged: {sound}"));
    }
    counted(connection).map_err(text)
}

fn counted(connection: &Connection) -> rusqlite::Result<Copied> {
    connection.query_row("SELECT (SELECT count(*) FROM jobs), (SELECT count(*) FROM api_keys)", [], |row| {
        Ok(Copied { jobs: row.get(0)?, keys: row.get(1)? })
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::job::Owner;
    use crate::queue::contract::{PLENTY, new_job};
    use crate::queue::{Queue, SqliteQueue};

    #[tokio::test]
    async fn a_copy_of_a_queue_in_use_brings_it_back() {
        let folder = tempfile::tempdir().unwrap();
        let (path, file) = (folder.path().join("queue.db"), folder.path().join("backup.db"));
        let queue = SqliteQueue::open(&path).unwrap();
        let job = queue.submit(new_job("local"), PLENTY).await.unwrap().job;
        let identity = queue.identity().await.unwrap();
        assert_eq!(backup(&path, &file).unwrap(), Copied { jobs: 1, keys: 0 });
        let since = queue.submit(new_job("local"), PLENTY).await.unwrap().job;
        // Also while it is open.
        let (copied, before) = restore(&file, &path).unwrap();
        assert_eq!(copied, Copied { jobs: 1, keys: 0 });
        assert_eq!(queue.get(&Owner::local(), &job.id).await.unwrap(), Some(job.clone()));
        assert_eq!(queue.get(&Owner::local(), &since.id).await.unwrap(), None);
        assert_eq!(queue.identity().await.unwrap(), identity);
        queue.submit(new_job("local"), PLENTY).await.unwrap();
        let (_, second) = restore(&file, &path).unwrap();
        assert_ne!(second, before, "what the first one kept is gone");
        drop(queue);
        // The old queue can be restored as well, even if the current one is gone.
        std::fs::remove_file(&path).unwrap();
        assert_eq!(restore(&before.unwrap(), &path).unwrap(), (Copied { jobs: 2, keys: 0 }, None));
        let queue = SqliteQueue::open(&path).unwrap();
        assert_eq!(queue.get(&Owner::local(), &since.id).await.unwrap(), Some(since));
    }

    #[tokio::test]
    async fn what_is_no_backup_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let queue = SqliteQueue::open(&at("queue.db")).unwrap();
        queue.submit(new_job("local"), PLENTY).await.unwrap();
        // Without the write-ahead log beside it, as a copy by `cp`.
        std::fs::copy(at("queue.db"), at("copied.db")).unwrap();
        std::fs::write(at("empty.db"), []).unwrap();
        std::fs::write(at("text.db"), "this is a text, and long enough to be no header ".repeat(50)).unwrap();
        backup(&at("queue.db"), &at("newer.db")).unwrap();
        Connection::open(at("newer.db")).unwrap().pragma_update(None, "user_version", 99).unwrap();
        for name in ["copied.db", "empty.db", "text.db", "newer.db", "missing.db"] {
            let refused = restore(&at(name), &at("queue.db"));
            assert!(matches!(refused, Err(BackupError::NoBackup { .. })), "{name}: {refused:?}");
        }
        assert!(matches!(backup(&at("missing.db"), &at("x.db")), Err(BackupError::NoQueue { .. })));
        std::fs::create_dir(at("folder")).unwrap();
        for nowhere in ["no/such/folder.db", "folder"] {
            let refused = backup(&at("queue.db"), &at(nowhere));
            assert!(matches!(refused, Err(BackupError::Io { .. })), "{nowhere}: {refused:?}");
        }
        let itself = folder.path().join(".").join("queue.db");
        for refused in
            [backup(&at("queue.db"), &itself), restore(&itself, &at("queue.db")).map(|done| done.0)]
        {
            assert!(matches!(refused, Err(BackupError::QueueItself { .. })), "{refused:?}");
        }
        assert!(!at("folder.part").exists());
        assert_eq!(backup(&at("queue.db"), &at("x.db")).unwrap().jobs, 1);
    }
}
