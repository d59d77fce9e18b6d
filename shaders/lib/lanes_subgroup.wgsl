// lanes (subgroup form): sums over the LANES invocations of a group, which are one subgroup.

fn lanes_max(x: u32, lane: u32) -> u32 {
    return subgroupMax(x);
}

// Writes each component's sum over the lanes to slots[base ..].
fn write_slot(base: u32, lane: u32, parts: array<f32, SLOT_FLOATS>) {
    var sums: array<f32, SLOT_FLOATS>;
    for (var word = 0u; word < SLOT_FLOATS; word += 1u) {
        // Words that are not used are 0 on every lane.
        if (slot_word_used(word)) {
            sums[word] = subgroupAdd(parts[word]);
        }
    }
    if (lane == 0u) {
        for (var word = 0u; word < SLOT_FLOATS; word += 1u) {
            slots[base + word] = sums[word];
        }
    }
}
