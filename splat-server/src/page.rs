//! The web page: files embedded at build time, and their response headers.
//!
//! Plain data, no HTTP types: [`find`] takes the path of a request and returns a [`PageFile`]; [`PageFile::reply`] takes two
//! request headers and returns status, headers and body. Serve `/`, `/gestures`, `/viewer/` and `/assets/*`. All URLs in the
//! files are relative, so that a proxy may add a path prefix. `/local` is for [`crate::viewer`].

include!(concat!(env!("OUT_DIR"), "/page_files.rs"));

/// One file as `build.rs` embeds it; `FILES` is sorted by path.
#[derive(Debug)]
struct Embedded {
    path: &'static str,
    plain: Option<&'static [u8]>,
    gzip: Option<&'static [u8]>,
    etag: &'static str,
}

/// An embedded file and its response headers.
#[derive(Clone, Copy, Debug)]
pub struct PageFile {
    /// The content; `None` for a few large files that are stored compressed only.
    pub plain: Option<&'static [u8]>,
    /// The gzip-compressed content, if that is smaller.
    pub gzip: Option<&'static [u8]>,
    /// MIME type.
    pub content_type: &'static str,
    /// ETag: hash of the content, quoted as in the header.
    pub etag: &'static str,
    /// Value of `Cache-Control`.
    pub cache_control: &'static str,
    /// Security headers by lower-case name, including the content security policy. They are complete: headers that the service
    /// adds elsewhere (especially `X-Frame-Options`) must not contradict them.
    pub security: &'static [(&'static str, &'static str)],
}

/// Response to a GET or HEAD.
#[derive(Clone, Debug)]
pub struct PageReply {
    /// 200, 304 if the client has the file already, or 406 if it does not accept gzip and there is nothing else.
    pub status: u16,
    /// Headers by lower-case name.
    pub headers: Vec<(&'static str, &'static str)>,
    /// Empty unless the status is 200.
    pub body: &'static [u8],
}

/// File names change with the content, so a cached file stays valid.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// Cached, but revalidated each time.
const ASK_FIRST: &str = "no-cache";

const PAGE_SECURITY: &[(&str, &str)] = &[
    ("content-security-policy", PAGE_CSP),
    ("permissions-policy", "camera=(), microphone=(), geolocation=()"),
    ("referrer-policy", "same-origin"),
    ("x-content-type-options", "nosniff"),
    ("cross-origin-opener-policy", "same-origin"),
];
const GESTURES_SECURITY: &[(&str, &str)] = &[
    ("content-security-policy", GESTURES_CSP),
    ("permissions-policy", "camera=(self), microphone=(), geolocation=()"),
    ("referrer-policy", "same-origin"),
    ("x-content-type-options", "nosniff"),
    ("cross-origin-opener-policy", "same-origin"),
];
const VIEWER_SECURITY: &[(&str, &str)] = &[
    ("content-security-policy", VIEWER_CSP),
    ("permissions-policy", "camera=(), microphone=(), geolocation=()"),
    ("referrer-policy", "same-origin"),
    ("x-content-type-options", "nosniff"),
];
/// The URL contains a secret, which must not be sent to linked sites or indexed by search engines.
const SHARED_SECURITY: &[(&str, &str)] = &[
    ("content-security-policy", SHARED_CSP),
    ("permissions-policy", "camera=(), microphone=(), geolocation=()"),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("x-robots-tag", "noindex"),
    ("cross-origin-resource-policy", "cross-origin"),
];
const ASSET_SECURITY: &[(&str, &str)] =
    &[("x-content-type-options", "nosniff"), ("cross-origin-resource-policy", "same-origin")];

/// Whether the server was built with the 3-D viewer; reported by `/v1/info`.
#[must_use]
pub fn has_viewer() -> bool {
    HAS_VIEWER
}

/// The file at the path of a request (without query); `None` is a 404. The path is looked up in a table and never in a file
/// system.
#[must_use]
pub fn find(path: &str) -> Option<PageFile> {
    let (path, versioned) = match split_version(path) {
        Some((version, rest)) => (format!("/assets/{rest}"), version == VERSION),
        None => (path.to_owned(), false),
    };
    let index = FILES.binary_search_by(|file| file.path.cmp(&path)).ok()?;
    let file = &FILES[index];
    Some(PageFile {
        plain: file.plain,
        gzip: file.gzip,
        content_type: content_type(file.path),
        etag: file.etag,
        cache_control: if versioned { FOR_EVER } else { ASK_FIRST },
        security: match file.path {
            "/" => PAGE_SECURITY,
            "/gestures" => GESTURES_SECURITY,
            "/viewer/" | "/local" => VIEWER_SECURITY,
            "/shared/" => SHARED_SECURITY,
            _ => ASSET_SECURITY,
        },
    })
}

/// Splits `/assets/<16 hex digits>/rest`. A page of an older build that is still open gets the current file, which must not be
/// cached.
fn split_version(path: &str) -> Option<(&str, &str)> {
    let (version, rest) = path.strip_prefix("/assets/")?.split_once('/')?;
    let is_version = version.len() == VERSION.len() && version.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_version.then_some((version, rest))
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("css") => "text/css; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("json") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("txt") => "text/plain; charset=utf-8",
        Some("wasm") => "application/wasm",
        _ => "text/html; charset=utf-8",
    }
}

impl PageFile {
    /// Status, headers and body, given the request's `If-None-Match` and `Accept-Encoding`.
    #[must_use]
    pub fn reply(&self, if_none_match: Option<&str>, accept_encoding: Option<&str>) -> PageReply {
        let mut headers =
            vec![("etag", self.etag), ("cache-control", self.cache_control), ("vary", "accept-encoding")];
        headers.extend_from_slice(self.security);
        let known = if_none_match.is_some_and(|tags| {
            tags.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == self.etag)
        });
        if known {
            return PageReply { status: 304, headers, body: &[] };
        }
        let packed = self.gzip.filter(|_| accepts_gzip(accept_encoding));
        let Some(body) = packed.or(self.plain) else {
            return PageReply { status: 406, headers, body: &[] };
        };
        headers.push(("content-type", self.content_type));
        if packed.is_some() {
            headers.push(("content-encoding", "gzip"));
        }
        PageReply { status: 200, headers, body }
    }
}

/// Whether the client accepts `gzip` with a weight above 0.
fn accepts_gzip(accept_encoding: Option<&str>) -> bool {
    accept_encoding.unwrap_or_default().split(',').any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
        let refused = weight
            .trim()
            .strip_prefix("q=")
            .and_then(|q| q.trim().parse::<f32>().ok())
            .is_some_and(|q| q <= 0.0);
        name.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}

#[cfg(test)]
#[path = "page_tests.rs"]
mod tests;
