// unblend (whole form): the gradient of all of a view's Gaussians is computed at once.

// Where lib/rays_*.wgsl bind their table.
const RAYS_BINDING: u32 = 8u;

@group(0) @binding(6) var<storage, read> v_frame: array<vec4f>;

// A pixel's state between two Gaussians, back to front.
struct Unblended {
    transmittance: f32,
    // Colour contributed by the Gaussians behind and the background, dotted with the gradient.
    behind: f32,
}

fn frame_gradient(index: u32) -> vec4f {
    return v_frame[index];
}

fn depth_gradient(index: u32) -> f32 {
    return v_frame[view.image_size.x * view.image_size.y + index / 4u][index % 4u];
}

fn unblended_behind(index: u32, beyond: Unblended) -> Unblended {
    return beyond;
}

fn keep_unblended(index: u32, state: Unblended) {}
