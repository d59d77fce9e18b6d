// loss_gradient: the gradient of (1 - w) L1 + w (1 - SSIM) with respect to the render.
//
// Threads   one a run of RUN pixels of a column
// Reads     frame [H*W vec4f], photo [H*W] packed, spread [H*W, 3 vec4f] from ssim_rows_backward
// Writes    v_frame [H*W vec4f] (rgb; w, the gradient of alpha, is 0); l1_parts [runs]
// Equation  both means over pixels and channels; dS/dx = window * dS/dmu_x + 2 x window * dS/dE[x^2 + y^2]
//           + y window * dS/dE[x y]
// Twin      reference::loss

@group(0) @binding(0) var<uniform> view: ViewUniform;
@group(0) @binding(1) var<uniform> train: TrainUniform;
@group(0) @binding(2) var<storage, read> frame: array<vec4f>;
@group(0) @binding(3) var<storage, read> photo: array<u32>;
@group(0) @binding(4) var<storage, read> spread: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> v_frame: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> l1_parts: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let size = view.image_size;
    let runs = (size.y + RUN - 1u) / RUN;
    let run = id.x + id.y * groups.x * 64u;
    if (run >= runs * size.x) {
        return;
    }
    let x = run % size.x;
    let y0 = (run / size.x) * RUN;
    var sums: array<vec3f, RUN * 3u>;
    for (var k = 0u; k < RUN * 3u; k += 1u) {
        sums[k] = vec3f(0.0);
    }
    for (var tap = 0u; tap < RUN_INPUTS; tap += 1u) {
        let y = y0 + tap - WINDOW_RADIUS;
        if (y < size.y) {
            let base = (y * size.x + x) * 3u;
            let p0 = spread[base].xyz;
            let p1 = spread[base + 1u].xyz;
            let p2 = spread[base + 2u].xyz;
            for (var out = 0u; out < RUN; out += 1u) {
                if (tap >= out && tap - out < WINDOW) {
                    let w = WINDOW_WEIGHTS[tap - out];
                    sums[out * 3u] += w * p0;
                    sums[out * 3u + 1u] += w * p1;
                    sums[out * 3u + 2u] += w * p2;
                }
            }
        }
    }
    let inv_count = 1.0 / f32(train.image_pixels * 3u);
    let l1_weight = (1.0 - train.ssim_weight) * inv_count;
    let ssim_weight = -train.ssim_weight * inv_count;
    var total = 0.0;
    for (var out = 0u; out < RUN; out += 1u) {
        if (y0 + out < size.y) {
            let index = (y0 + out) * size.x + x;
            let wanted = target_color(photo[index], train.alpha_mode, view.background.xyz);
            let a = frame[index].xyz;
            let b = wanted.xyz;
            let along_mu = vec3f(sums[out * 3u].x, sums[out * 3u + 1u].x, sums[out * 3u + 2u].x);
            let along_squares = vec3f(sums[out * 3u].y, sums[out * 3u + 1u].y, sums[out * 3u + 2u].y);
            let along_product = vec3f(sums[out * 3u].z, sums[out * 3u + 1u].z, sums[out * 3u + 2u].z);
            let v_ssim = along_mu + 2.0 * a * along_squares + b * along_product;
            let difference = a - b;
            let v = l1_weight * sign(difference) + ssim_weight * v_ssim;
            v_frame[index] = vec4f(wanted.w * v, 0.0);
            total += wanted.w * dot(abs(difference), vec3f(1.0));
        }
    }
    l1_parts[run] = total;
}
