//! Authentication and rate limits. Where a request comes from is checked by [`Site`].

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
use crate::code::Code;
use crate::config::Config;
use crate::job::Owner;
use crate::keys::{Keys, Role};

/// How long it is cached whether keys exist.
const KEYS_SEEN_FOR: Duration = Duration::from_secs(2);
/// Default rate limit, in requests per minute, of every client except one on the service's own machine.
const REQUESTS_PER_MINUTE: u32 = 1200;

/// The authenticated client of a request.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// Owner of the jobs that it sees and submits.
    pub(crate) owner: Owner,
    /// Whether it may see what concerns all owners.
    pub(crate) admin: bool,
}

/// The caller's key id, for the access log; never the key itself.
#[derive(Clone, Debug)]
pub(super) struct Asked(pub(super) Owner);

/// Authenticates requests and limits their rate.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    keys: Keys,
    in_use: Arc<AtomicBool>,
    looked: Arc<Mutex<Option<Instant>>>,
    limiter: Arc<DefaultKeyedRateLimiter<String>>,
    /// Whether the operator has set the limit: then it applies to clients on this machine too.
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

    /// Whether keys are required, as of the last check.
    pub(super) fn keys_in_use(&self) -> bool {
        self.in_use.load(Ordering::Relaxed)
    }

    /// Whether keys are required. Once a key has been made, every request needs one, permanently: revoking the last key, or
    /// losing the key store, does not open the service to everybody.
    pub(super) async fn requires_key(&self) -> Result<bool, Problem> {
        if self.keys_in_use() {
            return Ok(true);
        }
        let mut looked = self.looked.lock().await;
        if looked.is_none_or(|at| at.elapsed() > KEYS_SEEN_FOR) {
            if self.keys.any_created().await.map_err(unavailable)? {
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

    /// Counts one request of this key or address.
    fn count(&self, who: &str) -> Result<(), Problem> {
        self.limiter.check_key(&who.to_owned()).map_err(|not_until| {
            let wait = not_until.wait_time_from(DefaultClock::default().now()).as_secs() + 1;
            Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                Code::TooManyRequests,
                "too many requests in a minute",
            )
            .retry_after(wait)
        })
    }

    /// Drops the counters of idle addresses and keys.
    pub(crate) fn remove_idle(&self) {
        self.limiter.retain_recent();
    }
}

/// Passes a request on with its [`Caller`], or rejects it.
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
    // A single user on the service's own machine is not limited.
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
            // Limits how fast keys can be guessed, per address.
            count(&address)?;
            Err(problem)
        }
    }
}

/// Routes that reveal nothing about jobs, and those that contain a secret in their path.
pub(super) fn is_open(path: &str) -> bool {
    matches!(path, "/v1/info" | "/healthz" | "/readyz")
        || path.starts_with("/models/")
        || path.starts_with("/v1/shared/")
}

/// Routes of Ghostouch clients, which cannot send keys.
fn is_legacy(path: &str) -> bool {
    path == "/train" || path.starts_with("/status/")
}

/// The unit of rate limiting: an IPv4 address, or for IPv6 the /64 network.
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
    Problem::new(StatusCode::UNAUTHORIZED, Code::Unauthorized, detail)
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
