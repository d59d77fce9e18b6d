// tile_emit: one (tile, emission index) pair per intersection, in depth order.
//
// Threads   one per Gaussian, in sorted order
// Reads     splats [N], order [N], tiles_touched [N], isect_offsets [N] (their exclusive sum)
// Writes    isect_tiles [I], isect_ids [I] (the emission index itself), isect_gaussians [I],
//           slot_ranges [N] (first slot and count, by Gaussian id)
// Note      If rounding ever made this kernel emit fewer pairs than tile_count counted, the rest go to the
//           tile past the last one, which only zeroes its slots.

@group(0) @binding(0) var<uniform> view: ViewUniform;
@group(0) @binding(1) var<storage, read> splats: array<Splat>;
@group(0) @binding(2) var<storage, read> order: array<u32>;
@group(0) @binding(3) var<storage, read> tiles_touched: array<u32>;
@group(0) @binding(4) var<storage, read> isect_offsets: array<u32>;
@group(0) @binding(5) var<storage, read_write> isect_tiles: array<u32>;
@group(0) @binding(6) var<storage, read_write> isect_ids: array<u32>;
@group(0) @binding(7) var<storage, read_write> isect_gaussians: array<u32>;
@group(0) @binding(8) var<storage, read_write> slot_ranges: array<vec2u>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let rank = id.x + id.y * groups.x * 64u;
    if (rank >= view.gaussian_count) {
        return;
    }
    let gid = order[rank];
    // Nothing is written past the end of a buffer that is too small: the host grows it and runs the view again.
    let first = isect_offsets[rank];
    let room = view.isect_capacity - min(first, view.isect_capacity);
    let touched = select(0u, tiles_touched[rank], tiles_touched[rank] <= room);
    slot_ranges[gid] = vec2u(first, touched);
    if (touched == 0u) {
        return;
    }
    let extent = splat_extent(gid);
    let rows = tile_rows(extent, view.tile_grid);
    var written = 0u;
    for (var row = rows.x; row < rows.y; row += 1u) {
        let columns = tile_columns(extent, row, view.tile_grid);
        for (var column = columns.x; column < columns.y; column += 1u) {
            if (written < touched) {
                isect_tiles[first + written] = row * view.tile_grid.x + column % view.tile_grid.x;
                isect_ids[first + written] = first + written;
                isect_gaussians[first + written] = gid;
                written += 1u;
            }
        }
    }
    for (; written < touched; written += 1u) {
        isect_tiles[first + written] = view.tile_grid.x * view.tile_grid.y;
        isect_ids[first + written] = first + written;
        isect_gaussians[first + written] = gid;
    }
}
