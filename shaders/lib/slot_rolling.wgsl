// slot (rolling form): what one intersection hands from rasterize_backward to project_backward_gut, as SLOT_FLOATS floats.

// Sums over the pixels of a tile: s = alpha dL/dalpha, a = s / D, b = a N / D; ray d and lever q in the Gaussian's frame
// (lib/response_rolling.wgsl).
struct Slot {
    s: f32,
    // a q q^T: (xx, xy, yy), (xz, yz, zz)
    lever: vec3f,
    lever_z: vec3f,
    // Rows of a q d^T; the third without its zz.
    turn_x: vec3f,
    turn_y: vec3f,
    turn_z: vec2f,
    // b d d^T: (xx, xy, yy), (xz, yz, zz)
    b: vec3f,
    b_z: vec3f,
    // Gradient of the splat's colour.
    rgb: vec3f,
    // Gradient of the splat's depth; WITH_DEPTH.
    depth: f32,
}

const SLOT_DEPTH: u32 = 24u;

fn pack_slot(v: Slot) -> array<f32, SLOT_FLOATS> {
    return array<f32, SLOT_FLOATS>(
        v.s, v.lever.x, v.lever.y, v.lever.z, v.lever_z.x, v.lever_z.y, v.lever_z.z,
        v.turn_x.x, v.turn_x.y, v.turn_x.z, v.turn_y.x, v.turn_y.y, v.turn_y.z, v.turn_z.x, v.turn_z.y,
        v.b.x, v.b.y, v.b.z, v.b_z.x, v.b_z.y, v.b_z.z,
        v.rgb.x, v.rgb.y, v.rgb.z, v.depth,
    );
}

fn unpack_slot(w: array<f32, SLOT_FLOATS>) -> Slot {
    return Slot(
        w[0], vec3f(w[1], w[2], w[3]), vec3f(w[4], w[5], w[6]),
        vec3f(w[7], w[8], w[9]), vec3f(w[10], w[11], w[12]), vec2f(w[13], w[14]),
        vec3f(w[15], w[16], w[17]), vec3f(w[18], w[19], w[20]),
        vec3f(w[21], w[22], w[23]), w[SLOT_DEPTH],
    );
}

// Whether a word of the slot holds anything.
fn slot_word_used(word: u32) -> bool {
    return WITH_DEPTH || word != SLOT_DEPTH;
}
