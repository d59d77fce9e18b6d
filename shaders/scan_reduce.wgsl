// scan_reduce: the sum of each block of SCAN_BLOCK values (first half of an exclusive prefix sum).
//
// Threads   LANES per block
// Reads     values [n], counters (n)
// Writes    block_sums [blocks]

@group(0) @binding(0) var<storage, read> counters: Counters;
@group(0) @binding(1) var<storage, read> values: array<u32>;
@group(0) @binding(2) var<storage, read_write> block_sums: array<u32>;

var<workgroup> partial: array<u32, LANES>;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let length = scan_length();
    let block = group.x + group.y * groups.x;
    let end = min((block + 1u) * SCAN_BLOCK, length);
    var sum = 0u;
    for (var i = block * SCAN_BLOCK + lane; i < end; i += LANES) {
        sum = saturating_add(sum, values[i]);
    }
    partial[lane] = sum;
    workgroupBarrier();
    if (lane == 0u && block * SCAN_BLOCK < length) {
        var total = 0u;
        for (var other = 0u; other < LANES; other += 1u) {
            total = saturating_add(total, partial[other]);
        }
        block_sums[block] = total;
    }
}
