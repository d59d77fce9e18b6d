//! What happens in a step: the changes due before it, its commands, and the report that the host reads some steps later.

use std::sync::Arc;

use super::own_loss::{OwnLoss, StepBuffers, StepView, record_counts};
use super::passes::{Kernels, Passes, slot_switches, switches_at};
use super::trainer::{StepReport, Trainer};
use super::uniforms::{StepState, background, train_uniform};
use crate::Result;
use crate::camera::LensCamera;
use crate::gpu::profile::Pass;
use crate::random::Random;
use crate::render::{ViewInputs, grown, isects_per_slice, with_margin};

/// Steps submitted to the GPU before the host waits for a report.
const STEPS_IN_FLIGHT: usize = 2;

impl Trainer {
    /// Runs one step, with the built-in loss or a custom one. A step with a custom loss is not left in flight, since only this
    /// call can run it again.
    pub(super) fn advance(&mut self, mut own_loss: Option<&mut OwnLoss<'_>>) -> Result<StepReport> {
        let left_in_flight = if own_loss.is_some() { 0 } else { STEPS_IN_FLIGHT };
        let target = self.next_step + 1;
        let mut image_size = (0, 0);
        // More than one iteration only if an earlier step overflowed and is run again.
        while self.next_step < target {
            let step = self.next_step;
            self.prepare_step(step)?;
            image_size = self.submit(step, own_loss.as_deref_mut())?;
            self.next_step += 1;
            while self.reports.len() > left_in_flight {
                self.collect_oldest()?;
            }
        }
        Ok(StepReport {
            step: self.next_step,
            loss: self.last_loss,
            gaussians: self.gaussians.count,
            image_size,
        })
    }

    /// Makes the changes that are due before a step: densification, the decision on poses, another renderer.
    fn prepare_step(&mut self, step: u32) -> Result<()> {
        let config = &self.config;
        let due = config.densifies_before(step) || config.resets_before(step) || config.floors_before(step);
        if due && self.densified_before != Some(step) {
            self.flush()?;
            self.refine(step)?;
            self.densified_before = Some(step);
        }
        if self.poses.decides_before(self.config.progress(step)) {
            self.flush()?;
            self.poses.decide();
        }
        let switches = switches_at(&self.config, &self.poses, step);
        let in_use = self.kernels.forward.switches;
        if switches == in_use {
            return Ok(());
        }
        self.flush()?;
        self.kernels = Kernels::new(&self.gpu, switches, self.gaussians.sh_stride());
        if switches.renderer != in_use.renderer {
            self.average.restart(step);
            self.use_fitting_photos();
        }
        self.rebuild(self.passes.forward.capacity.room())
    }

    /// The view of a step: every training view once per round, in a random order.
    fn view_of(&self, step: u32) -> usize {
        let views = self.dataset.train.len();
        let (round, place) = (step as usize / views, step as usize % views);
        let order = Random::new(self.config.seed, 0x0076_6965_7773, round as u32).permutation(views);
        self.dataset.train[order[place]]
    }

    /// Submits the commands of a step, and returns the size of its image.
    pub(super) fn submit(&mut self, step: u32, own_loss: Option<&mut OwnLoss<'_>>) -> Result<(u32, u32)> {
        let factor = self.config.downscale_at(step);
        let index = self.view_of(step);
        let photo = self.dataset.image(index, factor)?;
        let next = step + 1;
        self.dataset.prefetch(self.view_of(next), self.config.downscale_at(next));
        let camera = self.dataset.camera_at(index, photo.width, photo.height);
        let background = background(&self.config, step);
        self.poses.take_turn(index, step, &self.config);
        let camera = self.poses.camera(index, self.frame.camera(&camera));
        let inputs = self.prepare(&camera, background, self.config.sh_degree_at(step))?;
        let view = inputs.view;
        self.average.prepare(&self.gpu, &self.gaussians, step)?;
        let train = train_uniform(
            &self.config,
            &StepState {
                step,
                depth: self.frame.depth as f32,
                gaussians: self.gaussians.count,
                pixels: view.pixel_count(),
                exposure: self.exposure(index),
                average_weight: self.average.weight(step),
            },
        );
        let Passes { forward, backward, loss, optimizer, .. } = &self.passes;
        let kernels = (&self.kernels.forward, &self.kernels.backward);
        let queue = self.gpu.queue();
        forward.set_view(&self.gpu, &view, &inputs);
        queue.write_buffer(&self.passes.train, 0, bytemuck::bytes_of(&train));
        queue.write_buffer(&loss.photo, 0, bytemuck::cast_slice(&photo.pixels));

        let mut timer = self.timer.take();
        let descriptor = wgpu::CommandEncoderDescriptor { label: Some("splat.train_step") };
        let mut encoder = self.gpu.device().create_command_encoder(&descriptor);
        forward.record_clear(&mut encoder);
        forward.record_rays(&mut encoder, inputs.table.as_deref());
        let mut pass = Pass::begin(&mut encoder, timer.as_mut());
        forward.record(&self.kernels.forward, &mut pass, &view, inputs.optics);
        if let Some(own_loss) = own_loss {
            drop(pass);
            let view_of_step =
                StepView { index, photo: Arc::clone(&photo), background, exposure: self.exposure(index) };
            let buffers = StepBuffers {
                view: &view_of_step,
                frame: &forward.frame,
                photo: &loss.photo,
                v_frame: &backward.v_frame,
                loss: &loss.report,
                uniforms: &view,
                counters: &forward.counters,
            };
            own_loss(&mut encoder, &buffers)?;
            record_counts(&mut encoder, &forward.counters, &loss.report);
            pass = Pass::begin(&mut encoder, timer.as_mut());
        } else {
            loss.record(&self.kernels.loss, &mut pass, &view);
        }
        backward.record(kernels, &mut pass, forward, &view, inputs.optics);
        backward.record_pose(&self.kernels.backward, &mut pass);
        optimizer.record(&self.kernels.optimizer, &mut pass);
        self.record_average(step, &mut pass);
        drop(pass);
        if let Some(timer) = &mut timer {
            timer.resolve(&mut encoder);
        }
        self.timer = timer;
        self.reports.submit(&self.gpu, encoder, &loss.report, backward.pose_total.as_ref(), step);
        self.gpu.check()?;
        Ok((photo.width, photo.height))
    }

    /// Waits for the oldest step in flight. If it overflowed, the steps after it changed nothing either: the buffers grow and the
    /// run goes back to it.
    pub(super) fn collect_oldest(&mut self) -> Result<()> {
        let Some((step, report, pose)) = self.reports.wait_for_oldest(&self.gpu)? else { return Ok(()) };
        if report.overflowed == 0 {
            self.last_loss = report.loss;
            if let Some(rows) = pose {
                self.poses.keep(self.view_of(step), step, rows, &self.config);
            }
            return Ok(());
        }
        self.gpu.wait()?;
        self.reports.clear();
        self.next_step = step;
        self.rebuild(self.room_for(report.isects_needed))
    }

    /// Records that a step's state joins the mean of the last ones, if it does.
    fn record_average(&self, step: u32, pass: &mut Pass<'_>) {
        let uniforms = [&self.passes.train, &self.passes.forward.counters];
        self.average.record(&self.gpu, &self.kernels.average, &self.gaussians, uniforms, step, pass);
    }

    /// Capacity for `isects` intersections plus a margin, which is reduced if it alone would need another depth slice.
    pub(super) fn room_for(&self, isects: u32) -> u32 {
        let most = isects_per_slice(&self.gpu, slot_switches(&self.dataset, self.kernels.forward.switches));
        if isects <= most { grown(isects).min(most) } else { with_margin(isects) }
    }

    /// Sets up working buffers for the current Gaussians. Old ones that are large enough are used again; the others are freed before
    /// their replacements are allocated, since both together would take twice the memory.
    pub(super) fn rebuild(&mut self, isects: u32) -> Result<()> {
        self.gpu.wait()?;
        self.pool.reclaim();
        let gpu = self.gpu.with_pool(&self.pool);
        self.passes =
            Passes::new(&gpu, &self.kernels, &self.gaussians, &self.moments, &self.dataset, isects)?;
        self.pool.destroy_unused();
        Ok(())
    }

    /// The kernels' inputs for a camera of the run's frame, in the current state.
    pub(super) fn prepare(
        &self,
        camera: &LensCamera,
        background: [f32; 3],
        sh_degree: u32,
    ) -> Result<ViewInputs> {
        let mut inputs = ViewInputs::new(&self.gpu, self.renderer(), &self.rays, camera, background)?;
        let view = &mut inputs.view;
        view.near_world = self.frame.near();
        view.gaussian_count = self.gaussians.count;
        view.sh_stride = self.gaussians.sh_stride();
        view.sh_degree = sh_degree.min(self.gaussians.sh_degree);
        view.antialiased = u32::from(self.config.antialiased);
        view.isect_capacity = self.passes.forward.capacity.isects;
        Ok(inputs)
    }
}
