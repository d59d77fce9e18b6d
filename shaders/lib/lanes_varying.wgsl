// lanes (varying form): sums over the LANES invocations of a group where subgroups vary in size (AMD 32 or 64, Intel 8 to 32).
//
// If the group is one subgroup, or part of a larger one, subgroup operations suffice. If it is several, each sums its own part,
// and the parts are added through workgroup memory in the order of their first lanes: the same bits as long as the driver
// divides groups into subgroups in the same way.
//
// Sizes are counted, since Vulkan's subgroup_size may report the largest size where the compiler chose a smaller one.

var<workgroup> lane_parts: array<f32, SLOT_FLOATS * LANES>;
var<workgroup> lane_maximum: atomic<u32>;
// 1 for each lane that is the first of its subgroup.
var<workgroup> lane_leads: array<u32, LANES>;
var<workgroup> subgroup_count: u32;

// Whether this lane is the first of its subgroup; how many subgroups precede its own; how many subgroups the group consists of.
var<private> lane_leader: bool;
var<private> lane_part: u32;
var<private> lane_part_count: u32;

// Must run before write_slot, which uses these counts.
fn lanes_max(x: u32, lane: u32) -> u32 {
    lane_leader = subgroupMin(lane) == lane;
    lane_leads[lane] = select(0u, 1u, lane_leader);
    atomicMax(&lane_maximum, x);
    workgroupBarrier();
    lane_part = 0u;
    var count = 0u;
    for (var other = 0u; other < LANES; other += 1u) {
        lane_part += select(0u, lane_leads[other], other < lane);
        count += lane_leads[other];
    }
    if (lane == 0u) {
        subgroup_count = count;
    }
    lane_part_count = workgroupUniformLoad(&subgroup_count);
    return workgroupUniformLoad(&lane_maximum);
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
    if (lane_part_count == 1u) {
        if (lane_leader) {
            for (var word = 0u; word < SLOT_FLOATS; word += 1u) {
                slots[base + word] = sums[word];
            }
        }
        return;
    }
    if (lane_leader) {
        for (var word = 0u; word < SLOT_FLOATS; word += 1u) {
            lane_parts[word * LANES + lane_part] = sums[word];
        }
    }
    workgroupBarrier();
    for (var word = lane; word < SLOT_FLOATS; word += LANES) {
        var sum = 0.0;
        for (var part = 0u; part < lane_part_count; part += 1u) {
            sum += lane_parts[word * LANES + part];
        }
        slots[base + word] = sum;
    }
    workgroupBarrier();
}
