// rays (table form): rays from a table that the host computes once per lens and image size, for every lens but the pinhole.

// Unit rays in camera space [H*W vec4f]; w is 0 where the lens has no ray for a pixel.
@group(0) @binding(RAYS_BINDING) var<storage, read> rays: array<vec4f>;

// The rays of the lane's pixels.
var<private> ray_x: array<f32, PIXELS_PER_LANE>;
var<private> ray_y: array<f32, PIXELS_PER_LANE>;
var<private> ray_z: array<f32, PIXELS_PER_LANE>;

struct RayFrame {
    // Orthonormal axes; the third points at the mean.
    across: vec3f,
    down: vec3f,
    ahead: vec3f,
}

// Loads pixel k's ray; returns whether it has one.
fn prepare_pixel(k: u32, pixel: vec2u) -> bool {
    var ray = vec4f(0.0, 0.0, 1.0, 0.0);
    if (all(pixel < view.image_size)) {
        ray = rays[pixel.y * view.image_size.x + pixel.x];
    }
    ray_x[k] = ray.x;
    ray_y[k] = ray.y;
    ray_z[k] = ray.z;
    return ray.w > 0.0;
}

fn ray_frame(s: Splat, corner: vec2f) -> RayFrame {
    let across = s.across_linear.xyz;
    let ahead = s.ahead.xyz;
    return RayFrame(across, cross(ahead, across), ahead);
}

// The ray of pixel k in the Gaussian's frame.
fn local_ray(frame: RayFrame, k: u32) -> vec3f {
    // Differences of unit vectors, so that coordinates near the mean do not lose precision.
    let off = vec3f(ray_x[k], ray_y[k], ray_z[k]) - frame.ahead;
    return vec3f(dot(frame.across, off), dot(frame.down, off), 1.0 + dot(frame.ahead, off));
}
