// multiply_add: measures the device's peak multiply-add rate, to compare the kernels' rates with (`splat bench`).
//
// Threads   64 per group, each with 8 independent vec4f chains, to hide latency
// Reads     settings (rounds per invocation; a round is 4 multiply-adds of each chain, unrolled, since loops are slow on software drivers)
// Writes    sink [invocations vec4f], so that the compiler cannot drop the work

struct RateSettings {
    rounds: u32,
    // 1.0 and 0.0, but as variables: the chains never overflow, and the compiler cannot fold them.
    factor: f32,
    term: f32,
    padding: u32,
}

@group(0) @binding(0) var<uniform> settings: RateSettings;
@group(0) @binding(1) var<storage, read_write> sink: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let x = vec4f(f32(id.x & 255u));
    var c0 = x;
    var c1 = x + 1.0;
    var c2 = x + 2.0;
    var c3 = x + 3.0;
    var c4 = x + 4.0;
    var c5 = x + 5.0;
    var c6 = x + 6.0;
    var c7 = x + 7.0;
    for (var round = 0u; round < settings.rounds; round += 1u) {
        c0 = c0 * settings.factor + settings.term;
        c1 = c1 * settings.factor + settings.term;
        c2 = c2 * settings.factor + settings.term;
        c3 = c3 * settings.factor + settings.term;
        c4 = c4 * settings.factor + settings.term;
        c5 = c5 * settings.factor + settings.term;
        c6 = c6 * settings.factor + settings.term;
        c7 = c7 * settings.factor + settings.term;
        c0 = c0 * settings.factor + settings.term;
        c1 = c1 * settings.factor + settings.term;
        c2 = c2 * settings.factor + settings.term;
        c3 = c3 * settings.factor + settings.term;
        c4 = c4 * settings.factor + settings.term;
        c5 = c5 * settings.factor + settings.term;
        c6 = c6 * settings.factor + settings.term;
        c7 = c7 * settings.factor + settings.term;
        c0 = c0 * settings.factor + settings.term;
        c1 = c1 * settings.factor + settings.term;
        c2 = c2 * settings.factor + settings.term;
        c3 = c3 * settings.factor + settings.term;
        c4 = c4 * settings.factor + settings.term;
        c5 = c5 * settings.factor + settings.term;
        c6 = c6 * settings.factor + settings.term;
        c7 = c7 * settings.factor + settings.term;
        c0 = c0 * settings.factor + settings.term;
        c1 = c1 * settings.factor + settings.term;
        c2 = c2 * settings.factor + settings.term;
        c3 = c3 * settings.factor + settings.term;
        c4 = c4 * settings.factor + settings.term;
        c5 = c5 * settings.factor + settings.term;
        c6 = c6 * settings.factor + settings.term;
        c7 = c7 * settings.factor + settings.term;
    }
    if (id.x < arrayLength(&sink)) {
        sink[id.x] = c0 + c1 + c2 + c3 + c4 + c5 + c6 + c7;
    }
}
