// scatter: writes the records of the Gaussians that a densification changes or adds.
//
// Threads   one per word of the new records; dispatched for each chunk of them and each chunk of all Gaussians
// Reads     places [C], the ids of those Gaussians; rows [C, words], their new records
// Writes    records [held, words]: those whose id is among the Gaussians that are bound

struct ScatterUniform {
    // Number of new records.
    count: u32,
    // 32-bit words per Gaussian.
    words: u32,
    // 1: write the new records; 0: write zero (moments).
    copies: u32,
    // The Gaussians whose records are bound: first id and number.
    first: u32,
    held: u32,
}

@group(0) @binding(0) var<uniform> scatter: ScatterUniform;
@group(0) @binding(1) var<storage, read> places: array<u32>;
@group(0) @binding(2) var<storage, read> rows: array<u32>;
@group(0) @binding(3) var<storage, read_write> records: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if (i >= scatter.count * scatter.words) {
        return;
    }
    // Beyond the chunk for a lower id, too: the difference wraps.
    let place = places[i / scatter.words] - scatter.first;
    if (place >= scatter.held) {
        return;
    }
    records[place * scatter.words + i % scatter.words] = select(0u, rows[i], scatter.copies == 1u);
}
