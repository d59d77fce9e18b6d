// response (EWA form): a splat's alpha at a pixel from its 2-D mean and conic, and the sums that its gradient is made of.
//
// Shared by rasterize and rasterize_backward, which must compute the same alphas. The kernel declares `splats`.

// One splat, relative to a lane's pixels.
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

// A pinhole has a ray for every pixel.
fn prepare_pixel(k: u32, pixel: vec2u) -> bool {
    return true;
}

fn footprint(i: u32, corner: vec2f) -> Footprint {
    let s = splats[i];
    var f: Footprint;
    f.conic = splat_conic(s);
    f.form = vec4f(-0.5 * LOG2_E * f.conic.x, -LOG2_E * f.conic.y, -0.5 * LOG2_E * f.conic.z, splat_log2_opacity(s));
    f.from_mean = corner - s.mean2d_conic.xy;
    f.rgb = s.rgb.xyz;
    f.depth = splat_depth(s);
    return f;
}

// log2 of the alpha, before its cap, at pixel k of the lane.
fn log2_response(f: Footprint, k: u32) -> f32 {
    let d = f.from_mean + chunk_offset(k);
    // The part that depends on x alone is the same for all of a lane's pixels in a column and is computed once.
    return (f.form.w + f.form.x * d.x * d.x) + d.y * (f.form.y * d.x + f.form.z * d.y);
}

// With s = alpha dL/dalpha and d = pixel - mean2d: sum s, s d, s (dx^2, dx dy, dy^2) and |v_mean2d|, the densify
// statistic of AbsGS. Everything about mean2d and conic is linear in these moments.
//
// Where a lane's pixels are one column, dx is the same for all of them. Then s, s o and s o^2 are summed, with o the constant
// offset of a pixel from the lane's first one, and slot_of derives the moments from them: half the work per pixel.
struct Sums {
    s: f32,
    d: vec2f,
    dd: vec3f,
    abs: f32,
}

const ONE_COLUMN: bool = CHUNKS_PER_ROW == 1u;

fn add_pixel(before: Sums, f: Footprint, k: u32, s: f32) -> Sums {
    let offset = chunk_offset(k);
    let d = f.from_mean + offset;
    let sd = s * d;
    var sums = before;
    sums.s += s;
    if (ONE_COLUMN) {
        sums.d.y += s * offset.y;
        sums.dd.z += s * (offset.y * offset.y);
    } else {
        sums.d += sd;
        sums.dd += vec3f(sd.x * d.x, sd.x * d.y, sd.y * d.y);
    }
    if (WITH_ABS) {
        let v_mean = vec2f(f.conic.x * sd.x + f.conic.y * sd.y, f.conic.y * sd.x + f.conic.z * sd.y);
        sums.abs += length(v_mean);
    }
    return sums;
}

fn slot_of(sums: Sums, f: Footprint, rgb: vec3f, depth: f32) -> array<f32, SLOT_FLOATS> {
    var d = sums.d;
    var dd = sums.dd;
    if (ONE_COLUMN) {
        let first = f.from_mean;
        d = first * sums.s + sums.d;
        dd = vec3f(first.x * d.x, first.x * d.y, first.y * (d.y + sums.d.y) + sums.dd.z);
    }
    return pack_slot(Slot(sums.s, d, dd, rgb, sums.abs, depth));
}
