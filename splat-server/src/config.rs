//! The resolved settings: defaults filled in, and combinations checked.

use crate::queue::Quota;
use crate::settings::{Settings, SettingsError};

pub use crate::settings::Config;

impl Settings {
    /// Fills in defaults and rejects settings that contradict each other.
    ///
    /// # Errors
    /// [`SettingsError::Contrary`].
    pub fn resolve(self) -> Result<Config, SettingsError> {
        let mut config = self.filled();
        // An empty environment variable counts as unset.
        for text in [
            &mut config.ngrok_domain,
            &mut config.redis_url,
            &mut config.store_url,
            &mut config.firebase_storage_bucket,
        ] {
            text.take_if(|text| text.is_empty());
        }
        config.public_url = config.public_url.map(|url| url.trim_end_matches('/').to_owned());
        config.check()?;
        Ok(config)
    }
}

impl Config {
    /// How long jobs are kept after they end, in milliseconds.
    #[must_use]
    pub fn retention_ms(&self) -> u64 {
        self.retention_hours.saturating_mul(3_600_000)
    }

    fn check(&self) -> Result<(), SettingsError> {
        if let Some(fault) = self.range_fault() {
            return Err(SettingsError::Contrary(fault));
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
        if let Some(origin) = self.cors_origins.iter().flatten().find(|origin| !is_origin(origin)) {
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

    /// Limits per key.
    #[must_use]
    pub fn quota(&self) -> Quota {
        Quota {
            bytes: self.quota_mib.map(|mib| mib << 20),
            jobs_a_day: self.quota_jobs,
            busy_ms_a_day: self.quota_minutes.map(|minutes| minutes.saturating_mul(60_000)),
        }
    }

    /// Prefix of URLs in responses: the public URL, or empty if none is configured.
    #[must_use]
    pub fn base_url(&self) -> &str {
        self.public_url.as_deref().unwrap_or_default()
    }

    /// Path of the public URL, such as `/splat`; empty if it has none.
    #[must_use]
    pub fn public_path(&self) -> String {
        let public = self.public_url.as_deref().and_then(|url| url::Url::parse(url).ok());
        public.map(|url| url.path().trim_end_matches('/').to_owned()).unwrap_or_default()
    }

    /// Whether the service is reachable from this machine only. A public URL implies a proxy in front of it, even if that runs on
    /// this machine.
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
