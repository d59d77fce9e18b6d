// best_two: the best and second best product of each descriptor of one photo with all of another's (feature matching).
//
// Threads   64 per group, one per descriptor; a group's descriptors are of one photo, and so are those it is compared with
// Reads     descriptors [n, 128 bytes], groups [one per workgroup]
// Writes    results [one per descriptor of each group]
// Source    COLMAP's rule of matching needs these; integers, so that processors give the same (`splat-colmap/src/matching`)

struct Group {
    first: u32,
    count: u32,
    other_first: u32,
    other_count: u32,
    // Place of the first result.
    result: u32,
}

struct BestTwo {
    best: i32,
    second: i32,
    // Place of the first descriptor of the other photo whose product is the best.
    index: i32,
}

// Sixteen bytes in a vector, eight vectors in a descriptor.
const VECTORS: u32 = 8u;
// Descriptors of the other photo that are in workgroup memory at a time: 4 KiB.
const TILE: u32 = 32u;

@group(0) @binding(0) var<storage, read> descriptors: array<vec4u>;
@group(0) @binding(1) var<storage, read> groups: array<Group>;
@group(0) @binding(2) var<storage, read_write> results: array<BestTwo>;

var<workgroup> others: array<vec4u, 256>;

@compute @workgroup_size(64)
fn main(
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) id: vec3u,
    @builtin(num_workgroups) dispatched: vec3u,
) {
    let place = id.x + id.y * dispatched.x;
    // Where groups take two dimensions, the last row of them may be longer than the list.
    if (place >= arrayLength(&groups)) {
        return;
    }
    let task = groups[place];
    // Lanes without a descriptor of their own repeat the last one's work, for the barriers' sake.
    let own = (task.first + min(lane, task.count - 1u)) * VECTORS;
    var words: array<vec4u, 8>;
    for (var k = 0u; k < VECTORS; k += 1u) {
        words[k] = descriptors[own + k];
    }
    var found = BestTwo(0, 0, 0);
    for (var begin = 0u; begin < task.other_count; begin += TILE) {
        let tile = min(TILE, task.other_count - begin);
        workgroupBarrier();
        for (var k = lane; k < tile * VECTORS; k += 64u) {
            others[k] = descriptors[(task.other_first + begin) * VECTORS + k];
        }
        workgroupBarrier();
        for (var other = 0u; other < tile; other += 1u) {
            var sum = 0u;
            for (var k = 0u; k < VECTORS; k += 1u) {
                let a = words[k];
                let b = others[other * VECTORS + k];
                sum += dot4U8Packed(a.x, b.x) + dot4U8Packed(a.y, b.y);
                sum += dot4U8Packed(a.z, b.z) + dot4U8Packed(a.w, b.w);
            }
            let product = i32(sum);
            found.second = max(found.second, min(found.best, product));
            if (product > found.best) {
                found.best = product;
                found.index = i32(begin + other);
            }
        }
    }
    if (lane < task.count) {
        results[task.result + lane] = found;
    }
}
