// project_gut: every Gaussian's bounding box in the image, by the unscented transform, and its response along rays (3DGUT).
//
// Threads   one per Gaussian of a chunk (lib/chunk.wgsl)
// Reads     geometry [N], sh_r, sh_g, sh_b [N,K]
// Writes    splats [N] (lib/splat_gut.wgsl); depth_keys [N] (all bits set where the Gaussian is not seen)
// Equation  Wu et al. 2025, section 3.2, with gsplat's alpha = 0.1, beta = 2, kappa = 0: 7 sigma points go through the
//           camera model (lib/camera_*.wgsl and lib/shutter_*.wgsl are chosen when the pipeline is made); no Jacobian is
//           needed. Coefficients: lib/ray_quadric.wgsl
// Departs   a sigma point that the lens does not map is mirrored from the opposite one instead of counting as pixel (0,0);
//           where neither is mapped, or the camera is inside the Gaussian, the box is the whole image. Boxes are widened
//           where a near Gaussian's outline is larger than its linearisation. Both prevent visible parts from being cut off
// Twin      reference::gut; gradient in project_backward_gut

@group(0) @binding(0) var<uniform> view: ViewUniform;
@group(0) @binding(1) var<storage, read> geometry: array<Gaussian>;
@group(0) @binding(2) var<storage, read> sh_r: array<f32>;
@group(0) @binding(3) var<storage, read> sh_g: array<f32>;
@group(0) @binding(4) var<storage, read> sh_b: array<f32>;
@group(0) @binding(5) var<storage, read_write> splats: array<Splat>;
@group(0) @binding(6) var<storage, read_write> depth_keys: array<u32>;
@group(0) @binding(7) var<storage, read_write> sort_values: array<u32>;
@group(0) @binding(8) var<uniform> lens: LensUniform;
@group(0) @binding(9) var<uniform> chunk: Chunk;

// lambda = alpha^2 (3 + kappa) - 3 and 3 + lambda.
const SPREAD_SQUARED: f32 = 0.03;
// Weight of each of the six outer points.
const OUTER_WEIGHT: f32 = 16.666667;
// Weight of the centre in the covariance: lambda / (3 + lambda) + 1 - alpha^2 + beta.
const CENTRE_WEIGHT: f32 = -96.01;
// Low and high corner of the region where |c|^2 may be at most `bound`.
fn unscented_box(c: RayQuadric, sight: Sight, scale: vec3f, bound: f32) -> vec4f {
    let centre = sight.image.xy;
    // Seen from near, an ellipsoid's outline is wider than its first-order projection by this factor.
    let room = 1.0 - bound / c.distance_squared;
    if (!(room > 0.01)) {
        return vec4f(-EVERYWHERE, -EVERYWHERE, EVERYWHERE, EVERYWHERE);
    }
    let spread = sqrt(SPREAD_SQUARED) * scale;
    var offsets: array<vec2f, 6>;
    var shift = vec2f(0.0);
    var blind = false;
    for (var axis = 0u; axis < 3u; axis += 1u) {
        let step = c.axes[axis] * spread[axis];
        let above = sight_of(c.mean + step).image;
        let below = sight_of(c.mean - step).image;
        var up = camera_offset(above.xy, centre);
        var down = camera_offset(below.xy, centre);
        up = select(-down, up, above.z > 0.0);
        down = select(-up, down, below.z > 0.0);
        blind = blind || (above.z <= 0.0 && below.z <= 0.0);
        offsets[axis * 2u] = up;
        offsets[axis * 2u + 1u] = down;
        shift += up + down;
    }
    if (blind) {
        return vec4f(-EVERYWHERE, -EVERYWHERE, EVERYWHERE, EVERYWHERE);
    }
    // The weights sum to 1, so the mean can be taken relative to the centre, which avoids cancellation.
    let mean = OUTER_WEIGHT * shift;
    var variance = CENTRE_WEIGHT * mean * mean;
    for (var i = 0u; i < 6u; i += 1u) {
        let d = offsets[i] - mean;
        variance += OUTER_WEIGHT * d * d;
    }
    variance = max(variance, vec2f(0.0)) + vec2f(BLUR_PX2);
    let extent = sqrt(bound / room * variance);
    let box = vec4f(centre + mean - extent, centre + mean + extent);
    return camera_widen(box, sight.point, sqrt(bound) * c.size / length(c.mean));
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if (i >= chunk.count) {
        return;
    }
    depth_keys[i] = 0xffffffffu;
    sort_values[i] = chunk.first + i;

    let stored = geometry[i];
    let quat = unit_quat(stored.quat);
    let wide = floored(stored.log_scale_floor);
    let scale = wide.scale;
    let cam_rotation = camera_rotation(view);
    let mean = cam_rotation * stored.mean_logit.xyz + camera_translation(view);
    let depth = camera_depth(mean);
    if (!(depth > view.near_world && depth < view.far_world)) {
        return;
    }
    let opacity = sigmoid(stored.mean_logit.w) * wide.opacity;
    if (!(opacity >= ALPHA_FLOOR) || !is_finite(opacity)) {
        return;
    }
    let sight = sight_of(mean);
    let centre = sight.image;
    if (!(centre.z > 0.0)) {
        return;
    }
    let c = ray_quadric(mean, cam_rotation * rotation_from_quat(quat), scale, frame_across(mean));
    let numerator = quadric_numerator(c);
    let linear = quadric_linear(c);
    let quadratic = quadric_quadratic(c);
    if (!(c.under > 0.0) || !is_finite3(numerator) || !is_finite3(vec3f(linear, c.under)) || !is_finite3(quadratic)
        || !is_finite(centre.x) || !is_finite(centre.y)) {
        return;
    }
    // Where alpha >= 1/255: |c|^2 <= 2 ln(255 opacity), slightly enlarged against rounding.
    let bound = max(2.0 * LN_2 * (log2(opacity) - LOG2_ALPHA_FLOOR), 0.0) * 1.0005 + 1e-4;
    let box = camera_clip(unscented_box(c, sight, scale, bound));
    if (!(box.x < box.z && box.y < box.w)) {
        return;
    }

    let offset = stored.mean_logit.xyz - view.camera_centre.xyz;
    let direction = offset * inverseSqrt(max(dot(offset, offset), 1e-30));
    let degree = bounded_degree(view.sh_degree, arrayLength(&sh_r));
    let basis = sh_basis(direction, degree);
    let used = (degree + 1u) * (degree + 1u);
    var rgb = vec3f(0.5);
    let base = i * view.sh_stride;
    for (var k = 0u; k < used; k += 1u) {
        rgb += basis[k] * vec3f(sh_r[base + k], sh_g[base + k], sh_b[base + k]);
    }
    if (!is_finite3(rgb)) {
        return;
    }
    rgb = max(rgb, vec3f(0.0));

    splats[i].box = box;
    splats[i].quadratic_depth = vec4f(quadratic, depth);
    if (ROLLING) {
        let form = quadric_lever_form(c);
        splats[i].response_a = vec4f(form.plane, log2(opacity));
        splats[i].response_b = vec4f(form.along, 1.0 / length(mean));
        splats[i].rgb_linear = vec4f(rgb, linear.x);
        splats[i].across_linear = vec4f(c.frame[0], linear.y);
        splats[i].ahead = vec4f(c.frame[2], 0.0);
    } else {
        splats[i].response_a = vec4f(centre.xy, numerator.xy);
        splats[i].response_b = vec4f(numerator.z, linear, log2(opacity));
        splats[i].rgb_linear = vec4f(rgb, 0.0);
        if (RAY_TABLE) {
            splats[i].across_linear = vec4f(c.frame[0], 0.0);
            splats[i].ahead = vec4f(c.frame[2], 0.0);
        }
    }
    // Positive floats sort like their bits.
    depth_keys[i] = bitcast<u32>(depth);
}
