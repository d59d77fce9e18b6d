//! One depth slice: the intersection lists of Gaussians that are blended together.

use std::mem::offset_of;

use super::kernels::ForwardKernels;
use crate::Result;
use crate::gpu::Gpu;
use crate::gpu::kernel::Part;
use crate::gpu::layout::Counters;
use crate::gpu::profile::Pass;
use crate::render::capacity::Capacity;
use crate::render::sort::{Over, Sort, SortBuffers, SortScratch};

/// Offset in `Counters` of the indirect dispatch over intersections.
const ISECT_GROUPS_OFFSET: u64 = offset_of!(Counters, isect_groups) as u64;

/// Buffers of the Gaussians that are blended together (all of them, or one depth slice), as needed by the backward pass.
#[derive(Debug)]
pub(crate) struct DepthSlice {
    /// Emission indices; [`ForwardPass::sorted`](super::ForwardPass::sorted) tells which of the two buffers contains the sorted
    /// ones.
    pub(crate) ids: [wgpu::Buffer; 2],
    /// By emission index: index of the splat in [`ForwardPass::listed_splats`](super::ForwardPass::listed_splats).
    pub(crate) splats: wgpu::Buffer,
    pub(crate) tile_ranges: wgpu::Buffer,
    pub(crate) pixel_ends: wgpu::Buffer,
    tile_sort: Sort,
    /// Indexed by the buffer that the sorted intersections end in.
    bind_tile_ranges: [wgpu::BindGroup; 2],
    /// By chunk, if there are several.
    bind_splats: Vec<wgpu::BindGroup>,
}

impl DepthSlice {
    pub(super) fn new(
        gpu: &Gpu,
        kernels: &ForwardKernels,
        capacity: Capacity,
        counters: Part<'_>,
        tiles: &[wgpu::Buffer; 2],
        scratch: &SortScratch,
    ) -> Result<Self> {
        let bytes = u64::from(capacity.isects) * 4;
        let buffers = SortBuffers {
            keys: tiles.clone(),
            values: [gpu.storage("splat.isect_ids", bytes)?, gpu.storage("splat.isect_ids", bytes)?],
        };
        let tile_ranges = gpu.storage("splat.tile_ranges", (u64::from(capacity.tiles) + 1) * 8)?;
        let bits = capacity.tile_bits();
        let tile_sort = Sort::new(gpu, &kernels.sort, Over::Isects, counters, &buffers, scratch, bits);
        let bind_tile_ranges = tiles
            .each_ref()
            .map(|tiles| kernels.tile_ranges.bind(gpu, &[counters, tiles.into(), (&tile_ranges).into()]));
        Ok(Self {
            ids: buffers.values,
            splats: gpu.storage("splat.isect_splats", bytes)?,
            tile_ranges,
            pixel_ends: gpu.storage("splat.pixel_ends", u64::from(capacity.pixels) * 8)?,
            tile_sort,
            bind_tile_ranges,
            bind_splats: Vec::new(),
        })
    }

    /// Sets where the slice's splats are gathered from: one binding per chunk of Gaussians.
    pub(super) fn gather_from(&mut self, chunks: Vec<wgpu::BindGroup>) {
        self.bind_splats = chunks;
    }

    /// Records the gathering of the slice's splats; does nothing if there is only one chunk. No slice has more than `most`
    /// Gaussians.
    pub(super) fn record_gather(&self, kernels: &ForwardKernels, pass: &mut Pass<'_>, most: u32) {
        for bind in &self.bind_splats {
            kernels.slice_splats.dispatch_items(pass, bind, most);
        }
    }

    /// Records the sort of the emitted intersections by `bits` bits of their tile, and the range of each tile.
    pub(super) fn record_sort(
        &self,
        kernels: &ForwardKernels,
        pass: &mut Pass<'_>,
        counters: Part<'_>,
        bits: u32,
    ) {
        let passes = Sort::pass_count(bits);
        self.tile_sort.record(&kernels.sort, pass, counters, passes);
        let ranges = &self.bind_tile_ranges[passes % 2];
        kernels.tile_ranges.dispatch_indirect(pass, ranges, counters, ISECT_GROUPS_OFFSET);
    }
}
