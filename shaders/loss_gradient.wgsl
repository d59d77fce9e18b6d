// loss_gradient: the gradient of (1 - w) L1 + w (1 - SSIM) with respect to the render.
//
// Threads   one per run of RUN pixels of a column
// Reads     frame [H*W vec4f], photo [H*W] packed, spread [H*W, 3] from ssim_rows
// Writes    v_frame [H*W vec4f] (rgb; w, the gradient of alpha, is 0); l1_parts [runs]
// Equation  L1 is a mean over pixels and channels, SSIM one over pixels; with x and y the brightness of render and
//           photo, dS/dx = window * dS/dmu_x + 2 x window * dS/dE[x^2 + y^2] + y window * dS/dE[x y]
// Twin      reference::loss

@group(0) @binding(0) var<uniform> view: ViewUniform;
@group(0) @binding(1) var<uniform> train: TrainUniform;
@group(0) @binding(2) var<storage, read> frame: array<vec4f>;
@group(0) @binding(3) var<storage, read> photo: array<u32>;
@group(0) @binding(4) var<storage, read> spread: array<f32>;
@group(0) @binding(5) var<storage, read_write> v_frame: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> l1_parts: array<f32>;

fn spread_at(run: Run, tap: u32) -> vec3f {
    let size = view.image_size;
    let y = run.first + tap - WINDOW_RADIUS;
    if (y >= size.y) {
        return vec3f(0.0);
    }
    let base = (y * size.x + run.line) * 3u;
    return vec3f(spread[base], spread[base + 1u], spread[base + 2u]);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let size = view.image_size;
    let share = id.x + id.y * groups.x * 64u;
    let run = run_of(share, size.x, size.y);
    if (run.idle) {
        return;
    }
    let l1_weight = (1.0 - train.ssim_weight) / f32(train.image_pixels * 3u);
    let ssim_weight = -train.ssim_weight / f32(train.image_pixels);
    var filter_x: Filter;
    var filter_y: Filter;
    var filter_z: Filter;
    for (var tap = 0u; tap < 2u * WINDOW_RADIUS; tap += 1u) {
        let s = spread_at(run, tap);
        push(&filter_x, s.x);
        push(&filter_y, s.y);
        push(&filter_z, s.z);
    }
    var total = 0.0;
    let end = min(run.first + RUN, size.y);
    for (var y = run.first; y < end; y += 1u) {
        let s = spread_at(run, y - run.first + 2u * WINDOW_RADIUS);
        let along = vec3f(push(&filter_x, s.x), push(&filter_y, s.y), push(&filter_z, s.z));
        let index = y * size.x + run.line;
        let gain = gain_at(train, vec2u(run.line, y), size);
        let wanted = wanted_color(photo[index], train.alpha_mode, gain * view.background.xyz);
        let rendered = gain * frame[index].xyz;
        let difference = rendered - wanted.xyz;
        let v_luma = along.x + 2.0 * dot(LUMA, rendered) * along.y + dot(LUMA, wanted.xyz) * along.z;
        v_frame[index] = vec4f(gain * (wanted.w * (l1_weight * sign(difference) + ssim_weight * v_luma * LUMA)), 0.0);
        total += wanted.w * dot(abs(difference), vec3f(1.0));
    }
    l1_parts[share] = total;
}
