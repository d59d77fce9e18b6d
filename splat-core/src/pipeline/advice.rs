//! What a run will cost, and what to do where that is too much.

use std::time::{Duration, Instant};

use super::Preset;
use super::clock::Speed;
use super::text::{duration, thousands};
use crate::train::TrainConfig;

/// Share of a full-size step that does not shrink with the image (sorting, per-Gaussian kernels, dispatches).
const FIXED_WORK: f64 = 0.15;
/// From here on a run is worth a warning.
const LONG_S: f64 = 3600.0;

/// Steps before the first timed one: they also compile kernels.
const WARM_UP_STEPS: u32 = 2;
/// Steps are timed in rounds of this many; the fastest round counts, since other programs, disks and first touches only
/// ever slow one down.
const ROUND_STEPS: u32 = 4;
/// Rounds before an estimate ...
const ROUNDS: u32 = 4;
/// ... or fewer, once they have taken this long.
const TIMED_LONG: Duration = Duration::from_secs(10);

/// When to tell what a run will cost: after a few steps, and again at every new image size, since the larger the images
/// the surer the figure.
#[derive(Debug, Default)]
pub(super) struct Timing {
    /// Down-scaling of the steps being timed, and when that began.
    current: Option<(u32, Instant)>,
    timed: u32,
    fastest: Option<Speed>,
    told: bool,
    /// Whether a warning came with an estimate.
    pub(super) warned: bool,
}

/// What to do after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing.
    Nothing,
    /// A round of timed steps begins.
    Begin,
    /// A round ends; another begins.
    Round,
}

impl Timing {
    /// Notes step number `nth` of this process (from 1).
    pub(super) fn step(&mut self, nth: u32, size: u32) -> Due {
        if nth < WARM_UP_STEPS {
            return Due::Nothing;
        }
        if self.current.is_none_or(|(timed_size, _)| timed_size != size) {
            *self = Self { current: Some((size, Instant::now())), warned: self.warned, ..Self::default() };
            return Due::Begin;
        }
        self.timed += 1;
        if !self.told && self.timed.is_multiple_of(ROUND_STEPS) { Due::Round } else { Due::Nothing }
    }

    /// Notes a round's speed; the fastest one's when it is time to tell.
    pub(super) fn round(&mut self, speed: Option<Speed>) -> Option<Speed> {
        let faster = |a: Speed, b: Speed| if b.work_per_s > a.work_per_s { b } else { a };
        self.fastest = match (self.fastest, speed) {
            (Some(a), Some(b)) => Some(faster(a, b)),
            (a, b) => a.or(b),
        };
        let long = self.current.is_some_and(|(_, since)| since.elapsed() > TIMED_LONG);
        self.told = self.timed >= ROUNDS * ROUND_STEPS || long;
        self.fastest.filter(|_| self.told)
    }
}

/// Work of a step (from 0) in units of a full-size one.
pub(super) fn step_work(config: &TrainConfig, step: u32) -> f64 {
    let shrink = f64::from(config.downscale_at(step).max(1));
    FIXED_WORK + (1.0 - FIXED_WORK) / (shrink * shrink)
}

/// Work of the steps `from..to`.
pub(super) fn work_between(config: &TrainConfig, from: u32, to: u32) -> f64 {
    (from..to).map(|step| step_work(config, step)).sum()
}

/// The warning for a run of `total_s` seconds, naming the preset that is done sooner.
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
        assert!((work_between(&full, 0, 100) - 100.0).abs() < 1e-9);
        assert!(step_work(&config, 0) < 0.5 * step_work(&config, 99));
        assert!((step_work(&config, 99) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn every_image_size_is_told_once_by_its_fastest_round() {
        let mut timing = Timing::default();
        let mut told = Vec::new();
        for nth in 1..=60 {
            let size = if nth < 30 { 2 } else { 1 };
            if timing.step(nth, size) == Due::Round {
                // The second round of each size is the fastest.
                let work_per_s = if timing.timed == 2 * ROUND_STEPS { 9.0 } else { 1.0 };
                told.extend(
                    timing.round(Some(Speed { steps_per_s: 1.0, work_per_s })).map(|s| (nth, s.work_per_s)),
                );
            }
        }
        let timed = ROUNDS * ROUND_STEPS;
        assert_eq!(told, [(WARM_UP_STEPS + timed, 9.0), (30 + timed, 9.0)]);
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
