// ssim_rows: local moments along rows, SSIM at every pixel, and its partial derivatives.
//
// Threads   one a run of RUN pixels of a row of one channel
// Reads     moments [3, W*H vec4f] from ssim_columns, by columns
// Writes    partials [3, W*H, 3], by columns: dS/dmu_x, dS/dE[x^2 + y^2], dS/dE[x y];
//           ssim_parts [runs]: sum of S over the run
// Equation  S = A B / (C D), A = 2 mu_x mu_y + C1, B = 2 sigma_xy + C2, C = mu_x^2 + mu_y^2 + C1,
//           D = sigma_x^2 + sigma_y^2 + C2   (Wang et al. 2004, eq. 13)

@group(0) @binding(0) var<uniform> view: ViewUniform;
@group(0) @binding(1) var<storage, read> moments: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> partials: array<f32>;
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

fn input(run: Run, tap: u32) -> vec4f {
    let size = view.image_size;
    let x = run.first + tap - WINDOW_RADIUS;
    if (x >= size.x) {
        return vec4f(0.0);
    }
    return moments[(run.channel * size.x + x) * size.y + run.line];
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let size = view.image_size;
    let share = id.x + id.y * groups.x * 64u;
    let run = run_of(share, size.y, size.x);
    if (run.idle) {
        return;
    }
    var filter_x: Filter;
    var filter_y: Filter;
    var filter_z: Filter;
    var filter_w: Filter;
    for (var tap = 0u; tap < 2u * WINDOW_RADIUS; tap += 1u) {
        let value = input(run, tap);
        push(&filter_x, value.x);
        push(&filter_y, value.y);
        push(&filter_z, value.z);
        push(&filter_w, value.w);
    }
    var total = 0.0;
    let end = min(run.first + RUN, size.x);
    for (var x = run.first; x < end; x += 1u) {
        let value = input(run, x - run.first + 2u * WINDOW_RADIUS);
        let p = ssim_partials(vec4f(push(&filter_x, value.x), push(&filter_y, value.y), push(&filter_z, value.z), push(&filter_w, value.w)));
        let base = ((run.channel * size.x + x) * size.y + run.line) * 3u;
        partials[base] = p.x;
        partials[base + 1u] = p.y;
        partials[base + 2u] = p.z;
        total += p.w;
    }
    ssim_parts[share] = total;
}
