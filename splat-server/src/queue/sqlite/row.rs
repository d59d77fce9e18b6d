//! Converts jobs and events from and to rows.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, Row, named_params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Sql;
use crate::job::{Job, JobEvent, JobId, JobKind, JobState, Lane, NewEvent, Owner, UnixMs};
use crate::queue::{EVENTS_KEPT, QueueError, Result, within_100};

/// A job and the queue's internal state of it.
pub(super) struct Stored {
    /// Row number.
    pub(super) number: i64,
    /// Fencing token of the latest claim.
    pub(super) token: u64,
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

/// SQLite's integers are signed. For numbers of clients and operators, which may be larger.
pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

impl From<serde_json::Error> for QueueError {
    fn from(error: serde_json::Error) -> Self {
        Self::Malformed { why: error.to_string() }
    }
}

/// Serializes to JSON.
pub(crate) fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<String> {
    Ok(serde_json::to_string(value)?)
}

/// Error for a stored word that this program does not know.
pub(crate) fn unknown(what: &str, word: &str) -> QueueError {
    QueueError::Malformed { why: format!("`{word}` is no {what}") }
}

/// Stores the values of enums by their names.
macro_rules! stored_by_name {
    ($($type:ty, $what:literal;)+) => {$(
        impl rusqlite::types::ToSql for $type {
            fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
                Ok(self.name().into())
            }
        }

        impl rusqlite::types::FromSql for $type {
            fn column_result(
                value: rusqlite::types::ValueRef<'_>,
            ) -> rusqlite::types::FromSqlResult<Self> {
                let name = value.as_str()?;
                let unknown = || rusqlite::types::FromSqlError::other($crate::queue::unknown($what, name));
                Self::from_name(name).ok_or_else(unknown)
            }
        }
    )+};
}
pub(crate) use stored_by_name;

stored_by_name! { JobKind, "kind of job"; JobState, "state"; Lane, "lane"; }

impl ToSql for JobId {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}

impl FromSql for JobId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let id = value.as_str()?;
        id.parse().map_err(|_| FromSqlError::other(unknown("job id", id)))
    }
}

impl ToSql for Owner {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.as_str().into())
    }
}

impl FromSql for Owner {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        String::column_result(value).map(Self)
    }
}

/// A value that is stored as JSON.
pub(super) struct Json<T>(pub(super) T);

impl<T: Serialize> ToSql for Json<T> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let json = serde_json::to_string(&self.0);
        Ok(json.map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?.into())
    }
}

impl<T: DeserializeOwned> FromSql for Json<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        serde_json::from_str(value.as_str()?).map(Self).map_err(FromSqlError::other)
    }
}

/// Reads a row of the table `jobs`.
pub(super) fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    fn json<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
        Ok(row.get::<_, Json<T>>(column)?.0)
    }
    Ok(Stored {
        number: row.get("number")?,
        token: row.get("token")?,
        lease_until_ms: row.get("lease_until_ms")?,
        worker: None,
        last_event: row.get("last_event")?,
        reached: row.get("reached")?,
        claimed_ms: row.get("claimed_ms")?,
        job: Job {
            id: row.get("id")?,
            owner: row.get("owner")?,
            kind: row.get("kind")?,
            lane: row.get("lane")?,
            priority: row.get("priority")?,
            state: row.get("state")?,
            attempts: row.get("attempts")?,
            max_attempts: row.get("max_attempts")?,
            cancel_requested: row.get("cancel_requested")?,
            created_ms: row.get("created_ms")?,
            updated_ms: row.get("updated_ms")?,
            started_ms: row.get("started_ms")?,
            finished_ms: row.get("finished_ms")?,
            run_after_ms: row.get("run_after_ms")?,
            spec: json(row, "spec")?,
            progress: json(row, "progress")?,
            result: row.get::<_, Option<Json<_>>>("result")?.map(|json| json.0),
            artifacts: json(row, "artifacts")?,
            problem: row.get::<_, Option<Json<_>>>("problem")?.map(|json| json.0),
            bytes: row.get("bytes")?,
            notes: json(row, "notes")?,
        },
    })
}

/// The job with this id.
pub(super) fn find(connection: &Connection, id: &JobId) -> Result<Option<Stored>> {
    Ok(connection.first("SELECT * FROM jobs WHERE id = ?1", [id], stored)?)
}

/// The job with this id, if it belongs to the owner.
pub(super) fn find_owned(connection: &Connection, owner: &Owner, id: &JobId) -> Result<Option<Stored>> {
    Ok(find(connection, id)?.filter(|stored| stored.job.owner == *owner))
}

/// Updates all columns that may have changed, except `spec`, notes and place.
pub(super) fn save(connection: &Connection, stored: &Stored) -> Result<()> {
    let job = &stored.job;
    connection.run(
        "UPDATE jobs SET state = :state, attempts = :attempts, cancel_requested = :cancel_requested,
         updated_ms = :updated_ms, started_ms = :started_ms, finished_ms = :finished_ms,
         run_after_ms = :run_after_ms, progress = :progress, result = :result, artifacts = :artifacts,
         problem = :problem, token = :token, worker = :worker, lease_until_ms = :lease_until_ms,
         last_event = :last_event, reached = :reached, bytes = :bytes, claimed_ms = :claimed_ms
         WHERE number = :number",
        named_params! {
            ":state": job.state,
            ":attempts": job.attempts,
            ":cancel_requested": job.cancel_requested,
            ":updated_ms": job.updated_ms,
            ":started_ms": job.started_ms,
            ":finished_ms": job.finished_ms,
            ":run_after_ms": signed(job.run_after_ms),
            ":progress": Json(&job.progress),
            ":result": job.result.as_ref().map(Json),
            ":artifacts": Json(&job.artifacts),
            ":problem": job.problem.as_ref().map(Json),
            ":token": stored.token,
            ":worker": stored.worker,
            ":lease_until_ms": stored.lease_until_ms.map(signed),
            ":last_event": stored.last_event,
            ":reached": stored.reached,
            ":bytes": signed(job.bytes),
            ":claimed_ms": stored.claimed_ms,
            ":number": stored.number,
        },
    )?;
    Ok(())
}

/// Numbers and stores an event. The caller saves `stored` afterwards.
pub(super) fn add_event(
    connection: &Connection,
    stored: &mut Stored,
    now: UnixMs,
    event: &NewEvent,
) -> Result<()> {
    stored.last_event += 1;
    connection.run(
        "INSERT INTO events (job, sequence, at_ms, kind, stage, percent, message, data)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        (
            stored.number,
            stored.last_event,
            now,
            &event.kind,
            &event.stage,
            within_100(event.percent),
            &event.message,
            Json(&event.data),
        ),
    )?;
    if let Some(oldest) = stored.last_event.checked_sub(EVENTS_KEPT) {
        let values = (stored.number, oldest);
        connection.run("DELETE FROM events WHERE job = ?1 AND sequence <= ?2", values)?;
    }
    Ok(())
}

/// Reads a row of the table `events`.
pub(super) fn event(row: &Row<'_>) -> rusqlite::Result<JobEvent> {
    Ok(JobEvent {
        sequence: row.get("sequence")?,
        at_ms: row.get("at_ms")?,
        kind: row.get("kind")?,
        stage: row.get("stage")?,
        percent: row.get("percent")?,
        message: row.get("message")?,
        data: row.get::<_, Json<_>>("data")?.0,
    })
}
