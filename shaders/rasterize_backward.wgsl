// rasterize_backward: from the image's gradient to per-intersection sums, back to front, without float atomics.
//
// Threads   LANES per tile, as rasterize, and one more group for the tile past the last (see tile_emit)
// Reads     tile_ranges, isect_ids, isect_splats, splats, pixel_ends, v_frame [H*W vec4f] (gradient
//           of rgb and of alpha = 1 - transmittance; WITH_DEPTH: behind it v_depth [H*W], four a vec4f)
// Writes    slots [I, SLOT_FLOATS]: each intersection's sums over the tile's pixels, at its emission index,
//           so that a Gaussian's slots lie side by side and project_backward adds them in a fixed order; with a rolling
//           shutter and WITH_POSE behind them the gradient of every pixel's ray (lib/ray_gradient_rolling.wgsl)
// Equation  the contents of a slot are defined in lib/slot_*.wgsl, beside the alphas in lib/response_*.wgsl
// Slices    lib/unblend_*.wgsl: the whole view at once, or one depth slice before those already done
// Note      The cap at 0.99 and the thresholds have no gradient.

@group(0) @binding(0) var<uniform> view: ViewUniform;
@group(0) @binding(1) var<storage, read> tile_ranges: array<vec2u>;
@group(0) @binding(2) var<storage, read> isect_ids: array<u32>;
@group(0) @binding(3) var<storage, read> isect_splats: array<u32>;
@group(0) @binding(4) var<storage, read> splats: array<Splat>;
@group(0) @binding(5) var<storage, read> pixel_ends: array<vec2u>;
// Binding 6 is v_frame: see lib/unblend_*.wgsl.
@group(0) @binding(7) var<storage, read_write> slots: array<f32>;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let tile = group.x + group.y * groups.x;
    let tiles = view.tile_grid.x * view.tile_grid.y;
    if (tile > tiles) {
        return;
    }
    let origin = vec2u(tile % view.tile_grid.x, tile / view.tile_grid.x) * vec2u(TILE_WIDTH, TILE_HEIGHT);
    let range = tile_ranges[tile];

    var transmittance: array<f32, PIXELS_PER_LANE>;
    // Colour contributed by the Gaussians behind and the background, dotted with the gradient; summed back to front.
    var behind: array<f32, PIXELS_PER_LANE>;
    var v_red: array<f32, PIXELS_PER_LANE>;
    var v_green: array<f32, PIXELS_PER_LANE>;
    var v_blue: array<f32, PIXELS_PER_LANE>;
    var v_far: array<f32, PIXELS_PER_LANE>;
    var last: array<u32, PIXELS_PER_LANE>;
    var lane_last = range.x;
    for (var k = 0u; k < PIXELS_PER_LANE; k += 1u) {
        let pixel = origin + lane_pixel(k, lane);
        transmittance[k] = 0.0;
        behind[k] = 0.0;
        v_red[k] = 0.0;
        v_green[k] = 0.0;
        v_blue[k] = 0.0;
        v_far[k] = 0.0;
        last[k] = range.x;
        let has_ray = prepare_pixel(k, pixel);
        if (all(pixel < view.image_size) && tile < tiles && has_ray) {
            let index = pixel.y * view.image_size.x + pixel.x;
            let v = frame_gradient(index);
            let end = pixel_ends[index];
            let remaining = bitcast<f32>(end.x);
            let beyond = Unblended(remaining, remaining * (dot(view.background.xyz, v.xyz) - v.w));
            let state = unblended_behind(index, beyond);
            transmittance[k] = state.transmittance;
            behind[k] = state.behind;
            v_red[k] = v.x;
            v_green[k] = v.y;
            v_blue[k] = v.z;
            if (WITH_DEPTH) {
                v_far[k] = depth_gradient(index);
            }
            last[k] = end.y;
            lane_last = max(lane_last, last[k]);
        }
    }

    let tile_last = lanes_max(lane_last, lane);
    for (var i = tile_last; i < range.y; i += 1u) {
        for (var word = lane; word < SLOT_FLOATS; word += LANES) {
            slots[isect_ids[i] * SLOT_FLOATS + word] = 0.0;
        }
    }

    let corner = vec2f(origin) + lane_offset(lane);
    // The next ids are prefetched, as in rasterize.
    var next_isect = 0u;
    var next_splat = 0u;
    if (tile_last > range.x) {
        next_isect = isect_ids[tile_last - 1u];
        next_splat = isect_splats[next_isect];
    }
    for (var i = tile_last; i > range.x; i -= 1u) {
        let isect = next_isect;
        let splat = next_splat;
        next_isect = isect_ids[max(i, range.x + 2u) - 2u];
        next_splat = isect_splats[next_isect];
        let f = footprint(splat, corner);
        var sums: Sums;
        var sum_rgb = vec3f(0.0);
        var sum_depth = 0.0;
        for (var k = 0u; k < PIXELS_PER_LANE; k += 1u) {
            let free_log2_alpha = log2_response(f, k);
            let log2_alpha = min(free_log2_alpha, LOG2_ALPHA_CAP);
            let seen = log2_alpha >= LOG2_ALPHA_FLOOR && i <= last[k];
            let alpha = select(0.0, exp2(log2_alpha), seen);
            let inv_rest = 1.0 / (1.0 - alpha);
            transmittance[k] *= inv_rest;
            let weight = alpha * transmittance[k];
            sum_rgb += weight * vec3f(v_red[k], v_green[k], v_blue[k]);
            var toward = f.rgb.x * v_red[k] + f.rgb.y * v_green[k] + f.rgb.z * v_blue[k];
            if (WITH_DEPTH) {
                sum_depth += weight * v_far[k];
                toward += f.depth * v_far[k];
            }
            let v_alpha = transmittance[k] * toward - inv_rest * behind[k];
            behind[k] += weight * toward;
            let s = select(0.0, alpha * v_alpha, free_log2_alpha <= LOG2_ALPHA_CAP);
            sums = add_pixel(sums, f, k, s);
        }
        write_slot(isect * SLOT_FLOATS, lane, slot_of(sums, f, sum_rgb, sum_depth));
    }

    for (var k = 0u; k < PIXELS_PER_LANE; k += 1u) {
        let pixel = origin + lane_pixel(k, lane);
        if (all(pixel < view.image_size) && tile < tiles) {
            let index = pixel.y * view.image_size.x + pixel.x;
            write_ray_gradient(k, index);
            keep_unblended(index, Unblended(transmittance[k], behind[k]));
        }
    }
}
