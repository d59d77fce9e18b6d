// isect_total: the number of intersections, the depth slices that divide them, and each slice's indirect dispatch sizes.
//
// Threads   one
// Reads     tiles_touched [N], isect_offsets [N]
// Writes    slices [S]: as few Gaussians, near to far, as come before a slice is full; slices that are not needed have none

struct Slice {
    // Offset bindings and indirect dispatches start at multiples of 256 bytes.
    @size(256) counters: Counters,
}

@group(0) @binding(0) var<uniform> view: ViewUniform;
@group(0) @binding(1) var<storage, read> tiles_touched: array<u32>;
@group(0) @binding(2) var<storage, read> isect_offsets: array<u32>;
@group(0) @binding(3) var<storage, read_write> slices: array<Slice>;
// The first chunk: no slice has more Gaussians than it, so that a binding holds the slice's splats.
@group(0) @binding(4) var<uniform> chunk: Chunk;

// As Kernel::dispatch on the host: WebGPU allows 65,535 workgroups per dimension.
fn group_grid(groups: u32) -> vec3u {
    let rows = max((groups + 65534u) / 65535u, 1u);
    return vec3u((groups + rows - 1u) / rows, rows, 1u);
}

// Intersections of the Gaussians before a rank.
fn isects_before(rank: u32, needed: u32) -> u32 {
    if (rank >= view.gaussian_count) {
        return needed;
    }
    return isect_offsets[rank];
}

@compute @workgroup_size(1)
fn main() {
    let count = view.gaussian_count;
    let needed = isect_offsets[count - 1u] + tiles_touched[count - 1u];
    let slice_count = arrayLength(&slices);
    var rank = 0u;
    var before = 0u;
    for (var s = 0u; s < slice_count; s += 1u) {
        var end = min(count, rank + chunk.count);
        var isects = isects_before(end, needed) - before;
        if (isects > view.isect_capacity) {
            // The last rank that the slice can end before: bisection of the offsets.
            var fits = rank;
            var exceeds = end;
            while (exceeds - fits > 1u) {
                let middle = fits + (exceeds - fits) / 2u;
                if (isect_offsets[middle] - before <= view.isect_capacity) {
                    fits = middle;
                } else {
                    exceeds = middle;
                }
            }
            end = fits;
            isects = isect_offsets[end] - before;
        }
        if (s + 1u == slice_count && end < count) {
            slices[0].counters.overflowed = 1u;
            end = rank;
            isects = 0u;
        }
        slices[s].counters.isects = isects;
        slices[s].counters.first_rank = rank;
        slices[s].counters.end_rank = end;
        slices[s].counters.first_isect = before;
        let blocks = (isects + SORT_BLOCK - 1u) / SORT_BLOCK;
        slices[s].counters.sort_groups = group_grid(blocks);
        slices[s].counters.isect_groups = group_grid((isects + 63u) / 64u);
        slices[s].counters.scan_groups = group_grid((blocks * 256u + SCAN_BLOCK - 1u) / SCAN_BLOCK);
        rank = end;
        before += isects;
    }
    slices[0].counters.isects_needed = max(slices[0].counters.isects_needed, needed);
}
