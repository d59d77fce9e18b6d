//! The job queue: which worker works on which job, and what survives a crash.
//!
//! Implemented here because these promises must hold equally in SQLite and in Redis. Every backend passes one contract suite.
//! Promises:
//!
//! 1. A [`Claim`] carries a fencing token; every renewal, report and finish must bring it, and a worker whose claim was
//!    lost is refused ([`QueueError::ClaimLost`]).
//! 2. A lease is renewed while work goes on. One that ran out may still be renewed until another process has brought the job back,
//!    which waits for `RECLAIM_GRACE` first: a machine that slept keeps its job. A lost lease counts as an attempt, one after at least
//!    `FURTHER` per cent of progress as the first; after `max_attempts` the job is dead.
//! 3. A queued job is cancelled at once; the worker of a running one learns it from the answer to its next renewal or report.
//! 4. Idempotency keys are unique per owner. Claims go by priority, then to the owner with the fewest jobs running, then to the
//!    one served longest ago, then first in, first out. A temporary failure waits longer each time, with jitter.
//! 5. Events are numbered from 1 within a job without gaps; progress, cancellation and every change of state is an event.
//! 6. Whatever was acknowledged survives the death of any process; only questions to a running job expire.

mod backoff;
#[cfg(test)]
pub(crate) mod contract;
pub(crate) mod quota;
mod redis;
mod sqlite;

use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::job::{
    Artifact, Change, Job, JobEvent, JobId, JobKind, JobProblem, JobState, Lane, NewEvent, NewJob, Owner,
    Progress, UnixMs,
};

pub use backoff::Backoff;
pub(crate) use backoff::now_ms;
pub use quota::{Mode, Quota, Usage};
pub use redis::RedisQueue;
#[cfg(all(test, unix))]
pub(crate) use redis::server::Server as RedisServer;
pub(crate) use redis::{Fields, RedisStore};
pub use sqlite::{BackupError, Copied, SqliteQueue, backup, restore};
pub(crate) use sqlite::{Database, Sql, stored_by_name, unknown};

/// How long an expired lease is only noted before its job is requeued. When a machine wakes up, its worker renews the lease
/// within a second, and other processes that wake up at the same time must not be faster.
pub(crate) const RECLAIM_GRACE: Duration = Duration::from_secs(3);
/// Progress since the last lost lease, in per cent, that resets the count of attempts: a job that makes progress does not kill
/// its workers.
pub(crate) const FURTHER: f64 = 5.0;
/// How long a queue remembers deleted jobs, for the sweep of leftover files.
pub(crate) const DELETED_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long a question to a running job is kept, and then its answer: as long as a client waits for it.
pub(crate) const QUESTION_KEPT: Duration = Duration::from_secs(20);
/// Maximum pending questions per job.
pub(crate) const QUESTIONS_AT_ONCE: u64 = 8;

/// Why a queue operation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// The lease expired, or another worker has claimed the job; the caller's results must be discarded.
    #[error("the claim on job {id} is lost: its lease ran out and the job went on without this worker")]
    ClaimLost {
        /// Id of the job.
        id: JobId,
    },
    /// An idempotency key was used with a different request.
    #[error("the idempotency key was used before for another request; use a new key for a new job")]
    KeyReused,
    /// The queue has the maximum number of waiting jobs.
    #[error("{waiting} jobs are waiting, and no more are taken until some are done")]
    Full {
        /// Number of waiting jobs.
        waiting: u64,
    },
    /// The owner has the maximum number of unfinished jobs.
    #[error(
        "you have {unfinished} unfinished jobs, as many as one may have; wait for one to end or cancel it"
    )]
    OwnerFull {
        /// Number of the owner's unfinished jobs.
        unfinished: u64,
    },
    /// A quota of the owner is used up.
    #[error("{what}")]
    QuotaUsedUp {
        /// Which quota, and its size, as a sentence.
        what: String,
    },
    /// The service is draining: the operator has stopped it from accepting jobs.
    #[error("the service takes no more jobs at present: its operator has it finish what it has")]
    Draining,
    /// The job's state does not allow the operation.
    #[error("the job is {}, so this cannot be done", state.name())]
    WrongState {
        /// State of the job.
        state: JobState,
    },
    /// A running job has the maximum number of pending questions.
    #[error("{waiting} others are waiting for an answer of this job; try again in a moment")]
    TooManyQuestions {
        /// Number of pending questions.
        waiting: u64,
    },
    /// The backing store cannot be reached, or failed. This may be temporary.
    #[error("the job store cannot be used now: {why}")]
    Unavailable {
        /// The store's error.
        why: String,
    },
    /// Stored data cannot be read: written by another version, or damaged.
    #[error("the job store holds something unreadable: {why}")]
    Malformed {
        /// What cannot be read.
        why: String,
    },
}

/// Result of a queue operation.
pub type Result<T> = std::result::Result<T, QueueError>;

/// A job claimed by a worker.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The job, as claimed.
    pub job: Job,
    /// The fencing token.
    pub ticket: Ticket,
}

/// Proof that a worker holds a claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// Id of the claimed job.
    pub id: JobId,
    /// Greater with every claim of the job.
    pub token: u64,
}

/// State of a valid claim, returned when its worker renews the lease or reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimStatus {
    /// Whether cancellation was requested.
    pub cancel_requested: bool,
}

/// How a worker ends a claim.
#[derive(Clone, Debug)]
pub enum Ending {
    /// The job succeeded.
    Succeeded {
        /// The job's result.
        result: serde_json::Value,
    },
    /// It failed permanently; retrying would not help.
    Failed(JobProblem),
    /// It failed temporarily: the job is requeued with [`Backoff`]; once its attempts are used up it is dead, with this problem.
    /// A job whose cancellation was requested is cancelled instead.
    Retry(JobProblem),
    /// It was cancelled, as requested.
    Cancelled,
    /// The worker shuts down: the job is requeued at its old place, and the attempt does not count. A job whose cancellation was
    /// requested is cancelled instead.
    Released,
}

/// A question to a running job, such as for a picture of its current state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Random id, under which the answer is stored.
    pub id: JobId,
    /// The question.
    pub text: String,
}

/// What a worker reports about a running job.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The new progress, if it changed.
    pub progress: Option<Progress>,
    /// New events, in order.
    pub events: Vec<NewEvent>,
    /// New files; each replaces an older one of the same name.
    pub artifacts: Vec<Artifact>,
    /// Bytes stored for the job, if that changed.
    pub bytes: Option<u64>,
}

/// Which jobs to list.
#[derive(Clone, Debug, Default)]
pub struct ListQuery {
    /// Only jobs in this state.
    pub state: Option<JobState>,
    /// Only jobs of this kind.
    pub kind: Option<JobKind>,
    /// Only jobs older than this one (exclusive), for the next page; nothing if it no longer exists.
    pub before: Option<JobId>,
    /// Maximum number; clamped to 1..=200.
    pub limit: u32,
}

impl ListQuery {
    /// `limit`, clamped to the allowed range.
    pub(crate) fn rows(&self) -> u32 {
        self.limit.clamp(1, 200)
    }
}

/// Limits checked at submission, in the same transaction.
#[derive(Clone, Copy, Debug)]
pub struct Admission {
    /// Maximum waiting jobs in the lane.
    pub max_waiting: u64,
    /// Maximum unfinished jobs of one owner.
    pub max_unfinished_per_owner: u64,
    /// Quota of the owner.
    pub quota: Quota,
}

/// Result of a submission.
#[derive(Clone, Debug)]
pub struct Submitted {
    /// The new job, or the existing one.
    pub job: Job,
    /// False if an idempotency key or id referred to an existing job.
    pub created: bool,
}

/// What a queue knows about an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The job exists.
    Here(JobState),
    /// The job was deleted within the last 30 days.
    Deleted,
    /// No such job is known: it never existed, was deleted longer ago, or the queue was replaced or restored from an older copy.
    Unknown,
}

/// Jobs by lane and state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depth {
    /// The lane counted.
    pub lane: Lane,
    /// Number of jobs waiting in it.
    pub queued: u64,
    /// Number of running jobs.
    pub running: u64,
}

/// Events kept per job. A training has a few thousand, so only a client that reads none for hours can miss any.
pub(crate) const EVENTS_KEPT: u64 = 10_000;

/// A percentage that JSON and SQL can store: NaN becomes 0.
fn within_100(percent: f64) -> f64 {
    if percent.is_nan() { 0.0 } else { percent.clamp(0.0, 100.0) }
}

/// The job queue. All methods are atomic and may be called from any number of processes concurrently.
#[async_trait]
pub trait Queue: Send + Sync + std::fmt::Debug {
    /// Submits a job, or returns the existing one for its idempotency key; then `admission` is not checked. Submitting an id
    /// again (after a lost response) also returns the existing job.
    async fn submit(&self, job: NewJob, admission: Admission) -> Result<Submitted>;
    /// Claims the next job on one of `lanes` until the lease expires; `None` if no job is waiting. Also requeues jobs whose lease
    /// expired: queued with backoff, dead after too many attempts (problem `attempts_exhausted`), or cancelled if that was
    /// requested.
    async fn claim(&self, worker: &str, lanes: &[Lane], lease: Duration) -> Result<Option<Claim>>;
    /// Extends the lease, counted from now.
    async fn renew(&self, ticket: &Ticket, lease: Duration) -> Result<ClaimStatus>;
    /// Stores a worker's report. Does not extend the lease.
    async fn report(&self, ticket: &Ticket, report: Report) -> Result<ClaimStatus>;
    /// Ends the claim.
    async fn finish(&self, ticket: &Ticket, ending: Ending) -> Result<Job>;
    /// Requests cancellation. `None` if the owner has no such job; a job that has ended is returned unchanged.
    async fn cancel(&self, owner: &Owner, id: &JobId) -> Result<Option<Job>>;
    /// Queues a job that has ended once more with `spec`, at the end of the queue ([`QueueError::WrongState`] for one that is
    /// queued or running). Attempts, progress, result and artefacts are reset; events continue.
    async fn retry(&self, owner: &Owner, id: &JobId, spec: serde_json::Value) -> Result<Option<Job>>;
    /// The owner's job.
    async fn get(&self, owner: &Owner, id: &JobId) -> Result<Option<Job>>;
    /// The job of any owner: for internal use, never on behalf of a request.
    async fn find(&self, id: &JobId) -> Result<Option<Job>>;
    /// The jobs of these owners, newest first.
    async fn list(&self, owners: &[Owner], query: &ListQuery) -> Result<Vec<Job>>;
    /// Changes the owner's notes on a job, in any state. `None` if the owner has no such job.
    async fn change(&self, owner: &Owner, id: &JobId, change: Change) -> Result<Option<Job>>;
    /// The job whose share link has this secret.
    async fn shared(&self, secret: &JobId) -> Result<Option<Job>>;
    /// Moves all jobs of one owner to another, and returns their number. Usage stays with the old owner.
    async fn adopt(&self, from: &Owner, to: &Owner) -> Result<u64>;
    /// The owner's usage.
    async fn usage(&self, owner: &Owner) -> Result<Usage>;
    /// Whether jobs are accepted and started.
    async fn mode(&self) -> Result<Mode>;
    /// Sets the mode, for all processes that use the queue.
    async fn set_mode(&self, mode: Mode) -> Result<()>;
    /// Events after a sequence number, oldest first, at most `limit`. Only the latest 10,000 events of a job are kept. The caller
    /// has checked the job's owner.
    async fn events(&self, id: &JobId, after: u64, limit: u32) -> Result<Vec<JobEvent>>;
    /// Sends a question to a job's worker. The caller has checked the job's owner, and that it is running. Questions and answers
    /// are kept for 20 seconds each, or until the store is closed.
    async fn ask(&self, id: &JobId, question: Question) -> Result<()>;
    /// Takes the oldest question to a job, for its worker; each is returned once.
    async fn next_question(&self, id: &JobId) -> Result<Option<Question>>;
    /// Stores the answer to a question.
    async fn answer(&self, question: &JobId, answer: String) -> Result<()>;
    /// Takes the answer to a question, which is returned once; `None` if there is none yet.
    async fn take_answer(&self, question: &JobId) -> Result<Option<String>>;
    /// Deletes a job that has ended, with its events, and remembers that it was deleted ([`Queue::fate`]). `None` if the owner
    /// has no such job.
    async fn delete(&self, owner: &Owner, id: &JobId) -> Result<Option<Job>>;
    /// Requeues jobs whose lease expired, then returns jobs of all owners that ended in this time range, in order of their end,
    /// at most 100.
    async fn ended(&self, when: Range<UnixMs>) -> Result<Vec<(Owner, JobId)>>;
    /// Jobs that ended before this time and are not pinned, in the same order and with the same limit.
    async fn expired(&self, before: UnixMs) -> Result<Vec<(Owner, JobId)>>;
    /// Number of jobs by lane and state.
    async fn depth(&self) -> Result<Vec<Depth>>;
    /// Approximate number of jobs that will be claimed before this queued one.
    async fn ahead_of(&self, id: &JobId) -> Result<u64>;
    /// The id of this queue, the same for all processes that use it; it changes when the queue is replaced or emptied. A copy has
    /// the same id as the original.
    async fn identity(&self) -> Result<String>;
    /// What the queue knows about an id.
    async fn fate(&self, id: &JobId) -> Result<Fate>;
    /// Checks that the store responds.
    async fn ping(&self) -> Result<()>;
}
