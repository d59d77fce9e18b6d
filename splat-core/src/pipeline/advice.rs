//! What a run will cost, and what to do where that is too much.

use super::Preset;
use super::text::{duration, thousands};
use crate::train::TrainConfig;

/// Share of a full-size step that does not shrink with the image (sorting, per-Gaussian kernels, dispatches).
const FIXED_WORK: f64 = 0.15;
/// From here on a run is worth a warning.
const LONG_S: f64 = 3600.0;

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
