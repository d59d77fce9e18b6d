//! Adding a gesture to a model: parses, checks and submits the job.

use serde::Deserialize;
use sha2::{Digest, Sha256};
use splat_gesture::{Layout, Reason, Recording};

use super::auth::Caller;
use super::document::{GestureWord, LayoutWord};
use super::problem::{Problem, Result};
use super::{App, json};
use crate::gesture::{self, GestureOptions, GestureSpec, ModelCode, RECORDING};
use crate::job::{Idempotency, JobId, JobKind, Lane, NewJob};
use crate::queue::{Admission, Submitted};
use crate::scene::Faults;
use crate::webhook;

/// Maximum bytes of a recording as JSON: 600 frames of 64 numbers of 22 characters are 850 KB, and some clients indent each
/// number.
pub(super) const MAX_BYTES: usize = 4 << 20;

/// A gesture to be added to a model.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewGesture {
    /// `gesture`.
    #[schema(value_type = GestureWord)]
    #[expect(dead_code, reason = "looked at before the rest is read")]
    kind: String,
    /// The model to extend: `base_v1`, or the id of an earlier result.
    #[serde(default)]
    #[schema(default = "base_v1")]
    parent: Option<String>,
    /// Name of the new gesture: 1 to 20 characters, none of `/ \ : * ? " < > |`.
    #[schema(min_length = 1, max_length = 20, example = "thumbs up")]
    gesture: String,
    /// 40 to 600 frames (clients send 100) of 64 numbers each: 21 landmarks of x, y, z, then the handedness (0 left, 1 right, -1
    /// unknown). Up to a tenth of the frames may show no hand: they are dropped, and the result's `notes` report it.
    #[schema(value_type = Vec<Vec<f32>>, min_items = 40, max_items = 600)]
    landmarks: Vec<Vec<f32>>,
    /// What the coordinates mean: `world` (metres) or `image` (fractions of the picture).
    #[serde(default)]
    #[schema(value_type = Option<LayoutWord>, default = "world")]
    layout: Option<Layout>,
    /// Seed of the synthetic hands that the model is evaluated on.
    #[serde(default)]
    seed: Option<u32>,
    /// Publish a gesture even if it is easily confused with another one; the report gives how often that happens.
    #[serde(default)]
    accept_look_alikes: bool,
    /// URL to notify when the job has ended.
    #[serde(default)]
    #[schema(max_length = 2000)]
    webhook: Option<String>,
    /// Test mode only: `stage_ms` is the wait before training.
    #[serde(default)]
    test: Option<Faults>,
}

/// A validated request.
#[derive(Debug)]
pub(super) struct GestureOrder {
    pub(super) parent: ModelCode,
    pub(super) recording: Recording,
    pub(super) seed: u64,
    pub(super) options: GestureOptions,
}

impl NewGesture {
    /// Parses and validates a request.
    pub(super) fn order(app: &App, body: &[u8]) -> Result<GestureOrder> {
        let request: Self = json::read(body)?;
        if request.test.is_some() && !app.config.test_mode {
            return Err(Problem::invalid(
                "`test` is taken only by a server that was started with --test-mode",
            ));
        }
        if let Some(url) = &request.webhook {
            webhook::check(&app.config, url).map_err(Problem::invalid)?;
        }
        let parent = model_code(request.parent.as_deref().unwrap_or(gesture::BASE_CODE), "parent")?;
        let layout = request.layout.unwrap_or(Layout::World);
        let recording = Recording::new(&request.gesture, layout, &request.landmarks)?;
        let options = GestureOptions {
            webhook: request.webhook,
            accept_look_alikes: request.accept_look_alikes,
            test: request.test,
        };
        Ok(GestureOrder { parent, recording, seed: request.seed.unwrap_or(0).into(), options })
    }
}

/// The model that a text names.
pub(super) fn model_code(text: &str, field: &str) -> Result<ModelCode> {
    text.parse().map_err(|_| {
        Problem::invalid(format!("`{field}` names no model: it is `base_v1`, or the id of an earlier result"))
    })
}

/// Submits the job. Nothing is stored unless all checks pass.
pub(super) async fn submit(
    app: &App,
    caller: &Caller,
    order: GestureOrder,
    admission: Admission,
    key: Option<String>,
) -> Result<Submitted> {
    let GestureOrder { parent, recording, seed, options } = order;
    let summary = app.models.summary(&caller.owner, &parent).await?;
    summary.check(recording.name(), recording.layout())?;
    app.check_room()?;
    let bytes = gesture::to_bytes(&recording);
    let idempotency = key.map(|key| {
        let mut hash = Sha256::new();
        for part in [
            parent.to_string(),
            recording.name().to_owned(),
            recording.layout().to_string(),
            seed.to_string(),
            options.accept_look_alikes.to_string(),
        ] {
            hash.update(part);
            hash.update([0]);
        }
        hash.update(&bytes);
        Idempotency { key, fingerprint: hex::encode(hash.finalize()) }
    });
    let spec = GestureSpec {
        parent,
        gesture: recording.name().to_owned(),
        layout: recording.layout(),
        frames: recording.frames().len(),
        left_out: recording.left_out().map(str::to_owned),
        remark: Reason::of_left_out(&recording),
        seed,
        secret: JobId::random(),
        options,
    };
    let id = app.begin_job().await?;
    let job = NewJob {
        id: id.clone(),
        owner: caller.owner.clone(),
        kind: JobKind::Gesture,
        lane: Lane::Cpu,
        priority: 0,
        max_attempts: app.config.max_attempts,
        spec: serde_json::to_value(&spec).map_err(|error| Problem::internal(&error))?,
        bytes: bytes.len() as u64,
        idempotency,
    };
    // The recording first, so that every queued job has it. Files without a job are swept.
    app.store.put_bytes(&id, RECORDING, bytes.into()).await?;
    app.enqueue(job, admission).await
}
