// camera (pinhole form): (x, y) / z.
//
// Twin: lens::LensProjector. The kernel declares `view` and `lens`.

// Projects a point in camera space: x and y are the pixel, z is 1 if the lens maps the point and 0 otherwise.
fn camera_project(p: vec3f) -> vec3f {
    if (!(p.z > 0.0)) {
        return vec3f(0.0);
    }
    return vec3f(lens.focal_px * p.xy / p.z + lens.principal_px, 1.0);
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
