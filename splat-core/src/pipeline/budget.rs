//! Runs with a deadline: plans how many steps fit in the remaining time.

use std::time::{Duration, Instant};

use super::advice::Work;
use crate::search::largest_that_fits;
use crate::train::{REFERENCE_STEPS, TrainConfig};

/// Minimum interval between two plans, also relative to the time left. The speed changes as Gaussians are added and other
/// programs run.
const PLAN_EVERY: Duration = Duration::from_secs(1);
const PLAN_SHARE: f64 = 0.05;
/// Time for writing a scene.
const SAVING_S: f64 = 0.3;
/// Time for evaluating a held-out photo, in steps at full size: a render, and PSNR and SSIM on the host.
const STEPS_PER_MEASURED_PHOTO: f64 = 1.0;
/// Minimum number of steps, regardless of the deadline: fewer give no usable scene.
const FEWEST_STEPS: u32 = 50;

/// The deadline of a run.
#[derive(Debug)]
pub(super) struct Budget {
    deadline: Instant,
    held_out: usize,
    planned: Option<Instant>,
}

impl Budget {
    pub(super) fn new(deadline: Instant, held_out: usize) -> Self {
        Self { deadline, held_out, planned: None }
    }

    /// Number of steps before any was timed. The first steps count as almost no progress then, whatever the plan becomes.
    pub(super) fn first_guess() -> u32 {
        REFERENCE_STEPS
    }

    /// The number of steps the run should have, of which `done` are done, given the speed in units of [`Work`]; `None` if it is
    /// too soon for another plan.
    pub(super) fn plan(
        &mut self,
        config: &TrainConfig,
        work: Work,
        done: u32,
        work_per_s: f64,
    ) -> Option<u32> {
        let now = Instant::now();
        let left = self.deadline.saturating_duration_since(now);
        let pause = PLAN_EVERY.max(left.mul_f64(PLAN_SHARE));
        if self.planned.is_some_and(|at| now.duration_since(at) < pause) {
            return None;
        }
        self.planned = Some(now);
        let after = SAVING_S + self.held_out as f64 * STEPS_PER_MEASURED_PHOTO / work_per_s;
        Some(steps_within(config, work, done, (left.as_secs_f64() - after) * work_per_s))
    }
}

/// The largest number of steps for which the work after `done` is at most `room`; at least one more step and [`FEWEST_STEPS`], at
/// most [`REFERENCE_STEPS`] unless those are done.
fn steps_within(config: &TrainConfig, work: Work, done: u32, room: f64) -> u32 {
    let least = (done + 1).max(FEWEST_STEPS);
    let most = REFERENCE_STEPS.max(least);
    let fits = |steps: u32| work.between(&config.replanned(done, steps), done, steps) <= room;
    largest_that_fits(least, most, fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_steps_as_fit() {
        let config = TrainConfig { steps: Budget::first_guess(), ..TrainConfig::default() };
        let work = Work::default();
        let mut before = 0;
        for room in [0.0, 50.0, 200.0, 1_000.0, 10_000.0] {
            let steps = steps_within(&config, work, 18, room);
            let needed = |steps| work.between(&config.replanned(18, steps), 18, steps);
            assert!(steps >= before, "{room}: {steps}");
            if steps > FEWEST_STEPS && steps < REFERENCE_STEPS {
                assert!(needed(steps) <= room && needed(steps + 1) > room, "{room}: {steps}");
            }
            before = steps;
        }
        assert_eq!(steps_within(&config, work, 18, f64::INFINITY), REFERENCE_STEPS);
        assert_eq!(steps_within(&config, work, 400, -3.0), 401, "time is up");
    }

    /// A machine that becomes half as fast after half of the time does a quarter fewer steps, and every schedule completes.
    #[test]
    fn a_slower_machine_ends_in_time_with_the_schedules_at_their_end() {
        let work = Work::default();
        let mut config = TrainConfig { steps: Budget::first_guess(), ..TrainConfig::default() };
        let (mut time, mut step) = (0.0, 0);
        let mut seen = 0.0;
        while step < config.steps {
            if step % 20 == 0 {
                let speed = if time < 30.0 { 10.0 } else { 5.0 };
                config = config.replanned(step, steps_within(&config, work, step, (60.0 - time) * speed));
            }
            let progress = config.progress(step);
            assert!(progress >= seen, "step {step}: {progress} after {seen}");
            seen = progress;
            time += work.of_step(&config, step) / if time < 30.0 { 10.0 } else { 5.0 };
            step += 1;
        }
        assert!((59.0..61.0).contains(&time), "{time} s");
        assert!(seen > 0.99, "{seen}");
        let last = config.rate_mean_at(config.steps) / config.rate_boost();
        assert!((last / (config.rate_mean * config.mean_share_left()) - 1.0).abs() < 0.01);
    }
}
