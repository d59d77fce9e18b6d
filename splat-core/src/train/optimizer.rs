//! Adam for every parameter.

use crate::Result;
use crate::gpu::Gpu;
use crate::gpu::kernel::{Kernel, Part};
use crate::gpu::layout::{DensifyStatistic, GEOMETRY_BYTES};
use crate::gpu::profile::Pass;
use crate::gpu::shaders::{self, Switches};
use crate::render::GaussianBuffers;
use crate::render::backward::{BackwardPass, COLOR_BYTES};
use crate::render::chunks::Chunk;
use crate::render::forward::ForwardPass;
use crate::render::gaussian_buffers::SH_LABELS;

/// Bytes of the densify statistics per Gaussian.
pub(super) const STATISTICS_BYTES: u64 = size_of::<DensifyStatistic>() as u64;

/// The optimizer's kernels.
#[derive(Debug)]
pub(crate) struct OptimizerKernels {
    geometry: Kernel,
    sh: [Kernel; 3],
}

impl OptimizerKernels {
    /// For Gaussians that store `sh_stride` coefficients per channel.
    pub(crate) fn new(gpu: &Gpu, sh_stride: u32) -> Self {
        let off = Switches::default();
        let sh = |channel: f64| {
            let channel = ("CHANNEL", channel);
            if gpu.lanes() < shaders::GPU_LANES {
                return Kernel::new(gpu, shaders::ADAM_SH, off, &[channel]);
            }
            Kernel::new(gpu, shaders::ADAM_SH_LINES, off, &[channel, ("STRIDE", f64::from(sh_stride))])
        };
        Self { geometry: Kernel::new(gpu, shaders::ADAM_GEOMETRY, off, &[]), sh: [0.0, 1.0, 2.0].map(sh) }
    }

    /// Kernels of a step.
    pub(crate) fn used(&self) -> impl Iterator<Item = &Kernel> {
        self.sh.iter().chain([&self.geometry])
    }
}

/// First and second moments, and the densify statistics.
#[derive(Debug)]
pub(crate) struct Moments {
    pub(crate) geometry: [wgpu::Buffer; 2],
    /// Indexed by moment, then by channel.
    pub(crate) sh: [[wgpu::Buffer; 3]; 2],
    pub(crate) statistics: wgpu::Buffer,
}

impl Moments {
    /// Bytes per Gaussian.
    pub(crate) fn bytes_per_gaussian(sh_degree: u32) -> u64 {
        2 * GaussianBuffers::bytes_per_gaussian(sh_degree) + STATISTICS_BYTES
    }

    /// Zeroed moments for `count` Gaussians.
    pub(crate) fn new(gpu: &Gpu, count: u32, sh_stride: u32) -> Result<Self> {
        let n = u64::from(count);
        let geometry = |label| gpu.storage_in_parts(label, n * GEOMETRY_BYTES);
        let sh = || -> Result<[wgpu::Buffer; 3]> {
            let bytes = n * u64::from(sh_stride) * 4;
            let [r, g, b] = SH_LABELS;
            Ok([
                gpu.storage_in_parts(r, bytes)?,
                gpu.storage_in_parts(g, bytes)?,
                gpu.storage_in_parts(b, bytes)?,
            ])
        };
        Ok(Self {
            geometry: [geometry("splat.adam.geometry_m")?, geometry("splat.adam.geometry_v")?],
            sh: [sh()?, sh()?],
            statistics: gpu.storage_in_parts("splat.densify_statistics", n * STATISTICS_BYTES)?,
        })
    }
}

/// The optimizer bound to its buffers.
#[derive(Debug)]
pub(crate) struct Optimizer {
    /// By chunk: the number of its Gaussians, the bindings of their colours and those of their geometry.
    chunks: Vec<(u32, [wgpu::BindGroup; 3], wgpu::BindGroup)>,
}

impl Optimizer {
    pub(crate) fn new(
        gpu: &Gpu,
        kernels: &OptimizerKernels,
        gaussians: &GaussianBuffers,
        moments: &Moments,
        forward: &ForwardPass,
        backward: &BackwardPass,
        train: &wgpu::Buffer,
    ) -> Self {
        let ForwardPass { view, counters, .. } = forward;
        let BackwardPass { v_geometry, v_colors, .. } = backward;
        let sh_bytes = 4 * u64::from(gaussians.sh_stride());
        let bind_chunk = |(chunk, uniform): &(Chunk, wgpu::Buffer)| {
            let [view, train, counters, uniform] = [view, train, counters, uniform].map(Part::from);
            let v_geometry = chunk.part(v_geometry, GEOMETRY_BYTES);
            let v_colors = chunk.part(v_colors, COLOR_BYTES);
            let geometry = chunk.part(&gaussians.geometry, GEOMETRY_BYTES);
            let sh = [0, 1, 2].map(|c| {
                let [sh, m, v] = [&gaussians.sh[c], &moments.sh[0][c], &moments.sh[1][c]]
                    .map(|buffer| chunk.part(buffer, sh_bytes));
                kernels.sh[c].bind(gpu, &[view, train, counters, geometry, v_colors, sh, m, v, uniform])
            });
            let [m, v] = moments.geometry.each_ref().map(|buffer| chunk.part(buffer, GEOMETRY_BYTES));
            let statistics = chunk.part(&moments.statistics, STATISTICS_BYTES);
            let parts = [train, counters, v_geometry, v_colors, geometry, m, v, statistics, uniform];
            (chunk.count, sh, kernels.geometry.bind(gpu, &parts))
        };
        Self { chunks: forward.chunks.iter().map(bind_chunk).collect() }
    }

    pub(crate) fn record(&self, kernels: &OptimizerKernels, pass: &mut Pass<'_>) {
        for (count, sh, geometry) in self.chunks.iter().filter(|(count, ..)| *count > 0) {
            // Colours first: their basis depends on the means before the update.
            for (kernel, bindings) in kernels.sh.iter().zip(sh) {
                kernel.dispatch_items(pass, bindings, *count);
            }
            kernels.geometry.dispatch_items(pass, geometry, *count);
        }
    }
}
