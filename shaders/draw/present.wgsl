// present: draws a frame into a render target, by one triangle that covers it.
//
// Threads   one per pixel (fragment stage)
// Reads     frame [H*W] (rgb, transmittance), counters
// Writes    the colour target: rgb over the background, opacity
// Note      Leaves the target unchanged if the view's intersections did not fit their buffers.

@group(0) @binding(0) var<uniform> view: ViewUniform;
@group(0) @binding(1) var<storage, read> frame: array<vec4f>;
@group(0) @binding(2) var<storage, read> counters: Counters;

// Whether the target's format applies the sRGB encoding on writes: a frame's colours are encoded already.
override TARGET_ENCODES: bool = false;

@vertex
fn cover(@builtin(vertex_index) index: u32) -> @builtin(position) vec4f {
    let corner = vec2f(f32(index & 1u), f32(index >> 1u));
    return vec4f(4.0 * corner - 1.0, 0.0, 1.0);
}

// IEC 61966-2-1, from encoded to linear.
fn linear_from_srgb(encoded: vec3f) -> vec3f {
    let high = pow((max(encoded, vec3f(0.0)) + 0.055) / 1.055, vec3f(2.4));
    return select(high, encoded / 12.92, encoded <= vec3f(0.04045));
}

@fragment
fn shade(@builtin(position) place: vec4f) -> @location(0) vec4f {
    if (counters.overflowed != 0u) {
        discard;
    }
    let at = min(vec2u(place.xy), view.image_size - 1u);
    let pixel = frame[at.y * view.image_size.x + at.x];
    let colour = select(pixel.rgb, linear_from_srgb(pixel.rgb), TARGET_ENCODES);
    return vec4f(colour, 1.0 - pixel.a);
}
