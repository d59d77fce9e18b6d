//! What a job is: identity, owner, kind, state, progress and events.
//!
//! These types are stored by every queue and answered by the HTTP interface as they stand.

mod id;

use serde::{Deserialize, Serialize};
use splat_core::formats::Region;

pub(crate) use id::random_text;
pub use id::{JobId, NotAnId};

/// Milliseconds since 1970 (UTC).
pub type UnixMs = u64;

/// Whose job it is: the id of an API key, or [`Owner::local`] where the service runs without keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Owner(pub String);

impl Owner {
    /// The owner of everything on a service without keys.
    #[must_use]
    pub fn local() -> Self {
        Self("local".into())
    }

    /// The owner of gestures of Ghostouch clients without a key, where such are let in beside keys.
    #[must_use]
    pub fn legacy() -> Self {
        Self("legacy".into())
    }
}

/// What a job makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// A scene of photos.
    Scene,
    /// A gesture, added to a model.
    Gesture,
    /// A message to a receiver; the service's own job, which no client sees.
    #[serde(skip_deserializing)]
    Webhook,
}

splat_core::words! { JobKind:
    Scene = "scene", "A scene of photos";
    Gesture = "gesture", "A gesture, added to a model";
    Webhook = "webhook", "A message to a receiver";
}

/// Work of different kinds waits in different lines, so that a scene of hours never delays a gesture of seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// Scenes: COLMAP and training.
    Scene,
    /// Short work on the processor: gestures.
    Cpu,
    /// Messages to receivers, which may be slow or gone.
    Webhook,
}

splat_core::words! { Lane:
    Scene = "scene", "Scenes: COLMAP and training";
    Cpu = "cpu", "Short work on the processor: gestures";
    Webhook = "webhook", "Messages to receivers";
}

/// Where a job stands.
///
/// `Queued -> Running -> Succeeded | Failed | Cancelled | Dead`; a lost worker or a failure that may pass leads back to
/// `Queued`, and a retry that the owner asks for leads back from the last four.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waits for a worker, perhaps until `run_after_ms`.
    Queued,
    /// A worker holds it.
    Running,
    /// Done; the artefacts are there.
    Succeeded,
    /// Could not be done; `problem` says why.
    Failed,
    /// Its owner cancelled it.
    Cancelled,
    /// Its workers died too often; it will not be tried again by itself.
    Dead,
}

splat_core::words! { JobState:
    Queued = "queued", "Waits for a worker";
    Running = "running", "A worker holds it";
    Succeeded = "succeeded", "Done";
    Failed = "failed", "Could not be done";
    Cancelled = "cancelled", "Cancelled by its owner";
    Dead = "dead", "Its workers died too often";
}

impl JobState {
    /// Whether nothing more happens by itself.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled | Self::Dead)
    }
}

/// Why a job failed, for its owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct JobProblem {
    /// A word for programs: `no_reconstruction`, `timed_out`, `attempts_exhausted` ...
    pub code: String,
    /// What happened and why, in a sentence or two.
    pub message: String,
    /// What to try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// How far a job is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Progress {
    /// What is being done: a stage of the pipeline, in snake case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// 0 to 100, over all stages.
    pub percent: f64,
    /// Seconds left, where an honest guess is possible.
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
    /// PSNR in dB on held-out photos, when last measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub psnr: Option<f64>,
    /// Current number of Gaussians.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gaussians: Option<u32>,
}

/// A file that a job made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// The name in its URL: `scene.ply`, `preview.png`.
    pub name: String,
    /// Path below the job's folder, with `/`; chosen by the service, never by a client.
    pub path: String,
    /// Size in bytes.
    pub bytes: u64,
    /// MIME type.
    pub content_type: String,
}

/// A job as the queue keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Id of the job.
    pub id: JobId,
    /// The key's owner who submitted it.
    pub owner: Owner,
    /// What the job makes.
    pub kind: JobKind,
    /// In which line it waits.
    pub lane: Lane,
    /// Higher goes first.
    pub priority: i32,
    /// State of the job.
    pub state: JobState,
    /// Workers that have held it and not given it back in order.
    pub attempts: u32,
    /// Attempts after which it is dead.
    pub max_attempts: u32,
    /// Whether its owner has asked a running job to stop.
    pub cancel_requested: bool,
    /// When it was submitted.
    pub created_ms: UnixMs,
    /// When anything of it last changed.
    pub updated_ms: UnixMs,
    /// When a worker first took it.
    pub started_ms: Option<UnixMs>,
    /// When it came to its end.
    pub finished_ms: Option<UnixMs>,
    /// Not before this time (backoff after a failure that may pass).
    pub run_after_ms: UnixMs,
    /// What is to be done; the worker of its kind reads it.
    pub spec: serde_json::Value,
    /// Progress of the job.
    pub progress: Progress,
    /// What came of it; `None` before success.
    pub result: Option<serde_json::Value>,
    /// Files made so far.
    pub artifacts: Vec<Artifact>,
    /// Why it failed.
    pub problem: Option<JobProblem>,
    /// Bytes that are kept of it.
    pub bytes: u64,
    /// What its owner has said of it since; no attempt changes it.
    pub notes: Notes,
}

/// What an owner says of a job at any time, whatever state it is in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Notes {
    /// A title for people, in place of the one that it was submitted with.
    pub name: Option<String>,
    /// It does not expire.
    pub pinned: bool,
    /// The scene is shown to whoever has this link.
    pub share: Option<Share>,
}

/// A link that shows one scene.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// Who knows it sees the scene.
    pub secret: JobId,
    /// When the link was made.
    pub created_ms: UnixMs,
    /// How much of the scene is shown.
    #[serde(flatten)]
    pub cut: Cut,
}

/// What is left out of a scene that is given away.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cut {
    /// Only what lies in this region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
    /// Gaussians that float alone or hide everything go.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub drop_floaters: bool,
}

/// A change of [`Notes`]; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Change {
    /// The title; `Some(None)` goes back to the one that it was submitted with.
    pub name: Option<Option<String>>,
    /// Whether it does not expire.
    pub pinned: Option<bool>,
    /// The link; `Some(None)` revokes it.
    pub share: Option<Option<Share>>,
}

impl Change {
    /// The notes after it.
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

/// What is submitted.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Chosen by the submitter, since files may lie under it already.
    pub id: JobId,
    /// The key's owner who submitted it.
    pub owner: Owner,
    /// What the job makes.
    pub kind: JobKind,
    /// In which line it waits.
    pub lane: Lane,
    /// Higher goes first.
    pub priority: i32,
    /// Attempts after which it is dead; at least 1.
    pub max_attempts: u32,
    /// What is to be done.
    pub spec: serde_json::Value,
    /// Bytes that lie in the store for it already.
    pub bytes: u64,
    /// With the same key and fingerprint, the owner gets the first job again.
    pub idempotency: Option<Idempotency>,
}

/// A client's idempotency key and what it stood for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// The client's text; unique per owner.
    pub key: String,
    /// Hash of the request; another one under the same key is refused.
    pub fingerprint: String,
}

/// Something that happened to a job.
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
    /// A sentence for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// More for programs, by kind.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub data: serde_json::Value,
}

/// An event before the queue has numbered it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NewEvent {
    /// See [`JobEvent::kind`].
    pub kind: String,
    /// The stage it belongs to.
    pub stage: Option<String>,
    /// 0 to 100, over all stages.
    pub percent: f64,
    /// A sentence for people.
    pub message: String,
    /// More for programs, by kind.
    pub data: serde_json::Value,
}
