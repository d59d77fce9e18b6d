//! Adaptive density control: clone, split, prune (Kerbl et al. 2023, section 5).

use rayon::prelude::*;

use super::{DRAWS_PER_OFFSET, Plan, State, fresh, kept, offset_within};
use crate::gpu::layout::Gaussian;
use crate::random::Random;
use crate::train::config::TrainConfig;

/// Splits shrink scales by this factor (3DGS authors' code).
pub(super) const SPLIT_SHRINK: f32 = 1.6;

/// Clone, split, prune (Kerbl et al. 2023, section 5).
pub(super) fn adc(config: &TrainConfig, state: &State<'_>, random: &Random) -> Plan {
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
    // Halves are drawn in the order of ids, both of a Gaussian in succession.
    let mut draws = 0;
    let drawn_before: Vec<u64> = fates
        .iter()
        .map(|fate| {
            let before = draws;
            draws += if *fate == Fate::Splits { 2 * DRAWS_PER_OFFSET } else { 0 };
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
        Fate::Splits => Some((half(id, draws + DRAWS_PER_OFFSET), fresh(id))),
        Fate::Doubles => Some((state.geometry[id as usize], fresh(id))),
        Fate::Stays => None,
    });
    let (geometry, sources) = first.chain(second).unzip();
    Plan::Anew { geometry, sources }
}

/// Fate of a Gaussian that is not pruned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Stays,
    /// A copy is added.
    Doubles,
    /// It is replaced by two halves.
    Splits,
}

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
