//! The gradient of an image, recorded: pixels to intersections to parameters.

use super::GaussianBuffers;
use super::forward::ForwardPass;
use crate::Result;
use crate::gpu::Gpu;
use crate::gpu::kernel::Kernel;
use crate::gpu::layout::{GEOMETRY_BYTES, SLOT_FLOATS, ViewUniform};
use crate::gpu::profile::Pass;
use crate::gpu::shaders::{self, Switches};

/// The kernels of a backward pass.
#[derive(Debug)]
pub(crate) struct BackwardKernels {
    rasterize: Kernel,
    project: Kernel,
    direction: Kernel,
}

impl BackwardKernels {
    pub(crate) fn new(gpu: &Gpu, switches: Switches) -> Self {
        let kernel = |source| Kernel::new(gpu, source, switches, &[]);
        Self {
            rasterize: kernel(shaders::RASTERIZE_BACKWARD),
            project: kernel(shaders::PROJECT_BACKWARD),
            direction: kernel(shaders::DIRECTION_BACKWARD),
        }
    }
}

/// Buffers and bindings of a backward pass over a [`ForwardPass`].
#[derive(Debug)]
pub(crate) struct BackwardPass {
    pub(crate) v_frame: wgpu::Buffer,
    pub(crate) v_depth: wgpu::Buffer,
    pub(crate) v_geometry: wgpu::Buffer,
    pub(crate) v_colors: wgpu::Buffer,
    pub(crate) v_pose: wgpu::Buffer,
    bind_rasterize: [wgpu::BindGroup; 2],
    bind_project: wgpu::BindGroup,
    bind_direction: wgpu::BindGroup,
}

impl BackwardPass {
    /// Bytes for a pass of that size.
    pub(crate) fn bytes(gaussians: u64, pixels: u64, isects: u64, switches: Switches) -> u64 {
        let pose = if switches.pose { GEOMETRY_BYTES } else { 0 };
        let depth = if switches.depth { 4 } else { 0 };
        isects * SLOT_FLOATS * 4 + pixels * (16 + depth) + gaussians * (GEOMETRY_BYTES + 16 + pose)
    }

    pub(crate) fn new(
        gpu: &Gpu,
        kernels: &BackwardKernels,
        gaussians: &GaussianBuffers,
        forward: &ForwardPass,
        switches: Switches,
    ) -> Result<Self> {
        let n = u64::from(gaussians.count);
        let pixels = u64::from(forward.capacity.pixels);
        let slot_bytes = u64::from(forward.capacity.isects) * SLOT_FLOATS * 4;
        let slots = gpu.storage("splat.slots", slot_bytes)?;
        let v_frame = gpu.storage("splat.v_frame", pixels * 16)?;
        let v_depth = gpu.storage("splat.v_depth", if switches.depth { pixels * 4 } else { 0 })?;
        let v_geometry = gpu.storage("splat.v_geometry", n * GEOMETRY_BYTES)?;
        let v_colors = gpu.storage("splat.v_colors", n * 16)?;
        let v_pose = gpu.storage("splat.v_pose", if switches.pose { n * GEOMETRY_BYTES } else { 0 })?;
        let ForwardPass { view, splats, isects, isect_gaussians, tile_ranges, pixel_ends, .. } = forward;
        let bind_rasterize = [0, 1].map(|i| {
            let ids = &isects.values[i];
            kernels.rasterize.bind(
                gpu,
                &[view, tile_ranges, ids, isect_gaussians, splats, pixel_ends, &v_frame, &v_depth, &slots],
            )
        });
        let geometry = &gaussians.geometry;
        let bind_project = kernels.project.bind(
            gpu,
            &[view, geometry, splats, &forward.slot_ranges, &slots, &v_geometry, &v_colors, &v_pose],
        );
        let [r, g, b] = &gaussians.sh;
        let bind_direction =
            kernels.direction.bind(gpu, &[view, geometry, r, g, b, &v_colors, &v_geometry, &v_pose]);
        gpu.check()?;
        Ok(Self {
            v_frame,
            v_depth,
            v_geometry,
            v_colors,
            v_pose,
            bind_rasterize,
            bind_project,
            bind_direction,
        })
    }

    /// Records the backward pass of the view that `forward` holds.
    pub(crate) fn record(
        &self,
        kernels: &BackwardKernels,
        pass: &mut Pass<'_>,
        forward: &ForwardPass,
        view: &ViewUniform,
    ) {
        if forward.count == 0 {
            return;
        }
        let sorted = ForwardPass::sorted(view);
        // One group more than tiles: see tile_emit.
        kernels.rasterize.dispatch(pass, &self.bind_rasterize[sorted], view.tile_count() + 1);
        kernels.project.dispatch_items(pass, &self.bind_project, forward.count);
        if view.sh_degree > 0 {
            kernels.direction.dispatch_items(pass, &self.bind_direction, forward.count);
        }
    }
}
