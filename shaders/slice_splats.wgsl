// slice_splats: the splats of one depth slice, near to far, where a binding does not hold all splats.
//
// Threads   one per Gaussian that a slice can have; dispatched for each chunk (lib/chunk.wgsl), whose splats are copied
// Reads     order [N], splats of the chunk, the slice's counters
// Writes    slice_splats

@group(0) @binding(0) var<uniform> slice: Counters;
@group(0) @binding(1) var<uniform> chunk: Chunk;
@group(0) @binding(2) var<storage, read> order: array<u32>;
@group(0) @binding(3) var<storage, read> splats: array<Splat>;
@group(0) @binding(4) var<storage, read_write> slice_splats: array<Splat>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if (i >= slice.end_rank - slice.first_rank) {
        return;
    }
    // Beyond the chunk for a lower id, too: the difference wraps.
    let place = order[slice.first_rank + i] - chunk.first;
    if (place < chunk.count) {
        slice_splats[i] = splats[place];
    }
}
