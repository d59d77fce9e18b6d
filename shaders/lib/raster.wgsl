// raster: how a tile's pixels lie on the lanes, and a splat's response at a pixel.
//
// rasterize and rasterize_backward must find the same alphas, so both take them from here.

const LANES_PER_ROW: u32 = min(LANES, TILE_WIDTH);
const ROWS_PER_CHUNK: u32 = LANES / LANES_PER_ROW;
const CHUNKS_PER_ROW: u32 = TILE_WIDTH / LANES_PER_ROW;

// Pixel k of a lane, relative to the tile's corner: neighbouring lanes hold neighbouring pixels.
fn lane_pixel(k: u32, lane: u32) -> vec2u {
    return vec2u(
        (k % CHUNKS_PER_ROW) * LANES_PER_ROW + lane % LANES_PER_ROW,
        (k / CHUNKS_PER_ROW) * ROWS_PER_CHUNK + lane / LANES_PER_ROW,
    );
}

// The same as floats, in two parts: one that the lane fixes (to the pixel's centre), one that k fixes.
fn lane_offset(lane: u32) -> vec2f {
    return vec2f(f32(lane % LANES_PER_ROW) + 0.5, f32(lane / LANES_PER_ROW) + 0.5);
}

fn chunk_offset(k: u32) -> vec2f {
    return vec2f(f32((k % CHUNKS_PER_ROW) * LANES_PER_ROW), f32((k / CHUNKS_PER_ROW) * ROWS_PER_CHUNK));
}

// alpha = opacity exp(-(A dx^2 + C dy^2) / 2 - B dx dy) with its factors folded into an exponent of 2:
// (a, b, c, log2 opacity) with log2 alpha = a dx^2 + b dx dy + c dy^2 + log2 opacity.
fn log2_form(s0: vec4f, s1: vec4f) -> vec4f {
    return vec4f(-0.5 * LOG2_E * s0.z, -LOG2_E * s0.w, -0.5 * LOG2_E * s1.x, s1.y);
}

fn log2_response(form: vec4f, d: vec2f) -> f32 {
    return form.w + d.x * (form.x * d.x + form.y * d.y) + form.z * d.y * d.y;
}
