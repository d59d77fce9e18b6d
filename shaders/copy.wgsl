// copy: copies one buffer to another, to measure the device's memory bandwidth (`splat bench`).
//
// Threads   one per vec4f
// Reads     source [n vec4f]
// Writes    destination [n vec4f]

@group(0) @binding(0) var<storage, read> source: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> destination: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if (i < arrayLength(&source)) {
        destination[i] = source[i];
    }
}
