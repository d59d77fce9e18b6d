// gather: moves per-Gaussian records to their new indices after a densification.
//
// Threads   one per word of the new records; dispatched for each chunk of them and each chunk of old ones
// Reads     sources [M], old_records [held, words]
// Writes    new_records [M, words]: those whose source is among the old records that are bound

// Where a new Gaussian comes from.
struct GatherSource {
    // Its id among the old ones.
    gid: u32,
    // 1: its moments are copied; 0: they start at zero.
    keeps_moments: u32,
}

struct GatherUniform {
    count: u32,
    // 32-bit words per Gaussian.
    words: u32,
    // 1: copy all (parameters); 0: write zero where a source does not keep its moments.
    copies: u32,
    // The old Gaussians whose records are bound: first id and number.
    first: u32,
    held: u32,
}

@group(0) @binding(0) var<uniform> gather: GatherUniform;
@group(0) @binding(1) var<storage, read> sources: array<GatherSource>;
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
    if (gather.copies == 1u || source.keeps_moments == 1u) {
        // Beyond the chunk for a lower id, too: the difference wraps.
        let place = source.gid - gather.first;
        if (place >= gather.held) {
            return;
        }
        word = old_records[place * gather.words + i % gather.words];
    }
    new_records[i] = word;
}
