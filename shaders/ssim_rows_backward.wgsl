// ssim_rows_backward: SSIM's partial derivatives spread along rows.
//
// Threads   one a run of RUN pixels of a row of one channel
// Reads     partials [3, W*H, 3] from ssim_rows, by columns
// Writes    spread [3, H*W, 3], by rows: the same three maps, windowed along the row
// Note      The window is symmetric, so the gradient of a windowed sum is the windowed sum of gradients

@group(0) @binding(0) var<uniform> view: ViewUniform;
@group(0) @binding(1) var<storage, read> partials: array<f32>;
@group(0) @binding(2) var<storage, read_write> spread: array<f32>;

fn input(run: Run, tap: u32) -> vec3f {
    let size = view.image_size;
    let x = run.first + tap - WINDOW_RADIUS;
    if (x >= size.x) {
        return vec3f(0.0);
    }
    let base = ((run.channel * size.x + x) * size.y + run.line) * 3u;
    return vec3f(partials[base], partials[base + 1u], partials[base + 2u]);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let size = view.image_size;
    let run = run_of(id.x + id.y * groups.x * 64u, size.y, size.x);
    if (run.idle) {
        return;
    }
    var filter_x: Filter;
    var filter_y: Filter;
    var filter_z: Filter;
    for (var tap = 0u; tap < 2u * WINDOW_RADIUS; tap += 1u) {
        let value = input(run, tap);
        push(&filter_x, value.x);
        push(&filter_y, value.y);
        push(&filter_z, value.z);
    }
    let end = min(run.first + RUN, size.x);
    for (var x = run.first; x < end; x += 1u) {
        let value = input(run, x - run.first + 2u * WINDOW_RADIUS);
        let sum = vec3f(push(&filter_x, value.x), push(&filter_y, value.y), push(&filter_z, value.z));
        let base = ((run.channel * size.y + run.line) * size.x + x) * 3u;
        spread[base] = sum.x;
        spread[base + 1u] = sum.y;
        spread[base + 2u] = sum.z;
    }
}
