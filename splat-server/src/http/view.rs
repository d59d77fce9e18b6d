//! Jobs as clients see them.

use serde::Serialize;

use crate::gesture::{self, GestureSpec};
use crate::intake::PhotoEntry;
use crate::job::{Job, JobProblem, JobState, Progress, UnixMs};
use crate::scene::{SceneOptions, SceneSpec};

/// A job.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub(super) struct JobView {
    /// Its id.
    #[schema(example = "3vm0f6qk8e2c9x1r7t5y4w0zab")]
    pub id: String,
    /// `scene` or `gesture`.
    pub kind: String,
    /// Its title for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where it stands.
    #[schema(value_type = String, example = "running")]
    pub state: JobState,
    /// Jobs ahead of it, while it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_position: Option<u64>,
    /// Attempts so far.
    pub attempts: u32,
    /// Whether its owner has asked it to stop.
    pub cancel_requested: bool,
    /// When it was submitted, RFC 3339.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When a worker first took it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub started_at: Option<String>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub finished_at: Option<String>,
    /// When it and its files are removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub expires_at: Option<String>,
    /// How far it is.
    pub progress: Progress,
    /// What was chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<SceneOptions>,
    /// Its photos; left out in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub photos: Option<Vec<PhotoEntry>>,
    /// What is added to which model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gesture: Option<GestureView>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<JobProblem>,
    /// Figures of the finished job.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub result: Option<serde_json::Value>,
    /// Files that can be fetched.
    pub artifacts: Vec<ArtifactView>,
    /// Where to go on.
    pub links: Links,
}

/// A gesture that is added to a model.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub(super) struct GestureView {
    /// The model that grows: `base_v1`, or an id.
    pub parent: String,
    /// Name of the gesture.
    pub gesture: String,
    /// `world` or `image`.
    pub layout: String,
    /// Frames that were sent.
    pub frames: usize,
}

impl From<GestureSpec> for GestureView {
    fn from(spec: GestureSpec) -> Self {
        let (parent, layout) = (spec.parent.to_string(), spec.layout.to_string());
        Self { parent, gesture: spec.gesture, layout, frames: spec.frames }
    }
}

/// A file of a job.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub(super) struct ArtifactView {
    /// `scene.ply`, `preview.png` ...
    pub name: String,
    /// Size.
    pub bytes: u64,
    /// MIME type.
    pub content_type: String,
    /// Where it is.
    pub url: String,
}

/// Routes of a job.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Links {
    /// The job.
    #[serde(rename = "self")]
    pub this: String,
    /// Its events as they happen.
    pub events: String,
    /// Its log.
    pub log: String,
    /// Stops it.
    pub cancel: String,
    /// Does it again.
    pub retry: String,
}

impl JobView {
    /// The job as its owner sees it; `retention_ms` after its end it is removed.
    pub(super) fn of(job: Job, queue_position: Option<u64>, retention_ms: u64) -> Self {
        let this = format!("/v1/jobs/{}", job.id);
        let gesture: Option<GestureSpec> =
            (job.kind == gesture::KIND).then(|| serde_json::from_value(job.spec.clone()).ok()).flatten();
        let spec: Option<SceneSpec> =
            (job.kind == "scene").then(|| serde_json::from_value(job.spec).ok()).flatten();
        let (photos, options) = spec.map_or((None, None), |spec| (Some(spec.photos), Some(spec.options)));
        let artifacts = job.artifacts.into_iter().map(|artifact| ArtifactView {
            url: format!("{this}/artifacts/{}", artifact.name),
            name: artifact.name,
            bytes: artifact.bytes,
            content_type: artifact.content_type,
        });
        let mut progress = job.progress;
        if job.state == JobState::Succeeded {
            progress.percent = 100.0;
            progress.eta_s = None;
        }
        Self {
            id: job.id.to_string(),
            kind: job.kind,
            name: options.as_ref().and_then(|options| options.name.clone()),
            state: job.state,
            queue_position,
            attempts: job.attempts,
            cancel_requested: job.cancel_requested,
            created_at: rfc3339(job.created_ms),
            started_at: job.started_ms.map(rfc3339),
            finished_at: job.finished_ms.map(rfc3339),
            expires_at: job.finished_ms.map(|at| rfc3339(at + retention_ms)),
            progress,
            options,
            photos,
            gesture: gesture.map(GestureView::from),
            problem: job.problem,
            result: job.result,
            artifacts: artifacts.collect(),
            links: Links {
                events: format!("{this}/events"),
                log: format!("{this}/log"),
                cancel: format!("{this}/cancel"),
                retry: format!("{this}/retry"),
                this,
            },
        }
    }
}

/// The time as RFC 3339 in UTC, to the millisecond.
pub(super) fn rfc3339(at: UnixMs) -> String {
    let timestamp = jiff::Timestamp::from_millisecond(i64::try_from(at).unwrap_or(i64::MAX))
        .unwrap_or(jiff::Timestamp::MAX);
    format!("{timestamp:.3}")
}
