//! Entry points of the service: opens the [`Parts`], checks them, and runs them until it is asked to stop.

use std::ffi::OsString;
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;

pub use crate::parts::Parts;

use crate::config::Config;
use crate::gesture::ModelRecord;
use crate::gesture::models::{ModelError, Models};
use crate::http::{self, App};
use crate::intake::{Intake, IntakeError, Limits};
use crate::job::{JobId, Owner};
use crate::keys::{KeyError, Keys};
use crate::listen;
use crate::queue::{self, BackupError, Copied, Queue, QueueError, RedisQueue, SqliteQueue};
use crate::runner::{GpuKind, MachineOptions};
use crate::store::{JobStore, StoreConfig, StoreError};
use crate::sweep::Sweeper;
use crate::webhook::Notifier;
use crate::worker::{WorkerOptions, Workers};

/// File name of the queue in the data folder.
const QUEUE_FILE: &str = "queue.db";
/// How long a job's process may take for a graceful stop, including its checkpoint.
const STOP_GRACE: Duration = Duration::from_secs(15);
/// A driver that takes longer to open a GPU is stuck.
const PROBE_WITHIN: Duration = Duration::from_secs(60);
/// Maximum time without output of a job's process. COLMAP's stages have limits of their own.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(6 * 3600);

/// Why the service cannot start or continue.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// The service would be reachable from outside, and has no keys.
    #[error(
        "{bind} can be reached by others (or would be, through ngrok or the proxy behind the public URL), and there is no API key yet: everybody could use this service"
    )]
    OpenToAll {
        /// The address it would listen on.
        bind: SocketAddr,
    },
    /// The address is in use, or not one of this machine.
    #[error("cannot listen on {bind}: {source}")]
    Bind {
        /// The address it was to listen on.
        bind: SocketAddr,
        /// The I/O error.
        source: std::io::Error,
    },
    /// The data folder cannot be created.
    #[error("cannot use the data folder `{}`: {source}", path.display())]
    DataDir {
        /// Path of the data folder.
        path: PathBuf,
        /// The I/O error.
        source: std::io::Error,
    },
    /// The queue failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The file store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The intake failed.
    #[error(transparent)]
    Intake(#[from] IntakeError),
    /// The key store failed.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The store of gesture models failed.
    #[error(transparent)]
    Models(#[from] ModelError),
    /// A backup or restore of the queue failed.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The public URL cannot be opened.
    #[error("ngrok cannot open a public URL: {why}")]
    Tunnel {
        /// The tunnel's error.
        why: String,
    },
    /// The HTTP client for webhooks cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] reqwest::Error),
}

impl ServiceError {
    /// What to try.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::OpenToAll { .. } => Some(
                "make a key with `splat keys create NAME`, or bind to 127.0.0.1; --allow-anonymous serves everybody",
            ),
            Self::Bind { .. } => Some("choose another address with --bind, such as 127.0.0.1:5001"),
            Self::Tunnel { .. } => {
                Some("set NGROK_AUTHTOKEN to your account's token; a domain must be one of the account's")
            }
            Self::DataDir { .. } => Some("choose another folder with --data-dir"),
            Self::Backup(error) => error.hint(),
            _ => None,
        }
    }
}

impl Parts {
    /// Opens queue, keys and stores.
    ///
    /// # Errors
    /// Those of the part that cannot be opened.
    pub async fn open(config: Config) -> Result<Self, ServiceError> {
        let data_dir = &config.data_dir;
        make_private(data_dir).map_err(|source| ServiceError::DataDir { path: data_dir.clone(), source })?;
        let store = JobStore::open(&StoreConfig {
            url: config.store_url.clone(),
            firebase_credentials: config.firebase_credentials.clone(),
            firebase_bucket: config.firebase_storage_bucket.clone(),
            ..StoreConfig::local(data_dir)
        })?;
        let models = Models::open(&store, config.gesture_base.as_deref())?;
        let intake = Intake::open(store.data_dir(), limits(&config))?;
        let (queue, keys) = open_queue(&config, &store).await?;
        Ok(Self { config: Arc::new(config), queue, keys, store, models, intake, metrics: Arc::default() })
    }

    /// Serves until `stop` becomes true; with workers in the same process if `program` tells how to run jobs. `listening` is
    /// called with the address once requests are served.
    ///
    /// # Errors
    /// [`ServiceError::OpenToAll`], [`ServiceError::Bind`].
    pub async fn serve(
        self,
        program: Option<Vec<OsString>>,
        listening: impl FnOnce(SocketAddr),
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServiceError> {
        let bind = self.config.bind;
        if !self.config.is_local() && !self.config.allow_anonymous && !self.keys.any_created().await? {
            return Err(ServiceError::OpenToAll { bind });
        }
        // Before anything opens files.
        let connection_limits = listen::limits();
        let listener = TcpListener::bind(bind).await.map_err(|source| ServiceError::Bind { bind, source })?;
        let address = listener.local_addr().map_err(|source| ServiceError::Bind { bind, source })?;
        let shutdown = shutdown_after(stop);
        let probe =
            program.as_deref().filter(|_| !self.config.test_mode).and_then(|program| self.probe(program));
        let workers = match program {
            Some(program) => Some(tokio::spawn(self.workers(program)?.run(shutdown.clone()))),
            None => None,
        };
        let retention = Duration::from_millis(self.config.retention_ms());
        let legacy_models = self
            .config
            .legacy_gestures_days
            .map(|days| (self.models.clone(), Duration::from_secs(days.saturating_mul(24 * 3600))));
        let sweeper = self.sweeper().run(self.intake.clone(), retention, legacy_models, shutdown.clone());
        let sweeper = tokio::spawn(sweeper);
        let app = App::new(self);
        tokio::spawn(app.clone().housekeeping());
        if let Some(probe) = probe {
            let app = app.clone();
            tokio::spawn(async move { app.set_gpu(probe_gpu(probe).await) });
        }
        #[cfg(feature = "ngrok")]
        let _tunnel = match &app.config.ngrok {
            true => Some(
                crate::tunnel::open(address, app.config.ngrok_domain.as_deref())
                    .await
                    .map_err(|why| ServiceError::Tunnel { why })?,
            ),
            false => None,
        };
        listening(address);
        listen::run(listener, http::router(app), connection_limits, shutdown).await;
        for task in workers.into_iter().chain([sweeper]) {
            // A panic in a task was logged by the runtime.
            let _ = task.await;
        }
        Ok(())
    }

    /// Moves all jobs and gesture models of one owner to another, and returns their numbers.
    ///
    /// # Errors
    /// Those of the stores. May be repeated.
    pub async fn adopt(&self, from: &Owner, to: &Owner) -> Result<(u64, u64), ServiceError> {
        let models = self.models.adopt(from, to).await?;
        Ok((self.queue.adopt(from, to).await?, models))
    }

    /// Gesture models of an owner, newest first, at most `limit`.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn gestures(&self, owner: &Owner, limit: usize) -> Result<Vec<ModelRecord>, ServiceError> {
        Ok(self.models.list(owner, None, limit).await?)
    }

    /// Deletes a gesture model of any owner, with its recording; returns the owner, or `None` if there is no such model.
    ///
    /// # Errors
    /// Those of the stores. May be repeated.
    pub async fn delete_gesture(&self, id: &JobId) -> Result<Option<Owner>, ServiceError> {
        for (owner, _) in self.keys.owners().await? {
            match self.models.record(&owner, id).await {
                Err(ModelError::NotFound) => continue,
                found => found?,
            };
            // The job of the same id has copies and the recording.
            if self.queue.cancel(&owner, id).await?.is_some_and(|job| job.state.is_final()) {
                self.queue.delete(&owner, id).await?;
            }
            self.store.delete_job(id).await?;
            self.models.delete(&owner, id).await?;
            return Ok(Some(owner));
        }
        Ok(None)
    }

    /// Runs workers until `stop` becomes true, without serving requests.
    ///
    /// # Errors
    /// [`ServiceError::Tls`].
    pub async fn work(
        self,
        program: Vec<OsString>,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServiceError> {
        let shutdown = shutdown_after(stop);
        let workers = self.workers(program)?;
        let sweeper = tokio::spawn(self.sweeper().run_copies(shutdown.clone()));
        workers.run(shutdown).await;
        // A panic in a task was logged by the runtime.
        let _ = sweeper.await;
        Ok(())
    }

    /// The command that prints what scenes are trained on.
    fn probe(&self, program: &[OsString]) -> Option<tokio::process::Command> {
        let (program, arguments) = program.split_first()?;
        let mut command = tokio::process::Command::new(program);
        command.args(arguments).arg("--gpu");
        if let Some(adapter) = &self.config.adapter {
            command.arg("--adapter").arg(adapter);
        }
        if let Some(backend) = self.config.backend {
            command.arg("--backend").arg(backend.name());
        }
        command.stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        Some(command)
    }

    fn sweeper(&self) -> Sweeper {
        Sweeper::new(Arc::clone(&self.queue), self.store.clone(), Arc::clone(&self.metrics))
    }

    fn workers(&self, program: Vec<OsString>) -> Result<Workers, ServiceError> {
        let config = &self.config;
        let secret = config.webhook_secret.as_deref().filter(|_| config.webhooks);
        let notifier = secret
            .map(|secret| Notifier::new(secret, config.base_url(), config.webhook_allow_private))
            .transpose()?;
        let options = WorkerOptions {
            name: format!("{}-{}", std::process::id(), &JobId::random().as_str()[..8]),
            scene_slots: config.scene_slots,
            cpu_slots: config.cpu_slots,
            lease: Duration::from_secs(config.lease_s),
            job_timeout: Duration::from_secs(60 * config.job_timeout_min),
            silence_timeout: SILENCE_TIMEOUT,
            stop_grace: STOP_GRACE,
            program,
            machine: MachineOptions {
                colmap: config.colmap.as_deref().map(program_path),
                adapter: config.adapter.clone(),
                backend: config.backend,
                colmap_stage_timeout_s: 60 * config.colmap_timeout_min,
                checkpoint_s: config.checkpoint_s,
                preview_s: config.preview_s,
                test_mode: config.test_mode,
            },
        };
        Ok(Workers::new(
            self.queue.clone(),
            self.store.clone(),
            self.models.clone(),
            self.metrics.clone(),
            notifier,
            options,
        ))
    }
}

/// Becomes true once `stop` is ready.
fn shutdown_after(stop: impl Future<Output = ()> + Send + 'static) -> watch::Receiver<bool> {
    let (sender, shutdown) = watch::channel(false);
    tokio::spawn(async move {
        stop.await;
        // Fails if all receivers are gone, which means they have stopped.
        let _ = sender.send(true);
    });
    shutdown
}

/// Parses its output; `None` if there is none, as on a machine without drivers.
async fn probe_gpu(mut command: tokio::process::Command) -> Option<GpuKind> {
    let output = tokio::time::timeout(PROBE_WITHIN, command.output()).await.ok()?.ok()?;
    serde_json::from_slice(&output.stdout).ok()?
}

/// Backs up the queue, with its API keys, to a file. The service may be running.
///
/// # Errors
/// [`ServiceError::Backup`].
pub fn backup(config: &Config, file: &Path) -> Result<Copied, ServiceError> {
    Ok(queue::backup(&queue_file(config)?, file)?)
}

/// Restores a backup of the queue. Returns its contents, and where the old queue is kept.
///
/// # Errors
/// [`ServiceError::Backup`].
pub fn restore(config: &Config, file: &Path) -> Result<(Copied, Option<PathBuf>), ServiceError> {
    let to_error = |source| ServiceError::DataDir { path: config.data_dir.clone(), source };
    std::fs::create_dir_all(&config.data_dir).map_err(to_error)?;
    Ok(queue::restore(file, &queue_file(config)?)?)
}

fn queue_file(config: &Config) -> Result<PathBuf, BackupError> {
    if config.redis_url.is_some() { Err(BackupError::InRedis) } else { Ok(config.data_dir.join(QUEUE_FILE)) }
}

/// Creates the data folder with access for the service's user only: it contains photos, hashes of keys and scenes. An existing
/// folder is not changed.
fn make_private(dir: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

async fn open_queue(config: &Config, store: &JobStore) -> Result<(Arc<dyn Queue>, Keys), ServiceError> {
    if let Some(url) = &config.redis_url {
        let queue = RedisQueue::connect(url).await?;
        for risk in queue.risks().await {
            tracing::warn!("{risk}");
        }
        let keys = Keys::in_redis(&queue);
        return Ok((Arc::new(queue), keys));
    }
    let queue = SqliteQueue::open(&store.data_dir().join(QUEUE_FILE))?;
    let keys = Keys::in_sqlite(&queue);
    Ok((Arc::new(queue), keys))
}

/// Jobs run in folders of their own, so a relative path is resolved against the current one; a plain name is looked up in PATH.
fn program_path(program: &Path) -> PathBuf {
    if program.components().count() < 2 {
        return program.to_path_buf();
    }
    std::path::absolute(program).unwrap_or_else(|_| program.to_path_buf())
}

fn limits(config: &Config) -> Limits {
    Limits {
        max_photos: config.max_photos as usize,
        max_file_bytes: config.max_file_mib << 20,
        max_job_bytes: config.max_job_mib << 20,
        max_pixels: config.max_megapixels * 1_000_000,
        disk_floor_bytes: config.disk_floor_mib << 20,
        ..Limits::default()
    }
}
