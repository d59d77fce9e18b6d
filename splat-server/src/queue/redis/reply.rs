//! Parses jobs and events from Redis's responses.

use std::collections::BTreeMap;

use ::redis::{FromRedisValue, Value, from_redis_value};

use crate::job::{Job, JobEvent, JobId, JobKind, JobState, Lane, NewEvent, Notes, Owner};
use crate::queue::sqlite::unknown;
use crate::queue::{ClaimStatus, QueueError, Result, Ticket, Usage};

/// Error for a response that the scripts cannot have written.
pub(crate) fn malformed(why: String) -> QueueError {
    QueueError::Malformed { why }
}

pub(super) fn id(text: &str) -> Result<JobId> {
    text.parse().map_err(|_| unknown("job id", text))
}

/// The fields of a hash, or of a stream's entry.
pub(crate) struct Fields(BTreeMap<String, String>);

impl FromRedisValue for Fields {
    fn from_redis_value(value: Value) -> std::result::Result<Self, ::redis::ParsingError> {
        BTreeMap::from_redis_value(value).map(Self)
    }
}

impl Fields {
    /// Whether the hash does not exist.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn maybe(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(crate) fn text(&self, name: &str) -> Result<&str> {
        self.maybe(name).ok_or_else(|| malformed(format!("`{name}` is missing")))
    }

    pub(crate) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<T> {
        let text = self.text(name)?;
        text.parse().map_err(|_| malformed(format!("`{text}` is no number for `{name}`")))
    }

    pub(crate) fn maybe_number(&self, name: &str) -> Result<Option<u64>> {
        self.maybe(name).map(|_| self.number(name)).transpose()
    }

    /// The value of an enum with this name.
    pub(crate) fn word<T>(&self, name: &str, from_name: impl Fn(&str) -> Option<T>) -> Result<T> {
        let word = self.text(name)?;
        from_name(word).ok_or_else(|| unknown(name, word))
    }

    fn json<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<T> {
        Ok(serde_json::from_str(self.text(name)?)?)
    }

    fn maybe_json<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        self.maybe(name).map(|_| self.json(name)).transpose()
    }

    /// The job whose hash this is.
    pub(super) fn job(&self) -> Result<Job> {
        let artifacts = self.0.iter().filter(|(name, _)| name.starts_with("artifact:"));
        // Values begin with a four-digit sequence number.
        let mut artifacts: Vec<&str> = artifacts.map(|(_, value)| value.as_str()).collect();
        artifacts.sort_unstable();
        let artifacts =
            artifacts.iter().map(|value| serde_json::from_str(value.get(4..).unwrap_or_default()));
        let mut job = Job {
            id: id(self.text("id")?)?,
            owner: Owner(self.text("owner")?.to_owned()),
            kind: self.word("kind", JobKind::from_name)?,
            lane: self.word("lane", Lane::from_name)?,
            priority: self.number("priority")?,
            state: self.word("state", JobState::from_name)?,
            attempts: self.number("attempts")?,
            max_attempts: self.number("max_attempts")?,
            cancel_requested: self.text("cancel_requested")? == "1",
            created_ms: self.number("created_ms")?,
            updated_ms: self.number("updated_ms")?,
            started_ms: self.maybe_number("started_ms")?,
            finished_ms: self.maybe_number("finished_ms")?,
            run_after_ms: self.number("run_after_ms")?,
            spec: self.json("spec")?,
            progress: self.json("progress")?,
            result: self.maybe_json("result")?,
            artifacts: artifacts.collect::<std::result::Result<_, _>>()?,
            problem: self.maybe_json("problem")?,
            bytes: self.maybe_number("bytes")?.unwrap_or(0),
            notes: Notes {
                name: self.maybe("title").map(str::to_owned),
                pinned: self.maybe("pinned") == Some("1"),
                share: self.maybe_json("share")?,
            },
        };
        if job.state == JobState::Succeeded {
            // The scripts do not modify JSON.
            job.progress.percent = 100.0;
            job.progress.eta_s = None;
        }
        Ok(job)
    }
}

/// Parses an entry of a job's event stream.
pub(super) fn event((name, fields): (String, Fields)) -> Result<JobEvent> {
    let sequence = name.split('-').next().and_then(|sequence| sequence.parse().ok());
    let event: NewEvent = fields.json("e")?;
    Ok(JobEvent {
        sequence: sequence.ok_or_else(|| malformed(format!("`{name}` names no event")))?,
        at_ms: fields.number("at")?,
        kind: event.kind,
        stage: event.stage,
        percent: event.percent,
        message: event.message,
        data: event.data,
    })
}

/// An owner's usage.
pub(super) fn usage((jobs_today, busy_ms_today, kept_jobs, kept_bytes): (u64, u64, u64, u64)) -> Usage {
    Usage { jobs_today, busy_ms_today, kept_jobs, kept_bytes }
}

/// A script's response: a word, followed by its value.
pub(super) struct Answer {
    pub(super) word: String,
    value: Value,
}

impl FromRedisValue for Answer {
    fn from_redis_value(value: Value) -> std::result::Result<Self, ::redis::ParsingError> {
        let mut items = Vec::<Value>::from_redis_value(value)?.into_iter();
        let word = from_redis_value(items.next().unwrap_or(Value::Nil))?;
        Ok(Self { word, value: items.next().unwrap_or(Value::Nil) })
    }
}

impl Answer {
    /// Converts the value that follows the word.
    pub(super) fn read<T: FromRedisValue>(self) -> Result<T> {
        Ok(from_redis_value(self.value)?)
    }

    pub(super) fn job(self) -> Result<Job> {
        self.read::<Fields>()?.job()
    }

    /// Response to an owner's request: `none`, `state` or `job`.
    pub(super) fn job_of_owner(self) -> Result<Option<Job>> {
        match self.word.as_str() {
            "none" => Ok(None),
            "state" => {
                let state: String = self.read()?;
                let state = JobState::from_name(&state).ok_or_else(|| unknown("state", &state))?;
                Err(QueueError::WrongState { state })
            }
            _ => self.job().map(Some),
        }
    }

    /// Response to a worker's request: `lost` or `held`.
    pub(super) fn held(self, ticket: &Ticket) -> Result<ClaimStatus> {
        if self.word == "lost" {
            return Err(QueueError::ClaimLost { id: ticket.id.clone() });
        }
        Ok(ClaimStatus { cancel_requested: self.read::<String>()? == "1" })
    }
}
