// project_backward: per-intersection sums to gradients of the stored parameters.
//
// Threads   one per Gaussian of a chunk (lib/chunk.wgsl); its slots lie side by side and are added in order
//           (dispatched once per depth slice, for the Gaussians that it holds; those in no tile belong to the farthest)
// Reads     geometry [N], splats [N], slot_ranges [N], slots [I, SLOT_FLOATS] and counters of the slice
// Writes    v_geometry [N] as geometry; v_colors [N vec4f]: gradient of the SH colour before its
//           clamp at 0 (the gradient of a coefficient is that times its basis function), and the densify
//           statistic: |v_mean2d| in units of half the image, negative where the Gaussian is not seen;
//           WITH_POSE: v_pose [N], each Gaussian's part of the gradient of cam_from_world's rows
// Note      The gradient through the colour's view direction is added by direction_backward
// Equation  conic = cov2d^-1, so v_cov2d = -conic v_conic conic; cov2d = U U^T, so v_U = 2 v_cov2d U;
//           U = J W R S. gsplat (Ye et al. 2024), appendix, in the same conventions
// Twin      central differences of reference::render

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
    let wide = floored(stored.log_scale_floor);
    let g = Geometry(stored.mean_logit.xyz, stored.mean_logit.w, stored.quat, wide.scale);
    let p = project_gaussian(g, view);
    let conic = p.conic;

    // dL/dsigma = -s at each pixel, sigma = (A dx^2 + C dy^2) / 2 + B dx dy, d = pixel - mean2d.
    let v_mean2d = vec2f(conic.x * sum.d.x + conic.y * sum.d.y, conic.y * sum.d.x + conic.z * sum.d.y);
    let v_conic = vec3f(-0.5 * sum.dd.x, -0.5 * sum.dd.y, -0.5 * sum.dd.z);
    // -Q V Q for the symmetric matrices Q = conic, V = v_conic (off-diagonal entries each hold half).
    let qv = vec4f(
        conic.x * v_conic.x + conic.y * v_conic.y, conic.x * v_conic.y + conic.y * v_conic.z,
        conic.y * v_conic.x + conic.z * v_conic.y, conic.y * v_conic.y + conic.z * v_conic.z,
    );
    var v_cov = -vec3f(
        qv.x * conic.x + qv.y * conic.y,
        qv.x * conic.y + qv.y * conic.z,
        qv.z * conic.y + qv.w * conic.z,
    );

    let opacity = sigmoid(g.opacity_logit);
    let v_logit = sum.s * (1.0 - opacity);
    if (view.antialiased != 0u && p.compensation > COMPENSATION_FLOOR) {
        // compensation = sqrt(det_raw / det): both determinants depend on the covariance.
        let ratio = p.det_raw / p.det;
        let v_ratio = 0.5 * sum.s / max(ratio, 1e-20);
        let raw = p.cov2d - vec3f(BLUR_PX2, 0.0, BLUR_PX2);
        v_cov += v_ratio * (vec3f(raw.z, -raw.y, raw.x) / p.det - ratio * conic);
    }

    let v_ux = 2.0 * (v_cov.x * p.u_x + v_cov.y * p.u_y);
    let v_uy = 2.0 * (v_cov.y * p.u_x + v_cov.z * p.u_y);
    let inv_z = 1.0 / p.mean_cam.z;
    let j = view.focal_px * inv_z;
    // Rows of the gradient of axes_cam, as U_x = jx (axes_x - slope_x axes_z).
    let v_axes_x = j.x * v_ux;
    let v_axes_y = j.y * v_uy;
    let v_axes_z = -(j.x * p.slope.x * v_ux + j.y * p.slope.y * v_uy);
    let axes_z = vec3f(p.axes_cam[0].z, p.axes_cam[1].z, p.axes_cam[2].z);

    var v_mean_cam = vec3f(j * v_mean2d, 0.0);
    v_mean_cam.z = -dot(v_mean_cam.xy, p.mean_cam.xy) * inv_z + sum.depth;
    // jx = fx / z depends on z; the slopes depend on x, y and z unless they are clamped.
    v_mean_cam.z -= (dot(v_ux, p.u_x) + dot(v_uy, p.u_y)) * inv_z;
    let v_slope = select(-j * vec2f(dot(v_ux, axes_z), dot(v_uy, axes_z)), vec2f(0.0), p.slope_held);
    v_mean_cam.x += v_slope.x * inv_z;
    v_mean_cam.y += v_slope.y * inv_z;
    v_mean_cam.z -= dot(v_slope, p.slope) * inv_z;

    // Columns of the gradient of axes_cam = W R S, and of N = R S.
    let v_axes = mat3x3f(
        vec3f(v_axes_x.x, v_axes_y.x, v_axes_z.x),
        vec3f(v_axes_x.y, v_axes_y.y, v_axes_z.y),
        vec3f(v_axes_x.z, v_axes_y.z, v_axes_z.z),
    );
    let world_from_cam = transpose(camera_rotation(view));
    let v_n = world_from_cam * v_axes;
    let v_log_scale = p.scale
        * vec3f(dot(v_n[0], p.rotation[0]), dot(v_n[1], p.rotation[1]), dot(v_n[2], p.rotation[2]));
    let v_rotation = mat3x3f(v_n[0] * p.scale.x, v_n[1] * p.scale.y, v_n[2] * p.scale.z);
    let v_mean = world_from_cam * v_mean_cam;

    // Colour: no gradient where it is clamped at 0.
    let rgb = splats[i].rgb.xyz;
    let v_rgb = select(vec3f(0.0), sum.rgb, rgb > vec3f(0.0));

    v_geometry[i].mean_logit = finite_or_zero4(vec4f(v_mean, v_logit));
    v_geometry[i].quat = finite_or_zero4(quat_gradient(g.quat, v_rotation));
    v_geometry[i].log_scale_floor = finite_or_zero4(vec4f(floored_gradient(wide, v_log_scale, sum.s), 0.0));
    var statistic = length(v_mean2d * vec2f(view.image_size)) * 0.5;
    if (WITH_ABS) {
        statistic = sum.abs * 0.5 * f32(max(view.image_size.x, view.image_size.y));
    }
    v_colors[i] = finite_or_zero4(vec4f(v_rgb, statistic));

    if (WITH_POSE) {
        // point_cam = W point + t; axes_cam = W N.
        let n = mat3x3f(p.rotation[0] * p.scale.x, p.rotation[1] * p.scale.y, p.rotation[2] * p.scale.z);
        let v_w = v_axes * transpose(n);
        for (var row = 0u; row < 3u; row += 1u) {
            let from_axes = vec3f(v_w[0][row], v_w[1][row], v_w[2][row]);
            let v_row = from_axes + v_mean_cam[row] * g.mean;
            v_pose[i].rows[row] = finite_or_zero4(vec4f(v_row, v_mean_cam[row]));
        }
    }
}
