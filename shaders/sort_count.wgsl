// sort_count: histogram of digits in each block of keys (first third of a radix pass).
//
// Threads   LANES per block of SORT_BLOCK keys
// Reads     keys [n], counters (n)
// Writes    table [SORT_DIGITS, blocks], digit-major, so that its exclusive sum gives the scatter positions
// Source    count, scan, scatter: WebGPU does not guarantee forward progress between workgroups, which
//           single-pass sorts (onesweep, decoupled look-back) rely on

override SHIFT: u32 = 0u;
override OVER: u32 = 0u;

@group(0) @binding(0) var<storage, read> counters: Counters;
@group(0) @binding(1) var<storage, read> keys: array<u32>;
@group(0) @binding(2) var<storage, read_write> table: array<u32>;

var<workgroup> bins: array<atomic<u32>, SORT_DIGITS>;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let count = element_count(OVER);
    let blocks = sort_blocks(count);
    let block = group.x + group.y * groups.x;
    for (var digit = lane; digit < SORT_DIGITS; digit += LANES) {
        atomicStore(&bins[digit], 0u);
    }
    workgroupBarrier();
    let end = min((block + 1u) * SORT_BLOCK, count);
    for (var i = block * SORT_BLOCK + lane; i < end; i += LANES) {
        atomicAdd(&bins[(keys[i] >> SHIFT) & (SORT_DIGITS - 1u)], 1u);
    }
    workgroupBarrier();
    if (block < blocks) {
        for (var digit = lane; digit < SORT_DIGITS; digit += LANES) {
            table[digit * blocks + block] = atomicLoad(&bins[digit]);
        }
    }
}
