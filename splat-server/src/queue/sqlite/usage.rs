//! Usage of owners, and the mode of operation. Changes run inside the caller's transaction.

use rusqlite::Connection;

use super::Sql;
use super::row::Stored;
use crate::job::{Owner, UnixMs};
use crate::queue::quota::{DAYS_KEPT, day_of};
use crate::queue::{Mode, Result, Usage};

/// Name of the counter that stores the [`Mode`].
const MODE: &str = "mode";

/// Usage of an owner: today's work, and everything that is stored.
pub(super) fn of(connection: &Connection, owner: &Owner, now: UnixMs) -> Result<Usage> {
    let sql = "SELECT jobs, busy_ms FROM usage WHERE owner = ?1 AND day = ?2";
    let today = connection.first(sql, (owner, day_of(now)), |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (jobs_today, busy_ms_today) = today.unwrap_or_default();
    let sql = "SELECT count(*), coalesce(sum(bytes), 0) FROM jobs WHERE owner = ?1";
    let kept = connection.first(sql, [owner], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (kept_jobs, kept_bytes) = kept.unwrap_or_default();
    Ok(Usage { jobs_today, busy_ms_today, kept_jobs, kept_bytes })
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

fn add(connection: &Connection, owner: &Owner, now: UnixMs, jobs: u64, busy_ms: u64) -> Result<()> {
    let day = day_of(now);
    connection.run(
        "INSERT INTO usage (owner, day, jobs, busy_ms) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (owner, day) DO UPDATE SET jobs = jobs + excluded.jobs, busy_ms = busy_ms + excluded.busy_ms",
        (owner, day, jobs, busy_ms),
    )?;
    let oldest = day.saturating_sub(DAYS_KEPT);
    connection.run("DELETE FROM usage WHERE owner = ?1 AND day < ?2", (owner, oldest))?;
    Ok(())
}

pub(super) fn mode(connection: &Connection) -> Result<Mode> {
    let number = connection.first("SELECT value FROM counters WHERE name = ?1", [MODE], |row| row.get(0))?;
    Ok(Mode::of_number(number.unwrap_or(0)))
}

pub(super) fn set_mode(connection: &Connection, mode: Mode) -> Result<()> {
    connection.run(
        "INSERT INTO counters (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (MODE, mode.number()),
    )?;
    Ok(())
}
