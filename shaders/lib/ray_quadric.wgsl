// ray_quadric: a 3-D Gaussian's response to the rays of one camera, as coefficients of two quadratic forms in the ray.
//
// Shared by project_gut and project_backward_gut. The kernel declares `view`.
//
// Equation  For a ray d from the camera and a Gaussian at p with covariance Sigma = R diag(s^2) R^T, all in camera space,
//           Wu et al. 2025 take alpha = opacity exp(-|c|^2 / 2), c = g x A p, g = A d / |A d|, A = diag(1/s) R^T. As
//           (A a) x (A b) = det(A) A^-T (a x b), that is
//             |c|^2 = (d x p)^T Sigma (d x p) / (d^T adj(Sigma) d),   adj(Sigma) = R diag(cofactor^2) R^T,
//           cofactor = the products of the two other scales. With d = x t1 + y t2 + z t3 and t3 along p the numerator is
//           a form in x and y alone.

struct RayQuadric {
    // Mean, and rotation of the Gaussian's axes, in camera space.
    mean: vec3f,
    axes: mat3x3f,
    // Largest scale; scales divided by it; for each axis the product of the other two of these.
    size: f32,
    sigma: vec3f,
    cofactor: vec3f,
    // Columns t1, t2, t3 of the frame in which rays are expressed, and t1 x p, t2 x p.
    frame: mat3x3f,
    lever1: vec3f,
    lever2: vec3f,
    // d^T adj d at d = t3, in the units of `cofactor`.
    under: f32,
    // |A p|^2: the camera's squared distance in standard deviations.
    distance_squared: f32,
}

// Half-width of a box that covers any image, px.
const EVERYWHERE: f32 = 1e6;

// Depth for sorting and clipping: camera z, or the distance for a lens that may see behind itself.
fn camera_depth(p: vec3f) -> f32 {
    return select(p.z, length(p), DEPTH_IS_DISTANCE);
}

// Gradient of camera_depth.
fn camera_depth_gradient(p: vec3f) -> vec3f {
    return select(vec3f(0.0, 0.0, 1.0), normalize(p), DEPTH_IS_DISTANCE);
}

// A unit vector perpendicular to `v`.
fn any_across(v: vec3f) -> vec3f {
    let helper = select(vec3f(1.0, 0.0, 0.0), vec3f(0.0, 1.0, 0.0), abs(v.x) > 0.6);
    return normalize(cross(helper, v));
}

// The first axis of a Gaussian's frame. A pinhole's x and y are pixels and its z is 1, so the axes are its own over the
// focal lengths; for other rays the frame is orthonormal.
fn frame_across(mean: vec3f) -> vec3f {
    if (RAY_TABLE) {
        return any_across(mean / length(mean));
    }
    return vec3f(1.0 / view.focal_px.x, 0.0, 0.0);
}

fn ray_quadric(mean: vec3f, axes: mat3x3f, scale: vec3f, across: vec3f) -> RayQuadric {
    var c: RayQuadric;
    c.mean = mean;
    c.axes = axes;
    c.size = max(max(scale.x, scale.y), scale.z);
    c.sigma = scale / c.size;
    c.cofactor = c.sigma.yzx * c.sigma.zxy;
    if (RAY_TABLE) {
        let ahead = mean / length(mean);
        c.frame = mat3x3f(across, cross(ahead, across), ahead);
    } else {
        c.frame = mat3x3f(across, vec3f(0.0, 1.0 / view.focal_px.y, 0.0), mean / mean.z);
    }
    c.lever1 = cross(c.frame[0], mean);
    c.lever2 = cross(c.frame[1], mean);
    let along = c.cofactor * (c.frame[2] * axes);
    c.under = dot(along, along);
    let whitened = (mean * axes) / scale;
    c.distance_squared = dot(whitened, whitened);
    return c;
}

// Numerator (xx, xy, yy) over the denominator at the mean, scaled so that the ratio is subtracted from log2 of the opacity.
fn quadric_numerator(c: RayQuadric) -> vec3f {
    let a1 = c.sigma * (c.lever1 * c.axes);
    let a2 = c.sigma * (c.lever2 * c.axes);
    return 0.5 * LOG2_E / (c.size * c.size * c.under) * vec3f(dot(a1, a1), 2.0 * dot(a1, a2), dot(a2, a2));
}

// For rays with individual origins (lib/response_rolling.wgsl): the numerator as a form in levers divided by the mean's
// distance, (xx, xy, yy) and (xz, yz, zz), with the same factor.
struct LeverForm {
    plane: vec3f,
    along: vec3f,
}

fn quadric_lever_form(c: RayQuadric) -> LeverForm {
    let y1 = c.sigma * (c.frame[0] * c.axes);
    let y2 = c.sigma * (c.frame[1] * c.axes);
    let y3 = c.sigma * (c.frame[2] * c.axes);
    let factor = 0.5 * LOG2_E * dot(c.mean, c.mean) / (c.size * c.size * c.under);
    return LeverForm(
        factor * vec3f(dot(y1, y1), dot(y1, y2), dot(y2, y2)),
        factor * vec3f(dot(y1, y3), dot(y2, y3), dot(y3, y3)),
    );
}

// Denominator over its value at the mean: coefficients of xz and yz.
fn quadric_linear(c: RayQuadric) -> vec2f {
    let y3 = c.cofactor * (c.frame[2] * c.axes);
    return 2.0 / c.under * vec2f(
        dot(c.cofactor * (c.frame[0] * c.axes), y3),
        dot(c.cofactor * (c.frame[1] * c.axes), y3),
    );
}

// The same for xx, xy and yy.
fn quadric_quadratic(c: RayQuadric) -> vec3f {
    let y1 = c.cofactor * (c.frame[0] * c.axes);
    let y2 = c.cofactor * (c.frame[1] * c.axes);
    return vec3f(dot(y1, y1), 2.0 * dot(y1, y2), dot(y2, y2)) / c.under;
}
