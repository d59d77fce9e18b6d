// splat (3DGUT form): what project_gut stores of a Gaussian for one view, 112 bytes.
//
// Members are whole vec4f: one 16-byte load each. What the coefficients are is said in lib/ray_quadric.wgsl, how they are used in
// lib/response_gut.wgsl and, with a rolling shutter, in lib/response_rolling.wgsl.

struct Splat {
    // Low and high corner of where the Gaussian may show, px.
    box: vec4f,
    // Mean, px; numerator xx, xy. ROLLING: lever form xx, xy, yy; log2 of the opacity.
    response_a: vec4f,
    // Numerator yy; linear x, y; log2 of the opacity. ROLLING: lever form xz, yz, zz; 1 / distance.
    response_b: vec4f,
    // Quadratic xx, xy, yy; depth.
    quadratic_depth: vec4f,
    // Colour, 0. ROLLING: linear x in place of the 0.
    rgb_linear: vec4f,
    // First axis of the Gaussian's frame, 0. Written only with RAY_TABLE. ROLLING: linear y in place of the 0.
    across_linear: vec4f,
    // Third axis of the frame, 0. Written only with RAY_TABLE.
    ahead: vec4f,
}

// The next four are of the form without a rolling shutter.
fn splat_mean2d(s: Splat) -> vec2f {
    return s.response_a.xy;
}

// xx, xy, yy.
fn splat_numerator(s: Splat) -> vec3f {
    return vec3f(s.response_a.zw, s.response_b.x);
}

fn splat_linear(s: Splat) -> vec2f {
    return s.response_b.yz;
}

fn splat_log2_opacity(s: Splat) -> f32 {
    return s.response_b.w;
}
