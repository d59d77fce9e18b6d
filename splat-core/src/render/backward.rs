//! The backward pass: from the gradient of an image to sums per intersection to gradients of the parameters.

use std::sync::OnceLock;

use super::GaussianBuffers;
use super::forward::ForwardPass;
use crate::Result;
use crate::gpu::Gpu;
use crate::gpu::kernel::Kernel;
use crate::gpu::layout::{GEOMETRY_BYTES, RAY_GRADIENT_FLOATS, ViewUniform};
use crate::gpu::profile::Pass;
use crate::gpu::shaders::{self, Optics, Switches};
use crate::render::RendererKind;

/// The kernels of a backward pass.
#[derive(Debug)]
pub(crate) struct BackwardKernels {
    switches: Switches,
    direction: Kernel,
    gpu: Gpu,
    /// By [`Optics`], compiled when first needed.
    views: [OnceLock<ViewKernels>; Optics::COUNT],
}

/// The kernels that depend on the camera model.
#[derive(Debug)]
struct ViewKernels {
    rasterize: Kernel,
    project: Kernel,
}

impl BackwardKernels {
    pub(crate) fn new(gpu: &Gpu, switches: Switches) -> Self {
        Self {
            switches,
            direction: Kernel::new(gpu, shaders::DIRECTION_BACKWARD, switches, &[]),
            gpu: gpu.clone(),
            views: Default::default(),
        }
    }

    /// The kernels for a camera.
    fn view(&self, optics: Optics) -> &ViewKernels {
        self.views[optics.index()].get_or_init(|| {
            let switches = self.switches.for_optics(optics);
            let kernel = |source| Kernel::new(&self.gpu, source, switches, &[]);
            let project = match switches.renderer {
                RendererKind::Ewa => kernel(shaders::PROJECT_BACKWARD),
                RendererKind::Gut => kernel(shaders::PROJECT_BACKWARD_GUT),
            };
            ViewKernels { rasterize: kernel(shaders::RASTERIZE_BACKWARD), project }
        })
    }
}

/// Buffers and bindings of a backward pass over a [`ForwardPass`].
#[derive(Debug)]
pub(crate) struct BackwardPass {
    /// Gradient of the image, 16 bytes per pixel; with depth, followed by 4 bytes per pixel.
    pub(crate) v_frame: wgpu::Buffer,
    pub(crate) v_geometry: wgpu::Buffer,
    pub(crate) v_colors: wgpu::Buffer,
    pub(crate) v_pose: wgpu::Buffer,
    /// Gradient sums of the intersections; with a rolling shutter and pose, followed by the gradient of every pixel's ray.
    pub(crate) slots: wgpu::Buffer,
    bind_direction: wgpu::BindGroup,
    bind_views: Vec<(Optics, ViewBindings)>,
}

#[derive(Debug)]
struct ViewBindings {
    rasterize: [wgpu::BindGroup; 2],
    project: wgpu::BindGroup,
}

impl BackwardPass {
    /// Frees the buffers that grow with the number of intersections, as [`ForwardPass::release`] does.
    pub(crate) fn release(&self) {
        self.slots.destroy();
    }

    /// Bytes for a pass of that size.
    pub(crate) fn bytes(gaussians: u64, pixels: u64, isects: u64, switches: Switches) -> u64 {
        let pose = if switches.pose { GEOMETRY_BYTES } else { 0 };
        let depth = if switches.depth { 4 } else { 0 };
        isects * switches.slot_floats() * 4 + pixels * (16 + depth) + gaussians * (GEOMETRY_BYTES + 16 + pose)
    }

    pub(crate) fn new(
        gpu: &Gpu,
        kernels: &BackwardKernels,
        gaussians: &GaussianBuffers,
        forward: &ForwardPass,
    ) -> Result<Self> {
        let switches = kernels.switches;
        let n = u64::from(gaussians.count);
        let pixels = u64::from(forward.capacity.pixels);
        let slot_bytes =
            |optics| u64::from(forward.capacity.isects) * switches.for_optics(optics).slot_floats() * 4;
        let slot_bytes = forward.cameras().map(slot_bytes).max().unwrap_or(0);
        let rolls = switches.pose && forward.cameras().any(|optics| optics.rolling);
        let slots = gpu
            .storage("splat.slots", slot_bytes + if rolls { pixels * RAY_GRADIENT_FLOATS * 4 } else { 0 })?;
        let depth_bytes = if switches.depth { pixels.next_multiple_of(4) * 4 } else { 0 };
        let v_frame = gpu.storage("splat.v_frame", pixels * 16 + depth_bytes)?;
        let v_geometry = gpu.storage("splat.v_geometry", n * GEOMETRY_BYTES)?;
        let v_colors = gpu.storage("splat.v_colors", n * 16)?;
        let v_pose = gpu.storage("splat.v_pose", if switches.pose { n * GEOMETRY_BYTES } else { 0 })?;
        let ForwardPass { view, splats, isects, isect_gaussians, tile_ranges, pixel_ends, .. } = forward;
        let geometry = &gaussians.geometry;
        let bind_views = forward.cameras().map(|camera| {
            let kernels = kernels.view(camera);
            let rasterize = [0, 1].map(|i| {
                let ids = &isects.values[i];
                let mut buffers =
                    vec![view, tile_ranges, ids, isect_gaussians, splats, pixel_ends, &v_frame, &slots];
                buffers.extend(camera.has_ray_table().then_some(&forward.rays));
                kernels.rasterize.bind(gpu, &buffers)
            });
            let project = kernels.project.bind(
                gpu,
                &[view, geometry, splats, &forward.slot_ranges, &slots, &v_geometry, &v_colors, &v_pose],
            );
            (camera, ViewBindings { rasterize, project })
        });
        let bind_views = bind_views.collect();
        let [r, g, b] = &gaussians.sh;
        let bind_direction =
            kernels.direction.bind(gpu, &[view, geometry, r, g, b, &v_colors, &v_geometry, &v_pose]);
        gpu.check()?;
        Ok(Self { v_frame, v_geometry, v_colors, v_pose, slots, bind_direction, bind_views })
    }

    /// Records the backward pass of the view that `forward` holds.
    pub(crate) fn record(
        &self,
        kernels: &BackwardKernels,
        pass: &mut Pass<'_>,
        forward: &ForwardPass,
        view: &ViewUniform,
        camera: Optics,
    ) {
        let Some((_, bind)) = self.bind_views.iter().find(|(of, _)| *of == camera) else {
            debug_assert!(false, "the pass was not made for {camera:?}");
            return;
        };
        let view_kernels = kernels.view(camera);
        if forward.count == 0 {
            return;
        }
        let sorted = ForwardPass::sorted(view);
        // One more group than there are tiles: see tile_emit.
        view_kernels.rasterize.dispatch(pass, &bind.rasterize[sorted], view.tile_count() + 1);
        view_kernels.project.dispatch_items(pass, &bind.project, forward.count);
        if view.sh_degree > 0 {
            kernels.direction.dispatch_items(pass, &self.bind_direction, forward.count);
        }
    }
}
