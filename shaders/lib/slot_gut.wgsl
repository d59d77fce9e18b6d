// slot (3DGUT form): what one intersection hands from rasterize_backward to project_backward_gut, as SLOT_FLOATS floats.

// Sums over the pixels of a tile: s = alpha dL/dalpha, a = s / D, b = a N / D; ray (x, y, z) in the Gaussian's frame
// (lib/response_gut.wgsl).
struct Slot {
    s: f32,
    // a (xx, xy, yy)
    a: vec3f,
    // a (xz, yz)
    a_z: vec2f,
    // b (xx, xy, yy)
    b: vec3f,
    // b (xz, yz, zz)
    b_z: vec3f,
    // Gradient of the splat's colour.
    rgb: vec3f,
    // Gradient of the splat's depth; WITH_DEPTH.
    depth: f32,
}

const SLOT_DEPTH: u32 = 15u;

fn pack_slot(v: Slot) -> array<f32, SLOT_FLOATS> {
    return array<f32, SLOT_FLOATS>(
        v.s, v.a.x, v.a.y, v.a.z, v.a_z.x, v.a_z.y,
        v.b.x, v.b.y, v.b.z, v.b_z.x, v.b_z.y, v.b_z.z,
        v.rgb.x, v.rgb.y, v.rgb.z, v.depth,
    );
}

fn unpack_slot(w: array<f32, SLOT_FLOATS>) -> Slot {
    return Slot(
        w[0], vec3f(w[1], w[2], w[3]), vec2f(w[4], w[5]),
        vec3f(w[6], w[7], w[8]), vec3f(w[9], w[10], w[11]),
        vec3f(w[12], w[13], w[14]), w[SLOT_DEPTH],
    );
}

// Whether a word of the slot holds anything.
fn slot_word_used(word: u32) -> bool {
    return WITH_DEPTH || word != SLOT_DEPTH;
}
