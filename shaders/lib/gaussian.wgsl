// gaussian: a 3-D Gaussian seen by a pinhole camera, to first order (EWA).
//
// Shared by project and project_backward.

struct Geometry {
    mean: vec3f,
    opacity_logit: f32,
    quat: vec4f,
    // Standard deviations.
    scale: vec3f,
}

// Intermediate values of the projection that the gradient needs.
struct Projection {
    mean_cam: vec3f,
    rotation: mat3x3f,
    scale: vec3f,
    // Columns are cam_rotation * rotation * diag(scale).
    axes_cam: mat3x3f,
    // Slopes x/z and y/z, clamped to the Jacobian's limits, and whether they were clamped.
    slope: vec2f,
    slope_held: vec2<bool>,
    // Rows of J * axes_cam: cov2d = U U^T.
    u_x: vec3f,
    u_y: vec3f,
    // Blurred covariance (xx, xy, yy), its determinant and inverse.
    cov2d: vec3f,
    det: f32,
    conic: vec3f,
    // Determinant before the blur, and the opacity factor of the anti-aliased mode.
    det_raw: f32,
    compensation: f32,
}

// EWA Splatting (Zwicker et al. 2002), eq. 29 and 31; the slope limits are those of gsplat.
fn project_gaussian(g: Geometry, view: ViewUniform) -> Projection {
    var p: Projection;
    let cam_rotation = camera_rotation(view);
    p.mean_cam = cam_rotation * g.mean + camera_translation(view);
    p.rotation = rotation_from_quat(unit_quat(g.quat));
    p.scale = g.scale;
    let rotated = cam_rotation * p.rotation;
    p.axes_cam = mat3x3f(rotated[0] * p.scale.x, rotated[1] * p.scale.y, rotated[2] * p.scale.z);

    let inv_z = 1.0 / p.mean_cam.z;
    let slope = p.mean_cam.xy * inv_z;
    p.slope = clamp(slope, view.slope_min, view.slope_max);
    p.slope_held = slope != p.slope;
    let jx = view.focal_px.x * inv_z;
    let jy = view.focal_px.y * inv_z;
    let axes_z = vec3f(p.axes_cam[0].z, p.axes_cam[1].z, p.axes_cam[2].z);
    p.u_x = jx * (vec3f(p.axes_cam[0].x, p.axes_cam[1].x, p.axes_cam[2].x) - p.slope.x * axes_z);
    p.u_y = jy * (vec3f(p.axes_cam[0].y, p.axes_cam[1].y, p.axes_cam[2].y) - p.slope.y * axes_z);

    let raw = vec3f(dot(p.u_x, p.u_x), dot(p.u_x, p.u_y), dot(p.u_y, p.u_y));
    // |u_x x u_y|^2 is the determinant without the cancellation of xx * yy - xy * xy.
    let normal = cross(p.u_x, p.u_y);
    p.det_raw = dot(normal, normal);
    p.cov2d = raw + vec3f(BLUR_PX2, 0.0, BLUR_PX2);
    p.det = p.det_raw + BLUR_PX2 * (raw.x + raw.z) + BLUR_PX2 * BLUR_PX2;
    p.conic = vec3f(p.cov2d.z, -p.cov2d.y, p.cov2d.x) / p.det;
    p.compensation = 1.0;
    if (view.antialiased != 0u) {
        p.compensation = sqrt(max(p.det_raw / p.det, COMPENSATION_FLOOR * COMPENSATION_FLOOR));
    }
    return p;
}

// The anti-aliased mode never scales an opacity by less than this (gsplat).
const COMPENSATION_FLOOR: f32 = 0.005;
