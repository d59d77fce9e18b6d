//! Division of the Gaussians into chunks, if the records of all of them exceed a binding.
//!
//! Kernels that process each Gaussian independently are dispatched once per chunk, with every buffer bound to the chunk's
//! records.

use super::{GaussianBuffers, RendererKind};
use crate::gpu::Gpu;
use crate::gpu::kernel::Part;
use crate::gpu::layout::{ChunkUniform, GEOMETRY_BYTES, splat_bytes};

/// Chunks begin at multiples of this many Gaussians: for any record size (a multiple of 4 bytes), the offset of a binding is then
/// a multiple of 256 bytes, as WebGPU requires.
const GRANULE: u32 = 64;

/// A range of consecutive Gaussians whose records fit one binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// Id of the first Gaussian.
    pub(crate) first: u32,
    pub(crate) count: u32,
}

impl Chunk {
    /// The chunk's part of a buffer with `bytes` bytes per Gaussian. The buffer may be larger: see [`GaussianBuffers::room`].
    pub(crate) fn part(self, buffer: &wgpu::Buffer, bytes: u64) -> Part<'_> {
        Part::of(buffer, u64::from(self.first) * bytes, u64::from(self.count) * bytes)
    }

    /// The chunk's uniform.
    pub(crate) fn uniform(self) -> ChunkUniform {
        ChunkUniform { first: self.first, count: self.count }
    }
}

/// All chunks of a number of Gaussians: at least one, all but the last of the same size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chunks {
    count: u32,
    each: u32,
}

impl Chunks {
    /// For `count` Gaussians with records of at most `bytes` bytes.
    pub(crate) fn new(gpu: &Gpu, count: u32, bytes: u64) -> Self {
        let limit = gpu.report().max_binding_bytes.min(gpu.report().max_buffer_bytes);
        Self::within(limit, count, bytes)
    }

    /// As [`Chunks::new`], for bindings of at most `limit` bytes.
    pub(crate) fn within(limit: u64, count: u32, bytes: u64) -> Self {
        let fit = u32::try_from(limit / bytes.max(1)).unwrap_or(u32::MAX);
        if count <= fit {
            return Self { count, each: count.max(1) };
        }
        Self { count, each: (fit / GRANULE * GRANULE).max(GRANULE) }
    }

    /// For these Gaussians' parameters, gradients and splats.
    pub(crate) fn of(gpu: &Gpu, gaussians: &GaussianBuffers, renderer: RendererKind) -> Self {
        let sh_bytes = 4 * u64::from(gaussians.sh_stride());
        Self::new(gpu, gaussians.count, GEOMETRY_BYTES.max(sh_bytes).max(splat_bytes(renderer)))
    }

    /// Gaussians per chunk; the last one may have fewer.
    pub(crate) fn each(self) -> u32 {
        self.each
    }

    /// Number of chunks.
    pub(crate) fn len(self) -> u32 {
        self.count.div_ceil(self.each).max(1)
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Chunk> {
        (0..self.len()).map(move |at| {
            let first = at * self.each;
            Chunk { first, count: self.each.min(self.count - first) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_all_and_fit() {
        for (limit, count, bytes) in
            [(1 << 20, 0, 48), (1 << 20, 100, 48), (1 << 14, 1000, 48), (48 * 128, 128, 48), (1, 200, 64)]
        {
            let chunks = Chunks::within(limit, count, bytes);
            let mut next = 0;
            for chunk in chunks.iter() {
                assert_eq!(chunk.first, next, "{chunks:?}");
                assert_eq!(u64::from(chunk.first) * bytes % 256, 0, "{chunks:?}");
                // No chunk but the last has fewer than the granule, even if that exceeds the limit.
                assert!(u64::from(chunk.count) * bytes <= limit.max(64 * bytes), "{chunks:?}");
                next += chunk.count;
            }
            assert_eq!(next, count);
        }
    }
}
