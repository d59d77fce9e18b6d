//! What the operator decides: by flags, environment and a file, in this order of precedence.
//!
//! Every setting has one name: `--max-photos` as a flag, `SPLAT_MAX_PHOTOS` in the environment, `max_photos` in the file.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A pebibyte: more than a disk holds, and far from overflowing a number of bytes.
const MOST_MIB: u64 = 1 << 30;

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read the settings in `{}`: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file says something that is no setting, or of the wrong type.
    #[error("the settings in `{}` cannot be understood: {why}", path.display())]
    Parse {
        /// Which.
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
    /// Where clients reach this service, such as `https://splat.example.com` [default: the request's `Host`]
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
    /// Requests a minute of one key, or of one address without a key [default: 1200; without keys on this machine no limit]
    #[arg(value_name = "N", help_heading = "Limits")]
    requests_per_minute: u32, "SPLAT_REQUESTS_PER_MINUTE";
    /// MiB that stay free on the disk [default: 2048]
    #[arg(value_name = "MIB", help_heading = "Limits")]
    disk_floor_mib: u64, "SPLAT_DISK_FLOOR_MIB";
}

/// Settings with every gap filled.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "each field is documented where it is given, in `Settings`")]
pub struct Config {
    pub bind: SocketAddr,
    pub allow_anonymous: bool,
    pub cors_origins: Vec<String>,
    pub ngrok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ngrok_domain: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
    pub legacy_gestures: bool,
    pub webhooks: bool,
    #[serde(serialize_with = "hidden", skip_serializing_if = "Option::is_none")]
    pub webhook_secret: Option<String>,
    pub webhook_allow_private: bool,
    pub data_dir: PathBuf,
    #[serde(serialize_with = "hidden", skip_serializing_if = "Option::is_none")]
    pub redis_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firebase_credentials: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firebase_storage_bucket: Option<String>,
    pub retention_hours: u64,
    pub scene_slots: u32,
    pub cpu_slots: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gesture_base: Option<PathBuf>,
    pub max_attempts: u32,
    pub lease_s: u64,
    pub job_timeout_min: u64,
    pub colmap_timeout_min: u64,
    pub checkpoint_s: u64,
    pub preview_s: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub colmap: Option<PathBuf>,
    pub test_mode: bool,
    pub max_photos: u32,
    pub max_file_mib: u64,
    pub max_job_mib: u64,
    pub max_megapixels: u64,
    pub max_waiting: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_jobs_per_key: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u32>,
    pub disk_floor_mib: u64,
}

/// Shown in place of a secret.
fn hidden<S: serde::Serializer>(_: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str("(hidden)")
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

    /// Fills the gaps and checks what does not go together.
    ///
    /// # Errors
    /// [`SettingsError::Contrary`].
    pub fn resolve(self) -> Result<Config, SettingsError> {
        let config = Config {
            bind: self.bind.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 5000))),
            allow_anonymous: self.allow_anonymous.unwrap_or(false),
            cors_origins: self.cors_origins.unwrap_or_default(),
            ngrok: self.ngrok.unwrap_or(false),
            ngrok_domain: self.ngrok_domain.filter(|domain| !domain.is_empty()),
            public_url: self.public_url.map(|url| url.trim_end_matches('/').to_owned()),
            legacy_gestures: self.legacy_gestures.unwrap_or(false),
            webhooks: self.webhooks.unwrap_or(false),
            webhook_secret: self.webhook_secret,
            webhook_allow_private: self.webhook_allow_private.unwrap_or(false),
            data_dir: self.data_dir.unwrap_or_else(|| PathBuf::from("splat-data")),
            redis_url: self.redis_url.filter(|url| !url.is_empty()),
            store_url: self.store_url.filter(|url| !url.is_empty()),
            firebase_credentials: self.firebase_credentials,
            firebase_storage_bucket: self.firebase_storage_bucket.filter(|bucket| !bucket.is_empty()),
            retention_hours: self.retention_hours.unwrap_or(168),
            scene_slots: self.scene_slots.unwrap_or(1),
            cpu_slots: self.cpu_slots.unwrap_or(2),
            gesture_base: self.gesture_base,
            max_attempts: self.max_attempts.unwrap_or(3),
            lease_s: self.lease_s.unwrap_or(30),
            job_timeout_min: self.job_timeout_min.unwrap_or(24 * 60),
            colmap_timeout_min: self.colmap_timeout_min.unwrap_or(240),
            checkpoint_s: self.checkpoint_s.unwrap_or(60),
            preview_s: self.preview_s.unwrap_or(4),
            colmap: self.colmap,
            test_mode: self.test_mode.unwrap_or(false),
            max_photos: self.max_photos.unwrap_or(50),
            max_file_mib: self.max_file_mib.unwrap_or(64),
            max_job_mib: self.max_job_mib.unwrap_or(4096),
            max_megapixels: self.max_megapixels.unwrap_or(100),
            max_waiting: self.max_waiting.unwrap_or(200),
            max_jobs_per_key: self.max_jobs_per_key,
            requests_per_minute: self.requests_per_minute,
            disk_floor_mib: self.disk_floor_mib.unwrap_or(2048),
        };
        config.check()?;
        Ok(config)
    }
}

impl Config {
    fn check(&self) -> Result<(), SettingsError> {
        let least = [
            ("max_attempts", u64::from(self.max_attempts), 1),
            ("cpu_slots", u64::from(self.cpu_slots), 1),
            ("lease_s", self.lease_s, 2),
            ("job_timeout_min", self.job_timeout_min, 1),
            ("colmap_timeout_min", self.colmap_timeout_min, 1),
            ("checkpoint_s", self.checkpoint_s, 1),
            ("max_photos", u64::from(self.max_photos), 3),
            ("max_file_mib", self.max_file_mib, 1),
            ("max_job_mib", self.max_job_mib, 1),
            ("max_megapixels", self.max_megapixels, 1),
            ("requests_per_minute", u64::from(self.requests_per_minute.unwrap_or(1)), 1),
        ];
        for (name, mib) in [
            ("max_file_mib", self.max_file_mib),
            ("max_job_mib", self.max_job_mib),
            ("disk_floor_mib", self.disk_floor_mib),
        ] {
            if mib > MOST_MIB {
                return Err(SettingsError::Contrary(format!(
                    "`{name}` is {mib}, and must be {MOST_MIB} or less"
                )));
            }
        }
        for (name, value, least) in least {
            if value < least {
                return Err(SettingsError::Contrary(format!(
                    "`{name}` is {value}, and must be {least} or more"
                )));
            }
        }
        let contrary = |text: &str| Err(SettingsError::Contrary(text.to_owned()));
        if self.ngrok && !cfg!(feature = "ngrok") {
            return contrary(
                "this program was built without ngrok; build it with `cargo build --release -p splat-cli --features ngrok`",
            );
        }
        if self.webhooks && self.webhook_secret.as_ref().is_none_or(|secret| secret.len() < 32) {
            return contrary(
                "webhooks need a `webhook_secret` of 32 characters or more, so that receivers can check who sent them",
            );
        }
        let is_base = |url: &url::Url| {
            matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.fragment().is_none()
        };
        if let Some(url) = &self.public_url
            && !url::Url::parse(url).is_ok_and(|url| is_base(&url))
        {
            return Err(SettingsError::Contrary(format!(
                "`public_url` is `{url}`; give where clients reach this service, as in `https://splat.example.com`"
            )));
        }
        if let Some(origin) = self.cors_origins.iter().find(|origin| !is_origin(origin)) {
            return Err(SettingsError::Contrary(format!(
                "`{origin}` is no origin; give scheme and host as in `https://app.example.com`, or `*`"
            )));
        }
        if self.redis_url.is_some() && self.store_url.is_none() && self.firebase_storage_bucket.is_none() {
            tracing::warn!(
                "the queue is shared through Redis, but files are not: all workers must see the same data folder"
            );
        }
        Ok(())
    }

    /// Whether only this machine can reach the service.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.bind.ip().is_loopback() && !self.ngrok
    }
}

/// `*`, or scheme and host without a path.
fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    text == "*" || host.is_some_and(|host| !host.is_empty() && !host.contains('/') && host.is_ascii())
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

    #[test]
    fn contrary_settings_are_refused() {
        let refused = |settings: Settings| settings.resolve().unwrap_err().to_string();
        let short =
            Settings { webhooks: Some(true), webhook_secret: Some("short".into()), ..Settings::default() };
        assert!(refused(short).contains("32 characters"));
        let origin = Settings { cors_origins: Some(vec!["example.com/app".into()]), ..Settings::default() };
        assert!(refused(origin).contains("no origin"));
        assert!(refused(Settings { lease_s: Some(0), ..Settings::default() }).contains("lease_s"));
    }

    #[test]
    fn secrets_are_not_printed() {
        let settings = Settings {
            redis_url: Some("redis://:hunter2@host".into()),
            webhook_secret: Some("s".repeat(40)),
            store_url: Some("s3://bucket".into()),
            ..Settings::default()
        };
        let text = toml::to_string(&settings.resolve().unwrap()).unwrap();
        assert!(!text.contains("hunter2") && !text.contains("ssss"), "{text}");
        assert!(text.contains("(hidden)"), "{text}");
    }
}
