// ssim_rows: local moments along rows, SSIM at every pixel, its partial derivatives, and the latter filtered along rows.
//
// Threads   one per run of RUN pixels of a row; it loads 2 WINDOW_RADIUS more on either side
// Reads     moments [W*H vec4f] from ssim_columns, by columns
// Writes    spread [H*W, 3], by rows: dS/dmu_x, dS/dE[x^2 + y^2], dS/dE[x y], windowed along the row;
//           ssim_parts [runs]: sum of S over the run
// Equation  S = A B / (C D), A = 2 mu_x mu_y + C1, B = 2 sigma_xy + C2, C = mu_x^2 + mu_y^2 + C1,
//           D = sigma_x^2 + sigma_y^2 + C2   (Wang et al. 2004, eq. 13)
// Note      The window is symmetric, so the gradient of a windowed sum is the windowed sum of gradients

@group(0) @binding(0) var<uniform> view: ViewUniform;
@group(0) @binding(1) var<storage, read> moments: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> spread: array<f32>;
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
    let share = id.x + id.y * groups.x * 64u;
    let run = run_of(share, size.y, size.x);
    if (run.idle) {
        return;
    }
    var filter_x: Filter;
    var filter_y: Filter;
    var filter_z: Filter;
    var filter_w: Filter;
    var spread_x: Filter;
    var spread_y: Filter;
    var spread_z: Filter;
    var total = 0.0;
    let end = min(run.first + RUN, size.x);
    // An iteration reads moments 2 WINDOW_RADIUS pixels ahead of what it writes. Left of the image positions wrap
    // around to huge numbers, which are outside as well.
    for (var ahead = run.first - 2u * WINDOW_RADIUS; ahead != end + 2u * WINDOW_RADIUS; ahead += 1u) {
        var m = vec4f(0.0);
        if (ahead < size.x) {
            m = moments[ahead * size.y + run.line];
        }
        m = vec4f(push(&filter_x, m.x), push(&filter_y, m.y), push(&filter_z, m.z), push(&filter_w, m.w));
        let centre = ahead - WINDOW_RADIUS;
        let p = ssim_partials(m) * select(0.0, 1.0, centre < size.x);
        total += select(0.0, p.w, centre >= run.first && centre < end);
        let s = vec3f(push(&spread_x, p.x), push(&spread_y, p.y), push(&spread_z, p.z));
        let x = ahead - 2u * WINDOW_RADIUS;
        if (x >= run.first && x < end) {
            let base = (run.line * size.x + x) * 3u;
            spread[base] = s.x;
            spread[base + 1u] = s.y;
            spread[base + 2u] = s.z;
        }
    }
    ssim_parts[share] = total;
}
