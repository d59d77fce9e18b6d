// raster: how a tile's pixels are distributed over the lanes.

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

// The same as floats, as the sum of a part that depends on the lane (with the offset of the pixel's centre) and one that depends on k.
fn lane_offset(lane: u32) -> vec2f {
    return vec2f(f32(lane % LANES_PER_ROW) + 0.5, f32(lane / LANES_PER_ROW) + 0.5);
}

fn chunk_offset(k: u32) -> vec2f {
    return vec2f(f32((k % CHUNKS_PER_ROW) * LANES_PER_ROW), f32((k / CHUNKS_PER_ROW) * ROWS_PER_CHUNK));
}
