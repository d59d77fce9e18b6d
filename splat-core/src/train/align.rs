//! Aligns the poses of held-out photos to the fixed scene if training poses were refined: the scene has moved with those, and
//! held-out photos would be compared with slightly different views.

use super::trainer::Trainer;
use super::uniforms::{StepState, background, train_uniform};
use super::view_pose::{PoseRows, Probe};
use crate::camera::LensCamera;
use crate::gpu::layout::Counters;
use crate::gpu::profile::Pass;
use crate::images::PackedImage;
use crate::{Error, Result};

/// Number of steps, the first half at half the image size.
const STEPS: u32 = 24;
/// How far the first and the last step move the image, in pixels.
const RATES_PX: [f64; 2] = [1.0, 0.03];

impl Trainer {
    /// The camera of a view, in the run's frame, with the pose optimized for its photo. The scene is not changed.
    ///
    /// # Errors
    /// As [`Trainer::step`].
    pub(super) fn aligned(&mut self, index: usize) -> Result<LensCamera> {
        let given = self.frame.camera(&self.dataset.camera(index));
        let mut probe = Probe::of(&self.dataset, self.frame, index);
        for step in 0..STEPS {
            let factor = if 2 * step < STEPS { 2 } else { 1 };
            let photo = self.dataset.image(index, factor)?;
            let camera = self.frame.camera(&self.dataset.camera_at(index, photo.width, photo.height));
            let camera = LensCamera { cam_from_world: probe.pose(), ..camera };
            let rows = self.pose_gradient(index, &camera, &photo)?;
            let done = f64::from(step) / f64::from(STEPS - 1);
            probe.update(&rows, RATES_PX[0] * (RATES_PX[1] / RATES_PX[0]).powf(done));
        }
        Ok(LensCamera { cam_from_world: probe.pose(), ..given })
    }

    /// The gradient of a view's loss with respect to its pose, at `camera` (of the run's frame).
    fn pose_gradient(&mut self, index: usize, camera: &LensCamera, photo: &PackedImage) -> Result<PoseRows> {
        let step = self.next_step.saturating_sub(1);
        loop {
            let inputs =
                self.prepare(camera, background(&self.config, step), self.config.sh_degree_at(step))?;
            let view = inputs.view;
            let state = StepState {
                step,
                depth: self.frame.depth as f32,
                gaussians: self.gaussians.count,
                pixels: view.pixel_count(),
                exposure: self.exposure(index),
                average_weight: 0.0,
            };
            let passes = &self.passes;
            let Some(total) = &passes.backward.pose_total else {
                return Err(Error::Config { why: "this run's poses are fixed".into() });
            };
            passes.forward.set_view(&self.gpu, &view, &inputs);
            let train = train_uniform(&self.config, &state);
            self.gpu.queue().write_buffer(&passes.train, 0, bytemuck::bytes_of(&train));
            self.gpu.queue().write_buffer(&passes.loss.photo, 0, bytemuck::cast_slice(&photo.pixels));
            self.gpu.submit("splat.align", |encoder| {
                passes.forward.record_clear(encoder);
                passes.forward.record_rays(encoder, inputs.table.as_deref());
                let kernels = (&self.kernels.forward, &self.kernels.backward);
                let mut pass = Pass::begin(encoder, None);
                passes.forward.record(kernels.0, &mut pass, &view, inputs.optics);
                passes.loss.record(&self.kernels.loss, &mut pass, &view);
                passes.backward.record(kernels, &mut pass, &passes.forward, &view, inputs.optics);
                passes.backward.record_pose(kernels.1, &mut pass);
            });
            let counters: Counters = self.gpu.read(&passes.forward.counters, 1)?[0];
            if counters.overflowed == 0 {
                return Ok(self.gpu.read(total, 1)?[0]);
            }
            self.rebuild(self.room_for(counters.isects_needed))?;
        }
    }
}
