//! What the operator decides: by flags, environment and a file, in this order of precedence.
//!
//! Every setting has one name: `--max-photos` as a flag, `SPLAT_MAX_PHOTOS` in the environment, `max_photos` in the file.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use splat_core::Backend;

/// A pebibyte: more than a disk holds, and far from overflowing a number of bytes.
const MOST_MIB: u64 = 1 << 30;
/// As much as one wants.
const ANY: u64 = u64::MAX;

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

/// What a setting needs to be printed and checked.
trait Setting {
    /// Whether nothing was said and nothing holds instead.
    fn is_unset(&self) -> bool {
        false
    }

    /// The number that it is, if it is one.
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

/// Shown in place of a secret.
fn hidden<S: serde::Serializer>(_: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str("(hidden)")
}

/// The default of a setting, which the list below says as a text.
fn stated<T: std::str::FromStr>(text: &str) -> T {
    text.parse().ok().expect("a test reads all defaults")
}

/// What is wrong with a number that must lie in a range, as a sentence.
fn range_fault(name: &str, setting: &impl Setting, range: RangeInclusive<u64>) -> Option<String> {
    let number = setting.number().filter(|number| !range.contains(number))?;
    let limit = if number < *range.start() {
        format!("{} or more", range.start())
    } else {
        format!("{} or less", range.end())
    };
    Some(format!("`{name}` is {number}, and must be {limit}"))
}

/// Makes [`Settings`], which somebody gives, and [`Config`], which holds then, of one line a setting:
/// `/// help`, what clap and serde must know besides, then `name: type, "ENVIRONMENT" = default, in range;`. Without a default a
/// setting may be absent in `Config`, too.
macro_rules! settings {
    (@type $type:ty) => { Option<$type> };
    (@type $type:ty = $default:literal) => { $type };
    (@fill $given:expr) => { $given };
    (@fill $given:expr, $default:literal) => { $given.unwrap_or_else(|| stated(concat!($default))) };
    (@help $doc:literal) => { $doc.trim() };
    (@help $doc:literal $default:literal) => { concat!($doc, " [default: ", $default, "]").trim() };
    ($(
        #[doc = $doc:literal]
        $(#[arg($($arg:tt)*)])?
        $(#[serde($($serde:tt)*)])?
        $name:ident: $type:ty, $env:literal $(= $default:literal)? $(, in $range:expr)?;
    )+) => {
        /// Settings as somebody gives them: each may be left out.
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
            /// These settings, and those of `other` where these say nothing.
            #[must_use]
            pub fn or(self, other: Self) -> Self {
                Self { $($name: self.$name.or(other.$name),)+ }
            }

            /// Fills the gaps.
            pub(crate) fn filled(self) -> Config {
                Config {
                    $($name: settings!(@fill self.$name $(, $default)?),)+
                    adapter: None,
                    backend: None,
                }
            }
        }

        /// Settings with every gap filled.
        #[derive(Clone, Debug, PartialEq, Serialize)]
        pub struct Config {
            $(
                #[doc = $doc]
                #[serde(skip_serializing_if = "Setting::is_unset", $($($serde)*)?)]
                pub $name: settings!(@type $type $(= $default)?),
            )+
            /// Part of the name of the GPU that jobs run on; `None` takes the best. The command line sets it (`--adapter`).
            #[serde(skip_serializing_if = "Option::is_none")]
            pub adapter: Option<String>,
            /// The interface by which jobs use it; `None` takes the best. The command line sets it (`--backend`).
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
    /// Serve without keys on an address that others can reach: everybody may do everything
    #[arg(value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "Network")]
    allow_anonymous: bool, "SPLAT_ALLOW_ANONYMOUS" = false;
    /// Web pages of these origins may use the service, `*` for all [default: none]
    #[arg(value_name = "ORIGIN", value_delimiter = ',', help_heading = "Network")]
    cors_origins: Vec<String>, "SPLAT_CORS_ORIGINS";
    /// Open a public URL through ngrok; needs NGROK_AUTHTOKEN, and a program built with the feature `ngrok`
    #[arg(value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "Network")]
    ngrok: bool, "SPLAT_NGROK" = false;
    /// The domain for it, one of your ngrok account's [default: one that ngrok chooses]
    #[arg(value_name = "DOMAIN", help_heading = "Network")]
    ngrok_domain: String, "NGROK_DOMAIN";
    /// Where clients reach this service through a proxy, such as `https://splat.example.com`: its host and origin are accepted, and a path is put before all addresses [default: the request's `Host`]
    #[arg(value_name = "URL", help_heading = "Network")]
    public_url: String, "SPLAT_PUBLIC_URL";
    /// With keys in use, let Ghostouch clients, which have none, train gestures all the same: POST /train is open to everybody
    #[arg(value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "Network")]
    legacy_gestures: bool, "SPLAT_LEGACY_GESTURES" = false;
    /// Send webhooks that jobs ask for
    #[arg(value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "Network")]
    webhooks: bool, "SPLAT_WEBHOOKS" = false;
    /// The secret that webhooks are signed with; 32 characters or more
    #[arg(value_name = "SECRET", hide_env_values = true, help_heading = "Network")]
    #[serde(serialize_with = "hidden")]
    webhook_secret: String, "SPLAT_WEBHOOK_SECRET";
    /// Let webhooks go to private addresses too, for receivers in the same network
    #[arg(value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "Network")]
    webhook_allow_private: bool, "SPLAT_WEBHOOK_ALLOW_PRIVATE" = false;

    /// Folder for jobs, uploads and the queue
    #[arg(value_name = "DIR", help_heading = "Storage")]
    data_dir: PathBuf, "SPLAT_DATA_DIR" = "splat-data";
    /// Queue for several machines: redis://host:6379/0 [default: SQLite in the data folder]
    #[arg(value_name = "URL", hide_env_values = true, help_heading = "Storage")]
    #[serde(serialize_with = "hidden")]
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
    /// Hours that jobs and their files are kept after their end
    #[arg(value_name = "HOURS", help_heading = "Storage")]
    retention_hours: u64, "SPLAT_RETENTION_HOURS" = 168;
    /// Days that gesture models of Ghostouch clients without a key are kept; a phone keeps what it has fetched, and begins anew with the basic gestures when it adds one to a model that is gone [default: until they are deleted]
    #[arg(value_name = "DAYS", help_heading = "Storage")]
    legacy_gestures_days: u64, "SPLAT_LEGACY_GESTURES_DAYS";

    /// Scenes at once in this process
    #[arg(value_name = "N", help_heading = "Workers")]
    scene_slots: u32, "SPLAT_SCENE_SLOTS" = 1;
    /// Gestures at once in this process
    #[arg(value_name = "N", help_heading = "Workers")]
    cpu_slots: u32, "SPLAT_CPU_SLOTS" = 2, in 1..=ANY;
    /// Another base model for gestures, a model.gesture as `splat gesture train` writes it [default: one made here, from nobody's recordings]
    #[arg(value_name = "FILE", help_heading = "Workers")]
    gesture_base: PathBuf, "SPLAT_GESTURE_BASE";
    /// Attempts at a job whose process dies or whose disk is full
    #[arg(value_name = "N", help_heading = "Workers")]
    max_attempts: u32, "SPLAT_MAX_ATTEMPTS" = 3, in 1..=ANY;
    /// Seconds without a sign of life after which a job goes to another worker
    #[arg(value_name = "S", help_heading = "Workers")]
    lease_s: u64, "SPLAT_LEASE_S" = 30, in 2..=ANY;
    /// Most minutes for one attempt at a job
    #[arg(value_name = "MIN", help_heading = "Workers")]
    job_timeout_min: u64, "SPLAT_JOB_TIMEOUT_MIN" = 1440, in 1..=ANY;
    /// Most minutes for one COLMAP stage
    #[arg(value_name = "MIN", help_heading = "Workers")]
    colmap_timeout_min: u64, "SPLAT_COLMAP_TIMEOUT_MIN" = 240, in 1..=ANY;
    /// Seconds of training between checkpoints
    #[arg(value_name = "S", help_heading = "Workers")]
    checkpoint_s: u64, "SPLAT_CHECKPOINT_S" = 60, in 1..=ANY;
    /// Seconds of training between pictures of the scene, 0 for none
    #[arg(value_name = "S", help_heading = "Workers")]
    preview_s: u64, "SPLAT_PREVIEW_S" = 4;
    /// COLMAP program [default: the one on PATH]
    #[arg(value_name = "FILE", help_heading = "Workers")]
    colmap: PathBuf, "SPLAT_COLMAP";
    /// Act jobs out without COLMAP and GPU, and take faults that jobs ask for: for testing clients
    #[arg(value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "Workers")]
    test_mode: bool, "SPLAT_TEST_MODE" = false;

    /// Most photos of a job
    #[arg(value_name = "N", help_heading = "Limits")]
    max_photos: u32, "SPLAT_MAX_PHOTOS" = 50, in 3..=ANY;
    /// Most MiB of one photo
    #[arg(value_name = "MIB", help_heading = "Limits")]
    max_file_mib: u64, "SPLAT_MAX_FILE_MIB" = 64, in 1..=MOST_MIB;
    /// Most MiB of a job, and of one zip or video
    #[arg(value_name = "MIB", help_heading = "Limits")]
    max_job_mib: u64, "SPLAT_MAX_JOB_MIB" = 4096, in 1..=MOST_MIB;
    /// Most megapixels of one photo
    #[arg(value_name = "MP", help_heading = "Limits")]
    max_megapixels: u64, "SPLAT_MAX_MEGAPIXELS" = 100, in 1..=ANY;
    /// Most jobs waiting
    #[arg(value_name = "N", help_heading = "Limits")]
    max_waiting: u64, "SPLAT_MAX_WAITING" = 200;
    /// Most unfinished jobs of one key [default: 20; without keys no limit]
    #[arg(value_name = "N", help_heading = "Limits")]
    max_jobs_per_key: u64, "SPLAT_MAX_JOBS_PER_KEY";
    /// Most MiB kept of one key's photos and scenes together [default: no limit]
    #[arg(value_name = "MIB", help_heading = "Limits")]
    quota_mib: u64, "SPLAT_QUOTA_MIB", in 0..=MOST_MIB;
    /// Most jobs that one key submits in a day (UTC) [default: no limit]
    #[arg(value_name = "N", help_heading = "Limits")]
    quota_jobs: u64, "SPLAT_QUOTA_JOBS";
    /// Most minutes that jobs of one key take in a day (UTC); a job that was begun is finished [default: no limit]
    #[arg(value_name = "MIN", help_heading = "Limits")]
    quota_minutes: u64, "SPLAT_QUOTA_MINUTES";
    /// Requests a minute of one key, or of one address without a key [default: 1200; without keys on this machine no limit]
    #[arg(value_name = "N", help_heading = "Limits")]
    requests_per_minute: u32, "SPLAT_REQUESTS_PER_MINUTE", in 1..=ANY;
    /// MiB that stay free on the disk
    #[arg(value_name = "MIB", help_heading = "Limits")]
    disk_floor_mib: u64, "SPLAT_DISK_FLOOR_MIB" = 2048, in 0..=MOST_MIB;
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
