// direction_backward: gradient of the colour through the view direction, to mean and pose.
//
// Threads   one per Gaussian of a chunk (lib/chunk.wgsl); dispatched only when the SH degree in use is above 0
// Reads     geometry [N], sh_r, sh_g, sh_b [N,K], v_colors [N vec4f] (w < 0: not seen)
// Writes    adds to v_geometry's mean and, WITH_POSE, to v_pose
// Equation  direction = (mean - centre) / |mean - centre|, centre = -W^T t

@group(0) @binding(0) var<uniform> view: ViewUniform;
@group(0) @binding(1) var<storage, read> geometry: array<Gaussian>;
@group(0) @binding(2) var<storage, read> sh_r: array<f32>;
@group(0) @binding(3) var<storage, read> sh_g: array<f32>;
@group(0) @binding(4) var<storage, read> sh_b: array<f32>;
@group(0) @binding(5) var<storage, read> v_colors: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> v_geometry: array<Gaussian>;
@group(0) @binding(7) var<storage, read_write> v_pose: array<PoseGradient>;
@group(0) @binding(8) var<uniform> chunk: Chunk;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if (i >= chunk.count) {
        return;
    }
    let v_color = v_colors[i];
    if (v_color.w < 0.0) {
        return;
    }
    let offset = geometry[i].mean_logit.xyz - view.camera_centre.xyz;
    let inv_distance = inverseSqrt(max(dot(offset, offset), 1e-30));
    let direction = offset * inv_distance;
    let degree = bounded_degree(view.sh_degree, arrayLength(&sh_r));
    let used = (degree + 1u) * (degree + 1u);
    let base = i * view.sh_stride;
    var weights: array<f32, 16>;
    for (var k = 0u; k < used; k += 1u) {
        weights[k] = dot(v_color.xyz, vec3f(sh_r[base + k], sh_g[base + k], sh_b[base + k]));
    }
    let v_direction = sh_basis_gradient(direction, degree, weights);
    let v_mean = (v_direction - dot(v_direction, direction) * direction) * inv_distance;
    if (!is_finite3(v_mean)) {
        return;
    }
    v_geometry[i].mean_logit += vec4f(v_mean, 0.0);
    if (WITH_POSE) {
        let t = camera_translation(view);
        let v_t = camera_rotation(view) * v_mean;
        // Not a loop: see bounded_degree.
        v_pose[i].rows[0] += vec4f(t.x * v_mean, v_t.x);
        v_pose[i].rows[1] += vec4f(t.y * v_mean, v_t.y);
        v_pose[i].rows[2] += vec4f(t.z * v_mean, v_t.z);
    }
}
