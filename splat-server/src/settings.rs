//! What the operator decides: by flags, environment and a file, in this order of precedence.
//!
//! Every setting has one name: `--max-photos` as a flag, `SPLAT_MAX_PHOTOS` in the environment, `max_photos` in the file.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read the settings in `{}`: {source}", path.display())]
    Read {
        /// Path of the settings file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file says something that is no setting, or of the wrong type.
    #[error("the settings in `{}` cannot be understood: {why}", path.display())]
    Parse {
        /// Path of the settings file.
        path: PathBuf,
        /// Where and why.
        why: String,
    },
    /// Settings that must not stand together, or make no sense.
    #[error("{0}")]
    Contrary(String),
}

macro_rules! settings {
    ($($(#[doc = $doc:literal])+ $(#[arg($($arg:tt)*)])? $name:ident: $type:ty, $env:literal;)+) => {
        /// Settings as somebody gives them: each may be left out.
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[cfg_attr(feature = "clap", derive(clap::Args))]
        #[serde(default, deny_unknown_fields)]
        pub struct Settings {
            $(
                $(#[doc = $doc])+
                #[cfg_attr(feature = "clap", arg(long, env = $env, $($($arg)*)?))]
                #[serde(skip_serializing_if = "Option::is_none")]
                pub $name: Option<$type>,
            )+
        }

        impl Settings {
            /// These settings, and those of `other` where these say nothing.
            #[must_use]
            pub fn or(self, other: Self) -> Self {
                Self { $($name: self.$name.or(other.$name),)+ }
            }
        }
    };
}

settings! {
    /// Address and port to listen on [default: 127.0.0.1:5000]
    #[arg(value_name = "ADDR", help_heading = "Network")]
    bind: SocketAddr, "SPLAT_BIND";
    /// Serve without keys on an address that others can reach: everybody may do everything
    #[arg(value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "Network")]
    allow_anonymous: bool, "SPLAT_ALLOW_ANONYMOUS";
    /// Web pages of these origins may use the service, `*` for all [default: none]
    #[arg(value_name = "ORIGIN", value_delimiter = ',', help_heading = "Network")]
    cors_origins: Vec<String>, "SPLAT_CORS_ORIGINS";
    /// Open a public URL through ngrok; needs NGROK_AUTHTOKEN, and a program built with the feature `ngrok`
    #[arg(value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "Network")]
    ngrok: bool, "SPLAT_NGROK";
    /// The domain for it, one of your ngrok account's [default: one that ngrok chooses]
    #[arg(value_name = "DOMAIN", help_heading = "Network")]
    ngrok_domain: String, "NGROK_DOMAIN";
    /// Where clients reach this service through a proxy, such as `https://splat.example.com`: its host and origin are accepted, and a path is put before all addresses [default: the request's `Host`]
    #[arg(value_name = "URL", help_heading = "Network")]
    public_url: String, "SPLAT_PUBLIC_URL";
    /// With keys in use, let Ghostouch clients, which have none, train gestures all the same: POST /train is open to everybody
    #[arg(value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "Network")]
    legacy_gestures: bool, "SPLAT_LEGACY_GESTURES";
    /// Send webhooks that jobs ask for [default: false]
    #[arg(value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "Network")]
    webhooks: bool, "SPLAT_WEBHOOKS";
    /// The secret that webhooks are signed with; 32 characters or more
    #[arg(value_name = "SECRET", hide_env_values = true, help_heading = "Network")]
    webhook_secret: String, "SPLAT_WEBHOOK_SECRET";
    /// Let webhooks go to private addresses too, for receivers in the same network
    #[arg(value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "Network")]
    webhook_allow_private: bool, "SPLAT_WEBHOOK_ALLOW_PRIVATE";

    /// Folder for jobs, uploads and the queue [default: splat-data]
    #[arg(value_name = "DIR", help_heading = "Storage")]
    data_dir: PathBuf, "SPLAT_DATA_DIR";
    /// Queue for several machines: redis://host:6379/0 [default: SQLite in the data folder]
    #[arg(value_name = "URL", hide_env_values = true, help_heading = "Storage")]
    redis_url: String, "REDIS_URL";
    /// Files for several machines: s3://bucket/prefix, gs://bucket/prefix or file:///folder [default: the data folder]
    #[arg(value_name = "URL", help_heading = "Storage")]
    store_url: String, "STORE_URL";
    /// A Firebase project's service account, for its storage bucket
    #[arg(value_name = "FILE", help_heading = "Storage")]
    firebase_credentials: PathBuf, "FIREBASE_CREDENTIALS";
    /// A Firebase storage bucket, the same as --store-url gs://BUCKET
    #[arg(value_name = "BUCKET", help_heading = "Storage")]
    firebase_storage_bucket: String, "FIREBASE_STORAGE_BUCKET";
    /// Hours that jobs and their files are kept after their end [default: 168]
    #[arg(value_name = "HOURS", help_heading = "Storage")]
    retention_hours: u64, "SPLAT_RETENTION_HOURS";
    /// Days that gesture models of Ghostouch clients without a key are kept; a phone keeps what it has fetched, and begins anew with the basic gestures when it adds one to a model that is gone [default: until they are deleted]
    #[arg(value_name = "DAYS", help_heading = "Storage")]
    legacy_gestures_days: u64, "SPLAT_LEGACY_GESTURES_DAYS";

    /// Scenes at once in this process [default: 1]
    #[arg(value_name = "N", help_heading = "Workers")]
    scene_slots: u32, "SPLAT_SCENE_SLOTS";
    /// Gestures at once in this process [default: 2]
    #[arg(value_name = "N", help_heading = "Workers")]
    cpu_slots: u32, "SPLAT_CPU_SLOTS";
    /// Another base model for gestures, a model.gesture as `splat gesture train` writes it [default: one made here, from nobody's recordings]
    #[arg(value_name = "FILE", help_heading = "Workers")]
    gesture_base: PathBuf, "SPLAT_GESTURE_BASE";
    /// Attempts at a job whose process dies or whose disk is full [default: 3]
    #[arg(value_name = "N", help_heading = "Workers")]
    max_attempts: u32, "SPLAT_MAX_ATTEMPTS";
    /// Seconds without a sign of life after which a job goes to another worker [default: 30]
    #[arg(value_name = "S", help_heading = "Workers")]
    lease_s: u64, "SPLAT_LEASE_S";
    /// Most minutes for one attempt at a job [default: 1440]
    #[arg(value_name = "MIN", help_heading = "Workers")]
    job_timeout_min: u64, "SPLAT_JOB_TIMEOUT_MIN";
    /// Most minutes for one COLMAP stage [default: 240]
    #[arg(value_name = "MIN", help_heading = "Workers")]
    colmap_timeout_min: u64, "SPLAT_COLMAP_TIMEOUT_MIN";
    /// Seconds of training between checkpoints [default: 60]
    #[arg(value_name = "S", help_heading = "Workers")]
    checkpoint_s: u64, "SPLAT_CHECKPOINT_S";
    /// Seconds of training between pictures of the scene, 0 for none [default: 4]
    #[arg(value_name = "S", help_heading = "Workers")]
    preview_s: u64, "SPLAT_PREVIEW_S";
    /// COLMAP program [default: the one on PATH]
    #[arg(value_name = "FILE", help_heading = "Workers")]
    colmap: PathBuf, "SPLAT_COLMAP";
    /// Act jobs out without COLMAP and GPU, and take faults that jobs ask for: for testing clients
    #[arg(value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "Workers")]
    test_mode: bool, "SPLAT_TEST_MODE";

    /// Most photos of a job [default: 50]
    #[arg(value_name = "N", help_heading = "Limits")]
    max_photos: u32, "SPLAT_MAX_PHOTOS";
    /// Most MiB of one photo [default: 64]
    #[arg(value_name = "MIB", help_heading = "Limits")]
    max_file_mib: u64, "SPLAT_MAX_FILE_MIB";
    /// Most MiB of a job, and of one zip or video [default: 4096]
    #[arg(value_name = "MIB", help_heading = "Limits")]
    max_job_mib: u64, "SPLAT_MAX_JOB_MIB";
    /// Most megapixels of one photo [default: 100]
    #[arg(value_name = "MP", help_heading = "Limits")]
    max_megapixels: u64, "SPLAT_MAX_MEGAPIXELS";
    /// Most jobs waiting [default: 200]
    #[arg(value_name = "N", help_heading = "Limits")]
    max_waiting: u64, "SPLAT_MAX_WAITING";
    /// Most unfinished jobs of one key [default: 20; without keys no limit]
    #[arg(value_name = "N", help_heading = "Limits")]
    max_jobs_per_key: u64, "SPLAT_MAX_JOBS_PER_KEY";
    /// Most MiB kept of one key's photos and scenes together [default: no limit]
    #[arg(value_name = "MIB", help_heading = "Limits")]
    quota_mib: u64, "SPLAT_QUOTA_MIB";
    /// Most jobs that one key submits in a day (UTC) [default: no limit]
    #[arg(value_name = "N", help_heading = "Limits")]
    quota_jobs: u64, "SPLAT_QUOTA_JOBS";
    /// Most minutes that jobs of one key take in a day (UTC); a job that was begun is finished [default: no limit]
    #[arg(value_name = "MIN", help_heading = "Limits")]
    quota_minutes: u64, "SPLAT_QUOTA_MINUTES";
    /// Requests a minute of one key, or of one address without a key [default: 1200; without keys on this machine no limit]
    #[arg(value_name = "N", help_heading = "Limits")]
    requests_per_minute: u32, "SPLAT_REQUESTS_PER_MINUTE";
    /// MiB that stay free on the disk [default: 2048]
    #[arg(value_name = "MIB", help_heading = "Limits")]
    disk_floor_mib: u64, "SPLAT_DISK_FLOOR_MIB";
}

impl Settings {
    /// The settings in a TOML file.
    ///
    /// # Errors
    /// [`SettingsError::Read`], [`SettingsError::Parse`].
    pub fn from_file(path: &Path) -> Result<Self, SettingsError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| SettingsError::Read { path: path.to_path_buf(), source })?;
        toml::from_str(&text)
            .map_err(|error| SettingsError::Parse { path: path.to_path_buf(), why: error.to_string() })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn flags_come_before_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("splat.toml");
        std::fs::write(&path, "max_photos = 9\nretention_hours = 2\n").unwrap();
        let flags = Settings { max_photos: Some(7), ..Settings::default() };
        let config = flags.or(Settings::from_file(&path).unwrap()).resolve().unwrap();
        assert_eq!((config.max_photos, config.retention_hours, config.max_attempts), (7, 2, 3));
    }

    #[test]
    fn mistakes_in_the_file_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("splat.toml");
        std::fs::write(&path, "max_fotos = 9\n").unwrap();
        let error = Settings::from_file(&path).unwrap_err().to_string();
        assert!(error.contains("max_fotos"), "{error}");
        assert!(Settings::from_file(Path::new("/nowhere/x.toml")).is_err());
    }
}
