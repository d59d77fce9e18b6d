// response (3DGUT form for rolling shutters): a Gaussian's alpha along rays that each have their own origin.
//
// As lib/response_gut.wgsl, with q = d x (p - o) in place of d x p, o the ray's origin: q is no longer perpendicular to p,
// so the numerator q^T Sigma q needs all six coefficients. Lengths are divided by the mean's distance, so that
// p = (0, 0, 1) in the Gaussian's frame.

struct Footprint {
    // Orthonormal axes; the third points at the mean.
    across: vec3f,
    down: vec3f,
    ahead: vec3f,
    inverse_distance: f32,
    // Numerator (xx, xy, yy), (xz, yz, zz) over the denominator at the mean, in powers of 2, and log2 opacity.
    numerator: vec3f,
    numerator_z: vec3f,
    log2_opacity: f32,
    // Denominator over its value at the mean: z^2 + z (linear . xy) + quadratic . (xx, xy, yy).
    linear: vec2f,
    quadratic: vec3f,
    rgb: vec3f,
    depth: f32,
}

fn footprint(i: u32, corner: vec2f) -> Footprint {
    let s = splats[i];
    var f: Footprint;
    f.across = s.across_linear.xyz;
    f.ahead = s.ahead.xyz;
    f.down = cross(f.ahead, f.across);
    f.numerator = s.response_a.xyz;
    f.log2_opacity = s.response_a.w;
    f.numerator_z = s.response_b.xyz;
    f.inverse_distance = s.response_b.w;
    f.quadratic = s.quadratic_depth.xyz;
    f.depth = s.quadratic_depth.w;
    f.rgb = s.rgb_linear.xyz;
    f.linear = vec2f(s.rgb_linear.w, s.across_linear.w);
    return f;
}

// A pixel's ray in a Gaussian's frame.
struct Local {
    direction: vec3f,
    // From the ray's origin to the mean.
    to_mean: vec3f,
    // direction x to_mean.
    lever: vec3f,
}

fn local_ray(f: Footprint, k: u32) -> Local {
    // Differences of unit vectors, so that coordinates near the mean do not lose precision.
    let off = vec3f(ray_x[k], ray_y[k], ray_z[k]) - f.ahead;
    let x = dot(f.across, off);
    let y = dot(f.down, off);
    let z = 1.0 + dot(f.ahead, off);
    let o = vec3f(from_x[k], from_y[k], from_z[k]) * f.inverse_distance;
    let ox = dot(f.across, o);
    let oy = dot(f.down, o);
    let oz = dot(f.ahead, o);
    let lever = vec3f(y * (1.0 - oz) + z * oy, -x * (1.0 - oz) - z * ox, y * ox - x * oy);
    return Local(vec3f(x, y, z), vec3f(-ox, -oy, 1.0 - oz), lever);
}

// The denominator's form times a vector.
fn under_times(f: Footprint, v: vec3f) -> vec3f {
    return vec3f(
        f.quadratic.x * v.x + 0.5 * (f.quadratic.y * v.y + f.linear.x * v.z),
        f.quadratic.z * v.y + 0.5 * (f.quadratic.y * v.x + f.linear.y * v.z),
        v.z + 0.5 * dot(f.linear, v.xy),
    );
}

// The numerator's form times a vector.
fn over_times(f: Footprint, v: vec3f) -> vec3f {
    return vec3f(
        f.numerator.x * v.x + f.numerator.y * v.y + f.numerator_z.x * v.z,
        f.numerator.y * v.x + f.numerator.z * v.y + f.numerator_z.y * v.z,
        dot(f.numerator_z, v),
    );
}

fn ratio_at(f: Footprint, ray: Local) -> Ratio {
    let over = dot(ray.lever, over_times(f, ray.lever));
    let toward = under_times(f, ray.direction);
    let under = dot(ray.direction, toward);
    return ratio_of(over, under, dot(ray.to_mean, toward));
}

// log2 of the alpha, before its cap, at pixel k of the lane.
fn log2_response(f: Footprint, k: u32) -> f32 {
    return log2_alpha(f.log2_opacity, ratio_at(f, local_ray(f, k)));
}

// With s = alpha dL/dalpha, d the ray and q its lever in the Gaussian's frame, N and D the two forms, as stored: sum s;
// a = s / D times q q^T and times q d^T without zz, which follows from q . d = 0; b = a N / D times d d^T.
struct Sums {
    s: f32,
    lever: vec3f,
    lever_z: vec3f,
    turn_x: vec3f,
    turn_y: vec3f,
    turn_z: vec2f,
    b: vec3f,
    b_z: vec3f,
}

// Gradients of the lane's rays, over all Gaussians: directions and origins.
var<private> v_ray_x: array<f32, PIXELS_PER_LANE>;
var<private> v_ray_y: array<f32, PIXELS_PER_LANE>;
var<private> v_ray_z: array<f32, PIXELS_PER_LANE>;
var<private> v_from_x: array<f32, PIXELS_PER_LANE>;
var<private> v_from_y: array<f32, PIXELS_PER_LANE>;
var<private> v_from_z: array<f32, PIXELS_PER_LANE>;

fn add_pixel(before: Sums, f: Footprint, k: u32, s: f32) -> Sums {
    let ray = local_ray(f, k);
    let r = ratio_at(f, ray);
    let a = s * r.inverse_under;
    let b = a * r.over * r.inverse_under;
    let d = ray.direction;
    let q = ray.lever;
    var sums = before;
    sums.s += s;
    sums.lever += a * vec3f(q.x * q.x, q.x * q.y, q.y * q.y);
    sums.lever_z += (a * q.z) * q;
    sums.turn_x += (a * q.x) * d;
    sums.turn_y += (a * q.y) * d;
    sums.turn_z += (a * q.z) * d.xy;
    sums.b += b * vec3f(d.x * d.x, d.x * d.y, d.y * d.y);
    sums.b_z += (b * d.z) * d;
    if (WITH_POSE) {
        let v_lever = (-2.0 * LN_2 * a) * over_times(f, q);
        let v_d = cross(ray.to_mean, v_lever) + (2.0 * LN_2 * b) * under_times(f, d);
        let v_o = -cross(v_lever, d) * f.inverse_distance;
        let direction = f.across * v_d.x + f.down * v_d.y + f.ahead * v_d.z;
        let origin = f.across * v_o.x + f.down * v_o.y + f.ahead * v_o.z;
        v_ray_x[k] += direction.x;
        v_ray_y[k] += direction.y;
        v_ray_z[k] += direction.z;
        v_from_x[k] += origin.x;
        v_from_y[k] += origin.y;
        v_from_z[k] += origin.z;
    }
    return sums;
}

fn slot_of(sums: Sums, f: Footprint, rgb: vec3f, depth: f32) -> array<f32, SLOT_FLOATS> {
    return pack_slot(Slot(
        sums.s, sums.lever, sums.lever_z, sums.turn_x, sums.turn_y, sums.turn_z, sums.b, sums.b_z, rgb, depth,
    ));
}
