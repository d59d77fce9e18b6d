//! Shows a scene in a window: drag to turn around it, scroll to come nearer. The title has the time of the last frame.
//!
//! The program opens its window and its wgpu device itself; `Gpu::from_device` and `Renderer::render_to` draw the scene on the window's
//! surface.
//!
//! ```sh
//! cargo run --release --example viewer -- SCENE.ply     # or another format, or the folder of a run
//! ```

#![expect(clippy::print_stderr, reason = "an example says what is wrong")]

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use glam::{DQuat, DVec3};
use splat_core::flight::{looked_at, orbit_of_cloud, read_cameras};
use splat_core::formats::{self, SplatRenderMode, SplatScene};
use splat_core::pipeline::SavedScene;
use splat_core::wgpu::{self, CurrentSurfaceTexture};
use splat_core::{Camera, GaussianBuffers, Gpu, LensCamera, Pinhole, Pose, RenderOptions, Renderer, plain};
use winit::application::ApplicationHandler;
use winit::dpi::PhysicalPosition;
use winit::event::{ElementState, MouseButton, MouseScrollDelta, WindowEvent};
use winit::event_loop::{ActiveEventLoop, EventLoop};
use winit::window::{Window, WindowId};

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", plain::with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome<()> {
    let path = std::env::args_os().nth(1).ok_or("no scene was given; try `viewer SCENE.ply`")?;
    let saved = SavedScene::find(Path::new(&path))?;
    let scene = formats::read(&saved.scene)?;
    let orbit = Orbit::new(&saved, &scene)?;
    let mut viewer = Viewer { scene, orbit, shown: None, dragging: false, pointer: None, outcome: Ok(()) };
    let event_loop = EventLoop::new().map_err(|error| format!("no window can be opened here: {error}"))?;
    event_loop.run_app(&mut viewer)?;
    viewer.outcome
}

/// A camera that looks at one point.
struct Orbit {
    target: DVec3,
    /// From the target to the camera.
    offset: DVec3,
    down: DVec3,
    /// Focal length, in heights of the picture.
    focal: f64,
}

impl Orbit {
    /// From the first training camera, if they look at a common point; otherwise from the side, far enough to see most of the scene.
    fn new(saved: &SavedScene, scene: &SplatScene) -> Outcome<Self> {
        let training = saved.cameras.as_deref().map(read_cameras).transpose()?.unwrap_or_default();
        let training: Vec<Camera> = training.into_iter().map(|named| named.camera).collect();
        let around = orbit_of_cloud(&scene.cloud, scene.origin, 8);
        let start = [training, around].into_iter().find_map(|cameras| {
            let target = looked_at(&cameras)?;
            let down: DVec3 =
                cameras.iter().map(|camera| camera.cam_from_world.inverse().rotation * DVec3::Y).sum();
            let Camera { intrinsics, cam_from_world } = cameras.first()?;
            let offset = cam_from_world.centre() - target;
            let focal = intrinsics.fy / f64::from(intrinsics.height);
            Some(Self { target, offset, down: down.normalize_or(DVec3::Y), focal })
        });
        Ok(start.ok_or("the scene has no Gaussians to look at")?)
    }

    /// Turns the scene by a movement of the mouse, in heights of the window.
    fn drag(&mut self, right: f64, down: f64) {
        const TURN: f64 = std::f64::consts::PI;
        self.offset = DQuat::from_axis_angle(self.down, TURN * right) * self.offset;
        // Not quite to the poles, where up and down change places.
        let from_pole = self.offset.angle_between(self.down);
        let turn = (from_pole + TURN * down).clamp(0.05, std::f64::consts::PI - 0.05) - from_pole;
        if let Some(axis) = self.down.cross(self.offset).try_normalize() {
            self.offset = DQuat::from_axis_angle(axis, turn) * self.offset;
        }
    }

    fn camera(&self, width: u32, height: u32) -> LensCamera {
        let (cx, cy) = (f64::from(width) / 2.0, f64::from(height) / 2.0);
        let focal = self.focal * f64::from(height);
        let intrinsics = Pinhole { width, height, fx: focal, fy: focal, cx, cy };
        let cam_from_world = Pose::look_at(self.target + self.offset, self.target, self.down);
        LensCamera::from(Camera { intrinsics, cam_from_world })
    }
}

/// What exists while there is a window.
struct Shown {
    window: Arc<Window>,
    instance: wgpu::Instance,
    surface: wgpu::Surface<'static>,
    config: wgpu::SurfaceConfiguration,
    gpu: Gpu,
    renderer: Renderer,
    gaussians: GaussianBuffers,
    options: RenderOptions,
    /// What was drawn last: the camera's place and the size.
    drawn: Option<(DVec3, u32, u32)>,
}

impl Shown {
    fn new(event_loop: &ActiveEventLoop, scene: &SplatScene) -> Outcome<Self> {
        let window = Arc::new(event_loop.create_window(Window::default_attributes().with_title("splat"))?);
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
        let surface = instance.create_surface(Arc::clone(&window))?;
        let adapter = pollster::block_on(instance.request_adapter(&wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            compatible_surface: Some(&surface),
            ..wgpu::RequestAdapterOptions::default()
        }))?;
        let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
            required_features: Gpu::wanted_features(&adapter),
            required_limits: Gpu::wanted_limits(&adapter),
            ..wgpu::DeviceDescriptor::default()
        }))?;

        let size = window.inner_size();
        let mut config = surface
            .get_default_config(&adapter, size.width, size.height)
            .ok_or_else(|| format!("`{}` cannot draw in this window", adapter.get_info().name))?;
        // `render_to` writes encoded colours, in sRGB formats and in others. A format of 16 bits would show them as linear light.
        let eight_bits = [wgpu::TextureFormat::Rgba8Unorm, wgpu::TextureFormat::Bgra8Unorm];
        let formats = surface.get_capabilities(&adapter).formats;
        let format = formats.into_iter().find(|format| eight_bits.contains(&format.remove_srgb_suffix()));
        config.format = format.ok_or("the window's surface has no format of 8 bits per channel")?;
        config.present_mode = wgpu::PresentMode::AutoVsync;

        let gpu = Gpu::from_device(&adapter, device, queue)?;
        let renderer = Renderer::new(&gpu, scene.render_mode.into())?;
        let gaussians = GaussianBuffers::upload(&gpu, &scene.cloud)?;
        let defaults = RenderOptions::default();
        let options = RenderOptions {
            antialiased: scene.render_mode == SplatRenderMode::Mip,
            near: scene.near.unwrap_or(defaults.near),
            origin: scene.origin,
            ..defaults
        };
        let shown =
            Self { window, instance, surface, config, gpu, renderer, gaussians, options, drawn: None };
        shown.configure();
        Ok(shown)
    }

    /// Gives the surface the size of the window, and has it drawn.
    fn configure(&self) {
        // A minimized window may have no size, which a surface needs.
        if self.config.width > 0 && self.config.height > 0 {
            self.surface.configure(self.gpu.device(), &self.config);
            self.window.request_redraw();
        }
    }

    fn draw(&mut self, orbit: &Orbit) -> Outcome<()> {
        let (width, height) = (self.config.width, self.config.height);
        if width == 0 || height == 0 {
            return Ok(());
        }
        let (target, outdated) = match self.surface.get_current_texture() {
            CurrentSurfaceTexture::Success(target) => (target, false),
            CurrentSurfaceTexture::Suboptimal(target) => (target, true),
            CurrentSurfaceTexture::Outdated => {
                self.configure();
                return Ok(());
            }
            CurrentSurfaceTexture::Lost => {
                self.surface = self.instance.create_surface(Arc::clone(&self.window))?;
                self.configure();
                return Ok(());
            }
            // A hidden window is drawn when it is seen again.
            CurrentSurfaceTexture::Occluded => return Ok(()),
            CurrentSurfaceTexture::Timeout => {
                self.window.request_redraw();
                return Ok(());
            }
            CurrentSurfaceTexture::Validation => return Err("the window's surface was refused".into()),
        };
        let started = Instant::now();
        let device = self.gpu.device();
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let camera = orbit.camera(width, height);
        self.renderer.render_to(&mut encoder, &self.gaussians, &camera, &self.options, &target.texture)?;
        // Here a program records what it draws over the scene.
        self.gpu.queue().submit([encoder.finish()]);
        // For the time alone: presenting does not need this wait.
        device.poll(wgpu::PollType::wait_indefinitely())?;
        let ms = 1e3 * started.elapsed().as_secs_f64();
        self.window.pre_present_notify();
        self.gpu.queue().present(target);
        let count = self.gaussians.count();
        self.window.set_title(&format!("splat: {count} Gaussians, {width}x{height}, {ms:.1} ms"));
        // The first frame of a view may have been left out, if its intersections did not fit: the next one has room for them.
        let view = (orbit.offset, width, height);
        if self.drawn.replace(view) != Some(view) {
            self.window.request_redraw();
        }
        if outdated {
            self.configure();
        }
        Ok(())
    }
}

struct Viewer {
    scene: SplatScene,
    orbit: Orbit,
    shown: Option<Shown>,
    dragging: bool,
    pointer: Option<PhysicalPosition<f64>>,
    outcome: Outcome<()>,
}

impl ApplicationHandler for Viewer {
    fn resumed(&mut self, event_loop: &ActiveEventLoop) {
        if self.shown.is_some() {
            return;
        }
        match Shown::new(event_loop, &self.scene) {
            Ok(shown) => self.shown = Some(shown),
            Err(error) => {
                self.outcome = Err(error);
                event_loop.exit();
            }
        }
    }

    fn window_event(&mut self, event_loop: &ActiveEventLoop, _: WindowId, event: WindowEvent) {
        let Some(shown) = &mut self.shown else { return };
        let height = f64::from(shown.config.height.max(1));
        match event {
            WindowEvent::CloseRequested => event_loop.exit(),
            WindowEvent::Resized(size) => {
                (shown.config.width, shown.config.height) = (size.width, size.height);
                shown.configure();
            }
            WindowEvent::MouseInput { state, button: MouseButton::Left, .. } => {
                self.dragging = state == ElementState::Pressed;
            }
            WindowEvent::CursorMoved { position, .. } => {
                if let (true, Some(last)) = (self.dragging, self.pointer) {
                    self.orbit.drag((position.x - last.x) / height, (position.y - last.y) / height);
                    shown.window.request_redraw();
                }
                self.pointer = Some(position);
            }
            WindowEvent::MouseWheel { delta, .. } => {
                const NEARER_PER_LINE: f64 = 0.9;
                const PIXELS_PER_LINE: f64 = 40.0;
                let lines = match delta {
                    MouseScrollDelta::LineDelta(_, lines) => f64::from(lines),
                    MouseScrollDelta::PixelDelta(pixels) => pixels.y / PIXELS_PER_LINE,
                };
                self.orbit.offset *= NEARER_PER_LINE.powf(lines);
                shown.window.request_redraw();
            }
            WindowEvent::RedrawRequested => {
                if let Err(error) = shown.draw(&self.orbit) {
                    self.outcome = Err(error);
                    event_loop.exit();
                }
            }
            _ => {}
        }
    }
}
