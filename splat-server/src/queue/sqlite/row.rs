//! Converts jobs and events from and to rows.

use rusqlite::{Connection, OptionalExtension, Row, named_params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::unavailable;
use crate::job::{Job, JobEvent, JobId, JobKind, JobState, Lane, NewEvent, Owner, UnixMs};
use crate::queue::{EVENTS_KEPT, QueueError, Result, within_100};

/// The columns that [`stored`] reads, in its order.
pub(super) const COLUMNS: &str = "number, id, owner, kind, lane, priority, state, attempts, max_attempts, \
     cancel_requested, created_ms, updated_ms, started_ms, finished_ms, run_after_ms, spec, progress, result, \
     artifacts, problem, token, lease_until_ms, last_event, reached, notes, bytes, claimed_ms";

/// A job and the queue's internal state of it.
pub(super) struct Stored {
    /// Row number.
    pub(super) number: i64,
    /// Fencing token of the latest claim.
    pub(super) token: i64,
    /// End of the lease, while the job is claimed.
    pub(super) lease_until_ms: Option<UnixMs>,
    /// Name of the worker that holds it.
    pub(super) worker: Option<String>,
    /// Last sequence number assigned.
    pub(super) last_event: u64,
    /// Progress in per cent when a lease was last lost.
    pub(super) reached: f64,
    /// When the latest claim began, while the job is claimed.
    pub(super) claimed_ms: Option<UnixMs>,
    /// The public part.
    pub(super) job: Job,
}

/// SQLite's integers are signed; times and counts are far below the limit.
pub(crate) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(crate) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// Serializes to JSON.
pub(crate) fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| QueueError::Malformed { why: error.to_string() })
}

/// Parses JSON.
pub(crate) fn of_json<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| QueueError::Malformed { why: error.to_string() })
}

/// Error for a stored word that this program does not know.
pub(crate) fn unknown(what: &str, word: &str) -> QueueError {
    QueueError::Malformed { why: format!("`{word}` is no {what}") }
}

/// Reads one row of [`COLUMNS`].
pub(super) fn stored(row: &Row<'_>) -> Result<Stored> {
    fn get<T: rusqlite::types::FromSql>(row: &Row<'_>, index: usize) -> Result<T> {
        row.get(index).map_err(unavailable)
    }
    let id: String = get(row, 1)?;
    let kind: String = get(row, 3)?;
    let lane: String = get(row, 4)?;
    let state: String = get(row, 6)?;
    let time = |index| get::<i64>(row, index).map(unsigned);
    let maybe_time = |index| get::<Option<i64>>(row, index).map(|time| time.map(unsigned));
    let text = |index| get::<String>(row, index);
    let maybe_text = |index| get::<Option<String>>(row, index);
    Ok(Stored {
        number: get(row, 0)?,
        token: get(row, 20)?,
        lease_until_ms: maybe_time(21)?,
        worker: None,
        last_event: time(22)?,
        reached: get(row, 23)?,
        claimed_ms: maybe_time(26)?,
        job: Job {
            id: id.parse().map_err(|_| unknown("job id", &id))?,
            owner: Owner(text(2)?),
            kind: JobKind::from_name(&kind).ok_or_else(|| unknown("kind of job", &kind))?,
            lane: Lane::from_name(&lane).ok_or_else(|| unknown("lane", &lane))?,
            priority: get(row, 5)?,
            state: JobState::from_name(&state).ok_or_else(|| unknown("state", &state))?,
            attempts: get(row, 7)?,
            max_attempts: get(row, 8)?,
            cancel_requested: get(row, 9)?,
            created_ms: time(10)?,
            updated_ms: time(11)?,
            started_ms: maybe_time(12)?,
            finished_ms: maybe_time(13)?,
            run_after_ms: time(14)?,
            spec: of_json(&text(15)?)?,
            progress: of_json(&text(16)?)?,
            result: maybe_text(17)?.map(|json| of_json(&json)).transpose()?,
            artifacts: of_json(&text(18)?)?,
            problem: maybe_text(19)?.map(|json| of_json(&json)).transpose()?,
            bytes: time(25)?,
            notes: of_json(&text(24)?)?,
        },
    })
}

/// The job with this id.
pub(super) fn find(connection: &Connection, id: &JobId) -> Result<Option<Stored>> {
    let mut statement = connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM jobs WHERE id = ?1"))
        .map_err(unavailable)?;
    statement.query_row([id.as_str()], |row| Ok(stored(row))).optional().map_err(unavailable)?.transpose()
}

/// The job with this id, if it belongs to the owner.
pub(super) fn find_owned(connection: &Connection, owner: &Owner, id: &JobId) -> Result<Option<Stored>> {
    Ok(find(connection, id)?.filter(|stored| stored.job.owner == *owner))
}

/// Updates all columns that may have changed, except `spec`, notes and place.
pub(super) fn save(connection: &Connection, stored: &Stored) -> Result<()> {
    let job = &stored.job;
    let result = job.result.as_ref().map(to_json).transpose()?;
    let problem = job.problem.as_ref().map(to_json).transpose()?;
    connection
        .prepare_cached(
            "UPDATE jobs SET state = :state, attempts = :attempts, cancel_requested = :cancel_requested,
             updated_ms = :updated_ms, started_ms = :started_ms, finished_ms = :finished_ms,
             run_after_ms = :run_after_ms, progress = :progress, result = :result, artifacts = :artifacts,
             problem = :problem, token = :token, worker = :worker, lease_until_ms = :lease_until_ms,
             last_event = :last_event, reached = :reached, bytes = :bytes, claimed_ms = :claimed_ms
             WHERE number = :number",
        )
        .and_then(|mut statement| {
            statement.execute(named_params! {
                ":state": job.state.name(),
                ":attempts": job.attempts,
                ":cancel_requested": job.cancel_requested,
                ":updated_ms": signed(job.updated_ms),
                ":started_ms": job.started_ms.map(signed),
                ":finished_ms": job.finished_ms.map(signed),
                ":run_after_ms": signed(job.run_after_ms),
                ":progress": to_json(&job.progress).map_err(not_json)?,
                ":result": result,
                ":artifacts": to_json(&job.artifacts).map_err(not_json)?,
                ":problem": problem,
                ":token": stored.token,
                ":worker": stored.worker,
                ":lease_until_ms": stored.lease_until_ms.map(signed),
                ":last_event": signed(stored.last_event),
                ":reached": stored.reached,
                ":bytes": signed(job.bytes),
                ":claimed_ms": stored.claimed_ms.map(signed),
                ":number": stored.number,
            })
        })
        .map_err(unavailable)?;
    Ok(())
}

pub(super) fn not_json(error: QueueError) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(Box::new(error))
}

/// Numbers and stores an event. The caller saves `stored` afterwards.
pub(super) fn add_event(
    connection: &Connection,
    stored: &mut Stored,
    now: UnixMs,
    event: &NewEvent,
) -> Result<()> {
    stored.last_event += 1;
    connection
        .prepare_cached(
            "INSERT INTO events (job, sequence, at_ms, kind, stage, percent, message, data)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )
        .and_then(|mut statement| {
            statement.execute((
                stored.number,
                signed(stored.last_event),
                signed(now),
                &event.kind,
                &event.stage,
                within_100(event.percent),
                &event.message,
                to_json(&event.data).map_err(not_json)?,
            ))
        })
        .map_err(unavailable)?;
    if let Some(oldest) = stored.last_event.checked_sub(EVENTS_KEPT) {
        connection
            .prepare_cached("DELETE FROM events WHERE job = ?1 AND sequence <= ?2")
            .and_then(|mut statement| statement.execute((stored.number, signed(oldest))))
            .map_err(unavailable)?;
    }
    Ok(())
}

/// Reads `sequence, at_ms, kind, stage, percent, message, data`.
pub(super) fn event(row: &Row<'_>) -> Result<JobEvent> {
    let read = || -> rusqlite::Result<(JobEvent, String)> {
        let event = JobEvent {
            sequence: unsigned(row.get(0)?),
            at_ms: unsigned(row.get(1)?),
            kind: row.get(2)?,
            stage: row.get(3)?,
            percent: row.get(4)?,
            message: row.get(5)?,
            data: serde_json::Value::Null,
        };
        Ok((event, row.get(6)?))
    };
    let (mut event, data) = read().map_err(unavailable)?;
    event.data = of_json(&data)?;
    Ok(event)
}
