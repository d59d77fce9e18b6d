// camera (sphere form): longitude and latitude (an equirectangular panorama, whose left and right edges join).
//
// Twin: lens::LensProjector. The kernel declares `view` and `lens`.

// Projects a point in camera space: x and y are the pixel, z is 1 if the lens maps the point and 0 otherwise.
fn camera_project(p: vec3f) -> vec3f {
    let n = p / length(p);
    let longitude = atan2(n.x, n.z);
    let latitude = atan2(n.y, length(n.xz));
    let image = vec2f(longitude / 6.283185307179586, latitude / 3.141592653589793);
    return vec3f(lens.focal_px * image + lens.principal_px, 1.0);
}

// Offset from pixel `b` to pixel `a`, the shorter way around the panorama.
fn camera_offset(a: vec2f, b: vec2f) -> vec2f {
    let d = a - b;
    return vec2f(d.x - lens.focal_px.x * round(d.x / lens.focal_px.x), d.y);
}

// Clips a box to the image vertically; horizontally the tile lists wrap around.
fn camera_clip(box: vec4f) -> vec4f {
    return vec4f(box.x, max(box.y, 0.0), box.z, min(box.w, f32(view.image_size.y)));
}

// `sine` is that of the half-angle of the cone around the mean. A cone that contains a pole covers every longitude.
fn camera_widen(box: vec4f, mean: vec3f, sine: f32) -> vec4f {
    let n = mean / length(mean);
    let across = length(n.xz);
    if (across <= sine) {
        let extent = asin(min(sine, 1.0)) / 3.141592653589793 * lens.focal_px.y + 1.0;
        let middle = camera_project(mean).y;
        return vec4f(-EVERYWHERE, min(box.y, middle - extent), EVERYWHERE, max(box.w, middle + extent));
    }
    return box;
}
