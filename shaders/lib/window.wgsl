// window: SSIM's Gaussian window as a streaming filter, and how images are divided into runs.

const WINDOW_RADIUS: u32 = 5u;
// Consecutive outputs per invocation, which loads RUN + 2 WINDOW_RADIUS inputs for them.
const RUN: u32 = 64u;

// exp(-d^2 / (2 sigma^2)) for sigma = 1.5 and d = 5, 4, .. 0, normalised so that all eleven sum to 1
// (Wang et al. 2004).
const WEIGHT_5: f32 = 0.0010283801;
const WEIGHT_4: f32 = 0.0075987581;
const WEIGHT_3: f32 = 0.0360007721;
const WEIGHT_2: f32 = 0.1093606895;
const WEIGHT_1: f32 = 0.2130055377;
const WEIGHT_0: f32 = 0.2660117249;

// Partial sums of the ten outputs whose windows are not complete.
struct Filter {
    s0: f32, s1: f32, s2: f32, s3: f32, s4: f32, s5: f32, s6: f32, s7: f32, s8: f32, s9: f32,
}

// Pushes one input and returns the windowed sum that it completes: the one centred WINDOW_RADIUS inputs ago.
// Transposed FIR filter: no input is stored, and each product with a symmetric weight is computed once.
fn push(f: ptr<function, Filter>, value: f32) -> f32 {
    let p5 = WEIGHT_5 * value;
    let p4 = WEIGHT_4 * value;
    let p3 = WEIGHT_3 * value;
    let p2 = WEIGHT_2 * value;
    let p1 = WEIGHT_1 * value;
    let p0 = WEIGHT_0 * value;
    let sum = (*f).s0 + p5;
    (*f).s0 = (*f).s1 + p4;
    (*f).s1 = (*f).s2 + p3;
    (*f).s2 = (*f).s3 + p2;
    (*f).s3 = (*f).s4 + p1;
    (*f).s4 = (*f).s5 + p0;
    (*f).s5 = (*f).s6 + p1;
    (*f).s6 = (*f).s7 + p2;
    (*f).s7 = (*f).s8 + p3;
    (*f).s8 = (*f).s9 + p4;
    (*f).s9 = p5;
    return sum;
}

// One invocation's share of a pass along one axis: a run of a line (row or column). Neighbouring invocations
// take neighbouring lines, so that their accesses coalesce.
struct Run {
    line: u32,
    first: u32,
    // No work: past the last run.
    idle: bool,
}

fn run_of(id: u32, lines: u32, length: u32) -> Run {
    let first = (id / lines) * RUN;
    return Run(id % lines, first, first >= length);
}

// Brightness of an encoded colour (ITU-R BT.601).
const LUMA = vec3f(0.299, 0.587, 0.114);

// The colour that a pixel is compared with; w is its weight in the loss, 0 or 1. Photos are packed, 8 bits per channel:
// red in the low byte, alpha in the high one.
fn wanted_color(word: u32, alpha_mode: u32, background: vec3f) -> vec4f {
    let photo = unpack4x8unorm(word);
    if (alpha_mode == 1u) {
        return vec4f(mix(background, photo.xyz, photo.w), 1.0);
    }
    return vec4f(photo.xyz, select(0.0, 1.0, photo.w >= 0.5));
}
