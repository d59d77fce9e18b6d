//! The HTTP API: a thin layer over queue, store and intake.
//!
//! | module | routes |
//! | --- | --- |
//! | `create` | `POST /v1/jobs` |
//! | `jobs` | list, get, cancel, retry and delete jobs |
//! | `events`, `hub` | `GET /v1/jobs/{id}/events`: one poll of the queue per job, however many clients watch |
//! | `live_views` | live views of a scene in training |
//! | `artifacts`, `archives` | files of a job, its log; many files as one zip |
//! | `exports` | the scene in other formats, whole or cropped |
//! | `notes`, `shares` | a job's name, pin and link; what a link shows |
//! | `usage` | a caller's usage and quota |
//! | `uploads` | resumable uploads, tus 1.0 |
//! | `gesture_jobs` | adding a gesture to a model, for `POST /v1/jobs` and `/train` |
//! | `gestures` | gesture models: list, get, rename, delete |
//! | `ghostouch` | `POST /train`, `GET /status/{task_id}`: the API of Ghostouch clients |
//! | `refusals` | rejected `/train` requests, as tasks that have failed |
//! | `process_images` | `POST /process_images`: photos in, PLY out, in one request |
//! | `options` | options of a scene as text fields, and in the OpenAPI document |
//! | `part_headers` | limits the size of part headers in forms |
//! | `info` | information about the service, health, metrics, OpenAPI |
//! | `pages` | the web page |
//! | `auth`, `site` | authentication and rate limits; where a request comes from |
//! | `json`, `document` | JSON bodies and query parameters; the OpenAPI document |
//! | `problem` | errors as RFC 9457 problem documents |
//! | `drain_body` | discards the rest of a body that a handler has not read, so that the client gets its response |
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
mod live_views;
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

use crate::code::Code;
use crate::export::Exporter;
use crate::intake::IntakeError;
use crate::job::{JobId, NewJob, Owner};
use crate::parts::Parts;
use crate::queue::{Admission, QueueError, Quota, Submitted};
use crate::runner::GpuKind;
use cors::cors;
use hub::Hub;
use observe::observe;

/// Maximum bytes of a JSON body: options and a list of uploads.
const MAX_JSON_BYTES: usize = 256 << 10;
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// State shared by all handlers. Every layer clones it for every request, so it is one pointer.
#[derive(Clone, Debug)]
pub struct App(Arc<Shared>);

/// The service's [`Parts`], and what only request handlers need.
#[derive(Debug)]
pub struct Shared {
    parts: Parts,
    exporter: Exporter,
    /// What scenes are trained on, once it is known; `None` if it is not determined.
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
    /// Creates the application from its parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let hub = Hub::new(Arc::clone(&parts.queue), view::ViewContext::of(&parts.config));
        let gate = auth::Gate::new(&parts.config, parts.keys.clone());
        let exporter = Exporter::new(parts.store.clone(), parts.intake.clone());
        Self(Arc::new(Shared { parts, exporter, gpu: OnceLock::new(), hub, gate }))
    }

    /// Sets what scenes are trained on, for `/v1/info`.
    pub(crate) fn set_gpu(&self, gpu: Option<GpuKind>) {
        // Only the first value is kept.
        let _ = self.gpu.set(gpu);
    }

    /// Runs until the process ends: drops rate limit counters of idle clients.
    pub(crate) async fn housekeeping(self) {
        loop {
            tokio::time::sleep(Duration::from_secs(60)).await;
            self.gate.remove_idle();
        }
    }

    /// An error if the disk is filled to its limit.
    fn check_room(&self) -> problem::Result<()> {
        if self.store.free_bytes()? < self.intake.limits().disk_floor_bytes {
            return Err(IntakeError::NoRoom.into());
        }
        Ok(())
    }

    /// Reserves a new id, under which files can be stored for a job of this queue.
    async fn begin_job(&self) -> problem::Result<JobId> {
        let id = JobId::random();
        self.store.mark_queue(&id, &self.queue.identity().await?).await?;
        Ok(id)
    }

    /// Queues a job whose files are stored under an id of [`Self::begin_job`]. The files are removed if the job is rejected, or
    /// already exists.
    async fn enqueue(&self, job: NewJob, admission: Admission) -> problem::Result<Submitted> {
        let id = job.id.clone();
        let submitted = self.queue.submit(job, admission).await;
        match &submitted {
            Ok(Submitted { created: true, .. }) => {
                if let Err(error) = self.store.mark_submitted(&id).await {
                    tracing::warn!(%error, job = %id, "could not mark a job as submitted; the sweep will");
                }
            }
            // The job may exist all the same; the sweep checks that.
            Err(QueueError::Unavailable { .. } | QueueError::Malformed { .. }) => {}
            _ => {
                if let Err(error) = self.store.delete_job(&id).await {
                    tracing::warn!(%error, job = %id, "could not delete the files of a rejected job; the sweep will");
                }
            }
        }
        Ok(submitted?)
    }

    /// Deletes a job that has ended. The record is deleted first, atomically with respect to a concurrent retry. The queue
    /// remembers the id, so that files left behind are swept. `false` if the owner has no such job.
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

    /// The caller's limits: none for an operator, and for a single user on the service's own machine.
    pub(super) fn quota(&self, caller: &auth::Caller) -> Quota {
        if caller.admin { Quota::NONE } else { self.config.quota() }
    }

    /// Limits that apply when this caller submits a job.
    pub(super) fn admission(&self, caller: &auth::Caller) -> Admission {
        Admission {
            quota: self.quota(caller),
            max_waiting: self.config.max_waiting,
            max_unfinished_per_owner: self.config.max_jobs_per_key.unwrap_or(if self.gate.keys_in_use() {
                20
            } else {
                // On a single user's own machine, only the queue length is limited. SQLite's integers are signed.
                u64::MAX >> 1
            }),
        }
    }
}

/// The routes of the native and the compatible API, and the document that describes them.
fn described() -> (Router<App>, utoipa::openapi::OpenApi) {
    OpenApiRouter::with_openapi(document::Head::openapi())
        .routes(routes!(create::create, jobs::list))
        .routes(routes!(jobs::get, jobs::delete, notes::change))
        .routes(routes!(jobs::cancel))
        .routes(routes!(jobs::retry))
        .routes(routes!(events::events))
        .routes(routes!(live_views::look))
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

/// The complete service.
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

/// Serves the router below a path that a proxy in front adds. Proxies may keep that path in requests or remove it; URLs in
/// responses contain it.
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
        Code::MethodNotAllowed,
        "this route has no such method; /openapi.json lists all routes",
    )
}

impl IntoResponse for info::Served {
    fn into_response(self) -> Response {
        ([(axum::http::header::CONTENT_TYPE, "application/json")], self.0).into_response()
    }
}
