//! Sizes of a pass's buffers: pixels, intersections, depth slices.

use super::chunks::Chunks;
use super::rays::RAY_BYTES;
use super::sort::SortScratch;
use crate::gpu::Gpu;
use crate::gpu::layout::splat_bytes;
use crate::gpu::shaders::Switches;

/// Capacity for intersections of the first frame's buffers.
pub(super) const FIRST_ISECTS: u32 = 1 << 16;

/// Sizes that a [`ForwardPass`](super::forward::ForwardPass) is allocated for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Capacity {
    /// Pixels of the largest image.
    pub(crate) pixels: u32,
    /// Tiles of the largest image.
    pub(crate) tiles: u32,
    /// Intersections of one depth slice.
    pub(crate) isects: u32,
    /// Depth slices, one behind the other; see [`Capacity::with_room`].
    pub(crate) slices: u32,
    /// How many of them may be limited by intersections; the others end earlier, when they have as many Gaussians as a chunk.
    pub(crate) full: u32,
    /// Lines of the largest image with a rolling shutter; 0 without one.
    pub(crate) lines: u32,
}

impl Capacity {
    /// For images up to this size, without capacity for intersections; `lines` as [`Capacity::lines`].
    pub(crate) fn without_room(pixels: u32, tiles: u32, lines: u32) -> Self {
        Self { pixels, tiles, isects: 0, slices: 1, full: 1, lines }
    }

    /// The same with capacity for `isects` intersections of Gaussians in these chunks. If they exceed `most`, the limit of one
    /// depth slice's buffers, or the Gaussians exceed one chunk, the Gaussians are divided, near to far, into slices that are
    /// listed, sorted and blended one after the other.
    pub(crate) fn with_room(self, isects: u32, most: u32, chunks: Chunks) -> Self {
        // A Gaussian belongs to a single slice, so each slice may have almost as many unused intersections as there are tiles.
        let most = most.max(self.tiles.saturating_mul(2)).max(2);
        // A slice ends when it is full of intersections, or has as many Gaussians as a chunk.
        let full_chunks = chunks.len() - 1;
        if isects <= most && full_chunks == 0 {
            return Self { isects, slices: 1, ..self };
        }
        let full = isects.div_ceil(most - self.tiles).max(1);
        let (isects, slices) = (isects.div_ceil(full) + self.tiles, full + full_chunks);
        Self { isects, slices, full, ..self }
    }

    /// Number of intersections that are certain to fit.
    pub(crate) fn room(&self) -> u32 {
        match self.slices {
            1 => self.isects,
            _ => (self.isects - self.tiles.min(self.isects)).saturating_mul(self.full),
        }
    }

    /// Bits of a tile index, including that of the tile past the last.
    pub(crate) fn tile_bits(&self) -> u32 {
        u32::BITS - self.tiles.leading_zeros()
    }

    /// Whether these sizes are sufficient for `other`.
    pub(crate) fn holds(&self, other: &Self) -> bool {
        self.pixels >= other.pixels
            && self.tiles >= other.tiles
            && self.room() >= other.room()
            && self.lines >= other.lines
    }

    /// Size in bytes of a forward pass for `gaussians` Gaussians.
    ///
    /// Includes a ray table if the camera of `switches` has one.
    pub(crate) fn forward_bytes(&self, gaussians: u64, switches: Switches) -> u64 {
        let (pixels, isects) = (u64::from(self.pixels), u64::from(self.isects));
        let slices = u64::from(self.slices);
        let per_gaussian = splat_bytes(switches.renderer) + 4 * 4 + 4 + 4 + 8;
        let rays = if switches.has_ray_table() { RAY_BYTES } else { 0 };
        let per_pixel = 16 + 8 * slices + if switches.depth { 4 } else { 0 } + rays;
        // Splats of one slice: at most as many as a chunk has.
        let slice_splats = match u64::from(self.slices - self.full) {
            0 => 0,
            full_chunks => gaussians.div_ceil(full_chunks) * splat_bytes(switches.renderer),
        };
        gaussians * per_gaussian
            + slice_splats
            + isects * (8 + 12 * slices)
            + pixels * per_pixel
            + slices * (u64::from(self.tiles) + 1) * 8
            + SortScratch::bytes(gaussians.max(isects))
    }
}

/// Maximum intersections of one depth slice: their gradient sums must fit in a binding of this device.
pub(crate) fn isects_per_slice(gpu: &Gpu, switches: Switches) -> u32 {
    let bytes = gpu.report().max_binding_bytes.min(gpu.report().max_buffer_bytes);
    u32::try_from(bytes / (4 * switches.slot_floats())).unwrap_or(u32::MAX)
}

/// Capacity for `needed` intersections plus a margin, so that the next view rarely needs larger buffers.
pub(crate) fn grown(needed: u32) -> u32 {
    with_margin(needed).max(FIRST_ISECTS)
}

/// As [`grown`], without its minimum.
pub(crate) fn with_margin(needed: u32) -> u32 {
    needed.saturating_add(needed / 4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// Number of slices for Gaussians with these numbers of tiles, divided as in `isect_total.wgsl`.
    fn slices_of(touched: &[u32], isects: u32, most_gaussians: u32) -> u32 {
        let (mut slices, mut gaussians, mut sum) = (1, 0, 0);
        for tiles in touched {
            if gaussians == most_gaussians || sum + tiles > isects {
                (slices, gaussians, sum) = (slices + 1, 0, 0);
            }
            gaussians += 1;
            sum += tiles;
        }
        slices
    }

    #[test]
    fn slices_hold_what_they_were_made_for() {
        const GAUSSIANS_PER_CHUNK: u64 = 1000 / 64 * 64;
        let mut random = Random::new(3, 0, 0);
        for round in 0..300 {
            let mut up_to = |most: u32| (random.uniform() * f64::from(most)) as u32;
            let (tiles, most, count) = (1 + up_to(40), 50 + up_to(1000), 1 + up_to(4000));
            let touched: Vec<u32> = (0..count).map(|_| up_to(tiles + 1).min(tiles)).collect();
            let isects: u32 = touched.iter().sum();
            let chunks = Chunks::within(64_000, count, 64);
            let none = Capacity::without_room(100, tiles, 0);
            let capacity = none.with_room(isects, most, chunks);
            let what = format!("round {round}: {isects} of {count} Gaussians, {capacity:?}");
            assert!(capacity.room() >= isects && capacity.isects <= most.max(2 * tiles), "{what}");
            assert_eq!(capacity.slices == 1, isects <= most.max(2 * tiles) && count <= 1000, "{what}");
            let needed = slices_of(&touched, capacity.isects, chunks.each());
            assert!(needed <= capacity.slices, "{what}: {needed} slices");
            assert!(capacity.holds(&none) && !none.holds(&Capacity { pixels: 101, ..none }), "{what}");
            if count > 1000 {
                assert_eq!(u64::from(chunks.each()), GAUSSIANS_PER_CHUNK);
            }
        }
    }
}
