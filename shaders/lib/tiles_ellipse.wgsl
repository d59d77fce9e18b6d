// tiles (ellipse form): which tiles an ellipse overlaps, exactly. Shared by tile_count and tile_emit; lib/extent_*.wgsl compute
// the ellipse of a splat.

struct Extent {
    mean2d: vec2f,
    conic: vec3f,
    // d^T conic d <= bound is where alpha >= 1/255.
    bound: f32,
    // Half-extent of that ellipse along y, px.
    extent_y: f32,
    // dy at the ellipse's rightmost point (the leftmost has the opposite sign).
    dy_at_right: f32,
}

fn ellipse_extent(mean2d: vec2f, conic: vec3f, bound: f32) -> Extent {
    var r: Extent;
    r.mean2d = mean2d;
    r.conic = conic;
    r.bound = bound;
    let det = max(r.conic.x * r.conic.z - r.conic.y * r.conic.y, 1e-30);
    r.extent_y = sqrt(r.bound * r.conic.x / det);
    let extent_x = sqrt(r.bound * r.conic.z / det);
    r.dy_at_right = -r.conic.y / r.conic.z * extent_x;
    return r;
}

// First and one-past-last tile row, within the grid.
fn tile_rows(r: Extent, grid: vec2u) -> vec2u {
    let height = f32(TILE_HEIGHT);
    // Row t holds pixel centres from t * height + 0.5 to (t + 1) * height - 0.5.
    let first = ceil((r.mean2d.y - r.extent_y + 0.5) / height - 1.0);
    let last = floor((r.mean2d.y + r.extent_y - 0.5) / height);
    let begin = clamp(first, 0.0, f32(grid.y));
    let end = clamp(last + 1.0, 0.0, f32(grid.y));
    return vec2u(u32(begin), u32(max(begin, end)));
}

// x extent of the ellipse at height dy: centre and half-width (0 outside).
fn ellipse_at(r: Extent, dy: f32) -> vec2f {
    let discriminant = r.conic.x * r.bound - (r.conic.x * r.conic.z - r.conic.y * r.conic.y) * dy * dy;
    return vec2f(-r.conic.y * dy, sqrt(max(discriminant, 0.0))) / r.conic.x;
}

// First and one-past-last tile column in tile row `row`, within the grid.
fn tile_columns(r: Extent, row: u32, grid: vec2u) -> vec2u {
    let height = f32(TILE_HEIGHT);
    let width = f32(TILE_WIDTH);
    let low = clamp(f32(row) * height + 0.5 - r.mean2d.y, -r.extent_y, r.extent_y);
    let high = clamp(f32(row + 1u) * height - 0.5 - r.mean2d.y, -r.extent_y, r.extent_y);
    let right = ellipse_at(r, clamp(r.dy_at_right, low, high));
    let left = ellipse_at(r, clamp(-r.dy_at_right, low, high));
    // A margin of 0.01 px for rounding at large coordinates.
    let x_min = r.mean2d.x + left.x - left.y - 0.01;
    let x_max = r.mean2d.x + right.x + right.y + 0.01;
    let first = ceil((x_min + 0.5) / width - 1.0);
    let last = floor((x_max - 0.5) / width);
    let begin = clamp(first, 0.0, f32(grid.x));
    let end = clamp(last + 1.0, 0.0, f32(grid.x));
    return vec2u(u32(begin), u32(max(begin, end)));
}
