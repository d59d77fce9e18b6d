// loss_total: the loss of one view, added up in a fixed order.
//
// Threads   one group of 256
// Reads     ssim_parts [runs], l1_parts [runs], counters
// Writes    report: loss, and the intersection counts that the host reads back

struct StepReport {
    loss: f32,
    isects_needed: u32,
    overflowed: u32,
    padding: u32,
}

@group(0) @binding(0) var<uniform> view: ViewUniform;
@group(0) @binding(1) var<uniform> train: TrainUniform;
@group(0) @binding(2) var<storage, read> counters: Counters;
@group(0) @binding(3) var<storage, read> ssim_parts: array<f32>;
@group(0) @binding(4) var<storage, read> l1_parts: array<f32>;
@group(0) @binding(5) var<storage, read_write> report: StepReport;

var<workgroup> partial: array<vec2f, 256>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) lane: u32) {
    let size = view.image_size;
    let row_runs = size.y * ((size.x + RUN - 1u) / RUN);
    let column_runs = size.x * ((size.y + RUN - 1u) / RUN);
    var sum = vec2f(0.0);
    for (var i = lane; i < row_runs; i += 256u) {
        sum.x += ssim_parts[i];
    }
    for (var i = lane; i < column_runs; i += 256u) {
        sum.y += l1_parts[i];
    }
    partial[lane] = sum;
    workgroupBarrier();
    if (lane == 0u) {
        var total = vec2f(0.0);
        for (var i = 0u; i < 256u; i += 1u) {
            total += partial[i];
        }
        let pixels = f32(train.image_pixels);
        let l1 = total.y / (3.0 * pixels);
        report.loss = (1.0 - train.ssim_weight) * l1 + train.ssim_weight * (1.0 - total.x / pixels);
        report.isects_needed = counters.isects_needed;
        report.overflowed = counters.overflowed;
    }
}
