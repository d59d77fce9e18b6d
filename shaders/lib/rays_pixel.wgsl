// rays (pinhole form): a pinhole's rays are linear in its pixels, so local coordinates are pixels from the mean.

struct RayFrame {
    // From the mean's pixel to the lane's first pixel.
    from_mean: vec2f,
}

fn prepare_pixel(k: u32, pixel: vec2u) -> bool {
    return true;
}

fn ray_frame(s: Splat, corner: vec2f) -> RayFrame {
    return RayFrame(corner - splat_mean2d(s));
}

// The ray of pixel k in the Gaussian's frame: x and y in pixels, z in units of the mean's depth.
fn local_ray(frame: RayFrame, k: u32) -> vec3f {
    return vec3f(frame.from_mean + chunk_offset(k), 1.0);
}
