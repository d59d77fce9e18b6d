//! Renders a scene in a program that already has a wgpu device: each frame is recorded into that program's command encoder, together with
//! what else it draws, straight into its texture.
//!
//! The texture here is off-screen, and the frame times are printed; with a window it is the surface's.
//!
//! ```sh
//! cargo run --release --example in_my_app -- [SCENE.ply]
//! ```

#![expect(clippy::print_stdout, reason = "an example says what it finds")]

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use glam::DVec3;
use splat_core::wgpu;
use splat_core::{
    Camera, GaussianBuffers, GaussianCloud, Gpu, LensCamera, Pinhole, Pose, RenderOptions, Renderer,
    RendererKind,
};

const WIDTH: u32 = 320;
const HEIGHT: u32 = 240;

fn main() -> Result<(), Box<dyn Error>> {
    let cloud = match std::env::args().nth(1) {
        Some(path) => splat_core::formats::read(Path::new(&path))?.cloud,
        None => spiral(),
    };
    let Flight { times, pixels } = run(&cloud, 60)?;
    let mean = times.iter().sum::<Duration>() / times.len().max(1) as u32;
    println!("{} frames of {WIDTH}x{HEIGHT}, {:.2} ms each", times.len(), 1e3 * mean.as_secs_f64());
    println!(
        "the slowest took {:.2} ms",
        1e3 * times.iter().max().copied().unwrap_or_default().as_secs_f64()
    );
    println!(
        "{} of {} pixels show something",
        pixels.iter().filter(|pixel| pixel[3] > 0).count(),
        pixels.len()
    );
    Ok(())
}

/// What a flight showed.
#[derive(Debug)]
pub struct Flight {
    /// Of each frame.
    pub times: Vec<Duration>,
    /// Of the last frame, RGBA, row by row.
    pub pixels: Vec<[u8; 4]>,
}

/// Flies around the cloud for some frames.
///
/// # Errors
/// What the GPU says.
pub fn run(cloud: &GaussianCloud, frames: u32) -> Result<Flight, Box<dyn Error>> {
    // The program's own device. What splat computes best with is asked for beside what the program needs.
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = pollster::block_on(instance.request_adapter(&wgpu::RequestAdapterOptions::default()))?;
    let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
        required_features: Gpu::wanted_features(&adapter),
        required_limits: Gpu::wanted_limits(&adapter),
        ..wgpu::DeviceDescriptor::default()
    }))?;
    let target = device.create_texture(&wgpu::TextureDescriptor {
        label: Some("my app's picture"),
        size: wgpu::Extent3d { width: WIDTH, height: HEIGHT, depth_or_array_layers: 1 },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: wgpu::TextureFormat::Rgba8UnormSrgb,
        usage: wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::COPY_SRC,
        view_formats: &[],
    });

    let gpu = Gpu::from_device(&adapter, device.clone(), queue.clone())?;
    let renderer = Renderer::new(&gpu, RendererKind::Ewa)?;
    let gaussians = GaussianBuffers::upload(&gpu, cloud)?;

    let mut times = Vec::new();
    for frame in 0..frames {
        let started = Instant::now();
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let camera = camera_at(f64::from(frame) / f64::from(frames.max(1)));
        renderer.render_to(&mut encoder, &gaussians, &camera, &RenderOptions::default(), &target)?;
        // Here the program records what it draws over the scene.
        queue.submit([encoder.finish()]);
        // A window's frame would be presented; without one, wait, or frames accumulate.
        device.poll(wgpu::PollType::wait_indefinitely())?;
        times.push(started.elapsed());
    }
    Ok(Flight { times, pixels: pixels_of(&gpu, &target)? })
}

/// On a circle around the origin.
fn camera_at(turn: f64) -> LensCamera {
    let angle = std::f64::consts::TAU * turn;
    let eye = DVec3::new(3.0 * angle.cos(), -0.8, 3.0 * angle.sin());
    let (cx, cy) = (f64::from(WIDTH) / 2.0, f64::from(HEIGHT) / 2.0);
    let intrinsics = Pinhole { width: WIDTH, height: HEIGHT, fx: 300.0, fy: 300.0, cx, cy };
    LensCamera::from(Camera { intrinsics, cam_from_world: Pose::look_at(eye, DVec3::ZERO, DVec3::Y) })
}

/// A thousand Gaussians along a spiral, in the colours of the rainbow.
#[must_use]
pub fn spiral() -> GaussianCloud {
    let mut cloud = GaussianCloud::default();
    for index in 0..1000 {
        let along = index as f32 / 1000.0;
        let angle = 40.0 * along;
        cloud.means.push([along.sqrt() * angle.cos(), 0.6 * along - 0.3, along.sqrt() * angle.sin()]);
        cloud.quats.push([1.0, 0.0, 0.0, 0.0]);
        cloud.log_scales.push([-3.5; 3]);
        cloud.opacity_logits.push(2.0);
        cloud.sh_coeffs.push([0.0, 2.1, 4.2].map(|phase| 1.5 * (6.3 * along + phase).sin()));
    }
    cloud
}

/// Copies the texture to the host.
fn pixels_of(gpu: &Gpu, texture: &wgpu::Texture) -> Result<Vec<[u8; 4]>, Box<dyn Error>> {
    // Rows of a copy begin at multiples of 256 bytes, as those of 320 pixels do.
    let layout =
        wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(4 * WIDTH), rows_per_image: None };
    let copy = gpu.storage("my app's copy", u64::from(4 * WIDTH * HEIGHT))?;
    let mut encoder = gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    encoder.copy_texture_to_buffer(
        texture.as_image_copy(),
        wgpu::TexelCopyBufferInfo { buffer: &copy, layout },
        texture.size(),
    );
    gpu.queue().submit([encoder.finish()]);
    Ok(gpu.read(&copy, (WIDTH * HEIGHT) as usize)?)
}
