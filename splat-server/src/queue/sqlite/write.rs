//! What changes jobs. Every function runs inside a transaction that the caller holds.

use rusqlite::{Connection, OptionalExtension, named_params};
use serde_json::json;

use super::read::collect;
use super::row::{COLUMNS, Stored, add_event, find, find_owned, save, signed, stored, to_json};
use super::unavailable;
use crate::job::{Job, JobId, JobState, Lane, NewEvent, NewJob, Owner, Progress, UnixMs};
use crate::queue::backoff::attempts_exhausted;
use crate::queue::{
    Admission, Backoff, Claim, Ending, Held, QueueError, Report, Result, Submitted, Ticket, within_100,
};

/// Lost jobs brought back in one transaction; the next call goes on.
const RECLAIMED_AT_ONCE: u32 = 100;

pub(super) fn submit(
    connection: &Connection,
    now: UnixMs,
    new: &NewJob,
    admission: Admission,
) -> Result<Submitted> {
    if let Some(earlier) = earlier(connection, new)? {
        return Ok(Submitted { job: earlier, created: false });
    }
    let waiting =
        count(connection, "SELECT count(*) FROM jobs WHERE state = 'queued' AND lane = ?1", new.lane.name())?;
    if waiting >= admission.max_waiting {
        return Err(QueueError::Full { waiting });
    }
    let unfinished = count(
        connection,
        "SELECT count(*) FROM jobs WHERE state IN ('queued', 'running') AND owner = ?1",
        &new.owner.0,
    )?;
    if unfinished >= admission.max_unfinished_per_owner {
        return Err(QueueError::OwnerFull { unfinished });
    }
    connection
        .prepare_cached(
            "INSERT INTO jobs (id, owner, kind, lane, priority, place, state, max_attempts, created_ms, updated_ms,
                               run_after_ms, spec, progress, artifacts)
             VALUES (:id, :owner, :kind, :lane, :priority, :place, 'queued', :max_attempts, :now, :now,
                     :now, :spec, :progress, '[]')",
        )
        .map_err(unavailable)?
        .execute(named_params! {
            ":id": new.id.as_str(),
            ":owner": new.owner.0,
            ":kind": new.kind,
            ":lane": new.lane.name(),
            ":priority": new.priority,
            ":place": next(connection, "place")?,
            ":max_attempts": new.max_attempts.max(1),
            ":now": signed(now),
            ":spec": to_json(&new.spec)?,
            ":progress": to_json(&Progress::default())?,
        })
        .map_err(unavailable)?;
    let number = connection.last_insert_rowid();
    if let Some(idempotency) = &new.idempotency {
        connection
            .prepare_cached("INSERT INTO idempotency (owner, key, fingerprint, job) VALUES (?1, ?2, ?3, ?4)")
            .and_then(|mut statement| {
                statement.execute((&new.owner.0, &idempotency.key, &idempotency.fingerprint, number))
            })
            .map_err(unavailable)?;
    }
    let mut stored = find(connection, &new.id)?
        .ok_or_else(|| QueueError::Malformed { why: "a job vanished while it was stored".into() })?;
    record_state(connection, &mut stored, now, "")?;
    save(connection, &stored)?;
    Ok(Submitted { job: stored.job, created: true })
}

/// The job that the idempotency key stood for, or that was submitted under this id before.
fn earlier(connection: &Connection, new: &NewJob) -> Result<Option<Job>> {
    if let Some(idempotency) = &new.idempotency {
        let found: Option<(String, String)> = connection
            .prepare_cached(
                "SELECT fingerprint, id FROM idempotency JOIN jobs ON jobs.number = idempotency.job
                 WHERE idempotency.owner = ?1 AND key = ?2",
            )
            .and_then(|mut statement| {
                statement
                    .query_row((&new.owner.0, &idempotency.key), |row| Ok((row.get(0)?, row.get(1)?)))
                    .optional()
            })
            .map_err(unavailable)?;
        if let Some((fingerprint, id)) = found {
            if fingerprint != idempotency.fingerprint {
                return Err(QueueError::KeyReused);
            }
            let id: JobId = id.parse().map_err(|_| super::row::unknown("job id", &id))?;
            return Ok(find(connection, &id)?.map(|stored| stored.job));
        }
    }
    match find(connection, &new.id)? {
        None => Ok(None),
        Some(stored) if stored.job.owner == new.owner => Ok(Some(stored.job)),
        Some(_) => Err(QueueError::KeyReused),
    }
}

pub(super) fn claim(
    connection: &Connection,
    now: UnixMs,
    backoff: Backoff,
    worker: &str,
    lanes: &[Lane],
    lease_ms: u64,
) -> Result<Option<Claim>> {
    reclaim(connection, now, backoff)?;
    let mut best: Option<Candidate> = None;
    for lane in lanes {
        let found = best_of_lane(connection, now, *lane)?;
        best = best.into_iter().chain(found).min();
    }
    let Some(best) = best else { return Ok(None) };
    let Some(mut stored) = at(connection, best.number)? else { return Ok(None) };
    stored.token += 1;
    stored.worker = Some(worker.to_owned());
    stored.lease_until_ms = Some(now.saturating_add(lease_ms));
    let job = &mut stored.job;
    job.state = JobState::Running;
    job.attempts = job.attempts.saturating_add(1);
    job.started_ms = job.started_ms.or(Some(now));
    record_state(connection, &mut stored, now, "")?;
    save(connection, &stored)?;
    let served = next(connection, "served")?;
    connection
        .prepare_cached(
            "INSERT INTO owners (owner, served) VALUES (?1, ?2)
             ON CONFLICT (owner) DO UPDATE SET served = excluded.served",
        )
        .and_then(|mut statement| statement.execute((&stored.job.owner.0, served)))
        .map_err(unavailable)?;
    let ticket = Ticket { id: stored.job.id.clone(), token: u64::try_from(stored.token).unwrap_or(0) };
    Ok(Some(Claim { job: stored.job, ticket }))
}

/// The job of a lane that is next, ordered as [`claim`] compares lanes.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    descending_priority: std::cmp::Reverse<i32>,
    running: i64,
    served: i64,
    place: i64,
    number: i64,
}

fn best_of_lane(connection: &Connection, now: UnixMs, lane: Lane) -> Result<Option<Candidate>> {
    // An aggregate of one owner's waiting jobs first, so that running jobs are counted once an owner and not once a job.
    connection
        .prepare_cached(
            "WITH top AS (
                 SELECT max(priority) AS priority FROM jobs
                 WHERE state = 'queued' AND lane = :lane AND run_after_ms <= :now
             ), heads AS (
                 SELECT owner, jobs.priority AS priority, min(place) AS place, number FROM jobs, top
                 WHERE state = 'queued' AND lane = :lane AND jobs.priority = top.priority AND run_after_ms <= :now
                 GROUP BY owner
             )
             SELECT priority,
                    (SELECT count(*) FROM jobs WHERE state = 'running' AND jobs.owner = heads.owner) AS running,
                    coalesce((SELECT served FROM owners WHERE owners.owner = heads.owner), 0) AS served,
                    place, number
             FROM heads ORDER BY running, served, place LIMIT 1",
        )
        .and_then(|mut statement| {
            statement
                .query_row(named_params! {":lane": lane.name(), ":now": signed(now)}, |row| {
                    Ok(Candidate {
                        descending_priority: std::cmp::Reverse(row.get(0)?),
                        running: row.get(1)?,
                        served: row.get(2)?,
                        place: row.get(3)?,
                        number: row.get(4)?,
                    })
                })
                .optional()
        })
        .map_err(unavailable)
}

/// Brings back jobs whose lease ran out.
pub(super) fn reclaim(connection: &Connection, now: UnixMs, backoff: Backoff) -> Result<()> {
    let sql = format!("SELECT {COLUMNS} FROM jobs WHERE state = 'running' AND lease_until_ms < ?1 LIMIT ?2");
    let lost = {
        let mut statement = connection.prepare_cached(&sql).map_err(unavailable)?;
        let rows = statement.query((signed(now), RECLAIMED_AT_ONCE)).map_err(unavailable)?;
        collect(rows, stored)?
    };
    for mut stored in lost {
        tracing::warn!(job = %stored.job.id, attempts = stored.job.attempts, "a job's lease ran out");
        let dead = attempts_exhausted(stored.job.attempts);
        if stored.job.cancel_requested {
            end(&mut stored, now, JobState::Cancelled);
        } else if stored.job.attempts >= stored.job.max_attempts {
            stored.job.problem = Some(dead);
            end(&mut stored, now, JobState::Dead);
        } else {
            let wait_ms = backoff.wait_ms(stored.job.attempts);
            requeue(&mut stored, now.saturating_add(wait_ms));
        }
        record_state(connection, &mut stored, now, "Its worker was lost.")?;
        save(connection, &stored)?;
    }
    Ok(())
}

pub(super) fn renew(connection: &Connection, now: UnixMs, ticket: &Ticket, lease_ms: u64) -> Result<Held> {
    let stored = held(connection, now, ticket)?;
    connection
        .prepare_cached("UPDATE jobs SET lease_until_ms = ?1 WHERE number = ?2")
        .and_then(|mut statement| statement.execute((signed(now.saturating_add(lease_ms)), stored.number)))
        .map_err(unavailable)?;
    Ok(Held { cancel_requested: stored.job.cancel_requested })
}

pub(super) fn report(connection: &Connection, now: UnixMs, ticket: &Ticket, report: Report) -> Result<Held> {
    let mut stored = held(connection, now, ticket)?;
    if let Some(progress) = report.progress {
        stored.job.progress = Progress { percent: within_100(progress.percent), ..progress };
    }
    for artifact in report.artifacts {
        match stored.job.artifacts.iter_mut().find(|known| known.name == artifact.name) {
            Some(known) => *known = artifact,
            None => stored.job.artifacts.push(artifact),
        }
    }
    for event in &report.events {
        add_event(connection, &mut stored, now, event)?;
    }
    stored.job.updated_ms = now;
    save(connection, &stored)?;
    Ok(Held { cancel_requested: stored.job.cancel_requested })
}

pub(super) fn finish(
    connection: &Connection,
    now: UnixMs,
    backoff: Backoff,
    ticket: &Ticket,
    ending: Ending,
) -> Result<Job> {
    let mut stored = held(connection, now, ticket)?;
    let stop = stored.job.cancel_requested;
    match ending {
        Ending::Succeeded { result } => {
            stored.job.result = Some(result);
            stored.job.problem = None;
            stored.job.progress.percent = 100.0;
            stored.job.progress.eta_s = None;
            end(&mut stored, now, JobState::Succeeded);
        }
        Ending::Failed(problem) => {
            stored.job.problem = Some(problem);
            end(&mut stored, now, JobState::Failed);
        }
        Ending::Cancelled => end(&mut stored, now, JobState::Cancelled),
        // Nobody wants it done any more.
        Ending::Retry(_) | Ending::Released if stop => end(&mut stored, now, JobState::Cancelled),
        Ending::Retry(problem) => {
            stored.job.problem = Some(problem);
            if stored.job.attempts >= stored.job.max_attempts {
                end(&mut stored, now, JobState::Dead);
            } else {
                let wait_ms = backoff.wait_ms(stored.job.attempts);
                requeue(&mut stored, now.saturating_add(wait_ms));
            }
        }
        Ending::Released => {
            stored.job.attempts = stored.job.attempts.saturating_sub(1);
            requeue(&mut stored, now);
        }
    }
    let message = match (&stored.job.state, &stored.job.problem) {
        (JobState::Succeeded | JobState::Cancelled, _) | (_, None) => String::new(),
        (_, Some(problem)) => problem.message.clone(),
    };
    record_state(connection, &mut stored, now, &message)?;
    save(connection, &stored)?;
    Ok(stored.job)
}

pub(super) fn cancel(connection: &Connection, now: UnixMs, owner: &Owner, id: &JobId) -> Result<Option<Job>> {
    let Some(mut stored) = find_owned(connection, owner, id)? else { return Ok(None) };
    match stored.job.state {
        JobState::Queued => {
            stored.job.cancel_requested = true;
            end(&mut stored, now, JobState::Cancelled);
            record_state(connection, &mut stored, now, "")?;
            save(connection, &stored)?;
        }
        JobState::Running if !stored.job.cancel_requested => {
            stored.job.cancel_requested = true;
            record_state(connection, &mut stored, now, "")?;
            connection
                .prepare_cached(
                    "UPDATE jobs SET cancel_requested = 1, updated_ms = ?1, last_event = ?2 WHERE number = ?3",
                )
                .and_then(|mut statement| {
                    statement.execute((signed(now), signed(stored.last_event), stored.number))
                })
                .map_err(unavailable)?;
        }
        _ => {}
    }
    Ok(Some(stored.job))
}

pub(super) fn retry(
    connection: &Connection,
    now: UnixMs,
    owner: &Owner,
    id: &JobId,
    spec: serde_json::Value,
) -> Result<Option<Job>> {
    let Some(mut stored) = find_owned(connection, owner, id)? else { return Ok(None) };
    let job = &mut stored.job;
    if !job.state.is_final() {
        return Err(QueueError::WrongState { state: job.state });
    }
    let spec_json = to_json(&spec)?;
    job.spec = spec;
    job.attempts = 0;
    job.cancel_requested = false;
    job.started_ms = None;
    job.finished_ms = None;
    job.progress = Progress::default();
    job.result = None;
    job.problem = None;
    job.artifacts.clear();
    requeue(&mut stored, now);
    record_state(connection, &mut stored, now, "")?;
    save(connection, &stored)?;
    let place = next(connection, "place")?;
    connection
        .prepare_cached("UPDATE jobs SET spec = ?1, place = ?2 WHERE number = ?3")
        .and_then(|mut statement| statement.execute((spec_json, place, stored.number)))
        .map_err(unavailable)?;
    Ok(Some(stored.job))
}

pub(super) fn delete(connection: &Connection, owner: &Owner, id: &JobId) -> Result<Option<Job>> {
    let Some(stored) = find_owned(connection, owner, id)? else { return Ok(None) };
    if !stored.job.state.is_final() {
        return Err(QueueError::WrongState { state: stored.job.state });
    }
    // Its events and idempotency key go with it (ON DELETE CASCADE).
    connection
        .prepare_cached("DELETE FROM jobs WHERE number = ?1")
        .and_then(|mut statement| statement.execute([stored.number]))
        .map_err(unavailable)?;
    Ok(Some(stored.job))
}

/// The job of a ticket that still holds.
fn held(connection: &Connection, now: UnixMs, ticket: &Ticket) -> Result<Stored> {
    find(connection, &ticket.id)?
        .filter(|stored| {
            stored.job.state == JobState::Running
                && u64::try_from(stored.token) == Ok(ticket.token)
                && stored.lease_until_ms.is_some_and(|until| now <= until)
        })
        .ok_or_else(|| QueueError::ClaimLost { id: ticket.id.clone() })
}

fn at(connection: &Connection, number: i64) -> Result<Option<Stored>> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM jobs WHERE number = ?1"))
        .and_then(|mut statement| statement.query_row([number], |row| Ok(stored(row))).optional())
        .map_err(unavailable)?
        .transpose()
}

fn requeue(stored: &mut Stored, run_after_ms: UnixMs) {
    stored.worker = None;
    stored.lease_until_ms = None;
    stored.job.state = JobState::Queued;
    stored.job.run_after_ms = run_after_ms;
}

fn end(stored: &mut Stored, now: UnixMs, state: JobState) {
    stored.worker = None;
    stored.lease_until_ms = None;
    stored.job.state = state;
    stored.job.finished_ms = Some(now);
}

/// The event that every change of state adds.
fn record_state(connection: &Connection, stored: &mut Stored, now: UnixMs, message: &str) -> Result<()> {
    let state = stored.job.state.name();
    let stopping = stored.job.state == JobState::Running && stored.job.cancel_requested;
    let event = NewEvent {
        kind: "state".into(),
        stage: stored.job.progress.stage.clone(),
        percent: stored.job.progress.percent,
        message: message.to_owned(),
        data: if stopping {
            json!({"state": state, "cancel_requested": true})
        } else {
            json!({"state": state})
        },
    };
    stored.job.updated_ms = now;
    add_event(connection, stored, now, &event)
}

fn count(connection: &Connection, sql: &str, of: &str) -> Result<u64> {
    let count: i64 = connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.query_row([of], |row| row.get(0)))
        .map_err(unavailable)?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// The next number of a counter, from 1.
fn next(connection: &Connection, counter: &str) -> Result<i64> {
    connection
        .prepare_cached(
            "INSERT INTO counters (name, value) VALUES (?1, 1)
             ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value",
        )
        .and_then(|mut statement| statement.query_row([counter], |row| row.get(0)))
        .map_err(unavailable)
}
