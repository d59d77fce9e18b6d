//! Changes to Gaussians between steps.

use super::config::Strategy;
use super::densify::{self, State};
use super::frame::EXTENT;
use super::photo_limits::Apply;
use super::rearrange;
use super::trainer::Trainer;
use crate::Result;
use crate::gpu::layout::{DensifyStatistic, Gaussian};

impl Trainer {
    /// Densifies, resets opacities and recomputes scale floors, whichever is due before a step.
    pub(super) fn refine(&mut self, step: u32) -> Result<()> {
        let floor_px2 = self.config.floors_before(step).then(|| self.config.scale_floor_px2());
        let floors = Apply { floor_px2, ..Apply::default() };
        let densifies = self.config.densifies_before(step);
        if densifies && self.config.strategy == Strategy::Mcmc {
            let veil_logit = Some(densify::faint(&self.config.densify));
            self.limits.apply(&self.gpu, &self.gaussians, Apply { veil_logit, ..Apply::default() })?;
        }
        let resets = self.config.resets_before(step);
        if !densifies && !resets {
            return self.limits.apply(&self.gpu, &self.gaussians, floors);
        }
        let count = self.gaussians.count as usize;
        let mut geometry: Vec<Gaussian> = self.gpu.read(&self.gaussians.geometry, count)?;
        if resets {
            densify::reset_opacities(&mut geometry, &self.config.densify);
            self.gpu.queue().write_buffer(&self.gaussians.geometry, 0, bytemuck::cast_slice(&geometry));
            self.average.restart(step);
        }
        if !densifies {
            return self.limits.apply(&self.gpu, &self.gaussians, floors);
        }
        let statistics: Vec<DensifyStatistic> = self.gpu.read(&self.moments.statistics, count)?;
        let state = State {
            geometry: &geometry,
            statistics: &statistics,
            extent: EXTENT,
            cap: self.cap as usize,
            step,
            refinements: self.config.refinements_before(step),
        };
        let plan = densify::plan(&self.config, &state);
        if plan.count() == 0 {
            // Keep the faint cloud rather than training nothing.
            return Ok(());
        }
        self.average.restart(step);
        let (gaussians, moments) = (&mut self.gaussians, &mut self.moments);
        rearrange::apply(&self.gpu, &self.kernels.rearrange, gaussians, moments, &plan, self.cap)?;
        self.limits.apply(&self.gpu, &self.gaussians, floors)?;
        self.rebuild(self.passes.forward.capacity.room())
    }
}
