//! Executes a densification: moves, changes and adds the records of Gaussians on the GPU.

use bytemuck::{Pod, Zeroable};

use super::checkpoint::buffers;
use super::densify::{Changes, Plan};
use super::memory::ORDER_BYTES;
use super::optimizer::{Moments, STATISTICS_BYTES};
use crate::Result;
use crate::gpu::Gpu;
use crate::gpu::kernel::{Kernel, Part};
use crate::gpu::layout::{GEOMETRY_BYTES, GatherSource, Gaussian};
use crate::gpu::profile::Pass;
use crate::gpu::shaders::{self, Switches};
use crate::render::GaussianBuffers;
use crate::render::chunks::{Chunk, Chunks};

/// The kernels of a densification.
#[derive(Debug)]
pub(super) struct RearrangeKernels {
    gather: Kernel,
    scatter: Kernel,
}

impl RearrangeKernels {
    pub(super) fn new(gpu: &Gpu) -> Self {
        let [gather, scatter] = [shaders::GATHER, shaders::SCATTER]
            .map(|source| Kernel::new(gpu, source, Switches::default(), &[]));
        Self { gather, scatter }
    }
}

/// `GatherUniform` and `ScatterUniform`, which have the same layout.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
struct MoveUniform {
    count: u32,
    words: u32,
    copies: u32,
    first: u32,
    held: u32,
}

/// Executes a densification. Statistics start at zero. `cap` is the maximum number of Gaussians of the run.
pub(super) fn apply(
    gpu: &Gpu,
    kernels: &RearrangeKernels,
    gaussians: &mut GaussianBuffers,
    moments: &mut Moments,
    plan: &Plan,
    cap: u32,
) -> Result<()> {
    let mut moves = Moves { gpu, kernels, dispatches: Vec::new() };
    match plan {
        Plan::Anew { geometry, sources } => {
            let made = anew(&mut moves, gaussians, moments, geometry, sources)?;
            moves.submit(None);
            (*gaussians, *moments) = made;
        }
        Plan::Changed(changes) => {
            make_room(gpu, gaussians, moments, changes.count, cap)?;
            change(&mut moves, gaussians, moments, changes)?;
            moves.submit(Some((&moments.statistics, u64::from(changes.count) * STATISTICS_BYTES)));
            // Only now: if memory ran out before, the Gaussians are as they were.
            gaussians.count = changes.count;
        }
    }
    gpu.check()
}

/// New buffers, filled from the old ones.
fn anew(
    moves: &mut Moves<'_>,
    gaussians: &GaussianBuffers,
    moments: &Moments,
    geometry: &[Gaussian],
    sources: &[GatherSource],
) -> Result<(GaussianBuffers, Moments)> {
    let (gpu, count) = (moves.gpu, geometry.len() as u32);
    let sh_bytes = 4 * u64::from(gaussians.sh_stride());
    let sources = gpu.storage_in_parts_from("splat.gather.sources", sources)?;
    let new = GaussianBuffers::zeroed(gpu, gaussians.sh_degree, count, count)?;
    let new_moments = Moments::new(gpu, count, gaussians.sh_stride())?;
    gpu.queue().write_buffer(&new.geometry, 0, bytemuck::cast_slice(geometry));
    let counts = [gaussians.count, count];
    for c in 0..3 {
        moves.gather(&sources, [&gaussians.sh[c], &new.sh[c]], sh_bytes, counts, true);
        for (from, to) in moments.sh.iter().zip(&new_moments.sh) {
            moves.gather(&sources, [&from[c], &to[c]], sh_bytes, counts, false);
        }
    }
    for (from, to) in moments.geometry.iter().zip(&new_moments.geometry) {
        moves.gather(&sources, [from, to], GEOMETRY_BYTES, counts, false);
    }
    Ok((new, new_moments))
}

/// Moves Gaussians to larger buffers if these do not hold `count`. The new ones hold a quarter more, but not more than `cap`: with new
/// ones for every densification, a run of many Gaussians would mostly wait for the driver to allocate and clear them.
fn make_room(
    gpu: &Gpu,
    gaussians: &mut GaussianBuffers,
    moments: &mut Moments,
    count: u32,
    cap: u32,
) -> Result<()> {
    if count <= gaussians.room {
        return Ok(());
    }
    let sh_stride = gaussians.sh_stride();
    let report = gpu.report();
    let largest = GEOMETRY_BYTES.max(4 * u64::from(sh_stride));
    let most = (report.max_binding_bytes / ORDER_BYTES).min(report.max_buffer_bytes / largest);
    let room =
        count.saturating_add(count / 4).min(cap).min(u32::try_from(most).unwrap_or(u32::MAX)).max(count);
    let larger = GaussianBuffers::zeroed(gpu, gaussians.sh_degree, gaussians.count, room)?;
    let larger_moments = Moments::new(gpu, room, sh_stride)?;
    gpu.submit("splat.make_room", |encoder| {
        let from = buffers(gaussians, moments, None);
        for ((from, words), (to, _)) in from.into_iter().zip(buffers(&larger, &larger_moments, None)) {
            encoder.copy_buffer_to_buffer(from, 0, to, 0, 4 * words as u64);
        }
    });
    (*gaussians, *moments) = (larger, larger_moments);
    Ok(())
}

/// Writes the changed records in place; their moments become zero.
fn change(
    moves: &mut Moves<'_>,
    gaussians: &GaussianBuffers,
    moments: &Moments,
    changes: &Changes,
) -> Result<()> {
    let gpu = moves.gpu;
    let rows = changes.places.len() as u32;
    if rows == 0 {
        return Ok(());
    }
    let sh_bytes = 4 * u64::from(gaussians.sh_stride());
    let places = gpu.storage_in_parts_from("splat.scatter.places", &changes.places)?;
    let sources = gpu.storage_in_parts_from("splat.scatter.sources", &changes.sources)?;
    let geometry = gpu.storage_in_parts_from("splat.scatter.geometry", &changes.geometry)?;
    // Colours are copied by way of this buffer: a kernel cannot read and write chunks of the same one.
    let colours = gpu.storage_in_parts("splat.scatter.sh", u64::from(rows) * sh_bytes)?;
    let counts = [rows, changes.count];
    moves.scatter(&places, [&geometry, &gaussians.geometry], GEOMETRY_BYTES, counts, true);
    for moment in &moments.geometry {
        moves.scatter(&places, [&geometry, moment], GEOMETRY_BYTES, counts, false);
    }
    for c in 0..3 {
        moves.gather(&sources, [&gaussians.sh[c], &colours], sh_bytes, [gaussians.count, rows], true);
        moves.scatter(&places, [&colours, &gaussians.sh[c]], sh_bytes, counts, true);
        for moment in &moments.sh {
            moves.scatter(&places, [&colours, &moment[c]], sh_bytes, counts, false);
        }
    }
    Ok(())
}

/// Dispatches to be submitted.
struct Moves<'a> {
    gpu: &'a Gpu,
    kernels: &'a RearrangeKernels,
    /// Kernel, bindings and number of invocations.
    dispatches: Vec<(&'a Kernel, wgpu::BindGroup, u32)>,
}

impl<'a> Moves<'a> {
    /// Each record of `to` (`counts[1]` of `bytes` bytes) is that of its source in `from` (`counts[0]`), or zero, unless
    /// `copies_all`, if it does not keep its moments.
    fn gather(
        &mut self,
        sources: &wgpu::Buffer,
        [from, to]: [&wgpu::Buffer; 2],
        bytes: u64,
        counts: [u32; 2],
        copies_all: bool,
    ) {
        let largest = bytes.max(size_of::<GatherSource>() as u64);
        let [old, new] = counts.map(|count| Chunks::new(self.gpu, count, largest));
        for (new, old) in new.iter().flat_map(|new| old.iter().map(move |old| (new, old))) {
            let sources = new.part(sources, size_of::<GatherSource>() as u64);
            let parts = [sources, old.part(from, bytes), new.part(to, bytes)];
            self.add(&self.kernels.gather, [new, old], bytes, copies_all, parts);
        }
    }

    /// Writes each of the `counts[0]` records of `from` (`bytes` bytes each), or zero unless `copies`, to its place among the
    /// `counts[1]` records of `to`.
    fn scatter(
        &mut self,
        places: &wgpu::Buffer,
        [from, to]: [&wgpu::Buffer; 2],
        bytes: u64,
        counts: [u32; 2],
        copies: bool,
    ) {
        let [rows, all] = counts.map(|count| Chunks::new(self.gpu, count, bytes));
        for (rows, all) in rows.iter().flat_map(|rows| all.iter().map(move |all| (rows, all))) {
            let parts = [rows.part(places, 4), rows.part(from, bytes), all.part(to, bytes)];
            self.add(&self.kernels.scatter, [rows, all], bytes, copies, parts);
        }
    }

    /// One invocation per word of the chunk `moved`; `held` is the chunk that its ids refer to.
    fn add(
        &mut self,
        kernel: &'a Kernel,
        [moved, held]: [Chunk; 2],
        bytes: u64,
        copies: bool,
        [ids, from, to]: [Part<'_>; 3],
    ) {
        let words = (bytes / 4) as u32;
        let values = MoveUniform {
            count: moved.count,
            words,
            copies: u32::from(copies),
            first: held.first,
            held: held.count,
        };
        let uniform = self.gpu.uniform::<MoveUniform>("splat.rearrange");
        self.gpu.queue().write_buffer(&uniform, 0, bytemuck::bytes_of(&values));
        let bindings = kernel.bind(self.gpu, &[(&uniform).into(), ids, from, to]);
        self.dispatches.push((kernel, bindings, moved.count * words));
    }

    /// Submits all dispatches, and clears the first bytes of a buffer.
    fn submit(self, cleared: Option<(&wgpu::Buffer, u64)>) {
        self.gpu.submit("splat.rearrange", |encoder| {
            if let Some((buffer, bytes)) = cleared {
                encoder.clear_buffer(buffer, 0, Some(bytes));
            }
            let mut pass = Pass::begin(encoder, None);
            for (kernel, bindings, items) in &self.dispatches {
                kernel.dispatch_items(&mut pass, bindings, *items);
            }
        });
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;
    use crate::gaussians::GaussianCloud;
    use crate::gpu::GpuOptions;
    use crate::gpu::layout::DensifyStatistic;
    use crate::train::densify::tests::executed;
    use crate::train::densify::{self, State};
    use crate::train::{Strategy, TrainConfig};

    const COUNT: u32 = 300;

    /// Every record of a buffer, as words.
    fn records(gpu: &Gpu, buffer: &wgpu::Buffer, count: u32, bytes: u64) -> Vec<Vec<u32>> {
        let words = (bytes / 4) as usize;
        let all: Vec<u32> = gpu.read(buffer, count as usize * words).unwrap();
        all.chunks(words).map(<[u32]>::to_vec).collect()
    }

    /// Two densifications in succession: the first needs larger buffers, the second finds room.
    fn run(gpu: &Gpu, strategy: Strategy) {
        let mut cloud = GaussianCloud { sh_degree: 1, ..GaussianCloud::default() };
        for i in 0..COUNT {
            let x = i as f32;
            cloud.means.push([x, 0.5 * x, 1.0]);
            cloud.quats.push([1.0, 0.1, 0.0, 0.0]);
            cloud.log_scales.push([-3.0, -2.0, -1.0]);
            // Every fifth is faint.
            cloud.opacity_logits.push(if i % 5 == 0 { -9.0 } else { 1.0 });
            cloud.sh_coeffs.extend((0..4).map(|k| [x, x + 0.1 * k as f32, -x]));
        }
        let kernels = RearrangeKernels::new(gpu);
        let mut gaussians = GaussianBuffers::upload(gpu, &cloud).unwrap();
        let mut moments = Moments::new(gpu, COUNT, 4).unwrap();
        let config = TrainConfig { strategy, ..TrainConfig::default() };
        for round in 0..2 {
            let count = gaussians.count;
            for (at, (buffer, words)) in buffers(&gaussians, &moments, None).into_iter().enumerate().skip(4) {
                let values: Vec<f32> = (0..words).map(|i| (i + at) as f32 + 1.0).collect();
                gpu.queue().write_buffer(buffer, 0, bytemuck::cast_slice(&values));
            }
            let statistics: Vec<_> =
                (0..count).map(|i| DensifyStatistic { sum: (i % 7) as f32, views: 1.0 }).collect();
            let geometry: Vec<Gaussian> = gpu.read(&gaussians.geometry, count as usize).unwrap();
            let state = State {
                geometry: &geometry,
                statistics: &statistics,
                extent: 1.0,
                cap: 1000,
                step: 1000 + round,
                refinements: f64::from(round),
            };
            let plan = densify::plan(&config, &state);
            let bytes = |words: usize, count: u32| 4 * words as u64 / u64::from(count);
            let list = |gaussians: &GaussianBuffers, moments: &Moments| -> Vec<Vec<Vec<u32>>> {
                let all = buffers(gaussians, moments, None);
                let n = gaussians.count;
                all.into_iter().map(|(buffer, words)| records(gpu, buffer, n, bytes(words, n))).collect()
            };
            let before = list(&gaussians, &moments);
            let room = gaussians.room;
            apply(gpu, &kernels, &mut gaussians, &mut moments, &plan, 1000).unwrap();
            let after = list(&gaussians, &moments);
            let (wanted, sources) = executed(&plan, &geometry);
            assert!(gaussians.count > count && gaussians.count as usize == wanted.len());
            assert_eq!(
                gaussians.room == room,
                strategy == Strategy::Mcmc && round == 1,
                "{strategy:?}, {round}"
            );
            assert_eq!(after[0].concat(), bytemuck::cast_slice::<_, u32>(&wanted), "geometry");
            let statistics = after.len() - 1;
            for (at, (before, after)) in before.iter().zip(&after).enumerate().skip(1) {
                for (source, record) in sources.iter().zip(after) {
                    let old = &before[source.gid as usize];
                    // Colours are always copied.
                    let kept = at < 4 || (source.keeps_moments == 1 && at < statistics);
                    let wanted = if kept { old.clone() } else { vec![0; old.len()] };
                    assert_eq!(record, &wanted, "{strategy:?}, round {round}, array {at}, {source:?}");
                }
            }
        }
    }

    #[test]
    #[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
    fn every_record_is_where_the_plan_puts_it() {
        let gpu = Gpu::new(&GpuOptions::default()).unwrap();
        for strategy in [Strategy::Mcmc, Strategy::Adc] {
            run(&gpu, strategy);
            // In chunks of 64 and 128 Gaussians.
            run(&gpu.clone().with_bindings_of(48 * 128), strategy);
        }
    }
}
