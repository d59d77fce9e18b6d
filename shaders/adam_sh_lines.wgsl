// adam_sh_lines: as adam_sh, with coalesced memory access: 6 times as fast on an H100.
//
// Threads   64 per 64 Gaussians of a chunk (lib/chunk.wgsl): first one per Gaussian, then one per coefficient; dispatched once per channel (CHANNEL)
// Reads     geometry [N], v_colors [N vec4f], counters
// Writes    sh, moment1, moment2 [N,K]
// Shared    the gradients of the group's coefficients
// Equation  dL/dcoefficient_k = basis_k(direction) v_color: the gradient itself is never stored. The
//           direction is the one that the view was projected with, so this runs before adam_geometry

override CHANNEL: u32 = 0u;
// `view.sh_stride` (stored coefficients per channel) as a constant, which makes divisions by it cheap.
override STRIDE: u32 = 16u;

@group(0) @binding(0) var<uniform> view: ViewUniform;
@group(0) @binding(1) var<uniform> train: TrainUniform;
@group(0) @binding(2) var<storage, read> counters: Counters;
@group(0) @binding(3) var<storage, read> geometry: array<Gaussian>;
@group(0) @binding(4) var<storage, read> v_colors: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> sh: array<f32>;
@group(0) @binding(6) var<storage, read_write> moment1: array<f32>;
@group(0) @binding(7) var<storage, read_write> moment2: array<f32>;
@group(0) @binding(8) var<uniform> chunk: Chunk;

// Gradients of the group's coefficients, [16, GROUP], padded by one column to avoid bank conflicts.
const GROUP: u32 = 64u;
const COLUMNS: u32 = GROUP + 1u;
var<workgroup> gradients: array<f32, 16u * COLUMNS>;

@compute @workgroup_size(GROUP)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    if (counters.overflowed != 0u) {
        return;
    }
    let first = (group.x + group.y * groups.x) * GROUP;
    let i = first + lane;
    let used = (view.sh_degree + 1u) * (view.sh_degree + 1u);
    if (i < chunk.count) {
        let offset = geometry[i].mean_logit.xyz - view.camera_centre.xyz;
        let basis = sh_basis(offset * inverseSqrt(max(dot(offset, offset), 1e-30)), view.sh_degree);
        let v_color = v_colors[i][CHANNEL];
        for (var k = 0u; k < used; k += 1u) {
            gradients[k * COLUMNS + lane] = v_color * basis[k];
        }
    }
    workgroupBarrier();
    // Neighbouring invocations take neighbouring coefficients, so that accesses coalesce.
    let members = min(GROUP, chunk.count - min(first, chunk.count));
    for (var at = lane; at < members * STRIDE; at += GROUP) {
        let k = at % STRIDE;
        if (k >= used) {
            continue;
        }
        step_coefficient(first * STRIDE + at, k, gradients[k * COLUMNS + at / STRIDE]);
    }
}
