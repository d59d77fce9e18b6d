//! Operations that change jobs. All run inside the caller's transaction.

use rusqlite::{Connection, ToSql, named_params};
use serde_json::json;

use super::row::{Json, Stored, add_event, find, find_owned, save, signed};
use super::{Sql, usage};
use crate::job::{Change, Job, JobId, JobState, Lane, NewEvent, NewJob, Owner, Progress, UnixMs};
use crate::queue::backoff::whole_ms;
use crate::queue::{
    Admission, Backoff, ClaimStatus, DELETED_KEPT, Ending, Mode, QueueError, Report, Result, Submitted,
    Ticket, within_100,
};

pub(super) fn submit(
    connection: &Connection,
    now: UnixMs,
    new: &NewJob,
    admission: Admission,
) -> Result<Submitted> {
    if let Some(earlier) = earlier(connection, new)? {
        return Ok(Submitted { job: earlier, created: false });
    }
    let count = |sql: &str, of: &dyn ToSql| connection.value::<u64>(sql, [of]);
    let waiting = count("SELECT count(*) FROM jobs WHERE state = 'queued' AND lane = ?1", &new.lane)?;
    if waiting >= admission.max_waiting {
        return Err(QueueError::Full { waiting });
    }
    let unfinished =
        count("SELECT count(*) FROM jobs WHERE state IN ('queued', 'running') AND owner = ?1", &new.owner)?;
    if unfinished >= admission.max_unfinished_per_owner {
        return Err(QueueError::OwnerFull { unfinished });
    }
    if new.lane != Lane::Webhook {
        if usage::mode(connection)? == Mode::Draining {
            return Err(QueueError::Draining);
        }
        admission.quota.check(&usage::of(connection, &new.owner, now)?, new.bytes)?;
        usage::submitted(connection, &new.owner, now)?;
    }
    connection.run(
        "INSERT INTO jobs (id, owner, kind, lane, priority, place, state, max_attempts, created_ms, updated_ms,
                           run_after_ms, spec, progress, artifacts, bytes)
         VALUES (:id, :owner, :kind, :lane, :priority, :place, 'queued', :max_attempts, :now, :now,
                 :now, :spec, :progress, '[]', :bytes)",
        named_params! {
            ":id": new.id,
            ":owner": new.owner,
            ":kind": new.kind,
            ":lane": new.lane,
            ":priority": new.priority,
            ":place": next(connection, "place")?,
            ":max_attempts": new.max_attempts.max(1),
            ":now": now,
            ":spec": Json(&new.spec),
            ":progress": Json(Progress::default()),
            ":bytes": signed(new.bytes),
        },
    )?;
    let number = connection.last_insert_rowid();
    if let Some(idempotency) = &new.idempotency {
        connection.run(
            "INSERT INTO idempotency (owner, key, fingerprint, job) VALUES (?1, ?2, ?3, ?4)",
            (&new.owner, &idempotency.key, &idempotency.fingerprint, number),
        )?;
    }
    let mut stored = find(connection, &new.id)?
        .ok_or_else(|| QueueError::Malformed { why: "a job vanished while it was stored".into() })?;
    record_state(connection, &mut stored, now, "")?;
    save(connection, &stored)?;
    Ok(Submitted { job: stored.job, created: true })
}

/// The existing job with this idempotency key or id.
fn earlier(connection: &Connection, new: &NewJob) -> Result<Option<Job>> {
    if let Some(idempotency) = &new.idempotency {
        let found: Option<(String, JobId)> = connection.first(
            "SELECT fingerprint, id FROM idempotency JOIN jobs ON jobs.number = idempotency.job
             WHERE idempotency.owner = ?1 AND key = ?2",
            (&new.owner, &idempotency.key),
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        if let Some((fingerprint, id)) = found {
            if fingerprint != idempotency.fingerprint {
                return Err(QueueError::KeyReused);
            }
            return Ok(find(connection, &id)?.map(|stored| stored.job));
        }
    }
    match find(connection, &new.id)? {
        None => Ok(None),
        Some(stored) if stored.job.owner == new.owner => Ok(Some(stored.job)),
        Some(_) => Err(QueueError::KeyReused),
    }
}

pub(super) fn renew(
    connection: &Connection,
    now: UnixMs,
    ticket: &Ticket,
    lease_ms: u64,
) -> Result<ClaimStatus> {
    let stored = held(connection, ticket)?;
    let until = signed(now.saturating_add(lease_ms));
    connection.run("UPDATE jobs SET lease_until_ms = ?1 WHERE number = ?2", (until, stored.number))?;
    Ok(ClaimStatus { cancel_requested: stored.job.cancel_requested })
}

pub(super) fn report(
    connection: &Connection,
    now: UnixMs,
    ticket: &Ticket,
    report: Report,
) -> Result<ClaimStatus> {
    let mut stored = held(connection, ticket)?;
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
    if let Some(bytes) = report.bytes {
        stored.job.bytes = bytes;
    }
    stored.job.updated_ms = now;
    save(connection, &stored)?;
    Ok(ClaimStatus { cancel_requested: stored.job.cancel_requested })
}

pub(super) fn finish(
    connection: &Connection,
    now: UnixMs,
    backoff: Backoff,
    ticket: &Ticket,
    ending: Ending,
) -> Result<Job> {
    let mut stored = held(connection, ticket)?;
    usage::worked(connection, &mut stored, now)?;
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
        // Cancellation was requested.
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
            connection.run(
                "UPDATE jobs SET cancel_requested = 1, updated_ms = ?1, last_event = ?2 WHERE number = ?3",
                (now, stored.last_event, stored.number),
            )?;
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
    job.spec = spec;
    job.attempts = 0;
    job.cancel_requested = false;
    job.started_ms = None;
    job.finished_ms = None;
    job.progress = Progress::default();
    job.result = None;
    job.problem = None;
    job.artifacts.clear();
    stored.reached = 0.0;
    requeue(&mut stored, now);
    record_state(connection, &mut stored, now, "")?;
    save(connection, &stored)?;
    let values = (Json(&stored.job.spec), next(connection, "place")?, stored.number);
    connection.run("UPDATE jobs SET spec = ?1, place = ?2 WHERE number = ?3", values)?;
    Ok(Some(stored.job))
}

pub(super) fn change(
    connection: &Connection,
    owner: &Owner,
    id: &JobId,
    change: Change,
) -> Result<Option<Job>> {
    let Some(mut stored) = find_owned(connection, owner, id)? else { return Ok(None) };
    let notes = &mut stored.job.notes;
    change.apply(notes);
    let secret = notes.share.as_ref().map(|share| &share.secret);
    let values = (Json(&*notes), notes.pinned, secret, stored.number);
    connection.run("UPDATE jobs SET notes = ?1, pinned = ?2, secret = ?3 WHERE number = ?4", values)?;
    Ok(Some(stored.job))
}

/// An idempotency key that both owners used stays with the new owner's job.
pub(super) fn adopt(connection: &Connection, from: &Owner, to: &Owner) -> Result<u64> {
    connection.run("UPDATE OR IGNORE idempotency SET owner = ?1 WHERE owner = ?2", (to, from))?;
    connection.run("DELETE FROM idempotency WHERE owner = ?2 AND ?1 <> ?2", (to, from))?;
    Ok(connection.run("UPDATE jobs SET owner = ?1 WHERE owner = ?2", (to, from))? as u64)
}

pub(super) fn delete(connection: &Connection, now: UnixMs, owner: &Owner, id: &JobId) -> Result<Option<Job>> {
    let Some(stored) = find_owned(connection, owner, id)? else { return Ok(None) };
    if !stored.job.state.is_final() {
        return Err(QueueError::WrongState { state: stored.job.state });
    }
    // Its events and idempotency key are deleted by ON DELETE CASCADE.
    connection.run("DELETE FROM jobs WHERE number = ?1", [stored.number])?;
    connection.run("DELETE FROM deleted WHERE at_ms < ?1", [now.saturating_sub(whole_ms(DELETED_KEPT))])?;
    connection.run("INSERT OR REPLACE INTO deleted (id, at_ms) VALUES (?1, ?2)", (id, now))?;
    Ok(Some(stored.job))
}

/// The job of a ticket that is still valid: until the job is requeued, even after its lease expired.
fn held(connection: &Connection, ticket: &Ticket) -> Result<Stored> {
    find(connection, &ticket.id)?
        .filter(|stored| stored.job.state == JobState::Running && stored.token == ticket.token)
        .ok_or_else(|| QueueError::ClaimLost { id: ticket.id.clone() })
}

pub(super) fn requeue(stored: &mut Stored, run_after_ms: UnixMs) {
    stored.worker = None;
    stored.lease_until_ms = None;
    stored.job.state = JobState::Queued;
    stored.job.run_after_ms = run_after_ms;
}

pub(super) fn end(stored: &mut Stored, now: UnixMs, state: JobState) {
    stored.worker = None;
    stored.lease_until_ms = None;
    stored.job.state = state;
    stored.job.finished_ms = Some(now);
}

/// Adds the event of a state change.
pub(super) fn record_state(
    connection: &Connection,
    stored: &mut Stored,
    now: UnixMs,
    message: &str,
) -> Result<()> {
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

/// The next number of a counter, from 1.
pub(super) fn next(connection: &Connection, counter: &str) -> Result<i64> {
    Ok(connection.value(
        "INSERT INTO counters (name, value) VALUES (?1, 1)
         ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value",
        [counter],
    )?)
}
