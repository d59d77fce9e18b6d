// photo_limits: what the training photos can show: the smallest size that they resolve, and the nearest distance.
//
// Threads   one per Gaussian of a chunk; dispatched for each family of camera models, whose photos are bound
// Reads     photos [P]
// Writes    rates [N]: highest sampling rate among the photos bound so far that show the Gaussian, pixels per unit of length
//           geometry [N]: opacity logits of veils; with the last family scale floors
// Equation  Mip-Splatting (Yu et al. 2024), eq. 7 to 9: a photo's rate is its focal length over the depth, and the floor is
//           a variance in square pixels over the square of the highest rate

struct PhotoView {
    // Rows of the 3x4 matrix cam_from_world.
    cam_from_world_x: vec4f,
    cam_from_world_y: vec4f,
    cam_from_world_z: vec4f,
    lens: LensUniform,
    size_px: vec2f,
    // Pixels per radian near the axis.
    focal_px: f32,
    // Lower bound of distances in the photo, units of the run's frame; 0 if unknown.
    nearest: f32,
}

struct PhotoLimitsUniform {
    // Gaussians of the chunk.
    count: u32,
    // 1: no family was dispatched before; 1: none follows.
    is_first: u32,
    is_last: u32,
    // Near plane, units of the run's frame.
    near: f32,
    // Maximum opacity logit of Gaussians that stand before everything that one of the photos shows.
    veil_logit: f32,
    // Floor as a variance, px^2; 0: floors are kept.
    floor_px2: f32,
    // Margin around a photo within which a Gaussian counts as visible for its floor, relative to the photo's size.
    margin: f32,
}

@group(0) @binding(0) var<uniform> limits: PhotoLimitsUniform;
@group(0) @binding(1) var<storage, read> photos: array<PhotoView>;
@group(0) @binding(2) var<storage, read_write> rates: array<f32>;
@group(0) @binding(3) var<storage, read_write> geometry: array<Gaussian>;

// The shared files of camera models read these, which are uniforms where a dispatch is about one view.
var<private> view: ViewUniform;
var<private> lens: LensUniform;

fn is_inside(pixel: vec2f, size: vec2f, margin: vec2f) -> bool {
    return all(pixel > -margin) && all(pixel < size + margin);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if (i >= limits.count) {
        return;
    }
    let mean = vec4f(geometry[i].mean_logit.xyz, 1.0);
    var rate = 0.0;
    if (limits.is_first == 0u) {
        rate = rates[i];
    }
    var is_veil = false;
    for (var p = 0u; p < arrayLength(&photos); p++) {
        let at = vec3f(
            dot(photos[p].cam_from_world_x, mean),
            dot(photos[p].cam_from_world_y, mean),
            dot(photos[p].cam_from_world_z, mean),
        );
        lens = photos[p].lens;
        let depth = camera_depth(at);
        let pixel = camera_project(at);
        if (!(depth > limits.near) || pixel.z == 0.0) {
            continue;
        }
        let size = photos[p].size_px;
        if (is_inside(pixel.xy, size, limits.margin * size)) {
            rate = max(rate, photos[p].focal_px / depth);
        }
        if (is_inside(pixel.xy, size, vec2f(0.0))) {
            is_veil = is_veil || length(at) < photos[p].nearest;
        }
    }
    rates[i] = rate;
    if (is_veil) {
        geometry[i].mean_logit.w = min(geometry[i].mean_logit.w, limits.veil_logit);
    }
    if (limits.is_last == 1u && limits.floor_px2 > 0.0 && rate > 0.0) {
        geometry[i].log_scale_floor.w = limits.floor_px2 / (rate * rate);
    }
}
