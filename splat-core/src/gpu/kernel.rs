//! A compiled kernel and how it is dispatched.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::{Mutex, OnceLock, PoisonError};

use rayon::prelude::*;

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

/// A compute pipeline made from one WGSL file, compiled when it is first used.
#[derive(Debug)]
pub(crate) struct Kernel {
    gpu: Gpu,
    source: Source,
    switches: Switches,
    constants: Vec<(&'static str, f64)>,
    compiled: OnceLock<Compiled>,
}

#[derive(Clone, Debug)]
struct Compiled {
    pipeline: wgpu::ComputePipeline,
    layout: wgpu::BindGroupLayout,
}

/// A kernel's source, and the names and bits of its constants.
type Key = (String, Vec<(&'static str, u64)>);

/// Kernels compiled for a device. The self-test, a renderer and a trainer share many of them.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<BTreeMap<Key, Compiled>>);

impl Kernel {
    /// A kernel of this device; `constants` set its `override`s.
    pub(crate) fn new(
        gpu: &Gpu,
        source: Source,
        switches: Switches,
        constants: &[(&'static str, f64)],
    ) -> Self {
        Self { gpu: gpu.clone(), source, switches, constants: constants.to_vec(), compiled: OnceLock::new() }
    }

    /// Compiles kernels in parallel. Kernels that are not compiled in advance are compiled on first use.
    pub(crate) fn compile_all(kernels: &[&Self]) {
        kernels.par_iter().for_each(|kernel| {
            kernel.compiled();
        });
    }

    fn compiled(&self) -> &Compiled {
        self.compiled.get_or_init(|| {
            let gpu = &self.gpu;
            let text = self.source.text(gpu.lanes(), gpu.lane_sums(), self.switches);
            let constants = self.constants.iter().map(|(name, value)| (*name, value.to_bits())).collect();
            let key = (text, constants);
            let cache = &gpu.kernels.0;
            let known = cache.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
            // Compiled without holding the lock, so that other threads can compile.
            known.unwrap_or_else(|| {
                let compiled = self.compile(&key.0);
                cache.lock().unwrap_or_else(PoisonError::into_inner).insert(key, compiled.clone());
                compiled
            })
        })
    }

    fn compile(&self, text: &str) -> Compiled {
        let module = self.gpu.shader_module(self.source.name, text);
        let pipeline = self.gpu.device().create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(self.source.name),
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &self.constants,
                zero_initialize_workgroup_memory: true,
            },
            cache: None,
        });
        let layout = pipeline.get_bind_group_layout(0);
        Compiled { pipeline, layout }
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
            label: Some(self.source.name),
            layout: &self.compiled().layout,
            entries: &entries,
        })
    }

    /// Dispatches `groups` workgroups, in two dimensions if they exceed the limit of one.
    pub(crate) fn dispatch(&self, pass: &mut Pass<'_>, bindings: &wgpu::BindGroup, groups: u32) {
        let rows = groups.div_ceil(MAX_GROUPS_PER_DIMENSION).max(1);
        pass.timed(self.source.name, |pass| {
            pass.set_pipeline(&self.compiled().pipeline);
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
        pass.timed(self.source.name, |pass| {
            pass.set_pipeline(&self.compiled().pipeline);
            pass.set_bind_group(0, bindings, &[]);
            pass.dispatch_workgroups_indirect(groups.buffer, groups.offset + offset);
        });
    }
}
