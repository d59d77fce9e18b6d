//! L1 + SSIM between a frame and a photo, and its gradient, without leaving the GPU.

use crate::Result;
use crate::gpu::Gpu;
use crate::gpu::kernel::Kernel;
use crate::gpu::layout::{LOSS_RUN, StepReport, ViewUniform};
use crate::gpu::profile::Pass;
use crate::gpu::shaders::{self, Switches};
use crate::render::backward::BackwardPass;
use crate::render::forward::ForwardPass;

/// Colour channels.
const CHANNELS: u32 = 3;

/// The kernels of the loss.
#[derive(Debug)]
pub(crate) struct LossKernels {
    rows: Kernel,
    columns: Kernel,
    rows_backward: Kernel,
    gradient: Kernel,
    total: Kernel,
}

impl LossKernels {
    pub(crate) fn new(gpu: &Gpu) -> Self {
        let kernel = |source| Kernel::new(gpu, source, Switches::default(), &[]);
        Self {
            rows: kernel(shaders::SSIM_ROWS),
            columns: kernel(shaders::SSIM_COLUMNS),
            rows_backward: kernel(shaders::SSIM_ROWS_BACKWARD),
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
    bind_rows_backward: wgpu::BindGroup,
    bind_gradient: wgpu::BindGroup,
    bind_total: wgpu::BindGroup,
}

impl Loss {
    /// Bytes for images of that many pixels.
    pub(crate) fn bytes(pixels: u64) -> u64 {
        // photo, moments (4 maps a channel), partials (3 maps), two sets of partial sums
        pixels * (4 + 48 + 36 + 2 * 4 * u64::from(CHANNELS))
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
        let moments = gpu.storage("splat.ssim_moments", pixels * 48)?;
        let partials = gpu.storage("splat.ssim_partials", pixels * 36)?;
        // A thin image has as many runs as pixels.
        let parts_bytes = pixels * u64::from(CHANNELS) * 4;
        let ssim_parts = gpu.storage("splat.ssim_parts", parts_bytes)?;
        let l1_parts = gpu.storage("splat.l1_parts", parts_bytes)?;
        let report = gpu.storage("splat.step_report", size_of::<StepReport>() as u64)?;
        let (view, frame) = (&forward.view, &forward.frame);
        let bind_columns = kernels.columns.bind(gpu, &[view, train, frame, &photo, &moments]);
        let bind_rows = kernels.rows.bind(gpu, &[view, &moments, &partials, &ssim_parts]);
        // The moments are spent by then, so their memory takes the spread partials.
        let bind_rows_backward = kernels.rows_backward.bind(gpu, &[view, &partials, &moments]);
        let bind_gradient =
            kernels.gradient.bind(gpu, &[view, train, frame, &photo, &moments, &backward.v_frame, &l1_parts]);
        let bind_total =
            kernels.total.bind(gpu, &[view, train, &forward.counters, &ssim_parts, &l1_parts, &report]);
        Ok(Self { photo, report, bind_rows, bind_columns, bind_rows_backward, bind_gradient, bind_total })
    }

    pub(crate) fn record(&self, kernels: &LossKernels, pass: &mut Pass<'_>, view: &ViewUniform) {
        let [width, height] = view.image_size;
        let row_runs = width.div_ceil(LOSS_RUN) * height * CHANNELS;
        let column_runs = height.div_ceil(LOSS_RUN) * width * CHANNELS;
        kernels.columns.dispatch_items(pass, &self.bind_columns, column_runs);
        kernels.rows.dispatch_items(pass, &self.bind_rows, row_runs);
        kernels.rows_backward.dispatch_items(pass, &self.bind_rows_backward, row_runs);
        kernels.gradient.dispatch_items(pass, &self.bind_gradient, column_runs);
        kernels.total.dispatch(pass, &self.bind_total, 1);
    }
}
