//! Reports of steps on their way back from the GPU, which the host reads some steps late.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, channel};

use crate::gpu::Gpu;
use crate::gpu::layout::StepReport;
use crate::{Error, Result};

/// Reports that have not been read, oldest first.
#[derive(Debug, Default)]
pub(super) struct Reports(VecDeque<Pending>);

#[derive(Debug)]
struct Pending {
    step: u32,
    submission: wgpu::SubmissionIndex,
    staging: wgpu::Buffer,
    mapped: Receiver<Result<(), wgpu::BufferAsyncError>>,
}

impl Reports {
    /// Steps whose reports have not been read.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Forgets them: those steps changed nothing.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Submits a step's commands, and the copy of its report behind them.
    pub(super) fn submit(
        &mut self,
        gpu: &Gpu,
        mut encoder: wgpu::CommandEncoder,
        report: &wgpu::Buffer,
        step: u32,
    ) {
        let bytes = size_of::<StepReport>() as u64;
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let staging = gpu.buffer("splat.step_report.staging", bytes, usage);
        encoder.copy_buffer_to_buffer(report, 0, &staging, 0, bytes);
        let submission = gpu.queue().submit([encoder.finish()]);
        let (sender, mapped) = channel();
        staging.map_async(wgpu::MapMode::Read, .., move |result| {
            // A receiver that is gone no longer wants the answer.
            let _ = sender.send(result);
        });
        self.0.push_back(Pending { step, submission, staging, mapped });
    }

    /// Waits for the oldest step and gives its number (from 0) and report; `None` where none is left.
    ///
    /// # Errors
    /// What the device reports.
    pub(super) fn wait_for_oldest(&mut self, gpu: &Gpu) -> Result<Option<(u32, StepReport)>> {
        let Some(oldest) = self.0.pop_front() else { return Ok(None) };
        let lost = |why: String| Error::DeviceLost { why };
        gpu.wait_for(oldest.submission)?;
        oldest.mapped.recv().map_err(|e| lost(e.to_string()))?.map_err(|e| lost(e.to_string()))?;
        let view = oldest.staging.get_mapped_range(..).map_err(|e| lost(e.to_string()))?;
        Ok(Some((oldest.step, bytemuck::pod_read_unaligned(&view[..size_of::<StepReport>()]))))
    }
}
