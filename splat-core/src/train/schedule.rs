//! Values of a run's settings at each of its steps.

use super::config::{Pace, REFERENCE_STEPS, Strategy, TrainConfig};
use crate::renderer_kind::RendererKind;

/// Limit of [`TrainConfig::rate_boost`], which would be too large for very short runs.
const MAX_RATE_BOOST: f32 = 6.0;
/// Runs shorter than this keep a larger share of the means' rate, in proportion: see [`TrainConfig::mean_share_left`].
const SETTLING_STEPS: f32 = 1_500.0;

impl TrainConfig {
    /// Scales a number of steps that is given for 30,000 to this run.
    #[must_use]
    pub fn scaled(&self, reference_steps: u32) -> u32 {
        (f64::from(reference_steps) * self.whole_length() / f64::from(REFERENCE_STEPS)).round() as u32
    }

    /// The step (from 0) of this run that corresponds to a step of 30,000; if it is in the past, the step of the latest [`Pace`].
    #[must_use]
    pub fn step_for(&self, reference_step: u32) -> u32 {
        let Some(pace) = self.pace else { return self.scaled(reference_step) };
        let ahead = f64::from(reference_step) / f64::from(REFERENCE_STEPS) - pace.progress;
        pace.done + (ahead.max(0.0) * self.whole_length()).round() as u32
    }

    /// Length of a whole run at the current pace, in steps.
    fn whole_length(&self) -> f64 {
        self.pace.map_or(f64::from(self.steps), |pace| {
            f64::from(self.steps.saturating_sub(pace.done)) / (1.0 - pace.progress).max(1e-9)
        })
    }

    /// Progress of the run before a step (from 0), 0 to 1.
    #[must_use]
    pub fn progress(&self, step: u32) -> f32 {
        let Some(Pace { done, progress }) = self.pace else {
            return step as f32 / self.steps.max(1) as f32;
        };
        let share = f64::from(step.saturating_sub(done)) / f64::from(self.steps.saturating_sub(done).max(1));
        (progress + (1.0 - progress) * share) as f32
    }

    /// These settings with another number of steps, of which `done` are done: schedules continue from their current values and
    /// end with the last of `steps`.
    #[must_use]
    pub fn replanned(&self, done: u32, steps: u32) -> Self {
        let progress = f64::from(self.progress(done)).min(1.0 - 1e-6);
        Self { steps, pace: Some(Pace { done, progress }), ..self.clone() }
    }

    /// Factor by which images are downscaled at a step (from 0): 1, 2, 4 ...
    #[must_use]
    pub fn downscale_at(&self, step: u32) -> u32 {
        if self.full_size {
            return 1;
        }
        let progress = self.progress(step);
        let above = self.coarse_until.iter().filter(|&&until| progress < until).count();
        1 << above.min(4)
    }

    /// SH degree in use at a step (from 0).
    #[must_use]
    pub fn sh_degree_at(&self, step: u32) -> u32 {
        if self.sh_degree_every == 0 {
            return self.sh_degree;
        }
        if self.pace.is_some() {
            let rises = self.progress(step) * REFERENCE_STEPS as f32 / self.sh_degree_every as f32;
            return (rises as u32).min(self.sh_degree);
        }
        let every = self.scaled(self.sh_degree_every).max(1);
        (step / every).min(self.sh_degree)
    }

    /// Learning rate of the means at a step (from 0), relative to the scene's extent.
    #[must_use]
    pub fn rate_mean_at(&self, step: u32) -> f32 {
        let progress = self.progress(step);
        self.rate_mean * self.rate_boost() * self.mean_share_left().powf(progress) * self.fade_at(step)
    }

    /// Share of the means' rate that is left at the last step: [`TrainConfig::rate_mean_final`], and more in runs so short that
    /// means have not converged at their end. A tenth was best for 150 steps, 0.03 for 500 (table "First Gaussians" of
    /// `docs/benchmarks.md`).
    #[must_use]
    pub fn mean_share_left(&self) -> f32 {
        if !self.short_run_rates {
            return self.rate_mean_final;
        }
        (self.rate_mean_final * (SETTLING_STEPS / self.whole_length().max(1.0) as f32).max(1.0)).min(1.0)
    }

    /// Factor on every rate at a step (from 0): see [`TrainConfig::rate_final`].
    #[must_use]
    pub fn fade_at(&self, step: u32) -> f32 {
        let progress = self.progress(step);
        let faded = ((progress - self.fade_from) / (1.0 - self.fade_from).max(1e-6)).clamp(0.0, 1.0);
        self.rate_final.powf(faded)
    }

    /// Number of last steps whose states are averaged: see [`TrainConfig::average_last`].
    #[must_use]
    pub fn averaged_steps(&self) -> u32 {
        (self.whole_length() * f64::from(self.average_last)).round() as u32
    }

    /// Factor on the learning rates of means, scales, rotations and colours in runs shorter than 30,000 steps.
    ///
    /// The square root of how much shorter the run is: on the public benchmark 500 instead of 2,000 steps reach 24.8 dB with it
    /// and 23.8 dB without.
    #[must_use]
    pub fn rate_boost(&self) -> f32 {
        if !self.short_run_rates {
            return 1.0;
        }
        (REFERENCE_STEPS as f32 / self.whole_length().max(1.0) as f32).sqrt().clamp(1.0, MAX_RATE_BOOST)
    }

    /// Steps between refinements, scaled, and at least the minimum.
    #[must_use]
    pub fn densify_interval(&self) -> u32 {
        self.scaled(self.densify.every).max(self.densify.at_least_every).max(1)
    }

    /// Number of refinements before a step (from 0) in a run at the current pace, not counting one at the step itself.
    #[must_use]
    pub fn refinements_before(&self, step: u32) -> f64 {
        let begun = f64::from(self.densify.from) / f64::from(REFERENCE_STEPS);
        let steps = (f64::from(self.progress(step)) - begun).max(0.0) * self.whole_length();
        ((steps / f64::from(self.densify_interval())).ceil() - 1.0).max(0.0)
    }

    /// Whether Gaussians are added and removed before this step (from 0).
    #[must_use]
    pub fn densifies_before(&self, step: u32) -> bool {
        let until = match self.strategy {
            Strategy::Adc => self.densify.until_adc,
            Strategy::Mcmc => self.densify.until_mcmc,
        };
        let from = self.step_for(self.densify.from).max(1);
        step >= from && step < self.step_for(until) && step.is_multiple_of(self.densify_interval())
    }

    /// Whether opacities are reset before this step (ADC).
    #[must_use]
    pub fn resets_before(&self, step: u32) -> bool {
        let every = self.scaled(self.densify.reset_every).max(self.densify_interval());
        self.strategy == Strategy::Adc
            && step > 0
            && step < self.step_for(self.densify.until_adc)
            && step.is_multiple_of(every)
    }

    /// Whether scale floors are recomputed before this step (from 0): as often as refinements, until the end of the run.
    #[must_use]
    pub fn floors_before(&self, step: u32) -> bool {
        self.scale_floor_px2() > 0.0 && step.is_multiple_of(self.densify_interval())
    }

    /// The settings of this run extended to `steps` steps, of which `done` are done. Image sizes and SH degrees that it has
    /// reached are kept, since the schedules of a longer run would return to smaller ones.
    #[must_use]
    pub fn extended(&self, done: u32, steps: u32) -> Self {
        let mut longer = Self { steps, pace: None, ..self.clone() };
        let last = done.saturating_sub(1);
        if self.downscale_at(last) == 1 {
            longer.coarse_until.clear();
        }
        if self.sh_degree_at(last) >= self.sh_degree {
            longer.sh_degree_every = 0;
        }
        longer
    }

    /// The renderer of a step (from 0).
    #[must_use]
    pub fn renderer_at(&self, step: u32) -> RendererKind {
        let finishing = self.finish_ewa_steps > 0 && step >= self.steps.saturating_sub(self.finish_ewa_steps);
        if finishing { RendererKind::Ewa } else { self.renderer_kind() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_runs_end_with_more_of_the_means_rate() {
        let of = |steps| TrainConfig { steps, ..TrainConfig::default() };
        for (steps, share) in [(5, 1.0), (150, 0.1), (500, 0.03), (1_500, 0.01), (30_000, 0.01)] {
            let config = of(steps);
            assert!((config.mean_share_left() - share).abs() < 1e-6, "{steps} steps");
            let ends = config.rate_mean_at(steps) / config.rate_mean_at(0);
            assert!((ends - share).abs() < 1e-4, "{steps} steps: {ends}");
        }
        // Half of the schedules is left for 100 steps: a whole run at this pace has 200.
        let halved = of(1_000).replanned(500, 600);
        assert!((halved.mean_share_left() - 0.075).abs() < 1e-4, "{}", halved.mean_share_left());
    }
}
