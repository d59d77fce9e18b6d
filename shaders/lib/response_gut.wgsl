// response (3DGUT form): a Gaussian's alpha along a pixel's ray, evaluated in 3-D, and the sums that its gradient is made of.
//
// Shared by rasterize and rasterize_backward, which must compute the same alphas. The kernel declares `splats`; rays come from
// lib/rays_*.wgsl.
//
// Equation  Wu et al. 2025: alpha = opacity exp(-|c|^2 / 2), c the whitened ray's closest approach to the mean. With
//           Sigma the covariance, p the mean and d the ray, all in camera space, |c|^2 is
//           (d x p)^T Sigma (d x p) / (d^T adj(Sigma) d): a ratio of two quadratic forms in d. lib/ray_quadric.wgsl
//           computes their coefficients in a frame whose third axis points at the mean, so that the numerator depends on
//           two coordinates only and there is no cancellation however small or far the Gaussian is.

struct Footprint {
    ray: RayFrame,
    // Numerator (xx, xy, yy) over the denominator at the mean, in powers of 2, and log2 opacity.
    numerator: vec3f,
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
    f.ray = ray_frame(s, corner);
    f.numerator = splat_numerator(s);
    f.linear = splat_linear(s);
    f.log2_opacity = splat_log2_opacity(s);
    f.quadratic = s.quadratic_depth.xyz;
    f.depth = s.quadratic_depth.w;
    f.rgb = s.rgb_linear.xyz;
    return f;
}

fn ratio_at(f: Footprint, d: vec3f) -> Ratio {
    let slope = dot(f.linear, d.xy);
    let over = d.x * (f.numerator.x * d.x + f.numerator.y * d.y) + f.numerator.z * d.y * d.y;
    let under = d.z * (d.z + slope)
        + d.x * (f.quadratic.x * d.x + f.quadratic.y * d.y) + f.quadratic.z * d.y * d.y;
    return ratio_of(over, under, d.z + 0.5 * slope);
}

// log2 of the alpha, before its cap, at pixel k of the lane.
fn log2_response(f: Footprint, k: u32) -> f32 {
    return log2_alpha(f.log2_opacity, ratio_at(f, local_ray(f.ray, k)));
}

// With s = alpha dL/dalpha, (x, y, z) the ray in the Gaussian's frame, N and D the two forms, as stored:
// sum s; a = s / D times (xx, xy, yy) and (xz, yz); b = a N / D times (xx, xy, yy) and (xz, yz, zz). Everything about
// mean, rotation and scales is linear in these moments.
struct Sums {
    s: f32,
    a: vec3f,
    a_z: vec2f,
    b: vec3f,
    b_z: vec3f,
}

fn add_pixel(before: Sums, f: Footprint, k: u32, s: f32) -> Sums {
    let d = local_ray(f.ray, k);
    let r = ratio_at(f, d);
    let a = s * r.inverse_under;
    let b = a * r.over * r.inverse_under;
    let plane = vec3f(d.x * d.x, d.x * d.y, d.y * d.y);
    let along = d * d.z;
    var sums = before;
    sums.s += s;
    sums.a += a * plane;
    sums.a_z += a * along.xy;
    sums.b += b * plane;
    sums.b_z += b * along;
    return sums;
}

fn slot_of(sums: Sums, f: Footprint, rgb: vec3f, depth: f32) -> array<f32, SLOT_FLOATS> {
    return pack_slot(Slot(sums.s, sums.a, sums.a_z, sums.b, sums.b_z, rgb, depth));
}
