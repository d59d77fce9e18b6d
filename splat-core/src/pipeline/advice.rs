//! What a run will cost, and what to do where that is too much.

use std::time::{Duration, Instant};

use super::Preset;
use super::text::{duration, thousands};
use crate::train::TrainConfig;

/// Share of a full-size step that does not shrink with the image (sorting, per-Gaussian kernels, dispatches).
const FIXED_WORK: f64 = 0.15;
/// From here on a run is worth a warning.
const LONG_S: f64 = 3600.0;

/// Steps before the first timed one: they also compile kernels.
const WARM_UP_STEPS: u32 = 2;
/// An estimate is made from this many timed steps ...
const TIMED_STEPS: u32 = 12;
/// ... or from at least this many, where they take long.
const FEW_TIMED_STEPS: u32 = 3;
const TIMED_LONG: Duration = Duration::from_secs(10);

/// When to tell what a run will cost: after a few steps, and again at every new image size, since the larger the images
/// the surer the figure.
#[derive(Debug, Default)]
pub(super) struct Timing {
    /// Down-scaling of the steps being timed, and when that began.
    current: Option<(u32, Instant)>,
    timed: u32,
    told: bool,
    /// Whether any estimate was told, and whether a warning came with one.
    pub(super) told_any: bool,
    pub(super) warned: bool,
}

impl Timing {
    /// Notes step number `nth` of this process (from 1); true where timing begins with it.
    pub(super) fn restarts(&mut self, nth: u32, size: u32) -> bool {
        if nth < WARM_UP_STEPS {
            return false;
        }
        if self.current.is_none_or(|(timed_size, _)| timed_size != size) {
            (self.current, self.timed, self.told) = (Some((size, Instant::now())), 0, false);
            return true;
        }
        self.timed += 1;
        false
    }

    /// Whether enough steps are timed; true once for each image size.
    pub(super) fn is_due(&mut self) -> bool {
        let long = self.current.is_some_and(|(_, since)| since.elapsed() > TIMED_LONG);
        let due = !self.told && (self.timed >= TIMED_STEPS || (self.timed >= FEW_TIMED_STEPS && long));
        self.told |= due;
        due
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
    fn every_image_size_is_timed_once() {
        let mut timing = Timing::default();
        let due: Vec<u32> = (1..=60)
            .filter(|nth| {
                timing.restarts(*nth, if *nth < 30 { 2 } else { 1 });
                timing.is_due()
            })
            .collect();
        assert_eq!(due, [WARM_UP_STEPS + TIMED_STEPS, 30 + TIMED_STEPS]);
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
