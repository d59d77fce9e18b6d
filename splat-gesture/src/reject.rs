//! What is none of the gestures: distance from each gesture's own place in the embedding.
//!
//! The embedding is whitened by what the gestures scatter within themselves (a Mahalanobis distance with one covariance
//! for all, Lee et al. 2018). A gesture that is made in motion scatters far in a few directions of its own, and one held
//! still next to it must not be given that room: of each gesture the [`MOTIONS`] directions in which it scatters most
//! are measured in its own units (probabilistic principal components, Tipping and Bishop 1999). The squared distance is
//! divided by the reach of the gesture's own frames, and a prediction counts as far as its gesture is near:
//! `score = softmax * sigmoid(STEEPNESS * (1 - distance / reach))`. Where the distance equals the reach, the score is
//! half of what it was, and clients take less than 0.5 for "none".

use crate::linear::{Matrix, cholesky, eigen, inverse};
use crate::network::{Dense, EMBEDDING};
use crate::rounded::{of_step, step};

/// How sharply the score falls at the reach; gentle enough that runtimes agree to 1e-5.
pub(crate) const STEEPNESS: f32 = 12.0;
/// Directions in which a gesture has a scatter of its own.
pub(crate) const MOTIONS: usize = 6;
/// Share of each direction's mean variance added to the covariance, so that 100 near-equal frames do not make a needle.
const SHRINKAGE: f64 = 0.1;
/// The same for the scatter of a single gesture, of which there are fewer frames.
const OWN_SHRINKAGE: f64 = 0.3;
/// However far a gesture moves, so much of the distance along a motion counts as elsewhere: none reaches without end.
const LEAST_COUNTED: f64 = 0.05;
/// Share of its own varied frames that a gesture's reach takes in.
const REACH_QUANTILE: f64 = 0.97;
/// The reach is so much wider than that: another day differs more than another moment.
const REACH_MARGIN: f64 = 3.25;

/// Where each gesture lies in the whitened embedding, and how far it reaches: `distance / reach` of gesture g is
/// `nearness[g] |z - centres[g]|^2 - sum over k of rooms[g][k] (directions[g][k] (z - centres[g]))^2`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Gate {
    /// `[gestures][EMBEDDING]`, whitened.
    pub(crate) centres: Vec<[f32; EMBEDDING]>,
    /// Distance over reach, 1 away from the centre along any direction but a gesture's own.
    pub(crate) nearness: Vec<f32>,
    /// Each gesture's own directions, of length 1 before they were rounded to what a byte a number holds.
    pub(crate) directions: Vec<[[f32; EMBEDDING]; MOTIONS]>,
    /// How much to take back along each of them.
    pub(crate) rooms: Vec<[f32; MOTIONS]>,
}

fn dot(a: &[f32; EMBEDDING], b: &[f32; EMBEDDING]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

impl Gate {
    /// The gate around whitened embeddings, which come with their gestures; `centres` are the gestures' means.
    pub(crate) fn fit(embeddings: &[([f32; EMBEDDING], usize)], centres: Vec<[f32; EMBEDDING]>) -> Self {
        let mut gate = Self { nearness: Vec::new(), directions: Vec::new(), rooms: Vec::new(), centres };
        for (gesture, centre) in gate.centres.iter().enumerate() {
            let own = embeddings.iter().filter(|(_, of)| *of == gesture);
            let offsets: Vec<[f32; EMBEDDING]> =
                own.map(|(z, _)| std::array::from_fn(|axis| z[axis] - centre[axis])).collect();
            let mut scatter = vec![[0.0; EMBEDDING]; EMBEDDING];
            for offset in &offsets {
                add_outer(&mut scatter, &offset.map(f64::from), 1.0 / offsets.len() as f64);
            }
            shrink(&mut scatter, OWN_SHRINKAGE);
            let pairs = eigen(&scatter);
            let (own, rest) = pairs.split_at(MOTIONS);
            let common: f64 = rest.iter().map(|(value, _)| value).sum::<f64>() / rest.len() as f64;
            let excess = |value: f64| (1.0 - common / value).clamp(0.0, 1.0 - LEAST_COUNTED) / common;
            let distance = |offset: &[f32; EMBEDDING]| -> f64 {
                let along = |(value, vector): &(f64, [f64; EMBEDDING])| {
                    let length: f64 = vector.iter().zip(offset).map(|(a, b)| a * f64::from(*b)).sum();
                    excess(*value) * length * length
                };
                f64::from(dot(offset, offset)) / common - own.iter().map(along).sum::<f64>()
            };
            let mut distances: Vec<f64> = offsets.iter().map(distance).collect();
            distances.sort_by(f64::total_cmp);
            let at = (distances.len() as f64 * REACH_QUANTILE) as usize;
            let reach = REACH_MARGIN * distances.get(at).copied().unwrap_or(1.0).max(1e-6);
            gate.nearness.push((1.0 / (common * reach)) as f32);
            let directions: [_; MOTIONS] =
                std::array::from_fn(|k| own[k].1.map(|component| of_step(step(component as f32))));
            gate.rooms.push(std::array::from_fn(|k| {
                let length2 = f64::from(dot(&directions[k], &directions[k]));
                (excess(own[k].0) / (reach * length2)) as f32
            }));
            gate.directions.push(directions);
        }
        gate
    }

    /// Distance over reach, of each gesture.
    pub(crate) fn ratios(&self, z: &[f32; EMBEDDING]) -> Vec<f32> {
        let mut ratios = Vec::with_capacity(self.centres.len());
        let motions = self.directions.iter().zip(&self.rooms);
        for ((centre, nearness), (directions, rooms)) in self.centres.iter().zip(&self.nearness).zip(motions)
        {
            let offset = std::array::from_fn(|axis| z[axis] - centre[axis]);
            let mut taken = 0.0;
            for (direction, room) in directions.iter().zip(rooms) {
                taken += room * dot(direction, &offset).powi(2);
            }
            ratios.push(nearness * dot(&offset, &offset) - taken);
        }
        ratios
    }

    /// Factor on each gesture's probability, 0..1.
    pub(crate) fn factors(&self, z: &[f32; EMBEDDING]) -> Vec<f32> {
        let factor = |ratio: f32| 1.0 / (1.0 + (-STEEPNESS * (1.0 - ratio)).exp());
        self.ratios(z).into_iter().map(factor).collect()
    }

    pub(crate) fn remove(&mut self, gesture: usize) {
        self.centres.remove(gesture);
        self.nearness.remove(gesture);
        self.directions.remove(gesture);
        self.rooms.remove(gesture);
    }
}

/// Adds `weight` x x^T.
fn add_outer(matrix: &mut Matrix<EMBEDDING>, x: &[f64; EMBEDDING], weight: f64) {
    for (row, a) in matrix.iter_mut().zip(x) {
        for (sum, b) in row.iter_mut().zip(x) {
            *sum += weight * a * b;
        }
    }
}

/// Moves a covariance by `share` towards a round one of the same trace.
fn shrink(covariance: &mut Matrix<EMBEDDING>, share: f64) {
    let trace: f64 = covariance.iter().enumerate().map(|(i, row)| row[i]).sum();
    for (i, row) in covariance.iter_mut().enumerate() {
        row.iter_mut().for_each(|value| *value *= 1.0 - share);
        row[i] += share * trace / EMBEDDING as f64 + 1e-9;
    }
}

/// The map that makes the scatter of `embeddings` (with their gestures) about their gestures' means round, and those
/// means before it: `whitened = map z`. Gestures count alike, however many samples they have.
pub(crate) fn whitening(embeddings: &[([f32; EMBEDDING], usize)], gestures: usize) -> Whitening {
    let mut means = vec![[0.0_f64; EMBEDDING]; gestures];
    let mut counts = vec![0.0_f64; gestures];
    for (z, gesture) in embeddings {
        counts[*gesture] += 1.0;
        for (sum, value) in means[*gesture].iter_mut().zip(z) {
            *sum += f64::from(*value);
        }
    }
    for (mean, count) in means.iter_mut().zip(&counts) {
        mean.iter_mut().for_each(|value| *value /= count.max(1.0));
    }
    let mut covariance = vec![[0.0_f64; EMBEDDING]; EMBEDDING];
    for (z, gesture) in embeddings {
        let weight = 1.0 / (counts[*gesture].max(1.0) * gestures as f64);
        let mut offset = [0.0; EMBEDDING];
        for (offset, (value, mean)) in offset.iter_mut().zip(z.iter().zip(&means[*gesture])) {
            *offset = f64::from(*value) - mean;
        }
        add_outer(&mut covariance, &offset, weight);
    }
    shrink(&mut covariance, SHRINKAGE);
    let lower = cholesky(&covariance);
    Whitening { means, map: inverse(&lower), back: lower }
}

/// A whitening map and the gestures' means before it.
#[derive(Debug)]
pub(crate) struct Whitening {
    pub(crate) means: Vec<[f64; EMBEDDING]>,
    /// Lower triangular, by rows.
    map: Matrix<EMBEDDING>,
    /// Its inverse.
    back: Matrix<EMBEDDING>,
}

impl Whitening {
    pub(crate) fn apply(&self, z: &[f64; EMBEDDING]) -> [f32; EMBEDDING] {
        let mut out = [0.0; EMBEDDING];
        for (value, row) in out.iter_mut().zip(&self.map) {
            *value = row.iter().zip(z).map(|(a, b)| a * b).sum::<f64>() as f32;
        }
        out
    }

    /// `embed` followed by this map, as one layer.
    pub(crate) fn fold(&self, embed: &Dense) -> Dense {
        let mut folded = embed.clone();
        let rows = folded.weights.chunks_exact_mut(EMBEDDING).chain(std::iter::once(&mut folded.bias[..]));
        for row in rows {
            let mut z = [0.0; EMBEDDING];
            for (value, weight) in z.iter_mut().zip(row.iter()) {
                *value = f64::from(*weight);
            }
            row.copy_from_slice(&self.apply(&z));
        }
        folded
    }

    /// `head` for whitened embeddings.
    pub(crate) fn unfold(&self, head: &Dense) -> Dense {
        let mut unfolded = head.clone();
        for (j, row) in unfolded.weights.chunks_exact_mut(head.outputs).enumerate() {
            for (o, value) in row.iter_mut().enumerate() {
                let column = self.back.iter().zip(head.weights.chunks_exact(head.outputs));
                *value = column.map(|(back, weights)| back[j] * f64::from(weights[o])).sum::<f64>() as f32;
            }
        }
        unfolded
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn whitened_scatter_is_round() {
        let mut random = Random::new(1, 1);
        let mut samples = Vec::new();
        for index in 0..4000 {
            let mut z = [0.0; EMBEDDING];
            let common = random.normal();
            for (axis, value) in z.iter_mut().enumerate() {
                *value = 0.3 * axis as f32 * random.normal() + common + (index % 2) as f32 * 5.0;
            }
            samples.push((z, index % 2));
        }
        let whitening = whitening(&samples, 2);
        let mut total = 0.0;
        for (z, gesture) in &samples {
            let centre = whitening.apply(&whitening.means[*gesture]);
            let z = whitening.apply(&z.map(f64::from));
            total += z.iter().zip(&centre).map(|(a, b)| (a - b).powi(2)).sum::<f32>();
        }
        // Shrinkage takes its share from the expected EMBEDDING.
        let mean = total / samples.len() as f32;
        assert!((EMBEDDING as f32 * 0.6..EMBEDDING as f32 * 1.1).contains(&mean), "{mean}");
    }

    /// Two gestures of the same place and the same own scatter but for one that moves far along the first axis.
    #[test]
    fn a_motion_reaches_far_along_itself_and_nowhere_else() {
        let mut random = Random::new(2, 9);
        let mut samples = Vec::new();
        for index in 0..600 {
            let mut z = [(); EMBEDDING].map(|()| random.normal());
            if index % 2 == 1 {
                z[0] *= 5.0;
            }
            samples.push((z, index % 2));
        }
        let gate = Gate::fit(&samples, vec![[0.0; EMBEDDING]; 2]);
        let away = |axis: usize, distance: f32| {
            let mut z = [0.0; EMBEDDING];
            z[axis] = distance;
            gate.ratios(&z)
        };
        let [along, across] = [away(0, 30.0), away(7, 30.0)];
        assert!(along[1] < 0.7 && along[0] > 4.0, "{along:?}");
        assert!(across[1] > 4.0 && across[0] > 4.0, "{across:?}");
        assert!(away(0, 300.0)[1] > 1.0, "a motion reaches without end");
        let near = samples.iter().filter(|(z, gesture)| gate.ratios(z)[*gesture] < 1.0).count();
        assert!(near > 590, "{near} of 600");
    }
}
