// lanes (shared-memory form): the same sums where subgroups are missing or vary in size.

var<workgroup> lane_parts: array<f32, SLOT_FLOATS * LANES>;
var<workgroup> lane_maximum: atomic<u32>;

fn lanes_max(x: u32, lane: u32) -> u32 {
    atomicMax(&lane_maximum, x);
    return workgroupUniformLoad(&lane_maximum);
}

// Writes each component's sum over the lanes to slots[base ..]; each lane adds up one component.
fn write_slot(base: u32, lane: u32, parts: array<f32, SLOT_FLOATS>) {
    for (var word = 0u; word < SLOT_FLOATS; word += 1u) {
        lane_parts[word * LANES + lane] = parts[word];
    }
    workgroupBarrier();
    for (var word = lane; word < SLOT_FLOATS; word += LANES) {
        var sum = 0.0;
        for (var other = 0u; other < LANES; other += 1u) {
            sum += lane_parts[word * LANES + other];
        }
        slots[base + word] = sum;
    }
    workgroupBarrier();
}
