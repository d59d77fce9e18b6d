//! Usage of owners, and the mode of operation. Changes run inside the caller's transaction.

use rusqlite::{Connection, OptionalExtension};

use super::row::{Stored, signed, unsigned};
use super::unavailable;
use crate::job::{Owner, UnixMs};
use crate::queue::quota::{DAYS_KEPT, day_of};
use crate::queue::{Mode, Result, Usage};

/// Name of the counter that stores the [`Mode`].
const MODE: &str = "mode";

/// Usage of an owner: today's work, and everything that is stored.
pub(super) fn of(connection: &Connection, owner: &Owner, now: UnixMs) -> Result<Usage> {
    let (jobs, busy_ms): (i64, i64) = connection
        .prepare_cached("SELECT jobs, busy_ms FROM usage WHERE owner = ?1 AND day = ?2")
        .and_then(|mut statement| {
            let day = (&owner.0, signed(day_of(now)));
            statement.query_row(day, |row| Ok((row.get(0)?, row.get(1)?))).optional()
        })
        .map_err(unavailable)?
        .unwrap_or_default();
    let (kept_jobs, bytes): (i64, i64) = connection
        .prepare_cached("SELECT count(*), coalesce(sum(bytes), 0) FROM jobs WHERE owner = ?1")
        .and_then(|mut statement| statement.query_row([&owner.0], |row| Ok((row.get(0)?, row.get(1)?))))
        .map_err(unavailable)?;
    Ok(Usage {
        jobs_today: unsigned(jobs),
        busy_ms_today: unsigned(busy_ms),
        kept_jobs: unsigned(kept_jobs),
        kept_bytes: unsigned(bytes),
    })
}

/// Counts a submission.
pub(super) fn submitted(connection: &Connection, owner: &Owner, now: UnixMs) -> Result<()> {
    add(connection, owner, now, 1, 0)
}

/// Counts the time since the job was claimed. The caller saves `stored` afterwards.
pub(super) fn worked(connection: &Connection, stored: &mut Stored, now: UnixMs) -> Result<()> {
    match stored.claimed_ms.take() {
        Some(since) => add(connection, &stored.job.owner, now, 0, now.saturating_sub(since)),
        None => Ok(()),
    }
}

fn add(connection: &Connection, owner: &Owner, now: UnixMs, jobs: i64, busy_ms: u64) -> Result<()> {
    let day = day_of(now);
    connection
        .prepare_cached(
            "INSERT INTO usage (owner, day, jobs, busy_ms) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (owner, day) DO UPDATE SET jobs = jobs + excluded.jobs, busy_ms = busy_ms + excluded.busy_ms",
        )
        .and_then(|mut statement| statement.execute((&owner.0, signed(day), jobs, signed(busy_ms))))
        .map_err(unavailable)?;
    connection
        .prepare_cached("DELETE FROM usage WHERE owner = ?1 AND day < ?2")
        .and_then(|mut statement| statement.execute((&owner.0, signed(day.saturating_sub(DAYS_KEPT)))))
        .map_err(unavailable)?;
    Ok(())
}

pub(super) fn mode(connection: &Connection) -> Result<Mode> {
    let number: Option<i64> = connection
        .prepare_cached("SELECT value FROM counters WHERE name = ?1")
        .and_then(|mut statement| statement.query_row([MODE], |row| row.get(0)).optional())
        .map_err(unavailable)?;
    Ok(Mode::of_number(number.unwrap_or(0)))
}

pub(super) fn set_mode(connection: &Connection, mode: Mode) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO counters (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        )
        .and_then(|mut statement| statement.execute((MODE, mode.number())))
        .map_err(unavailable)?;
    Ok(())
}
