//! The kernels of the forward pass, compiled on first use.

use std::sync::OnceLock;

use crate::gpu::Gpu;
use crate::gpu::kernel::Kernel;
use crate::gpu::shaders::{self, Optics, Switches};
use crate::render::RendererKind;
use crate::render::capacity::Capacity;
use crate::render::sort::{Over, SortKernels};

/// The kernels of a forward pass.
#[derive(Debug)]
pub(crate) struct ForwardKernels {
    pub(crate) switches: Switches,
    pub(super) sort: SortKernels,
    pub(super) isect_total: Kernel,
    pub(super) tile_ranges: Kernel,
    pub(super) slice_splats: Kernel,
    gpu: Gpu,
    /// By [`Optics`], created on first use.
    views: [OnceLock<ViewKernels>; Optics::COUNT],
}

/// The kernels that depend on the camera model; all others are shared by every renderer.
#[derive(Debug)]
pub(super) struct ViewKernels {
    pub(super) project: Kernel,
    pub(super) tile_count: Kernel,
    pub(super) tile_emit: Kernel,
    /// Of a whole view, and of one depth slice.
    rasterize: [Kernel; 2],
}

impl ForwardKernels {
    pub(crate) fn new(gpu: &Gpu, switches: Switches) -> Self {
        let kernel = |source| Kernel::new(gpu, source, switches, &[]);
        Self {
            switches,
            sort: SortKernels::new(gpu),
            isect_total: kernel(shaders::ISECT_TOTAL),
            tile_ranges: kernel(shaders::TILE_RANGES),
            slice_splats: kernel(shaders::SLICE_SPLATS),
            gpu: gpu.clone(),
            views: Default::default(),
        }
    }

    /// The kernels for a camera.
    pub(super) fn view(&self, optics: Optics) -> &ViewKernels {
        self.views[optics.index()].get_or_init(|| {
            let switches = self.switches.for_optics(optics);
            let kernel = |source| Kernel::new(&self.gpu, source, switches, &[]);
            let project = match switches.renderer {
                RendererKind::Ewa => kernel(shaders::PROJECT),
                RendererKind::Gut => kernel(shaders::PROJECT_GUT),
            };
            ViewKernels {
                project,
                tile_count: kernel(shaders::TILE_COUNT),
                tile_emit: kernel(shaders::TILE_EMIT),
                rasterize: [false, true].map(|sliced| {
                    Kernel::new(&self.gpu, shaders::RASTERIZE, Switches { sliced, ..switches }, &[])
                }),
            }
        })
    }

    pub(super) fn rasterize(&self, optics: Optics, sliced: bool) -> &Kernel {
        &self.view(optics).rasterize[usize::from(sliced)]
    }

    /// All kernels that a pass of this capacity uses.
    pub(crate) fn used(&self, cameras: &[Optics], capacity: Capacity, has_chunks: bool) -> Vec<&Kernel> {
        let mut used = vec![&self.isect_total, &self.tile_ranges];
        used.extend(self.sort.of_sort(Over::Gaussians(0), u32::BITS));
        used.extend(self.sort.of_sort(Over::Isects, capacity.tile_bits()));
        used.extend(self.sort.of_scan());
        used.extend(has_chunks.then_some(&self.slice_splats));
        for &camera in cameras {
            let ViewKernels { project, tile_count, tile_emit, .. } = self.view(camera);
            used.extend([project, tile_count, tile_emit, self.rasterize(camera, capacity.slices > 1)]);
        }
        used
    }
}
