// adam_sh: one optimizer step of the spherical harmonics of one colour channel.
//
// Threads   one per Gaussian of a chunk (lib/chunk.wgsl); dispatched once per channel (CHANNEL)
// Note      For software drivers with small subgroups; adam_sh_lines is the form for GPUs, where coalesced memory access matters
// Reads     geometry [N], v_colors [N vec4f], counters
// Writes    sh, moment1, moment2 [N,K]
// Equation  dL/dcoefficient_k = basis_k(direction) v_color: the gradient itself is never stored. The
//           direction is the one that the view was projected with, so this runs before adam_geometry

override CHANNEL: u32 = 0u;

@group(0) @binding(0) var<uniform> view: ViewUniform;
@group(0) @binding(1) var<uniform> train: TrainUniform;
@group(0) @binding(2) var<storage, read> counters: Counters;
@group(0) @binding(3) var<storage, read> geometry: array<Gaussian>;
@group(0) @binding(4) var<storage, read> v_colors: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> sh: array<f32>;
@group(0) @binding(6) var<storage, read_write> moment1: array<f32>;
@group(0) @binding(7) var<storage, read_write> moment2: array<f32>;
@group(0) @binding(8) var<uniform> chunk: Chunk;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if (i >= chunk.count || counters.overflowed != 0u) {
        return;
    }
    let offset = geometry[i].mean_logit.xyz - view.camera_centre.xyz;
    let degree = bounded_degree(view.sh_degree, arrayLength(&sh));
    let basis = sh_basis(offset * inverseSqrt(max(dot(offset, offset), 1e-30)), degree);
    let v_color = v_colors[i][CHANNEL];
    let used = (degree + 1u) * (degree + 1u);
    let base = i * view.sh_stride;
    for (var k = 0u; k < used; k += 1u) {
        step_coefficient(base + k, k, v_color * basis[k]);
    }
}
