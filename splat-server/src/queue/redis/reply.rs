//! Parses jobs and events from Redis's responses.

use std::collections::BTreeMap;

use ::redis::Value;

use crate::job::{Job, JobEvent, JobId, JobKind, JobState, Lane, NewEvent, Notes, Owner};
use crate::queue::sqlite::{of_json, unknown};
use crate::queue::{ClaimStatus, QueueError, Result, Ticket, Usage};

/// Error for a response that the scripts cannot have written.
pub(crate) fn malformed(why: String) -> QueueError {
    QueueError::Malformed { why }
}

/// The elements of a list.
pub(super) fn items(value: Value) -> Result<Vec<Value>> {
    match value {
        Value::Array(items) => Ok(items),
        Value::Nil => Ok(Vec::new()),
        other => Err(malformed(format!("{other:?} is no list"))),
    }
}

/// The strings of a list.
pub(crate) fn texts(value: Value) -> Result<Vec<String>> {
    items(value)?.into_iter().map(text).collect()
}

/// A string in a response.
pub(super) fn text(value: Value) -> Result<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes).map_err(|error| malformed(error.to_string())),
        Value::SimpleString(text) => Ok(text),
        other => Err(malformed(format!("{other:?} is no text"))),
    }
}

/// Names and values, as returned by `HGETALL`.
pub(crate) fn pairs(value: Value) -> Result<Vec<(String, String)>> {
    // RESP3 has a map type for them.
    if let Value::Map(pairs) = value {
        return pairs.into_iter().map(|(name, value)| Ok((text(name)?, text(value)?))).collect();
    }
    let mut items = items(value)?.into_iter();
    let mut pairs = Vec::with_capacity(items.len() / 2);
    while let (Some(name), Some(value)) = (items.next(), items.next()) {
        pairs.push((text(name)?, text(value)?));
    }
    Ok(pairs)
}

pub(super) fn id(text: &str) -> Result<JobId> {
    text.parse().map_err(|_| unknown("job id", text))
}

/// The fields of a job's hash.
struct Fields<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Fields<'a> {
    fn maybe(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).copied()
    }

    fn text(&self, name: &str) -> Result<&'a str> {
        self.maybe(name).ok_or_else(|| malformed(format!("a job has no `{name}`")))
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> Result<T> {
        let text = self.text(name)?;
        text.parse().map_err(|_| malformed(format!("`{text}` is no number for `{name}`")))
    }

    fn maybe_number(&self, name: &str) -> Result<Option<u64>> {
        self.maybe(name).map(|_| self.number(name)).transpose()
    }
}

/// Parses a job's hash.
pub(super) fn job(pairs: &[(String, String)]) -> Result<Job> {
    let fields = Fields(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect());
    let kind = fields.text("kind")?;
    let lane = fields.text("lane")?;
    let state = fields.text("state")?;
    // Names begin with a four-digit sequence number.
    let mut artifacts: Vec<&str> = pairs
        .iter()
        .filter(|(name, _)| name.starts_with("artifact:"))
        .map(|(_, value)| value.as_str())
        .collect();
    artifacts.sort_unstable();
    let mut job = Job {
        id: id(fields.text("id")?)?,
        owner: Owner(fields.text("owner")?.to_owned()),
        kind: JobKind::from_name(kind).ok_or_else(|| unknown("kind of job", kind))?,
        lane: Lane::from_name(lane).ok_or_else(|| unknown("lane", lane))?,
        priority: fields.number("priority")?,
        state: JobState::from_name(state).ok_or_else(|| unknown("state", state))?,
        attempts: fields.number("attempts")?,
        max_attempts: fields.number("max_attempts")?,
        cancel_requested: fields.text("cancel_requested")? == "1",
        created_ms: fields.number("created_ms")?,
        updated_ms: fields.number("updated_ms")?,
        started_ms: fields.maybe_number("started_ms")?,
        finished_ms: fields.maybe_number("finished_ms")?,
        run_after_ms: fields.number("run_after_ms")?,
        spec: of_json(fields.text("spec")?)?,
        progress: of_json(fields.text("progress")?)?,
        result: fields.maybe("result").map(of_json).transpose()?,
        artifacts: artifacts
            .into_iter()
            .map(|artifact| of_json(artifact.get(4..).unwrap_or_default()))
            .collect::<Result<_>>()?,
        problem: fields.maybe("problem").map(of_json).transpose()?,
        bytes: fields.maybe_number("bytes")?.unwrap_or(0),
        notes: Notes {
            name: fields.maybe("title").map(str::to_owned),
            pinned: fields.maybe("pinned") == Some("1"),
            share: fields.maybe("share").map(of_json).transpose()?,
        },
    };
    if job.state == JobState::Succeeded {
        // The scripts do not modify JSON.
        job.progress.percent = 100.0;
        job.progress.eta_s = None;
    }
    Ok(job)
}

/// Parses an entry of a job's event stream.
pub(super) fn event(entry: Value) -> Result<JobEvent> {
    let mut parts = items(entry)?.into_iter();
    let (Some(name), Some(fields)) = (parts.next(), parts.next()) else {
        return Err(malformed("an event is empty".into()));
    };
    let name = text(name)?;
    let sequence = name.split('-').next().and_then(|sequence| sequence.parse().ok());
    let pairs = pairs(fields)?;
    let fields = Fields(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect());
    let event: NewEvent = of_json(fields.text("e")?)?;
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

/// An owner's usage, as four numbers.
pub(super) fn usage(value: Value) -> Result<Usage> {
    let numbers = items(value)?.into_iter().map(|value| match value {
        Value::Int(number) => Ok(u64::try_from(number).unwrap_or(0)),
        other => Err(malformed(format!("{other:?} is no number"))),
    });
    let numbers: Vec<u64> = numbers.collect::<Result<_>>()?;
    let &[jobs_today, busy_ms_today, kept_jobs, kept_bytes] = &numbers[..] else {
        return Err(malformed("what an owner has used is no four numbers".into()));
    };
    Ok(Usage { jobs_today, busy_ms_today, kept_jobs, kept_bytes })
}

/// A script's response: a word, followed by its values.
pub(super) struct Answer {
    pub(super) word: String,
    value: Value,
}

impl Answer {
    pub(super) fn of(value: Value) -> Result<Self> {
        let mut items = items(value)?.into_iter();
        let word = items.next().ok_or_else(|| malformed("an answer is empty".into()))?;
        Ok(Self { word: text(word)?, value: items.next().unwrap_or(Value::Nil) })
    }

    pub(super) fn number(self) -> Result<u64> {
        match self.value {
            Value::Int(number) => Ok(u64::try_from(number).unwrap_or(0)),
            other => Err(malformed(format!("{other:?} is no number"))),
        }
    }

    pub(super) fn usage(self) -> Result<Usage> {
        usage(self.value)
    }

    pub(super) fn json<T: serde::de::DeserializeOwned>(self) -> Result<T> {
        of_json(&text(self.value)?)
    }

    pub(super) fn job(self) -> Result<Job> {
        job(&pairs(self.value)?)
    }

    pub(super) fn job_and_token(self) -> Result<(Job, u64)> {
        let pairs = pairs(self.value)?;
        let token = pairs.iter().find(|(name, _)| name == "token").and_then(|(_, token)| token.parse().ok());
        Ok((job(&pairs)?, token.ok_or_else(|| malformed("a claim has no token".into()))?))
    }

    /// Response to an owner's request: `none`, `state` or `job`.
    pub(super) fn job_of_owner(self) -> Result<Option<Job>> {
        match self.word.as_str() {
            "none" => Ok(None),
            "state" => {
                let state = text(self.value)?;
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
        Ok(ClaimStatus { cancel_requested: text(self.value)? == "1" })
    }
}
