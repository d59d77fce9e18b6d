// extent (3DGUT form for pinholes): the region a Gaussian may colour is an ellipse, exactly. The kernel declares `splats`.
//
// Equation  alpha >= 1/255 is N(d) <= bound D(d) with the two quadratic forms of lib/response_gut.wgsl, d = pixel - mean2d.
//           For a pinhole both are polynomials of the pixel, so N - bound D <= 0 is a conic section:
//           d^T A d - bound (linear . d) - bound <= 0, A = N - bound quadratic

fn splat_extent(i: u32) -> Extent {
    let s = splats[i];
    let box = s.box;
    let quadratic = s.quadratic_depth.xyz;
    // In powers of 2, as N is stored; slightly enlarged against rounding.
    let bound = max(splat_log2_opacity(s) - LOG2_ALPHA_FLOOR, 0.0) * 1.0005 + 1e-4;
    let linear = bound * splat_linear(s);
    let a = splat_numerator(s) - bound * quadratic;
    let conic = vec3f(a.x, 0.5 * a.y, a.z);
    let det = conic.x * conic.z - conic.y * conic.y;
    // Half the gradient is 0 at the centre: A d = linear / 2.
    let centre = 0.5 * vec2f(conic.z * linear.x - conic.y * linear.y, conic.x * linear.y - conic.y * linear.x) / det;
    let level = bound + 0.5 * dot(linear, centre);
    // Very near Gaussians have a parabola or hyperbola (or nearly so) as outline: use an ellipse around the box.
    if (!(conic.x > 0.0 && det > 1e-5 * conic.x * conic.z && level > 0.0) || !is_finite(centre.x) || !is_finite(centre.y)) {
        let half = max(0.5 * (box.zw - box.xy), vec2f(0.5));
        return ellipse_extent(0.5 * (box.xy + box.zw), vec3f(1.0 / (half.x * half.x), 0.0, 1.0 / (half.y * half.y)), 2.0);
    }
    return ellipse_extent(splat_mean2d(s) + centre, conic, level);
}
