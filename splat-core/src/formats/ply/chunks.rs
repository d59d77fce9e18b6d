//! Assigns Gaussians to the chunks of a compressed PLY, whose ranges their values are quantized to.

use rayon::prelude::*;

use super::compressed::CHUNK;
use crate::formats::quantize::{colour, sigmoid};
use crate::gaussians::GaussianCloud;

/// Quantized values of a Gaussian: position, log-scales, colour.
const NUMBERS: usize = 9;
/// Number of steps that each range is divided into.
const STEPS: [f32; NUMBERS] = [2047.0, 1023.0, 2047.0, 2047.0, 1023.0, 2047.0, 255.0, 255.0, 255.0];
/// Sort keys for splitting a group: the coordinates, and the size.
const KEYS: usize = 4;
/// Candidate positions of a split, in eighths of a group's chunks. More than just the middle, so that a few Gaussians that are
/// far away or very large are separated from the rest. Splitting off single chunks at either end as well makes trained scenes 8
/// dB worse.
const CUTS: [usize; 5] = [1, 2, 4, 6, 7];
/// Squared colour difference caused by moving a Gaussian by its own size, for values in 0..1: its contrast with the background.
const CONTRAST: f32 = 0.05;
/// When a group of m chunks is split further, its cost falls by about m to this power: measured on trained scenes.
const FALL: f32 = 1.0 / 3.0;
/// e to this power is far beyond any scene; a wider range would cost precision.
const MAX_LOG_SCALE: f32 = 20.0;
/// Smaller groups are not worth a separate task.
const ALONE: usize = 16 * CHUNK;

/// The log-scales of a Gaussian as they are written.
pub(super) fn scales(cloud: &GaussianCloud, index: usize) -> [f32; 3] {
    cloud.log_scales[index].map(|scale| scale.clamp(-MAX_LOG_SCALE, MAX_LOG_SCALE))
}

/// What the split depends on.
#[derive(Clone, Copy)]
struct Item {
    numbers: [f32; NUMBERS],
    /// Weights of colour and position errors in rendered images, per squared unit.
    colour_weight: f32,
    place_weight: f32,
    index: u32,
}

/// Orders a cloud's Gaussians so that the ranges of every [`CHUNK`] consecutive ones cost little image quality.
///
/// Top-down, each group is split in two where the quantization error of both halves is least (a k-d tree whose axes and positions
/// are chosen by cost). A space-filling curve would put distant haze and the small Gaussians of the subject into the same chunk,
/// whose quantization step would then be as large as the subject's Gaussians.
pub(super) fn order(cloud: &GaussianCloud) -> Vec<u32> {
    let mut items: Vec<Item> = (0..cloud.len()).into_par_iter().map(|index| Item::of(cloud, index)).collect();
    part(&mut items);
    items.into_iter().map(|item| item.index).collect()
}

impl Item {
    fn of(cloud: &GaussianCloud, index: usize) -> Self {
        let ([x, y, z], [a, b, c]) = (cloud.means[index], scales(cloud, index));
        let [red, green, blue] = cloud.sh_coeffs[index * cloud.coeffs_per_gaussian()].map(colour);
        // Its visible size: the middle of its three axes.
        let size = a.min(b).max(a.max(b).min(c));
        let opacity = sigmoid(cloud.opacity_logits[index]);
        Self {
            numbers: [x, y, z, a, b, c, red, green, blue],
            colour_weight: opacity * opacity,
            place_weight: opacity * opacity * (-2.0 * size).exp(),
            index: index as u32,
        }
    }

    fn key(&self, which: usize) -> f32 {
        let [x, y, z, a, b, c, ..] = self.numbers;
        [x, y, z, a + b + c][which]
    }
}

/// Orders a group so that each chunk is contiguous.
fn part(items: &mut [Item]) {
    let chunks = items.len().div_ceil(CHUNK);
    if chunks < 2 {
        return;
    }
    let mut cuts = CUTS.map(|eighths| (chunks * eighths / 8).clamp(1, chunks - 1) * CHUNK).to_vec();
    cuts.dedup();
    let mut best = (f32::INFINITY, 0, cuts[0]);
    for key in 0..KEYS {
        select(items, &cuts, 0, key);
        for (cost, cut) in costs(items, &cuts).into_iter().zip(&cuts) {
            if cost < best.0 {
                best = (cost, key, *cut);
            }
        }
    }
    let (_, key, cut) = best;
    select(items, &[cut], 0, key);
    let whole = items.len();
    let (left, right) = items.split_at_mut(cut);
    if whole < ALONE {
        part(left);
        part(right);
    } else {
        rayon::join(|| part(left), || part(right));
    }
}

/// Partially sorts by a key, so that the smallest keys are before each cut; cuts and `items` are relative to `from`.
fn select(items: &mut [Item], cuts: &[usize], from: usize, key: usize) {
    let Some(&middle) = cuts.get(cuts.len() / 2) else { return };
    items.select_nth_unstable_by(middle - from, |a, b| {
        a.key(key).total_cmp(&b.key(key)).then(a.index.cmp(&b.index))
    });
    let (left, right) = items.split_at_mut(middle - from);
    select(left, &cuts[..cuts.len() / 2], from, key);
    select(right, &cuts[cuts.len() / 2 + 1..], middle, key);
}

/// Cost of both sides for each cut.
fn costs(items: &[Item], cuts: &[usize]) -> Vec<f32> {
    let ends = cuts.iter().copied().chain([items.len()]);
    let starts = [0].into_iter().chain(cuts.iter().copied());
    let pieces: Vec<Group> = starts.zip(ends).map(|(start, end)| Group::of(&items[start..end])).collect();
    let joined = |pieces: &[Group]| pieces.iter().fold(Group::default(), |sum, piece| sum.with(piece)).cost();
    (1..pieces.len()).map(|at| joined(&pieces[..at]) + joined(&pieces[at..])).collect()
}

/// Ranges of a group's values, and its weights.
struct Group {
    ranges: [[f32; 2]; NUMBERS],
    colour_weight: f32,
    place_weight: f32,
    len: usize,
}

impl Default for Group {
    fn default() -> Self {
        let ranges = [[f32::INFINITY, f32::NEG_INFINITY]; NUMBERS];
        Self { ranges, colour_weight: 0.0, place_weight: 0.0, len: 0 }
    }
}

impl Group {
    fn of(items: &[Item]) -> Self {
        let mut group = Self { len: items.len(), ..Self::default() };
        for item in items {
            for ([low, high], number) in group.ranges.iter_mut().zip(item.numbers) {
                (*low, *high) = (low.min(number), high.max(number));
            }
            group.colour_weight += item.colour_weight;
            group.place_weight += item.place_weight;
        }
        group
    }

    fn with(mut self, other: &Self) -> Self {
        for ([low, high], range) in self.ranges.iter_mut().zip(other.ranges) {
            (*low, *high) = (low.min(range[0]), high.max(range[1]));
        }
        self.colour_weight += other.colour_weight;
        self.place_weight += other.place_weight;
        self.len += other.len;
        self
    }

    /// First-order estimate of the squared image error, up to a constant factor, once the group is split into chunks.
    fn cost(&self) -> f32 {
        let step = |number: usize| {
            let [low, high] = self.ranges[number];
            ((high - low) / STEPS[number]).powi(2)
        };
        let steps = |first: usize| step(first) + step(first + 1) + step(first + 2);
        let cost = CONTRAST * (self.place_weight * steps(0) + self.colour_weight * steps(3))
            + self.colour_weight * steps(6);
        cost * (self.len.div_ceil(CHUNK) as f32).powf(-FALL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// Small Gaussians in a room, and haze a thousand times as far away: in separate chunks, except for one or two.
    #[test]
    fn haze_does_not_share_chunks_with_what_was_photographed() {
        let mut random = Random::new(3, 0, 0);
        let mut cloud = GaussianCloud::default();
        for index in 0..40 * CHUNK {
            let far = index % 13 == 0;
            let reach = if far { 3000.0 } else { 5.0 };
            cloud.means.push(std::array::from_fn(|_| ((random.uniform() * 2.0 - 1.0) * reach) as f32));
            cloud.log_scales.push([if far { 4.0 } else { -5.0 }; 3]);
            cloud.quats.push([1.0, 0.0, 0.0, 0.0]);
            cloud.opacity_logits.push(0.0);
            cloud.sh_coeffs.push([0.0; 3]);
        }
        let order = order(&cloud);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..cloud.len() as u32), "each once");
        let far = |index: &&u32| index.is_multiple_of(13);
        let mixed =
            order.chunks(CHUNK).filter(|chunk| (1..chunk.len()).contains(&chunk.iter().filter(far).count()));
        assert!(mixed.count() <= 2);
        // Of 37 chunks in a room 10 units wide, all but one are less than 6 wide in some direction.
        let wide =
            order.chunks(CHUNK).filter(|chunk| chunk.iter().all(|index| index % 13 != 0)).filter(|chunk| {
                (0..3).all(|axis| {
                    let places = || chunk.iter().map(|&index| cloud.means[index as usize][axis]);
                    places().fold(f32::MIN, f32::max) - places().fold(f32::MAX, f32::min) > 6.0
                })
            });
        assert!(wide.count() <= 1);
    }

    #[test]
    fn clouds_of_any_size_and_equal_gaussians_are_ordered() {
        for count in [0, 1, 255, 256, 257, 2000] {
            let cloud = GaussianCloud {
                means: vec![[1.0; 3]; count],
                quats: vec![[1.0, 0.0, 0.0, 0.0]; count],
                log_scales: vec![[-100.0, 0.0, 100.0]; count],
                opacity_logits: vec![-200.0; count],
                sh_coeffs: vec![[f32::MAX; 3]; count],
                sh_degree: 0,
            };
            let mut order = order(&cloud);
            order.sort_unstable();
            assert!(order.into_iter().eq(0..count as u32));
        }
    }
}
