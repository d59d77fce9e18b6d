//! Who asks, and how often. From where is judged by [`Site`].

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tokio::sync::Mutex;

use super::site::{self, Site};
use super::{App, Problem};
use crate::config::Config;
use crate::job::Owner;
use crate::keys::{Keys, Role};

/// How long the answer to "are there keys?" is believed.
const KEYS_SEEN_FOR: Duration = Duration::from_secs(2);
/// Requests a minute of everybody but one person at their own machine, unless the operator says otherwise.
const REQUESTS_PER_MINUTE: u32 = 1200;

/// Who makes a request.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// Whose jobs it sees and makes.
    pub(crate) owner: Owner,
    /// Whether it sees what concerns all.
    pub(crate) admin: bool,
}

/// Who asked, for the log: the id of a key, never the key.
#[derive(Clone, Debug)]
pub(super) struct Asked(pub(super) Owner);

/// Lets requests through, or not.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    keys: Keys,
    in_use: Arc<AtomicBool>,
    looked: Arc<Mutex<Option<Instant>>>,
    limiter: Arc<DefaultKeyedRateLimiter<String>>,
    /// Whether the limit is the operator's word: then it holds for this machine too.
    limit_all: bool,
    site: Site,
    legacy_gestures: bool,
}

impl Gate {
    pub(super) fn new(config: &Config, keys: Keys) -> Self {
        let per_minute = config.requests_per_minute.unwrap_or(REQUESTS_PER_MINUTE);
        let quota = Quota::per_minute(NonZeroU32::new(per_minute).unwrap_or(NonZeroU32::MIN));
        Self {
            keys,
            in_use: Arc::default(),
            looked: Arc::default(),
            limiter: Arc::new(RateLimiter::keyed(quota)),
            limit_all: config.requests_per_minute.is_some(),
            site: Site::new(config),
            legacy_gestures: config.legacy_gestures,
        }
    }

    /// Whether keys are asked for, as of the last look.
    pub(super) fn keys_in_use(&self) -> bool {
        self.in_use.load(Ordering::Relaxed)
    }

    /// Whether keys are asked for. From the first key that was ever made on, every request needs one, for good: a service does not
    /// become everybody's because its last key was revoked, or because its keys cannot be found any more.
    pub(super) async fn requires_key(&self) -> Result<bool, Problem> {
        if self.keys_in_use() {
            return Ok(true);
        }
        let mut looked = self.looked.lock().await;
        if looked.is_none_or(|at| at.elapsed() > KEYS_SEEN_FOR) {
            if self.keys.ever().await.map_err(unavailable)? {
                self.in_use.store(true, Ordering::Relaxed);
            }
            *looked = Some(Instant::now());
        }
        Ok(self.keys_in_use())
    }

    async fn caller(&self, request: &Parts) -> Result<Caller, Problem> {
        let required = self.requires_key().await?;
        let presented = request.headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap_or(""));
        let Some(presented) = presented else {
            if required && self.legacy_gestures && is_legacy(request.uri.path()) {
                self.site.same_origin(request)?;
                return Ok(Caller { owner: Owner::legacy(), admin: false });
            }
            if required {
                return Err(unauthorized(
                    "this service needs a key; send it as `Authorization: Bearer splat_...`",
                ));
            }
            self.site.admit_anonymous(request)?;
            return Ok(Caller { owner: Owner::local(), admin: true });
        };
        let (scheme, text) = presented.split_once(' ').unwrap_or((presented, ""));
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(unauthorized("the `Authorization` header must be `Bearer`, a space, and a key"));
        }
        match self.keys.verify(text.trim()).await.map_err(unavailable)? {
            Some(key) => Ok(Caller { owner: key.owner(), admin: key.role == Role::Admin }),
            None => Err(unauthorized("the key is not known here, or was revoked")),
        }
    }

    /// One request of this key or address; an error when there were too many.
    fn count(&self, who: &str) -> Result<(), Problem> {
        self.limiter.check_key(&who.to_owned()).map_err(|not_until| {
            let wait = not_until.wait_time_from(DefaultClock::default().now()).as_secs() + 1;
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", "too many requests in a minute")
                .retry_after(wait)
        })
    }

    /// Forgets addresses and keys that have been quiet.
    pub(crate) fn forget_quiet(&self) {
        self.limiter.retain_recent();
    }
}

/// Lets a request through with its [`Caller`], or answers why not.
pub(super) async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match admit(&app.gate, &parts).await {
        Ok(caller) => {
            let asked = Asked(caller.owner.clone());
            parts.extensions.insert(caller);
            let mut response = next.run(Request::from_parts(parts, body)).await;
            response.extensions_mut().insert(asked);
            response
        }
        Err(problem) => problem.into_response(),
    }
}

async fn admit(gate: &Gate, request: &Parts) -> Result<Caller, Problem> {
    let address = site::client(request).map_or_else(|| "unknown".to_owned(), network);
    // One person at their own machine needs no limit; everybody else has one.
    let unlimited = !gate.limit_all && !gate.requires_key().await? && site::is_here(request);
    let count = |who: &str| if unlimited { Ok(()) } else { gate.count(who) };
    if is_open(request.uri.path()) {
        count(&address)?;
        return Ok(Caller { owner: Owner::local(), admin: false });
    }
    match gate.caller(request).await {
        Ok(caller) => {
            let shared = caller.owner == Owner::local() || caller.owner == Owner::legacy();
            count(if shared { &address } else { &caller.owner.0 })?;
            Ok(caller)
        }
        Err(problem) => {
            // Guessing keys is slowed down by address.
            count(&address)?;
            Err(problem)
        }
    }
}

/// Routes that say nothing about jobs, and those that carry a secret in their path.
pub(super) fn is_open(path: &str) -> bool {
    matches!(path, "/v1/info" | "/healthz" | "/readyz")
        || path.starts_with("/models/")
        || path.starts_with("/v1/shared/")
}

/// Routes of Ghostouch clients, which have no keys.
fn is_legacy(path: &str) -> bool {
    path == "/train" || path.starts_with("/status/")
}

/// Who counts as one: an address, or for IPv6 the network that one customer gets.
fn network(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(address) => address.to_string(),
            None => address.segments()[..4].iter().map(|part| format!("{part:x}:")).collect(),
        },
    }
}

fn unauthorized(detail: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
}

pub(super) fn unavailable(error: crate::keys::KeyError) -> Problem {
    match error {
        crate::keys::KeyError::Store(error) => error.into(),
        error => Problem::internal(&error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_ipv6_customer_is_one_network() {
        let of = |text: &str| text.parse().map(network).unwrap_or_default();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), of("2001:db8:1:2::9"));
        assert_ne!(of("2001:db8:1:2::9"), of("2001:db8:1:3::9"));
        assert_eq!(of("::ffff:10.0.0.1"), "10.0.0.1");
    }
}
