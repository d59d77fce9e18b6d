//! Where a request comes from, and under which name it addresses this service: whether the client is on this machine, and which
//! host names and origins are the service's own.
//!
//! Any web page can make a visitor's browser send requests. Two headers distinguish the service's own pages from others: `Host`,
//! which a page whose name was rebound to this machine cannot choose, and `Origin`. They matter if no key is required, since a
//! browser never sends a key by itself.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::ConnectInfo;
use axum::http::header::{HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, Uri};

use super::Problem;
use crate::code::Code;
use crate::config::Config;

/// Headers by which proxies mark forwarded requests.
const FORWARDED: [&str; 3] = ["forwarded", "x-forwarded-for", "x-real-ip"];

/// The host names and origins of the service.
#[derive(Clone, Debug)]
pub(super) struct Site {
    /// Host of `--public-url`, with its port unless it is the scheme's default.
    public_host: Option<String>,
    /// Scheme, host and port of `--public-url`.
    public_origin: Option<String>,
    /// Origins of web pages that may use the service; `*` for all.
    listed: Arc<[String]>,
    /// Whether clients on other machines may use it without a key.
    allow_anonymous: bool,
}

impl Site {
    pub(super) fn new(config: &Config) -> Self {
        let public = config.public_url.as_deref().and_then(|url| url::Url::parse(url).ok());
        let origin = public.map(|url| url.origin().ascii_serialization());
        Self {
            public_host: origin
                .as_deref()
                .and_then(|origin| origin.split_once("://"))
                .map(|(_, host)| host.to_owned()),
            public_origin: origin,
            listed: config.cors_origins.clone().unwrap_or_default().into(),
            allow_anonymous: config.allow_anonymous,
        }
    }

    /// Rejects requests without a key that come under an unknown host name or from another origin (DNS rebinding, CSRF).
    pub(super) fn admit_anonymous(&self, request: &Parts) -> Result<(), Problem> {
        let host = host(&request.uri, &request.headers).unwrap_or("");
        let known = is_local_name(host)
            || self.public_host.as_deref().is_some_and(|public| public.eq_ignore_ascii_case(host))
            || (self.allow_anonymous && is_address(host));
        if !known {
            let detail = format!(
                "without keys this service answers to {} only; its operator can name it with --public-url",
                if self.allow_anonymous {
                    "addresses, `localhost` and its public URL"
                } else {
                    "`localhost` and to loopback addresses"
                }
            );
            return Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, Code::WrongHost, detail));
        }
        if !self.allow_anonymous && !is_here(request) {
            let detail = "without keys this service is for its own machine; its operator can make a key with `splat keys create NAME`";
            return Err(Problem::new(StatusCode::UNAUTHORIZED, Code::Unauthorized, detail));
        }
        self.same_origin(request)
    }

    /// Rejects requests that change something and come from another origin.
    pub(super) fn same_origin(&self, request: &Parts) -> Result<(), Problem> {
        let host = host(&request.uri, &request.headers).unwrap_or("");
        let changes = !matches!(request.method, Method::GET | Method::HEAD | Method::OPTIONS);
        let origin =
            request.headers.get(ORIGIN).map(|value| value.to_str().unwrap_or("")).filter(|_| changes);
        let Some(origin) = origin else { return Ok(()) };
        let own = origin.split_once("://").is_some_and(|(_, origin)| origin.eq_ignore_ascii_case(host))
            || self.public_origin.as_deref().is_some_and(|public| public.eq_ignore_ascii_case(origin));
        let listed = self.listed.iter().any(|allowed| allowed == "*" || allowed == origin);
        if own || listed {
            return Ok(());
        }
        let detail = "web pages of other origins may not use this service; its operator can allow them with --cors-origins, \
            or say with --public-url where its own page is reached";
        Err(Problem::new(StatusCode::FORBIDDEN, Code::ForeignOrigin, detail))
    }
}

/// The host name that the client requested: from an absolute URI, else from the `Host` header.
pub(super) fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    let authority = uri.authority().map(axum::http::uri::Authority::as_str);
    authority.or_else(|| headers.get(HOST).and_then(|value| value.to_str().ok()))
}

/// Whether the client is on this machine, as far as can be determined: by its address, and by the absence of a proxy's headers.
pub(super) fn is_here(request: &Parts) -> bool {
    peer(request).is_some_and(|address| address.to_canonical().is_loopback())
        && !FORWARDED.iter().any(|name| request.headers.contains_key(*name))
        && is_local_name(host(&request.uri, &request.headers).unwrap_or(""))
}

/// The client's address: the peer of the connection or, if that is a proxy on this machine, the address that the proxy reports.
pub(super) fn client(request: &Parts) -> Option<IpAddr> {
    client_of(peer(request), &request.headers)
}

/// As [`client`], from the connection's peer and the request's headers.
pub(super) fn client_of(peer: Option<IpAddr>, headers: &HeaderMap) -> Option<IpAddr> {
    let peer = peer?;
    if !peer.to_canonical().is_loopback() {
        return Some(peer);
    }
    // A proxy appends the address that it sees to those that the client sent.
    let last = headers.get_all("x-forwarded-for").iter().next_back();
    let named = last.and_then(|value| value.to_str().ok()?.rsplit(',').next()?.trim().parse().ok());
    Some(named.unwrap_or(peer))
}

fn peer(request: &Parts) -> Option<IpAddr> {
    request.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip())
}

/// The host without its port: `[::1]:5000` gives `::1`.
fn name_of(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(name, _)| name),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    }
}

/// `localhost`, `127.0.0.1:5000`, `[::1]:5000`.
pub(crate) fn is_local_name(host: &str) -> bool {
    let name = name_of(host);
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// Whether the host is an IP address, which DNS cannot rebind.
fn is_address(host: &str) -> bool {
    name_of(host).parse::<IpAddr>().is_ok()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::settings::Settings;

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

    /// A POST from this peer with these headers.
    fn request(peer: &str, headers: &[(&str, &str)]) -> Parts {
        let peer: SocketAddr = peer.parse().unwrap();
        let mut request = axum::http::Request::post("/v1/jobs").extension(ConnectInfo(peer));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn who_is_local_is_judged_by_each_request() {
        let here = |peer, headers: &[_]| is_here(&request(peer, headers));
        assert!(here("127.0.0.1:4000", &[("host", "localhost:5000")]));
        assert!(here("[::ffff:127.0.0.1]:4000", &[("host", "127.0.0.1:5000")]));
        assert!(!here("192.168.0.9:4000", &[("host", "localhost:5000")]));
        assert!(!here("127.0.0.1:4000", &[("host", "evil.example")]));
        for (name, value) in
            [("x-forwarded-for", "1.2.3.4"), ("forwarded", "for=1.2.3.4"), ("x-real-ip", "1.2.3.4")]
        {
            assert!(!here("127.0.0.1:4000", &[("host", "localhost:5000"), (name, value)]), "{name}");
        }
    }

    #[test]
    fn a_proxy_on_this_machine_names_its_client_and_nobody_else_can() {
        let client = |peer, headers: &[_]| client(&request(peer, headers)).unwrap().to_string();
        assert_eq!(client("127.0.0.1:1", &[("x-forwarded-for", "9.9.9.9, 1.2.3.4")]), "1.2.3.4");
        assert_eq!(client("127.0.0.1:1", &[("x-forwarded-for", "nonsense")]), "127.0.0.1");
        assert_eq!(client("5.6.7.8:1", &[("x-forwarded-for", "1.2.3.4")]), "5.6.7.8");
    }

    #[test]
    fn own_names_and_origins_are_those_of_the_public_url_too() {
        let site = |settings: Settings| Site::new(&settings.resolve().unwrap());
        let code = |site: &Site, peer, headers: &[_]| {
            site.admit_anonymous(&request(peer, headers))
                .err()
                .map(|problem| problem.code().name().to_owned())
        };
        let open = Settings { allow_anonymous: Some(true), ..Settings::default() };
        let public =
            site(Settings { public_url: Some("https://Splat.example.com:443/3d/".into()), ..open.clone() });
        let proxied = ("127.0.0.1:1", "splat.example.com");
        assert_eq!(
            code(&public, proxied.0, &[("host", proxied.1), ("origin", "https://splat.example.com")]),
            None
        );
        // nginx sends its upstream's name in `Host` by default.
        let behind = [("host", "127.0.0.1:5000"), ("origin", "https://splat.example.com")];
        assert_eq!(code(&public, "127.0.0.1:1", &behind), None);
        let plain = site(open);
        assert_eq!(code(&plain, "127.0.0.1:1", &behind).as_deref(), Some("foreign_origin"));
        assert_eq!(code(&plain, "192.168.0.9:1", &[("host", "192.168.0.5:5000")]), None);
        assert_eq!(
            code(&plain, "192.168.0.9:1", &[("host", "rebound.example")]).as_deref(),
            Some("wrong_host")
        );
        let local = site(Settings::default());
        assert_eq!(code(&local, "127.0.0.1:1", &[("host", "evil.example")]).as_deref(), Some("wrong_host"));
        assert_eq!(code(&local, "192.168.0.9:1", &[("host", "localhost")]).as_deref(), Some("unauthorized"));
        let forwarded = [("host", "localhost"), ("x-forwarded-for", "1.2.3.4")];
        assert_eq!(code(&local, "127.0.0.1:1", &forwarded).as_deref(), Some("unauthorized"));
    }

    #[test]
    fn an_absolute_address_names_the_host() {
        let uri: Uri = "http://localhost:5000/v1/jobs".parse().unwrap();
        assert_eq!(host(&uri, &HeaderMap::new()), Some("localhost:5000"));
    }
}
