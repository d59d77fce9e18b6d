// pose_total: gradient of a view's cam_from_world, added up over the Gaussians in a fixed order.
//
// Threads   one group of 256; dispatched once per chunk (lib/chunk.wgsl), in order
// Reads     v_pose [N]
// Writes    total: the rows of the gradient, which the first chunk begins and the others add to

@group(0) @binding(0) var<storage, read> v_pose: array<PoseGradient>;
@group(0) @binding(1) var<uniform> chunk: Chunk;
@group(0) @binding(2) var<storage, read_write> total: PoseGradient;

var<workgroup> partial: array<vec4f, 256>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) lane: u32) {
    // The second bound is for Mesa's software driver: see bounded_degree in lib/sh.wgsl.
    let count = min(chunk.count, arrayLength(&v_pose));
    for (var row = 0u; row < 3u; row += 1u) {
        var sum = vec4f(0.0);
        for (var i = lane; i < count; i += 256u) {
            sum += v_pose[i].rows[row];
        }
        workgroupBarrier();
        partial[lane] = sum;
        for (var half = 128u; half > 0u; half /= 2u) {
            workgroupBarrier();
            if (lane < half) {
                partial[lane] += partial[lane + half];
            }
        }
        if (lane == 0u) {
            var before = vec4f(0.0);
            if (chunk.first > 0u) {
                before = total.rows[row];
            }
            total.rows[row] = before + partial[0];
        }
    }
}
