// camera (perspective form): (x, y) / z, then polynomials: radial, OpenCV, full OpenCV.
//
// Twin: lens::LensProjector. The kernel declares `view` and `lens`.

// Radial polynomial r N(r^2) / D(r^2) plus decentring and thin-prism shifts; z is 0 beyond the radius where the map folds back.
fn distort(at: vec2f) -> vec3f {
    let s = dot(at, at);
    if (!(s <= lens.limit * lens.limit)) {
        return vec3f(0.0);
    }
    let n = lens.numerator;
    let over = 1.0 + s * (n.x + s * (n.y + s * (n.z + s * (n.w + s * (lens.numerator5 + s * lens.numerator6)))));
    let under = 1.0 + s * (lens.denominator.x + s * (lens.denominator.y + s * lens.denominator.z));
    let radial = at * (over / under);
    let q = select(at, radial, lens.shift_after_radial > 0.0);
    let t = dot(q, q);
    let p1 = lens.decentring.x;
    let p2 = lens.decentring.y;
    let shift = vec2f(
        2.0 * p1 * q.x * q.y + p2 * (t + 2.0 * q.x * q.x) + t * (lens.prism.x + t * lens.prism.y),
        2.0 * p2 * q.x * q.y + p1 * (t + 2.0 * q.y * q.y) + t * (lens.prism.z + t * lens.prism.w),
    );
    return vec3f(radial + shift, 1.0);
}

// Projects a point in camera space: x and y are the pixel, z is 1 if the lens maps the point and 0 otherwise.
fn camera_project(p: vec3f) -> vec3f {
    if (!(p.z > 0.0)) {
        return vec3f(0.0);
    }
    let image = distort(p.xy / p.z);
    return vec3f(lens.focal_px * image.xy + lens.principal_px, image.z);
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
