//! Adding, moving and removing Gaussians: planned on the host from geometry and statistics, carried out on the GPU.
//!
//! Both strategies return a [`Plan`]: the new geometry, and the source of each new Gaussian's colours and optimizer moments.

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
    /// Refinements before this one; see [`TrainConfig::refinements_before`].
    pub(crate) refinements: f64,
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
/// A copy and its original move apart by this share of an offset drawn from the original: see [`place_copies`].
const APART: f32 = 0.5;
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
        Strategy::Adc => adc(config, state, &random),
        Strategy::Mcmc => mcmc(&config.densify, state, &mut random),
    }
}

/// Clone, split, prune (Kerbl et al. 2023, section 5).
fn adc(config: &TrainConfig, state: &State<'_>, random: &Random) -> Plan {
    let settings = &config.densify;
    let threshold = config.grow_above();
    let was_reset = state.step > config.step_for(settings.reset_every);
    let mut staying: Vec<u32> = Vec::new();
    let stays = |id: u32| {
        let gaussian = &state.geometry[id as usize];
        let too_large = was_reset && gaussian.largest_scale() > settings.prune_scale * state.extent;
        !(gaussian.opacity() < settings.prune_opacity || too_large)
    };
    staying.par_extend((0..state.geometry.len() as u32).into_par_iter().filter(|&id| stays(id)));
    let gradient = |id: u32| state.statistics[id as usize].mean();
    let grown =
        staying.par_iter().map(|&id| (id, gradient(id))).filter(|(_, gradient)| *gradient > threshold);
    let mut growing: Vec<(u32, f32)> = grown.collect();
    // If the cap is reached, those with the largest gradients grow; ids break ties, so that the choice is independent of the sort.
    let room = state.cap.saturating_sub(staying.len());
    if growing.len() > room {
        growing.par_sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        growing.truncate(room);
    }
    let mut grows = vec![false; state.geometry.len()];
    for (id, _) in &growing {
        grows[*id as usize] = true;
    }
    let splits = |id: u32| state.geometry[id as usize].largest_scale() > settings.split_scale * state.extent;
    let fates: Vec<Fate> = staying
        .par_iter()
        .map(|&id| match grows[id as usize] {
            false => Fate::Stays,
            true if splits(id) => Fate::Splits,
            true => Fate::Doubles,
        })
        .collect();
    // Halves are drawn in the order of ids, two after the other.
    let mut draws = 0;
    let drawn_before: Vec<u64> = fates
        .iter()
        .map(|fate| {
            let before = draws;
            draws += if *fate == Fate::Splits { 2 * DRAWS_PER_HALF } else { 0 };
            before
        })
        .collect();
    let rows = || (&staying, &fates, &drawn_before).into_par_iter();
    let half = |id: u32, draws: u64| split_sample(&state.geometry[id as usize], &mut random.ahead(draws));
    let first = rows().map(|(&id, fate, &draws)| match fate {
        Fate::Splits => (half(id, draws), fresh(id)),
        Fate::Stays | Fate::Doubles => (state.geometry[id as usize], kept(id)),
    });
    let second = rows().filter_map(|(&id, fate, &draws)| match fate {
        Fate::Splits => Some((half(id, draws + DRAWS_PER_HALF), fresh(id))),
        Fate::Doubles => Some((state.geometry[id as usize], fresh(id))),
        Fate::Stays => None,
    });
    let mut plan = Plan::default();
    (plan.geometry, plan.sources) = first.chain(second).unzip();
    plan
}

/// What becomes of a Gaussian that is not removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Stays,
    /// A copy of it is added.
    Doubles,
    /// Two halves take its place.
    Splits,
}

/// Draws of [`split_sample`]: three normal numbers.
const DRAWS_PER_HALF: u64 = 6;

/// One half of a split Gaussian: smaller, with a mean sampled from the original.
fn split_sample(gaussian: &Gaussian, random: &mut Random) -> Gaussian {
    let offset = offset_within(gaussian, random);
    let mut half = *gaussian;
    for axis in 0..3 {
        half.mean[axis] += offset[axis];
        half.log_scale[axis] -= SPLIT_SHRINK.ln();
    }
    half
}

/// A place drawn from a Gaussian, relative to its mean. Six draws.
fn offset_within(gaussian: &Gaussian, random: &mut Random) -> glam::Vec3 {
    let [w, x, y, z] = gaussian.quat;
    let q = glam::Quat::from_xyzw(x, y, z, w);
    let rotation = if q.length_squared() > 1e-24 { q.normalize() } else { glam::Quat::IDENTITY };
    let mut drawn = glam::Vec3::ZERO;
    for axis in 0..3 {
        drawn[axis] = random.normal() as f32 * gaussian.log_scale[axis].exp();
    }
    rotation * drawn
}

/// Resets opacities to just above the pruning threshold; Gaussians that are not needed stay faint and are pruned later.
pub(crate) fn reset_opacities(geometry: &mut [Gaussian], settings: &DensifyConfig) {
    let limit = logit(f64::from(settings.prune_opacity * RESET_OPACITY_FACTOR));
    for gaussian in geometry {
        gaussian.opacity_logit = gaussian.opacity_logit.min(limit);
    }
}

/// Opacity logit of a Gaussian that an MCMC refinement takes away and uses elsewhere.
pub(crate) fn faint(settings: &DensifyConfig) -> f32 {
    logit(0.5 * f64::from(settings.prune_opacity))
}

/// Relocates dead Gaussians, then adds new ones (Kheradmand et al. 2024, section 4; gsplat's `MCMCStrategy`).
///
/// Two things differ. New Gaussians come from those whose opacity times mean gradient is large, which have more to show than one
/// Gaussian can, rather than from the most opaque. And copies are placed apart, see [`place_copies`]. What each brings is in the table
/// "Growth" of `docs/benchmarks.md`.
fn mcmc(settings: &DensifyConfig, state: &State<'_>, random: &mut Random) -> Plan {
    let n = state.geometry.len();
    let mut plan = Plan {
        geometry: state.geometry.to_vec(),
        sources: (0..n as u32).into_par_iter().map(kept).collect(),
    };
    let mut opacities: Vec<f32> = plan.geometry.par_iter().map(Gaussian::opacity).collect();
    let is_dead = |opacity: f32| opacity <= settings.prune_opacity;
    let dead: Vec<usize> = (0..n).into_par_iter().filter(|&id| is_dead(opacities[id])).collect();
    // False for NaN.
    let is_alive = |opacity: f32| opacity > settings.prune_opacity;
    if !opacities.iter().any(|&opacity| is_alive(opacity)) {
        return plan;
    }
    let chosen = sample_by_weight(&opacities, is_alive, dead.len(), random);
    place_copies(&mut plan, &mut opacities, &chosen, &dead, random);

    let grown = grown_to(settings, state).saturating_sub(n);
    let gradient = |id: usize| state.statistics.get(id).map_or(0.0, DensifyStatistic::mean);
    let by_gradient: Vec<f32> = (0..n).into_par_iter().map(|id| opacities[id] * gradient(id)).collect();
    let is_positive = |weight: f32| weight > 0.0 && weight.is_finite();
    let chosen = if by_gradient.iter().any(|&weight| is_positive(weight)) {
        sample_by_weight(&by_gradient, is_positive, grown, random)
    } else {
        sample_by_weight(&opacities, is_alive, grown, random)
    };
    let places: Vec<usize> = (n..n + grown).collect();
    place_copies(&mut plan, &mut opacities, &chosen, &places, random);
    plan
}

/// How many Gaussians there shall be after an MCMC refinement: a line over the refinements, of which each adds the same share of the
/// first number (LiteGS). Growth by a factor leaves most Gaussians to the last refinements, which have few steps left to fit them.
fn grown_to(settings: &DensifyConfig, state: &State<'_>) -> usize {
    let growth = f64::from(settings.growth);
    let factor = 1.0 + growth / (1.0 + growth * state.refinements);
    ((state.geometry.len() as f64 * factor) as usize).min(state.cap)
}

/// Samples `count` ids among those whose weight passes `wanted`, with probability proportional to weight, with replacement.
fn sample_by_weight(
    weights: &[f32],
    wanted: impl Fn(f32) -> bool,
    count: usize,
    random: &mut Random,
) -> Vec<usize> {
    if count == 0 {
        return Vec::new();
    }
    let mut total = 0.0_f64;
    let (ids, sums): (Vec<u32>, Vec<f64>) = (0_u32..)
        .zip(weights)
        .filter(|(_, weight)| wanted(**weight))
        .map(|(id, weight)| {
            total += if weight.is_finite() { f64::from(*weight) } else { 0.0 };
            (id, total)
        })
        .unzip();
    let start = random.clone();
    *random = random.ahead(count as u64);
    let sample = |draws: usize| {
        let at = start.ahead(draws as u64).uniform() * total;
        let place = sums.partition_point(|&sum| sum <= at).min(ids.len() - 1);
        ids[place] as usize
    };
    (0..count).into_par_iter().map(sample).collect()
}

/// Copies `chosen[i]` to index `places[i]`, and divides opacity and size among a Gaussian and its copies so that the render would stay
/// the same (3DGS-MCMC, eq. 9) if all stayed in one place.
///
/// They do not: a copy and its original move to opposite sides, within the Gaussian. In one place both would have equal gradients and
/// would part by the random walk alone, which takes longer than a short run lasts.
fn place_copies(
    plan: &mut Plan,
    opacities: &mut Vec<f32>,
    chosen: &[usize],
    places: &[usize],
    random: &mut Random,
) {
    let mut by_id = chosen.to_vec();
    by_id.par_sort_unstable();
    let copies: Vec<(usize, usize)> =
        by_id.chunk_by(|a, b| a == b).map(|same| (same[0], same.len())).collect();
    let shared = |&(id, count): &(usize, usize)| {
        let mut gaussian = plan.geometry[id];
        let (shared, shrink) = share(f64::from(gaussian.opacity()), (count + 1).min(MAX_COPIES));
        gaussian.opacity_logit = logit(shared);
        for log_scale in &mut gaussian.log_scale {
            *log_scale += shrink.ln() as f32;
        }
        (id, gaussian)
    };
    for (id, gaussian) in copies.par_iter().map(shared).collect::<Vec<_>>() {
        plan.geometry[id] = gaussian;
        opacities[id] = gaussian.opacity();
        plan.sources[id].keeps_moments = 0;
    }
    for (&id, &place) in chosen.iter().zip(places) {
        let mut gaussian = plan.geometry[id];
        let offset = (offset_within(&gaussian, random) * APART).to_array();
        for (axis, offset) in offset.into_iter().enumerate() {
            gaussian.mean[axis] += offset;
            plan.geometry[id].mean[axis] -= offset;
        }
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
#[expect(clippy::unwrap_used, reason = "a test")]
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
        State { geometry, statistics, extent: 1.0, cap, step: 100, refinements: 0.0 }
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
    fn new_gaussians_come_from_large_gradients_and_stand_apart() {
        let config = TrainConfig::default();
        let geometry: Vec<Gaussian> = (0..100).map(|i| gaussian(i as f32, 0.5, 0.01)).collect();
        let statistics: Vec<_> =
            (0..100).map(|i| DensifyStatistic { sum: if i < 50 { 1.0 } else { 0.0 }, views: 1.0 }).collect();
        let plan = plan(&config, &state(&geometry, &statistics, 1000));
        assert_eq!(plan.geometry.len(), 114);
        assert!(plan.sources[100..].iter().all(|source| source.gid < 50), "{:?}", &plan.sources[100..]);
        // Together with its copies each stays where it was.
        for id in 0..50_usize {
            let family = (0..114).filter(|&i| plan.sources[i].gid as usize == id);
            let means: Vec<[f32; 3]> = family.map(|i| plan.geometry[i].mean).collect();
            if means.len() == 2 {
                assert!((means[0][0] + means[1][0] - 2.0 * id as f32).abs() < 1e-4);
                assert_ne!(means[0], means[1]);
            }
        }
    }

    #[test]
    fn mcmc_grows_by_the_same_number_each_time() {
        let config = TrainConfig::default();
        let mut count = 10_000;
        let mut numbers = Vec::new();
        for done in 0..4 {
            let geometry = vec![gaussian(0.0, 0.5, 0.1); count];
            let state = State { refinements: f64::from(done), ..state(&geometry, &[], 1_000_000) };
            count = plan(&config, &state).geometry.len();
            numbers.push(count);
        }
        for (number, wanted) in numbers.iter().zip([11_400, 12_800, 14_200, 15_600]) {
            assert!(number.abs_diff(wanted) <= 4, "{numbers:?}");
        }
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

    /// Plans of thousands of Gaussians, of which many grow, split or move, made by one thread and by several.
    #[test]
    fn a_plan_does_not_depend_on_the_number_of_threads() {
        let mut random = Random::new(9, 0, 0);
        let mut geometry = Vec::new();
        let mut statistics = Vec::new();
        for i in 0..5_000 {
            geometry.push(gaussian(
                i as f32,
                0.9 * random.uniform(),
                (random.uniform() * 0.02) as f32 + 1e-4,
            ));
            statistics.push(DensifyStatistic { sum: (random.uniform() * 4e-4) as f32, views: 1.0 });
        }
        for strategy in [Strategy::Adc, Strategy::Mcmc] {
            for cap in [5_050, 20_000] {
                let config = TrainConfig { strategy, ..TrainConfig::default() };
                let [one, several] = [1, 3].map(|threads| {
                    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                    pool.install(|| super::plan(&config, &state(&geometry, &statistics, cap)))
                });
                assert!(one.geometry.len() > 5_000, "{strategy:?}: {}", one.geometry.len());
                assert!(one.sources.iter().any(|source| source.keeps_moments == 0), "{strategy:?}");
                assert!(one == several, "{strategy:?}, cap {cap}");
            }
        }
    }
}
