// isect_total: the number of intersections, whether they fit the buffers, and the indirect dispatch sizes.
//
// Threads   one
// Reads     tiles_touched [N], isect_offsets [N]
// Writes    counters

@group(0) @binding(0) var<uniform> view: ViewUniform;
@group(0) @binding(1) var<storage, read> tiles_touched: array<u32>;
@group(0) @binding(2) var<storage, read> isect_offsets: array<u32>;
@group(0) @binding(3) var<storage, read_write> counters: Counters;

// As Kernel::dispatch on the host: WebGPU allows 65,535 workgroups per dimension.
fn group_grid(groups: u32) -> vec3u {
    let rows = max((groups + 65534u) / 65535u, 1u);
    return vec3u((groups + rows - 1u) / rows, rows, 1u);
}

@compute @workgroup_size(1)
fn main() {
    let last = view.gaussian_count - 1u;
    let needed = isect_offsets[last] + tiles_touched[last];
    var isects = needed;
    if (needed > view.isect_capacity) {
        isects = 0u;
        counters.overflowed = 1u;
    }
    counters.isects = isects;
    counters.isects_needed = max(counters.isects_needed, needed);
    let blocks = (isects + SORT_BLOCK - 1u) / SORT_BLOCK;
    counters.sort_groups = group_grid(blocks);
    counters.isect_groups = group_grid((isects + 63u) / 64u);
    counters.scan_groups = group_grid((blocks * 256u + SCAN_BLOCK - 1u) / SCAN_BLOCK);
}
