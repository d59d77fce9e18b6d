//! The mean of a run's last states: what it shows and writes at its end.
//!
//! A step follows one photo at a rate that is not small, so every state is a little off, each to another side; their mean is
//! not. (Polyak and Juditsky 1992; figures in [`super::TrainConfig::average_last`].)

use super::trainer::Trainer;
use crate::Result;
use crate::gpu::Gpu;
use crate::gpu::kernel::Kernel;
use crate::gpu::layout::GEOMETRY_FLOATS;
use crate::gpu::profile::Pass;
use crate::gpu::shaders::{self, Switches};
use crate::render::GaussianBuffers;
use crate::render::gaussian_buffers::SH_LABELS;

/// About so many states make the mean: a hundredth of a run costs more time than it adds.
const STATES: u32 = 32;

/// Which steps' states join the mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// The first, from 0.
    pub(super) from: u32,
    /// Then every so many.
    pub(super) stride: u32,
}

impl Window {
    /// The last `length` of `steps`; none where `length` is 0.
    pub(super) fn last(length: u32, steps: u32) -> Self {
        Self { from: steps - length.min(steps), stride: length.div_ceil(STATES).max(1) }
    }

    /// One over how many states the mean holds once this step's has joined; 0 where it does not join.
    pub(super) fn weight(&self, step: u32) -> f32 {
        match step.checked_sub(self.from) {
            Some(past) if past.is_multiple_of(self.stride) => 1.0 / (past / self.stride + 1) as f32,
            _ => 0.0,
        }
    }
}

/// The kernel that adds to the mean.
#[derive(Debug)]
pub(super) struct AverageKernel(Kernel);

impl AverageKernel {
    pub(super) fn new(gpu: &Gpu) -> Self {
        Self(Kernel::new(gpu, shaders::AVERAGE, Switches::default(), &[]))
    }
}

/// Buffers like those of `like`, for the mean.
pub(super) fn buffers_like(gpu: &Gpu, like: &GaussianBuffers) -> Result<GaussianBuffers> {
    let n = u64::from(like.count);
    let sh_bytes = n * u64::from(like.sh_stride()) * 4;
    let [r, g, b] = SH_LABELS;
    Ok(GaussianBuffers {
        count: like.count,
        sh_degree: like.sh_degree,
        geometry: gpu.storage("splat.average.geometry", n * 4 * GEOMETRY_FLOATS as u64)?,
        sh: [gpu.storage(r, sh_bytes)?, gpu.storage(g, sh_bytes)?, gpu.storage(b, sh_bytes)?],
    })
}

/// Every buffer of a cloud with its words.
fn parts(buffers: &GaussianBuffers) -> [(&wgpu::Buffer, u32); 4] {
    let sh = buffers.count * buffers.sh_stride();
    let [r, g, b] = &buffers.sh;
    [(&buffers.geometry, buffers.count * GEOMETRY_FLOATS as u32), (r, sh), (g, sh), (b, sh)]
}

impl Trainer {
    /// What the run shows: the mean of the last states where there is one, else the state.
    pub(super) fn shown(&self) -> &GaussianBuffers {
        match &self.average {
            Some(average) if self.next_step > self.window.from => average,
            _ => &self.gaussians,
        }
    }

    /// The mean begins anew before a step: what is shown is not of one piece with what was.
    pub(super) fn restart_average(&mut self, step: u32) {
        self.average = None;
        self.window.from = self.window.from.max(step);
    }

    /// Makes room for the mean if this step's state is the first to join it.
    pub(super) fn prepare_average(&mut self, step: u32) -> Result<()> {
        if self.window.weight(step) > 0.0 && self.average.is_none() {
            self.average = Some(buffers_like(&self.gpu, &self.gaussians)?);
        }
        Ok(())
    }

    /// Records that a step's state joins the mean, if it does.
    pub(super) fn record_average(&self, step: u32, pass: &mut Pass<'_>) {
        let Some(average) = self.average.as_ref().filter(|_| self.window.weight(step) > 0.0) else { return };
        let kernel = &self.kernels.average.0;
        for ((values, words), (mean, _)) in parts(&self.gaussians).into_iter().zip(parts(average)) {
            let buffers = [&self.passes.train, &self.passes.forward.counters, values, mean];
            kernel.dispatch_items(pass, &kernel.bind(&self.gpu, &buffers), words);
        }
    }

    /// Does something with the shown Gaussians in the place of the state.
    pub(super) fn with_shown<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if std::ptr::eq(self.shown(), &self.gaussians) {
            return work(self);
        }
        self.exchange()?;
        let done = work(self);
        // The run goes on from its state whatever happened.
        self.exchange()?;
        done
    }

    /// Swaps what state and mean hold; the passes are bound to the state's buffers.
    fn exchange(&self) -> Result<()> {
        let Some(average) = &self.average else { return Ok(()) };
        for ((state, words), (mean, _)) in parts(&self.gaussians).into_iter().zip(parts(average)) {
            let bytes = u64::from(words) * 4;
            if bytes == 0 {
                continue;
            }
            let spare = self.gpu.storage("splat.average.spare", bytes)?;
            self.gpu.submit("splat.average.exchange", |encoder| {
                encoder.copy_buffer_to_buffer(state, 0, &spare, 0, bytes);
                encoder.copy_buffer_to_buffer(mean, 0, state, 0, bytes);
                encoder.copy_buffer_to_buffer(&spare, 0, mean, 0, bytes);
            });
        }
        self.gpu.check()
    }
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
