//! The forward pass: project, sort by depth, list tiles, sort by tile, blend.

mod depth_slice;
mod kernels;

use super::capacity::Capacity;
use super::chunks::{Chunk, Chunks};
use super::rays::{LINE_BYTES, RAY_BYTES};
use super::sort::{Over, Scan, Sort, SortBuffers, SortScratch};
use super::{GaussianBuffers, ViewInputs};
use crate::Result;
use crate::gpu::Gpu;
use crate::gpu::kernel::{Kernel, Part};
use crate::gpu::layout::{
    COUNTERS_STRIDE, ChunkUniform, Counters, GEOMETRY_BYTES, LensUniform, SLICE_FARTHEST, SLICE_NEAREST,
    SPLATS_BY_RANK, ViewUniform, splat_bytes,
};
use crate::gpu::profile::Pass;
use crate::gpu::shaders::{Optics, Switches};
use crate::render::RendererKind;
pub(crate) use depth_slice::DepthSlice;
pub(crate) use kernels::ForwardKernels;

/// Buffers and bindings of a forward pass over one set of Gaussians.
#[derive(Debug)]
pub(crate) struct ForwardPass {
    pub(crate) capacity: Capacity,
    pub(crate) count: u32,
    pub(crate) view: wgpu::Buffer,
    /// One [`Counters`] per depth slice, [`COUNTERS_STRIDE`] bytes apart.
    pub(crate) counters: wgpu::Buffer,
    pub(crate) splats: wgpu::Buffer,
    /// The splats of one depth slice, if there are several chunks.
    slice_splats: Option<wgpu::Buffer>,
    /// The chunks of the Gaussians, each with its uniform.
    pub(crate) chunks: Vec<(Chunk, wgpu::Buffer)>,
    pub(crate) slot_ranges: wgpu::Buffer,
    pub(crate) frame: wgpu::Buffer,
    pub(crate) depth: wgpu::Buffer,
    /// From near to far.
    pub(crate) slices: Vec<DepthSlice>,
    depth_sort: Sort,
    touched_scan: Scan,
    /// Uniform of the view's lens (3DGUT).
    pub(crate) lens: wgpu::Buffer,
    /// The lens's rays, copied from its table; empty if every camera is a pinhole.
    pub(crate) rays: wgpu::Buffer,
    bind_views: Vec<(Optics, ViewBindings)>,
    bind_isect_total: wgpu::BindGroup,
}

#[derive(Debug)]
struct ViewBindings {
    /// Bindings for each chunk of Gaussians.
    project: Vec<wgpu::BindGroup>,
    /// Bindings for each chunk of Gaussians.
    tile_count: Vec<wgpu::BindGroup>,
    /// By depth slice.
    slices: Vec<SliceBindings>,
}

#[derive(Debug)]
struct SliceBindings {
    tile_emit: wgpu::BindGroup,
    /// Indexed by the buffer that the sorted intersections end in.
    rasterize: [wgpu::BindGroup; 2],
}

impl ForwardPass {
    pub(crate) fn new(
        gpu: &Gpu,
        kernels: &ForwardKernels,
        gaussians: &GaussianBuffers,
        capacity: Capacity,
        cameras: &[Optics],
    ) -> Result<Self> {
        let Switches { renderer, depth: with_depth, .. } = kernels.switches;
        // Of the same size until the Gaussians need more room, so that these buffers can be used again.
        let n = u64::from(gaussians.room);
        let pixels = u64::from(capacity.pixels);
        let pair = |label| -> Result<[wgpu::Buffer; 2]> {
            Ok([gpu.storage(label, n * 4)?, gpu.storage(label, n * 4)?])
        };
        let view = gpu.uniform::<ViewUniform>("splat.view");
        let counters = gpu.buffer(
            "splat.counters",
            u64::from(capacity.slices) * COUNTERS_STRIDE,
            wgpu::BufferUsages::STORAGE
                | wgpu::BufferUsages::UNIFORM
                | wgpu::BufferUsages::INDIRECT
                | wgpu::BufferUsages::COPY_DST
                | wgpu::BufferUsages::COPY_SRC,
        );
        let splat_bytes = splat_bytes(renderer);
        let splats = gpu.storage_in_parts("splat.splats", n * splat_bytes)?;
        let all_chunks = Chunks::of(gpu, gaussians, renderer);
        let chunk_uniform = |chunk: Chunk| {
            let uniform = gpu.uniform::<ChunkUniform>("splat.chunk");
            gpu.queue().write_buffer(&uniform, 0, bytemuck::bytes_of(&chunk.uniform()));
            (chunk, uniform)
        };
        Kernel::compile_all(&kernels.used(cameras, capacity, all_chunks.len() > 1));
        let chunks: Vec<_> = all_chunks.iter().map(chunk_uniform).collect();
        let slice_splats = (chunks.len() > 1)
            .then(|| gpu.storage("splat.slice_splats", u64::from(all_chunks.each()) * splat_bytes))
            .transpose()?;
        let by_depth = SortBuffers { keys: pair("splat.depth_keys")?, values: pair("splat.depth_order")? };
        let touched = gpu.storage("splat.tiles_touched", n * 4)?;
        let isect_offsets = gpu.storage("splat.isect_offsets", n * 4)?;
        let slot_ranges = gpu.storage("splat.slot_ranges", n * 8)?;
        let frame = gpu.storage("splat.frame", pixels * 16)?;
        let depth = gpu.storage("splat.expected_depth", if with_depth { pixels * 4 } else { 0 })?;
        let scratch = SortScratch::new(gpu, gaussians.room.max(capacity.isects))?;

        let over = Over::Gaussians(gaussians.count);
        let whole = counters_of(&counters, 0);
        let depth_sort = Sort::new(gpu, &kernels.sort, over, whole, &by_depth, &scratch, u32::BITS);
        let touched_scan =
            Scan::new(gpu, &kernels.sort, gaussians.count, whole, [&touched, &isect_offsets], &scratch);
        let isect_bytes = u64::from(capacity.isects) * 4;
        let isect_tiles =
            [gpu.storage("splat.isect_tiles", isect_bytes)?, gpu.storage("splat.isect_tiles", isect_bytes)?];
        let mut slices = (0..capacity.slices)
            .map(|slice| {
                let counters = counters_of(&counters, slice as usize);
                DepthSlice::new(gpu, kernels, capacity, counters, &isect_tiles, &scratch)
            })
            .collect::<Result<Vec<_>>>()?;
        if let Some(slice_splats) = &slice_splats {
            for (at, slice) in slices.iter_mut().enumerate() {
                let bind_chunk = |(chunk, uniform): &(Chunk, wgpu::Buffer)| {
                    let order = &by_depth.values[0];
                    let splats = chunk.part(&splats, splat_bytes);
                    let parts = [
                        counters_of(&counters, at),
                        uniform.into(),
                        order.into(),
                        splats,
                        slice_splats.into(),
                    ];
                    kernels.slice_splats.bind(gpu, &parts)
                };
                slice.gather_from(chunks.iter().map(bind_chunk).collect());
            }
        }

        // 32-bit depths take an even number of passes, so the result is in the first buffer.
        let [keys, order] = [&by_depth.keys[0], &by_depth.values[0]];
        let bind_isect_total =
            kernels.isect_total.bind(gpu, &[&view, &touched, &isect_offsets, &counters, &chunks[0].1]);
        let lens = gpu.uniform::<LensUniform>("splat.lens");
        let tables = cameras.iter().any(|camera| camera.has_ray_table());
        let line_bytes = u64::from(capacity.lines) * LINE_BYTES;
        let rays = gpu.storage("splat.rays", if tables { pixels * RAY_BYTES + line_bytes } else { 0 })?;
        let sliced = capacity.slices > 1;
        let listed = slice_splats.as_ref().unwrap_or(&splats);
        let sh_bytes = 4 * u64::from(gaussians.sh_stride());
        let bind_views = cameras.iter().map(|&camera| {
            let view_kernels = kernels.view(camera);
            let bind_project = |(chunk, uniform): &(Chunk, wgpu::Buffer)| {
                let geometry = chunk.part(&gaussians.geometry, GEOMETRY_BYTES);
                let [r, g, b] = gaussians.sh.each_ref().map(|channel| chunk.part(channel, sh_bytes));
                let splats = chunk.part(&splats, splat_bytes);
                let [keys, order] = [keys, order].map(|words| chunk.part(words, 4));
                let mut parts = vec![(&view).into(), geometry, r, g, b, splats, keys, order];
                parts.extend((renderer == RendererKind::Gut).then_some(Part::from(&lens)));
                parts.push(uniform.into());
                parts.extend(camera.rolling.then_some(Part::from(&rays)));
                view_kernels.project.bind(gpu, &parts)
            };
            let bind_count = |(chunk, uniform): &(Chunk, wgpu::Buffer)| {
                let splats = chunk.part(&splats, splat_bytes);
                let parts =
                    [(&view).into(), splats, keys.into(), order.into(), (&touched).into(), uniform.into()];
                view_kernels.tile_count.bind(gpu, &parts)
            };
            let bind_slice = |(at, slice): (usize, &DepthSlice)| {
                let DepthSlice { ids, splats, tile_ranges, pixel_ends, .. } = slice;
                let counters = counters_of(&counters, at);
                let rasterize = ids.each_ref().map(|ids| {
                    let buffers = [&view, tile_ranges, ids, splats, listed, &frame, pixel_ends, &depth];
                    let mut parts: Vec<Part<'_>> = buffers.map(Part::from).into();
                    parts.extend(sliced.then_some(counters));
                    parts.extend(camera.has_ray_table().then_some(Part::from(&rays)));
                    kernels.rasterize(camera, sliced).bind(gpu, &parts)
                });
                let given = [&view, listed, order, &touched, &isect_offsets];
                let emitted = [&isect_tiles[0], &ids[0], splats, &slot_ranges];
                let mut emit: Vec<Part<'_>> = given.into_iter().chain(emitted).map(Part::from).collect();
                emit.push(counters);
                SliceBindings { tile_emit: view_kernels.tile_emit.bind(gpu, &emit), rasterize }
            };
            let bindings = ViewBindings {
                project: chunks.iter().map(bind_project).collect(),
                tile_count: chunks.iter().map(bind_count).collect(),
                slices: slices.iter().enumerate().map(bind_slice).collect(),
            };
            (camera, bindings)
        });
        let bind_views = bind_views.collect();
        let pass = Self {
            capacity,
            count: gaussians.count,
            view,
            counters,
            splats,
            slice_splats,
            chunks,
            slot_ranges,
            frame,
            depth,
            slices,
            depth_sort,
            touched_scan,
            lens,
            rays,
            bind_views,
            bind_isect_total,
        };
        pass.reset_counters(gpu);
        gpu.check()?;
        Ok(pass)
    }

    /// The optics that the pass was allocated for.
    pub(crate) fn cameras(&self) -> impl Iterator<Item = Optics> + '_ {
        self.bind_views.iter().map(|(camera, _)| *camera)
    }

    /// Sets the next view to record; `view` is that of `inputs` with its counts.
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

    /// Clears the overflow flag, and sets the number of Gaussians and the flags of each depth slice.
    fn reset_counters(&self, gpu: &Gpu) {
        let last = self.slices.len() - 1;
        for at in 0..=last {
            let bit = |holds: bool, bit: u32| if holds { bit } else { 0 };
            let place = bit(at == 0, SLICE_NEAREST)
                | bit(at == last, SLICE_FARTHEST)
                | bit(self.slice_splats.is_some(), SPLATS_BY_RANK);
            let counters = Counters { gaussians: self.count, place, ..Counters::default() };
            gpu.queue().write_buffer(
                &self.counters,
                at as u64 * COUNTERS_STRIDE,
                bytemuck::bytes_of(&counters),
            );
        }
    }

    /// A depth slice's counters.
    pub(crate) fn counters_of(&self, slice: usize) -> Part<'_> {
        counters_of(&self.counters, slice)
    }

    /// The splats that the tile lists refer to: all of them, or those of the current depth slice.
    pub(crate) fn listed_splats(&self) -> &wgpu::Buffer {
        self.slice_splats.as_ref().unwrap_or(&self.splats)
    }

    /// Makes a depth slice the current one: copies its splats, if there are several chunks.
    pub(crate) fn record_slice(&self, kernels: &ForwardKernels, pass: &mut Pass<'_>, slice: usize) {
        let (chunk, _) = &self.chunks[0];
        // No slice has more Gaussians than the first chunk.
        self.slices[slice].record_gather(kernels, pass, chunk.count);
    }

    /// Whether the Gaussians are blended in several depth slices.
    pub(crate) fn is_sliced(&self) -> bool {
        self.slices.len() > 1
    }

    /// The buffer that a view's sorted intersections end in.
    pub(crate) fn sorted(view: &ViewUniform) -> usize {
        Sort::pass_count(tile_bits(view)) % 2
    }

    /// Clears what must be zero before a view is recorded.
    pub(crate) fn record_clear(&self, encoder: &mut wgpu::CommandEncoder) {
        for slice in &self.slices {
            encoder.clear_buffer(&slice.tile_ranges, 0, None);
        }
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
            for ((chunk, _), bind) in self.chunks.iter().zip(&bind.project) {
                view_kernels.project.dispatch_items(pass, bind, chunk.count);
            }
            let whole = self.counters_of(0);
            self.depth_sort.record(&kernels.sort, pass, whole, Sort::pass_count(u32::BITS));
            for bind in &bind.tile_count {
                view_kernels.tile_count.dispatch_items(pass, bind, n);
            }
            self.touched_scan.record(&kernels.sort, pass);
            kernels.isect_total.dispatch(pass, &self.bind_isect_total, 1);
        }
        let rasterize = kernels.rasterize(camera, self.is_sliced());
        for (at, (slice, bind)) in self.slices.iter().zip(&bind.slices).enumerate() {
            if n > 0 {
                let counters = self.counters_of(at);
                self.record_slice(kernels, pass, at);
                view_kernels.tile_emit.dispatch_items(pass, &bind.tile_emit, n);
                slice.record_sort(kernels, pass, counters, tile_bits(view));
            }
            rasterize.dispatch(pass, &bind.rasterize[sorted], view.tile_count());
        }
    }
}

/// A depth slice's part of the buffer of all counters.
fn counters_of(counters: &wgpu::Buffer, slice: usize) -> Part<'_> {
    Part::of(counters, slice as u64 * COUNTERS_STRIDE, size_of::<Counters>() as u64)
}

/// Bits of a tile index, including that of the tile past the last.
fn tile_bits(view: &ViewUniform) -> u32 {
    u32::BITS - view.tile_count().leading_zeros()
}
