// tiles (box form): which tiles a 3DGUT Gaussian may overlap through a lens with distortion: those that its box touches.
//
// With distortion the region where alpha >= 1/255 is not an ellipse, so there is no finer test; gsplat uses the box for the
// same reason. Shared by tile_count and tile_emit.

struct Extent {
    low: vec2f,
    high: vec2f,
}

fn splat_extent(i: u32) -> Extent {
    let box = splats[i].box;
    return Extent(box.xy, box.zw);
}

// First and one-past-last tile row, within the grid.
fn tile_rows(r: Extent, grid: vec2u) -> vec2u {
    let height = f32(TILE_HEIGHT);
    // Row t holds pixel centres from t * height + 0.5 to (t + 1) * height - 0.5.
    let first = ceil((r.low.y + 0.5) / height - 1.0);
    let last = floor((r.high.y - 0.5) / height);
    let begin = clamp(first, 0.0, f32(grid.y));
    let end = clamp(last + 1.0, 0.0, f32(grid.y));
    return vec2u(u32(begin), u32(max(begin, end)));
}

// First and one-past-last tile column, the same in every row. A box that leaves the image on one side (in panoramas only)
// re-enters on the other: the range then ends beyond the grid, and tile_emit takes columns modulo its width.
fn tile_columns(r: Extent, row: u32, grid: vec2u) -> vec2u {
    let width = f32(TILE_WIDTH);
    let across = f32(view.image_size.x);
    if (r.high.x - r.low.x >= across) {
        return vec2u(0u, grid.x);
    }
    let wraps = r.low.x < 0.0 || r.high.x > across;
    let low = select(r.low.x, r.low.x + across, r.low.x < 0.0);
    let high = select(r.high.x, r.high.x - across, r.high.x > across);
    let first = ceil((low + 0.5) / width - 1.0);
    let last = floor((high - 0.5) / width);
    let begin = u32(clamp(first, 0.0, f32(grid.x)));
    let end = u32(clamp(last + 1.0, 0.0, f32(grid.x)));
    if (wraps) {
        return select(vec2u(begin, grid.x + end), vec2u(0u, grid.x), end >= begin);
    }
    return vec2u(begin, max(begin, end));
}
