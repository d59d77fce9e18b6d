//! Radix sorts and prefix sums over buffers whose length may be known only to the GPU.

use std::mem::offset_of;

use crate::gpu::Gpu;
use crate::gpu::kernel::{Kernel, Part};
use crate::gpu::layout::{Counters, SCAN_BLOCK, SORT_BLOCK, SORT_DIGITS};
use crate::gpu::profile::Pass;
use crate::gpu::shaders::{self, Switches};

/// Bits per radix pass.
const DIGIT_BITS: u32 = 8;
/// Offsets of the indirect dispatches in `Counters`.
const SORT_GROUPS_OFFSET: u64 = offset_of!(Counters, sort_groups) as u64;
const SCAN_GROUPS_OFFSET: u64 = offset_of!(Counters, scan_groups) as u64;

/// The elements of a sort or scan, which determine where its length comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    /// One per Gaussian; the host knows their number.
    Gaussians(u32),
    /// One per intersection; only the GPU knows their number.
    Isects,
}

impl Over {
    fn id(self) -> u32 {
        match self {
            Self::Gaussians(_) => 0,
            Self::Isects => 1,
        }
    }
}

/// The kernels of sorts and scans.
#[derive(Debug)]
pub(crate) struct SortKernels {
    /// By [`Over`], then by pass.
    count: [Vec<Kernel>; 2],
    scatter: [Vec<Kernel>; 2],
    /// By input: Gaussians, digit table over Gaussians, digit table over intersections.
    scan_reduce: [Kernel; 3],
    scan_apply: [Kernel; 3],
}

impl SortKernels {
    pub(crate) fn new(gpu: &Gpu) -> Self {
        let off = Switches::default();
        let per_pass = |source: shaders::Source, over: u32| {
            (0..u32::BITS / DIGIT_BITS)
                .map(|pass| {
                    let constants = [("SHIFT", f64::from(pass * DIGIT_BITS)), ("OVER", f64::from(over))];
                    Kernel::new(gpu, source, off, &constants)
                })
                .collect()
        };
        let scan = |source: shaders::Source| {
            [0.0, 1.0, 2.0].map(|over| Kernel::new(gpu, source, off, &[("SCAN_OVER", over)]))
        };
        Self {
            count: [0, 1].map(|over| per_pass(shaders::SORT_COUNT, over)),
            scatter: [0, 1].map(|over| per_pass(shaders::SORT_SCATTER, over)),
            scan_reduce: scan(shaders::SCAN_REDUCE),
            scan_apply: scan(shaders::SCAN_APPLY),
        }
    }

    /// Kernels of a sort by the low `bits` bits.
    pub(crate) fn of_sort(&self, over: Over, bits: u32) -> impl Iterator<Item = &Kernel> {
        let id = over.id() as usize;
        let passes = self.count[id].iter().zip(&self.scatter[id]).take(Sort::pass_count(bits));
        let scans = [&self.scan_reduce[id + 1], &self.scan_apply[id + 1]];
        passes.flat_map(|(count, scatter)| [count, scatter]).chain(scans)
    }

    /// Kernels of a [`Scan`].
    pub(crate) fn of_scan(&self) -> [&Kernel; 2] {
        [&self.scan_reduce[0], &self.scan_apply[0]]
    }
}

/// Scratch memory of a sort or scan over up to `elements` elements.
#[derive(Debug)]
pub(crate) struct SortScratch {
    table: wgpu::Buffer,
    offsets: wgpu::Buffer,
    block_sums: wgpu::Buffer,
}

impl SortScratch {
    pub(crate) fn new(gpu: &Gpu, elements: u32) -> crate::Result<Self> {
        let entries = u64::from(elements.div_ceil(SORT_BLOCK)) * u64::from(SORT_DIGITS);
        let blocks = entries.max(u64::from(elements)).div_ceil(u64::from(SCAN_BLOCK));
        Ok(Self {
            table: gpu.storage("splat.sort.table", entries * 4)?,
            offsets: gpu.storage("splat.sort.offsets", entries * 4)?,
            block_sums: gpu.storage("splat.scan.block_sums", blocks * 4)?,
        })
    }

    /// Bytes for that many elements.
    pub(crate) fn bytes(elements: u64) -> u64 {
        let entries = elements.div_ceil(u64::from(SORT_BLOCK)) * u64::from(SORT_DIGITS);
        entries * 8 + entries.max(elements).div_ceil(u64::from(SCAN_BLOCK)) * 4
    }
}

/// Keys and values, each as a pair of buffers between which passes alternate.
#[derive(Debug)]
pub(crate) struct SortBuffers {
    pub(crate) keys: [wgpu::Buffer; 2],
    pub(crate) values: [wgpu::Buffer; 2],
}

/// A sort bound to its buffers.
#[derive(Debug)]
pub(crate) struct Sort {
    over: Over,
    /// Bindings per pass: count, reduce, apply, scatter.
    passes: Vec<[wgpu::BindGroup; 4]>,
}

impl Sort {
    /// Binds a sort by the low `bits` bits, rounded up to whole digits.
    pub(crate) fn new(
        gpu: &Gpu,
        kernels: &SortKernels,
        over: Over,
        counters: Part<'_>,
        buffers: &SortBuffers,
        scratch: &SortScratch,
        bits: u32,
    ) -> Self {
        let id = over.id() as usize;
        let SortScratch { table, offsets, block_sums } = scratch;
        let [table, offsets, block_sums] = [table, offsets, block_sums].map(Part::from);
        let passes = (0..Self::pass_count(bits))
            .map(|pass| {
                let (from, to) = (pass % 2, (pass + 1) % 2);
                let keys = [&buffers.keys[from], &buffers.keys[to]].map(Part::from);
                let values = [&buffers.values[from], &buffers.values[to]].map(Part::from);
                [
                    kernels.count[id][pass].bind(gpu, &[counters, keys[0], table]),
                    kernels.scan_reduce[id + 1].bind(gpu, &[counters, table, block_sums]),
                    kernels.scan_apply[id + 1].bind(gpu, &[counters, table, block_sums, offsets]),
                    kernels.scatter[id][pass]
                        .bind(gpu, &[counters, keys[0], values[0], offsets, keys[1], values[1]]),
                ]
            })
            .collect();
        Self { over, passes }
    }

    /// Number of passes to sort by `bits` bits; the result is in buffer `pass_count % 2`.
    pub(crate) fn pass_count(bits: u32) -> usize {
        bits.div_ceil(DIGIT_BITS).max(1) as usize
    }

    /// Records the first `passes` passes.
    pub(crate) fn record(
        &self,
        kernels: &SortKernels,
        pass: &mut Pass<'_>,
        counters: Part<'_>,
        passes: usize,
    ) {
        let id = self.over.id() as usize;
        for (i, [count, reduce, apply, scatter]) in self.passes.iter().take(passes).enumerate() {
            let [k_count, k_scatter] = [&kernels.count[id][i], &kernels.scatter[id][i]];
            let [k_reduce, k_apply] = [&kernels.scan_reduce[id + 1], &kernels.scan_apply[id + 1]];
            match self.over {
                Over::Gaussians(n) => {
                    let blocks = n.div_ceil(SORT_BLOCK);
                    let scan_blocks = (blocks * SORT_DIGITS).div_ceil(SCAN_BLOCK);
                    k_count.dispatch(pass, count, blocks);
                    k_reduce.dispatch(pass, reduce, scan_blocks);
                    k_apply.dispatch(pass, apply, scan_blocks);
                    k_scatter.dispatch(pass, scatter, blocks);
                }
                Over::Isects => {
                    k_count.dispatch_indirect(pass, count, counters, SORT_GROUPS_OFFSET);
                    k_reduce.dispatch_indirect(pass, reduce, counters, SCAN_GROUPS_OFFSET);
                    k_apply.dispatch_indirect(pass, apply, counters, SCAN_GROUPS_OFFSET);
                    k_scatter.dispatch_indirect(pass, scatter, counters, SORT_GROUPS_OFFSET);
                }
            }
        }
    }
}

/// An exclusive prefix sum over one value per Gaussian, bound to its buffers.
#[derive(Debug)]
pub(crate) struct Scan {
    groups: u32,
    reduce: wgpu::BindGroup,
    apply: wgpu::BindGroup,
}

impl Scan {
    pub(crate) fn new(
        gpu: &Gpu,
        kernels: &SortKernels,
        count: u32,
        counters: Part<'_>,
        [values, sums]: [&wgpu::Buffer; 2],
        scratch: &SortScratch,
    ) -> Self {
        let [values, sums, block_sums] = [values, sums, &scratch.block_sums].map(Part::from);
        Self {
            groups: count.div_ceil(SCAN_BLOCK),
            reduce: kernels.scan_reduce[0].bind(gpu, &[counters, values, block_sums]),
            apply: kernels.scan_apply[0].bind(gpu, &[counters, values, block_sums, sums]),
        }
    }

    pub(crate) fn record(&self, kernels: &SortKernels, pass: &mut Pass<'_>) {
        kernels.scan_reduce[0].dispatch(pass, &self.reduce, self.groups);
        kernels.scan_apply[0].dispatch(pass, &self.apply, self.groups);
    }
}
