// ssim_columns: local moments along columns, SSIM at every pixel, and its partial derivatives.
//
// Threads   one a run of RUN pixels of a column
// Reads     moments [H*W, 3 vec4f] from ssim_rows
// Writes    partials [H*W, 3 vec4f]: per channel dS/dmu_x, dS/dE[x^2 + y^2], dS/dE[x y], 0;
//           ssim_parts [runs]: sum of S over the run's pixels and channels
// Equation  S = A B / (C D), A = 2 mu_x mu_y + C1, B = 2 sigma_xy + C2, C = mu_x^2 + mu_y^2 + C1,
//           D = sigma_x^2 + sigma_y^2 + C2   (Wang et al. 2004, eq. 13)

@group(0) @binding(0) var<uniform> view: ViewUniform;
@group(0) @binding(1) var<storage, read> moments: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> partials: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> ssim_parts: array<f32>;

// (0.01 L)^2 and (0.03 L)^2 for the dynamic range L = 1.
const C1: f32 = 0.0001;
const C2: f32 = 0.0009;

// dS/dmu_x, dS/dE[x^2 + y^2], dS/dE[x y], S
fn ssim_partials(m: vec4f) -> vec4f {
    let mu_x = m.x;
    let mu_y = m.y;
    let a = 2.0 * mu_x * mu_y + C1;
    let b = 2.0 * (m.w - mu_x * mu_y) + C2;
    let c = mu_x * mu_x + mu_y * mu_y + C1;
    let d = m.z - mu_x * mu_x - mu_y * mu_y + C2;
    let inv_c = 1.0 / c;
    let inv_d = 1.0 / d;
    let s = a * b * inv_c * inv_d;
    return vec4f(
        2.0 * mu_y * (b - a) * inv_c * inv_d - 2.0 * mu_x * s * (inv_c - inv_d),
        -s * inv_d,
        2.0 * a * inv_c * inv_d,
        s,
    );
}

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
    var sums: array<vec4f, RUN * 3u>;
    for (var k = 0u; k < RUN * 3u; k += 1u) {
        sums[k] = vec4f(0.0);
    }
    for (var tap = 0u; tap < RUN_INPUTS; tap += 1u) {
        let y = y0 + tap - WINDOW_RADIUS;
        if (y < size.y) {
            let base = (y * size.x + x) * 3u;
            let m0 = moments[base];
            let m1 = moments[base + 1u];
            let m2 = moments[base + 2u];
            for (var out = 0u; out < RUN; out += 1u) {
                if (tap >= out && tap - out < WINDOW) {
                    let w = WINDOW_WEIGHTS[tap - out];
                    sums[out * 3u] += w * m0;
                    sums[out * 3u + 1u] += w * m1;
                    sums[out * 3u + 2u] += w * m2;
                }
            }
        }
    }
    var total = 0.0;
    for (var out = 0u; out < RUN; out += 1u) {
        if (y0 + out < size.y) {
            let base = ((y0 + out) * size.x + x) * 3u;
            for (var channel = 0u; channel < 3u; channel += 1u) {
                let p = ssim_partials(sums[out * 3u + channel]);
                partials[base + channel] = vec4f(p.xyz, 0.0);
                total += p.w;
            }
        }
    }
    ssim_parts[run] = total;
}
