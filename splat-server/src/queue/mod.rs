//! Who works on what, and what survives a crash.
//!
//! By hand, for these promises, the same in SQLite and in Redis. Every backend passes one contract suite. Promises:
//!
//! 1. A [`Claim`] carries a fencing token; every renewal, report and finish must bring it, and a worker whose claim was
//!    lost is refused ([`QueueError::ClaimLost`]).
//! 2. A lease is renewed while work goes on. One that ran out may still be renewed until another process has brought the job back,
//!    which waits for `RECLAIM_GRACE` first: a machine that slept finds its job. A lost lease counts as an attempt, one that got
//!    `FURTHER` as the first; after `max_attempts` the job is dead.
//! 3. A queued job is cancelled at once; the worker of a running one learns of it with its next renewal or report.
//! 4. Idempotency keys are unique per owner. Claims go by priority, then to the owner with the fewest jobs running, then to the
//!    one served longest ago, then first in, first out. A failure that may pass waits longer each time, with jitter.
//! 5. Events are numbered from 1 within a job without gaps; progress, cancelling and every change of state are among them.
//! 6. Whatever was acknowledged survives the death of any process; only questions to a running job are forgotten after a while.

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
pub(crate) use redis::{RedisStore, pairs, texts};
pub use sqlite::{BackupError, Copied, SqliteQueue, backup, restore};
pub(crate) use sqlite::{Database, signed, unavailable, unknown, unsigned};

/// How long a lease that ran out is only noticed before its job is brought back. When a machine wakes up, its worker renews within a
/// second, and whoever else wakes up with it must not be faster.
pub(crate) const RECLAIM_GRACE: Duration = Duration::from_secs(3);
/// Percent of progress since the last loss of a lease with which attempts are counted anew: what gets on is not what kills its worker.
pub(crate) const FURTHER: f64 = 5.0;
/// How long a queue remembers which jobs it deleted, for the sweep of files that were left.
pub(crate) const DELETED_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long a question to a running job is kept, and then its answer: no longer than anybody waits for it.
pub(crate) const QUESTION_KEPT: Duration = Duration::from_secs(20);
/// Questions to one job that may wait for their answers.
pub(crate) const QUESTIONS_AT_ONCE: u64 = 8;

/// Why the queue did not do something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// The claim ran out or was given to another worker; what the caller did must not count.
    #[error("the claim on job {id} is lost: its lease ran out and the job went on without this worker")]
    ClaimLost {
        /// Of which job.
        id: JobId,
    },
    /// An idempotency key came again with another request.
    #[error("the idempotency key was used before for another request; use a new key for a new job")]
    KeyReused,
    /// The queue holds as many waiting jobs as it may.
    #[error("{waiting} jobs are waiting, and no more are taken until some are done")]
    Full {
        /// How many wait.
        waiting: u64,
    },
    /// The owner has as many unfinished jobs as one may have.
    #[error(
        "you have {unfinished} unfinished jobs, as many as one may have; wait for one to end or cancel it"
    )]
    OwnerFull {
        /// Number of the owner's unfinished jobs.
        unfinished: u64,
    },
    /// The owner has or has used as much as one may.
    #[error("{what}")]
    QuotaUsedUp {
        /// Of what, and how much, as a sentence.
        what: String,
    },
    /// The operator has the service take in no more jobs.
    #[error("the service takes no more jobs at present: its operator has it finish what it has")]
    Draining,
    /// The job is not in a state in which that can be done.
    #[error("the job is {}, so this cannot be done", state.name())]
    WrongState {
        /// State of the job.
        state: JobState,
    },
    /// As many questions to a running job wait for their answers as may.
    #[error("{waiting} others are waiting for an answer of this job; try again in a moment")]
    TooManyQuestions {
        /// How many wait.
        waiting: u64,
    },
    /// The store behind the queue cannot be reached or failed. It may pass.
    #[error("the job store cannot be used now: {why}")]
    Unavailable {
        /// What it said.
        why: String,
    },
    /// What is stored cannot be read: another version or damage.
    #[error("the job store holds something unreadable: {why}")]
    Malformed {
        /// What cannot be read.
        why: String,
    },
}

/// The result of a queue operation.
pub type Result<T> = std::result::Result<T, QueueError>;

/// A job in the hands of a worker.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The job, as of now.
    pub job: Job,
    /// The fencing token.
    pub ticket: Ticket,
}

/// What proves that a worker still holds a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// Id of the claimed job.
    pub id: JobId,
    /// Greater with every claim of the job.
    pub token: u64,
}

/// State of a claim that is still valid, as its worker learns on renewing its lease or reporting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimStatus {
    /// Its owner wants the job stopped.
    pub cancel_requested: bool,
}

/// How a worker ends its claim.
#[derive(Clone, Debug)]
pub enum Ending {
    /// The job succeeded.
    Succeeded {
        /// What came of it.
        result: serde_json::Value,
    },
    /// It cannot be done; trying again would not help.
    Failed(JobProblem),
    /// It failed in a way that may pass: the job waits for [`Backoff`] and is tried again; when attempts have run out it is dead,
    /// with this problem. One that its owner wants stopped is cancelled instead.
    Retry(JobProblem),
    /// It was stopped as its owner asked.
    Cancelled,
    /// The worker shuts down in order: the job is queued again at once, in its old place, and the attempt does not count. One
    /// that its owner wants stopped is cancelled instead.
    Released,
}

/// What somebody wants to know of a running job now, such as a picture of how it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Random; leads to the answer.
    pub id: JobId,
    /// What is asked.
    pub text: String,
}

/// What a worker reports about a running job.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// How far it is, if that changed.
    pub progress: Option<Progress>,
    /// What happened, in order.
    pub events: Vec<NewEvent>,
    /// Files made; one of the same name takes the place of the old one.
    pub artifacts: Vec<Artifact>,
    /// Bytes that are kept of the job, if that changed.
    pub bytes: Option<u64>,
}

/// Which jobs to list.
#[derive(Clone, Debug, Default)]
pub struct ListQuery {
    /// Only those in this state.
    pub state: Option<JobState>,
    /// Only those of this kind.
    pub kind: Option<JobKind>,
    /// Older than this job (exclusive), for the next page; after a job that is gone there is nothing.
    pub before: Option<JobId>,
    /// At most so many; the queue allows 1 to 200.
    pub limit: u32,
}

impl ListQuery {
    /// `limit` within what is allowed.
    pub(crate) fn rows(&self) -> u32 {
        self.limit.clamp(1, 200)
    }
}

/// Limits that hold at submission, within the same transaction.
#[derive(Clone, Copy, Debug)]
pub struct Admission {
    /// Most waiting jobs in the lane.
    pub max_waiting: u64,
    /// Most unfinished jobs of one owner.
    pub max_unfinished_per_owner: u64,
    /// What the owner may have and use.
    pub quota: Quota,
}

/// What submitting gave.
#[derive(Clone, Debug)]
pub struct Submitted {
    /// The job that was made, or found.
    pub job: Job,
    /// False when an idempotency key led to an earlier one.
    pub created: bool,
}

/// What a queue knows of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It has this job.
    Here(JobState),
    /// It had the job and deleted it, within the last 30 days.
    Deleted,
    /// It never had such a job, has forgotten it, or has been replaced by another queue or an older copy.
    Unknown,
}

/// Jobs by lane and state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depth {
    /// The line that the figures are of.
    pub lane: Lane,
    /// Number of jobs waiting in it.
    pub queued: u64,
    /// Jobs in work.
    pub running: u64,
}

/// Events kept of a job. A training has a few thousand; only who reads none of them for hours can miss any.
pub(crate) const EVENTS_KEPT: u64 = 10_000;

/// A percentage that JSON and SQL can hold: NaN, which they cannot, becomes 0.
fn within_100(percent: f64) -> f64 {
    if percent.is_nan() { 0.0 } else { percent.clamp(0.0, 100.0) }
}

/// The line of jobs. All methods are atomic and may be called from any number of processes at once.
#[async_trait]
pub trait Queue: Send + Sync + std::fmt::Debug {
    /// Takes a job in, or finds the one that its idempotency key stood for; then nothing is checked against `admission`.
    /// Submitting an id again (after an answer that was lost) finds that job too.
    async fn submit(&self, job: NewJob, admission: Admission) -> Result<Submitted>;
    /// The job next in line on one of `lanes`, held until the lease runs out; `None` when nothing waits.
    /// Also brings back jobs whose lease ran out: queued with backoff, dead after too many attempts (problem
    /// `attempts_exhausted`), or cancelled if their owner had asked for that.
    async fn claim(&self, worker: &str, lanes: &[Lane], lease: Duration) -> Result<Option<Claim>>;
    /// Holds the job for another lease from now.
    async fn renew(&self, ticket: &Ticket, lease: Duration) -> Result<ClaimStatus>;
    /// Stores a worker's report. Does not lengthen the lease.
    async fn report(&self, ticket: &Ticket, report: Report) -> Result<ClaimStatus>;
    /// Ends the claim.
    async fn finish(&self, ticket: &Ticket, ending: Ending) -> Result<Job>;
    /// Asks for the job to stop. `None` when the owner has no such job; a job that has ended is given as it is.
    async fn cancel(&self, owner: &Owner, id: &JobId) -> Result<Option<Job>>;
    /// Queues a job that has ended (not one that is queued or running: [`QueueError::WrongState`]) once more with `spec`, at the end
    /// of the line; attempts, progress, result and artefacts begin anew, events go on.
    async fn retry(&self, owner: &Owner, id: &JobId, spec: serde_json::Value) -> Result<Option<Job>>;
    /// The owner's job.
    async fn get(&self, owner: &Owner, id: &JobId) -> Result<Option<Job>>;
    /// The job, whosever it is: for what the service does by itself, never for a request.
    async fn find(&self, id: &JobId) -> Result<Option<Job>>;
    /// The jobs of these owners, newest first.
    async fn list(&self, owners: &[Owner], query: &ListQuery) -> Result<Vec<Job>>;
    /// Changes what the owner says of a job, in whatever state. `None` when the owner has no such job.
    async fn change(&self, owner: &Owner, id: &JobId, change: Change) -> Result<Option<Job>>;
    /// The job that is shown to who knows this secret.
    async fn shared(&self, secret: &JobId) -> Result<Option<Job>>;
    /// Gives all jobs of one owner to another; how many those were. What was used stays the old one's.
    async fn adopt(&self, from: &Owner, to: &Owner) -> Result<u64>;
    /// What an owner has and has used.
    async fn usage(&self, owner: &Owner) -> Result<Usage>;
    /// Whether jobs are taken in and begun.
    async fn mode(&self) -> Result<Mode>;
    /// Changes that, for all who use the queue.
    async fn set_mode(&self, mode: Mode) -> Result<()>;
    /// Events after a sequence number, oldest first, at most `limit`. Of a job with very many only the latest 10,000 are kept.
    /// The caller has checked whose the job is.
    async fn events(&self, id: &JobId, after: u64, limit: u32) -> Result<Vec<JobEvent>>;
    /// Puts a question to whoever works on a job. The caller has checked whose the job is, and that it runs. Questions and answers are
    /// kept for 20 seconds each, or as long as the store lives, whichever is shorter.
    async fn ask(&self, id: &JobId, question: Question) -> Result<()>;
    /// The oldest question to a job, for its worker; each is given once.
    async fn next_question(&self, id: &JobId) -> Result<Option<Question>>;
    /// Answers a question.
    async fn answer(&self, question: &JobId, answer: String) -> Result<()>;
    /// The answer to a question, which is given once; `None` where there is none yet.
    async fn take_answer(&self, question: &JobId) -> Result<Option<String>>;
    /// Forgets a job that has ended, with its events, and remembers that it was deleted ([`Queue::fate`]). `None` when the owner has no such job.
    async fn delete(&self, owner: &Owner, id: &JobId) -> Result<Option<Job>>;
    /// Brings back jobs whose lease ran out, then gives jobs of all owners that ended at these times, those that ended first
    /// first and at most 100.
    async fn ended(&self, when: Range<UnixMs>) -> Result<Vec<(Owner, JobId)>>;
    /// Jobs that ended before this time and are not pinned, in the same order and number.
    async fn expired(&self, before: UnixMs) -> Result<Vec<(Owner, JobId)>>;
    /// How long the lines are.
    async fn depth(&self) -> Result<Vec<Depth>>;
    /// How many jobs of the lane are ahead of this queued one, roughly in the order of claims.
    async fn ahead_of(&self, id: &JobId) -> Result<u64>;
    /// The id of this queue, the same for all who use it; another one after it was replaced or emptied. A copy has the id of the
    /// original.
    async fn identity(&self) -> Result<String>;
    /// What the queue knows of an id.
    async fn fate(&self, id: &JobId) -> Result<Fate>;
    /// Whether the store answers.
    async fn ping(&self) -> Result<()>;
}
