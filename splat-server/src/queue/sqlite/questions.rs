//! Questions to running jobs, and their answers. All functions but the first two run inside the caller's transaction.

use rusqlite::{Connection, OptionalExtension};

use super::row::{signed, unsigned};
use super::unavailable;
use crate::job::{JobId, UnixMs};
use crate::queue::backoff::whole_ms;
use crate::queue::{QUESTION_KEPT, QUESTIONS_AT_ONCE, Question, QueueError, Result};

/// Whether a question is pending. Called often, hence read-only.
pub(super) fn is_asked(connection: &Connection, now: UnixMs, id: &JobId) -> Result<bool> {
    connection
        .prepare_cached("SELECT count(*) FROM questions WHERE job = ?1 AND at_ms > ?2")
        .and_then(|mut statement| {
            statement.query_row((id.as_str(), signed(oldest(now))), |row| Ok(row.get::<_, i64>(0)? > 0))
        })
        .map_err(unavailable)
}

/// Whether a question was answered.
pub(super) fn is_answered(connection: &Connection, question: &JobId) -> Result<bool> {
    connection
        .prepare_cached("SELECT count(*) FROM answers WHERE id = ?1")
        .and_then(|mut statement| {
            statement.query_row([question.as_str()], |row| Ok(row.get::<_, i64>(0)? > 0))
        })
        .map_err(unavailable)
}

pub(super) fn ask(connection: &Connection, now: UnixMs, id: &JobId, question: &Question) -> Result<()> {
    forget(connection, now)?;
    let waiting: i64 = connection
        .prepare_cached("SELECT count(*) FROM questions WHERE job = ?1")
        .and_then(|mut statement| statement.query_row([id.as_str()], |row| row.get(0)))
        .map_err(unavailable)?;
    let waiting = unsigned(waiting);
    if waiting >= QUESTIONS_AT_ONCE {
        return Err(QueueError::TooManyQuestions { waiting });
    }
    connection
        .prepare_cached("INSERT INTO questions (id, job, at_ms, text) VALUES (?1, ?2, ?3, ?4)")
        .and_then(|mut statement| {
            statement.execute((question.id.as_str(), id.as_str(), signed(now), &question.text))
        })
        .map(drop)
        .map_err(unavailable)
}

pub(super) fn next(connection: &Connection, now: UnixMs, id: &JobId) -> Result<Option<Question>> {
    forget(connection, now)?;
    let found: Option<(String, String)> = connection
        .prepare_cached(
            "DELETE FROM questions WHERE number = (SELECT min(number) FROM questions WHERE job = ?1) RETURNING id, text",
        )
        .and_then(|mut statement| {
            statement.query_row([id.as_str()], |row| Ok((row.get(0)?, row.get(1)?))).optional()
        })
        .map_err(unavailable)?;
    found
        .map(|(id, text)| {
            let id = id.parse().map_err(|_| super::row::unknown("question", &id))?;
            Ok(Question { id, text })
        })
        .transpose()
}

pub(super) fn answer(connection: &Connection, now: UnixMs, question: &JobId, answer: &str) -> Result<()> {
    forget(connection, now)?;
    connection
        .prepare_cached("INSERT OR REPLACE INTO answers (id, at_ms, text) VALUES (?1, ?2, ?3)")
        .and_then(|mut statement| statement.execute((question.as_str(), signed(now), answer)))
        .map(drop)
        .map_err(unavailable)
}

pub(super) fn take_answer(connection: &Connection, question: &JobId) -> Result<Option<String>> {
    connection
        .prepare_cached("DELETE FROM answers WHERE id = ?1 RETURNING text")
        .and_then(|mut statement| statement.query_row([question.as_str()], |row| row.get(0)).optional())
        .map_err(unavailable)
}

/// Questions and answers from before this time have expired.
fn oldest(now: UnixMs) -> UnixMs {
    now.saturating_sub(whole_ms(QUESTION_KEPT))
}

fn forget(connection: &Connection, now: UnixMs) -> Result<()> {
    for statement in ["DELETE FROM questions WHERE at_ms <= ?1", "DELETE FROM answers WHERE at_ms <= ?1"] {
        connection
            .prepare_cached(statement)
            .and_then(|mut statement| statement.execute([signed(oldest(now))]))
            .map_err(unavailable)?;
    }
    Ok(())
}
