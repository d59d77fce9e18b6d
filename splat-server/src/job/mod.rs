//! Types of a job: id, owner, kind, state, progress and events.
//!
//! Queues store these types, and the HTTP API returns them unchanged.

mod id;

use serde::{Deserialize, Serialize};
use splat_core::formats::Region;

use crate::code::Code;

pub(crate) use id::random_text;
pub use id::{JobId, NotAnId};

/// Milliseconds since 1970 (UTC).
pub type UnixMs = u64;

/// Owner of a job: the id of an API key, or [`Owner::local`] if the service runs without keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Owner(pub String);

impl Owner {
    /// The owner of everything on a service without keys.
    #[must_use]
    pub fn local() -> Self {
        Self("local".into())
    }

    /// The owner of gestures of Ghostouch clients without a key, on a service that uses keys but admits them.
    #[must_use]
    pub fn legacy() -> Self {
        Self("legacy".into())
    }
}

splat_core::words! {
    /// What a job does.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
    #[serde(rename_all = "snake_case")]
    pub enum JobKind {
        Scene = "scene", "Reconstructs a scene from photos";
        Gesture = "gesture", "Adds a gesture to a model";
        #[serde(skip_deserializing)]
        Webhook = "webhook", "Delivers a webhook; internal, not visible to clients";
    }
}

splat_core::words! {
    /// Queues of different kinds of work, so that a scene of hours never delays a gesture of seconds.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Lane {
        Scene = "scene", "Scenes: COLMAP and training";
        Cpu = "cpu", "Short work on the CPU: gestures";
        Webhook = "webhook", "Webhooks, whose receivers may be slow or unreachable";
    }
}

splat_core::words! {
    /// State of a job.
    ///
    /// `Queued -> Running -> Succeeded | Failed | Cancelled | Dead`. A lost worker or a temporary failure leads back to `Queued`, and
    /// so does a retry by the owner from the last four.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
    #[serde(rename_all = "snake_case")]
    pub enum JobState {
        Queued = "queued", "Waits for a worker";
        Running = "running", "A worker holds it";
        Succeeded = "succeeded", "Done";
        Failed = "failed", "Could not be done";
        Cancelled = "cancelled", "Cancelled by its owner";
        Dead = "dead", "Its workers died too often";
    }
}

impl JobState {
    /// Whether the state does not change without a request.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled | Self::Dead)
    }
}

/// Why a job failed, for its owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct JobProblem {
    /// Code for programs: `no_reconstruction`, `timed_out`, `attempts_exhausted` ...
    pub code: String,
    /// What happened and why, in a sentence or two.
    pub message: String,
    /// What to try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Why a gesture was refused, for programs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
}

impl JobProblem {
    /// Creates a problem without a hint.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code: code.name().to_owned(), message: message.into(), hint: None, reasons: Vec::new() }
    }

    /// Sets what to try.
    #[must_use]
    pub fn hint(self, hint: Option<&str>) -> Self {
        Self { hint: hint.map(str::to_owned), ..self }
    }

    /// Sets the reasons for programs.
    #[must_use]
    pub fn because(self, reasons: impl IntoIterator<Item = splat_gesture::Reason>) -> Self {
        Self { reasons: reasons.into_iter().map(Reason::from).collect(), ..self }
    }
}

/// Why a gesture was refused, or what to know about its model: more precise than a code, with the values of the sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Reason {
    /// What it is: `too_few_frames`, `look_alike` ...
    pub code: String,
    /// The values, by name; shares are in percent.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    #[schema(value_type = Object)]
    pub params: serde_json::Map<String, serde_json::Value>,
}

impl From<splat_gesture::Reason> for Reason {
    fn from(splat_gesture::Reason { code, params }: splat_gesture::Reason) -> Self {
        Self { code, params }
    }
}

/// Progress of a job.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Progress {
    /// Current stage of the pipeline, in snake case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// 0 to 100, over all stages.
    pub percent: f64,
    /// Estimated seconds left, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta_s: Option<f64>,
    /// Training steps done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u32>,
    /// Training steps planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u32>,
    /// Training loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<f32>,
    /// PSNR in dB on held-out photos, as of the last evaluation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub psnr: Option<f64>,
    /// Current number of Gaussians.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gaussians: Option<u32>,
}

/// A file that a job made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Its name in URLs: `scene.ply`, `preview.png`.
    pub name: String,
    /// Path below the job's folder, with `/`; chosen by the service, never by a client.
    pub path: String,
    /// Size in bytes.
    pub bytes: u64,
    /// MIME type.
    pub content_type: String,
}

/// A job as stored by the queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Id of the job.
    pub id: JobId,
    /// Owner of the key it was submitted with.
    pub owner: Owner,
    /// What the job makes.
    pub kind: JobKind,
    /// The queue it waits in.
    pub lane: Lane,
    /// Jobs with higher priority are claimed first.
    pub priority: i32,
    /// State of the job.
    pub state: JobState,
    /// Number of claims, without those that were released in order.
    pub attempts: u32,
    /// Attempts after which it becomes [`JobState::Dead`].
    pub max_attempts: u32,
    /// Whether cancellation was requested while it ran.
    pub cancel_requested: bool,
    /// When it was submitted.
    pub created_ms: UnixMs,
    /// When it last changed.
    pub updated_ms: UnixMs,
    /// When a worker first took it.
    pub started_ms: Option<UnixMs>,
    /// When it ended.
    pub finished_ms: Option<UnixMs>,
    /// Not claimed before this time (backoff after a temporary failure).
    pub run_after_ms: UnixMs,
    /// What to do, as read by the worker of its kind.
    pub spec: serde_json::Value,
    /// Progress of the job.
    pub progress: Progress,
    /// Its result; `None` before success.
    pub result: Option<serde_json::Value>,
    /// Files made so far.
    pub artifacts: Vec<Artifact>,
    /// Why it failed.
    pub problem: Option<JobProblem>,
    /// Bytes stored for it.
    pub bytes: u64,
    /// Set by its owner; attempts do not change it.
    pub notes: Notes,
}

/// Properties that the owner can set in any state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Notes {
    /// Title for display, instead of the one it was submitted with.
    pub name: Option<String>,
    /// Whether it never expires.
    pub pinned: bool,
    /// The share link of the scene.
    pub share: Option<Share>,
}

/// A share link of one scene.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// Secret of the link: anyone who knows it can see the scene.
    pub secret: JobId,
    /// When the link was made.
    pub created_ms: UnixMs,
    /// Which part of the scene is shown.
    #[serde(flatten)]
    pub cut: Cut,
}

/// Which part of a scene is exported.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cut {
    /// Only Gaussians in this region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
    /// Removes isolated Gaussians and those that hide the scene.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub drop_floaters: bool,
}

/// A change of [`Notes`]; `None` leaves a field unchanged.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Change {
    /// The title; `Some(None)` restores the one it was submitted with.
    pub name: Option<Option<String>>,
    /// Whether it never expires.
    pub pinned: Option<bool>,
    /// The link; `Some(None)` revokes it.
    pub share: Option<Option<Share>>,
}

impl Change {
    /// Applies the change.
    pub(crate) fn apply(self, notes: &mut Notes) {
        if let Some(name) = self.name {
            notes.name = name;
        }
        if let Some(pinned) = self.pinned {
            notes.pinned = pinned;
        }
        if let Some(share) = self.share {
            notes.share = share;
        }
    }
}

/// A job to be submitted.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Chosen by the submitter, since its files are stored under this id first.
    pub id: JobId,
    /// Owner of the key it was submitted with.
    pub owner: Owner,
    /// What the job does.
    pub kind: JobKind,
    /// The queue it waits in.
    pub lane: Lane,
    /// Jobs with higher priority are claimed first.
    pub priority: i32,
    /// Attempts after which it becomes [`JobState::Dead`]; at least 1.
    pub max_attempts: u32,
    /// What to do.
    pub spec: serde_json::Value,
    /// Bytes already stored for it.
    pub bytes: u64,
    /// If set, a submission with the same key and fingerprint returns the first job.
    pub idempotency: Option<Idempotency>,
}

/// A client's idempotency key, and the request it was used for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// The client's text; unique per owner.
    pub key: String,
    /// Hash of the request; a different request with the same key is rejected.
    pub fingerprint: String,
}

/// An event of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobEvent {
    /// Counts from 1 within the job, without gaps.
    pub sequence: u64,
    /// Time of the event.
    pub at_ms: UnixMs,
    /// `state`, `stage`, `progress`, `warning`, `placed`, `eval`, `artifact`, `preview`.
    pub kind: String,
    /// The stage it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// 0 to 100, over all stages.
    pub percent: f64,
    /// Sentence for display.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Further data for programs, depending on the kind.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub data: serde_json::Value,
}

/// An event that the queue has not numbered yet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NewEvent {
    /// See [`JobEvent::kind`].
    pub kind: String,
    /// The stage it belongs to.
    pub stage: Option<String>,
    /// 0 to 100, over all stages.
    pub percent: f64,
    /// Sentence for display.
    pub message: String,
    /// Further data for programs, depending on the kind.
    pub data: serde_json::Value,
}
