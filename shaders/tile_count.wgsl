// tile_count: how many tiles each splat overlaps, in depth order.
//
// Threads   one per Gaussian, in sorted order; those of one chunk (lib/chunk.wgsl) are counted
// Reads     splats [N], depth_keys [N] sorted, order [N] (Gaussian ids, near to far)
// Writes    tiles_touched [N], 0 for Gaussians that are not seen
// Source    tight lists after Speedy-Splat (Hanson et al. 2025): SnugBox and AccuTile
// Twin      tile_emit iterates with the same functions of lib/tiles_*.wgsl

@group(0) @binding(0) var<uniform> view: ViewUniform;
@group(0) @binding(1) var<storage, read> splats: array<Splat>;
@group(0) @binding(2) var<storage, read> depth_keys: array<u32>;
@group(0) @binding(3) var<storage, read> order: array<u32>;
@group(0) @binding(4) var<storage, read_write> tiles_touched: array<u32>;
@group(0) @binding(5) var<uniform> chunk: Chunk;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let rank = id.x + id.y * groups.x * 64u;
    if (rank >= view.gaussian_count) {
        return;
    }
    // Beyond the chunk for a lower id, too: the difference wraps.
    let place = order[rank] - chunk.first;
    if (place >= chunk.count) {
        return;
    }
    var count = 0u;
    if (depth_keys[rank] != 0xffffffffu) {
        let extent = splat_extent(place);
        let rows = tile_rows(extent, view.tile_grid);
        for (var row = rows.x; row < rows.y; row += 1u) {
            let columns = tile_columns(extent, row, view.tile_grid);
            count += columns.y - columns.x;
        }
    }
    tiles_touched[rank] = count;
}
