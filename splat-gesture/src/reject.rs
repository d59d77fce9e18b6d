//! What is none of the gestures: distance from what each gesture's own frames look like.
//!
//! Distances are taken in the hand's shape, coordinates and distances of its landmarks, not in the network's embedding:
//! what tells a gesture from hands that no training saw is what a network trained to tell gestures apart has no reason
//! to keep. The shape is projected onto the [`AXES`] directions in which hands differ most for how much they vary within
//! one gesture (the generalised eigenvectors of linear discriminant analysis, Rao 1948, with all kinds of hands in place
//! of the classes' means), in units of that variation (a Mahalanobis distance with one covariance for all, Lee et al.
//! 2018). A gesture that is made in motion scatters far in a few directions of its own, and one held still next to it
//! must not be given that room: of each gesture the [`MOTIONS`] directions in which it scatters most are measured in its
//! own units (probabilistic principal components, Tipping and Bishop 1999). The squared distance is divided by the reach
//! of the gesture's own frames, and a prediction counts as far as its gesture is near:
//! `score = softmax * sigmoid(STEEPNESS * (1 - distance / reach))`. Where the distance equals the reach, the score is
//! half of what it was, and clients take less than 0.5 for "none".

use crate::features::{FEATURES, SHAPE};
use crate::linear::{Matrix, add_outer, cholesky, eigen, inverse};
use crate::network::Dense;
use crate::rounded::{of_step, step};

/// How sharply the score falls at the reach; gentle enough that runtimes agree to 1e-5.
pub(crate) const STEEPNESS: f32 = 12.0;
/// Directions of the shape in which distances are taken.
pub(crate) const AXES: usize = 24;
/// Directions in which a gesture has a scatter of its own.
pub(crate) const MOTIONS: usize = 5;
/// Share of the mean variance that every direction has added, so that 100 near-equal frames do not make a needle.
const SHRINKAGE: f64 = 0.1;
/// The same for the scatter of a single gesture, of which there are fewer frames.
const OWN_SHRINKAGE: f64 = 0.2;
/// However far a gesture moves, so much of the distance along a motion counts as elsewhere: none reaches without end.
const LEAST_COUNTED: f64 = 0.05;
/// Share of its own varied frames that a gesture's reach takes in.
const REACH_QUANTILE: f64 = 0.97;
/// The reach is so much wider than that: another day differs more than another moment.
const REACH_MARGIN: f64 = 3.0;

/// A hand on the gate's axes.
pub(crate) type Place = [f32; AXES];

/// Where each gesture lies on the axes, and how far it reaches: `distance / reach` of gesture g is
/// `nearness[g] |z - centres[g]|^2 - sum over k of rooms[g][k] (directions[g][k] (z - centres[g]))^2`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Gate {
    /// Shape to axes, up to each axis's unit. The weights are rounded to what a byte a number holds.
    pub(crate) axes: Dense,
    /// What an axis is multiplied with after that.
    pub(crate) units: Place,
    /// `[gestures]`.
    pub(crate) centres: Vec<Place>,
    /// Distance over reach, 1 away from the centre along any direction but a gesture's own.
    pub(crate) nearness: Vec<f32>,
    /// Each gesture's own directions, of length 1 before they were rounded to what a byte a number holds.
    pub(crate) directions: Vec<[Place; MOTIONS]>,
    /// How much to take back along each of them.
    pub(crate) rooms: Vec<[f32; MOTIONS]>,
}

fn dot(a: &Place, b: &Place) -> f32 {
    let mut sum = 0.0;
    for (a, b) in a.iter().zip(b) {
        sum += a * b;
    }
    sum
}

/// Moves a covariance by `share` towards a round one of the same trace.
fn shrink<const N: usize>(covariance: &mut [[f64; N]], share: f64) {
    let trace: f64 = covariance.iter().enumerate().map(|(i, row)| row[i]).sum();
    for (i, row) in covariance.iter_mut().enumerate() {
        row.iter_mut().for_each(|value| *value *= 1.0 - share);
        row[i] += share * trace / N as f64 + 1e-9;
    }
}

impl Gate {
    /// The gate around the features of each gesture's frames, of which there is at least one. `turned` are those of frames
    /// turned farther, whose variation counts least in what is a distance, `others` those of all kinds of hands.
    pub(crate) fn fit(
        gestures: &[Vec<[f32; FEATURES]>],
        turned: &[Vec<[f32; FEATURES]>],
        others: &[[f32; FEATURES]],
    ) -> Self {
        let (axes, units) = discriminating_axes(turned, others);
        let mut gate = Self::without_gestures(axes, units);
        for frames in gestures {
            let hands: Vec<Place> = frames.iter().map(|x| gate.place(x)).collect();
            gate.add(&hands);
        }
        gate
    }

    fn without_gestures(axes: Dense, units: Place) -> Self {
        let (centres, nearness, directions, rooms) = Default::default();
        Self { axes, units, centres, nearness, directions, rooms }
    }

    /// Adds a gesture of these hands.
    fn add(&mut self, hands: &[Place]) {
        let count = hands.len().max(1) as f64;
        let mut mean = [0.0; AXES];
        for hand in hands {
            mean.iter_mut().zip(hand).for_each(|(mean, value)| *mean += f64::from(*value) / count);
        }
        let centre = mean.map(|mean| mean as f32);
        let offset = |hand: &Place| -> Place { std::array::from_fn(|axis| hand[axis] - centre[axis]) };
        let mut scatter = vec![[0.0; AXES]; AXES];
        for hand in hands {
            add_outer(&mut scatter, &offset(hand).map(f64::from), 1.0 / count);
        }
        shrink(&mut scatter, OWN_SHRINKAGE);
        let pairs = eigen(&scatter);
        let (own, rest) = pairs.split_at(MOTIONS);
        let common: f64 = rest.iter().map(|(value, _)| value).sum::<f64>() / rest.len() as f64;
        let excess = |value: f64| (1.0 - common / value).clamp(0.0, 1.0 - LEAST_COUNTED) / common;
        let distance = |hand: &Place| -> f64 {
            let offset = offset(hand);
            let along = |(value, vector): &(f64, [f64; AXES])| {
                let length: f64 = vector.iter().zip(offset).map(|(a, b)| a * f64::from(b)).sum();
                excess(*value) * length * length
            };
            f64::from(dot(&offset, &offset)) / common - own.iter().map(along).sum::<f64>()
        };
        let mut distances: Vec<f64> = hands.iter().map(distance).collect();
        distances.sort_by(f64::total_cmp);
        let at = (distances.len() as f64 * REACH_QUANTILE) as usize;
        let reach = REACH_MARGIN * distances.get(at).copied().unwrap_or(1.0).max(1e-6);
        let directions: [Place; MOTIONS] =
            std::array::from_fn(|k| own[k].1.map(|component| of_step(step(component as f32))));
        self.rooms.push(std::array::from_fn(|k| {
            let length2 = f64::from(dot(&directions[k], &directions[k]));
            (excess(own[k].0) / (reach * length2)) as f32
        }));
        self.directions.push(directions);
        self.nearness.push((1.0 / (common * reach)) as f32);
        self.centres.push(centre);
    }

    /// The hand of these features on the axes.
    fn place(&self, x: &[f32; FEATURES]) -> Place {
        let mut place = [0.0; AXES];
        self.axes.forward(&x[..SHAPE], &mut place);
        place.iter_mut().zip(self.units).for_each(|(value, unit)| *value *= unit);
        place
    }

    /// Distance over reach, of each gesture.
    fn ratios(&self, hand: &Place) -> Vec<f32> {
        let mut ratios = Vec::with_capacity(self.centres.len());
        let motions = self.directions.iter().zip(&self.rooms);
        for ((centre, nearness), (directions, rooms)) in self.centres.iter().zip(&self.nearness).zip(motions)
        {
            let offset = std::array::from_fn(|axis| hand[axis] - centre[axis]);
            let mut taken = 0.0;
            for (direction, room) in directions.iter().zip(rooms) {
                taken += room * dot(direction, &offset).powi(2);
            }
            ratios.push(nearness * dot(&offset, &offset) - taken);
        }
        ratios
    }

    /// Factor on each gesture's probability, 0..1.
    pub(crate) fn factors(&self, x: &[f32; FEATURES]) -> Vec<f32> {
        let factor = |ratio: f32| 1.0 / (1.0 + (-STEEPNESS * (1.0 - ratio)).exp());
        self.ratios(&self.place(x)).into_iter().map(factor).collect()
    }

    pub(crate) fn remove(&mut self, gesture: usize) {
        self.centres.remove(gesture);
        self.nearness.remove(gesture);
        self.directions.remove(gesture);
        self.rooms.remove(gesture);
    }
}

type Shape = [f64; SHAPE];

fn shape(x: &[f32; FEATURES]) -> Shape {
    std::array::from_fn(|i| f64::from(x[i]))
}

fn mean_of<'a>(samples: impl Iterator<Item = &'a [f32; FEATURES]>) -> Shape {
    let (mut sum, mut count) = ([0.0; SHAPE], 0.0_f64);
    for x in samples {
        sum.iter_mut().zip(x).for_each(|(sum, value)| *sum += f64::from(*value));
        count += 1.0;
    }
    sum.map(|sum| sum / count.max(1.0))
}

/// Mean of (x - mean)(x - mean)^T, with its mean.
fn covariance<'a, I>(samples: I) -> (Matrix<SHAPE>, Shape)
where
    I: Iterator<Item = &'a [f32; FEATURES]> + Clone,
{
    let mean = mean_of(samples.clone());
    let weight = 1.0 / samples.clone().count().max(1) as f64;
    let mut covariance = vec![[0.0; SHAPE]; SHAPE];
    for x in samples {
        let x = shape(x);
        add_outer(&mut covariance, &std::array::from_fn(|i| x[i] - mean[i]), weight);
    }
    (covariance, mean)
}

/// The axes, centred on the mean of all hands, and the unit of each: the scatter within a gesture. Gestures count alike.
fn discriminating_axes(gestures: &[Vec<[f32; FEATURES]>], others: &[[f32; FEATURES]]) -> (Dense, Place) {
    let mut within = vec![[0.0; SHAPE]; SHAPE];
    for frames in gestures {
        let (own, _) = covariance(frames.iter());
        for (sum, row) in within.iter_mut().zip(&own) {
            sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += value / gestures.len() as f64);
        }
    }
    shrink(&mut within, SHRINKAGE);
    let (total, mean) = covariance(gestures.iter().flatten().chain(others));
    // Whitened by `within`, the total's eigenvectors are the directions looked for: V^T L^-1 with L L^T = within.
    let whiten = inverse(&cholesky(&within));
    let half: Matrix<SHAPE> = whiten.iter().map(|row| product(row, &total)).collect();
    let dot = |a: &Shape, b: &Shape| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let whitened: Matrix<SHAPE> =
        half.iter().map(|row| std::array::from_fn(|j| dot(row, &whiten[j]))).collect();
    let rows: Vec<Shape> =
        eigen(&whitened).iter().take(AXES).map(|(_, vector)| product(vector, &whiten)).collect();
    let units: [f64; AXES] =
        std::array::from_fn(|axis| rows[axis].iter().fold(1e-9, |most: f64, value| most.max(value.abs())));
    let weight =
        |index: usize| of_step(step((rows[index % AXES][index / AXES] / units[index % AXES]) as f32));
    let weights: Vec<f32> = (0..SHAPE * AXES).map(weight).collect();
    let mut bias = vec![0.0; AXES];
    for (value, row) in mean.iter().zip(weights.chunks_exact(AXES)) {
        bias.iter_mut().zip(row).for_each(|(bias, weight)| *bias -= *value as f32 * weight);
    }
    (Dense { inputs: SHAPE, outputs: AXES, weights, bias }, units.map(|unit| unit as f32))
}

/// Row times matrix.
fn product(row: &Shape, matrix: &[Shape]) -> Shape {
    let mut out = [0.0; SHAPE];
    for (factor, row) in row.iter().zip(matrix) {
        out.iter_mut().zip(row).for_each(|(out, value)| *out += factor * value);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// Features of which each scatters by `scatter(index)` about 0.
    fn samples(count: usize, random: &mut Random, scatter: impl Fn(usize) -> f32) -> Vec<[f32; FEATURES]> {
        (0..count).map(|_| std::array::from_fn(|i| scatter(i) * random.normal())).collect()
    }

    #[test]
    fn axes_are_where_hands_differ_in_units_of_what_gestures_scatter() {
        let mut random = Random::new(1, 1);
        // All hands differ along the first AXES features only; gestures scatter along all, by an uneven measure.
        let own = |i: usize| 0.1 + 0.01 * i as f32;
        let gestures = [samples(2000, &mut random, own), samples(2000, &mut random, own)];
        let others = samples(4000, &mut random, |i| if i < AXES { 3.0 } else { 0.1 });
        let (axes, units) = discriminating_axes(&gestures, &others);
        assert!(axes.is_rounded());
        let gate = Gate::without_gestures(axes, units);
        let mean_square = |hands: &mut dyn Iterator<Item = Place>| {
            let (sum, count) =
                hands.fold((0.0, 0.0), |(sum, count), hand| (sum + dot(&hand, &hand), count + 1.0));
            sum / (count * AXES as f32)
        };
        let within = mean_square(&mut gestures.iter().flatten().map(|x| gate.place(x)));
        assert!((0.5..1.1).contains(&within), "{within}");
        // A hand that differs where hands differ is far away, one that differs elsewhere is not.
        let moved = |from: usize, to: usize| {
            let mut x = [0.0; FEATURES];
            x[from..to].fill(1.0);
            mean_square(&mut std::iter::once(gate.place(&x)))
        };
        let (along, elsewhere) = (moved(0, AXES), moved(AXES, 2 * AXES));
        assert!(along > 20.0 * elsewhere, "{along} {elsewhere}");
    }

    /// Two gestures of the same place and the same own scatter but for one that moves far along the first axis.
    #[test]
    fn a_motion_reaches_far_along_itself_and_nowhere_else() {
        let mut random = Random::new(2, 9);
        let mut hands = [Vec::new(), Vec::new()];
        for index in 0..600 {
            let mut hand = [(); AXES].map(|()| random.normal());
            if index % 2 == 1 {
                hand[0] *= 5.0;
            }
            hands[index % 2].push(hand);
        }
        let axes =
            Dense { inputs: SHAPE, outputs: AXES, weights: vec![0.0; SHAPE * AXES], bias: vec![0.0; AXES] };
        let mut gate = Gate::without_gestures(axes, [1.0; AXES]);
        hands.iter().for_each(|hands| gate.add(hands));
        let away = |axis: usize, distance: f32| {
            let mut hand = [0.0; AXES];
            hand[axis] = distance;
            gate.ratios(&hand)
        };
        let [along, across] = [away(0, 30.0), away(7, 30.0)];
        assert!(along[1] < 0.7 && along[0] > 4.0, "{along:?}");
        assert!(across[1] > 4.0 && across[0] > 4.0, "{across:?}");
        assert!(away(0, 300.0)[1] > 1.0, "a motion reaches without end");
        for (gesture, hands) in hands.iter().enumerate() {
            let near = hands.iter().filter(|hand| gate.ratios(hand)[gesture] < 1.0).count();
            assert!(near > 295, "{near} of 300");
        }
    }
}
