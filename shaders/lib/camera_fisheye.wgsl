// camera (fisheye form): the angle from the axis, then polynomials: equidistant, OpenCV fisheye, thin prism.
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
    let n = p / length(p);
    let sine = length(n.xy);
    // On the axis the angle equals its sine; a point straight behind the camera has no direction in the image.
    if (!(sine > 1e-6)) {
        return vec3f(lens.focal_px * n.xy + lens.principal_px, select(0.0, 1.0, n.z > 0.0));
    }
    let image = distort(n.xy * (atan2(sine, n.z) / sine));
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

// `sine` is that of the half-angle of the cone around the mean. A cone that contains the axis behind the camera covers the whole rim.
fn camera_widen(box: vec4f, mean: vec3f, sine: f32) -> vec4f {
    if (mean.z < 0.0 && length(mean.xy) <= sine * length(mean)) {
        return vec4f(vec2f(-EVERYWHERE), vec2f(EVERYWHERE));
    }
    return box;
}
