// window: SSIM's Gaussian window, and how the loss kernels cut the image into runs.

const WINDOW_RADIUS: u32 = 5u;
const WINDOW: u32 = 2u * WINDOW_RADIUS + 1u;
// Neighbouring outputs one invocation makes: they share their inputs, which it loads once.
const RUN: u32 = 8u;
const RUN_INPUTS: u32 = RUN + 2u * WINDOW_RADIUS;

// exp(-d^2 / (2 sigma^2)) for sigma = 1.5, d = -5..5, normalised to sum 1 (Wang et al. 2004).
const WINDOW_WEIGHTS = array<f32, WINDOW>(
    0.0010283801, 0.0075987581, 0.0360007721, 0.1093606895, 0.2130055377, 0.2660117249,
    0.2130055377, 0.1093606895, 0.0360007721, 0.0075987581, 0.0010283801,
);

// Photos stay packed, 8 bits a channel: r in the low byte, alpha in the high one.
fn unpack_photo(word: u32) -> vec4f {
    return unpack4x8unorm(word);
}

// The colour that a pixel is compared with, and in w whether it is compared at all.
fn target_color(word: u32, alpha_mode: u32, background: vec3f) -> vec4f {
    let photo = unpack_photo(word);
    if (alpha_mode == 1u) {
        return vec4f(mix(background, photo.xyz, photo.w), 1.0);
    }
    return vec4f(photo.xyz, select(0.0, 1.0, photo.w >= 0.5));
}
