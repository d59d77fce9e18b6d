//! Options of the commands around the HTTP service: `serve`, `worker`, `keys`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use splat_server::job::JobState;
use splat_server::keys::Role;
use splat_server::settings::Settings;

use super::scene::word_parser;

/// `splat serve`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  splat serve                                   a page and an API on http://127.0.0.1:5000, for this machine only
  splat keys create phone && splat serve --bind 0.0.0.0:5000     for others, with keys
  splat serve --no-worker                       answer requests only; `splat worker` elsewhere does the jobs
  splat serve --test-mode                       jobs are acted out in seconds, without COLMAP and GPU
  curl -F images=@1.jpg -F images=@2.jpg -F images=@3.jpg http://127.0.0.1:5000/process_images -o scene.ply

Every option can stand in the environment and in the file too; flags come before the environment, and both before the file.")]
pub(crate) struct ServeArgs {
    /// Serve requests only, without running jobs; that is left to `splat worker`
    #[arg(long)]
    pub(crate) no_worker: bool,
    /// Print the settings that result from flags, environment and file, and exit
    #[arg(long)]
    pub(crate) print_config: bool,
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
}

/// `splat worker`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  splat worker --data-dir splat-data            beside `splat serve --no-worker` on the same machine
  REDIS_URL=redis://queue:6379 STORE_URL=s3://bucket splat worker     on a machine of its own")]
pub(crate) struct WorkerArgs {
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
}

/// Source of the settings.
#[derive(Args, Debug)]
pub(crate) struct SettingsArgs {
    /// Settings in TOML, such as `max_photos = 100`
    #[arg(long, value_name = "FILE", env = "SPLAT_CONFIG", value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) settings: Settings,
}

/// `splat keys`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  splat keys create phone
  splat keys create grafana --role admin
  splat keys list
  splat keys rotate 3vm0f6qk8e2c
  splat keys adopt 3vm0f6qk8e2c                 scenes of the time before the first key
  splat keys revoke 3vm0f6qk8e2c")]
pub(crate) struct KeysArgs {
    #[command(subcommand)]
    pub(crate) command: KeysCommand,
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
}

/// The service that a command about keys or jobs applies to.
#[derive(Args, Debug)]
pub(crate) struct ServiceArgs {
    /// Settings of the service, in TOML
    #[arg(long, global = true, value_name = "FILE", env = "SPLAT_CONFIG", value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,
    /// The service's data folder [default: splat-data]
    #[arg(long, global = true, value_name = "DIR", env = "SPLAT_DATA_DIR", value_hint = ValueHint::DirPath)]
    pub(crate) data_dir: Option<PathBuf>,
    /// The service's Redis, if it uses one
    #[arg(long, global = true, value_name = "URL", env = "REDIS_URL", hide_env_values = true)]
    pub(crate) redis_url: Option<String>,
}

/// Options of `splat admin`, for operators.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  splat admin jobs --state running
  splat admin usage
  splat admin pause                             before an update: jobs wait, none begins
  splat admin drain                             before the end: nothing new is taken in
  splat admin resume
  splat admin gestures --owner legacy           models of Ghostouch clients without a key
  splat admin delete-gesture 3f0c...

They work on the queue itself, from the machine that it is on or through Redis, whether the service runs or not.")]
pub(crate) struct AdminArgs {
    #[command(subcommand)]
    pub(crate) command: AdminCommand,
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
}

/// Commands of an operator.
#[derive(Subcommand, Debug)]
pub(crate) enum AdminCommand {
    /// Lists jobs of all owners, newest first
    Jobs {
        /// Only jobs in this state
        #[arg(long, value_name = "STATE", value_parser = word_parser(&JobState::WORDS, JobState::from_name))]
        state: Option<JobState>,
        /// Maximum number of jobs, up to 200
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
        limit: u32,
    },
    /// Shows the usage and quota of each key for today (UTC)
    Usage,
    /// Lists gesture models of all owners, newest first
    Gestures {
        /// Only models of one key (its id), of `local` (without keys) or of `legacy` (Ghostouch clients without a key)
        #[arg(long, value_name = "ID")]
        owner: Option<String>,
        /// Maximum number of models per owner, up to 1000
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    /// Deletes a gesture model of any owner, with its recording and download URL
    DeleteGesture {
        /// The model, as `splat admin gestures` lists it
        #[arg(value_name = "MODEL")]
        model: String,
    },
    /// Starts no more jobs; running ones are finished, and new ones wait
    Pause,
    /// Accepts no more jobs; existing ones are finished
    Drain,
    /// Accepts and starts jobs again
    Resume,
}

/// `splat backup` and `splat restore`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  splat backup queue-backup.db && rsync -a splat-data/jobs splat-data/gestures backup/
  splat restore queue-backup.db                 with the service stopped")]
pub(crate) struct BackupArgs {
    /// The backup file
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// Settings of the service, in TOML
    #[arg(long, value_name = "FILE", env = "SPLAT_CONFIG", value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,
    /// The service's data folder [default: splat-data]
    #[arg(long, value_name = "DIR", env = "SPLAT_DATA_DIR", value_hint = ValueHint::DirPath)]
    pub(crate) data_dir: Option<PathBuf>,
    /// The service's Redis, if it uses one: then use Redis's own backups
    #[arg(long, value_name = "URL", env = "REDIS_URL", hide_env_values = true)]
    pub(crate) redis_url: Option<String>,
}

/// Commands for keys.
#[derive(Subcommand, Debug)]
pub(crate) enum KeysCommand {
    /// Creates a key and shows it once; from the first key on, every request needs one, permanently
    Create {
        /// Name of the key's user
        name: String,
        /// Role of the key
        #[arg(long, default_value = "user", value_parser = word_parser(&Role::WORDS, Role::from_name))]
        role: Role,
    },
    /// Lists keys, without their secrets
    List,
    /// Replaces a key's secret; the old one is rejected from then on, and the key keeps its jobs and models
    Rotate {
        /// Id of the key, as listed
        id: String,
    },
    /// Transfers jobs and gesture models to a key, from another key or from the time before there were keys
    Adopt {
        /// Id of the key, as listed
        id: String,
        /// Id of the key (may be revoked) that owns the jobs [default: those submitted without a key]
        #[arg(long, value_name = "ID")]
        from: Option<String>,
    },
    /// Revokes a key; its jobs stay
    Revoke {
        /// Id of the key, as listed
        id: String,
    },
}
