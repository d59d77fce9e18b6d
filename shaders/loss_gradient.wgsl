// loss_gradient: the gradient of (1 - w) L1 + w (1 - SSIM) with respect to the render.
//
// Threads   one a run of RUN pixels of a column of one channel
// Reads     frame [H*W vec4f], photo [H*W] packed, spread [3, H*W, 3] from ssim_rows_backward
// Writes    v_frame [H*W vec4f] (rgb; w, the gradient of alpha, is 0); l1_parts [runs]
// Equation  both means over pixels and channels; dS/dx = window * dS/dmu_x + 2 x window * dS/dE[x^2 + y^2]
//           + y window * dS/dE[x y]
// Twin      reference::loss

@group(0) @binding(0) var<uniform> view: ViewUniform;
@group(0) @binding(1) var<uniform> train: TrainUniform;
@group(0) @binding(2) var<storage, read> frame: array<f32>;
@group(0) @binding(3) var<storage, read> photo: array<u32>;
@group(0) @binding(4) var<storage, read> spread: array<f32>;
@group(0) @binding(5) var<storage, read_write> v_frame: array<f32>;
@group(0) @binding(6) var<storage, read_write> l1_parts: array<f32>;

fn input(run: Run, tap: u32) -> vec3f {
    let size = view.image_size;
    let y = run.first + tap - WINDOW_RADIUS;
    if (y >= size.y) {
        return vec3f(0.0);
    }
    let base = ((run.channel * size.y + y) * size.x + run.line) * 3u;
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
    let inv_count = 1.0 / f32(train.image_pixels * 3u);
    let l1_weight = (1.0 - train.ssim_weight) * inv_count;
    let ssim_weight = -train.ssim_weight * inv_count;
    var filter_x: Filter;
    var filter_y: Filter;
    var filter_z: Filter;
    for (var tap = 0u; tap < 2u * WINDOW_RADIUS; tap += 1u) {
        let value = input(run, tap);
        push(&filter_x, value.x);
        push(&filter_y, value.y);
        push(&filter_z, value.z);
    }
    var total = 0.0;
    let end = min(run.first + RUN, size.y);
    for (var y = run.first; y < end; y += 1u) {
        let value = input(run, y - run.first + 2u * WINDOW_RADIUS);
        let along = vec3f(push(&filter_x, value.x), push(&filter_y, value.y), push(&filter_z, value.z));
        let index = y * size.x + run.line;
        let word = photo[index];
        let weight = pixel_weight(word, train.alpha_mode);
        let a = frame[index * 4u + run.channel];
        let b = wanted_value(word, run.channel, train.alpha_mode, view.background);
        let v_ssim = along.x + 2.0 * a * along.y + b * along.z;
        v_frame[index * 4u + run.channel] = weight * (l1_weight * sign(a - b) + ssim_weight * v_ssim);
        if (run.channel == 0u) {
            v_frame[index * 4u + 3u] = 0.0;
        }
        total += weight * abs(a - b);
    }
    l1_parts[share] = total;
}
