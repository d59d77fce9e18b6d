//! The forward pass: project, sort by depth, list tiles, sort by tile, blend.

use std::mem::offset_of;
use std::sync::OnceLock;

use super::rays::{LINE_BYTES, RAY_BYTES};
use super::sort::{Over, Scan, Sort, SortBuffers, SortKernels, SortScratch};
use super::{GaussianBuffers, ViewInputs};
use crate::Result;
use crate::gpu::Gpu;
use crate::gpu::kernel::Kernel;
use crate::gpu::layout::{Counters, LensUniform, ViewUniform, splat_bytes};
use crate::gpu::profile::Pass;
use crate::gpu::shaders::{self, Optics, Switches};
use crate::render::RendererKind;

/// Offset in `Counters` of the indirect dispatch over intersections.
const ISECT_GROUPS_OFFSET: u64 = offset_of!(Counters, isect_groups) as u64;

/// The kernels of a forward pass.
#[derive(Debug)]
pub(crate) struct ForwardKernels {
    pub(crate) switches: Switches,
    sort: SortKernels,
    isect_total: Kernel,
    tile_ranges: Kernel,
    gpu: Gpu,
    /// By [`Optics`], compiled when first needed.
    views: [OnceLock<ViewKernels>; Optics::COUNT],
}

/// The kernels that depend on the camera model; all others are shared by every renderer.
#[derive(Debug)]
struct ViewKernels {
    project: Kernel,
    tile_count: Kernel,
    tile_emit: Kernel,
    rasterize: Kernel,
}

impl ForwardKernels {
    pub(crate) fn new(gpu: &Gpu, switches: Switches) -> Self {
        let kernel = |source| Kernel::new(gpu, source, switches, &[]);
        Self {
            switches,
            sort: SortKernels::new(gpu),
            isect_total: kernel(shaders::ISECT_TOTAL),
            tile_ranges: kernel(shaders::TILE_RANGES),
            gpu: gpu.clone(),
            views: Default::default(),
        }
    }

    /// The kernels for a camera.
    fn view(&self, optics: Optics) -> &ViewKernels {
        self.views[optics.index()].get_or_init(|| {
            let switches = self.switches.for_optics(optics);
            let kernel = |source| Kernel::new(&self.gpu, source, switches, &[]);
            let project = match switches.renderer {
                RendererKind::Ewa => kernel(shaders::PROJECT),
                RendererKind::Gut => kernel(shaders::PROJECT_GUT),
            };
            ViewKernels {
                project,
                tile_count: kernel(shaders::TILE_COUNT),
                tile_emit: kernel(shaders::TILE_EMIT),
                rasterize: kernel(shaders::RASTERIZE),
            }
        })
    }
}

/// Sizes that a [`ForwardPass`] is allocated for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Capacity {
    /// Pixels of the largest image.
    pub(crate) pixels: u32,
    /// Tiles of the largest image.
    pub(crate) tiles: u32,
    /// Intersections.
    pub(crate) isects: u32,
    /// Lines of the largest image with a rolling shutter; 0 without one.
    pub(crate) lines: u32,
}

impl Capacity {
    /// Whether these sizes are sufficient for `other`.
    pub(crate) fn holds(&self, other: &Self) -> bool {
        self.pixels >= other.pixels
            && self.tiles >= other.tiles
            && self.isects >= other.isects
            && self.lines >= other.lines
    }

    /// Bytes of a forward pass for `gaussians` Gaussians.
    ///
    /// Includes a ray table if the camera of `switches` has one.
    pub(crate) fn forward_bytes(&self, gaussians: u64, switches: Switches) -> u64 {
        let (pixels, isects) = (u64::from(self.pixels), u64::from(self.isects));
        let per_gaussian = splat_bytes(switches.renderer) + 4 * 4 + 4 + 4 + 8;
        let rays = if switches.has_ray_table() { RAY_BYTES } else { 0 };
        let per_pixel = 16 + 8 + if switches.depth { 4 } else { 0 } + rays;
        gaussians * per_gaussian
            + isects * 20
            + pixels * per_pixel
            + (u64::from(self.tiles) + 1) * 8
            + SortScratch::bytes(gaussians.max(isects))
    }
}

/// Buffers and bindings of a forward pass over one set of Gaussians.
#[derive(Debug)]
pub(crate) struct ForwardPass {
    pub(crate) capacity: Capacity,
    pub(crate) count: u32,
    pub(crate) view: wgpu::Buffer,
    pub(crate) counters: wgpu::Buffer,
    pub(crate) splats: wgpu::Buffer,
    pub(crate) isects: SortBuffers,
    pub(crate) isect_gaussians: wgpu::Buffer,
    pub(crate) slot_ranges: wgpu::Buffer,
    pub(crate) tile_ranges: wgpu::Buffer,
    pub(crate) frame: wgpu::Buffer,
    pub(crate) pixel_ends: wgpu::Buffer,
    pub(crate) depth: wgpu::Buffer,
    depth_sort: Sort,
    touched_scan: Scan,
    tile_sort: Sort,
    /// Uniform of the view's lens (3DGUT).
    pub(crate) lens: wgpu::Buffer,
    /// The lens's rays, copied from its table; empty if every camera is a pinhole.
    pub(crate) rays: wgpu::Buffer,
    bind_views: Vec<(Optics, ViewBindings)>,
    bind_isect_total: wgpu::BindGroup,
    /// Indexed by the buffer that the sorted intersections end in.
    bind_tile_ranges: [wgpu::BindGroup; 2],
}

#[derive(Debug)]
struct ViewBindings {
    project: wgpu::BindGroup,
    tile_count: wgpu::BindGroup,
    tile_emit: wgpu::BindGroup,
    /// Indexed by the buffer that the sorted intersections end in.
    rasterize: [wgpu::BindGroup; 2],
}

impl ForwardPass {
    /// Frees the buffers that grow with the number of intersections. The pass cannot be recorded afterwards; no work that
    /// uses it may be in flight.
    pub(crate) fn release(&self) {
        self.isects.keys.iter().chain(&self.isects.values).for_each(wgpu::Buffer::destroy);
        self.isect_gaussians.destroy();
        self.splats.destroy();
    }

    pub(crate) fn new(
        gpu: &Gpu,
        kernels: &ForwardKernels,
        gaussians: &GaussianBuffers,
        capacity: Capacity,
        cameras: &[Optics],
    ) -> Result<Self> {
        let Switches { renderer, depth: with_depth, .. } = kernels.switches;
        let n = u64::from(gaussians.count);
        let isect_bytes = u64::from(capacity.isects) * 4;
        let pixels = u64::from(capacity.pixels);
        let pair = |label| -> Result<[wgpu::Buffer; 2]> {
            Ok([gpu.storage(label, n * 4)?, gpu.storage(label, n * 4)?])
        };
        let isect_pair = |label| -> Result<[wgpu::Buffer; 2]> {
            Ok([gpu.storage(label, isect_bytes)?, gpu.storage(label, isect_bytes)?])
        };
        let view = gpu.uniform::<ViewUniform>("splat.view");
        let counters = gpu.buffer(
            "splat.counters",
            size_of::<Counters>() as u64,
            wgpu::BufferUsages::STORAGE
                | wgpu::BufferUsages::INDIRECT
                | wgpu::BufferUsages::COPY_DST
                | wgpu::BufferUsages::COPY_SRC,
        );
        let splats = gpu.storage("splat.splats", n * splat_bytes(renderer))?;
        let by_depth = SortBuffers { keys: pair("splat.depth_keys")?, values: pair("splat.depth_order")? };
        let touched = gpu.storage("splat.tiles_touched", n * 4)?;
        let isect_offsets = gpu.storage("splat.isect_offsets", n * 4)?;
        let slot_ranges = gpu.storage("splat.slot_ranges", n * 8)?;
        let isects =
            SortBuffers { keys: isect_pair("splat.isect_tiles")?, values: isect_pair("splat.isect_ids")? };
        let isect_gaussians = gpu.storage("splat.isect_gaussians", isect_bytes)?;
        let tile_ranges = gpu.storage("splat.tile_ranges", (u64::from(capacity.tiles) + 1) * 8)?;
        let frame = gpu.storage("splat.frame", pixels * 16)?;
        let pixel_ends = gpu.storage("splat.pixel_ends", pixels * 8)?;
        let depth = gpu.storage("splat.expected_depth", if with_depth { pixels * 4 } else { 0 })?;
        let scratch = SortScratch::new(gpu, gaussians.count.max(capacity.isects))?;

        let over = Over::Gaussians(gaussians.count);
        let depth_sort = Sort::new(gpu, &kernels.sort, over, &counters, &by_depth, &scratch, u32::BITS);
        let tile_bits = u32::BITS - capacity.tiles.leading_zeros();
        let tile_sort = Sort::new(gpu, &kernels.sort, Over::Isects, &counters, &isects, &scratch, tile_bits);
        let touched_scan =
            Scan::new(gpu, &kernels.sort, gaussians.count, &counters, [&touched, &isect_offsets], &scratch);

        // An even number of passes over 32-bit depths: the result is in the first buffer.
        let [keys, order] = [&by_depth.keys[0], &by_depth.values[0]];
        let [r, g, b] = &gaussians.sh;
        let bind_isect_total = kernels.isect_total.bind(gpu, &[&view, &touched, &isect_offsets, &counters]);
        let bind_tile_ranges =
            [0, 1].map(|i| kernels.tile_ranges.bind(gpu, &[&counters, &isects.keys[i], &tile_ranges]));
        let lens = gpu.uniform::<LensUniform>("splat.lens");
        let tables = cameras.iter().any(|camera| camera.has_ray_table());
        let line_bytes = u64::from(capacity.lines) * LINE_BYTES;
        let rays = gpu.storage("splat.rays", if tables { pixels * RAY_BYTES + line_bytes } else { 0 })?;
        let bind_views = cameras.iter().map(|&camera| {
            let kernels = kernels.view(camera);
            let mut project = vec![&view, &gaussians.geometry, r, g, b, &splats, keys, order];
            project.extend((renderer == RendererKind::Gut).then_some(&lens));
            project.extend(camera.rolling.then_some(&rays));
            let rasterize = [0, 1].map(|i| {
                let ids = &isects.values[i];
                let mut buffers =
                    vec![&view, &tile_ranges, ids, &isect_gaussians, &splats, &frame, &pixel_ends, &depth];
                buffers.extend(camera.has_ray_table().then_some(&rays));
                kernels.rasterize.bind(gpu, &buffers)
            });
            let tile_count = kernels.tile_count.bind(gpu, &[&view, &splats, keys, order, &touched]);
            let [tiles, ids] = [&isects.keys[0], &isects.values[0]];
            let emitted = [tiles, ids, &isect_gaussians, &slot_ranges];
            let mut emit = vec![&view, &splats, order, &touched, &isect_offsets];
            emit.extend(emitted);
            let tile_emit = kernels.tile_emit.bind(gpu, &emit);
            (
                camera,
                ViewBindings {
                    project: kernels.project.bind(gpu, &project),
                    tile_count,
                    tile_emit,
                    rasterize,
                },
            )
        });
        let bind_views = bind_views.collect();
        let pass = Self {
            capacity,
            count: gaussians.count,
            view,
            counters,
            splats,
            isects,
            isect_gaussians,
            slot_ranges,
            tile_ranges,
            frame,
            pixel_ends,
            depth,
            depth_sort,
            touched_scan,
            tile_sort,
            lens,
            rays,
            bind_views,
            bind_isect_total,
            bind_tile_ranges,
        };
        pass.reset_counters(gpu);
        gpu.check()?;
        Ok(pass)
    }

    /// The optics that the pass was allocated for.
    pub(crate) fn cameras(&self) -> impl Iterator<Item = Optics> + '_ {
        self.bind_views.iter().map(|(camera, _)| *camera)
    }

    /// Sets the view that is recorded next; `view` is the one of `inputs` with its counts.
    pub(crate) fn set_view(&self, gpu: &Gpu, view: &ViewUniform, inputs: &ViewInputs) {
        gpu.queue().write_buffer(&self.view, 0, bytemuck::bytes_of(view));
        gpu.queue().write_buffer(&self.lens, 0, bytemuck::bytes_of(&inputs.lens));
        if !inputs.lines.is_empty() {
            let behind_rays = u64::from(view.pixel_count()) * RAY_BYTES;
            gpu.queue().write_buffer(&self.rays, behind_rays, bytemuck::cast_slice(&inputs.lines));
        }
    }

    /// Records the copy of a lens's ray table into the pass's buffer.
    pub(crate) fn record_rays(&self, encoder: &mut wgpu::CommandEncoder, table: Option<&wgpu::Buffer>) {
        if let Some(table) = table {
            encoder.copy_buffer_to_buffer(table, 0, &self.rays, 0, table.size().min(self.rays.size()));
        }
    }

    /// Clears the overflow flag and sets the number of Gaussians.
    pub(crate) fn reset_counters(&self, gpu: &Gpu) {
        let counters = Counters { gaussians: self.count, ..Counters::default() };
        gpu.queue().write_buffer(&self.counters, 0, bytemuck::bytes_of(&counters));
    }

    /// The buffer that a view's sorted intersections end in.
    pub(crate) fn sorted(view: &ViewUniform) -> usize {
        Sort::pass_count(tile_bits(view)) % 2
    }

    /// Clears what must be zero before a view is recorded.
    pub(crate) fn record_clear(&self, encoder: &mut wgpu::CommandEncoder) {
        encoder.clear_buffer(&self.tile_ranges, 0, None);
    }

    /// Records the forward pass of a view whose uniforms are, or will be by submission, in `self.view` and `self.lens`.
    /// `camera` must be one that the pass was allocated for.
    pub(crate) fn record(
        &self,
        kernels: &ForwardKernels,
        pass: &mut Pass<'_>,
        view: &ViewUniform,
        camera: Optics,
    ) {
        let Some((_, bind)) = self.bind_views.iter().find(|(of, _)| *of == camera) else {
            debug_assert!(false, "the pass was not made for {camera:?}");
            return;
        };
        let view_kernels = kernels.view(camera);
        let n = self.count;
        let sorted = Self::sorted(view);
        if n > 0 {
            view_kernels.project.dispatch_items(pass, &bind.project, n);
            self.depth_sort.record(&kernels.sort, pass, &self.counters, Sort::pass_count(u32::BITS));
            view_kernels.tile_count.dispatch_items(pass, &bind.tile_count, n);
            self.touched_scan.record(&kernels.sort, pass);
            kernels.isect_total.dispatch(pass, &self.bind_isect_total, 1);
            view_kernels.tile_emit.dispatch_items(pass, &bind.tile_emit, n);
            let passes = Sort::pass_count(tile_bits(view));
            self.tile_sort.record(&kernels.sort, pass, &self.counters, passes);
            let ranges = &self.bind_tile_ranges[sorted];
            kernels.tile_ranges.dispatch_indirect(pass, ranges, &self.counters, ISECT_GROUPS_OFFSET);
        }
        view_kernels.rasterize.dispatch(pass, &bind.rasterize[sorted], view.tile_count());
    }
}

/// Bits of a tile index, including that of the tile past the last.
fn tile_bits(view: &ViewUniform) -> u32 {
    u32::BITS - view.tile_count().leading_zeros()
}
