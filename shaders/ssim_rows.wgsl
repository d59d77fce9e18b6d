// ssim_rows: local moments of render and photo, first along rows.
//
// Threads   one a run of RUN pixels of a row
// Reads     frame [H*W vec4f], photo [H*W] packed
// Writes    moments [H*W, 3 vec4f]: per channel the windowed sums of x, y, x^2 + y^2, x y
// Source    Wang et al. 2004; sigma_x^2 and sigma_y^2 enter SSIM only as their sum, so one map serves both
// Departs   outside the image counts as 0 ("same" padding), as in the 3DGS authors' code; where a mask is
//           black the render is taken to equal the photo

@group(0) @binding(0) var<uniform> view: ViewUniform;
@group(0) @binding(1) var<uniform> train: TrainUniform;
@group(0) @binding(2) var<storage, read> frame: array<vec4f>;
@group(0) @binding(3) var<storage, read> photo: array<u32>;
@group(0) @binding(4) var<storage, read_write> moments: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let size = view.image_size;
    let runs = (size.x + RUN - 1u) / RUN;
    let run = id.x + id.y * groups.x * 64u;
    if (run >= runs * size.y) {
        return;
    }
    let y = run / runs;
    let x0 = (run % runs) * RUN;
    var sums: array<vec4f, RUN * 3u>;
    for (var k = 0u; k < RUN * 3u; k += 1u) {
        sums[k] = vec4f(0.0);
    }
    for (var tap = 0u; tap < RUN_INPUTS; tap += 1u) {
        let x = x0 + tap - WINDOW_RADIUS;
        // A tap left of the image wraps to a huge number and reads as outside.
        if (x < size.x) {
            let index = y * size.x + x;
            let wanted = target_color(photo[index], train.alpha_mode, view.background.xyz);
            let a = mix(wanted.xyz, frame[index].xyz, wanted.w);
            let b = wanted.xyz;
            let squares = a * a + b * b;
            let product = a * b;
            for (var out = 0u; out < RUN; out += 1u) {
                if (tap >= out && tap - out < WINDOW) {
                    let w = WINDOW_WEIGHTS[tap - out];
                    sums[out * 3u] += w * vec4f(a.x, b.x, squares.x, product.x);
                    sums[out * 3u + 1u] += w * vec4f(a.y, b.y, squares.y, product.y);
                    sums[out * 3u + 2u] += w * vec4f(a.z, b.z, squares.z, product.z);
                }
            }
        }
    }
    for (var out = 0u; out < RUN; out += 1u) {
        if (x0 + out < size.x) {
            let base = (y * size.x + x0 + out) * 3u;
            moments[base] = sums[out * 3u];
            moments[base + 1u] = sums[out * 3u + 1u];
            moments[base + 2u] = sums[out * 3u + 2u];
        }
    }
}
