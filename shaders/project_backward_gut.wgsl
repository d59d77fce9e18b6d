// project_backward_gut: per-intersection sums to gradients of the stored parameters (3DGUT).
//
// Threads   one per Gaussian of a chunk (lib/chunk.wgsl); its slots lie side by side and are added in order
//           (dispatched once per depth slice, for the Gaussians that it holds; those in no tile belong to the farthest)
// Reads     geometry [N], splats [N], slot_ranges [N], slots [I, SLOT_FLOATS] and counters of the slice
// Writes    v_geometry [N] as geometry; v_colors [N vec4f]: gradient of the SH colour before its
//           clamp at 0 (the gradient of a coefficient is that times its basis function), and the densify
//           statistic: |v_mean| times half the distance to the camera (3dgrut), negative where the Gaussian is not seen;
//           WITH_POSE: v_pose [N], each Gaussian's part of the gradient of cam_from_world's rows
// Note      The gradient through the colour's view direction is added by direction_backward. Boxes and order have no
//           gradient, and neither has the camera model: rays are fixed, Gaussians move
// Equation  With N and D the numerator and denominator of lib/ray_quadric.wgsl at each pixel and s = alpha dL/dalpha:
//           v_N = -s / (2 D), v_D = s N / (2 D^2); N = q^T Sigma q, q = d x p, so v_Sigma = sum v_N q q^T and
//           v_p = 2 sum v_N (Sigma q) x d; D = d^T adj d, so v_adj = sum v_D d d^T; both are R diag R^T
//           (lib/ray_quadric_gradient_*.wgsl)
// Twin      central differences of reference::gut

@group(0) @binding(0) var<uniform> view: ViewUniform;
@group(0) @binding(1) var<storage, read> geometry: array<Gaussian>;
@group(0) @binding(2) var<storage, read> splats: array<Splat>;
@group(0) @binding(3) var<storage, read> slot_ranges: array<vec2u>;
@group(0) @binding(4) var<storage, read> slots: array<f32>;
@group(0) @binding(5) var<storage, read_write> v_geometry: array<Gaussian>;
@group(0) @binding(6) var<storage, read_write> v_colors: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> v_pose: array<PoseGradient>;
@group(0) @binding(8) var<uniform> slice: Counters;
@group(0) @binding(9) var<uniform> chunk: Chunk;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if (i >= chunk.count) {
        return;
    }
    let range = slot_ranges[i];
    if (range.y == 0u) {
        if ((slice.place & SLICE_FARTHEST) == 0u) {
            return;
        }
        v_geometry[i] = Gaussian();
        v_colors[i] = vec4f(0.0, 0.0, 0.0, -1.0);
        if (WITH_POSE) {
            v_pose[i] = PoseGradient();
        }
        return;
    }
    // Beyond the slice's for a Gaussian of a nearer slice, too: the difference wraps.
    let first = range.x - slice.first_isect;
    if (first >= slice.isects) {
        return;
    }
    var words: array<f32, SLOT_FLOATS>;
    for (var word = 0u; word < SLOT_FLOATS; word += 1u) {
        words[word] = 0.0;
    }
    for (var slot = first; slot < first + range.y; slot += 1u) {
        for (var word = 0u; word < SLOT_FLOATS; word += 1u) {
            words[word] += slots[slot * SLOT_FLOATS + word];
        }
    }
    let sum = unpack_slot(words);

    let stored = geometry[i];
    let raw_quat = stored.quat;
    let wide = floored(stored.log_scale_floor);
    let scale = wide.scale;
    let cam_rotation = camera_rotation(view);
    let rotation = rotation_from_quat(unit_quat(raw_quat));
    let mean = cam_rotation * stored.mean_logit.xyz + camera_translation(view);
    var across = frame_across(mean);
    if (RAY_TABLE) {
        // The axis that the sums were taken in. Recomputing it could choose another one by rounding.
        across = splats[i].across_linear.xyz;
    }
    let c = ray_quadric(mean, cam_rotation * rotation, scale, across);

    let v_logit = sum.s * (1.0 - sigmoid(stored.mean_logit.w));
    let v = quadric_gradient(c, sum);
    let v_mean_cam = v.mean + sum.depth * camera_depth_gradient(mean);

    let world_from_cam = transpose(cam_rotation);
    let v_mean = world_from_cam * v_mean_cam;
    let v_rotation = world_from_cam * v.axes;

    // Colour: no gradient where it is clamped at 0.
    let rgb = splats[i].rgb_linear.xyz;
    let v_rgb = select(vec3f(0.0), sum.rgb, rgb > vec3f(0.0));

    v_geometry[i].mean_logit = finite_or_zero4(vec4f(v_mean, v_logit));
    v_geometry[i].quat = finite_or_zero4(quat_gradient(raw_quat, v_rotation));
    v_geometry[i].log_scale_floor = finite_or_zero4(vec4f(floored_gradient(wide, v.log_scale, sum.s), 0.0));
    v_colors[i] = finite_or_zero4(vec4f(v_rgb, 0.5 * length(v_mean) * length(mean)));

    if (WITH_POSE) {
        // point_cam = W point + t; axes = W R. With a rolling shutter the gradient by way of rays is accumulated per ray
        // (lib/response_rolling.wgsl), and only depth depends on this pose.
        let v_point = select(v_mean_cam, sum.depth * camera_depth_gradient(mean), ROLLING);
        var v_w = v.axes * transpose(rotation);
        if (ROLLING) {
            v_w = mat3x3f();
        }
        for (var row = 0u; row < 3u; row += 1u) {
            let from_axes = vec3f(v_w[0][row], v_w[1][row], v_w[2][row]);
            let v_row = from_axes + v_point[row] * stored.mean_logit.xyz;
            v_pose[i].rows[row] = finite_or_zero4(vec4f(v_row, v_point[row]));
        }
    }
}
