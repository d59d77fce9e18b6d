//! The queue in one SQLite file: needs no other service, and several processes may share the file.
//!
//! | part | what |
//! | --- | --- |
//! | [`database`] | the file: one writer thread, several readers |
//! | [`schema`] | tables and migrations |
//! | [`row`] | converts jobs and events from and to rows |
//! | [`backup`] | backup and restore |
//! | [`write`], [`claim`] | operations that change jobs |
//! | [`read`] | read-only operations |
//! | [`questions`] | questions to running jobs, and their answers |
//! | [`usage`] | usage of owners, and the mode of operation |

mod backup;
mod claim;
mod database;
#[cfg(test)]
mod killed;
mod questions;
mod read;
mod row;
mod schema;
#[cfg(test)]
mod tests;
mod usage;
mod write;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::backoff::{now_ms, whole_ms};
use super::{
    Admission, Backoff, Claim, ClaimStatus, Depth, Ending, Fate, ListQuery, Mode, Question, Queue,
    RECLAIM_GRACE, Report, Result, Submitted, Ticket, Usage,
};
use crate::job::{Change, Job, JobEvent, JobId, Lane, NewJob, Owner, UnixMs};

pub use backup::{BackupError, Copied, backup, restore};
pub(crate) use database::{Database, Sql};
pub(crate) use row::{stored_by_name, to_json, unknown};

/// A queue in one SQLite file.
#[derive(Clone, Debug)]
pub struct SqliteQueue {
    database: Arc<Database>,
    backoff: Backoff,
    grace: Duration,
}

impl SqliteQueue {
    /// Opens or creates the file, with SQLite's `-wal` and `-shm` files beside it. Its folder must exist, on a local disk. Blocks
    /// for some milliseconds.
    ///
    /// # Errors
    /// [`QueueError::Unavailable`](super::QueueError::Unavailable) if the file cannot be opened or written,
    /// [`QueueError::Malformed`](super::QueueError::Malformed) if it is not a queue, or was written by a newer program.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self {
            database: Arc::new(Database::open(path)?),
            backoff: Backoff::default(),
            grace: RECLAIM_GRACE,
        })
    }

    /// Sets the delays between attempts.
    #[must_use]
    pub fn with_backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets the time between noticing an expired lease and requeuing its job.
    #[cfg(test)]
    pub(crate) fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    fn reclaim_options(&self) -> claim::Reclaim {
        claim::Reclaim { backoff: self.backoff, grace_ms: whole_ms(self.grace) }
    }

    /// The open database, for the API keys, which are stored in it too.
    pub(crate) fn database(&self) -> &Arc<Database> {
        &self.database
    }
}

#[async_trait]
impl Queue for SqliteQueue {
    async fn submit(&self, job: NewJob, admission: Admission) -> Result<Submitted> {
        self.database.write(move |connection| write::submit(connection, now_ms(), &job, admission)).await
    }

    async fn claim(&self, worker: &str, lanes: &[Lane], lease: Duration) -> Result<Option<Claim>> {
        let (worker, lanes, reclaim_options) = (worker.to_owned(), lanes.to_vec(), self.reclaim_options());
        self.database
            .write(move |connection| {
                claim::claim(connection, now_ms(), reclaim_options, &worker, &lanes, whole_ms(lease))
            })
            .await
    }

    async fn renew(&self, ticket: &Ticket, lease: Duration) -> Result<ClaimStatus> {
        let ticket = ticket.clone();
        self.database
            .write(move |connection| write::renew(connection, now_ms(), &ticket, whole_ms(lease)))
            .await
    }

    async fn report(&self, ticket: &Ticket, report: Report) -> Result<ClaimStatus> {
        let ticket = ticket.clone();
        self.database.write(move |connection| write::report(connection, now_ms(), &ticket, report)).await
    }

    async fn finish(&self, ticket: &Ticket, ending: Ending) -> Result<Job> {
        let (ticket, backoff) = (ticket.clone(), self.backoff);
        self.database
            .write(move |connection| write::finish(connection, now_ms(), backoff, &ticket, ending))
            .await
    }

    async fn cancel(&self, owner: &Owner, id: &JobId) -> Result<Option<Job>> {
        let (owner, id) = (owner.clone(), id.clone());
        self.database.write(move |connection| write::cancel(connection, now_ms(), &owner, &id)).await
    }

    async fn retry(&self, owner: &Owner, id: &JobId, spec: serde_json::Value) -> Result<Option<Job>> {
        let (owner, id) = (owner.clone(), id.clone());
        self.database.write(move |connection| write::retry(connection, now_ms(), &owner, &id, spec)).await
    }

    async fn get(&self, owner: &Owner, id: &JobId) -> Result<Option<Job>> {
        let (owner, id) = (owner.clone(), id.clone());
        self.database.read(move |connection| read::get(connection, &owner, &id)).await
    }

    async fn find(&self, id: &JobId) -> Result<Option<Job>> {
        let id = id.clone();
        self.database.read(move |connection| read::find(connection, &id)).await
    }

    async fn list(&self, owners: &[Owner], query: &ListQuery) -> Result<Vec<Job>> {
        let (owners, query) = (owners.to_vec(), query.clone());
        self.database.read(move |connection| read::list(connection, &owners, &query)).await
    }

    async fn change(&self, owner: &Owner, id: &JobId, change: Change) -> Result<Option<Job>> {
        let (owner, id) = (owner.clone(), id.clone());
        self.database.write(move |connection| write::change(connection, &owner, &id, change)).await
    }

    async fn shared(&self, secret: &JobId) -> Result<Option<Job>> {
        let secret = secret.clone();
        self.database.read(move |connection| read::shared(connection, &secret)).await
    }

    async fn adopt(&self, from: &Owner, to: &Owner) -> Result<u64> {
        let (from, to) = (from.clone(), to.clone());
        self.database.write(move |connection| write::adopt(connection, &from, &to)).await
    }

    async fn usage(&self, owner: &Owner) -> Result<Usage> {
        let owner = owner.clone();
        self.database.read(move |connection| usage::of(connection, &owner, now_ms())).await
    }

    async fn mode(&self) -> Result<Mode> {
        self.database.read(usage::mode).await
    }

    async fn set_mode(&self, mode: Mode) -> Result<()> {
        self.database.write(move |connection| usage::set_mode(connection, mode)).await
    }

    async fn events(&self, id: &JobId, after: u64, limit: u32) -> Result<Vec<JobEvent>> {
        let id = id.clone();
        self.database.read(move |connection| read::events(connection, &id, after, limit)).await
    }

    async fn ask(&self, id: &JobId, question: Question) -> Result<()> {
        let id = id.clone();
        self.database.write(move |connection| questions::ask(connection, now_ms(), &id, &question)).await
    }

    async fn next_question(&self, id: &JobId) -> Result<Option<Question>> {
        let known = id.clone();
        if !self.database.read(move |connection| questions::is_asked(connection, now_ms(), &known)).await? {
            return Ok(None);
        }
        let id = id.clone();
        self.database.write(move |connection| questions::next(connection, now_ms(), &id)).await
    }

    async fn answer(&self, question: &JobId, answer: String) -> Result<()> {
        let question = question.clone();
        self.database
            .write(move |connection| questions::answer(connection, now_ms(), &question, &answer))
            .await
    }

    async fn take_answer(&self, question: &JobId) -> Result<Option<String>> {
        let known = question.clone();
        if !self.database.read(move |connection| questions::is_answered(connection, &known)).await? {
            return Ok(None);
        }
        let question = question.clone();
        self.database.write(move |connection| questions::take_answer(connection, &question)).await
    }

    async fn delete(&self, owner: &Owner, id: &JobId) -> Result<Option<Job>> {
        let (owner, id) = (owner.clone(), id.clone());
        self.database.write(move |connection| write::delete(connection, now_ms(), &owner, &id)).await
    }

    async fn ended(&self, when: Range<UnixMs>) -> Result<Vec<(Owner, JobId)>> {
        let reclaim_options = self.reclaim_options();
        self.database.write(move |connection| claim::reclaim(connection, now_ms(), reclaim_options)).await?;
        self.database.read(move |connection| read::ended(connection, when)).await
    }

    async fn expired(&self, before: UnixMs) -> Result<Vec<(Owner, JobId)>> {
        let reclaim_options = self.reclaim_options();
        self.database.write(move |connection| claim::reclaim(connection, now_ms(), reclaim_options)).await?;
        self.database.read(move |connection| read::expired(connection, before)).await
    }

    async fn depth(&self) -> Result<Vec<Depth>> {
        self.database.read(read::depth).await
    }

    async fn ahead_of(&self, id: &JobId) -> Result<u64> {
        let id = id.clone();
        self.database.read(move |connection| read::ahead_of(connection, &id)).await
    }

    async fn identity(&self) -> Result<String> {
        self.database.read(read::identity).await
    }

    async fn fate(&self, id: &JobId) -> Result<Fate> {
        let id = id.clone();
        self.database.read(move |connection| read::fate(connection, &id)).await
    }

    async fn ping(&self) -> Result<()> {
        self.database.read(|connection| read::identity(connection).map(drop)).await
    }
}
