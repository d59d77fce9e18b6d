//! Questions to running jobs, and their answers. All functions but the first two run inside the caller's transaction.

use rusqlite::Connection;

use super::Sql;
use crate::job::{JobId, UnixMs};
use crate::queue::backoff::whole_ms;
use crate::queue::{QUESTION_KEPT, QUESTIONS_AT_ONCE, Question, QueueError, Result};

/// Whether a question is pending. Called often, hence read-only.
pub(super) fn is_asked(connection: &Connection, now: UnixMs, id: &JobId) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM questions WHERE job = ?1 AND at_ms > ?2)";
    Ok(connection.value(sql, (id, oldest(now)))?)
}

/// Whether a question was answered.
pub(super) fn is_answered(connection: &Connection, question: &JobId) -> Result<bool> {
    Ok(connection.value("SELECT EXISTS (SELECT 1 FROM answers WHERE id = ?1)", [question])?)
}

pub(super) fn ask(connection: &Connection, now: UnixMs, id: &JobId, question: &Question) -> Result<()> {
    forget(connection, now)?;
    let waiting: u64 = connection.value("SELECT count(*) FROM questions WHERE job = ?1", [id])?;
    if waiting >= QUESTIONS_AT_ONCE {
        return Err(QueueError::TooManyQuestions { waiting });
    }
    connection.run(
        "INSERT INTO questions (id, job, at_ms, text) VALUES (?1, ?2, ?3, ?4)",
        (&question.id, id, now, &question.text),
    )?;
    Ok(())
}

pub(super) fn next(connection: &Connection, now: UnixMs, id: &JobId) -> Result<Option<Question>> {
    forget(connection, now)?;
    Ok(connection.first(
        "DELETE FROM questions WHERE number = (SELECT min(number) FROM questions WHERE job = ?1) RETURNING id, text",
        [id],
        |row| Ok(Question { id: row.get(0)?, text: row.get(1)? }),
    )?)
}

pub(super) fn answer(connection: &Connection, now: UnixMs, question: &JobId, answer: &str) -> Result<()> {
    forget(connection, now)?;
    let sql = "INSERT OR REPLACE INTO answers (id, at_ms, text) VALUES (?1, ?2, ?3)";
    connection.run(sql, (question, now, answer))?;
    Ok(())
}

pub(super) fn take_answer(connection: &Connection, question: &JobId) -> Result<Option<String>> {
    Ok(connection.first("DELETE FROM answers WHERE id = ?1 RETURNING text", [question], |row| row.get(0))?)
}

/// Questions and answers from before this time have expired.
fn oldest(now: UnixMs) -> UnixMs {
    now.saturating_sub(whole_ms(QUESTION_KEPT))
}

fn forget(connection: &Connection, now: UnixMs) -> Result<()> {
    connection.run("DELETE FROM questions WHERE at_ms <= ?1", [oldest(now)])?;
    connection.run("DELETE FROM answers WHERE at_ms <= ?1", [oldest(now)])?;
    Ok(())
}
