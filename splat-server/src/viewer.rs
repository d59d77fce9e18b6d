//! The 3-D viewer for one scene of this machine, without the service: served on a loopback address, or as a self-contained HTML
//! file.
//!
//! [`serve`] implements `splat view`, and [`standalone`] its export.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::stream;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use crate::{http, page};

/// Chunk size for reading a scene, in bytes.
const PIECE_BYTES: usize = 256 << 10;
/// The page, among the files of [`page`].
const PAGE: &str = "/local";
/// The page's module.
const MODULE: &str = "/assets/js/local.js";
/// Content security policy of an exported page: only its own contents, and no requests.
const STANDALONE_CSP: &str = "default-src 'none'; script-src 'unsafe-inline' data:; style-src 'unsafe-inline'; \
    img-src data: blob:; connect-src data: blob:; worker-src blob:; base-uri 'none'; form-action 'none'";

/// A scene to serve.
#[derive(Clone, Debug)]
pub struct LocalScene {
    /// A binary PLY of 32-bit floats, as [`splat_core::ply::write`] makes it.
    pub ply: PathBuf,
    /// JSON of [`splat_core::flight::cameras_json`], which gives the viewer its initial pose and up direction.
    pub cameras: Vec<u8>,
}

/// Serves the page, its assets and the scene to browsers on this machine until `stop` is ready.
///
/// Rejects requests under other host names, so that a web page whose name was rebound to this machine cannot read anything.
///
/// # Errors
/// I/O errors of the listener.
pub async fn serve(
    listener: TcpListener,
    scene: LocalScene,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let router = Router::new()
        .route("/", get(embedded))
        .route("/assets/{*rest}", get(embedded))
        .route("/scene.ply", get(ply))
        .route("/cameras.json", get(cameras))
        .layer(middleware::from_fn(require_local))
        .with_state(Arc::new(scene));
    tokio::select! {
        ended = axum::serve(listener, router) => ended,
        () = stop => Ok(()),
    }
}

async fn require_local(request: Request, next: Next) -> Response {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if http::is_local_name(host) {
        return next.run(request).await;
    }
    (StatusCode::MISDIRECTED_REQUEST, "this page is for its own machine only\n").into_response()
}

async fn embedded(method: Method, headers: HeaderMap, request: Request) -> Response {
    let path = request.uri().path();
    match page::find(if path == "/" { PAGE } else { path }) {
        Some(file) => http::respond(&file, &method, &headers),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn cameras(State(scene): State<Arc<LocalScene>>) -> Response {
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
    (headers, scene.cameras.clone()).into_response()
}

async fn ply(State(scene): State<Arc<LocalScene>>) -> Response {
    let opened = async {
        let file = tokio::fs::File::open(&scene.ply).await?;
        let bytes = file.metadata().await?.len();
        io::Result::Ok((file, bytes))
    };
    let (file, bytes) = match opened.await {
        Ok(opened) => opened,
        Err(error) => return (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    };
    let pieces = stream::try_unfold(file, |mut file| async move {
        let mut piece = vec![0; PIECE_BYTES];
        let read = file.read(&mut piece).await?;
        piece.truncate(read);
        io::Result::Ok((read > 0).then(|| (Bytes::from(piece), file)))
    });
    let headers = [
        (CONTENT_TYPE, "application/octet-stream".to_owned()),
        (CACHE_CONTROL, "no-store".to_owned()),
        (CONTENT_LENGTH, bytes.to_string()),
    ];
    (headers, Body::from_stream(pieces)).into_response()
}

/// One HTML file that shows a scene in any browser, from disk or from any server, without further requests: it contains the page
/// with scripts, styles, cameras and scene. `scene` is the content of a file called `name`, whose extension gives its format:
/// `.ply`, `.compressed.ply` or `.sog`; `cameras` as in [`LocalScene`].
///
/// `None` if this program was built without the viewer, see [`page::has_viewer`].
#[must_use]
pub fn standalone(title: &str, name: &str, scene: &[u8], cameras: &[u8]) -> Option<String> {
    if !page::has_viewer() {
        return None;
    }
    let modules = modules(MODULE);
    let urls: BTreeMap<String, String> = modules
        .into_iter()
        .map(|(path, text)| (bare(&path), format!("data:text/javascript;base64,{}", STANDARD.encode(text))))
        .collect();
    let map = serde_json::json!({ "imports": urls });
    let cameras = String::from_utf8_lossy(cameras);
    let mut html = String::with_capacity(8 << 20);
    for line in text(PAGE).unwrap_or_default().lines() {
        let address = |attribute: &str| {
            let value = line.split_once(attribute)?.1.split('"').next()?;
            Some(format!("/{value}"))
        };
        if line.contains("<title>") {
            html.push_str(&format!(
                "  <meta http-equiv=\"Content-Security-Policy\" content=\"{STANDALONE_CSP}\">\n"
            ));
            html.push_str(&format!("  <title>{}</title>\n", escaped(title)));
        } else if line.contains("rel=\"stylesheet\"") {
            let style = address("href=\"").and_then(|path| text(&path)).unwrap_or_default();
            html.push_str(&format!("<style>{style}</style>\n"));
        } else if line.contains("rel=\"icon\"") {
            let icon = address("href=\"").and_then(|path| text(&path)).unwrap_or_default();
            let icon = STANDARD.encode(icon);
            html.push_str(&format!("  <link rel=\"icon\" href=\"data:image/svg+xml;base64,{icon}\">\n"));
        } else if line.contains("<script") {
            html.push_str(&format!("<script type=\"importmap\">{}</script>\n", unclosed(&map.to_string())));
            html.push_str(&format!("<script type=\"module\">import '{}';</script>\n", bare(MODULE)));
        } else if line.contains("</body>") {
            let kind = "type=\"application/json\" id=\"cameras\"";
            html.push_str(&format!("<script {kind}>{}</script>\n", unclosed(&cameras)));
            let kind = format!("type=\"text/plain\" id=\"scene\" data-name=\"{}\"", escaped(name));
            html.push_str(&format!("<script {kind}>"));
            STANDARD.encode_string(scene, &mut html);
            html.push_str("</script>\n</body>\n");
        } else {
            html.push_str(line);
            html.push('\n');
        }
    }
    Some(html)
}

/// Content of an embedded text file.
fn text(path: &str) -> Option<String> {
    Some(String::from_utf8_lossy(page::find(path)?.plain?).into_owned())
}

/// A module and everything it imports, by path. Imports are renamed by [`bare`], since relative imports do not work in a `data:`
/// URL.
fn modules(first: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![first.to_owned()];
    while let Some(path) = open.pop() {
        let Some(source) = text(&path).filter(|_| !found.contains_key(&path)) else { continue };
        // The viewer is a single file without imports.
        let source =
            if path.starts_with("/assets/viewer/") { source } else { renamed(&source, &path, &mut open) };
        found.insert(path, source);
    }
    found
}

/// The source with every `from './x.js'` renamed; imported paths are added to `imported`.
fn renamed(source: &str, path: &str, imported: &mut Vec<String>) -> String {
    const FROM: &str = " from '";
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some((before, after)) = rest.split_once(FROM) {
        let (name, next) = after.split_once('\'').unwrap_or((after, ""));
        let target = neighbour(path, name);
        out.push_str(before);
        out.push_str(FROM);
        out.push_str(&bare(&target));
        out.push('\'');
        imported.push(target);
        rest = next;
    }
    out.push_str(rest);
    out
}

/// Resolves a relative URL in a file.
fn neighbour(path: &str, name: &str) -> String {
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in name.split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Name under which modules import each other in a page that contains them.
fn bare(path: &str) -> String {
    format!("splat{path}")
}

/// Escapes text for HTML and its attributes.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Escapes JSON for a script element, which `</script` would close.
fn unclosed(json: &str) -> String {
    json.replace('<', "\\u003c")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn an_exported_page_holds_all_that_it_names() {
        let scene = b"\x00\xffscene";
        let cameras = br#"[{"img_name":"</script><b>"}]"#;
        let html = standalone("<Garden> & \"hall\"", "scene.sog", scene, cameras);
        let Some(html) = html else {
            assert!(!page::has_viewer());
            return;
        };
        assert!(html.contains("<title>&lt;Garden&gt; &amp; &quot;hall&quot;</title>"));
        // Nothing is fetched: the page contains everything it refers to.
        assert!(!html.contains("src=\"") && !html.contains("href=\"assets") && !html.contains("@import"));
        assert!(html.contains(&format!("data-name=\"scene.sog\">{}</script>", STANDARD.encode(scene))));
        assert!(!html.contains("</script><b>"));
        let map =
            html.split_once("<script type=\"importmap\">").unwrap().1.split_once("</script>").unwrap().0;
        let map: serde_json::Value = serde_json::from_str(map).unwrap();
        let map = map["imports"].as_object().unwrap();
        assert!(map.len() >= 6, "{:?}", map.keys());
        let mut imports = 0;
        for (name, url) in map.iter().filter(|(name, _)| !name.contains("/viewer/index.js")) {
            let source = url.as_str().unwrap().strip_prefix("data:text/javascript;base64,").unwrap();
            let source = String::from_utf8(STANDARD.decode(source).unwrap()).unwrap();
            for imported in source.split(" from '").skip(1) {
                let imported = imported.split('\'').next().unwrap();
                assert!(map.contains_key(imported), "{name} imports {imported}");
                imports += 1;
            }
        }
        assert!(imports >= 6, "{imports}");
    }

    #[test]
    fn addresses_are_followed_from_where_they_stand() {
        assert_eq!(neighbour("/assets/js/stage.js", "../viewer/index.js"), "/assets/viewer/index.js");
        assert_eq!(neighbour("/assets/js/i18n.js", "./lang/en.js"), "/assets/js/lang/en.js");
    }
}
