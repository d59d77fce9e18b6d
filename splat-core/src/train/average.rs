//! The mean of a run's last states, which evaluation and output use in place of the state.
//!
//! A step follows the gradient of one photo at a finite rate, so every state is a little off, in varying directions; their mean is
//! not. (Polyak and Juditsky 1992; figures in [`super::TrainConfig::average_last`].)

use crate::Result;
use crate::gpu::Gpu;
use crate::gpu::kernel::Kernel;
use crate::gpu::layout::GEOMETRY_FLOATS;
use crate::gpu::profile::Pass;
use crate::gpu::shaders::{self, Switches};
use crate::render::GaussianBuffers;
use crate::render::chunks::Chunks;

/// Approximate number of states in the mean: taking every state of the last hundredth of a run would cost more time than it is worth.
const STATES: u32 = 32;

/// Which steps' states join the mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    /// The first step, from 0.
    from: u32,
    /// Every how many steps after it.
    stride: u32,
}

impl Window {
    /// The last `length` of `steps`; none if `length` is 0.
    fn last(length: u32, steps: u32) -> Self {
        Self { from: steps - length.min(steps), stride: length.div_ceil(STATES).max(1) }
    }

    /// `1 / n` if this step's state is the n-th to join the mean; 0 if it does not join.
    fn weight(&self, step: u32) -> f32 {
        match step.checked_sub(self.from) {
            Some(past) if past.is_multiple_of(self.stride) => 1.0 / (past / self.stride + 1) as f32,
            _ => 0.0,
        }
    }
}

/// The kernel that adds a state to the mean.
#[derive(Debug)]
pub(super) struct AverageKernel(Kernel);

impl AverageKernel {
    pub(super) fn new(gpu: &Gpu) -> Self {
        Self(Kernel::new(gpu, shaders::AVERAGE, Switches::default(), &[]))
    }
}

/// The mean of a run's last states.
#[derive(Debug)]
pub(super) struct Average {
    window: Window,
    /// `None` before the first state has joined.
    mean: Option<GaussianBuffers>,
}

impl Average {
    /// For the last `length` states of a run of `steps`.
    pub(super) fn new(length: u32, steps: u32) -> Self {
        Self { window: Window::last(length, steps), mean: None }
    }

    /// Restores the mean from a checkpoint: it began at step `from` and includes every `stride`-th state. Checkpoints of earlier
    /// versions have no stride; it then follows from the settings.
    pub(super) fn resume(&mut self, from: u32, stride: Option<u32>, mean: GaussianBuffers) {
        self.window.from = from;
        self.window.stride = stride.unwrap_or(self.window.stride).max(1);
        self.mean = Some(mean);
    }

    /// Changes the run to `steps` steps, of which the last `length` states count and `done` are done. A mean that has begun is
    /// continued.
    pub(super) fn replan(&mut self, length: u32, steps: u32, done: u32) {
        if self.mean.is_none() {
            self.window = Window::last(length, steps);
            self.window.from = self.window.from.max(done);
        }
    }

    /// Steps between states that join.
    pub(super) fn stride(&self) -> u32 {
        self.window.stride
    }

    /// The mean's buffers and the step it began at, if it has begun.
    pub(super) fn begun(&self) -> Option<(u32, &GaussianBuffers)> {
        self.mean.as_ref().map(|mean| (self.window.from, mean))
    }

    /// The mean, if states have joined it before `next_step`.
    pub(super) fn before(&self, next_step: u32) -> Option<&GaussianBuffers> {
        self.mean.as_ref().filter(|_| next_step > self.window.from)
    }

    /// Discards the mean, to begin anew at `step` or later: states before and after a change such as a densification have no mean.
    pub(super) fn restart(&mut self, step: u32) {
        self.mean = None;
        self.window.from = self.window.from.max(step);
    }

    /// See [`Window::weight`].
    pub(super) fn weight(&self, step: u32) -> f32 {
        self.window.weight(step)
    }

    /// Allocates the mean if this step's state is the first to join it.
    pub(super) fn prepare(&mut self, gpu: &Gpu, state: &GaussianBuffers, step: u32) -> Result<()> {
        if self.weight(step) > 0.0 && self.mean.is_none() {
            self.mean = Some(GaussianBuffers::zeroed(gpu, state.sh_degree, state.count, state.count)?);
        }
        Ok(())
    }

    /// Records that this step's state joins the mean, if it does. `train` and `counters` are the step's uniform and counters.
    pub(super) fn record(
        &self,
        gpu: &Gpu,
        AverageKernel(kernel): &AverageKernel,
        state: &GaussianBuffers,
        [train, counters]: [&wgpu::Buffer; 2],
        step: u32,
        pass: &mut Pass<'_>,
    ) {
        let Some(mean) = self.mean.as_ref().filter(|_| self.weight(step) > 0.0) else { return };
        let largest = 4 * u64::from(state.sh_stride().max(GEOMETRY_FLOATS as u32));
        for ((values, words), (mean, _)) in arrays(state).into_iter().zip(arrays(mean)) {
            let bytes = 4 * u64::from(words);
            for chunk in Chunks::new(gpu, state.count, largest).iter() {
                let [values, mean] = [values, mean].map(|buffer| chunk.part(buffer, bytes));
                let bindings = kernel.bind(gpu, &[train.into(), counters.into(), values, mean]);
                kernel.dispatch_items(pass, &bindings, chunk.count * words);
            }
        }
    }

    /// Swaps the contents of state and mean: the passes are bound to the state's buffers.
    pub(super) fn exchange(&self, gpu: &Gpu, state: &GaussianBuffers) -> Result<()> {
        let Some(mean) = &self.mean else { return Ok(()) };
        for ((values, words), (mean, _)) in arrays(state).into_iter().zip(arrays(mean)) {
            let bytes = u64::from(state.count) * u64::from(words) * 4;
            if bytes == 0 {
                continue;
            }
            let spare = gpu.storage_in_parts("splat.average.spare", bytes)?;
            gpu.submit("splat.average.exchange", |encoder| {
                encoder.copy_buffer_to_buffer(values, 0, &spare, 0, bytes);
                encoder.copy_buffer_to_buffer(mean, 0, values, 0, bytes);
                encoder.copy_buffer_to_buffer(&spare, 0, mean, 0, bytes);
            });
        }
        gpu.check()
    }
}

/// Every buffer of a cloud, with its words per Gaussian.
fn arrays(buffers: &GaussianBuffers) -> [(&wgpu::Buffer, u32); 4] {
    let sh = buffers.sh_stride();
    let [r, g, b] = &buffers.sh;
    [(&buffers.geometry, GEOMETRY_FLOATS as u32), (r, sh), (g, sh), (b, sh)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_of_the_window_weighs_the_same() {
        for (length, steps) in [(40, 500), (1, 1), (2_400, 30_000), (33, 100), (0, 10)] {
            let window = Window::last(length, steps);
            let mut mean = 0.0_f64;
            let mut joined = Vec::new();
            for step in 0..steps {
                let weight = f64::from(window.weight(step));
                if weight > 0.0 {
                    mean += (f64::from(step) - mean) * weight;
                    joined.push(f64::from(step));
                }
            }
            assert_eq!(joined.is_empty(), length == 0, "{length} of {steps}");
            assert!(
                joined.len() <= STATES as usize && joined.iter().all(|s| *s >= f64::from(steps - length))
            );
            if !joined.is_empty() {
                let plain = joined.iter().sum::<f64>() / joined.len() as f64;
                assert!((mean - plain).abs() < 1e-2, "{mean} {plain}");
            }
        }
    }
}
