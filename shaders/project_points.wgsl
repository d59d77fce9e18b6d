// project_points: points in camera space to pixels, by the camera model that 3DGUT's kernels use.
//
// Threads   one per point; view.gaussian_count of them
// Reads     points [N vec4f]
// Writes    pixels [N vec4f]: x, y, 1 where the lens sees the point (else 0), depth
// Twin      lens::LensProjector::project

@group(0) @binding(0) var<uniform> view: ViewUniform;
@group(0) @binding(1) var<uniform> lens: LensUniform;
@group(0) @binding(2) var<storage, read> points: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> pixels: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if (i >= view.gaussian_count) {
        return;
    }
    let point = points[i].xyz;
    pixels[i] = vec4f(camera_project(point), camera_depth(point));
}
