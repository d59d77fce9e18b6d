// tile_emit: one (tile, emission index) pair per intersection of a depth slice, in depth order.
//
// Threads   one per Gaussian, in sorted order
// Reads     splats [N] (or the slice's alone, near to far: SPLATS_BY_RANK), order [N], tiles_touched [N], isect_offsets [N] (their exclusive sum), the slice's counters
// Writes    isect_tiles [I], isect_ids [I] (the emission index itself, from 0 in each slice), isect_splats [I] (index in splats),
//           slot_ranges [N] (first intersection, counted from the nearest slice's first, and count; by Gaussian id)
// Note      If rounding ever made this kernel emit fewer pairs than tile_count counted, the rest go to the
//           tile past the last one, which only zeroes its slots.

@group(0) @binding(0) var<uniform> view: ViewUniform;
@group(0) @binding(1) var<storage, read> splats: array<Splat>;
@group(0) @binding(2) var<storage, read> order: array<u32>;
@group(0) @binding(3) var<storage, read> tiles_touched: array<u32>;
@group(0) @binding(4) var<storage, read> isect_offsets: array<u32>;
@group(0) @binding(5) var<storage, read_write> isect_tiles: array<u32>;
@group(0) @binding(6) var<storage, read_write> isect_ids: array<u32>;
@group(0) @binding(7) var<storage, read_write> isect_splats: array<u32>;
@group(0) @binding(8) var<storage, read_write> slot_ranges: array<vec2u>;
@group(0) @binding(9) var<uniform> slice: Counters;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let rank = id.x + id.y * groups.x * 64u;
    // Where the buffers are too small, no slice holds the rest: the host grows them and runs the view again.
    if (rank < slice.first_rank || rank >= slice.end_rank) {
        return;
    }
    let gid = order[rank];
    let touched = tiles_touched[rank];
    slot_ranges[gid] = vec2u(isect_offsets[rank], touched);
    let first = isect_offsets[rank] - slice.first_isect;
    if (touched == 0u) {
        return;
    }
    let splat = select(gid, rank - slice.first_rank, (slice.place & SPLATS_BY_RANK) != 0u);
    let extent = splat_extent(splat);
    let rows = tile_rows(extent, view.tile_grid);
    var written = 0u;
    for (var row = rows.x; row < rows.y; row += 1u) {
        let columns = tile_columns(extent, row, view.tile_grid);
        for (var column = columns.x; column < columns.y; column += 1u) {
            if (written < touched) {
                isect_tiles[first + written] = row * view.tile_grid.x + column % view.tile_grid.x;
                isect_ids[first + written] = first + written;
                isect_splats[first + written] = splat;
                written += 1u;
            }
        }
    }
    for (; written < touched; written += 1u) {
        isect_tiles[first + written] = view.tile_grid.x * view.tile_grid.y;
        isect_ids[first + written] = first + written;
        isect_splats[first + written] = splat;
    }
}
