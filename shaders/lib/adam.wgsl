// adam: one Adam update (Kingma and Ba 2015), and a training step's parameters for the loss and optimizer kernels.

struct TrainUniform {
    // Learning rates: means, opacity logit, quats, log-scales; SH constant term, other SH terms.
    rate_mean: f32,
    rate_opacity: f32,
    rate_quat: f32,
    rate_scale: f32,
    rate_sh_constant: f32,
    rate_sh_rest: f32,
    beta1: f32,
    beta2: f32,
    epsilon: f32,
    // 1 - beta1^t and sqrt(1 - beta2^t) at this step.
    correction1: f32,
    correction2_sqrt: f32,
    // Weights of the mean opacity and mean scale in the loss, divided by N (MCMC).
    opacity_regularizer: f32,
    scale_regularizer: f32,
    // Length of the random walk of nearly transparent Gaussians (MCMC); 0 for none.
    noise_scale: f32,
    step: u32,
    seed: u32,
    // Pixels of the loss image, and its weights.
    image_pixels: u32,
    ssim_weight: f32,
    // How the photo's alpha is read: 0 mask, 1 transparency over the background.
    alpha_mode: u32,
    // 1 / n for the n-th state that joins the mean of the last states; 0: this step's does not join.
    average_weight: f32,
    // The photo's exposure relative to the scene, per channel, and its vignette; see Exposure in splat-core/src/exposure.rs.
    gain_red: f32,
    gain_green: f32,
    gain_blue: f32,
    vignette: f32,
}

// What the render is multiplied by at a pixel before it is compared with the photo. Twin: Exposure::vignette_at.
fn gain_at(train: TrainUniform, pixel: vec2u, size: vec2u) -> vec3f {
    let gain = vec3f(train.gain_red, train.gain_green, train.gain_blue);
    if (train.vignette == 0.0) {
        return gain;
    }
    let offset = 2.0 * vec2f(pixel) + 1.0 - vec2f(size);
    let radius_squared = dot(offset, offset) / dot(vec2f(size), vec2f(size));
    return exp(train.vignette * (radius_squared - 1.0 / 3.0)) * gain;
}

struct AdamResult {
    value: vec4f,
    m: vec4f,
    v: vec4f,
}

fn adam(train: TrainUniform, value: vec4f, m: vec4f, v: vec4f, gradient: vec4f, rate: vec4f) -> AdamResult {
    var r: AdamResult;
    r.m = train.beta1 * m + (1.0 - train.beta1) * gradient;
    r.v = train.beta2 * v + (1.0 - train.beta2) * gradient * gradient;
    let step = rate * (r.m / train.correction1) / (sqrt(r.v) / train.correction2_sqrt + train.epsilon);
    r.value = value - step;
    return r;
}
