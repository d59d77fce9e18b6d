// sh_gradient: gradients of the spherical harmonics of one colour channel, for callers with their own loss.
//
// Threads   one per Gaussian of a chunk (lib/chunk.wgsl); dispatched once per channel (CHANNEL)
// Reads     geometry [N], v_colors [N vec4f]
// Writes    v_sh [N,K]; adam_sh applies the same product without storing it

override CHANNEL: u32 = 0u;

@group(0) @binding(0) var<uniform> view: ViewUniform;
@group(0) @binding(1) var<storage, read> geometry: array<Gaussian>;
@group(0) @binding(2) var<storage, read> v_colors: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> v_sh: array<f32>;
@group(0) @binding(4) var<uniform> chunk: Chunk;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if (i >= chunk.count) {
        return;
    }
    let offset = geometry[i].mean_logit.xyz - view.camera_centre.xyz;
    let basis = sh_basis(offset * inverseSqrt(max(dot(offset, offset), 1e-30)), view.sh_degree);
    let v_color = v_colors[i][CHANNEL];
    let base = i * view.sh_stride;
    for (var k = 0u; k < view.sh_stride; k += 1u) {
        // What is not drawn has no gradient, even where its direction is not a number.
        v_sh[base + k] = select(v_color * basis[k], 0.0, v_color == 0.0);
    }
}
