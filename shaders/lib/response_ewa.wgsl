// response (EWA form): a splat's alpha at a pixel from its 2-D mean and conic, and the sums that its gradient is made of.
//
// rasterize and rasterize_backward must find the same alphas, so both take them from here. The kernel declares `splats`.

// One splat as a lane sees it.
struct Footprint {
    // alpha = opacity exp(-(A dx^2 + C dy^2) / 2 - B dx dy) with its factors folded into an exponent of 2:
    // (a, b, c, log2 opacity) with log2 alpha = a dx^2 + b dx dy + c dy^2 + log2 opacity.
    form: vec4f,
    conic: vec3f,
    // From the mean to the lane's first pixel.
    from_mean: vec2f,
    rgb: vec3f,
    depth: f32,
}

// Nothing has to be made ready for a pixel inside the image.
fn prepare_pixel(k: u32, pixel: vec2u) -> bool {
    return true;
}

fn footprint(gid: u32, corner: vec2f) -> Footprint {
    let s0 = splats[gid * SPLAT_VECS];
    let s1 = splats[gid * SPLAT_VECS + 1u];
    let s2 = splats[gid * SPLAT_VECS + 2u];
    var f: Footprint;
    f.form = vec4f(-0.5 * LOG2_E * s0.z, -LOG2_E * s0.w, -0.5 * LOG2_E * s1.x, s1.y);
    f.conic = vec3f(s0.zw, s1.x);
    f.from_mean = corner - s0.xy;
    f.rgb = s2.xyz;
    f.depth = s1.z;
    return f;
}

// log2 of the alpha, before its cap, at pixel k of the lane.
fn log2_response(f: Footprint, k: u32) -> f32 {
    let d = f.from_mean + chunk_offset(k);
    return f.form.w + d.x * (f.form.x * d.x + f.form.y * d.y) + f.form.z * d.y * d.y;
}

// With s = alpha dL/dalpha and d = pixel - mean2d: sum s, s d, s (dx^2, dx dy, dy^2) and |v_mean2d|, the densify
// statistic of AbsGS. Everything about mean2d and conic is linear in these moments.
struct Sums {
    s: f32,
    d: vec2f,
    dd: vec3f,
    abs: f32,
}

fn add_pixel(before: Sums, f: Footprint, k: u32, s: f32) -> Sums {
    let d = f.from_mean + chunk_offset(k);
    let sd = s * d;
    var sums = before;
    sums.s += s;
    sums.d += sd;
    sums.dd += vec3f(sd.x * d.x, sd.x * d.y, sd.y * d.y);
    if (WITH_ABS) {
        let v_mean = vec2f(f.conic.x * sd.x + f.conic.y * sd.y, f.conic.y * sd.x + f.conic.z * sd.y);
        sums.abs += length(v_mean);
    }
    return sums;
}

fn slot_of(sums: Sums, rgb: vec3f, depth: f32) -> array<f32, SLOT_FLOATS> {
    return array<f32, SLOT_FLOATS>(
        sums.s, sums.d.x, sums.d.y, sums.dd.x, sums.dd.y, sums.dd.z,
        rgb.x, rgb.y, rgb.z, sums.abs, depth,
    );
}

// Whether a word of the slot holds anything.
fn slot_word_used(word: u32) -> bool {
    return (WITH_ABS || word != 9u) && (WITH_DEPTH || word != 10u);
}
