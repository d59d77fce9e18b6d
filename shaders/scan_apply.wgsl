// scan_apply: exclusive prefix sums (second half).
//
// Threads   LANES per block of SCAN_BLOCK values; each lane owns a run of them
// Reads     values [n], block_sums [blocks] from scan_reduce, counters (n)
// Writes    sums [n]
// Note      Each block adds up the preceding block sums itself: a few thousand loads at most, which saves a
//           pass and its barrier.

@group(0) @binding(0) var<storage, read> counters: Counters;
@group(0) @binding(1) var<storage, read> values: array<u32>;
@group(0) @binding(2) var<storage, read> block_sums: array<u32>;
@group(0) @binding(3) var<storage, read_write> sums: array<u32>;

const RUN: u32 = SCAN_BLOCK / LANES;

var<workgroup> partial: array<u32, LANES>;
var<workgroup> before: array<u32, LANES>;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let length = scan_length();
    let block = group.x + group.y * groups.x;
    let first = block * SCAN_BLOCK + lane * RUN;
    let end = min(first + RUN, length);
    var earlier = 0u;
    for (var other = lane; other < block; other += LANES) {
        earlier = saturating_add(earlier, block_sums[other]);
    }
    var sum = 0u;
    for (var i = first; i < end; i += 1u) {
        sum = saturating_add(sum, values[i]);
    }
    before[lane] = earlier;
    partial[lane] = sum;
    workgroupBarrier();
    var running = 0u;
    for (var other = 0u; other < LANES; other += 1u) {
        running = saturating_add(running, before[other]);
        if (other < lane) {
            running = saturating_add(running, partial[other]);
        }
    }
    for (var i = first; i < end; i += 1u) {
        let value = values[i];
        sums[i] = running;
        running = saturating_add(running, value);
    }
}
