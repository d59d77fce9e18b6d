//! Who asks, how often, and from which web page.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tokio::sync::Mutex;

use super::{App, Problem};
use crate::config::Config;
use crate::job::Owner;
use crate::keys::{Keys, Role};

/// How long the answer to "are there keys?" is believed.
const KEYS_SEEN_FOR: Duration = Duration::from_secs(2);
/// Requests a minute with keys in use, unless the operator says otherwise.
const REQUESTS_PER_MINUTE: u32 = 1200;

/// Who makes a request.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// Whose jobs it sees and makes.
    pub(crate) owner: Owner,
    /// Whether it sees what concerns all.
    pub(crate) admin: bool,
}

/// Lets requests through, or not.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    keys: Keys,
    in_use: Arc<AtomicBool>,
    looked: Arc<Mutex<Option<Instant>>>,
    limiter: Option<Arc<DefaultKeyedRateLimiter<String>>>,
    allowed_origins: Arc<[String]>,
    local: bool,
    legacy_gestures: bool,
}

/// Whose the gestures of clients are that have no key, where such are let in.
pub(super) fn legacy_owner() -> Owner {
    Owner("legacy".into())
}

impl Gate {
    pub(super) fn new(config: &Config, keys: Keys) -> Self {
        // One person at their own machine needs no limit; everybody else has one.
        let per_minute = config.requests_per_minute.or((!config.is_local()).then_some(REQUESTS_PER_MINUTE));
        let quota = per_minute.and_then(NonZeroU32::new).map(Quota::per_minute);
        Self {
            keys,
            in_use: Arc::default(),
            looked: Arc::default(),
            limiter: quota.map(|quota| Arc::new(RateLimiter::keyed(quota))),
            allowed_origins: config.cors_origins.clone().into(),
            local: config.is_local(),
            legacy_gestures: config.legacy_gestures,
        }
    }

    /// Whether keys are asked for, as of the last look.
    pub(super) fn keys_in_use(&self) -> bool {
        self.in_use.load(Ordering::Relaxed)
    }

    /// Whether keys are asked for. Once the first key is made, every request needs one.
    pub(super) async fn requires_key(&self) -> Result<bool, Problem> {
        let mut looked = self.looked.lock().await;
        if looked.is_none_or(|at| at.elapsed() > KEYS_SEEN_FOR) {
            let any = self.keys.any().await.map_err(unavailable)?;
            self.in_use.store(any, Ordering::Relaxed);
            *looked = Some(Instant::now());
        }
        Ok(self.keys_in_use())
    }

    async fn caller(&self, path: &str, headers: &HeaderMap) -> Result<Caller, Problem> {
        let required = self.requires_key().await?;
        let presented = headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap_or(""));
        let Some(presented) = presented else {
            if required && self.legacy_gestures && is_legacy(path) {
                return Ok(Caller { owner: legacy_owner(), admin: false });
            }
            if required {
                return Err(unauthorized(
                    "this service needs a key; send it as `Authorization: Bearer splat_...`",
                ));
            }
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
        let Some(limiter) = &self.limiter else { return Ok(()) };
        limiter.check_key(&who.to_owned()).map_err(|not_until| {
            let wait = not_until.wait_time_from(DefaultClock::default().now()).as_secs() + 1;
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", "too many requests in a minute")
                .retry_after(wait)
        })
    }

    /// Forgets addresses and keys that have been quiet.
    pub(crate) fn forget_quiet(&self) {
        if let Some(limiter) = &self.limiter {
            limiter.retain_recent();
        }
    }

    /// Refuses what a foreign web page has a visitor's browser send: with keys absent, the browser's reach would be enough.
    fn same_site(&self, request: &Parts) -> Result<(), Problem> {
        let header =
            |name| request.headers.get(name).and_then(|value: &axum::http::HeaderValue| value.to_str().ok());
        let host = header(HOST).unwrap_or("");
        if self.local && !is_local_name(host) {
            let detail = "a service on this machine answers to `localhost` and to loopback addresses only";
            return Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, "wrong_host", detail));
        }
        let changes = !matches!(request.method, Method::GET | Method::HEAD | Method::OPTIONS);
        let Some(origin) = header(ORIGIN).filter(|_| changes) else { return Ok(()) };
        let own =
            origin.split_once("://").is_some_and(|(_, origin_host)| origin_host.eq_ignore_ascii_case(host));
        let listed = self.allowed_origins.iter().any(|allowed| allowed == "*" || allowed == origin);
        if own || listed {
            return Ok(());
        }
        let detail = "web pages of other origins may not use this service; its operator can allow them with --cors-origins";
        Err(Problem::new(StatusCode::FORBIDDEN, "foreign_origin", detail))
    }
}

/// Lets a request through with its [`Caller`], or answers why not.
pub(super) async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match admit(&app.gate, &parts).await {
        Ok(caller) => {
            parts.extensions.insert(caller);
            next.run(Request::from_parts(parts, body)).await
        }
        Err(problem) => problem.into_response(),
    }
}

async fn admit(gate: &Gate, request: &Parts) -> Result<Caller, Problem> {
    gate.same_site(request)?;
    let address = request.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    let address = address.map_or_else(|| "unknown".to_owned(), network);
    if is_open(request.uri.path()) {
        gate.count(&address)?;
        return Ok(Caller { owner: Owner::local(), admin: false });
    }
    match gate.caller(request.uri.path(), &request.headers).await {
        Ok(caller) => {
            let shared = caller.owner == Owner::local() || caller.owner == legacy_owner();
            gate.count(if shared { &address } else { &caller.owner.0 })?;
            Ok(caller)
        }
        Err(problem) => {
            // Guessing keys is slowed down by address.
            gate.count(&address)?;
            Err(problem)
        }
    }
}

/// Routes that say nothing about jobs, and those that carry a secret in their path.
pub(super) fn is_open(path: &str) -> bool {
    matches!(path, "/v1/info" | "/healthz" | "/readyz") || path.starts_with("/models/")
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

/// `localhost`, `127.0.0.1:5000`, `[::1]:5000`.
fn is_local_name(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(name, _)| name),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

fn unauthorized(detail: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
}

fn unavailable(error: crate::keys::KeyError) -> Problem {
    match error {
        crate::keys::KeyError::Store(error) => error.into(),
        error => Problem::internal(&error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_are_local() {
        for host in ["localhost", "LOCALHOST:5000", "127.0.0.1:5000", "127.9.9.9", "[::1]:80", "[::1]"] {
            assert!(is_local_name(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "192.168.0.1:5000",
            "[fe80::1]:80",
            "127.0.0.1.nip.io",
        ] {
            assert!(!is_local_name(host), "{host}");
        }
    }

    #[test]
    fn one_ipv6_customer_is_one_network() {
        let of = |text: &str| text.parse().map(network).unwrap_or_default();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), of("2001:db8:1:2::9"));
        assert_ne!(of("2001:db8:1:2::9"), of("2001:db8:1:3::9"));
        assert_eq!(of("::ffff:10.0.0.1"), "10.0.0.1");
    }
}
