//! Changes to Gaussians between steps, on the host.

use super::config::Strategy;
use super::densify::{self, State};
use super::frame::EXTENT;
use super::optimizer;
use super::trainer::Trainer;
use crate::Result;
use crate::gpu::layout::{DensifyStatistic, Gaussian};

impl Trainer {
    /// Densifies, resets opacities and recomputes scale floors, whichever is due before a step.
    pub(super) fn refine(&mut self, step: u32) -> Result<()> {
        let count = self.gaussians.count as usize;
        let mut geometry: Vec<Gaussian> = self.gpu.read(&self.gaussians.geometry, count)?;
        if self.config.resets_before(step) {
            densify::reset_opacities(&mut geometry, &self.config.densify);
            self.gpu.queue().write_buffer(&self.gaussians.geometry, 0, bytemuck::cast_slice(&geometry));
            self.average.restart(step);
        }
        if !self.config.densifies_before(step) {
            if self.config.floors_before(step) {
                self.sampling.set_floors(&mut geometry, self.config.scale_floor_px2());
                self.gpu.queue().write_buffer(&self.gaussians.geometry, 0, bytemuck::cast_slice(&geometry));
            }
            return Ok(());
        }
        if self.config.strategy == Strategy::Mcmc {
            self.sampling.fade_veils(&mut geometry, densify::faint(&self.config.densify));
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
        let mut plan = densify::plan(&self.config, &state);
        if plan.geometry.is_empty() {
            // Keep the faint cloud rather than training nothing.
            return Ok(());
        }
        if self.config.floors_before(step) {
            self.sampling.set_floors(&mut plan.geometry, self.config.scale_floor_px2());
        }
        self.average.restart(step);
        (self.gaussians, self.moments) =
            optimizer::apply(&self.gpu, &self.kernels.optimizer, &self.gaussians, &self.moments, &plan)?;
        self.rebuild(self.passes.forward.capacity.room())
    }
}
