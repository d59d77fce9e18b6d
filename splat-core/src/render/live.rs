//! Rendering into a texture of the calling program, recorded into its command encoder: no allocation, read-back or wait.

use std::mem::offset_of;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::capacity::Capacity;
use super::chunks::Chunks;
use super::forward::ForwardPass;
use super::rays::RAY_BYTES;
use super::{GaussianBuffers, RenderOptions, Renderer, grown};
use crate::camera::LensCamera;
use crate::gpu::Gpu;
use crate::gpu::layout::{Counters, LensUniform, ViewUniform};
use crate::gpu::profile::Pass;
use crate::gpu::shaders::{self, LaneSums, Switches};
use crate::{Error, Result};

/// Maximum number of frames recorded before a submission: each needs its own copy of the uniforms.
pub const FRAMES_PER_SUBMISSION: u64 = 64;
/// Maximum number of pending read-backs of counters; further frames' counters are not read.
const COUNTS_IN_FLIGHT: usize = 4;
/// The range of the counters cleared before a frame: the number of intersections, and whether they fit.
const COUNTERS_CLEARED: std::ops::Range<u64> =
    offset_of!(Counters, isects_needed) as u64..offset_of!(Counters, first_rank) as u64;
const VIEW_BYTES: u64 = size_of::<ViewUniform>() as u64;
const UNIFORM_BYTES: u64 = VIEW_BYTES + size_of::<LensUniform>() as u64;

/// State of [`Renderer::render_to`] between frames.
#[derive(Debug, Default)]
pub(super) struct Live(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    kept: Option<Kept>,
    /// By target format.
    presenters: Vec<(wgpu::TextureFormat, wgpu::RenderPipeline)>,
    incomplete: u64,
}

/// Buffers for one set of Gaussians, and for images up to some size.
#[derive(Debug)]
struct Kept {
    gaussians: GaussianBuffers,
    pass: ForwardPass,
    /// A ring of the latest frames' uniforms.
    uniforms: wgpu::Buffer,
    frames: u64,
    counts: Vec<Count>,
    bindings: Vec<(wgpu::TextureFormat, wgpu::BindGroup)>,
}

/// A pending read-back of a frame's counters.
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
        /// If the encoder is dropped without submission, the callback is dropped uncalled: the buffer is free again.
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

    /// The counters, if the read-back has completed.
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

    /// The largest number of intersections among frames that did not fit and whose read-back has completed, and the number of those
    /// frames.
    fn lacking(&self) -> (u32, u64) {
        let counts = self.counts.iter().filter_map(Count::take);
        let needed = counts.map(|counters| counters.isects_needed);
        let too_many = needed.filter(|&needed| needed > self.pass.capacity.room());
        too_many.fold((0, 0), |(most, frames), needed| (most.max(needed), frames + 1))
    }
}

impl Renderer {
    /// Records the rendering of one view of `gaussians` to the whole of `target`, which has the size of the camera's image: colour over
    /// the background, and opacity.
    ///
    /// Nothing is submitted. Buffers are kept between frames: as long as the Gaussians' buffers and the kind of camera stay the same and
    /// the image is not larger than before, a frame allocates no device memory and does not wait (with a rolling shutter it allocates a
    /// buffer for the lines' poses). The first frame, and the first after such a change, is rendered and waited for once in advance, to
    /// size the buffers. A later frame whose intersections do not fit leaves the target unchanged; the buffers grow once the host has
    /// read its count, and [`Renderer::incomplete_frames`] counts it.
    ///
    /// `target` needs the usage `RENDER_ATTACHMENT`, a colour format and one sample per pixel. The texture holds the same encoded colours
    /// in sRGB and other formats. At most [`FRAMES_PER_SUBMISSION`] frames may be recorded before a submission.
    ///
    /// # Errors
    /// As [`Renderer::render`]; [`Error::ImageSize`] if the texture and the camera's image differ in size.
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
        let (_, inputs, mut view) = self.prepare(gaussians, camera, options)?;
        let gpu = &self.gpu;
        let mut state = self.live.0.lock().unwrap_or_else(PoisonError::into_inner);
        let State { kept, presenters, incomplete } = &mut *state;

        let lines = inputs.lines.len() as u32;
        let mut wanted = Capacity::without_room(view.pixel_count(), view.tile_count(), lines);
        if let Some(kept) = kept {
            let (needed, frames) = kept.lacking();
            *incomplete += frames;
            wanted.isects = needed;
        }
        let fits = kept.as_ref().is_some_and(|kept| {
            kept.holds(gaussians)
                && kept.pass.cameras().any(|optics| optics == inputs.optics)
                && kept.pass.capacity.holds(&wanted)
        });
        if !fits {
            // The old buffers are freed before the new ones are allocated.
            *kept = None;
            let frame = self.render(gaussians, camera, options)?;
            let counters: Vec<Counters> = gpu.read(&frame.pass.counters, 1)?;
            let needed = counters.first().map_or(0, |counters| counters.isects_needed).max(wanted.isects);
            drop(frame);
            // Twice the need of this view: that of later views is known only after they were rendered.
            let largest = u32::try_from(gpu.report().max_binding_bytes / 4).unwrap_or(u32::MAX);
            let chunks = Chunks::of(gpu, gaussians, self.forward.switches.renderer);
            let wanted = wanted.with_room(grown(needed.saturating_mul(2)), largest, chunks);
            *kept = Some(Kept {
                gaussians: gaussians.clone(),
                pass: ForwardPass::new(gpu, &self.forward, gaussians, wanted, &[inputs.optics])?,
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
        // Queue writes take effect before all commands of the next submission, so each frame's uniforms need their own place.
        let place = kept.frames % FRAMES_PER_SUBMISSION * UNIFORM_BYTES;
        kept.frames += 1;
        gpu.queue().write_buffer(&kept.uniforms, place, bytemuck::bytes_of(&view));
        gpu.queue().write_buffer(&kept.uniforms, place + VIEW_BYTES, bytemuck::bytes_of(&inputs.lens));
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
        pass.record_rays(encoder, inputs.table.as_deref());
        if !inputs.lines.is_empty() {
            let lines = gpu.storage_from("splat.live.lines", &inputs.lines)?;
            let behind_rays = u64::from(view.pixel_count()) * RAY_BYTES;
            encoder.copy_buffer_to_buffer(&lines, 0, &pass.rays, behind_rays, lines.size());
        }
        pass.record(&self.forward, &mut Pass::begin(encoder, None), &view, inputs.optics);
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

    /// Number of frames of [`Renderer::render_to`] that were left out because their intersections did not fit, as far as the host has
    /// read their counts.
    #[must_use]
    pub fn incomplete_frames(&self) -> u64 {
        self.live.0.lock().unwrap_or_else(PoisonError::into_inner).incomplete
    }
}

/// The render pipeline for targets of one format.
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
