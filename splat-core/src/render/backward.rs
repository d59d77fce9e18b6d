//! The backward pass: from the gradient of an image to sums per intersection to gradients of the parameters.

use std::sync::OnceLock;

use super::GaussianBuffers;
use super::capacity::Capacity;
use super::chunks::Chunk;
use super::forward::{DepthSlice, ForwardKernels, ForwardPass};
use crate::gpu::Gpu;
use crate::gpu::kernel::{Kernel, Part};
use crate::gpu::layout::{GEOMETRY_BYTES, RAY_GRADIENT_FLOATS, ViewUniform, splat_bytes};
use crate::gpu::profile::Pass;
use crate::gpu::shaders::{self, Optics, Switches};
use crate::render::RendererKind;
use crate::{Error, Result};

/// Bytes per Gaussian of [`BackwardPass::v_colors`].
pub(crate) const COLOR_BYTES: u64 = 16;

/// The kernels of a backward pass.
#[derive(Debug)]
pub(crate) struct BackwardKernels {
    switches: Switches,
    direction: Kernel,
    pose_total: Kernel,
    gpu: Gpu,
    /// By [`Optics`], created on first use.
    views: [OnceLock<ViewKernels>; Optics::COUNT],
}

/// The kernels that depend on the camera model.
#[derive(Debug)]
struct ViewKernels {
    /// Of a whole view, and of one depth slice.
    rasterize: [Kernel; 2],
    project: Kernel,
}

impl BackwardKernels {
    pub(crate) fn new(gpu: &Gpu, switches: Switches) -> Self {
        Self {
            switches,
            direction: Kernel::new(gpu, shaders::DIRECTION_BACKWARD, switches, &[]),
            pose_total: Kernel::new(gpu, shaders::POSE_TOTAL, switches, &[]),
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
            let rasterize = [false, true].map(|sliced| {
                Kernel::new(&self.gpu, shaders::RASTERIZE_BACKWARD, Switches { sliced, ..switches }, &[])
            });
            ViewKernels { rasterize, project }
        })
    }

    fn rasterize(&self, optics: Optics, sliced: bool) -> &Kernel {
        &self.view(optics).rasterize[usize::from(sliced)]
    }

    /// All kernels that a pass uses.
    pub(crate) fn used(&self, cameras: impl Iterator<Item = Optics>, sliced: bool) -> Vec<&Kernel> {
        let of_view = |camera| [self.rasterize(camera, sliced), &self.view(camera).project];
        let pose = self.switches.pose.then_some(&self.pose_total);
        cameras.flat_map(of_view).chain([&self.direction]).chain(pose).collect()
    }
}

/// Buffers and bindings of a backward pass over a [`ForwardPass`].
#[derive(Debug)]
pub(crate) struct BackwardPass {
    /// Gradient of the image, 16 bytes per pixel; with depth, followed by 4 bytes per pixel; with depth slices, followed by 8 bytes per
    /// pixel for the state between two slices.
    pub(crate) v_frame: wgpu::Buffer,
    pub(crate) v_geometry: wgpu::Buffer,
    pub(crate) v_colors: wgpu::Buffer,
    pub(crate) v_pose: wgpu::Buffer,
    /// With pose: the sum of `v_pose` over all Gaussians, the gradient of `cam_from_world`'s rows; see [`BackwardPass::record_pose`].
    pub(crate) pose_total: Option<wgpu::Buffer>,
    /// Gradient sums of the intersections, reused by one depth slice after the other; with a rolling shutter and pose, followed
    /// by the gradient of every pixel's ray.
    pub(crate) slots: wgpu::Buffer,
    /// Bindings for each chunk of Gaussians.
    bind_direction: Vec<wgpu::BindGroup>,
    /// With pose, for each chunk of Gaussians.
    bind_pose: Vec<wgpu::BindGroup>,
    /// For each camera the bindings of every depth slice.
    bind_views: Vec<(Optics, Vec<SliceBindings>)>,
}

#[derive(Debug)]
struct SliceBindings {
    rasterize: [wgpu::BindGroup; 2],
    /// Bindings for each chunk of Gaussians.
    project: Vec<wgpu::BindGroup>,
}

impl BackwardPass {
    /// Size in bytes of a pass over that many Gaussians.
    pub(crate) fn bytes(gaussians: u64, capacity: &Capacity, switches: Switches) -> u64 {
        let (pixels, isects) = (u64::from(capacity.pixels), u64::from(capacity.isects));
        let state = if capacity.slices > 1 { 8 } else { 0 };
        let pose = if switches.pose { GEOMETRY_BYTES } else { 0 };
        let depth = if switches.depth { 4 } else { 0 };
        isects * switches.slot_floats() * 4
            + pixels * (16 + depth + state)
            + gaussians * (GEOMETRY_BYTES + 16 + pose)
    }

    pub(crate) fn new(
        gpu: &Gpu,
        kernels: &BackwardKernels,
        gaussians: &GaussianBuffers,
        forward: &ForwardPass,
    ) -> Result<Self> {
        let switches = kernels.switches;
        Kernel::compile_all(&kernels.used(forward.cameras(), forward.is_sliced()));
        let n = u64::from(gaussians.room);
        let pixels = u64::from(forward.capacity.pixels);
        let slot_bytes =
            |optics| u64::from(forward.capacity.isects) * switches.for_optics(optics).slot_floats() * 4;
        let slot_bytes = forward.cameras().map(slot_bytes).max().unwrap_or(0);
        let rolls = switches.pose && forward.cameras().any(|optics| optics.rolling);
        if rolls && forward.is_sliced() {
            // The gradients of rays are sums over all Gaussians and are not carried from one depth slice to the next.
            let bytes = u64::from(forward.capacity.room()) * switches.slot_floats() * 4;
            let limit = gpu.report().max_binding_bytes;
            return Err(Error::BindingTooLarge { what: "splat.slots", bytes, limit });
        }
        let slots = gpu
            .storage("splat.slots", slot_bytes + if rolls { pixels * RAY_GRADIENT_FLOATS * 4 } else { 0 })?;
        let depth_bytes = if switches.depth { pixels.next_multiple_of(4) * 4 } else { 0 };
        let state_bytes = if forward.is_sliced() { pixels * 8 } else { 0 };
        let v_frame = gpu.storage("splat.v_frame", pixels * 16 + depth_bytes + state_bytes)?;
        let v_geometry = gpu.storage_in_parts("splat.v_geometry", n * GEOMETRY_BYTES)?;
        let v_colors = gpu.storage_in_parts("splat.v_colors", n * COLOR_BYTES)?;
        let v_pose =
            gpu.storage_in_parts("splat.v_pose", if switches.pose { n * GEOMETRY_BYTES } else { 0 })?;
        let ForwardPass { view, splats: all_splats, slot_ranges, rays, .. } = forward;
        let listed = forward.listed_splats();
        let splat_bytes = splat_bytes(switches.renderer);
        // Without it, all chunks share one buffer of minimum size.
        let pose_part = |chunk: &Chunk| {
            if switches.pose { chunk.part(&v_pose, GEOMETRY_BYTES) } else { (&v_pose).into() }
        };
        let sliced = forward.is_sliced();
        let bind_views = forward.cameras().map(|camera| {
            let bind_slice = |(at, slice): (usize, &DepthSlice)| {
                let DepthSlice { ids, splats, tile_ranges, pixel_ends, .. } = slice;
                let counters = forward.counters_of(at);
                let rasterize = ids.each_ref().map(|ids| {
                    let buffers = [view, tile_ranges, ids, splats, listed, pixel_ends, &v_frame, &slots];
                    let mut parts: Vec<Part<'_>> = buffers.map(Part::from).into();
                    parts.extend(sliced.then_some(counters));
                    parts.extend(camera.has_ray_table().then_some(Part::from(rays)));
                    kernels.rasterize(camera, sliced).bind(gpu, &parts)
                });
                let bind_chunk = |(chunk, uniform): &(Chunk, wgpu::Buffer)| {
                    let parts = [
                        view.into(),
                        chunk.part(&gaussians.geometry, GEOMETRY_BYTES),
                        chunk.part(all_splats, splat_bytes),
                        chunk.part(slot_ranges, 8),
                        (&slots).into(),
                        chunk.part(&v_geometry, GEOMETRY_BYTES),
                        chunk.part(&v_colors, COLOR_BYTES),
                        pose_part(chunk),
                        counters,
                        uniform.into(),
                    ];
                    kernels.view(camera).project.bind(gpu, &parts)
                };
                SliceBindings { rasterize, project: forward.chunks.iter().map(bind_chunk).collect() }
            };
            (camera, forward.slices.iter().enumerate().map(bind_slice).collect())
        });
        let bind_views = bind_views.collect();
        let sh_bytes = 4 * u64::from(gaussians.sh_stride());
        let bind_direction = |(chunk, uniform): &(Chunk, wgpu::Buffer)| {
            let [r, g, b] = gaussians.sh.each_ref().map(|channel| chunk.part(channel, sh_bytes));
            let geometry = chunk.part(&gaussians.geometry, GEOMETRY_BYTES);
            let v_colors = chunk.part(&v_colors, COLOR_BYTES);
            let v_geometry = chunk.part(&v_geometry, GEOMETRY_BYTES);
            let parts =
                [view.into(), geometry, r, g, b, v_colors, v_geometry, pose_part(chunk), uniform.into()];
            kernels.direction.bind(gpu, &parts)
        };
        let bind_direction = forward.chunks.iter().map(bind_direction).collect();
        let pose_total =
            switches.pose.then(|| gpu.storage("splat.pose_total", GEOMETRY_BYTES)).transpose()?;
        let bind_pose = pose_total.iter().flat_map(|total| {
            forward.chunks.iter().map(|(chunk, uniform)| {
                kernels.pose_total.bind(gpu, &[pose_part(chunk), uniform.into(), total.into()])
            })
        });
        let bind_pose = bind_pose.collect();
        gpu.check()?;
        Ok(Self {
            v_frame,
            v_geometry,
            v_colors,
            v_pose,
            pose_total,
            slots,
            bind_direction,
            bind_pose,
            bind_views,
        })
    }

    /// Records the backward pass of the view rendered by `forward`.
    pub(crate) fn record(
        &self,
        (forward_kernels, kernels): (&ForwardKernels, &BackwardKernels),
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
        let rasterize = kernels.rasterize(camera, forward.is_sliced());
        // From the farthest depth slice to the nearest; they use the same slots.
        for (at, bind) in bind.iter().enumerate().rev() {
            // The current slice after the forward pass is the farthest.
            if at + 1 < forward.slices.len() {
                forward.record_slice(forward_kernels, pass, at);
            }
            // One more group than there are tiles: see tile_emit.
            rasterize.dispatch(pass, &bind.rasterize[sorted], view.tile_count() + 1);
            for ((chunk, _), bind) in forward.chunks.iter().zip(&bind.project) {
                view_kernels.project.dispatch_items(pass, bind, chunk.count);
            }
        }
        if view.sh_degree > 0 {
            for ((chunk, _), bind) in forward.chunks.iter().zip(&self.bind_direction) {
                kernels.direction.dispatch_items(pass, bind, chunk.count);
            }
        }
    }

    /// Records the sum of all Gaussians' contributions to the pose's gradient, after [`BackwardPass::record`].
    pub(crate) fn record_pose(&self, kernels: &BackwardKernels, pass: &mut Pass<'_>) {
        for bind in &self.bind_pose {
            kernels.pose_total.dispatch(pass, bind, 1);
        }
    }
}
