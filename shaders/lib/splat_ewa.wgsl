// splat (EWA form): what project stores of a Gaussian for one view, 48 bytes.
//
// Members are whole vec4f: one 16-byte load each.

struct Splat {
    // Mean, px; xx and xy of the conic.
    mean2d_conic: vec4f,
    // yy of the conic, log2 of the opacity, depth, 0.
    conic_opacity_depth: vec4f,
    // Red, green and blue; w is 0.
    rgb: vec4f,
}

// Upper triangle (xx, xy, yy) of the inverse 2-D covariance, px^-2.
fn splat_conic(s: Splat) -> vec3f {
    return vec3f(s.mean2d_conic.zw, s.conic_opacity_depth.x);
}

fn splat_log2_opacity(s: Splat) -> f32 {
    return s.conic_opacity_depth.y;
}

fn splat_depth(s: Splat) -> f32 {
    return s.conic_opacity_depth.z;
}
