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
    /// Answer requests only; leave the jobs to `splat worker`
    #[arg(long)]
    pub(crate) no_worker: bool,
    /// Print the settings as they result from flags, environment and file, and stop
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

/// Where settings come from.
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

/// Which service a command about keys or jobs is for.
#[derive(Args, Debug)]
pub(crate) struct ServiceArgs {
    /// Settings of the service, in TOML
    #[arg(long, global = true, value_name = "FILE", env = "SPLAT_CONFIG", value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,
    /// The service's data folder [default: splat-data]
    #[arg(long, global = true, value_name = "DIR", env = "SPLAT_DATA_DIR", value_hint = ValueHint::DirPath)]
    pub(crate) data_dir: Option<PathBuf>,
    /// The service's Redis, where it has one
    #[arg(long, global = true, value_name = "URL", env = "REDIS_URL", hide_env_values = true)]
    pub(crate) redis_url: Option<String>,
}

/// Options of `splat admin`: what an operator sees and decides.
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

/// What an operator wants.
#[derive(Subcommand, Debug)]
pub(crate) enum AdminCommand {
    /// Lists jobs of everybody, newest first
    Jobs {
        /// Only those in this state
        #[arg(long, value_name = "STATE", value_parser = word_parser(&JobState::WORDS, JobState::from_name))]
        state: Option<JobState>,
        /// Most jobs to list, up to 200
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
        limit: u32,
    },
    /// What each key has and has used today (UTC)
    Usage,
    /// Lists gesture models of everybody, newest first
    Gestures {
        /// Only those of one key (its id), of `local` (without keys) or of `legacy` (Ghostouch clients without a key)
        #[arg(long, value_name = "ID")]
        owner: Option<String>,
        /// Most models of each to list, up to 1000
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    /// Deletes a gesture model, its recording and the address it can be fetched at, whoever's it is
    DeleteGesture {
        /// The model, as `splat admin gestures` lists it
        #[arg(value_name = "MODEL")]
        model: String,
    },
    /// Begins no more jobs; those that run are finished, and new ones wait
    Pause,
    /// Takes in no more jobs; those that are there are done
    Drain,
    /// Takes in and begins jobs again
    Resume,
}

/// `splat backup` and `splat restore`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  splat backup queue-backup.db && rsync -a splat-data/jobs splat-data/gestures backup/
  splat restore queue-backup.db                 with the service stopped")]
pub(crate) struct BackupArgs {
    /// The copy
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// Settings of the service, in TOML
    #[arg(long, value_name = "FILE", env = "SPLAT_CONFIG", value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,
    /// The service's data folder [default: splat-data]
    #[arg(long, value_name = "DIR", env = "SPLAT_DATA_DIR", value_hint = ValueHint::DirPath)]
    pub(crate) data_dir: Option<PathBuf>,
    /// The service's Redis, where it has one: Redis keeps its own copies
    #[arg(long, value_name = "URL", env = "REDIS_URL", hide_env_values = true)]
    pub(crate) redis_url: Option<String>,
}

/// What to do with keys.
#[derive(Subcommand, Debug)]
pub(crate) enum KeysCommand {
    /// Makes a key and shows it this once; from the first key on, every request needs one, for good
    Create {
        /// Who or what will use it
        name: String,
        /// What it may do
        #[arg(long, default_value = "user", value_parser = word_parser(&Role::WORDS, Role::from_name))]
        role: Role,
    },
    /// Lists keys, without their secrets
    List,
    /// Gives a key another secret; the old one opens nothing any more, and its jobs and models stay its own
    Rotate {
        /// The key's id, from the list
        id: String,
    },
    /// Gives a key the jobs and gesture models of another one, or those of the time before there were keys
    Adopt {
        /// The key's id, from the list
        id: String,
        /// Id of the key, perhaps revoked, whose jobs they are [default: those made without a key]
        #[arg(long, value_name = "ID")]
        from: Option<String>,
    },
    /// Ends a key; its jobs stay
    Revoke {
        /// The key's id, from the list
        id: String,
    },
}
