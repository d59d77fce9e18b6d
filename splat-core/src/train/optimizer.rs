//! Adam for every parameter, and the reordering of parameters and moments after a densification.

use bytemuck::{Pod, Zeroable};

use super::densify::Plan;
use crate::Result;
use crate::gpu::Gpu;
use crate::gpu::kernel::Kernel;
use crate::gpu::layout::{DensifyStatistic, GEOMETRY_BYTES, GEOMETRY_FLOATS};
use crate::gpu::profile::Pass;
use crate::gpu::shaders::{self, Switches};
use crate::render::GaussianBuffers;
use crate::render::backward::BackwardPass;
use crate::render::forward::ForwardPass;
use crate::render::gaussian_buffers::SH_LABELS;

/// Bytes of the densify statistics per Gaussian.
const STATISTICS_BYTES: u64 = size_of::<DensifyStatistic>() as u64;

/// The optimizer's kernels.
#[derive(Debug)]
pub(crate) struct OptimizerKernels {
    geometry: Kernel,
    sh: [Kernel; 3],
    gather: Kernel,
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
        Self {
            geometry: Kernel::new(gpu, shaders::ADAM_GEOMETRY, off, &[]),
            sh: [0.0, 1.0, 2.0].map(sh),
            gather: Kernel::new(gpu, shaders::GATHER, off, &[]),
        }
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
        let geometry = |label| gpu.storage(label, n * GEOMETRY_BYTES);
        let sh = || -> Result<[wgpu::Buffer; 3]> {
            let bytes = n * u64::from(sh_stride) * 4;
            let [r, g, b] = SH_LABELS;
            Ok([gpu.storage(r, bytes)?, gpu.storage(g, bytes)?, gpu.storage(b, bytes)?])
        };
        Ok(Self {
            geometry: [geometry("splat.adam.geometry_m")?, geometry("splat.adam.geometry_v")?],
            sh: [sh()?, sh()?],
            statistics: gpu.storage("splat.densify_statistics", n * STATISTICS_BYTES)?,
        })
    }
}

/// The optimizer bound to its buffers.
#[derive(Debug)]
pub(crate) struct Optimizer {
    count: u32,
    bind_geometry: wgpu::BindGroup,
    bind_sh: [wgpu::BindGroup; 3],
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
        let geometry = &gaussians.geometry;
        let [m, v] = &moments.geometry;
        let bind_geometry = kernels
            .geometry
            .bind(gpu, &[view, train, counters, v_geometry, v_colors, geometry, m, v, &moments.statistics]);
        let bind_sh = [0, 1, 2].map(|c| {
            let [m, v] = [&moments.sh[0][c], &moments.sh[1][c]];
            kernels.sh[c].bind(gpu, &[view, train, counters, geometry, v_colors, &gaussians.sh[c], m, v])
        });
        Self { count: gaussians.count, bind_geometry, bind_sh }
    }

    pub(crate) fn record(&self, kernels: &OptimizerKernels, pass: &mut Pass<'_>) {
        if self.count == 0 {
            return;
        }
        // Colours first: their basis depends on the means before the update.
        for (kernel, bindings) in kernels.sh.iter().zip(&self.bind_sh) {
            kernel.dispatch_items(pass, bindings, self.count);
        }
        kernels.geometry.dispatch_items(pass, &self.bind_geometry, self.count);
    }
}

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
struct GatherUniform {
    count: u32,
    words: u32,
    always: u32,
    padding: u32,
}

/// Carries out a densification: allocates new buffers and fills them according to the plan; statistics start at zero.
pub(crate) fn apply(
    gpu: &Gpu,
    kernels: &OptimizerKernels,
    gaussians: &GaussianBuffers,
    moments: &Moments,
    plan: &Plan,
) -> Result<(GaussianBuffers, Moments)> {
    let count = plan.geometry.len() as u32;
    let sh_stride = gaussians.sh_stride();
    let sources = gpu.storage_from("splat.gather.sources", &plan.sources)?;
    let new_moments = Moments::new(gpu, count, sh_stride)?;
    let sh_bytes = u64::from(count) * u64::from(sh_stride) * 4;
    let [r, g, b] = SH_LABELS;
    let new = GaussianBuffers {
        count,
        sh_degree: gaussians.sh_degree,
        geometry: gpu.storage_from("splat.geometry", &plan.geometry)?,
        sh: [gpu.storage(r, sh_bytes)?, gpu.storage(g, sh_bytes)?, gpu.storage(b, sh_bytes)?],
    };
    let geometry_words = GEOMETRY_FLOATS as u32;
    let mut moves = Vec::new();
    for c in 0..3 {
        moves.push((&gaussians.sh[c], &new.sh[c], sh_stride, 1));
        for moment in 0..2 {
            moves.push((&moments.sh[moment][c], &new_moments.sh[moment][c], sh_stride, 0));
        }
    }
    for (from, to) in moments.geometry.iter().zip(&new_moments.geometry) {
        moves.push((from, to, geometry_words, 0));
    }
    for (from, to, words, always) in moves {
        let uniform = gpu.uniform::<GatherUniform>("splat.gather");
        let values = GatherUniform { count, words, always, padding: 0 };
        gpu.queue().write_buffer(&uniform, 0, bytemuck::bytes_of(&values));
        let bindings = kernels.gather.bind(gpu, &[&uniform, &sources, from, to]);
        gpu.submit("splat.gather", |encoder| {
            let mut pass = Pass::begin(encoder, None);
            kernels.gather.dispatch_items(&mut pass, &bindings, count * words);
        });
    }
    gpu.check()?;
    Ok((new, new_moments))
}
