// ssim_rows_backward: SSIM's partial derivatives spread along rows.
//
// Threads   one a run of RUN pixels of a row
// Reads     partials [H*W, 3 vec4f] from ssim_columns
// Writes    spread [H*W, 3 vec4f], the same three maps a channel, windowed along the row
// Note      The window is symmetric, so the gradient of a windowed sum is the windowed sum of gradients

@group(0) @binding(0) var<uniform> view: ViewUniform;
@group(0) @binding(1) var<storage, read> partials: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> spread: array<vec4f>;

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
    var sums: array<vec3f, RUN * 3u>;
    for (var k = 0u; k < RUN * 3u; k += 1u) {
        sums[k] = vec3f(0.0);
    }
    for (var tap = 0u; tap < RUN_INPUTS; tap += 1u) {
        let x = x0 + tap - WINDOW_RADIUS;
        if (x < size.x) {
            let base = (y * size.x + x) * 3u;
            let p0 = partials[base].xyz;
            let p1 = partials[base + 1u].xyz;
            let p2 = partials[base + 2u].xyz;
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
    for (var out = 0u; out < RUN; out += 1u) {
        if (x0 + out < size.x) {
            let base = (y * size.x + x0 + out) * 3u;
            spread[base] = vec4f(sums[out * 3u], 0.0);
            spread[base + 1u] = vec4f(sums[out * 3u + 1u], 0.0);
            spread[base + 2u] = vec4f(sums[out * 3u + 2u], 0.0);
        }
    }
}
