// ssim_columns: local moments of the brightness of render and photo, first along columns.
//
// Threads   one per run of RUN pixels of a column
// Reads     frame [H*W vec4f], photo [H*W] packed
// Writes    moments [W*H vec4f], by columns: the windowed sums of x, y, x^2 + y^2, x y
// Source    Wang et al. 2004; sigma_x^2 and sigma_y^2 enter SSIM only as their sum, so one map serves both
// Departs   SSIM is taken of the brightness, as in that paper, where the 3DGS authors take it of each channel:
//           a third of the work. Outside the image counts as 0 ("same" padding), as in the 3DGS authors' code;
//           where a mask is black the render counts as equal to the photo

@group(0) @binding(0) var<uniform> view: ViewUniform;
@group(0) @binding(1) var<uniform> train: TrainUniform;
@group(0) @binding(2) var<storage, read> frame: array<vec4f>;
@group(0) @binding(3) var<storage, read> photo: array<u32>;
@group(0) @binding(4) var<storage, read_write> moments: array<vec4f>;

fn moments_at(run: Run, tap: u32) -> vec4f {
    let size = view.image_size;
    // Above the image this wraps around to a huge number, which is outside as well.
    let y = run.first + tap - WINDOW_RADIUS;
    if (y >= size.y) {
        return vec4f(0.0);
    }
    let index = y * size.x + run.line;
    let gain = gain_at(train, vec2u(run.line, y), size);
    let wanted = wanted_color(photo[index], train.alpha_mode, gain * view.background.xyz);
    let b = dot(LUMA, wanted.xyz);
    let a = mix(b, dot(LUMA, gain * frame[index].xyz), wanted.w);
    return vec4f(a, b, a * a + b * b, a * b);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let size = view.image_size;
    let run = run_of(id.x + id.y * groups.x * 64u, size.x, size.y);
    if (run.idle) {
        return;
    }
    var filter_x: Filter;
    var filter_y: Filter;
    var filter_z: Filter;
    var filter_w: Filter;
    for (var tap = 0u; tap < 2u * WINDOW_RADIUS; tap += 1u) {
        let m = moments_at(run, tap);
        push(&filter_x, m.x);
        push(&filter_y, m.y);
        push(&filter_z, m.z);
        push(&filter_w, m.w);
    }
    let end = min(run.first + RUN, size.y);
    for (var y = run.first; y < end; y += 1u) {
        let m = moments_at(run, y - run.first + 2u * WINDOW_RADIUS);
        moments[run.line * size.y + y] =
            vec4f(push(&filter_x, m.x), push(&filter_y, m.y), push(&filter_z, m.z), push(&filter_w, m.w));
    }
}
