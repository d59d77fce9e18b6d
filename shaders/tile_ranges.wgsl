// tile_ranges: where each tile's list begins and ends among the sorted intersections.
//
// Threads   one per intersection
// Reads     isect_tiles [I] sorted
// Writes    tile_ranges [tiles + 1] (begin, end); cleared by the host, so tiles without a list stay (0, 0)

@group(0) @binding(0) var<storage, read> counters: Counters;
@group(0) @binding(1) var<storage, read> isect_tiles: array<u32>;
// Two words per tile; the last tile, past the image, holds the pairs that tile_emit could not place.
@group(0) @binding(2) var<storage, read_write> tile_ranges: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    let count = counters.isects;
    if (i >= count) {
        return;
    }
    let tile = isect_tiles[i];
    if (i == 0u || isect_tiles[max(i, 1u) - 1u] != tile) {
        tile_ranges[tile * 2u] = i;
    }
    if (i + 1u == count || isect_tiles[min(i + 1u, count - 1u)] != tile) {
        tile_ranges[tile * 2u + 1u] = i + 1u;
    }
}
