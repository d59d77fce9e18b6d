//! Training with a loss of one's own: the trainer renders, and moves every parameter down the gradient that it is given.
//!
//! Here the loss is the mean squared difference to the photos, which are plain orange; it brings two grey Gaussians towards them. It
//! is worked out twice: by a kernel, on buffers that never leave the GPU, and on the host, on vectors.
//!
//! ```sh
//! cargo run --release --example own_loss
//! ```

#![expect(clippy::print_stdout, reason = "an example says what it finds")]

use std::error::Error;
use std::sync::Arc;

use glam::DVec3;
use image::{Rgb, RgbImage};
use splat_core::train::{ImageLoss, StepView, TrainConfig, Trainer};
use splat_core::wgpu;
use splat_core::{
    Dataset, DatasetOptions, FrameImage, Gpu, GpuOptions, Lens, Pinhole, Pose, Scene, SeedPoint, View,
};

const WIDTH: u32 = 64;
const HEIGHT: u32 = 48;

/// Where the loss is worked out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// By a kernel, on buffers.
    Gpu,
    /// On vectors.
    Host,
}

fn main() -> Result<(), Box<dyn Error>> {
    for place in [Place::Gpu, Place::Host] {
        let losses = run(60, place)?;
        println!("{place:?}: loss {:.5} at first, {:.5} at last", losses[0], losses[losses.len() - 1]);
    }
    Ok(())
}

/// Trains so many steps; gives the loss before each.
///
/// # Errors
/// What the GPU says.
pub fn run(steps: u32, place: Place) -> Result<Vec<f32>, Box<dyn Error>> {
    let gpu = Gpu::new(&GpuOptions::default())?;
    let folder = tempfile::tempdir()?;
    let dataset = Arc::new(orange_photos(folder.path())?);
    // Two Gaussians, none added, images at full size from the first step on.
    let config = TrainConfig {
        steps,
        sh_degree: 0,
        seed_points: 2,
        max_gaussians: Some(2),
        full_size: true,
        ..TrainConfig::default()
    };
    let mut trainer = Trainer::new(&gpu, dataset, config)?;
    let kernel = SquaredDifference::new(gpu.device());
    let mut losses = Vec::new();
    for _ in 0..steps {
        let report = match place {
            Place::Gpu => trainer.step_with_buffers(|encoder, buffers| {
                let pixels = buffers.view.photo.width * buffers.view.photo.height;
                kernel.record(
                    gpu.device(),
                    encoder,
                    [buffers.frame, buffers.photo, buffers.v_frame, buffers.loss],
                    pixels,
                );
            })?,
            Place::Host => trainer.step_with(squared_difference)?,
        };
        losses.push(report.loss);
    }
    Ok(losses)
}

/// The loss on the host. Any loss whose derivative by the image is known will do.
fn squared_difference(frame: &FrameImage, view: &StepView) -> ImageLoss {
    let count = frame.rgb.len() as f32;
    let photo = view.photo.to_rgb_f32();
    let off: Vec<f32> = frame.rgb.iter().zip(photo).map(|(rendered, wanted)| rendered - wanted).collect();
    ImageLoss {
        loss: off.iter().map(|d| d * d).sum::<f32>() / count,
        v_rgb: off.iter().map(|d| 2.0 * d / count).collect(),
        v_alpha: None,
    }
}

/// The same loss on the GPU.
struct SquaredDifference {
    pipeline: wgpu::ComputePipeline,
}

impl SquaredDifference {
    /// One workgroup, which adds up in a fixed order: the same bits each time.
    const KERNEL: &str = r"
        override PIXELS: u32 = 3072u;

        @group(0) @binding(0) var<storage, read> frame: array<vec4f>;
        @group(0) @binding(1) var<storage, read> photo: array<u32>;
        @group(0) @binding(2) var<storage, read_write> v_frame: array<vec4f>;
        @group(0) @binding(3) var<storage, read_write> loss: array<f32>;

        var<workgroup> sums: array<f32, 64>;

        @compute @workgroup_size(64)
        fn main(@builtin(local_invocation_index) lane: u32) {
            let count = f32(PIXELS * 3u);
            var sum = 0.0;
            for (var i = lane; i < PIXELS; i += 64u) {
                let off = frame[i].rgb - unpack4x8unorm(photo[i]).rgb;
                v_frame[i] = vec4f(2.0 * off / count, 0.0);
                sum += dot(off, off);
            }
            sums[lane] = sum;
            workgroupBarrier();
            if (lane == 0u) {
                var total = 0.0;
                for (var i = 0u; i < 64u; i += 1u) {
                    total += sums[i];
                }
                loss[0] = total / count;
            }
        }
    ";

    fn new(device: &wgpu::Device) -> Self {
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some("squared difference"),
            source: wgpu::ShaderSource::Wgsl(Self::KERNEL.into()),
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some("squared difference"),
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &[("PIXELS", f64::from(WIDTH * HEIGHT))],
                ..wgpu::PipelineCompilationOptions::default()
            },
            cache: None,
        });
        Self { pipeline }
    }

    fn record(
        &self,
        device: &wgpu::Device,
        encoder: &mut wgpu::CommandEncoder,
        buffers: [&wgpu::Buffer; 4],
        pixels: u32,
    ) {
        assert_eq!(pixels, WIDTH * HEIGHT, "the kernel was made for photos of one size");
        let entries: Vec<_> = (0u32..)
            .zip(buffers)
            .map(|(binding, buffer)| wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() })
            .collect();
        let bindings = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("squared difference"),
            layout: &self.pipeline.get_bind_group_layout(0),
            entries: &entries,
        });
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &bindings, &[]);
        pass.dispatch_workgroups(1, 1, 1);
    }
}

/// Three photos of nothing but orange, of a place with two grey points.
fn orange_photos(folder: &std::path::Path) -> Result<Dataset, Box<dyn Error>> {
    let lens =
        Lens::pinhole(Pinhole { width: WIDTH, height: HEIGHT, fx: 60.0, fy: 60.0, cx: 32.0, cy: 24.0 });
    let mut views = Vec::new();
    for (index, x) in [-0.5, 0.0, 0.5].into_iter().enumerate() {
        let name = format!("{index}.png");
        let image_path = folder.join(&name);
        RgbImage::from_pixel(WIDTH, HEIGHT, Rgb([255, 128, 26])).save(&image_path)?;
        let eye = DVec3::new(x, 0.0, -2.5);
        views.push(View {
            name,
            image_path,
            mask_path: None,
            lens: lens.clone(),
            cam_from_world: Pose::look_at(eye, DVec3::ZERO, DVec3::Y),
            rolling_shutter: None,
        });
    }
    let points = [[-0.3, 0.0, 0.0], [0.3, 0.1, 0.2]].map(|position| SeedPoint { position, rgb: [128; 3] });
    let scene = Scene { views, points: points.to_vec(), ..Scene::default() };
    Ok(Dataset::new(scene, &DatasetOptions { holdout_every: None, ..DatasetOptions::default() })?)
}
