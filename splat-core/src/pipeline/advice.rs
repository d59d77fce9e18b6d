//! Estimates of a run's duration, and advice if it is long.

use std::time::{Duration, Instant};

use super::Preset;
use super::clock::Speed;
use crate::text::{duration, thousands};
use crate::train::TrainConfig;

/// Assumed share of a full-size step that does not depend on the image size (sorting, per-Gaussian kernels, dispatches), until
/// steps of two sizes were timed: between 0.1 for large photos and 0.8 for small ones on a busy processor.
const FIXED_WORK: f64 = 0.15;
/// Steps at the smallest size predict full-size ones poorly: no estimate is given if larger ones follow within this time.
const SOON_S: f64 = 60.0;
/// Runs longer than this get a warning.
const LONG_S: f64 = 3600.0;

/// Untimed steps at the beginning, which include the compilation of kernels.
const WARM_UP_STEPS: u32 = 2;
/// Steps are timed in rounds of this many; the fastest round counts, since interference by other programs or disks only slows a
/// round down.
const ROUND_STEPS: u32 = 4;
/// Rounds before an estimate ...
const ROUNDS: u32 = 4;
/// ... or fewer, once they have taken this long.
const TIMED_LONG: Duration = Duration::from_secs(10);

/// Decides when to emit an estimate: after a few steps, and again at every new image size, since larger images allow better
/// estimates.
#[derive(Debug, Default)]
pub(super) struct Timing {
    /// Downscaling of the steps being timed, and the time it began.
    current: Option<(u32, Instant)>,
    timed: u32,
    fastest: Option<Speed>,
    /// Whether the rounds at this size are complete.
    complete: bool,
    /// Downscaling and seconds per step of each timed size.
    timed_sizes: Vec<(u32, f64)>,
    /// Whether an estimate was emitted; before that, the remaining time is unknown too.
    pub(super) estimated: bool,
    /// Whether a warning was emitted.
    pub(super) warned: bool,
}

/// What to do after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// No advice.
    Nothing,
    /// A round of timed steps begins.
    Begin,
    /// A round ends; another begins.
    Round,
}

impl Timing {
    /// Records step number `nth` of this process (from 1).
    pub(super) fn step(&mut self, nth: u32, size: u32) -> Due {
        if nth < WARM_UP_STEPS {
            return Due::Nothing;
        }
        if self.current.is_none_or(|(timed_size, _)| timed_size != size) {
            self.current = Some((size, Instant::now()));
            (self.timed, self.fastest, self.complete) = (0, None, false);
            return Due::Begin;
        }
        self.timed += 1;
        if !self.complete && self.timed.is_multiple_of(ROUND_STEPS) { Due::Round } else { Due::Nothing }
    }

    /// Records the duration of a round; returns that of the fastest when it is time for an estimate.
    pub(super) fn round(&mut self, speed: Option<Speed>) -> Option<Speed> {
        let faster = |a: Speed, b: Speed| if b.work_per_s > a.work_per_s { b } else { a };
        self.fastest = match (self.fastest, speed) {
            (Some(a), Some(b)) => Some(faster(a, b)),
            (a, b) => a.or(b),
        };
        let long = self.current.is_some_and(|(_, since)| since.elapsed() > TIMED_LONG);
        self.complete = self.timed >= ROUNDS * ROUND_STEPS || long;
        self.fastest.filter(|_| self.complete)
    }

    /// Records the speed at the current size, and returns the resulting model of the work per step.
    pub(super) fn size_timed(&mut self, speed: Speed) -> Work {
        if let Some((size, _)) = self.current
            && speed.steps_per_s > 0.0
        {
            self.timed_sizes.retain(|(timed, _)| *timed != size);
            self.timed_sizes.push((size, 1.0 / speed.steps_per_s));
        }
        Work::fitted(&self.timed_sizes).unwrap_or_default()
    }

    /// Whether an estimate would soon be superseded by one from larger images: after `done` steps, at the smallest size.
    pub(super) fn is_too_early(&self, config: &TrainConfig, done: u32, target: u32, speed: Speed) -> bool {
        let size = config.downscale_at(done);
        let left = (done..target).take_while(|step| config.downscale_at(*step) == size).count();
        let ends_at_this_size = done as usize + left >= target as usize;
        size > 1
            && self.timed_sizes.len() < 2
            && !ends_at_this_size
            && left as f64 / speed.steps_per_s < SOON_S
    }
}

/// Model of a step's duration as a function of the image size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Work {
    /// Share of a full-size step that does not depend on the image size.
    fixed: f64,
}

impl Default for Work {
    fn default() -> Self {
        Self { fixed: FIXED_WORK }
    }
}

impl Work {
    /// Fits the two latest of the timed sizes (downscaling, seconds per step); `None` for fewer.
    fn fitted(timed: &[(u32, f64)]) -> Option<Self> {
        let [.., (coarse, coarse_s), (fine, fine_s)] = *timed else { return None };
        let pixels = |shrink: u32| 1.0 / f64::from(shrink.max(1)).powi(2);
        // seconds = fixed + per_full * pixels
        let per_full = (fine_s - coarse_s) / (pixels(fine) - pixels(coarse));
        let fixed = coarse_s - per_full * pixels(coarse);
        let share = fixed / (fixed + per_full);
        share.is_finite().then(|| Self { fixed: share.clamp(0.0, 1.0) })
    }

    /// Work of a step (from 0), in units of a full-size one.
    pub(super) fn of_step(self, config: &TrainConfig, step: u32) -> f64 {
        let shrink = f64::from(config.downscale_at(step).max(1));
        self.fixed + (1.0 - self.fixed) / (shrink * shrink)
    }

    /// Work of the steps `from..to`.
    pub(super) fn between(self, config: &TrainConfig, from: u32, to: u32) -> f64 {
        (from..to).map(|step| self.of_step(config, step)).sum()
    }
}

/// The warning for a run of `total_s` seconds, which suggests a faster preset.
pub(super) fn long_run(total_s: f64, steps: u32, preset: Preset, adapter: &str) -> Option<String> {
    if total_s.is_nan() || total_s <= LONG_S {
        return None;
    }
    let fastest = Preset::Preview;
    let advice = if preset == fastest {
        "take fewer steps or smaller photos".to_owned()
    } else {
        format!("the preset `{}` is done in minutes ({})", fastest.name(), fastest.summary())
    };
    Some(format!(
        "{} steps will take about {} on `{adapter}`; {advice}; stopping early keeps the scene so far",
        thousands(u64::from(steps)),
        duration(total_s)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coarse_steps_are_less_work() {
        let config = TrainConfig { steps: 100, ..TrainConfig::default() };
        let full = TrainConfig { full_size: true, ..config.clone() };
        let work = Work::default();
        assert!((work.between(&full, 0, 100) - 100.0).abs() < 1e-9);
        assert!(work.of_step(&config, 0) < 0.5 * work.of_step(&config, 99));
        assert!((work.of_step(&config, 99) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn two_sizes_tell_what_a_full_step_takes() {
        // A step takes 0.3 s, and 0.1 s more at full size: small images are hardly faster.
        let at = |shrink: u32| Speed {
            steps_per_s: 1.0 / (0.3 + 0.1 / f64::from(shrink * shrink)),
            work_per_s: 1.0,
        };
        let config = TrainConfig { steps: 500, ..TrainConfig::default() };
        let mut timing = Timing::default();
        timing.step(WARM_UP_STEPS, 4);
        assert_eq!(timing.size_timed(at(4)), Work::default(), "one size tells nothing");
        assert!(timing.is_too_early(&config, 18, 500, at(4)), "larger images come within a minute");
        let long = TrainConfig { steps: 30_000, ..TrainConfig::default() };
        assert!(!timing.is_too_early(&long, 18, 30_000, at(4)), "an hour without any figure");
        timing.step(51, 2);
        let work = timing.size_timed(at(2));
        assert!(!timing.is_too_early(&config, 67, 500, at(2)));
        for (step, seconds) in [(0, 0.3 + 0.1 / 16.0), (60, 0.325), (499, 0.4)] {
            assert!((work.of_step(&config, step) * 0.4 - seconds).abs() < 1e-9, "{step}: {work:?}");
        }
        // With noise, smaller images may seem slower.
        timing.step(130, 1);
        let slower = Speed { steps_per_s: 100.0, work_per_s: 1.0 };
        assert!((0.0..=1.0).contains(&timing.size_timed(slower).fixed));
    }

    #[test]
    fn every_image_size_is_told_once_by_its_fastest_round() {
        let mut timing = Timing::default();
        let mut reported = Vec::new();
        for nth in 1..=60 {
            let size = if nth < 30 { 2 } else { 1 };
            if timing.step(nth, size) == Due::Round {
                // The second round of each size is the fastest.
                let work_per_s = if timing.timed == 2 * ROUND_STEPS { 9.0 } else { 1.0 };
                reported.extend(
                    timing.round(Some(Speed { steps_per_s: 1.0, work_per_s })).map(|s| (nth, s.work_per_s)),
                );
            }
        }
        let timed = ROUNDS * ROUND_STEPS;
        assert_eq!(reported, [(WARM_UP_STEPS + timed, 9.0), (30 + timed, 9.0)]);
    }

    #[test]
    fn hours_name_the_faster_preset() {
        assert_eq!(long_run(600.0, 30_000, Preset::Standard, "llvmpipe"), None);
        assert_eq!(long_run(f64::NAN, 30_000, Preset::Standard, "llvmpipe"), None);
        let text = long_run(30_000.0, 30_000, Preset::Standard, "llvmpipe").unwrap_or_default();
        assert!(
            text.contains("30,000 steps") && text.contains("8 h 20 min") && text.contains("`preview`"),
            "{text}"
        );
        let text = long_run(30_000.0, 30_000, Preset::Preview, "llvmpipe").unwrap_or_default();
        assert!(text.contains("fewer steps"), "{text}");
    }
}
