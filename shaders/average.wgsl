// average: adds the current state of a parameter to the running mean of its last states.
//
// Threads   one per word
// Reads     values [W], counters; train.average_weight
// Writes    mean [W]
// Equation  mean += (value - mean) / n, where n includes this state: average_weight = 1 / n
// Note      Does nothing after a buffer overflow: the host runs that step again.

@group(0) @binding(0) var<uniform> train: TrainUniform;
@group(0) @binding(1) var<storage, read> counters: Counters;
@group(0) @binding(2) var<storage, read> values: array<f32>;
@group(0) @binding(3) var<storage, read_write> mean: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if (i >= arrayLength(&values) || counters.overflowed != 0u) {
        return;
    }
    let value = values[i];
    // The first state overwrites the buffer.
    if (train.average_weight >= 1.0) {
        mean[i] = value;
    } else {
        mean[i] += (value - mean[i]) * train.average_weight;
    }
}
