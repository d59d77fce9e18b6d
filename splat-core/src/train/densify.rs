//! Adding, moving and removing Gaussians: planned on the host from geometry and statistics, carried out on the GPU.
//!
//! Both strategies return a [`Plan`]: the new geometry, and the source of each new Gaussian's colours and optimizer moments.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::config::{DensifyConfig, Strategy, TrainConfig};
use crate::gpu::layout::{DensifyStatistic, GatherSource, Gaussian};
use crate::random::Random;

/// Input of a densification.
#[derive(Debug)]
pub(crate) struct State<'a> {
    /// Geometry `[N]`.
    pub(crate) geometry: &'a [Gaussian],
    /// Densify statistics `[N]`.
    pub(crate) statistics: &'a [DensifyStatistic],
    /// Scene extent, units of the run's frame.
    pub(crate) extent: f32,
    /// Maximum number of Gaussians.
    pub(crate) cap: usize,
    /// Step (from 0) before which this happens.
    pub(crate) step: u32,
}

/// Result of a densification.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Plan {
    /// New geometry `[M]`.
    pub(crate) geometry: Vec<Gaussian>,
    /// Sources `[M]`.
    pub(crate) sources: Vec<GatherSource>,
}

/// Splits shrink scales by this factor (3DGS authors' code).
const SPLIT_SHRINK: f32 = 1.6;
/// Opacity after a reset, as a multiple of the pruning threshold (gsplat).
const RESET_OPACITY_FACTOR: f32 = 2.0;
/// At most this many Gaussians come from one in a relocation (3DGS-MCMC authors' code).
const MAX_COPIES: usize = 51;

fn logit(opacity: f64) -> f32 {
    let clamped = opacity.clamp(1e-6, 1.0 - 1e-6);
    (clamped / (1.0 - clamped)).ln() as f32
}

/// Source of an unchanged Gaussian, which keeps its moments.
fn kept(gid: u32) -> GatherSource {
    GatherSource { gid, keeps_moments: 1 }
}

/// Source of a new or substantially changed Gaussian, whose moments start at zero.
fn fresh(gid: u32) -> GatherSource {
    GatherSource { gid, keeps_moments: 0 }
}

/// Plans a densification with the configured strategy.
pub(crate) fn plan(config: &TrainConfig, state: &State<'_>) -> Plan {
    let purpose = 0x6465_6e73;
    let mut random = Random::new(config.seed, purpose, state.step);
    match config.strategy {
        Strategy::Adc => adc(config, state, &mut random),
        Strategy::Mcmc => mcmc(&config.densify, state, &mut random),
    }
}

/// Clone, split, prune (Kerbl et al. 2023, section 5).
fn adc(config: &TrainConfig, state: &State<'_>, random: &mut Random) -> Plan {
    let settings = &config.densify;
    let threshold = config.grow_above();
    let was_reset = state.step > config.step_for(settings.reset_every);
    let mut staying = Vec::new();
    let mut growing: Vec<(u32, f32)> = Vec::new();
    for (id, (gaussian, statistic)) in (0_u32..).zip(state.geometry.iter().zip(state.statistics)) {
        let gradient = statistic.mean();
        let too_large = was_reset && gaussian.largest_scale() > settings.prune_scale * state.extent;
        if gaussian.opacity() < settings.prune_opacity || too_large {
            continue;
        }
        staying.push(id);
        if gradient > threshold {
            growing.push((id, gradient));
        }
    }
    // If the cap is reached, those with the largest gradients grow; ids break ties, so that the choice is independent of the sort.
    let room = state.cap.saturating_sub(staying.len());
    growing.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    growing.truncate(room);
    let mut grows = vec![false; state.geometry.len()];
    for (id, _) in &growing {
        grows[*id as usize] = true;
    }
    let mut plan = Plan::default();
    let mut added = Plan::default();
    for id in staying {
        let gaussian = state.geometry[id as usize];
        let grow = grows[id as usize];
        if grow && gaussian.largest_scale() > settings.split_scale * state.extent {
            for half in [&mut plan, &mut added] {
                half.geometry.push(split_sample(&gaussian, random));
                half.sources.push(fresh(id));
            }
            continue;
        }
        plan.geometry.push(gaussian);
        plan.sources.push(kept(id));
        if grow {
            added.geometry.push(gaussian);
            added.sources.push(fresh(id));
        }
    }
    plan.geometry.append(&mut added.geometry);
    plan.sources.append(&mut added.sources);
    plan
}

/// One half of a split Gaussian: smaller, with a mean sampled from the original.
fn split_sample(gaussian: &Gaussian, random: &mut Random) -> Gaussian {
    let [w, x, y, z] = gaussian.quat;
    let q = glam::Quat::from_xyzw(x, y, z, w);
    let rotation = if q.length_squared() > 1e-24 { q.normalize() } else { glam::Quat::IDENTITY };
    let mut drawn = glam::Vec3::ZERO;
    for axis in 0..3 {
        drawn[axis] = random.normal() as f32 * gaussian.log_scale[axis].exp();
    }
    let offset = rotation * drawn;
    let mut half = *gaussian;
    for axis in 0..3 {
        half.mean[axis] += offset[axis];
        half.log_scale[axis] -= SPLIT_SHRINK.ln();
    }
    half
}

/// Resets opacities to just above the pruning threshold; Gaussians that are not needed stay faint and are pruned later.
pub(crate) fn reset_opacities(geometry: &mut [Gaussian], settings: &DensifyConfig) {
    let limit = logit(f64::from(settings.prune_opacity * RESET_OPACITY_FACTOR));
    for gaussian in geometry {
        gaussian.opacity_logit = gaussian.opacity_logit.min(limit);
    }
}

/// Relocates dead Gaussians, then adds new ones (Kheradmand et al. 2024, section 4; gsplat's `MCMCStrategy`).
fn mcmc(settings: &DensifyConfig, state: &State<'_>, random: &mut Random) -> Plan {
    let n = state.geometry.len();
    let mut plan = Plan { geometry: state.geometry.to_vec(), sources: (0..n as u32).map(kept).collect() };
    let mut opacities: Vec<f32> = plan.geometry.par_iter().map(Gaussian::opacity).collect();
    let is_dead = |opacity: f32| opacity <= settings.prune_opacity;
    let dead: Vec<usize> = (0..n).filter(|&id| is_dead(opacities[id])).collect();
    // False for NaN.
    let is_alive = |opacity: f32| opacity > settings.prune_opacity;
    if !opacities.iter().any(|&opacity| is_alive(opacity)) {
        return plan;
    }
    let chosen = sample_by_opacity(&opacities, is_alive, dead.len(), random);
    place_copies(&mut plan, &mut opacities, &chosen, &dead);

    let wanted = (n as f64 * (1.0 + f64::from(settings.growth))) as usize;
    let grown = wanted.min(state.cap).saturating_sub(n);
    let chosen = sample_by_opacity(&opacities, |_| true, grown, random);
    let places: Vec<usize> = (n..n + grown).collect();
    place_copies(&mut plan, &mut opacities, &chosen, &places);
    plan
}

/// Samples `count` ids among those whose opacity passes `wanted`, with probability proportional to opacity, with replacement.
fn sample_by_opacity(
    opacities: &[f32],
    wanted: impl Fn(f32) -> bool,
    count: usize,
    random: &mut Random,
) -> Vec<usize> {
    if count == 0 {
        return Vec::new();
    }
    let mut total = 0.0_f64;
    let (ids, sums): (Vec<u32>, Vec<f64>) = (0_u32..)
        .zip(opacities)
        .filter(|(_, opacity)| wanted(**opacity))
        .map(|(id, opacity)| {
            total += if opacity.is_finite() { f64::from(*opacity) } else { 0.0 };
            (id, total)
        })
        .unzip();
    (0..count)
        .map(|_| {
            let at = random.uniform() * total;
            let place = sums.partition_point(|&sum| sum <= at).min(ids.len() - 1);
            ids[place] as usize
        })
        .collect()
}

/// Copies `chosen[i]` to index `places[i]`, and divides opacity and size among a Gaussian and its copies so that the render stays
/// the same (3DGS-MCMC, eq. 9).
fn place_copies(plan: &mut Plan, opacities: &mut Vec<f32>, chosen: &[usize], places: &[usize]) {
    let mut copies = BTreeMap::<usize, usize>::new();
    for &id in chosen {
        *copies.entry(id).or_default() += 1;
    }
    for (id, count) in copies {
        let gaussian = &mut plan.geometry[id];
        let (shared, shrink) = share(f64::from(gaussian.opacity()), (count + 1).min(MAX_COPIES));
        gaussian.opacity_logit = logit(shared);
        for log_scale in &mut gaussian.log_scale {
            *log_scale += shrink.ln() as f32;
        }
        opacities[id] = gaussian.opacity();
        plan.sources[id].keeps_moments = 0;
    }
    for (&id, &place) in chosen.iter().zip(places) {
        let gaussian = plan.geometry[id];
        let source = fresh(plan.sources[id].gid);
        if place < plan.geometry.len() {
            plan.geometry[place] = gaussian;
            plan.sources[place] = source;
            opacities[place] = opacities[id];
        } else {
            plan.geometry.push(gaussian);
            plan.sources.push(source);
            opacities.push(opacities[id]);
        }
    }
}

/// Opacity of each of `n` Gaussians that replace one of opacity `o`, and the factor on its scales.
fn share(o: f64, n: usize) -> (f64, f64) {
    let shared = 1.0 - (1.0 - o).powf(1.0 / n as f64);
    let mut denominator = 0.0;
    for i in 1..=n {
        let mut binomial = 1.0;
        for k in 0..i {
            let sign = if k % 2 == 0 { 1.0 } else { -1.0 };
            denominator += binomial * sign * shared.powi(k as i32 + 1) / ((k + 1) as f64).sqrt();
            binomial *= (i - 1 - k) as f64 / (k + 1) as f64;
        }
    }
    let factor = o / denominator;
    // The alternating sum loses precision for many copies of an opaque Gaussian.
    (shared, if factor.is_finite() && factor > 0.0 { factor.min(1.0) } else { 1.0 / n as f64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gaussian(x: f32, opacity: f64, scale: f32) -> Gaussian {
        Gaussian {
            mean: [x, 0.0, 0.0],
            opacity_logit: logit(opacity),
            quat: [1.0, 0.0, 0.0, 0.0],
            log_scale: [scale.ln(); 3],
            scale_floor: 0.0,
        }
    }

    fn state<'a>(geometry: &'a [Gaussian], statistics: &'a [DensifyStatistic], cap: usize) -> State<'a> {
        State { geometry, statistics, extent: 1.0, cap, step: 100 }
    }

    #[test]
    fn adc_clones_small_splits_large_and_prunes_faint() {
        let config = TrainConfig { strategy: Strategy::Adc, ..TrainConfig::default() };
        let geometry = [
            gaussian(0.0, 0.5, 0.001),
            gaussian(1.0, 0.5, 0.5),
            gaussian(2.0, 0.001, 0.1),
            gaussian(3.0, 0.5, 0.1),
        ];
        let statistics = [1.0, 1.0, 1.0, 0.0].map(|sum| DensifyStatistic { sum, views: 2.0 });
        let plan = plan(&config, &state(&geometry, &statistics, 100));
        let ids: Vec<u32> = plan.sources.iter().map(|source| source.gid).collect();
        assert_eq!(ids, [0, 1, 3, 0, 1]);
        assert_eq!(plan.sources[0], kept(0), "a cloned Gaussian keeps its moments");
        assert_eq!(plan.geometry[3], geometry[0], "its clone is the same");
        assert!((plan.geometry[1].log_scale[0] - (0.5_f32 / SPLIT_SHRINK).ln()).abs() < 1e-6);
        assert_ne!(plan.geometry[1].mean, plan.geometry[4].mean, "halves are drawn apart");
        let capped = super::plan(&config, &state(&geometry, &statistics, 3));
        assert_eq!(capped.geometry.len(), 3, "the cap holds");
    }

    #[test]
    fn sharing_keeps_the_opacity_of_the_stack() {
        for n in 2..=MAX_COPIES {
            let (shared, factor) = share(0.7, n);
            assert!((1.0 - (1.0 - shared).powi(n as i32) - 0.7).abs() < 1e-12);
            assert!(factor > 0.0 && factor <= 1.0, "{n}: {factor}");
        }
        // Two copies: o / (2 o' - o'^2 / sqrt 2), from the paper's equation.
        let (shared, factor) = share(0.75, 2);
        assert!((shared - 0.5).abs() < 1e-12);
        assert!((factor - 0.75 / (1.0 - 0.25 / 2.0_f64.sqrt())).abs() < 1e-12);
    }

    #[test]
    fn mcmc_moves_the_dead_and_grows_to_the_cap() {
        let config = TrainConfig::default();
        let mut geometry: Vec<Gaussian> = (0..100).map(|i| gaussian(i as f32, 0.5, 0.1)).collect();
        geometry[7] = gaussian(7.0, 0.001, 0.1);
        let statistics = vec![DensifyStatistic::default(); 100];
        let plan = plan(&config, &state(&geometry, &statistics, 103));
        assert_eq!(plan.geometry.len(), 103);
        assert_ne!(plan.sources[7].gid, 7, "the dead one has moved");
        assert_eq!(plan, super::plan(&config, &state(&geometry, &statistics, 103)), "same seed, same plan");
    }
}
