//! The queue in Redis (6.2 or newer), for workers on many machines.
//!
//! A claim removes the next job (by priority, turn of owners, then first in, first out) from its queue and assigns a new fencing
//! token. Running jobs are in a sorted set by the end of their lease; every claim first requeues those that have expired, and
//! counts the attempt. Every change is one Lua script, hence atomic. Times are those of Redis, so clocks of workers do not
//! matter.
//!
//! Durability is that of Redis: enable its append-only file (`appendonly yes`; with `appendfsync everysec`, the default, a power
//! failure may lose the last second, with `always` nothing), and do not let it evict keys (`maxmemory-policy noeviction`, the
//! default). While Redis cannot be reached, every call returns [`QueueError::Unavailable`](super::QueueError::Unavailable) within
//! seconds; the connection is restored automatically.
//!
//! | part | what |
//! | --- | --- |
//! | [`connection`] | the shared connection, and its errors |
//! | [`reply`] | parses jobs and events from Redis's responses |
//! | `lua/*.lua` | the scripts; `prelude.lua` lists the keys |

mod connection;
mod reply;
// There is no redis-server for Windows.
#[cfg(all(test, unix))]
pub(crate) mod server;
#[cfg(all(test, unix))]
mod tests;

use std::ops::Range;
use std::time::Duration;

use ::redis::{cmd, pipe};
use async_trait::async_trait;

pub(crate) use connection::RedisStore;
pub(crate) use reply::Fields;

use super::backoff::{attempts_exhausted, whole_ms};
use super::sqlite::{to_json, unknown};
use super::{
    Admission, Backoff, Claim, ClaimStatus, DELETED_KEPT, Depth, Ending, FURTHER, Fate, ListQuery, Mode,
    QUESTION_KEPT, QUESTIONS_AT_ONCE, Question, Queue, QueueError, RECLAIM_GRACE, Report, Result, Submitted,
    Ticket, Usage, within_100,
};
use crate::job::{
    Change, Job, JobEvent, JobId, JobKind, JobState, Lane, NewEvent, NewJob, Owner, Progress, UnixMs,
};
use connection::Call;
use reply::{Answer, malformed};

/// A queue in Redis.
#[derive(Clone, Debug)]
pub struct RedisQueue {
    store: RedisStore,
    backoff: Backoff,
    grace: Duration,
}

impl RedisQueue {
    /// Connects to `redis://[user:password@]host[:port][/database]` or `redis+unix:///path`.
    ///
    /// # Errors
    /// [`QueueError::Unavailable`] if the address is invalid or does not respond.
    pub async fn connect(url: &str) -> Result<Self> {
        let queue = Self { store: RedisStore::open(url)?, backoff: Backoff::default(), grace: RECLAIM_GRACE };
        queue.ping().await?;
        Ok(queue)
    }

    /// Redis settings that may lose acknowledged jobs, as sentences. Empty if the service hides its settings.
    pub(crate) async fn risks(&self) -> Vec<String> {
        let mut risks = Vec::new();
        let settings = [
            ("appendonly", "yes", "jobs since its last snapshot are lost when it stops"),
            ("maxmemory-policy", "noeviction", "it throws jobs away when its memory is full"),
        ];
        for (name, safe, consequence) in settings {
            let answer = self.store.run(cmd("CONFIG").arg("GET").arg(name)).await;
            let found: Vec<(String, String)> = answer.unwrap_or_default();
            if let Some((_, value)) = found.into_iter().find(|(_, value)| value != safe) {
                risks.push(format!("Redis has `{name} {value}`: {consequence}; set `{name} {safe}`"));
            }
        }
        risks
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

    /// The connection, for the API keys, which are also stored in Redis.
    pub(crate) fn store(&self) -> &RedisStore {
        &self.store
    }

    /// The arguments `backoff_first backoff_longest random` of scripts.
    fn add_backoff(&self, call: Call) -> Call {
        call.arg(whole_ms(self.backoff.first))
            .arg(whole_ms(self.backoff.longest))
            // Half the range, since Lua's generator is seeded with a signed number.
            .arg(getrandom::u32().unwrap_or(0) / 2)
    }

    /// The arguments of scripts that requeue jobs, from `backoff_first` to `further`.
    fn add_retry_rules(&self, call: Call) -> Result<Call> {
        Ok(self.add_backoff(call).arg(Self::exhausted()?).arg(whole_ms(self.grace)).arg(to_json(&FURTHER)?))
    }

    /// Jobs that ended in this time range; pinned ones are optional.
    async fn named(&self, when: Range<UnixMs>, only_unpinned: bool) -> Result<Vec<(Owner, JobId)>> {
        let call = self.store.call(&self.store.scripts().ended).arg(when.start).arg(when.end);
        let mut call = self.add_retry_rules(call)?.arg(u8::from(only_unpinned));
        for lane in Lane::ALL {
            call = call.arg(lane.name());
        }
        let found: Vec<(String, String)> = call.run().await?;
        found.into_iter().map(|(owner, id)| Ok((Owner(owner), reply::id(&id)?))).collect()
    }

    /// The argument `exhausted` of scripts.
    fn exhausted() -> Result<String> {
        // The script replaces this number by the actual one.
        let mut problem = attempts_exhausted(987_654_321);
        problem.message = problem.message.replace("987654321", "ATTEMPTS");
        to_json(&problem)
    }
}

/// The number, or an empty text.
fn some(number: Option<u64>) -> String {
    number.map_or_else(String::new, |number| number.to_string())
}

#[async_trait]
impl Queue for RedisQueue {
    async fn submit(&self, job: NewJob, admission: Admission) -> Result<Submitted> {
        let idempotency = job.idempotency.as_ref();
        let call = self
            .store
            .call(&self.store.scripts().submit)
            .arg(job.id.as_str())
            .arg(&job.owner.0)
            .arg(job.kind.name())
            .arg(job.lane.name())
            .arg(job.priority)
            .arg(job.max_attempts.max(1))
            .arg(to_json(&job.spec)?)
            .arg(to_json(&Progress::default())?)
            .arg(idempotency.map_or("", |idempotency| &idempotency.key))
            .arg(idempotency.map_or("", |idempotency| &idempotency.fingerprint))
            .arg(u8::from(idempotency.is_some()))
            .arg(admission.max_waiting)
            .arg(admission.max_unfinished_per_owner)
            .arg(job.bytes)
            .arg(some(admission.quota.bytes))
            .arg(some(admission.quota.jobs_a_day))
            .arg(some(admission.quota.busy_ms_a_day));
        let answer = call.run::<Answer>().await?;
        match answer.word.as_str() {
            "created" => Ok(Submitted { job: answer.job()?, created: true }),
            "found" => Ok(Submitted { job: answer.job()?, created: false }),
            "reused" => Err(QueueError::KeyReused),
            "full" => Err(QueueError::Full { waiting: answer.read()? }),
            "owner_full" => Err(QueueError::OwnerFull { unfinished: answer.read()? }),
            "draining" => Err(QueueError::Draining),
            "used_up" => {
                admission.quota.check(&reply::usage(answer.read()?), job.bytes)?;
                Err(malformed("a job was refused although it fits".into()))
            }
            other => Err(malformed(format!("`{other}` is no answer to a submission"))),
        }
    }

    async fn claim(&self, worker: &str, lanes: &[Lane], lease: Duration) -> Result<Option<Claim>> {
        let call = self.store.call(&self.store.scripts().claim).arg(worker).arg(whole_ms(lease));
        let mut call = self.add_retry_rules(call)?;
        for lane in lanes {
            call = call.arg(lane.name());
        }
        let answer = call.run::<Answer>().await?;
        if answer.word == "none" {
            return Ok(None);
        }
        let fields: Fields = answer.read()?;
        let (job, token) = (fields.job()?, fields.number("token")?);
        let ticket = Ticket { id: job.id.clone(), token };
        Ok(Some(Claim { job, ticket }))
    }

    async fn renew(&self, ticket: &Ticket, lease: Duration) -> Result<ClaimStatus> {
        let call = self.store.call(&self.store.scripts().renew).ticket(ticket).arg(whole_ms(lease));
        call.run::<Answer>().await?.held(ticket)
    }

    async fn report(&self, ticket: &Ticket, report: Report) -> Result<ClaimStatus> {
        let mut call = self.store.call(&self.store.scripts().report).ticket(ticket);
        call = match report.progress {
            None => call.arg("").arg("").arg(""),
            Some(progress) => {
                let progress = Progress { percent: within_100(progress.percent), ..progress };
                call.arg(to_json(&progress)?).arg(to_json(&progress.stage)?).arg(to_json(&progress.percent)?)
            }
        };
        call = call.arg(some(report.bytes)).arg(report.events.len());
        for event in report.events {
            call = call.arg(to_json(&NewEvent { percent: within_100(event.percent), ..event })?);
        }
        for artifact in &report.artifacts {
            call = call.arg(&artifact.name).arg(to_json(artifact)?);
        }
        call.run::<Answer>().await?.held(ticket)
    }

    async fn finish(&self, ticket: &Ticket, ending: Ending) -> Result<Job> {
        let (word, value, message) = match &ending {
            Ending::Succeeded { result } => ("succeeded", to_json(result)?, ""),
            Ending::Failed(problem) => ("failed", to_json(problem)?, problem.message.as_str()),
            Ending::Retry(problem) => ("retry", to_json(problem)?, problem.message.as_str()),
            Ending::Cancelled => ("cancelled", String::new(), ""),
            Ending::Released => ("released", String::new(), ""),
        };
        let call =
            self.store.call(&self.store.scripts().finish).ticket(ticket).arg(word).arg(value).arg(message);
        let answer: Answer = self.add_backoff(call).run().await?;
        if answer.word == "lost" {
            return Err(QueueError::ClaimLost { id: ticket.id.clone() });
        }
        answer.job()
    }

    async fn cancel(&self, owner: &Owner, id: &JobId) -> Result<Option<Job>> {
        let call = self.store.call(&self.store.scripts().cancel).arg(id.as_str()).arg(&owner.0);
        call.run::<Answer>().await?.job_of_owner()
    }

    async fn retry(&self, owner: &Owner, id: &JobId, spec: serde_json::Value) -> Result<Option<Job>> {
        let call = self
            .store
            .call(&self.store.scripts().retry)
            .arg(id.as_str())
            .arg(&owner.0)
            .arg(to_json(&spec)?)
            .arg(to_json(&Progress::default())?);
        call.run::<Answer>().await?.job_of_owner()
    }

    async fn get(&self, owner: &Owner, id: &JobId) -> Result<Option<Job>> {
        Ok(self.find(id).await?.filter(|job| job.owner == *owner))
    }

    async fn find(&self, id: &JobId) -> Result<Option<Job>> {
        let fields: Fields = self.store.run(cmd("HGETALL").arg(self.store.key(&format!("job:{id}")))).await?;
        if fields.is_empty() { Ok(None) } else { fields.job().map(Some) }
    }

    async fn list(&self, owners: &[Owner], query: &ListQuery) -> Result<Vec<Job>> {
        let mut call = self
            .store
            .call(&self.store.scripts().list)
            .arg(query.state.map_or("", JobState::name))
            .arg(query.kind.map_or("", JobKind::name))
            .arg(query.before.as_ref().map_or("", JobId::as_str))
            .arg(query.rows());
        for owner in owners {
            call = call.arg(&owner.0);
        }
        call.run::<Vec<Fields>>().await?.iter().map(Fields::job).collect()
    }

    async fn events(&self, id: &JobId, after: u64, limit: u32) -> Result<Vec<JobEvent>> {
        let Some(first) = after.checked_add(1) else { return Ok(Vec::new()) };
        let mut command = cmd("XRANGE");
        command.arg(self.store.key(&format!("events:{id}"))).arg(first).arg("+").arg("COUNT").arg(limit);
        self.store.run::<Vec<_>>(&command).await?.into_iter().map(reply::event).collect()
    }

    async fn ask(&self, id: &JobId, question: Question) -> Result<()> {
        let call = self.store.call(&self.store.scripts().ask).arg(id.as_str()).arg(to_json(&question)?);
        let answer: Answer = call.arg(whole_ms(QUESTION_KEPT)).arg(QUESTIONS_AT_ONCE).run().await?;
        match answer.word.as_str() {
            "full" => Err(QueueError::TooManyQuestions { waiting: answer.read()? }),
            _ => Ok(()),
        }
    }

    async fn next_question(&self, id: &JobId) -> Result<Option<Question>> {
        let call = self.store.call(&self.store.scripts().question).arg(id.as_str());
        let answer: Answer = call.arg(whole_ms(QUESTION_KEPT)).run().await?;
        if answer.word == "none" { Ok(None) } else { Ok(serde_json::from_str(&answer.read::<String>()?)?) }
    }

    async fn answer(&self, question: &JobId, answer: String) -> Result<()> {
        let mut command = cmd("SET");
        command.arg(self.store.key(&format!("answer:{question}"))).arg(answer);
        self.store.run(command.arg("PX").arg(whole_ms(QUESTION_KEPT))).await
    }

    async fn take_answer(&self, question: &JobId) -> Result<Option<String>> {
        let key = self.store.key(&format!("answer:{question}"));
        self.store.run(cmd("GETDEL").arg(key)).await
    }

    async fn delete(&self, owner: &Owner, id: &JobId) -> Result<Option<Job>> {
        let call = self
            .store
            .call(&self.store.scripts().delete)
            .arg(id.as_str())
            .arg(&owner.0)
            .arg(whole_ms(DELETED_KEPT));
        call.run::<Answer>().await?.job_of_owner()
    }

    async fn change(&self, owner: &Owner, id: &JobId, change: Change) -> Result<Option<Job>> {
        let mut call = self.store.call(&self.store.scripts().change).arg(id.as_str()).arg(&owner.0);
        if let Some(name) = change.name {
            call = call.arg("title").arg(name.unwrap_or_default());
        }
        if let Some(pinned) = change.pinned {
            call = call.arg("pinned").arg(if pinned { "1" } else { "" });
        }
        if let Some(share) = change.share {
            let json = share.as_ref().map(to_json).transpose()?.unwrap_or_default();
            call = call.arg("share").arg(json);
            call = call.arg("secret").arg(share.as_ref().map_or("", |share| share.secret.as_str()));
        }
        call.run::<Answer>().await?.job_of_owner()
    }

    async fn shared(&self, secret: &JobId) -> Result<Option<Job>> {
        let id: Option<String> =
            self.store.run(cmd("HGET").arg(self.store.key("shares")).arg(secret.as_str())).await?;
        let Some(id) = id else { return Ok(None) };
        let job = self.find(&reply::id(&id)?).await?;
        // The link may have been revoked in between.
        Ok(job.filter(|job| job.notes.share.as_ref().is_some_and(|share| share.secret == *secret)))
    }

    async fn adopt(&self, from: &Owner, to: &Owner) -> Result<u64> {
        self.store.call(&self.store.scripts().adopt).arg(&from.0).arg(&to.0).run().await
    }

    async fn usage(&self, owner: &Owner) -> Result<Usage> {
        Ok(reply::usage(self.store.call(&self.store.scripts().usage).arg(&owner.0).run().await?))
    }

    async fn mode(&self) -> Result<Mode> {
        let mode: Option<i64> = self.store.run(cmd("GET").arg(self.store.key("mode"))).await?;
        Ok(Mode::of_number(mode.unwrap_or(0)))
    }

    async fn set_mode(&self, mode: Mode) -> Result<()> {
        self.store.run(cmd("SET").arg(self.store.key("mode")).arg(mode.number())).await
    }

    async fn ended(&self, when: Range<UnixMs>) -> Result<Vec<(Owner, JobId)>> {
        self.named(when, false).await
    }

    async fn expired(&self, before: UnixMs) -> Result<Vec<(Owner, JobId)>> {
        self.named(0..before, true).await
    }

    async fn depth(&self) -> Result<Vec<Depth>> {
        let mut pipeline = pipe();
        for lane in Lane::ALL {
            pipeline.cmd("HGET").arg(self.store.key("queued")).arg(lane.name());
            pipeline.cmd("HGET").arg(self.store.key("running")).arg(lane.name());
        }
        let counts: Vec<Option<u64>> = self.store.run_all(&pipeline).await?;
        let depth = |(lane, counts): (Lane, &[Option<u64>])| Depth {
            lane,
            queued: counts.first().copied().flatten().unwrap_or(0),
            running: counts.get(1).copied().flatten().unwrap_or(0),
        };
        Ok(Lane::ALL.into_iter().zip(counts.chunks(2)).map(depth).collect())
    }

    async fn ahead_of(&self, id: &JobId) -> Result<u64> {
        self.store.call(&self.store.scripts().ahead).arg(id.as_str()).run().await
    }

    async fn identity(&self) -> Result<String> {
        let key = self.store.key("identity");
        let mut pipeline = pipe();
        pipeline.cmd("SET").arg(&key).arg(JobId::random().as_str()).arg("NX").ignore();
        pipeline.cmd("GET").arg(&key);
        let (identity,): (String,) = self.store.run_all(&pipeline).await?;
        Ok(identity)
    }

    async fn fate(&self, id: &JobId) -> Result<Fate> {
        let mut pipeline = pipe();
        pipeline.cmd("HGET").arg(self.store.key(&format!("job:{id}"))).arg("state");
        pipeline.cmd("ZSCORE").arg(self.store.key("deleted")).arg(id.as_str());
        let (state, deleted): (Option<String>, Option<f64>) = self.store.run_all(&pipeline).await?;
        match (state, deleted) {
            (Some(state), _) => {
                JobState::from_name(&state).map(Fate::Here).ok_or_else(|| unknown("state", &state))
            }
            (None, Some(_)) => Ok(Fate::Deleted),
            (None, None) => Ok(Fate::Unknown),
        }
    }

    async fn ping(&self) -> Result<()> {
        self.store.run(&cmd("PING")).await
    }
}
