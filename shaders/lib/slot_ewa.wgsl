// slot (EWA form): what one intersection hands from rasterize_backward to project_backward, as SLOT_FLOATS floats.

// Sums over the pixels of a tile, s = alpha dL/dalpha and d = pixel - mean2d (lib/response_ewa.wgsl).
struct Slot {
    s: f32,
    // s d
    d: vec2f,
    // s (dx^2, dx dy, dy^2)
    dd: vec3f,
    // Gradient of the splat's colour.
    rgb: vec3f,
    // |v_mean2d|, the densify statistic of AbsGS; WITH_ABS.
    abs: f32,
    // Gradient of the splat's depth; WITH_DEPTH.
    depth: f32,
}

const SLOT_ABS: u32 = 9u;
const SLOT_DEPTH: u32 = 10u;

fn pack_slot(v: Slot) -> array<f32, SLOT_FLOATS> {
    return array<f32, SLOT_FLOATS>(
        v.s, v.d.x, v.d.y, v.dd.x, v.dd.y, v.dd.z, v.rgb.x, v.rgb.y, v.rgb.z, v.abs, v.depth,
    );
}

fn unpack_slot(w: array<f32, SLOT_FLOATS>) -> Slot {
    return Slot(
        w[0], vec2f(w[1], w[2]), vec3f(w[3], w[4], w[5]), vec3f(w[6], w[7], w[8]), w[SLOT_ABS], w[SLOT_DEPTH],
    );
}

// Whether a word of the slot holds anything.
fn slot_word_used(word: u32) -> bool {
    return (WITH_ABS || word != SLOT_ABS) && (WITH_DEPTH || word != SLOT_DEPTH);
}
