//! The settings as they are in force: every gap filled, and checked against each other.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Serialize;
use splat_core::Backend;

use crate::queue::Quota;
use crate::settings::{Settings, SettingsError};

/// A pebibyte: more than a disk holds, and far from overflowing a number of bytes.
const MOST_MIB: u64 = 1 << 30;

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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub legacy_gestures_days: Option<u64>,
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
    /// Part of the name of the GPU that jobs run on; `None` takes the best. The command line sets it (`--adapter`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adapter: Option<String>,
    /// The interface by which jobs use it; `None` takes the best. The command line sets it (`--backend`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend: Option<Backend>,
    pub test_mode: bool,
    pub max_photos: u32,
    pub max_file_mib: u64,
    pub max_job_mib: u64,
    pub max_megapixels: u64,
    pub max_waiting: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_jobs_per_key: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota_mib: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota_jobs: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota_minutes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u32>,
    pub disk_floor_mib: u64,
}

/// Shown in place of a secret.
fn hidden<S: serde::Serializer>(_: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str("(hidden)")
}

impl Settings {
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
            legacy_gestures_days: self.legacy_gestures_days,
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
            adapter: None,
            backend: None,
            test_mode: self.test_mode.unwrap_or(false),
            max_photos: self.max_photos.unwrap_or(50),
            max_file_mib: self.max_file_mib.unwrap_or(64),
            max_job_mib: self.max_job_mib.unwrap_or(4096),
            max_megapixels: self.max_megapixels.unwrap_or(100),
            max_waiting: self.max_waiting.unwrap_or(200),
            max_jobs_per_key: self.max_jobs_per_key,
            quota_mib: self.quota_mib,
            quota_jobs: self.quota_jobs,
            quota_minutes: self.quota_minutes,
            requests_per_minute: self.requests_per_minute,
            disk_floor_mib: self.disk_floor_mib.unwrap_or(2048),
        };
        config.check()?;
        Ok(config)
    }
}

impl Config {
    /// How long jobs are kept after their end, milliseconds.
    #[must_use]
    pub fn retention_ms(&self) -> u64 {
        self.retention_hours.saturating_mul(3_600_000)
    }

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
            ("quota_mib", self.quota_mib.unwrap_or(0)),
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

    /// What one key may have and use.
    #[must_use]
    pub fn quota(&self) -> Quota {
        Quota {
            bytes: self.quota_mib.map(|mib| mib << 20),
            jobs_a_day: self.quota_jobs,
            busy_ms_a_day: self.quota_minutes.map(|minutes| minutes.saturating_mul(60_000)),
        }
    }

    /// What stands before the paths of the service in what it answers: the public URL, or nothing where that is not known.
    #[must_use]
    pub fn base_url(&self) -> &str {
        self.public_url.as_deref().unwrap_or_default()
    }

    /// What the public URL puts before the paths of the service, such as `/splat`; empty where that is nothing.
    #[must_use]
    pub fn public_path(&self) -> String {
        let public = self.public_url.as_deref().and_then(|url| url::Url::parse(url).ok());
        public.map(|url| url.path().trim_end_matches('/').to_owned()).unwrap_or_default()
    }

    /// Whether only this machine is to reach the service. A public URL means a proxy in front, though it may be on this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        let public = self.public_url.as_deref().and_then(|url| url::Url::parse(url).ok());
        let elsewhere = public.is_some_and(|url| match url.host() {
            Some(url::Host::Domain(name)) => !name.eq_ignore_ascii_case("localhost"),
            Some(url::Host::Ipv4(ip)) => !ip.is_loopback(),
            Some(url::Host::Ipv6(ip)) => !ip.is_loopback(),
            None => true,
        });
        self.bind.ip().is_loopback() && !self.ngrok && !elsewhere
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
