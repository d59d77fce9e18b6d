// lanes (subgroup form): sums over the LANES invocations of a group, which are one subgroup.

fn lanes_max(x: u32, lane: u32) -> u32 {
    return subgroupMax(x);
}

// Writes the sums over the lanes of each component to slots[base ..].
fn write_slot(base: u32, lane: u32, parts: array<f32, SLOT_FLOATS>) {
    let s0 = subgroupAdd(parts[0]);
    let s1 = subgroupAdd(parts[1]);
    let s2 = subgroupAdd(parts[2]);
    let s3 = subgroupAdd(parts[3]);
    let s4 = subgroupAdd(parts[4]);
    let s5 = subgroupAdd(parts[5]);
    let s6 = subgroupAdd(parts[6]);
    let s7 = subgroupAdd(parts[7]);
    let s8 = subgroupAdd(parts[8]);
    var s9 = 0.0;
    var s10 = 0.0;
    if (WITH_ABS) {
        s9 = subgroupAdd(parts[9]);
    }
    if (WITH_DEPTH) {
        s10 = subgroupAdd(parts[10]);
    }
    if (lane == 0u) {
        slots[base] = s0;
        slots[base + 1u] = s1;
        slots[base + 2u] = s2;
        slots[base + 3u] = s3;
        slots[base + 4u] = s4;
        slots[base + 5u] = s5;
        slots[base + 6u] = s6;
        slots[base + 7u] = s7;
        slots[base + 8u] = s8;
        slots[base + 9u] = s9;
        slots[base + 10u] = s10;
    }
}
