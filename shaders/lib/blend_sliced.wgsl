// blend (sliced form): a depth slice is blended behind the nearer ones, whose state is in `frame` and `expected_depth`.
//
// The state is kept as it is in registers, so a pixel has the same bits as in the whole form.

@group(0) @binding(8) var<uniform> slice: Counters;

// Where lib/rays_*.wgsl bind their table.
const RAYS_BINDING: u32 = 9u;

// A pixel's state between two Gaussians.
struct Blended {
    // Negative once the pixel is finished.
    transmittance: f32,
    rgb: vec3f,
    depth: f32,
}

fn blended_before(pixel: vec2u, inside: bool, fresh: Blended) -> Blended {
    if (!inside || (slice.place & SLICE_NEAREST) != 0u) {
        return fresh;
    }
    let index = pixel.y * view.image_size.x + pixel.x;
    let kept = frame[index];
    var depth = 0.0;
    if (WITH_DEPTH) {
        depth = expected_depth[index];
    }
    return Blended(kept.w, kept.xyz, depth);
}

fn blended_frame(rgb: vec3f, transmittance: f32) -> vec4f {
    if ((slice.place & SLICE_FARTHEST) == 0u) {
        return vec4f(rgb, transmittance);
    }
    let remaining = abs(transmittance);
    return vec4f(rgb + remaining * view.background.xyz, remaining);
}
