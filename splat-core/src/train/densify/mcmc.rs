//! MCMC: relocates dead Gaussians, then adds new ones (Kheradmand et al. 2024, section 4; gsplat's `MCMCStrategy`).

use rayon::prelude::*;

use super::{Changes, DRAWS_PER_OFFSET, State, fresh, logit, offset_within};
use crate::gpu::layout::{DensifyStatistic, GatherSource, Gaussian};
use crate::random::Random;
use crate::train::config::DensifyConfig;

/// A copy and its original move apart by this share of an offset drawn from the original: see [`Draft::place_copies`].
const APART: f32 = 0.5;
/// Maximum number of Gaussians that replace one in a relocation (3DGS-MCMC authors' code).
pub(super) const MAX_COPIES: usize = 51;

/// Relocates dead Gaussians, then adds new ones (Kheradmand et al. 2024, section 4; gsplat's `MCMCStrategy`).
///
/// There are two differences. New Gaussians come from those with the largest product of opacity and mean gradient, which have
/// more detail than one Gaussian can represent, rather than from the most opaque. And copies are placed apart, see
/// [`Draft::place_copies`]. The effect of each is in the table "Growth" of `docs/benchmarks.md`.
pub(super) fn mcmc(settings: &DensifyConfig, state: &State<'_>, random: &mut Random) -> Changes {
    let n = state.geometry.len();
    let mut draft = Draft::new(state.geometry);
    let is_dead = |opacity: f32| opacity <= settings.prune_opacity;
    let dead: Vec<usize> = (0..n).into_par_iter().filter(|&id| is_dead(draft.opacities[id])).collect();
    // False for NaN.
    let is_alive = |opacity: f32| opacity > settings.prune_opacity;
    if !draft.opacities.iter().any(|&opacity| is_alive(opacity)) {
        return draft.changes;
    }
    let chosen = sample_by_weight(&draft.opacities, is_alive, dead.len(), random);
    draft.place_copies(&chosen, &dead, random);

    let grown = grown_to(settings, state).saturating_sub(n);
    let gradient = |id: usize| state.statistics.get(id).map_or(0.0, DensifyStatistic::mean);
    let by_gradient: Vec<f32> = (0..n).into_par_iter().map(|id| draft.opacities[id] * gradient(id)).collect();
    let is_positive = |weight: f32| weight > 0.0 && weight.is_finite();
    let chosen = if by_gradient.iter().any(|&weight| is_positive(weight)) {
        sample_by_weight(&by_gradient, is_positive, grown, random)
    } else {
        sample_by_weight(&draft.opacities, is_alive, grown, random)
    };
    let places: Vec<usize> = (n..n + grown).collect();
    draft.place_copies(&chosen, &places, random);
    draft.changes
}

/// Number of Gaussians after an MCMC refinement: it grows linearly, by the same share of the initial number each time (LiteGS).
/// With exponential growth most Gaussians are added by the last refinements, with few steps left to fit them.
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

/// Changes in the making.
struct Draft<'a> {
    /// Geometry before the densification.
    geometry: &'a [Gaussian],
    /// Current opacities, including those of new Gaussians.
    opacities: Vec<f32>,
    changes: Changes,
    /// By id: index in the changes, or [`UNCHANGED`].
    rows: Vec<u32>,
}

const UNCHANGED: u32 = u32::MAX;

impl<'a> Draft<'a> {
    fn new(geometry: &'a [Gaussian]) -> Self {
        Self {
            geometry,
            opacities: geometry.par_iter().map(Gaussian::opacity).collect(),
            changes: Changes { count: geometry.len() as u32, ..Changes::default() },
            rows: vec![UNCHANGED; geometry.len()],
        }
    }

    fn gaussian(&self, id: usize) -> Gaussian {
        match self.rows[id] {
            UNCHANGED => self.geometry[id],
            row => self.changes.geometry[row as usize],
        }
    }

    /// The Gaussian whose colours this one has.
    fn source(&self, id: usize) -> GatherSource {
        match self.rows[id] {
            UNCHANGED => fresh(id as u32),
            row => self.changes.sources[row as usize],
        }
    }

    /// Changes a Gaussian, or adds the next one.
    fn set(&mut self, id: usize, gaussian: Gaussian, source: GatherSource) {
        if id == self.rows.len() {
            self.rows.push(UNCHANGED);
            self.opacities.push(0.0);
            self.changes.count += 1;
        }
        if self.rows[id] == UNCHANGED {
            self.rows[id] = self.changes.places.len() as u32;
            self.changes.places.push(id as u32);
            self.changes.geometry.push(gaussian);
            self.changes.sources.push(source);
        } else {
            let row = self.rows[id] as usize;
            self.changes.geometry[row] = gaussian;
            self.changes.sources[row] = source;
        }
    }

    /// Copies `chosen[i]` to id `places[i]`, and divides opacity and size among a Gaussian and its copies such that the render
    /// would stay the same (3DGS-MCMC, eq. 9) if all stayed in the same place.
    ///
    /// They do not: a copy and its original move in opposite directions, within the Gaussian. In the same place both would have
    /// equal gradients and would be separated only by the random walk, which takes longer than a short run.
    fn place_copies(&mut self, chosen: &[usize], places: &[usize], random: &mut Random) {
        let mut by_id = chosen.to_vec();
        by_id.par_sort_unstable();
        let copies: Vec<(usize, usize)> =
            by_id.chunk_by(|a, b| a == b).map(|same| (same[0], same.len())).collect();
        let shared = |&(id, count): &(usize, usize)| {
            let mut gaussian = self.gaussian(id);
            let (shared, shrink) = share(f64::from(gaussian.opacity()), (count + 1).min(MAX_COPIES));
            gaussian.opacity_logit = logit(shared);
            for log_scale in &mut gaussian.log_scale {
                *log_scale += shrink.ln() as f32;
            }
            (id, gaussian)
        };
        for (id, gaussian) in copies.par_iter().map(shared).collect::<Vec<_>>() {
            self.opacities[id] = gaussian.opacity();
            self.set(id, gaussian, self.source(id));
        }
        let start = random.clone();
        *random = random.ahead(chosen.len() as u64 * DRAWS_PER_OFFSET);
        let offset = |(i, &id): (usize, &usize)| {
            let mut random = start.ahead(i as u64 * DRAWS_PER_OFFSET);
            (offset_within(&self.gaussian(id), &mut random) * APART).to_array()
        };
        let offsets: Vec<[f32; 3]> = chosen.par_iter().enumerate().map(offset).collect();
        for ((&id, &place), offset) in chosen.iter().zip(places).zip(offsets) {
            let mut original = self.gaussian(id);
            let mut copy = original;
            for (axis, offset) in offset.into_iter().enumerate() {
                copy.mean[axis] += offset;
                original.mean[axis] -= offset;
            }
            let source = self.source(id);
            self.set(id, original, source);
            self.set(place, copy, source);
            self.opacities[place] = self.opacities[id];
        }
    }
}

/// Opacity of each of `n` Gaussians that replace one of opacity `o`, and the factor on its scales.
pub(super) fn share(o: f64, n: usize) -> (f64, f64) {
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
