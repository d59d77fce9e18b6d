//! Claims the next job, and requeues lost ones. Runs inside the caller's transaction.

use rusqlite::{Connection, named_params};

use super::row::{save, stored};
use super::write::{end, next, record_state, requeue};
use super::{Sql, usage};
use crate::job::{JobState, Lane, UnixMs};
use crate::queue::backoff::attempts_exhausted;
use crate::queue::{Backoff, Claim, FURTHER, Mode, Result, Ticket};

/// How jobs with an expired lease are requeued.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reclaim {
    pub(super) backoff: Backoff,
    pub(super) grace_ms: u64,
}

/// Maximum jobs requeued in one transaction; the next call continues.
const RECLAIMED_AT_ONCE: u32 = 100;

pub(super) fn claim(
    connection: &Connection,
    now: UnixMs,
    how: Reclaim,
    worker: &str,
    lanes: &[Lane],
    lease_ms: u64,
) -> Result<Option<Claim>> {
    reclaim(connection, now, how)?;
    let paused = usage::mode(connection)? == Mode::Paused;
    let mut best: Option<Candidate> = None;
    for lane in lanes.iter().filter(|lane| !paused || **lane == Lane::Webhook) {
        let found = best_of_lane(connection, now, *lane)?;
        best = best.into_iter().chain(found).min();
    }
    let Some(best) = best else { return Ok(None) };
    let mut stored = connection
        .prepare_cached("SELECT * FROM jobs WHERE number = ?1")?
        .query_one([best.number], stored)?;
    stored.token += 1;
    stored.worker = Some(worker.to_owned());
    stored.lease_until_ms = Some(now.saturating_add(lease_ms));
    stored.claimed_ms = Some(now);
    let job = &mut stored.job;
    job.state = JobState::Running;
    job.attempts = job.attempts.saturating_add(1);
    job.started_ms = job.started_ms.or(Some(now));
    record_state(connection, &mut stored, now, "")?;
    save(connection, &stored)?;
    let served = next(connection, "served")?;
    connection.run(
        "INSERT INTO owners (owner, served) VALUES (?1, ?2)
         ON CONFLICT (owner) DO UPDATE SET served = excluded.served",
        (&stored.job.owner, served),
    )?;
    let ticket = Ticket { id: stored.job.id.clone(), token: stored.token };
    Ok(Some(Claim { job: stored.job, ticket }))
}

/// The next job of a lane, ordered as [`claim`] compares lanes.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    descending_priority: std::cmp::Reverse<i32>,
    running: i64,
    served: i64,
    place: i64,
    number: i64,
}

fn best_of_lane(connection: &Connection, now: UnixMs, lane: Lane) -> Result<Option<Candidate>> {
    // Waiting jobs are aggregated by owner first, so that running jobs are counted once per owner, not once per job.
    let found = connection.first(
        "WITH heads AS (
             SELECT owner, priority, min(place) AS place, number FROM jobs
             WHERE state = 'queued' AND lane = :lane AND run_after_ms <= :now AND priority = (
                 SELECT priority FROM jobs WHERE state = 'queued' AND lane = :lane AND run_after_ms <= :now
                 ORDER BY priority DESC LIMIT 1)
             GROUP BY owner
         )
         SELECT priority,
                (SELECT count(*) FROM jobs WHERE state = 'running' AND jobs.owner = heads.owner) AS running,
                coalesce((SELECT served FROM owners WHERE owners.owner = heads.owner), 0) AS served,
                place, number
         FROM heads ORDER BY running, served, place LIMIT 1",
        named_params! { ":lane": lane, ":now": now },
        |row| {
            Ok(Candidate {
                descending_priority: std::cmp::Reverse(row.get(0)?),
                running: row.get(1)?,
                served: row.get(2)?,
                place: row.get(3)?,
                number: row.get(4)?,
            })
        },
    );
    Ok(found?)
}

/// Requeues jobs whose lease expired and was noted as expired for the grace period. A renewal moves the end of the lease past the
/// noted time, which invalidates the note.
pub(super) fn reclaim(connection: &Connection, now: UnixMs, how: Reclaim) -> Result<()> {
    connection.run(
        "UPDATE jobs SET noticed_ms = ?1 WHERE state = 'running' AND lease_until_ms < ?1
         AND (noticed_ms IS NULL OR noticed_ms < lease_until_ms)",
        [now],
    )?;
    let lost = connection.all(
        "SELECT * FROM jobs WHERE state = 'running' AND lease_until_ms < ?1
         AND noticed_ms >= lease_until_ms AND noticed_ms <= ?2 LIMIT ?3",
        (now, now.saturating_sub(how.grace_ms), RECLAIMED_AT_ONCE),
        stored,
    )?;
    for mut stored in lost {
        if stored.job.progress.percent >= stored.reached + FURTHER {
            stored.reached = stored.job.progress.percent;
            stored.job.attempts = 1;
        }
        usage::worked(connection, &mut stored, now)?;
        tracing::warn!(job = %stored.job.id, attempts = stored.job.attempts, "lease expired");
        let dead = attempts_exhausted(stored.job.attempts);
        if stored.job.cancel_requested {
            end(&mut stored, now, JobState::Cancelled);
        } else if stored.job.attempts >= stored.job.max_attempts {
            stored.job.problem = Some(dead);
            end(&mut stored, now, JobState::Dead);
        } else {
            let wait_ms = how.backoff.wait_ms(stored.job.attempts);
            requeue(&mut stored, now.saturating_add(wait_ms));
        }
        record_state(connection, &mut stored, now, "Its worker was lost.")?;
        save(connection, &stored)?;
    }
    Ok(())
}
