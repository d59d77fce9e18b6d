// rasterize: blends depth-sorted splats front to back, one group of LANES invocations per tile.
//
// Threads   LANES per tile; each lane keeps PIXELS_PER_LANE pixels in registers: no shared memory, no barrier
// Reads     tile_ranges [tiles + 1], isect_ids [I] sorted, isect_splats [I], splats [N]
// Writes    frame [H*W vec4f] (rgb over the background, transmittance), pixel_ends [H*W vec2u] (bits of the
//           transmittance; one past the last list place that was blended), expected_depth [H*W] (WITH_DEPTH: sum a T depth)
// Slices    lib/blend_*.wgsl: the whole view at once, or one depth slice behind those already blended
// Equation  C = sum c_i a_i T_i, T_i = prod_{j<i} (1 - a_j)   Kerbl et al. 2023, eq. 3
// Alpha     lib/response_ewa.wgsl or lib/response_gut.wgsl
// Departs   a is capped at 0.99 and skipped below 1/255; T (1 - a) <= 1e-4 ends the pixel before that
//           splat: all three as in the authors' code
// Twin      reference::rasterize; gradient in rasterize_backward

@group(0) @binding(0) var<uniform> view: ViewUniform;
@group(0) @binding(1) var<storage, read> tile_ranges: array<vec2u>;
@group(0) @binding(2) var<storage, read> isect_ids: array<u32>;
@group(0) @binding(3) var<storage, read> isect_splats: array<u32>;
@group(0) @binding(4) var<storage, read> splats: array<Splat>;
@group(0) @binding(5) var<storage, read_write> frame: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> pixel_ends: array<vec2u>;
@group(0) @binding(7) var<storage, read_write> expected_depth: array<f32>;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let tile = group.x + group.y * groups.x;
    if (tile >= view.tile_grid.x * view.tile_grid.y) {
        return;
    }
    let origin = vec2u(tile % view.tile_grid.x, tile / view.tile_grid.x) * vec2u(TILE_WIDTH, TILE_HEIGHT);
    let range = tile_ranges[tile];

    // Negative once the pixel is finished: its magnitude is then the final transmittance.
    var transmittance: array<f32, PIXELS_PER_LANE>;
    var red: array<f32, PIXELS_PER_LANE>;
    var green: array<f32, PIXELS_PER_LANE>;
    var blue: array<f32, PIXELS_PER_LANE>;
    var depth: array<f32, PIXELS_PER_LANE>;
    var last: array<u32, PIXELS_PER_LANE>;
    for (var k = 0u; k < PIXELS_PER_LANE; k += 1u) {
        let pixel = origin + lane_pixel(k, lane);
        // A pixel outside the image, or without a ray, is finished from the start.
        let has_ray = prepare_pixel(k, pixel);
        let inside = all(pixel < view.image_size);
        let before = blended_before(pixel, inside, Blended(select(-1.0, 1.0, inside && has_ray), vec3f(0.0), 0.0));
        transmittance[k] = before.transmittance;
        red[k] = before.rgb.x;
        green[k] = before.rgb.y;
        blue[k] = before.rgb.z;
        depth[k] = before.depth;
        last[k] = range.x;
    }

    let corner = vec2f(origin) + lane_offset(lane);
    // Software prefetch: a splat is loaded while the one before it is blended, and its id one iteration earlier still.
    var ahead: Footprint;
    var ahead_splat = 0u;
    if (range.x < range.y) {
        ahead = footprint(isect_splats[isect_ids[range.x]], corner);
        ahead_splat = isect_splats[isect_ids[min(range.x + 1u, range.y - 1u)]];
    }
    for (var i = range.x; i < range.y; i += 1u) {
        let f = ahead;
        ahead = footprint(ahead_splat, corner);
        ahead_splat = isect_splats[isect_ids[min(i + 2u, range.y - 1u)]];
        var open = -1.0;
        for (var k = 0u; k < PIXELS_PER_LANE; k += 1u) {
            let log2_alpha = min(log2_response(f, k), LOG2_ALPHA_CAP);
            let alpha = exp2(log2_alpha);
            let next = transmittance[k] * (1.0 - alpha);
            let seen = log2_alpha >= LOG2_ALPHA_FLOOR && transmittance[k] > 0.0;
            let ends = next <= TRANSMITTANCE_STOP;
            let weight = select(0.0, alpha * transmittance[k], seen && !ends);
            red[k] += weight * f.rgb.x;
            green[k] += weight * f.rgb.y;
            blue[k] += weight * f.rgb.z;
            if (WITH_DEPTH) {
                depth[k] += weight * f.depth;
            }
            last[k] = select(last[k], i + 1u, seen && !ends);
            transmittance[k] = select(transmittance[k], select(next, -transmittance[k], ends), seen);
            open = max(open, transmittance[k]);
        }
        if (open <= 0.0) {
            break;
        }
    }

    for (var k = 0u; k < PIXELS_PER_LANE; k += 1u) {
        let pixel = origin + lane_pixel(k, lane);
        if (all(pixel < view.image_size)) {
            let index = pixel.y * view.image_size.x + pixel.x;
            let remaining = abs(transmittance[k]);
            frame[index] = blended_frame(vec3f(red[k], green[k], blue[k]), transmittance[k]);
            pixel_ends[index] = vec2u(bitcast<u32>(remaining), last[k]);
            if (WITH_DEPTH) {
                expected_depth[index] = depth[k];
            }
        }
    }
}
