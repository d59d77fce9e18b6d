//! L1 + SSIM between a frame and a photo, and its gradient, without leaving the GPU.

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
    /// Bytes for images of that many pixels.
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
        // A thin image has as many runs as pixels.
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
