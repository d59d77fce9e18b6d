//! Tables and migrations.

use rusqlite::Connection;

use crate::queue::{QueueError, Result};

/// One migration per version; `user_version` is the number applied. Migrations are only ever appended.
const MIGRATIONS: [&str; 4] = [
    "
    CREATE TABLE jobs (
        number           INTEGER PRIMARY KEY AUTOINCREMENT, -- order of submission
        id               TEXT NOT NULL UNIQUE,
        owner            TEXT NOT NULL,
        kind             TEXT NOT NULL,
        lane             TEXT NOT NULL,
        priority         INTEGER NOT NULL,
        place            INTEGER NOT NULL,                  -- order in line: a retry goes to the end
        state            TEXT NOT NULL,
        attempts         INTEGER NOT NULL DEFAULT 0,
        max_attempts     INTEGER NOT NULL,
        cancel_requested INTEGER NOT NULL DEFAULT 0,
        created_ms       INTEGER NOT NULL,
        updated_ms       INTEGER NOT NULL,
        started_ms       INTEGER,
        finished_ms      INTEGER,
        run_after_ms     INTEGER NOT NULL,
        spec             TEXT NOT NULL,                     -- JSON, as are the next four
        progress         TEXT NOT NULL,
        result           TEXT,
        artifacts        TEXT NOT NULL,
        problem          TEXT,
        token            INTEGER NOT NULL DEFAULT 0,        -- fencing token of the latest claim
        worker           TEXT,
        lease_until_ms   INTEGER,
        last_event       INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE INDEX jobs_waiting ON jobs (state, lane, priority, owner, place, run_after_ms) WHERE state = 'queued';
    CREATE INDEX jobs_running ON jobs (state, lease_until_ms, lane) WHERE state = 'running';
    CREATE INDEX jobs_by_state ON jobs (owner, state);
    CREATE INDEX jobs_finished ON jobs (finished_ms) WHERE finished_ms IS NOT NULL;
    CREATE INDEX jobs_of_owner ON jobs (owner, number);

    CREATE TABLE events (
        job      INTEGER NOT NULL REFERENCES jobs (number) ON DELETE CASCADE,
        sequence INTEGER NOT NULL,
        at_ms    INTEGER NOT NULL,
        kind     TEXT NOT NULL,
        stage    TEXT,
        percent  REAL NOT NULL,
        message  TEXT NOT NULL,
        data     TEXT NOT NULL,
        PRIMARY KEY (job, sequence)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE idempotency (
        owner       TEXT NOT NULL,
        key         TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        job         INTEGER NOT NULL REFERENCES jobs (number) ON DELETE CASCADE,
        PRIMARY KEY (owner, key)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX idempotency_of_job ON idempotency (job);

    CREATE TABLE owners (
        owner  TEXT PRIMARY KEY,
        served INTEGER NOT NULL                             -- the greater, the later its latest job was claimed
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE counters (
        name  TEXT PRIMARY KEY,
        value INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE api_keys (
        id           TEXT PRIMARY KEY,
        name         TEXT NOT NULL,
        role         TEXT NOT NULL,
        secret_hash  BLOB NOT NULL,                         -- SHA-256
        created_ms   INTEGER NOT NULL,
        last_used_ms INTEGER,
        revoked_ms   INTEGER
    ) STRICT, WITHOUT ROWID;
",
    "
    ALTER TABLE jobs ADD COLUMN noticed_ms INTEGER;             -- when the lease was first seen to have run out; counts if later than its end
    ALTER TABLE jobs ADD COLUMN reached REAL NOT NULL DEFAULT 0; -- percent at the last loss of a lease

    CREATE TABLE identity (id TEXT NOT NULL) STRICT;            -- one row: which queue this is
    INSERT INTO identity (id) VALUES (lower(hex(randomblob(13))));

    CREATE TABLE deleted (
        id    TEXT PRIMARY KEY,                                 -- of a job whose files may still be there
        at_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX deleted_at ON deleted (at_ms);
",
    "
    ALTER TABLE jobs ADD COLUMN notes TEXT NOT NULL DEFAULT '{}';  -- JSON
    ALTER TABLE jobs ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0; -- also in `notes`
    ALTER TABLE jobs ADD COLUMN secret TEXT;                       -- of the link in `notes`
    ALTER TABLE jobs ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;  -- kept in the store
    ALTER TABLE jobs ADD COLUMN claimed_ms INTEGER;                -- when the latest claim began
    CREATE UNIQUE INDEX jobs_shared ON jobs (secret) WHERE secret IS NOT NULL;

    CREATE TABLE usage (
        owner   TEXT NOT NULL,
        day     INTEGER NOT NULL,                                  -- days since 1970 (UTC)
        jobs    INTEGER NOT NULL DEFAULT 0,                        -- submitted
        busy_ms INTEGER NOT NULL DEFAULT 0,                        -- time that workers held jobs
        PRIMARY KEY (owner, day)
    ) STRICT, WITHOUT ROWID;
",
    "
    CREATE TABLE questions (
        number INTEGER PRIMARY KEY,
        id     TEXT NOT NULL UNIQUE,
        job    TEXT NOT NULL,
        at_ms  INTEGER NOT NULL,
        text   TEXT NOT NULL
    ) STRICT;
    CREATE INDEX questions_to ON questions (job, number);

    CREATE TABLE answers (
        id    TEXT NOT NULL UNIQUE,                                 -- of the question
        at_ms INTEGER NOT NULL,
        text  TEXT NOT NULL
    ) STRICT;
"];

/// Migrates the file to the newest version in one transaction: another process that opens it at the same time waits.
///
/// # Errors
/// [`QueueError::Malformed`] if a newer program wrote the file.
pub(super) fn migrate(connection: &Connection) -> Result<()> {
    if version(connection)? == MIGRATIONS.len() {
        return Ok(());
    }
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let migrated = steps(connection);
    let end = if migrated.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = connection.execute_batch(end);
    migrated?;
    Ok(ended?)
}

fn steps(connection: &Connection) -> Result<()> {
    let found = version(connection)?;
    let newest = MIGRATIONS.len();
    let missing = MIGRATIONS.get(found..).ok_or_else(|| QueueError::Malformed {
        why: format!(
            "its schema has version {found}, and this program knows up to {newest}; run the newer splat that wrote it"
        ),
    })?;
    for step in missing {
        connection.execute_batch(step)?;
    }
    Ok(connection.pragma_update(None, "user_version", i64::try_from(newest).unwrap_or(0))?)
}

/// The version of the schema that this program writes.
pub(super) fn newest() -> usize {
    MIGRATIONS.len()
}

/// The schema of the first version, as in an old file.
#[cfg(test)]
pub(super) const FIRST: &str = MIGRATIONS[0];

fn version(connection: &Connection) -> Result<usize> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    usize::try_from(version).map_err(|_| QueueError::Malformed {
        why: format!("its schema has version {version}; this is no job store of splat"),
    })
}
