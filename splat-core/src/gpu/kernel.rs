//! A compiled kernel and how it is dispatched.

use std::num::NonZeroU64;

use super::Gpu;
use super::profile::Pass;
use super::shaders::{Source, Switches};

/// WebGPU's default limit of workgroups per dimension.
const MAX_GROUPS_PER_DIMENSION: u32 = 65_535;

/// A buffer, or a range of one, to which a kernel is bound.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part<'a> {
    buffer: &'a wgpu::Buffer,
    offset: u64,
    /// `None`: up to the end.
    bytes: Option<NonZeroU64>,
}

impl<'a> Part<'a> {
    /// `bytes` bytes from `offset` on, a multiple of 256.
    pub(crate) fn of(buffer: &'a wgpu::Buffer, offset: u64, bytes: u64) -> Self {
        Self { buffer, offset, bytes: NonZeroU64::new(bytes) }
    }
}

impl<'a> From<&'a wgpu::Buffer> for Part<'a> {
    fn from(buffer: &'a wgpu::Buffer) -> Self {
        Self { buffer, offset: 0, bytes: None }
    }
}

/// A compute pipeline made from one WGSL file.
#[derive(Debug)]
pub(crate) struct Kernel {
    name: &'static str,
    pipeline: wgpu::ComputePipeline,
    layout: wgpu::BindGroupLayout,
}

impl Kernel {
    /// Compiles a kernel; `constants` set its `override`s.
    pub(crate) fn new(gpu: &Gpu, source: Source, switches: Switches, constants: &[(&str, f64)]) -> Self {
        let text = source.text(gpu.lanes(), gpu.lane_sums(), switches);
        let module = gpu.shader_module(source.name, &text);
        let pipeline = gpu.device().create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(source.name),
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants,
                zero_initialize_workgroup_memory: true,
            },
            cache: None,
        });
        let layout = pipeline.get_bind_group_layout(0);
        Self { name: source.name, pipeline, layout }
    }

    /// Binds buffers, or parts of them, to bindings 0, 1, 2 ... in the order of the kernel's declarations.
    pub(crate) fn bind<'a, P: Copy + Into<Part<'a>>>(&self, gpu: &Gpu, parts: &[P]) -> wgpu::BindGroup {
        let parts = parts.iter().map(|&part| part.into());
        let entries: Vec<_> = (0..)
            .zip(parts)
            .map(|(binding, Part { buffer, offset, bytes: size })| wgpu::BindGroupEntry {
                binding,
                resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset, size }),
            })
            .collect();
        gpu.device().create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(self.name),
            layout: &self.layout,
            entries: &entries,
        })
    }

    /// Dispatches `groups` workgroups, in two dimensions if they exceed the limit of one.
    pub(crate) fn dispatch(&self, pass: &mut Pass<'_>, bindings: &wgpu::BindGroup, groups: u32) {
        let rows = groups.div_ceil(MAX_GROUPS_PER_DIMENSION).max(1);
        pass.timed(self.name, |pass| {
            pass.set_pipeline(&self.pipeline);
            pass.set_bind_group(0, bindings, &[]);
            pass.dispatch_workgroups(groups.div_ceil(rows), rows, 1);
        });
    }

    /// Dispatches at least `items` invocations, 64 per workgroup.
    pub(crate) fn dispatch_items(&self, pass: &mut Pass<'_>, bindings: &wgpu::BindGroup, items: u32) {
        self.dispatch(pass, bindings, items.div_ceil(64));
    }

    /// Indirect dispatch: the three workgroup counts are at `offset` in `groups`.
    pub(crate) fn dispatch_indirect(
        &self,
        pass: &mut Pass<'_>,
        bindings: &wgpu::BindGroup,
        groups: Part<'_>,
        offset: u64,
    ) {
        pass.timed(self.name, |pass| {
            pass.set_pipeline(&self.pipeline);
            pass.set_bind_group(0, bindings, &[]);
            pass.dispatch_workgroups_indirect(groups.buffer, groups.offset + offset);
        });
    }
}
