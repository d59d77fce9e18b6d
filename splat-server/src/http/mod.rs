//! The HTTP interface: thin over queue, store and intake.
//!
//! | module | routes |
//! | --- | --- |
//! | `create` | `POST /v1/jobs` |
//! | `jobs` | list, look at, cancel, retry and delete jobs |
//! | `events`, `hub` | `GET /v1/jobs/{id}/events`: one look at the queue a job, however many watch |
//! | `looks` | a look at a scene while it trains |
//! | `artifacts`, `archives` | files of a job, its log; many files as one zip |
//! | `exports` | the scene in other forms, whole or cut |
//! | `notes`, `shares` | a job's name, pin and link; what a link shows |
//! | `usage` | what a caller has used and may use |
//! | `uploads` | resumable uploads, tus 1.0 |
//! | `gesture_jobs` | a gesture to be added to a model, for `POST /v1/jobs` and `/train` |
//! | `gestures` | gesture models: list, look at, rename, delete |
//! | `ghostouch` | `POST /train`, `GET /status/{task_id}`: gestures as Ghostouch clients ask for them |
//! | `refusals` | what `/train` refuses, as tasks that have failed |
//! | `process_images` | `POST /process_images`: photos in, PLY out, in one request |
//! | `options` | options of a scene as texts, in the OpenAPI document and for forms |
//! | `part_headers` | part headers of forms, within a limit |
//! | `info` | what the service is, health, metrics, OpenAPI |
//! | `pages` | the web page |
//! | `auth`, `site` | who asks and how often; from where, and from which web page |
//! | `json`, `document` | JSON bodies in, the OpenAPI document out |
//! | `problem` | errors, RFC 9457, in plain words |
//! | `drain_body` | reads on what a handler left of a body, so that the client gets its answer |
//!
//! Start at [`router`].

mod archives;
mod artifacts;
mod auth;
mod cors;
mod create;
mod document;
mod drain_body;
mod events;
mod exports;
mod gesture_jobs;
mod gestures;
mod ghostouch;
mod hub;
mod info;
mod jobs;
mod json;
mod looks;
mod notes;
mod observe;
mod options;
mod pages;
mod part_headers;
mod problem;
mod process_images;
mod refusals;
mod shares;
mod site;
mod uploads;
mod usage;
mod view;

pub(crate) use pages::respond;
pub(crate) use site::is_local_name;

use std::ops::Deref;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::header::{HeaderName, HeaderValue, LOCATION};
use axum::http::{StatusCode, Uri};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use tower::ServiceExt as _;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use problem::Problem;

use crate::export::Exporter;
use crate::intake::IntakeError;
use crate::job::{JobId, NewJob, Owner};
use crate::parts::Parts;
use crate::queue::{Admission, QueueError, Quota, Submitted};
use crate::runner::GpuKind;
use cors::cors;
use hub::Hub;
use observe::observe;

/// Bytes of a JSON body: options and a list of uploads.
const MAX_JSON_BYTES: usize = 256 << 10;
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What every handler has at hand. Every layer of every request clones it, so it is one pointer.
#[derive(Clone, Debug)]
pub struct App(Arc<Shared>);

/// The service's [`Parts`], and what only requests need.
#[derive(Debug)]
pub struct Shared {
    parts: Parts,
    exporter: Exporter,
    /// What scenes are trained on, once it is known; `None` where it is not found out.
    gpu: OnceLock<Option<GpuKind>>,
    hub: Hub,
    gate: auth::Gate,
}

impl Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Deref for Shared {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

impl App {
    /// The application over its parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let hub = Hub::new(Arc::clone(&parts.queue), view::ViewContext::of(&parts.config));
        let gate = auth::Gate::new(&parts.config, parts.keys.clone());
        let exporter = Exporter::new(parts.store.clone(), parts.intake.clone());
        Self(Arc::new(Shared { parts, exporter, gpu: OnceLock::new(), hub, gate }))
    }

    /// Notes what scenes are trained on, for the page.
    pub(crate) fn learn_gpu(&self, gpu: Option<GpuKind>) {
        // Only the first answer counts.
        let _ = self.gpu.set(gpu);
    }

    /// Looks after itself until the process ends: rate limits forget who has been quiet.
    pub(crate) async fn housekeeping(self) {
        loop {
            tokio::time::sleep(Duration::from_secs(60)).await;
            self.gate.forget_quiet();
        }
    }

    /// An error where the disk is as full as it may be.
    fn check_room(&self) -> problem::Result<()> {
        if self.store.free_bytes()? < self.intake.limits().disk_floor_bytes {
            return Err(IntakeError::NoRoom.into());
        }
        Ok(())
    }

    /// A new id, under which files can be stored for a job of this queue.
    async fn begin_job(&self) -> problem::Result<JobId> {
        let id = JobId::random();
        self.store.mark_taken(&id, &self.queue.identity().await?).await?;
        Ok(id)
    }

    /// Queues a job whose files lie in the store under an id of [`Self::begin_job`]; they go again where it is not made, or was made
    /// before.
    async fn enqueue(&self, job: NewJob, admission: Admission) -> problem::Result<Submitted> {
        let id = job.id.clone();
        let submitted = self.queue.submit(job, admission).await;
        match &submitted {
            Ok(Submitted { created: true, .. }) => {
                if let Err(error) = self.store.mark_submitted(&id).await {
                    tracing::warn!(%error, job = %id, "could not mark a job as submitted; the sweep will");
                }
            }
            // It may have been made all the same; the sweep sees whether.
            Err(QueueError::Unavailable { .. } | QueueError::Malformed { .. }) => {}
            _ => {
                if let Err(error) = self.store.delete_job(&id).await {
                    tracing::warn!(%error, job = %id, "could not delete the files of a rejected job; the sweep will");
                }
            }
        }
        Ok(submitted?)
    }

    /// Deletes a job that has ended. The record goes first, in one step that a retry beside it either follows or forbids; the queue
    /// remembers it, so that files that stay behind are swept. `false` where the owner has no such job.
    async fn delete_job(&self, owner: &Owner, id: &JobId) -> problem::Result<bool> {
        if self.queue.delete(owner, id).await?.is_none() {
            return Ok(false);
        }
        self.hub.changed(id);
        match self.store.delete_job(id).await {
            Ok(()) => tracing::info!(job = %id, "deleted a job and its files on its owner's request"),
            Err(error) => {
                tracing::warn!(%error, job = %id, "could not delete the files of a deleted job; the sweep will")
            }
        }
        Ok(true)
    }

    /// What this caller may have and use: an operator, and one person at their own machine, as much as they want.
    pub(super) fn quota(&self, caller: &auth::Caller) -> Quota {
        if caller.admin { Quota::NONE } else { self.config.quota() }
    }

    /// Limits that hold when this caller submits a job.
    pub(super) fn admission(&self, caller: &auth::Caller) -> Admission {
        Admission {
            quota: self.quota(caller),
            max_waiting: self.config.max_waiting,
            max_unfinished_per_owner: self.config.max_jobs_per_key.unwrap_or(if self.gate.keys_in_use() {
                20
            } else {
                // One person's own machine: the queue's length is limit enough. SQLite counts in signed numbers.
                u64::MAX >> 1
            }),
        }
    }
}

/// The routes of the native and the compatible interface, and the document that describes them.
fn described() -> (Router<App>, utoipa::openapi::OpenApi) {
    OpenApiRouter::with_openapi(document::Head::openapi())
        .routes(routes!(create::create, jobs::list))
        .routes(routes!(jobs::get, jobs::delete, notes::change))
        .routes(routes!(jobs::cancel))
        .routes(routes!(jobs::retry))
        .routes(routes!(events::events))
        .routes(routes!(looks::look))
        .routes(routes!(artifacts::log))
        .routes(routes!(artifacts::get, artifacts::head))
        .routes(routes!(exports::get))
        .routes(routes!(archives::get))
        .routes(routes!(shares::share, shares::unshare))
        .routes(routes!(shares::look))
        .routes(routes!(shares::file))
        .routes(routes!(usage::usage))
        .routes(routes!(uploads::create, uploads::list, uploads::options))
        .routes(routes!(uploads::head, uploads::append, uploads::terminate))
        .routes(routes!(gestures::list))
        .routes(routes!(gestures::get, gestures::delete))
        .routes(routes!(gestures::file))
        .routes(routes!(gestures::rename))
        .routes(routes!(gestures::take_out))
        .routes(routes!(process_images::process_images))
        .routes(routes!(ghostouch::train))
        .routes(routes!(ghostouch::status))
        .routes(routes!(ghostouch::model))
        .routes(routes!(info::info))
        .routes(routes!(info::healthz))
        .routes(routes!(info::readyz))
        .routes(routes!(info::metrics))
        .split_for_parts()
}

/// The whole service.
pub fn router(app: App) -> Router {
    let (routes, document) = described();
    let document = info::Served::new(&document::with_guard(document, &app.config.public_path()));
    let guarded = routes
        .route_layer(middleware::from_fn_with_state(app.clone(), auth::guard))
        .route("/openapi.json", axum::routing::get(move || async move { document.clone() }))
        .merge(pages::router())
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(MAX_JSON_BYTES))
        .layer(middleware::from_fn_with_state(app.clone(), observe))
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid));
    let with_cors = match cors(app.config.cors_origins.as_deref().unwrap_or_default()) {
        Some(layer) => guarded.layer(layer),
        None => guarded,
    };
    let path = app.config.public_path();
    let router = with_cors.with_state(app);
    if path.is_empty() { router } else { below(path, router) }
}

/// The service below a path that a proxy in front puts before its own. Proxies keep that path or leave it out; addresses in answers
/// have it, and requests may.
fn below(path: String, router: Router) -> Router {
    let before = path.clone();
    let without = move |mut request: Request| {
        let uri = request.uri();
        let rest = uri.path_and_query().and_then(|all| all.as_str().strip_prefix(before.as_str()));
        let rest = match rest {
            Some("") => Some("/".to_owned()),
            Some(rest) if rest.starts_with(['/', '?']) => Some(rest.to_owned()),
            _ => None,
        };
        if let Some(rest) = rest.and_then(|rest| rest.parse().ok()) {
            let mut parts = uri.clone().into_parts();
            parts.path_and_query = Some(rest);
            if let Ok(uri) = Uri::from_parts(parts) {
                *request.uri_mut() = uri;
            }
        }
        request
    };
    let with = move |mut response: Response| {
        let place = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let place = place.filter(|place| place.starts_with('/')).map(|place| format!("{path}{place}"));
        if let Some(place) = place.and_then(|place| HeaderValue::from_str(&place).ok()) {
            response.headers_mut().insert(LOCATION, place);
        }
        response
    };
    Router::new().fallback_service(router.map_request(without).map_response(with))
}

async fn not_found() -> Problem {
    Problem::not_found("page or route; /openapi.json lists all routes")
}

async fn method_not_allowed() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "this route has no such method; /openapi.json lists all routes",
    )
}

impl IntoResponse for info::Served {
    fn into_response(self) -> Response {
        ([(axum::http::header::CONTENT_TYPE, "application/json")], self.0).into_response()
    }
}
