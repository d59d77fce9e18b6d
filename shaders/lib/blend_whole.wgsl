// blend (whole form): all of a view's Gaussians are blended at once.

// Where lib/rays_*.wgsl bind their table.
const RAYS_BINDING: u32 = 8u;

// A pixel's state between two Gaussians.
struct Blended {
    // Negative once the pixel is finished.
    transmittance: f32,
    rgb: vec3f,
    depth: f32,
}

fn blended_before(pixel: vec2u, inside: bool, fresh: Blended) -> Blended {
    return fresh;
}

fn blended_frame(rgb: vec3f, transmittance: f32) -> vec4f {
    let remaining = abs(transmittance);
    return vec4f(rgb + remaining * view.background.xyz, remaining);
}
