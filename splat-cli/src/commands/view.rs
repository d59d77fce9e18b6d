//! `splat view`: shows a scene in the browser, served from this machine or as one HTML file.

use std::io::Write as _;
use std::path::Path;

use serde::Serialize;
use splat_core::files::write_atomically;
use splat_core::flight::{NamedCamera, cameras_json, orbit_of_cloud};
use splat_core::formats::{self, Format, SplatScene};
use splat_core::pipeline::SavedScene;
use splat_core::text::{bytes, thousands};
use splat_server::page;
use splat_server::viewer::{self, LocalScene};
use tokio::net::TcpListener;

use super::Context;
use super::render::{read_scene, training_cameras};
use super::serve::{runtime, stopped};
use crate::args::ViewArgs;
use crate::failure::Failure;
use crate::settings;

/// Number of substitute cameras if those of the training are unknown.
const MADE_UP_CAMERAS: u32 = 8;

pub(super) fn view(args: &ViewArgs, context: &Context) -> Result<(), Failure> {
    require_viewer()?;
    let saved = settings::saved_scene(&args.scene)?;
    let scene = read_scene(&saved.scene, context)?;
    if scene.cloud.is_empty() {
        let what = "holds no Gaussians to look at".to_owned();
        return Err(Failure::Input { path: saved.scene, what, hint: "give a scene with content" });
    }
    let cameras = cameras(&scene, &saved, args.cameras.as_deref(), context)?;
    if let Some(html) = &args.export {
        return export(&scene, &cameras, &title(&args.scene), html, context);
    }
    // The viewer always gets a PLY, which is lossless.
    let folder = scratch()?;
    let ply = folder.path().join("scene.ply");
    formats::write(&ply, Format::Ply, &scene)?;
    let count = scene.cloud.len();
    drop(scene);
    context.check()?;
    let stop = stopped(context.cancel.clone());
    runtime()?.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", args.port.unwrap_or(0))).await.map_err(|source| {
            let what = match args.port {
                Some(port) => format!("port {port} of 127.0.0.1 cannot be used: {source}"),
                None => format!("no port of 127.0.0.1 can be used: {source}"),
            };
            Failure::Usage {
                what,
                hint: "name another with `--port`, or write a file with `--export scene.html`",
            }
        })?;
        let address = listener.local_addr().map_err(|source| Failure::Usage {
            what: format!("the system does not tell the address that it gave: {source}"),
            hint: "write a file with `--export scene.html`",
        })?;
        #[derive(Serialize)]
        struct Listening {
            event: &'static str,
            url: String,
            gaussians: usize,
        }
        let url = format!("http://{address}/");
        let text = format!("{} Gaussians at {url}; Ctrl-C stops", thousands(count as u64));
        context.reporter.result(&Listening { event: "listening", url: url.clone(), gaussians: count }, &text);
        if !args.no_open {
            open_browser(&url, context);
        }
        let served = viewer::serve(listener, LocalScene { ply, cameras }, stop).await;
        served.map_err(|source| Failure::Usage {
            what: format!("serving the page ended: {source}"),
            hint: "start it again",
        })
    })
}

/// Fails if this program was built without the viewer.
pub(super) fn require_viewer() -> Result<(), Failure> {
    if page::has_viewer() {
        return Ok(());
    }
    Err(Failure::Usage {
        what: "this `splat` was built without its 3-D viewer".into(),
        hint: "with npm installed, `make web && make build` builds it in",
    })
}

/// Start cameras for the viewer, as JSON: the training cameras, or some around the scene if they are unknown. Without the photos' names,
/// since an exported page may be published.
pub(super) fn cameras(
    scene: &SplatScene,
    saved: &SavedScene,
    given: Option<&Path>,
    context: &Context,
) -> Result<Vec<u8>, Failure> {
    let known = match training_cameras(saved, given, context) {
        Ok(cameras) => cameras,
        // If given explicitly, they must exist.
        Err(failure) if given.is_some() => return Err(failure),
        Err(_) => Vec::new(),
    };
    let cameras = if known.is_empty() { around(scene) } else { known };
    let nameless: Vec<_> = (cameras.into_iter())
        .map(|named| NamedCamera {
            name: String::new(),
            lens: None,
            rolling_shutter: None,
            exposure: None,
            ..named
        })
        .collect();
    Ok(cameras_json(&nameless, scene.origin))
}

/// Cameras on a circle around a scene without known cameras.
fn around(scene: &SplatScene) -> Vec<NamedCamera> {
    let named = |camera| NamedCamera {
        name: String::new(),
        held_out: false,
        camera,
        lens: None,
        rolling_shutter: None,
        exposure: None,
    };
    orbit_of_cloud(&scene.cloud, scene.origin, MADE_UP_CAMERAS).into_iter().map(named).collect()
}

/// Writes one HTML file with viewer, scene and cameras inside.
pub(super) fn export(
    scene: &SplatScene,
    cameras: &[u8],
    title: &str,
    output: &Path,
    context: &Context,
) -> Result<(), Failure> {
    require_viewer()?;
    let named = |extension: &str| output.extension().is_some_and(|e| e.eq_ignore_ascii_case(extension));
    if !named("html") && !named("htm") {
        return Err(Failure::Usage {
            what: format!("`{}` is no name of a web page", output.display()),
            hint: "name it .html; `splat convert` writes scenes in other forms",
        });
    }
    let folder = scratch()?;
    let sog = folder.path().join("scene.sog");
    let written = formats::write(&sog, Format::Sog, scene)?;
    context.check()?;
    let packed = std::fs::read(&sog).map_err(|source| splat_core::Error::Read { path: sog, source })?;
    let html = viewer::standalone(title, "scene.sog", &packed, cameras).unwrap_or_default();
    write_atomically(output, |out| out.write_all(html.as_bytes()))?;
    for note in &written.notes {
        context.reporter.warn(note);
    }
    #[derive(Serialize)]
    struct Done<'a> {
        event: &'a str,
        path: &'a Path,
        gaussians: usize,
        bytes: usize,
    }
    let gaussians = scene.cloud.len() - written.left_out;
    let done = Done { event: "done", path: output, gaussians, bytes: html.len() };
    let text = format!(
        "page  {} ({} Gaussians, {}): open it in a browser",
        output.display(),
        thousands(gaussians as u64),
        bytes(html.len() as u64)
    );
    context.reporter.result(&done, &text);
    Ok(())
}

/// The page's title: the name of the given file or folder.
pub(super) fn title(path: &Path) -> String {
    let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    whole.file_stem().map_or_else(|| "scene".into(), |stem| stem.to_string_lossy().into_owned())
}

fn scratch() -> Result<tempfile::TempDir, Failure> {
    tempfile::tempdir().map_err(|source| {
        let path = std::env::temp_dir();
        splat_core::Error::Write { path, hint: "name another folder for temporary files with TMPDIR", source }
            .into()
    })
}

/// Opens the user's browser, if there is a display.
fn open_browser(url: &str, context: &Context) {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let screen =
        !cfg!(target_os = "linux") || set("DISPLAY") || set("WAYLAND_DISPLAY") || set("WSL_DISTRO_NAME");
    if !screen || open::that_detached(url).is_err() {
        context.reporter.note("no browser could be opened from here: open that address in one yourself");
    }
}
