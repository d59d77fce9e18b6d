//! `splat render`: renders images of a scene.

use std::path::{Path, PathBuf};

use serde::Serialize;
use splat_core::events::Stage;
use splat_core::flight::{CameraPath, NamedCamera, orbit, orbit_of_cloud, read_cameras};
use splat_core::formats::{self, SplatRenderMode, SplatScene};
use splat_core::pipeline::SavedScene;
use splat_core::{
    Camera, Event, GaussianBuffers, GaussianCloud, LensCamera, RenderOptions, Renderer, RendererKind,
};

use super::Context;
use crate::args::RenderArgs;
use crate::failure::Failure;
use crate::ffmpeg::Video;
use crate::settings;

const DEFAULT_FPS: u32 = 30;

pub(super) fn render(args: &RenderArgs, context: &Context) -> Result<(), Failure> {
    let saved = settings::saved_scene(&args.scene)?;
    if args.list {
        return list(&saved, args.cameras.as_deref(), context);
    }
    // The scene is read first, since nothing works without it.
    let Opened { cloud, mut options, renderer } = open_scene(&saved.scene, args.renderer, context)?;
    options.background = background(&args.background)?;
    let (frames, fps) = frames(args, &saved, &cloud, options.origin, renderer, context)?;
    let frames: Vec<_> = frames.into_iter().map(|camera| resized(camera, args.width)).collect();
    let fps = args.fps.or(fps).unwrap_or(DEFAULT_FPS);
    let Some(output) = &args.output else {
        return Err(Failure::Usage { what: "there is no output".into(), hint: "name one with -o" });
    };
    let mut sink = Sink::open(output, &frames, fps)?;

    let gpu = context.gpu()?;
    let buffers = GaussianBuffers::upload(&gpu, &cloud)?;
    let renderer = Renderer::new(&gpu, renderer)?;
    let total = frames.len() as u64;
    for (done, camera) in (1..).zip(&frames) {
        context.check()?;
        let image = renderer.render(&buffers, camera, &options)?.read()?;
        sink.frame(&image, done - 1)?;
        context.reporter.event(Event::StageProgress { stage: Stage::Render, done, total: Some(total) });
    }
    let (path, kind) = sink.finish()?;
    #[derive(Serialize)]
    struct Done<'a> {
        event: &'a str,
        path: &'a Path,
        kind: &'a str,
        frames: u64,
    }
    let text = format!("{kind}  {} ({total} of {total} frames)", path.display());
    context.reporter.result(&Done { event: "done", path: &path, kind, frames: total }, &text);
    Ok(())
}

/// A scene and its rendering options.
pub(super) struct Opened {
    pub(super) cloud: GaussianCloud,
    pub(super) options: RenderOptions,
    pub(super) renderer: RendererKind,
}

/// Reads a scene; if `renderer` is not given, the scene's header determines it.
pub(super) fn open_scene(
    path: &Path,
    renderer: Option<RendererKind>,
    context: &Context,
) -> Result<Opened, Failure> {
    let scene = read_scene(path, context)?;
    let renderer = renderer.unwrap_or(scene.render_mode.into());
    let antialiased = scene.render_mode == SplatRenderMode::Mip && renderer == RendererKind::Ewa;
    let defaults = RenderOptions::default();
    let near = scene.near.unwrap_or(defaults.near);
    let options = RenderOptions { antialiased, near, origin: scene.origin, ..defaults };
    Ok(Opened { cloud: scene.cloud, options, renderer })
}

/// Reads a scene of any format, with warnings about values that were changed or left out.
pub(super) fn read_scene(path: &Path, context: &Context) -> Result<SplatScene, Failure> {
    let scene = formats::read(path)?;
    if scene.dropped_rows > 0 {
        let message = format!(
            "`{}`: {} Gaussians with values that are not finite are left out",
            path.display(),
            scene.dropped_rows
        );
        context.reporter.warn(&message);
    }
    for note in &scene.notes {
        context.reporter.warn(&format!("`{}`: {note}", path.display()));
    }
    Ok(scene)
}

/// The cameras to render, and the frame rate of their file.
fn frames(
    args: &RenderArgs,
    saved: &SavedScene,
    cloud: &GaussianCloud,
    origin: [f64; 3],
    renderer: RendererKind,
    context: &Context,
) -> Result<(Vec<LensCamera>, Option<u32>), Failure> {
    if let Some(name) = &args.view {
        let cameras = training_cameras(saved, args.cameras.as_deref(), context)?;
        let found = find(&cameras, name)?;
        // With the photo's own lens, if the renderer supports it.
        let camera = match renderer {
            RendererKind::Gut => found.lens_camera(),
            RendererKind::Ewa => LensCamera::from(found.camera),
        };
        return Ok((vec![camera], None));
    }
    if let Some(path) = &args.path {
        let path = CameraPath::read(path)?;
        return Ok((path.frames()?.into_iter().map(LensCamera::from).collect(), path.fps));
    }
    let count = args.orbit.unwrap_or(1);
    let frames = match training_cameras(saved, args.cameras.as_deref(), context) {
        Ok(cameras) => orbit(&cameras.iter().map(|named| named.camera).collect::<Vec<_>>(), count),
        // Without cameras the orbit is derived from the scene; if they were given explicitly, they must exist.
        Err(_) if args.cameras.is_none() => orbit_of_cloud(cloud, origin, count),
        Err(failure) => return Err(failure),
    };
    if frames.is_empty() {
        let what = "holds neither cameras nor Gaussians to turn around".to_owned();
        return Err(Failure::Input {
            path: args.scene.clone(),
            what,
            hint: "give a scene with content, or `--path`",
        });
    }
    Ok((frames.into_iter().map(LensCamera::from).collect(), None))
}

/// The cameras given by `--cameras`, or those of the scene's run.
pub(super) fn training_cameras(
    saved: &SavedScene,
    given: Option<&Path>,
    context: &Context,
) -> Result<Vec<NamedCamera>, Failure> {
    let Some(path) = given.or(saved.cameras.as_deref()).map(Path::to_owned) else {
        let what = "has no cameras.json beside it".to_owned();
        let hint = "name the dataset or a cameras.json with `--cameras`";
        return Err(Failure::Input { path: saved.scene.clone(), what, hint });
    };
    if path.is_file() && path.file_name().is_some_and(|name| name != "transforms.json") {
        return Ok(read_cameras(&path)?);
    }
    let events = |event| context.reporter.event(event);
    let scene = settings::posed(&path, &Default::default())?.scene(&events, &context.cancel)?;
    let named = scene.views.iter().map(|view| {
        // Undistorted, as in training; a lens that cannot be undistorted is used directly.
        let (intrinsics, lens) = match view.lens.undistorted_pinhole() {
            Ok(flat) => (flat, None),
            Err(_) => (view.lens.nearest_pinhole(), Some(view.lens.clone())),
        };
        let camera = Camera { intrinsics, cam_from_world: view.cam_from_world };
        NamedCamera {
            name: view.name.clone(),
            held_out: false,
            camera,
            lens,
            rolling_shutter: None,
            exposure: None,
        }
    });
    Ok(named.collect())
}

/// The camera with this name, with or without folder and extension.
fn find<'a>(cameras: &'a [NamedCamera], name: &str) -> Result<&'a NamedCamera, Failure> {
    let stem = |name: &str| Path::new(name).file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let exact = cameras.iter().find(|named| named.name == name);
    if let Some(found) = exact {
        return Ok(found);
    }
    let mut alike = cameras.iter().filter(|named| stem(&named.name) == stem(name));
    match (alike.next(), alike.next()) {
        (Some(only), None) => Ok(only),
        (Some(one), Some(other)) => {
            let nearest = format!("; did you mean `{}` or `{}`?", one.name, other.name);
            Err(Failure::NoSuchView { name: name.to_owned(), nearest })
        }
        _ => Err(Failure::NoSuchView { name: name.to_owned(), nearest: String::new() }),
    }
}

fn list(saved: &SavedScene, given: Option<&Path>, context: &Context) -> Result<(), Failure> {
    let cameras = training_cameras(saved, given, context)?;
    #[derive(Serialize)]
    struct Entry<'a> {
        name: &'a str,
        held_out: bool,
        width: u32,
        height: u32,
    }
    let entries: Vec<_> = cameras
        .iter()
        .map(|named| {
            let size = named.camera.intrinsics;
            Entry { name: &named.name, held_out: named.held_out, width: size.width, height: size.height }
        })
        .collect();
    let text: Vec<_> = entries
        .iter()
        .map(|e| {
            format!("{}  {}x{}{}", e.name, e.width, e.height, if e.held_out { "  held out" } else { "" })
        })
        .collect();
    context.reporter.result(&entries, &text.join("\n"));
    Ok(())
}

fn background(values: &[f32]) -> Result<[f32; 3], Failure> {
    match *values {
        [r, g, b] if values.iter().all(|c| (0.0..=1.0).contains(c)) => Ok([r, g, b]),
        _ => Err(Failure::Usage {
            what: "`--background` is not three numbers from 0 to 1".into(),
            hint: "white is `--background 1,1,1`",
        }),
    }
}

fn resized(camera: LensCamera, width: Option<u32>) -> LensCamera {
    let Some(width) = width else { return camera };
    let old = &camera.lens;
    let height = f64::from(old.height) * f64::from(width) / f64::from(old.width.max(1));
    LensCamera { lens: old.resized(width, height.round().max(1.0) as u32), ..camera }
}

/// The destination of frames.
enum Sink {
    Picture(PathBuf),
    Folder(PathBuf),
    Video(Video, PathBuf),
}

impl Sink {
    fn open(output: &Path, frames: &[LensCamera], fps: u32) -> Result<Self, Failure> {
        let extension = output.extension().map(|e| e.to_ascii_lowercase());
        match extension.as_ref().and_then(|e| e.to_str()) {
            Some("png") if frames.len() == 1 => Ok(Self::Picture(output.to_path_buf())),
            Some("png") => Err(Failure::Usage {
                what: format!("{} frames do not fit into one PNG", frames.len()),
                hint: "name a folder or an .mp4 with -o",
            }),
            Some("mp4") => {
                let size = &frames[0].lens;
                let video = Video::begin(output, size.width, size.height, fps)?;
                Ok(Self::Video(video, output.to_path_buf()))
            }
            Some(other @ ("jpg" | "jpeg" | "webp" | "gif" | "mov" | "avi" | "mkv" | "webm")) => {
                Err(Failure::Usage {
                    what: format!("`.{other}` cannot be written"),
                    hint: "pictures are PNG and videos are MP4",
                })
            }
            _ => Ok(Self::Folder(output.to_path_buf())),
        }
    }

    fn frame(&mut self, image: &splat_core::FrameImage, index: u64) -> Result<(), Failure> {
        match self {
            Self::Picture(path) => Ok(image.save_png(path)?),
            Self::Folder(path) => Ok(image.save_png(&path.join(format!("frame_{index:05}.png")))?),
            Self::Video(video, _) => video.frame(&image.to_rgb8()),
        }
    }

    fn finish(self) -> Result<(PathBuf, &'static str), Failure> {
        match self {
            Self::Picture(path) => Ok((path, "picture")),
            Self::Folder(path) => Ok((path, "frames")),
            Self::Video(video, path) => video.finish().map(|()| (path, "video")),
        }
    }
}
