// gather: per-Gaussian records to their places after Gaussians were added, moved and removed.
//
// Threads   one per word of the new records
// Reads     sources [M vec2u] (old Gaussian id; 1 to copy the record, 0 to start it at zero), old [N, words]
// Writes    new [M, words]

struct GatherUniform {
    count: u32,
    // 32-bit words per Gaussian.
    words: u32,
    // 1: always copy (parameters); 0: write zero where `source.y == 0` (optimizer moments of new Gaussians).
    always: u32,
    padding: u32,
}

@group(0) @binding(0) var<uniform> gather: GatherUniform;
@group(0) @binding(1) var<storage, read> sources: array<vec2u>;
@group(0) @binding(2) var<storage, read> old_records: array<u32>;
@group(0) @binding(3) var<storage, read_write> new_records: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if (i >= gather.count * gather.words) {
        return;
    }
    let source = sources[i / gather.words];
    var word = 0u;
    if (gather.always == 1u || source.y == 1u) {
        word = old_records[source.x * gather.words + i % gather.words];
    }
    new_records[i] = word;
}
