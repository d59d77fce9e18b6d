// project: projects every Gaussian to its 2-D footprint in one view.
//
// Threads   one per Gaussian of a chunk (lib/chunk.wgsl)
// Reads     geometry [N], sh_r, sh_g, sh_b [N,K]
// Writes    splats [N] (lib/splat_ewa.wgsl); depth_keys [N] (all bits set where the Gaussian is not seen)
// Equation  Zwicker et al. 2002, eq. 29 and 31; colour = max(SH(direction) + 0.5, 0)
// Twin      reference::project; gradient in project_backward

@group(0) @binding(0) var<uniform> view: ViewUniform;
@group(0) @binding(1) var<storage, read> geometry: array<Gaussian>;
@group(0) @binding(2) var<storage, read> sh_r: array<f32>;
@group(0) @binding(3) var<storage, read> sh_g: array<f32>;
@group(0) @binding(4) var<storage, read> sh_b: array<f32>;
@group(0) @binding(5) var<storage, read_write> splats: array<Splat>;
@group(0) @binding(6) var<storage, read_write> depth_keys: array<u32>;
@group(0) @binding(7) var<storage, read_write> sort_values: array<u32>;
@group(0) @binding(8) var<uniform> chunk: Chunk;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if (i >= chunk.count) {
        return;
    }
    depth_keys[i] = 0xffffffffu;
    sort_values[i] = chunk.first + i;

    let stored = geometry[i];
    let wide = floored(stored.log_scale_floor);
    let g = Geometry(stored.mean_logit.xyz, stored.mean_logit.w, stored.quat, wide.scale);
    let p = project_gaussian(g, view);
    let depth = p.mean_cam.z;
    if (!(depth > view.near_world && depth < view.far_world)) {
        return;
    }
    let mean2d = view.focal_px * p.mean_cam.xy / depth + view.principal_px;
    let opacity = sigmoid(g.opacity_logit) * wide.opacity * p.compensation;
    if (!(opacity >= ALPHA_FLOOR) || !is_finite(opacity)) {
        return;
    }
    if (!(p.det > 0.0) || !is_finite(p.det) || !is_finite3(p.conic) || !is_finite3(p.cov2d)
        || !is_finite(mean2d.x) || !is_finite(mean2d.y)) {
        return;
    }
    // Where alpha >= 1/255: d^T conic d <= 2 ln(255 opacity), whose box has these half-extents.
    let bound = max(2.0 * LN_2 * (log2(opacity) - LOG2_ALPHA_FLOOR), 0.0);
    let extent = sqrt(bound * p.cov2d.xz) + vec2f(1.0);
    let size = vec2f(view.image_size);
    if (!(mean2d.x + extent.x > 0.0 && mean2d.x - extent.x < size.x
        && mean2d.y + extent.y > 0.0 && mean2d.y - extent.y < size.y)) {
        return;
    }

    let offset = g.mean - view.camera_centre.xyz;
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

    splats[i].mean2d_conic = vec4f(mean2d, p.conic.xy);
    splats[i].conic_opacity_depth = vec4f(p.conic.z, log2(opacity), depth, 0.0);
    splats[i].rgb = vec4f(rgb, 0.0);
    // Positive floats sort like their bits.
    depth_keys[i] = bitcast<u32>(depth);
}
