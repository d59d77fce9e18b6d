// camera (division form): undistorted = distorted / (1 + k r^2) (Fitzgibbon 2001).
//
// Twin: lens::LensProjector. The kernel declares `view` and `lens`.

// Projects a point in camera space: x and y are the pixel, z is 1 if the lens maps the point and 0 otherwise.
fn camera_project(p: vec3f) -> vec3f {
    let n = p / length(p);
    let square = n.z * n.z - 4.0 * lens.extra.x * dot(n.xy, n.xy);
    let under = n.z + sqrt(max(square, 0.0));
    if (!(square >= 0.0 && under > 1e-7)) {
        return vec3f(0.0);
    }
    return vec3f(lens.focal_px * n.xy * (2.0 / under) + lens.principal_px, 1.0);
}

// Offset from pixel `b` to pixel `a`.
fn camera_offset(a: vec2f, b: vec2f) -> vec2f {
    return a - b;
}

// Clips a box to the image.
fn camera_clip(box: vec4f) -> vec4f {
    return vec4f(max(box.xy, vec2f(0.0)), min(box.zw, vec2f(view.image_size)));
}

// No widening: this model has no singular point inside the image.
fn camera_widen(box: vec4f, mean: vec3f, sine: f32) -> vec4f {
    return box;
}
