//! Jobs as represented in the API.

use serde::Serialize;

use super::document::LayoutWord;
use super::shares::ShareView;
use crate::config::Config;
use crate::gesture::GestureSpec;
use crate::intake::PhotoEntry;
use crate::job::{Job, JobKind, JobProblem, JobState, Progress, UnixMs};
use crate::scene::{SceneOptions, SceneSpec};

/// A job as its owner sees it.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub(super) struct JobView {
    /// Id of the job.
    #[schema(example = "3vm0f6qk8e2c9x1r7t5y4w0zab")]
    pub id: String,
    /// What the job makes.
    pub kind: JobKind,
    /// Title for display.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// State of the job.
    #[schema(example = "running")]
    pub state: JobState,
    /// Jobs ahead of it in the queue, while it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_position: Option<u64>,
    /// Attempts so far.
    pub attempts: u32,
    /// Whether its cancellation was requested.
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
    /// Whether it is kept until it is deleted.
    pub pinned: bool,
    /// When it and its files are removed; absent if it is pinned.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub expires_at: Option<String>,
    /// Progress of the job.
    pub progress: Progress,
    /// Options of the scene.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<SceneOptions>,
    /// Its photos; omitted in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub photos: Option<Vec<PhotoEntry>>,
    /// Of a gesture job: what is added to which model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gesture: Option<GestureView>,
    /// Why the job failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<JobProblem>,
    /// Results of the finished job.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub result: Option<serde_json::Value>,
    /// Bytes stored for it.
    pub bytes: u64,
    /// Number of its photos.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub photo_count: Option<usize>,
    /// Its share link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<ShareView>,
    /// Its owner, in the operator's list of all jobs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<OwnerView>,
    /// Files that can be fetched.
    pub artifacts: Vec<ArtifactView>,
    /// Routes of this job.
    pub links: Links,
}

/// An owner of jobs.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub(super) struct OwnerView {
    /// The id of the key, or `local` for those without one.
    pub id: String,
    /// The key's name.
    pub name: String,
}

/// A gesture to be added to a model.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub(super) struct GestureView {
    /// The model to extend: `base_v1`, or an id.
    pub parent: String,
    /// Name of the gesture.
    pub gesture: String,
    /// What the coordinates mean.
    #[schema(value_type = LayoutWord)]
    pub layout: String,
    /// Frames in the recording.
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
    /// Size in bytes.
    pub bytes: u64,
    /// MIME type.
    pub content_type: String,
    /// URL of the file.
    pub url: String,
}

/// Routes of a job.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Links {
    /// URL of the job.
    #[serde(rename = "self")]
    pub this: String,
    /// Its events as they happen.
    pub events: String,
    /// URL of the job's log.
    pub log: String,
    /// URL that cancels the job.
    pub cancel: String,
    /// URL that retries the job.
    pub retry: String,
    /// Scenes only: URL of live views while it trains.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub look: Option<String>,
    /// Scenes only: URL that creates a share link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<String>,
    /// Scenes only: prefix of the scene's URLs; append the name of a format.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scene: Option<String>,
    /// Scenes only: prefix of `photos.zip`, `dataset.zip` and `everything.zip`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archives: Option<String>,
}

/// Settings of the service that views of jobs depend on.
#[derive(Clone, Debug)]
pub(super) struct ViewContext {
    /// Prefix of URLs, see [`Config::base_url`].
    pub(super) base: String,
    /// A job is removed this long after its end.
    pub(super) retention_ms: u64,
}

impl ViewContext {
    pub(super) fn of(config: &Config) -> Self {
        Self { base: config.base_url().to_owned(), retention_ms: config.retention_ms() }
    }
}

impl JobView {
    /// The job as its owner sees it.
    pub(super) fn of(job: Job, queue_position: Option<u64>, context: &ViewContext) -> Self {
        let this = format!("{}/v1/jobs/{}", context.base, job.id);
        let name = name_of(&job);
        let of_scene = |rest: &str| (job.kind == JobKind::Scene).then(|| format!("{this}/{rest}"));
        let (look, share) = (of_scene("look"), of_scene("share"));
        let (scene, archives) = (of_scene("scene"), of_scene("archives"));
        let gesture: Option<GestureSpec> =
            (job.kind == JobKind::Gesture).then(|| serde_json::from_value(job.spec.clone()).ok()).flatten();
        let spec: Option<SceneSpec> =
            (job.kind == JobKind::Scene).then(|| serde_json::from_value(job.spec).ok()).flatten();
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
            name,
            pinned: job.notes.pinned,
            bytes: job.bytes,
            photo_count: photos.as_ref().map(Vec::len),
            share: job.notes.share.as_ref().map(|share| ShareView::of(share, &context.base)),
            owner: None,
            state: job.state,
            queue_position,
            attempts: job.attempts,
            cancel_requested: job.cancel_requested,
            created_at: rfc3339(job.created_ms),
            started_at: job.started_ms.map(rfc3339),
            finished_at: job.finished_ms.map(rfc3339),
            expires_at: job
                .finished_ms
                .filter(|_| !job.notes.pinned)
                .map(|at| rfc3339(at + context.retention_ms)),
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
                look,
                share,
                scene,
                archives,
                this,
            },
        }
    }
}

/// A job's title for display: the owner's latest.
pub(super) fn name_of(job: &Job) -> Option<String> {
    let submitted =
        || job.spec.pointer("/options/name").and_then(serde_json::Value::as_str).map(str::to_owned);
    job.notes.name.clone().or_else(submitted)
}

/// The time as RFC 3339 in UTC, to the millisecond.
pub(super) fn rfc3339(at: UnixMs) -> String {
    let timestamp = jiff::Timestamp::from_millisecond(i64::try_from(at).unwrap_or(i64::MAX))
        .unwrap_or(jiff::Timestamp::MAX);
    format!("{timestamp:.3}")
}
