// floor: the 3-D smoothing filter of Mip-Splatting (Yu et al. 2024, eq. 9): no Gaussian is drawn smaller than the
// training photos can resolve. Gaussian.log_scale_floor.w is the variance that all three axes gain, world units squared; 0 for none.

struct Floored {
    scale: vec3f,
    // Factor on the opacity, which keeps the Gaussian's mass.
    opacity: f32,
    // Stored variances over the widened ones.
    share: vec3f,
}

fn floored(log_scale_floor: vec4f) -> Floored {
    let scale = exp(log_scale_floor.xyz);
    let floor = log_scale_floor.w;
    if (!(floor > 0.0)) {
        return Floored(scale, 1.0, vec3f(1.0));
    }
    let wider = sqrt(scale * scale + floor);
    let ratio = scale / wider;
    return Floored(wider, ratio.x * ratio.y * ratio.z, ratio * ratio);
}

// From the gradient of the widened log-scales and of the log of the opacity to that of the stored log-scales.
fn floored_gradient(f: Floored, v_log_scale: vec3f, v_log_opacity: f32) -> vec3f {
    return f.share * v_log_scale + (vec3f(1.0) - f.share) * v_log_opacity;
}
