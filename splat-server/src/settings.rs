//! The operator's settings: from flags, environment and a file, in this order of precedence.
//!
//! Every setting has one name: `--max-photos` as a flag, `SPLAT_MAX_PHOTOS` in the environment, `max_photos` in the file.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use splat_core::Backend;

/// One pebibyte: larger than any disk, and small enough not to overflow a number of bytes.
const MOST_MIB: u64 = 1 << 30;
/// No upper limit.
const ANY: u64 = u64::MAX;

/// Why the settings are invalid.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read the settings in `{}`: {source}", path.display())]
    Read {
        /// Path of the settings file.
        path: PathBuf,
        /// The I/O error.
        source: std::io::Error,
    },
    /// The file contains an unknown setting, or a value of the wrong type.
    #[error("the settings in `{}` cannot be understood: {why}", path.display())]
    Parse {
        /// Path of the settings file.
        path: PathBuf,
        /// Position and reason.
        why: String,
    },
    /// Settings that contradict each other, or are useless.
    #[error("{0}")]
    Contrary(String),
}

/// Operations on a setting's type, for printing and validation.
trait Setting {
    /// Whether it is unset and has no default.
    fn is_unset(&self) -> bool {
        false
    }

    /// Its value as a number, if it is one.
    fn number(&self) -> Option<u64> {
        None
    }
}

impl Setting for SocketAddr {}
impl Setting for PathBuf {}
impl Setting for String {}
impl Setting for Vec<String> {}
impl Setting for bool {}

impl Setting for u32 {
    fn number(&self) -> Option<u64> {
        Some((*self).into())
    }
}

impl Setting for u64 {
    fn number(&self) -> Option<u64> {
        Some(*self)
    }
}

impl<T: Setting> Setting for Option<T> {
    fn is_unset(&self) -> bool {
        self.is_none()
    }

    fn number(&self) -> Option<u64> {
        self.as_ref()?.number()
    }
}

/// Serializes a placeholder instead of a secret.
fn hidden<S: serde::Serializer>(_: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str("(hidden)")
}

/// Parses a default, which the list below gives as text.
fn parse_default<T: std::str::FromStr>(text: &str) -> T {
    text.parse().ok().expect("a test reads all defaults")
}

/// What is wrong with a number outside of its range, as a sentence.
fn range_fault(name: &str, setting: &impl Setting, range: RangeInclusive<u64>) -> Option<String> {
    let number = setting.number().filter(|number| !range.contains(number))?;
    let limit = if number < *range.start() {
        format!("{} or more", range.start())
    } else {
        format!("{} or less", range.end())
    };
    Some(format!("`{name}` is {number}, and must be {limit}"))
}

/// Generates [`Settings`], in which every field is optional, and [`Config`], with defaults filled in, from one entry per setting:
/// `/// help`, further attributes for clap and serde, then `name: type, "ENVIRONMENT" = default, in range;`. A setting without a
/// default is optional in `Config` too.
macro_rules! settings {
    (@type $type:ty) => { Option<$type> };
    (@type $type:ty = $default:literal) => { $type };
    (@fill $given:expr) => { $given };
    (@fill $given:expr, $default:literal) => { $given.unwrap_or_else(|| parse_default(concat!($default))) };
    (@help $doc:literal) => { $doc.trim() };
    (@help $doc:literal $default:literal) => { concat!($doc, " [default: ", $default, "]").trim() };
    ($(
        #[doc = $doc:literal]
        $(#[arg($($arg:tt)*)])?
        $(#[serde($($serde:tt)*)])?
        $name:ident: $type:ty, $env:literal $(= $default:literal)? $(, in $range:expr)?;
    )+) => {
        /// The operator's settings, all optional.
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[cfg_attr(feature = "clap", derive(clap::Args))]
        #[serde(default, deny_unknown_fields)]
        pub struct Settings {
            $(
                #[doc = $doc]
                #[cfg_attr(feature = "clap", arg(long, env = $env, help = settings!(@help $doc $($default)?), $($($arg)*)?))]
                #[serde(skip_serializing_if = "Option::is_none")]
                pub $name: Option<$type>,
            )+
        }

        impl Settings {
            /// These settings, with those that are unset taken from `other`.
            #[must_use]
            pub fn or(self, other: Self) -> Self {
                Self { $($name: self.$name.or(other.$name),)+ }
            }

            /// Fills in defaults.
            pub(crate) fn filled(self) -> Config {
                Config {
                    $($name: settings!(@fill self.$name $(, $default)?),)+
                    adapter: None,
                    backend: None,
                }
            }
        }

        /// The settings with defaults filled in.
        #[derive(Clone, Debug, PartialEq, Serialize)]
        pub struct Config {
            $(
                #[doc = $doc]
                #[serde(skip_serializing_if = "Setting::is_unset", $($($serde)*)?)]
                pub $name: settings!(@type $type $(= $default)?),
            )+
            /// Part of the name of the GPU that jobs run on; `None` selects the best one. Set on the command line (`--adapter`).
            #[serde(skip_serializing_if = "Option::is_none")]
            pub adapter: Option<String>,
            /// Graphics API of the GPU; `None` selects the best one. Set on the command line (`--backend`).
            #[serde(skip_serializing_if = "Option::is_none")]
            pub backend: Option<Backend>,
        }

        impl Config {
            /// What is wrong with a number, as a sentence.
            pub(crate) fn range_fault(&self) -> Option<String> {
                None$($(.or_else(|| range_fault(stringify!($name), &self.$name, $range)))?)+
            }
        }
    };
}

settings! {
    /// Address and port to listen on
    #[arg(value_name = "ADDR", help_heading = "Network")]
    bind: SocketAddr, "SPLAT_BIND" = "127.0.0.1:5000";
    /// Serve without keys on an address that others can reach: everybody can do everything
    #[arg(value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "Network")]
    allow_anonymous: bool, "SPLAT_ALLOW_ANONYMOUS" = false;
    /// Origins of web pages that may use the service, `*` for all [default: none]
    #[arg(value_name = "ORIGIN", value_delimiter = ',', help_heading = "Network")]
    cors_origins: Vec<String>, "SPLAT_CORS_ORIGINS";
    /// Open a public URL through ngrok; needs NGROK_AUTHTOKEN, and a program built with the feature `ngrok`
    #[arg(value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "Network")]
    ngrok: bool, "SPLAT_NGROK" = false;
    /// Domain of the public URL, one of your ngrok account's [default: one that ngrok chooses]
    #[arg(value_name = "DOMAIN", help_heading = "Network")]
    ngrok_domain: String, "NGROK_DOMAIN";
    /// URL of this service behind a proxy, such as `https://splat.example.com`: its host and origin are accepted, and its path is added to all URLs [default: the request's `Host`]
    #[arg(value_name = "URL", help_heading = "Network")]
    public_url: String, "SPLAT_PUBLIC_URL";
    /// With keys in use, let Ghostouch clients, which cannot send keys, train gestures: POST /train is open to everybody
    #[arg(value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "Network")]
    legacy_gestures: bool, "SPLAT_LEGACY_GESTURES" = false;
    /// Send the webhooks that jobs request
    #[arg(value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "Network")]
    webhooks: bool, "SPLAT_WEBHOOKS" = false;
    /// Secret that webhooks are signed with; at least 32 characters
    #[arg(value_name = "SECRET", hide_env_values = true, help_heading = "Network")]
    #[serde(serialize_with = "hidden")]
    webhook_secret: String, "SPLAT_WEBHOOK_SECRET";
    /// Allow webhooks to private addresses, for receivers in the same network
    #[arg(value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "Network")]
    webhook_allow_private: bool, "SPLAT_WEBHOOK_ALLOW_PRIVATE" = false;

    /// Folder for jobs, uploads and the queue
    #[arg(value_name = "DIR", help_heading = "Storage")]
    data_dir: PathBuf, "SPLAT_DATA_DIR" = "splat-data";
    /// Redis queue shared by several machines: redis://host:6379/0 [default: SQLite in the data folder]
    #[arg(value_name = "URL", hide_env_values = true, help_heading = "Storage")]
    #[serde(serialize_with = "hidden")]
    redis_url: String, "REDIS_URL";
    /// File store shared by several machines: s3://bucket/prefix, gs://bucket/prefix or file:///folder [default: the data folder]
    #[arg(value_name = "URL", help_heading = "Storage")]
    store_url: String, "STORE_URL";
    /// Service account of a Firebase project, for its storage bucket
    #[arg(value_name = "FILE", help_heading = "Storage")]
    firebase_credentials: PathBuf, "FIREBASE_CREDENTIALS";
    /// Firebase storage bucket, the same as --store-url gs://BUCKET
    #[arg(value_name = "BUCKET", help_heading = "Storage")]
    firebase_storage_bucket: String, "FIREBASE_STORAGE_BUCKET";
    /// Hours that jobs and their files are kept after they end
    #[arg(value_name = "HOURS", help_heading = "Storage")]
    retention_hours: u64, "SPLAT_RETENTION_HOURS" = 168;
    /// Days that gesture models of Ghostouch clients without a key are kept; a phone keeps models that it has downloaded, and starts from the basic gestures when it adds one to a model that was removed [default: until they are deleted]
    #[arg(value_name = "DAYS", help_heading = "Storage")]
    legacy_gestures_days: u64, "SPLAT_LEGACY_GESTURES_DAYS";

    /// Concurrent scenes in this process
    #[arg(value_name = "N", help_heading = "Workers")]
    scene_slots: u32, "SPLAT_SCENE_SLOTS" = 1;
    /// Concurrent gestures in this process
    #[arg(value_name = "N", help_heading = "Workers")]
    cpu_slots: u32, "SPLAT_CPU_SLOTS" = 2, in 1..=ANY;
    /// Base model for gestures, a model.gesture as written by `splat gesture train` [default: one trained here on synthetic hands]
    #[arg(value_name = "FILE", help_heading = "Workers")]
    gesture_base: PathBuf, "SPLAT_GESTURE_BASE";
    /// Maximum attempts at a job whose process crashes or whose disk is full
    #[arg(value_name = "N", help_heading = "Workers")]
    max_attempts: u32, "SPLAT_MAX_ATTEMPTS" = 3, in 1..=ANY;
    /// Seconds without a renewal after which a job goes to another worker
    #[arg(value_name = "S", help_heading = "Workers")]
    lease_s: u64, "SPLAT_LEASE_S" = 30, in 2..=ANY;
    /// Maximum minutes per attempt at a job
    #[arg(value_name = "MIN", help_heading = "Workers")]
    job_timeout_min: u64, "SPLAT_JOB_TIMEOUT_MIN" = 1440, in 1..=ANY;
    /// Maximum minutes per COLMAP stage
    #[arg(value_name = "MIN", help_heading = "Workers")]
    colmap_timeout_min: u64, "SPLAT_COLMAP_TIMEOUT_MIN" = 240, in 1..=ANY;
    /// Seconds of training between checkpoints
    #[arg(value_name = "S", help_heading = "Workers")]
    checkpoint_s: u64, "SPLAT_CHECKPOINT_S" = 60, in 1..=ANY;
    /// Seconds of training between previews of the scene, 0 for none
    #[arg(value_name = "S", help_heading = "Workers")]
    preview_s: u64, "SPLAT_PREVIEW_S" = 4;
    /// COLMAP program [default: the one in PATH]
    #[arg(value_name = "FILE", help_heading = "Workers")]
    colmap: PathBuf, "SPLAT_COLMAP";
    /// Simulate jobs without COLMAP and GPU, and accept simulated faults: for testing clients
    #[arg(value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "Workers")]
    test_mode: bool, "SPLAT_TEST_MODE" = false;

    /// Maximum photos per job
    #[arg(value_name = "N", help_heading = "Limits")]
    max_photos: u32, "SPLAT_MAX_PHOTOS" = 50, in 3..=ANY;
    /// Maximum MiB per photo
    #[arg(value_name = "MIB", help_heading = "Limits")]
    max_file_mib: u64, "SPLAT_MAX_FILE_MIB" = 64, in 1..=MOST_MIB;
    /// Maximum MiB per job, and per zip or video
    #[arg(value_name = "MIB", help_heading = "Limits")]
    max_job_mib: u64, "SPLAT_MAX_JOB_MIB" = 4096, in 1..=MOST_MIB;
    /// Maximum megapixels per photo
    #[arg(value_name = "MP", help_heading = "Limits")]
    max_megapixels: u64, "SPLAT_MAX_MEGAPIXELS" = 100, in 1..=ANY;
    /// Maximum waiting jobs
    #[arg(value_name = "N", help_heading = "Limits")]
    max_waiting: u64, "SPLAT_MAX_WAITING" = 200;
    /// Maximum unfinished jobs per key [default: 20; without keys no limit]
    #[arg(value_name = "N", help_heading = "Limits")]
    max_jobs_per_key: u64, "SPLAT_MAX_JOBS_PER_KEY";
    /// Maximum MiB stored per key, photos and scenes together [default: no limit]
    #[arg(value_name = "MIB", help_heading = "Limits")]
    quota_mib: u64, "SPLAT_QUOTA_MIB", in 0..=MOST_MIB;
    /// Maximum jobs per key and day (UTC) [default: no limit]
    #[arg(value_name = "N", help_heading = "Limits")]
    quota_jobs: u64, "SPLAT_QUOTA_JOBS";
    /// Maximum minutes of work per key and day (UTC); a job that has started is finished [default: no limit]
    #[arg(value_name = "MIN", help_heading = "Limits")]
    quota_minutes: u64, "SPLAT_QUOTA_MINUTES";
    /// Maximum requests per minute, per key, or per address without a key [default: 1200; without keys on this machine no limit]
    #[arg(value_name = "N", help_heading = "Limits")]
    requests_per_minute: u32, "SPLAT_REQUESTS_PER_MINUTE", in 1..=ANY;
    /// MiB to keep free on the disk
    #[arg(value_name = "MIB", help_heading = "Limits")]
    disk_floor_mib: u64, "SPLAT_DISK_FLOOR_MIB" = 2048, in 0..=MOST_MIB;
}

impl Settings {
    /// Reads settings from a TOML file.
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
