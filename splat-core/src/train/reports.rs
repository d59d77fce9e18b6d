//! Reports of steps, which the host reads from the GPU some steps later.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, channel};

use super::view_pose::PoseRows;
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
    /// The report, followed by the pose's gradient if there is one.
    staging: wgpu::Buffer,
    has_pose: bool,
    mapped: Receiver<Result<(), wgpu::BufferAsyncError>>,
}

impl Reports {
    /// Steps whose reports have not been read.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Discards all reports: those steps had no effect.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Submits a step's commands, followed by copies of its report and of its pose's gradient.
    pub(super) fn submit(
        &mut self,
        gpu: &Gpu,
        mut encoder: wgpu::CommandEncoder,
        report: &wgpu::Buffer,
        pose_total: Option<&wgpu::Buffer>,
        step: u32,
    ) {
        let [report_bytes, pose_bytes] = [size_of::<StepReport>() as u64, size_of::<PoseRows>() as u64];
        let has_pose = pose_total.is_some();
        let bytes = report_bytes + if has_pose { pose_bytes } else { 0 };
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let staging = gpu.buffer("splat.step_report.staging", bytes, usage);
        encoder.copy_buffer_to_buffer(report, 0, &staging, 0, report_bytes);
        if let Some(total) = pose_total {
            encoder.copy_buffer_to_buffer(total, 0, &staging, report_bytes, pose_bytes);
        }
        let submission = gpu.queue().submit([encoder.finish()]);
        let (sender, mapped) = channel();
        staging.map_async(wgpu::MapMode::Read, .., move |result| {
            // The receiver may have been dropped.
            let _ = sender.send(result);
        });
        self.0.push_back(Pending { step, submission, staging, has_pose, mapped });
    }

    /// Waits for the oldest step and returns its number (from 0), its report and, if poses are refined, its pose's gradient;
    /// `None` if no step is pending.
    ///
    /// # Errors
    /// Errors of the device.
    pub(super) fn wait_for_oldest(
        &mut self,
        gpu: &Gpu,
    ) -> Result<Option<(u32, StepReport, Option<PoseRows>)>> {
        let Some(oldest) = self.0.pop_front() else { return Ok(None) };
        let lost = |why: String| Error::DeviceLost { why };
        gpu.wait_for(oldest.submission)?;
        oldest.mapped.recv().map_err(|e| lost(e.to_string()))?.map_err(|e| lost(e.to_string()))?;
        let view = oldest.staging.get_mapped_range(..).map_err(|e| lost(e.to_string()))?;
        let (report, behind) = view.split_at(size_of::<StepReport>());
        let pose = oldest.has_pose.then(|| bytemuck::pod_read_unaligned(&behind[..size_of::<PoseRows>()]));
        Ok(Some((oldest.step, bytemuck::pod_read_unaligned(report), pose)))
    }
}
