// lens: the parameters of a camera model; lib/camera_*.wgsl say which of them each reads.

struct LensUniform {
    focal_px: vec2f,
    principal_px: vec2f,
    // Coefficients of s = r^2, s^2, s^3, s^4; numerator5 and numerator6 are those of s^5 and s^6.
    numerator: vec4f,
    denominator: vec3f,
    numerator5: f32,
    // Thin-prism coefficients: x shift by s and s^2, y shift by s and s^2.
    prism: vec4f,
    decentring: vec2f,
    numerator6: f32,
    // Radius at which the map folds back on itself.
    limit: f32,
    // Parameters specific to one model; see its camera_*.wgsl.
    extra: vec3f,
    // 1 if decentring and thin-prism shifts are evaluated at the radially distorted point.
    shift_after_radial: f32,
}
