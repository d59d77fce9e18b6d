//! The photometric loss, L1 + SSIM between a frame and a photo, and its gradient, on the GPU.

use crate::Result;
use crate::gpu::Gpu;
use crate::gpu::kernel::Kernel;
use crate::gpu::layout::{LOSS_RUN, StepReport, ViewUniform};
use crate::gpu::profile::Pass;
use crate::gpu::shaders::{self, Switches};
use crate::render::backward::BackwardPass;
use crate::render::forward::ForwardPass;

/// The kernels of the loss.
#[derive(Debug)]
pub(crate) struct LossKernels {
    rows: Kernel,
    columns: Kernel,
    gradient: Kernel,
    total: Kernel,
}

impl LossKernels {
    pub(crate) fn new(gpu: &Gpu) -> Self {
        let kernel = |source| Kernel::new(gpu, source, Switches::default(), &[]);
        Self {
            rows: kernel(shaders::SSIM_ROWS),
            columns: kernel(shaders::SSIM_COLUMNS),
            gradient: kernel(shaders::LOSS_GRADIENT),
            total: kernel(shaders::LOSS_TOTAL),
        }
    }
}

impl LossKernels {
    /// All kernels.
    pub(crate) fn used(&self) -> [&Kernel; 4] {
        [&self.rows, &self.columns, &self.gradient, &self.total]
    }
}

/// Buffers and bindings of the loss.
#[derive(Debug)]
pub(crate) struct Loss {
    /// The photo, packed RGBA8.
    pub(crate) photo: wgpu::Buffer,
    pub(crate) report: wgpu::Buffer,
    bind_rows: wgpu::BindGroup,
    bind_columns: wgpu::BindGroup,
    bind_gradient: wgpu::BindGroup,
    bind_total: wgpu::BindGroup,
}

impl Loss {
    /// Size in bytes for images of that many pixels.
    pub(crate) fn bytes(pixels: u64) -> u64 {
        // photo, moments, spread derivatives, two sets of partial sums
        pixels * (4 + 16 + 12 + 2 * 4)
    }

    pub(crate) fn new(
        gpu: &Gpu,
        kernels: &LossKernels,
        forward: &ForwardPass,
        backward: &BackwardPass,
        train: &wgpu::Buffer,
    ) -> Result<Self> {
        let pixels = u64::from(forward.capacity.pixels);
        let photo = gpu.storage("splat.photo", pixels * 4)?;
        let moments = gpu.storage("splat.ssim_moments", pixels * 16)?;
        let spread = gpu.storage("splat.ssim_spread", pixels * 12)?;
        // A one pixel thin image has as many runs as pixels.
        let parts_bytes = pixels * 4;
        let ssim_parts = gpu.storage("splat.ssim_parts", parts_bytes)?;
        let l1_parts = gpu.storage("splat.l1_parts", parts_bytes)?;
        let report = gpu.storage("splat.step_report", size_of::<StepReport>() as u64)?;
        let (view, frame) = (&forward.view, &forward.frame);
        let bind_columns = kernels.columns.bind(gpu, &[view, train, frame, &photo, &moments]);
        let bind_rows = kernels.rows.bind(gpu, &[view, &moments, &spread, &ssim_parts]);
        let bind_gradient =
            kernels.gradient.bind(gpu, &[view, train, frame, &photo, &spread, &backward.v_frame, &l1_parts]);
        let bind_total =
            kernels.total.bind(gpu, &[view, train, &forward.counters, &ssim_parts, &l1_parts, &report]);
        Ok(Self { photo, report, bind_rows, bind_columns, bind_gradient, bind_total })
    }

    pub(crate) fn record(&self, kernels: &LossKernels, pass: &mut Pass<'_>, view: &ViewUniform) {
        let [width, height] = view.image_size;
        let row_runs = width.div_ceil(LOSS_RUN) * height;
        let column_runs = height.div_ceil(LOSS_RUN) * width;
        kernels.columns.dispatch_items(pass, &self.bind_columns, column_runs);
        kernels.rows.dispatch_items(pass, &self.bind_rows, row_runs);
        kernels.gradient.dispatch_items(pass, &self.bind_gradient, column_runs);
        kernels.total.dispatch(pass, &self.bind_total, 1);
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;
    use crate::Exposure;
    use crate::camera::{Camera, Pinhole, Pose};
    use crate::gaussians::GaussianCloud;
    use crate::gpu::GpuOptions;
    use crate::gpu::layout::TrainUniform;
    use crate::random::Random;
    use crate::reference;
    use crate::render::GaussianBuffers;
    use crate::render::backward::BackwardKernels;
    use crate::render::capacity::Capacity;
    use crate::render::forward::ForwardKernels;

    /// Wider than one run of a row, with odd sides; and smaller than the window.
    const SIZES: [(u32, u32); 3] = [(71, 19), (5, 67), (1, 1)];
    const NUDGE: f64 = 1e-4;

    /// Exposures: equal to the scene's, and a darker, reddish one with a vignette.
    const EXPOSURES: [Exposure; 2] = [
        Exposure { factors: [1.0; 3], vignette: 0.0 },
        Exposure { factors: [0.8, 0.7, 0.6], vignette: -0.4 },
    ];

    /// A frame, a photo whose leftmost columns may be masked, and the kernels' results for them.
    struct Case {
        size: (u32, u32),
        rendered: Vec<f64>,
        photo: Vec<f64>,
        exposure: Exposure,
        loss: f32,
        v_frame: Vec<[f32; 4]>,
    }

    fn case(gpu: &Gpu, size: (u32, u32), masked_columns: u32, exposure: Exposure) -> Case {
        let (width, height) = size;
        let mut random = Random::new(3, u64::from(width), masked_columns);
        let pixels = (width * height) as usize;
        let frame: Vec<[f32; 4]> = (0..pixels)
            .map(|i| {
                let wave = 0.5 + 0.4 * (i as f64 * 0.31).sin();
                [0, 1, 2].map(|_| (wave + 0.3 * (random.uniform() - 0.5)) as f32)
            })
            .map(|[r, g, b]| [r, g, b, 0.1])
            .collect();
        let photo: Vec<u32> = (0..pixels as u32)
            .map(|i| {
                let alpha = if i % width < masked_columns { 0 } else { 0xff00_0000 };
                (random.next_u64() as u32 & 0x00ff_ffff) | alpha
            })
            .collect();

        let cloud = GaussianCloud {
            means: vec![[0.0; 3]],
            quats: vec![[1.0, 0.0, 0.0, 0.0]],
            log_scales: vec![[0.0; 3]],
            opacity_logits: vec![0.0],
            sh_coeffs: vec![[0.0; 3]],
            sh_degree: 0,
        };
        let gaussians = GaussianBuffers::upload(gpu, &cloud).unwrap();
        let intrinsics = Pinhole { width, height, fx: 9.0, fy: 9.0, cx: 3.0, cy: 3.0 };
        let camera = Camera { intrinsics, cam_from_world: Pose::IDENTITY };
        let view = ViewUniform::from_camera(&camera, [0.0; 3]);
        let capacity =
            Capacity { isects: 64, ..Capacity::without_room(view.pixel_count(), view.tile_count(), 0) };
        let pinhole = [crate::gpu::shaders::Optics::default()];
        let kernels =
            (ForwardKernels::new(gpu, Switches::default()), BackwardKernels::new(gpu, Switches::default()));
        let forward = ForwardPass::new(gpu, &kernels.0, &gaussians, capacity, &pinhole).unwrap();
        let backward = BackwardPass::new(gpu, &kernels.1, &gaussians, &forward).unwrap();
        let train = gpu.uniform::<TrainUniform>("test.train");
        let settings = TrainUniform {
            ssim_weight: reference::SSIM_WEIGHT as f32,
            image_pixels: view.pixel_count(),
            gain: exposure.factors.map(|factor| factor as f32),
            vignette: exposure.vignette as f32,
            ..bytemuck::Zeroable::zeroed()
        };
        let loss_kernels = LossKernels::new(gpu);
        let loss = Loss::new(gpu, &loss_kernels, &forward, &backward, &train).unwrap();
        let queue = gpu.queue();
        queue.write_buffer(&forward.view, 0, bytemuck::bytes_of(&view));
        queue.write_buffer(&train, 0, bytemuck::bytes_of(&settings));
        queue.write_buffer(&forward.frame, 0, bytemuck::cast_slice(&frame));
        queue.write_buffer(&loss.photo, 0, bytemuck::cast_slice(&photo));
        gpu.submit("test.loss", |encoder| {
            let mut pass = Pass::begin(encoder, None);
            loss.record(&loss_kernels, &mut pass, &view);
        });
        let report: StepReport = gpu.read(&loss.report, 1).unwrap()[0];
        let mut rendered = Vec::new();
        let mut wanted = Vec::new();
        for (index, (pixel, word)) in (0..).zip(frame.iter().zip(&photo)) {
            let vignette = exposure.vignette_at([index % width, index / width], [width, height]);
            for ((byte, channel), factor) in
                word.to_le_bytes().into_iter().zip(&pixel[..3]).zip(exposure.factors)
            {
                let value = f64::from(byte) / 255.0;
                wanted.push(value);
                // Where the mask is black, render and photo count as equal.
                let exposed = factor * vignette * f64::from(*channel);
                rendered.push(if *word >> 24 == 0 { value } else { exposed });
            }
        }
        let v_frame = gpu.read(&backward.v_frame, pixels).unwrap();
        Case { size, rendered, photo: wanted, exposure, loss: report.loss, v_frame }
    }

    fn twin_loss(case: &Case, rendered: &[f64]) -> f64 {
        let (width, height) = case.size;
        reference::photometric_loss(rendered, &case.photo, width as usize, height as usize)
    }

    #[test]
    #[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
    fn loss_and_gradient_are_the_twins() {
        let gpu = Gpu::new(&GpuOptions::default()).unwrap();
        for size in SIZES {
            for (masked_columns, exposure) in
                [(0, EXPOSURES[0]), (size.0 / 3, EXPOSURES[0]), (size.0 / 3, EXPOSURES[1])]
            {
                let case = case(&gpu, size, masked_columns, exposure);
                let expected = twin_loss(&case, &case.rendered);
                assert!((f64::from(case.loss) - expected).abs() < 1e-5, "{size:?}: {} {expected}", case.loss);
                let scale = 1.0 / case.rendered.len() as f64;
                let mut compared = 0;
                for i in (0..case.rendered.len()).step_by(7) {
                    let (pixel, channel) = (i / 3, i % 3);
                    let have = f64::from(case.v_frame[pixel][channel]);
                    if (pixel as u32) % size.0 < masked_columns {
                        assert_eq!(have, 0.0, "a masked pixel pulls");
                        continue;
                    }
                    // The absolute value is not differentiable where both are equal.
                    if (case.rendered[i] - case.photo[i]).abs() < 2.0 * NUDGE {
                        continue;
                    }
                    let [above, below] = [NUDGE, -NUDGE].map(|step| {
                        let mut nudged = case.rendered.clone();
                        nudged[i] += step;
                        twin_loss(&case, &nudged)
                    });
                    let place = [pixel as u32 % size.0, pixel as u32 / size.0];
                    let gain = case.exposure.factors[channel] * case.exposure.vignette_at(place, size.into());
                    let want = gain * (above - below) / (2.0 * NUDGE);
                    assert!((have - want).abs() < 2e-3 * scale, "{size:?} [{i}]: {have} {want}");
                    compared += 1;
                }
                assert!(compared > 0, "nothing was compared");
            }
        }
    }
}
