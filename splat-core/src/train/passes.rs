//! The kernels of a training step, and their buffers and bindings.

use super::average::AverageKernel;
use super::config::TrainConfig;
use super::loss::{Loss, LossKernels};
use super::optimizer::{Moments, Optimizer, OptimizerKernels};
use super::poses::Poses;
use super::rearrange::RearrangeKernels;
use crate::Result;
use crate::camera::Pinhole;
use crate::dataset::Dataset;
use crate::gpu::Gpu;
use crate::gpu::kernel::Kernel;
use crate::gpu::layout::{TrainUniform, ViewUniform};
use crate::gpu::shaders::{Optics, Switches};
use crate::render::backward::{BackwardKernels, BackwardPass};
use crate::render::capacity::Capacity;
use crate::render::chunks::Chunks;
use crate::render::forward::{ForwardKernels, ForwardPass};
use crate::render::{GaussianBuffers, RendererKind, check_image_size, isects_per_slice, optics_of};

/// Every kernel that a training step runs.
#[derive(Debug)]
pub(super) struct Kernels {
    pub(super) forward: ForwardKernels,
    pub(super) backward: BackwardKernels,
    pub(super) loss: LossKernels,
    pub(super) optimizer: OptimizerKernels,
    pub(super) average: AverageKernel,
    pub(super) rearrange: RearrangeKernels,
}

/// Buffers and bindings, whose sizes depend on the number of Gaussians, pixels and intersections.
#[derive(Debug)]
pub(super) struct Passes {
    pub(super) forward: ForwardPass,
    pub(super) backward: BackwardPass,
    pub(super) loss: Loss,
    pub(super) optimizer: Optimizer,
    pub(super) train: wgpu::Buffer,
}

impl Kernels {
    pub(super) fn new(gpu: &Gpu, switches: Switches, sh_stride: u32) -> Self {
        Self {
            forward: ForwardKernels::new(gpu, switches),
            backward: BackwardKernels::new(gpu, switches),
            loss: LossKernels::new(gpu),
            optimizer: OptimizerKernels::new(gpu, sh_stride),
            average: AverageKernel::new(gpu),
            rearrange: RearrangeKernels::new(gpu),
        }
    }
}

/// The distinct optics of a dataset's views.
fn optics(dataset: &Dataset) -> Result<Vec<Optics>> {
    let mut optics = std::collections::BTreeSet::new();
    for &view in dataset.train.iter().chain(&dataset.held_out) {
        let rolling = dataset.kept_shutter(view).is_some();
        optics.insert(match dataset.kept_lens(view) {
            Some(lens) => optics_of(lens, rolling)?,
            None => Optics { rolling, ..Optics::default() },
        });
    }
    Ok(optics.into_iter().collect())
}

impl Passes {
    pub(super) fn new(
        gpu: &Gpu,
        kernels: &Kernels,
        gaussians: &GaussianBuffers,
        moments: &Moments,
        dataset: &Dataset,
        isects: u32,
    ) -> Result<Self> {
        let mut capacity = Capacity::without_room(0, 0, 0);
        for view in dataset.train.iter().chain(&dataset.held_out) {
            let Pinhole { width, height, .. } = dataset.pinhole_camera(*view).intrinsics;
            check_image_size(width, height)?;
            let uniform = ViewUniform::from_camera(&dataset.pinhole_camera(*view), [0.0; 3]);
            capacity.pixels = capacity.pixels.max(uniform.pixel_count());
            capacity.tiles = capacity.tiles.max(uniform.tile_count());
            if dataset.kept_shutter(*view).is_some() {
                capacity.lines = capacity.lines.max(width.max(height));
            }
        }
        let switches = slot_switches(dataset, kernels.forward.switches);
        let chunks = Chunks::of(gpu, gaussians, switches.renderer);
        let capacity = capacity.with_room(isects, isects_per_slice(gpu, switches), chunks);
        let cameras = optics(dataset)?;
        let mut used = kernels.forward.used(&cameras, capacity, chunks.len() > 1);
        used.extend(kernels.backward.used(cameras.iter().copied(), capacity.slices > 1));
        used.extend(kernels.loss.used());
        used.extend(kernels.optimizer.used());
        Kernel::compile_all(&used);
        let forward = ForwardPass::new(gpu, &kernels.forward, gaussians, capacity, &cameras)?;
        let backward = BackwardPass::new(gpu, &kernels.backward, gaussians, &forward)?;
        let train = gpu.uniform::<TrainUniform>("splat.train");
        let loss = Loss::new(gpu, &kernels.loss, &forward, &backward, &train)?;
        let optimizer =
            Optimizer::new(gpu, &kernels.optimizer, gaussians, moments, &forward, &backward, &train);
        Ok(Self { forward, backward, loss, optimizer, train })
    }
}

/// The variant of the kernels that a step (from 0) runs.
pub(super) fn switches_at(config: &TrainConfig, poses: &Poses, step: u32) -> Switches {
    Switches {
        renderer: config.renderer_at(step),
        abs_gradient: config.uses_abs_gradient(),
        pose: poses.wants_gradient(),
        ..Switches::default()
    }
}

/// The switches that determine the size of an intersection's gradient sums, for the largest among a dataset's views.
pub(super) fn slot_switches(dataset: &Dataset, switches: Switches) -> Switches {
    let rolling = switches.renderer == RendererKind::Gut && dataset.keeps_rolling_shutter();
    Switches { rolling, ..switches }
}
