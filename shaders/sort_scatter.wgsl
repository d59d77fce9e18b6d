// sort_scatter: moves every key and its value to its place, stably (last third of a radix pass).
//
// Threads   LANES per block of SORT_BLOCK keys, LANES keys at a time in order
// Reads     keys_in [n], values_in [n], offsets [SORT_DIGITS, blocks] (exclusive sum of sort_count's table)
// Writes    keys_out [n], values_out [n]
// Shared    next free place of each digit; the digits of the current LANES keys

override SHIFT: u32 = 0u;
override OVER: u32 = 0u;

@group(0) @binding(0) var<storage, read> counters: Counters;
@group(0) @binding(1) var<storage, read> keys_in: array<u32>;
@group(0) @binding(2) var<storage, read> values_in: array<u32>;
@group(0) @binding(3) var<storage, read> offsets: array<u32>;
@group(0) @binding(4) var<storage, read_write> keys_out: array<u32>;
@group(0) @binding(5) var<storage, read_write> values_out: array<u32>;

const NO_DIGIT: u32 = 0xffffffffu;

var<workgroup> places: array<u32, SORT_DIGITS>;
var<workgroup> digits: array<u32, LANES>;

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
        if (block < blocks) {
            places[digit] = offsets[digit * blocks + block];
        }
    }
    let first = block * SORT_BLOCK;
    for (var batch = 0u; batch < SORT_BLOCK; batch += LANES) {
        let i = first + batch + lane;
        var key = 0u;
        var digit = NO_DIGIT;
        if (i < count) {
            key = keys_in[i];
            digit = (key >> SHIFT) & (SORT_DIGITS - 1u);
        }
        digits[lane] = digit;
        workgroupBarrier();
        // Rank among the current keys with the same digit; the last of them advances the digit's next free place.
        var rank = 0u;
        var is_last = true;
        for (var other = 0u; other < LANES; other += 1u) {
            let same = digits[other] == digit;
            rank += select(0u, 1u, same && other < lane);
            is_last = is_last && !(same && other > lane);
        }
        var place = 0u;
        if (digit != NO_DIGIT) {
            place = places[digit] + rank;
        }
        workgroupBarrier();
        if (digit != NO_DIGIT) {
            keys_out[place] = key;
            values_out[place] = values_in[i];
            if (is_last) {
                places[digit] = place + 1u;
            }
        }
    }
}
