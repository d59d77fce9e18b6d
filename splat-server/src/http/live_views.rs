//! Live views of a scene in training, from a camera that the client chooses.

use std::time::Duration;

use axum::Json;
use axum::extract::{Extension, Path, Request, State};
use tokio::time::{Instant, sleep};

use super::auth::Caller;
use super::jobs::owned;
use super::problem::{Problem, Result};
use super::{App, MAX_JSON_BYTES, json};
use crate::code::Code;
use crate::job::{Job, JobId, JobKind, JobState};
use crate::look::{LookOptions, LookView};
use crate::queue::{QUESTION_KEPT, Question};

/// Interval between checks for the answer.
const LOOK_EVERY: Duration = Duration::from_millis(30);
/// The stage, as in a job's progress, during which a scene can be viewed.
const TRAINING: &str = "train";

/// View a scene while it trains
///
/// Returns a picture of the scene's current state from the client's camera; without a body, from the camera of the previews. The
/// response includes the camera and the point to orbit around. Rendering takes at most a few per cent of the training time, so
/// wait for each picture before requesting the next, and request smaller ones while the camera moves.
#[utoipa::path(
    post, path = "/v1/jobs/{id}/look", tag = "jobs", operation_id = "look_at_job", params(("id" = String, Path, description = "The job")),
    request_body(content = Option<LookOptions>, content_type = "application/json"),
    responses(
        (status = 200, description = "The picture", body = LookView),
        (status = 400, description = "The body cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such job", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "No scene is being trained", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "No such camera", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn look(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<LookView>> {
    let body = json::body(request, MAX_JSON_BYTES).await?;
    let look: LookOptions = json::optional(&body)?;
    look.read().map_err(Problem::invalid)?;
    let job = owned(&app, &caller, &id).await?;
    check_training(&job)?;
    let text = serde_json::to_string(&look).map_err(|error| Problem::internal(&error))?;
    let question = Question { id: JobId::random(), text };
    app.queue.ask(&job.id, question.clone()).await?;
    let begun = Instant::now();
    while begun.elapsed() < QUESTION_KEPT {
        sleep(LOOK_EVERY).await;
        if let Some(answer) = app.queue.take_answer(&question.id).await? {
            return serde_json::from_str(&answer).map(Json).map_err(|error| Problem::internal(&error));
        }
    }
    // The job may have ended in the meantime.
    check_training(&owned(&app, &caller, &id).await?)?;
    let detail = "the scene is being measured or saved just now, or many look at it; ask again";
    Err(Problem::new(axum::http::StatusCode::SERVICE_UNAVAILABLE, Code::Busy, detail).retry_after(1))
}

fn check_training(job: &Job) -> Result<()> {
    let trains = job.state == JobState::Running
        && job.kind == JobKind::Scene
        && job.progress.stage.as_deref() == Some(TRAINING);
    if trains {
        return Ok(());
    }
    let detail = match (job.state, &job.progress.stage) {
        (JobState::Running, Some(stage)) => {
            format!("the job is at the stage `{stage}`, and only a scene in training can be looked at")
        }
        (state, _) => format!("the job is {}, and only a scene in training can be looked at", state.name()),
    };
    Err(Problem::conflict(Code::NotTraining, detail))
}
