// rays (rolling form): every line of pixels has its own camera pose, so every ray has its own origin.
//
// Rays and origins are expressed in the space of the camera in the middle of the exposure, as Gaussians are.

// Unit rays in camera space [H*W vec4f], w 0 where the lens has none; then for each line two vec4f: the rotation x,y,z,w
// from the camera at its time to that in the middle, and the camera's centre.
@group(0) @binding(RAYS_BINDING) var<storage, read> rays: array<vec4f>;

// Directions and origins of the lane's pixels.
var<private> ray_x: array<f32, PIXELS_PER_LANE>;
var<private> ray_y: array<f32, PIXELS_PER_LANE>;
var<private> ray_z: array<f32, PIXELS_PER_LANE>;
var<private> from_x: array<f32, PIXELS_PER_LANE>;
var<private> from_y: array<f32, PIXELS_PER_LANE>;
var<private> from_z: array<f32, PIXELS_PER_LANE>;

// Loads pixel k's ray; returns whether it has one.
fn prepare_pixel(k: u32, pixel: vec2u) -> bool {
    var ray = vec4f(0.0, 0.0, 1.0, 0.0);
    var direction = ray.xyz;
    var origin = vec3f(0.0);
    if (all(pixel < view.image_size)) {
        ray = rays[pixel.y * view.image_size.x + pixel.x];
        let line = select(pixel.y, pixel.x, (view.shutter & 1u) != 0u);
        let at = view.image_size.x * view.image_size.y + 2u * line;
        let turn = rays[at];
        direction = ray.xyz + 2.0 * cross(turn.xyz, cross(turn.xyz, ray.xyz) + turn.w * ray.xyz);
        origin = rays[at + 1u].xyz;
    }
    ray_x[k] = direction.x;
    ray_y[k] = direction.y;
    ray_z[k] = direction.z;
    from_x[k] = origin.x;
    from_y[k] = origin.y;
    from_z[k] = origin.z;
    return ray.w > 0.0;
}
