// unblend (sliced form): the gradient of one depth slice; the state of each pixel behind it lies behind the image's gradient.
//
// The state is kept as it is in registers, so sums have the same bits as in the whole form.

// The image's gradient, four words per pixel; WITH_DEPTH that of depth, a word per pixel, in fours; the states, two words per pixel.
@group(0) @binding(6) var<storage, read_write> v_frame: array<vec2f>;
@group(0) @binding(8) var<uniform> slice: Counters;

// Where lib/rays_*.wgsl bind their table.
const RAYS_BINDING: u32 = 9u;

// A pixel's state between two Gaussians, back to front.
struct Unblended {
    transmittance: f32,
    // Colour contributed by the Gaussians behind and the background, dotted with the gradient.
    behind: f32,
}

fn frame_gradient(index: u32) -> vec4f {
    return vec4f(v_frame[index * 2u], v_frame[index * 2u + 1u]);
}

fn depth_gradient(index: u32) -> f32 {
    return v_frame[view.image_size.x * view.image_size.y * 2u + index / 2u][index % 2u];
}

fn state_at(index: u32) -> u32 {
    let pixels = view.image_size.x * view.image_size.y;
    return pixels * 2u + select(0u, (pixels + 3u) / 4u * 2u, WITH_DEPTH) + index;
}

fn unblended_behind(index: u32, beyond: Unblended) -> Unblended {
    if ((slice.place & SLICE_FARTHEST) != 0u) {
        return beyond;
    }
    let kept = v_frame[state_at(index)];
    return Unblended(kept.x, kept.y);
}

fn keep_unblended(index: u32, state: Unblended) {
    v_frame[state_at(index)] = vec2f(state.transmittance, state.behind);
}
