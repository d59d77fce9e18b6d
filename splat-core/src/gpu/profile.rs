//! GPU time of every kernel, from timestamps around each dispatch.

use std::collections::BTreeMap;

use super::Gpu;
use crate::Result;

/// Maximum number of timed dispatches per recording.
const MAX_DISPATCHES: u32 = 1024;

/// Collects timestamps while a compute pass is recorded.
#[derive(Debug)]
pub(crate) struct Timer {
    queries: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    names: Vec<&'static str>,
}

impl Timer {
    /// `None` if the device does not support timestamps inside passes.
    pub(crate) fn new(gpu: &Gpu) -> Option<Self> {
        if !gpu.device().features().contains(wgpu::Features::TIMESTAMP_QUERY_INSIDE_PASSES) {
            return None;
        }
        let count = MAX_DISPATCHES * 2;
        let queries = gpu.device().create_query_set(&wgpu::QuerySetDescriptor {
            label: Some("splat.timestamps"),
            ty: wgpu::QueryType::Timestamp,
            count,
        });
        let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
        let resolved = gpu.buffer("splat.timestamps", u64::from(count) * 8, usage);
        Some(Self { queries, resolved, names: Vec::new() })
    }

    fn slot(&self) -> Option<u32> {
        let used = self.names.len() as u32;
        (used < MAX_DISPATCHES).then_some(used * 2)
    }

    /// Resolves the recorded timestamps into a readable buffer; call after the pass has ended.
    pub(crate) fn resolve(&self, encoder: &mut wgpu::CommandEncoder) {
        let count = self.names.len() as u32 * 2;
        if count > 0 {
            encoder.resolve_query_set(&self.queries, 0..count, &self.resolved, 0);
        }
    }

    /// Adds the milliseconds of each kernel to `totals`; call after the recording was submitted.
    pub(crate) fn collect(&mut self, gpu: &Gpu, totals: &mut BTreeMap<&'static str, f64>) -> Result<()> {
        let ticks: Vec<u64> = gpu.read(&self.resolved, self.names.len() * 2)?;
        let period_ns = f64::from(gpu.queue().get_timestamp_period());
        for (name, pair) in self.names.drain(..).zip(ticks.chunks_exact(2)) {
            *totals.entry(name).or_default() += pair[1].saturating_sub(pair[0]) as f64 * period_ns * 1e-6;
        }
        Ok(())
    }
}

/// A compute pass, with optional timing of each dispatch.
#[derive(Debug)]
pub(crate) struct Pass<'a> {
    pass: wgpu::ComputePass<'a>,
    timer: Option<&'a mut Timer>,
}

impl<'a> Pass<'a> {
    /// Begins a pass.
    pub(crate) fn begin(encoder: &'a mut wgpu::CommandEncoder, timer: Option<&'a mut Timer>) -> Self {
        Self { pass: encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default()), timer }
    }

    /// Runs `record` between two timestamps.
    pub(crate) fn timed(&mut self, name: &'static str, record: impl FnOnce(&mut wgpu::ComputePass<'a>)) {
        let slot = self.timer.as_ref().and_then(|timer| Some((timer.queries.clone(), timer.slot()?)));
        if let Some((queries, first)) = &slot {
            self.pass.write_timestamp(queries, *first);
        }
        record(&mut self.pass);
        if let Some((queries, first)) = &slot {
            self.pass.write_timestamp(queries, first + 1);
            if let Some(timer) = &mut self.timer {
                timer.names.push(name);
            }
        }
    }
}
