//! Frames for a program that shows them: recorded into its own command encoder, without allocation, read-back or wait.

use std::mem::offset_of;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::forward::{Capacity, ForwardPass};
use super::rays::RAY_BYTES;
use super::{GaussianBuffers, RenderOptions, Renderer, grown};
use crate::camera::LensCamera;
use crate::gpu::Gpu;
use crate::gpu::layout::{Counters, LensUniform, ViewUniform};
use crate::gpu::profile::Pass;
use crate::gpu::shaders::{self, LaneSums, Switches};
use crate::{Error, Result};

/// Frames that may be recorded before they are submitted: each has a place of its own for its uniforms.
pub const FRAMES_PER_SUBMISSION: u64 = 64;
/// Frames whose counts can be on their way back at a time; those of further ones are not looked at.
const COUNTS_IN_FLIGHT: usize = 4;
/// What is cleared of the counters before a frame: how many intersections it needs, and whether they fit.
const COUNTERS_CLEARED: std::ops::Range<u64> =
    offset_of!(Counters, isects_needed) as u64..offset_of!(Counters, sort_groups) as u64;
const VIEW_BYTES: u64 = size_of::<ViewUniform>() as u64;
const UNIFORM_BYTES: u64 = VIEW_BYTES + size_of::<LensUniform>() as u64;

/// What [`Renderer::render_to`] keeps between frames.
#[derive(Debug, Default)]
pub(super) struct Live(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    kept: Option<Kept>,
    /// By the format that they draw to.
    presenters: Vec<(wgpu::TextureFormat, wgpu::RenderPipeline)>,
    incomplete: u64,
}

/// Buffers for one set of Gaussians, and for images up to some size.
#[derive(Debug)]
struct Kept {
    gaussians: GaussianBuffers,
    pass: ForwardPass,
    /// Uniforms of the latest frames, one place each.
    uniforms: wgpu::Buffer,
    frames: u64,
    counts: Vec<Count>,
    bindings: Vec<(wgpu::TextureFormat, wgpu::BindGroup)>,
}

/// A frame's counters on their way back to the host.
#[derive(Debug)]
struct Count {
    buffer: wgpu::Buffer,
    state: Arc<AtomicU8>,
}

impl Count {
    const FREE: u8 = 0;
    const PENDING: u8 = 1;
    const READY: u8 = 2;

    fn new(gpu: &Gpu) -> Self {
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let buffer = gpu.buffer("splat.live.counts", size_of::<Counters>() as u64, usage);
        Self { buffer, state: Arc::default() }
    }

    fn record(&self, encoder: &wgpu::CommandEncoder) {
        /// A recording that is dropped unsubmitted never calls back: its place is free again then.
        struct Waiting(Arc<AtomicU8>);
        impl Drop for Waiting {
            fn drop(&mut self) {
                let _ =
                    self.0.compare_exchange(Count::PENDING, Count::FREE, Ordering::AcqRel, Ordering::Relaxed);
            }
        }
        self.state.store(Self::PENDING, Ordering::Release);
        let waiting = Waiting(Arc::clone(&self.state));
        encoder.map_buffer_on_submit(&self.buffer, wgpu::MapMode::Read, .., move |mapped| {
            if mapped.is_ok() {
                waiting.0.store(Self::READY, Ordering::Release);
            }
        });
    }

    /// The counters, if they have arrived.
    fn take(&self) -> Option<Counters> {
        if self.state.load(Ordering::Acquire) != Self::READY {
            return None;
        }
        let counters = self.buffer.get_mapped_range(..size_of::<Counters>() as u64);
        let counters = counters.ok().map(|bytes| bytemuck::pod_read_unaligned(&bytes));
        self.buffer.unmap();
        self.state.store(Self::FREE, Ordering::Release);
        counters
    }
}

impl Kept {
    fn holds(&self, gaussians: &GaussianBuffers) -> bool {
        let (mine, other) = (&self.gaussians, gaussians);
        (mine.count, mine.sh_degree, &mine.geometry, &mine.sh)
            == (other.count, other.sh_degree, &other.geometry, &other.sh)
    }

    /// The most intersections of a frame that did not fit, of those whose counts have arrived, and how many frames that were.
    fn lacking(&self) -> (u32, u64) {
        let counts = self.counts.iter().filter_map(Count::take);
        let needed = counts.map(|counters| counters.isects_needed);
        let too_many = needed.filter(|&needed| needed > self.pass.capacity.isects);
        too_many.fold((0, 0), |(most, frames), needed| (most.max(needed), frames + 1))
    }
}

impl Renderer {
    /// Records one view of `gaussians` into `encoder`, drawn over the whole of `target`: colour over the background and opacity, one
    /// pixel of the camera's image for each of the texture's.
    ///
    /// Nothing is submitted. Buffers are kept: as long as the Gaussians' buffers, the kind of camera and the image's size (or a smaller
    /// one) stay, a frame allocates nothing on the device and waits for nothing, except that rows of a rolling shutter's poses take a
    /// buffer per frame. The first frame, and the first after such a change, is drawn once beforehand to learn how much room it needs.
    /// Only the GPU knows that of later ones; where one needs more it leaves the target as it was, the buffers grow as soon as that is
    /// known, and [`Renderer::incomplete_frames`] counts it.
    ///
    /// `target` needs `RENDER_ATTACHMENT`, any colour format, and one sample. Formats that encode sRGB get linear colours, so that the
    /// texture holds the same. At most [`FRAMES_PER_SUBMISSION`] frames may be recorded before they are submitted.
    ///
    /// # Errors
    /// As [`Renderer::render`]; [`Error::ImageSize`] where the texture is of another size than the camera's image.
    pub fn render_to(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        gaussians: &GaussianBuffers,
        camera: &(impl Clone + Into<LensCamera>),
        options: &RenderOptions,
        target: &wgpu::Texture,
    ) -> Result<()> {
        let camera = &camera.clone().into();
        let (width, height) = (camera.lens.width, camera.lens.height);
        if (target.width(), target.height()) != (width, height) {
            let (have, want) = (target.width(), target.height());
            let why = format!("the camera's image is {width}x{height} and the texture {have}x{want}");
            return Err(Error::ImageSize { why });
        }
        let (_, seen, mut view) = self.see(gaussians, camera, options)?;
        let gpu = &self.gpu;
        let mut state = self.live.0.lock().unwrap_or_else(PoisonError::into_inner);
        let State { kept, presenters, incomplete } = &mut *state;

        let mut wanted = Capacity {
            pixels: view.pixel_count(),
            tiles: view.tile_count(),
            isects: 0,
            lines: seen.lines.len() as u32,
        };
        if let Some(kept) = kept {
            let (needed, frames) = kept.lacking();
            *incomplete += frames;
            wanted.isects = needed;
        }
        let fits = kept.as_ref().is_some_and(|kept| {
            kept.holds(gaussians)
                && kept.pass.cameras().any(|optics| optics == seen.optics)
                && kept.pass.capacity.holds(&wanted)
        });
        if !fits {
            // What it held is free before the new buffers are made.
            *kept = None;
            let frame = self.render(gaussians, camera, options)?;
            let counters: Vec<Counters> = gpu.read(&frame.pass.counters, 1)?;
            let needed = counters.first().map_or(0, |counters| counters.isects_needed).max(wanted.isects);
            drop(frame);
            // Twice as many: the next views are others, and what they need is known only afterwards.
            let largest = u32::try_from(gpu.report().max_binding_bytes / 4).unwrap_or(u32::MAX);
            wanted.isects = grown(needed.saturating_mul(2)).min(largest).max(needed);
            *kept = Some(Kept {
                gaussians: gaussians.clone(),
                pass: ForwardPass::new(gpu, &self.forward, gaussians, wanted, &[seen.optics])?,
                uniforms: gpu.buffer(
                    "splat.live.uniforms",
                    FRAMES_PER_SUBMISSION * UNIFORM_BYTES,
                    wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
                ),
                frames: 0,
                counts: (0..COUNTS_IN_FLIGHT).map(|_| Count::new(gpu)).collect(),
                bindings: Vec::new(),
            });
        }
        let Some(kept) = kept else { return Ok(()) };
        let format = target.format();
        let presenter = match presenters.iter().position(|(of, _)| *of == format) {
            Some(at) => &presenters[at].1,
            None => {
                presenters.push((format, presenter(gpu, format)));
                &presenters[presenters.len() - 1].1
            }
        };

        view.isect_capacity = kept.pass.capacity.isects;
        // The queue's writes come before all that is submitted with them, so each frame's uniforms are copied from a place of their own.
        let place = kept.frames % FRAMES_PER_SUBMISSION * UNIFORM_BYTES;
        kept.frames += 1;
        gpu.queue().write_buffer(&kept.uniforms, place, bytemuck::bytes_of(&view));
        gpu.queue().write_buffer(&kept.uniforms, place + VIEW_BYTES, bytemuck::bytes_of(&seen.lens));
        let Kept { pass, uniforms, counts, bindings, .. } = kept;
        encoder.copy_buffer_to_buffer(uniforms, place, &pass.view, 0, VIEW_BYTES);
        encoder.copy_buffer_to_buffer(
            uniforms,
            place + VIEW_BYTES,
            &pass.lens,
            0,
            UNIFORM_BYTES - VIEW_BYTES,
        );
        let cleared = COUNTERS_CLEARED;
        encoder.clear_buffer(&pass.counters, cleared.start, Some(cleared.end - cleared.start));
        pass.record_clear(encoder);
        pass.record_rays(encoder, seen.table.as_deref());
        if !seen.lines.is_empty() {
            let lines = gpu.storage_from("splat.live.lines", &seen.lines)?;
            let behind_rays = u64::from(view.pixel_count()) * RAY_BYTES;
            encoder.copy_buffer_to_buffer(&lines, 0, &pass.rays, behind_rays, lines.size());
        }
        pass.record(&self.forward, &mut Pass::begin(encoder, None), &view, seen.optics);
        if let Some(count) = counts.iter().find(|count| count.state.load(Ordering::Acquire) == Count::FREE) {
            encoder.copy_buffer_to_buffer(&pass.counters, 0, &count.buffer, 0, count.buffer.size());
            count.record(encoder);
        }

        if bindings.iter().all(|(of, _)| *of != format) {
            bindings.push((format, present_bindings(gpu, presenter, pass)));
        }
        let texture = target.create_view(&wgpu::TextureViewDescriptor {
            mip_level_count: Some(1),
            array_layer_count: Some(1),
            dimension: Some(wgpu::TextureViewDimension::D2),
            ..wgpu::TextureViewDescriptor::default()
        });
        let mut present = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
            label: Some("splat.present"),
            color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                view: &texture,
                depth_slice: None,
                resolve_target: None,
                ops: wgpu::Operations { load: wgpu::LoadOp::Load, store: wgpu::StoreOp::Store },
            })],
            ..wgpu::RenderPassDescriptor::default()
        });
        present.set_pipeline(presenter);
        for (_, binding) in bindings.iter().filter(|(of, _)| *of == format) {
            present.set_bind_group(0, binding, &[]);
        }
        present.draw(0..3, 0..1);
        Ok(())
    }

    /// How many frames of [`Renderer::render_to`] lacked room and were left out, of those that are known to have run.
    #[must_use]
    pub fn incomplete_frames(&self) -> u64 {
        self.live.0.lock().unwrap_or_else(PoisonError::into_inner).incomplete
    }
}

/// The pipeline that draws a frame to textures of one format.
fn presenter(gpu: &Gpu, format: wgpu::TextureFormat) -> wgpu::RenderPipeline {
    let source = shaders::PRESENT;
    let text = source.text(gpu.lanes(), LaneSums::Shared, Switches::default());
    let module = gpu.shader_module(source.name, &text);
    let constants = [("TARGET_ENCODES", f64::from(u8::from(format.is_srgb())))];
    let no_constants = wgpu::PipelineCompilationOptions::default();
    gpu.device().create_render_pipeline(&wgpu::RenderPipelineDescriptor {
        label: Some("splat.present"),
        layout: None,
        vertex: wgpu::VertexState {
            module: &module,
            entry_point: Some("cover"),
            compilation_options: no_constants,
            buffers: &[],
        },
        primitive: wgpu::PrimitiveState::default(),
        depth_stencil: None,
        multisample: wgpu::MultisampleState::default(),
        fragment: Some(wgpu::FragmentState {
            module: &module,
            entry_point: Some("shade"),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &constants,
                ..wgpu::PipelineCompilationOptions::default()
            },
            targets: &[Some(format.into())],
        }),
        multiview_mask: None,
        cache: None,
    })
}

fn present_bindings(gpu: &Gpu, presenter: &wgpu::RenderPipeline, pass: &ForwardPass) -> wgpu::BindGroup {
    let entries: Vec<_> = (0u32..)
        .zip([&pass.view, &pass.frame, &pass.counters])
        .map(|(binding, buffer)| wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() })
        .collect();
    gpu.device().create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some("splat.present"),
        layout: &presenter.get_bind_group_layout(0),
        entries: &entries,
    })
}
