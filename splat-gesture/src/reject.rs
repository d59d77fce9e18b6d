//! What is none of the gestures: distance from each gesture's own place in the embedding.
//!
//! The embedding is whitened by what the gestures scatter within themselves (a Mahalanobis distance with one covariance
//! for all, Lee et al. 2018), each gesture's squared distance is divided by the reach of its own frames, and a
//! prediction counts as far as its gesture is near: `score = softmax * sigmoid(STEEPNESS * (1 - distance / reach))`.
//! Where the distance equals the reach, the score is half of what it was, and clients take less than 0.5 for "none".

use crate::network::{Dense, EMBEDDING};

/// How sharply the score falls at the reach; gentle enough that runtimes agree to 1e-5.
pub(crate) const STEEPNESS: f32 = 12.0;
/// Share of each direction's mean variance added to the covariance, so that 100 near-equal frames do not make a needle.
const SHRINKAGE: f64 = 0.1;

/// Where each gesture lies in the whitened embedding, and how far it reaches.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Gate {
    /// `[gestures][EMBEDDING]`, whitened.
    pub(crate) centres: Vec<[f32; EMBEDDING]>,
    /// Squared distance at which a frame counts as unknown.
    pub(crate) reaches: Vec<f32>,
}

/// The squared distance of a whitened embedding from a centre.
pub(crate) fn distance2(z: &[f32; EMBEDDING], centre: &[f32; EMBEDDING]) -> f32 {
    let mut sum = 0.0;
    for (a, b) in z.iter().zip(centre) {
        let offset = a - b;
        sum += offset * offset;
    }
    sum
}

impl Gate {
    /// Factor on each gesture's probability, 0..1.
    pub(crate) fn factors(&self, z: &[f32; EMBEDDING]) -> Vec<f32> {
        self.centres
            .iter()
            .zip(&self.reaches)
            .map(|(centre, reach)| {
                let nearness = STEEPNESS * (1.0 - distance2(z, centre) / reach);
                1.0 / (1.0 + (-nearness).exp())
            })
            .collect()
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
        for (row, a) in covariance.iter_mut().zip(&offset) {
            for (sum, b) in row.iter_mut().zip(&offset) {
                *sum += weight * a * b;
            }
        }
    }
    let mean_variance: f64 = (0..EMBEDDING).map(|i| covariance[i][i]).sum::<f64>() / EMBEDDING as f64;
    for (i, row) in covariance.iter_mut().enumerate() {
        row.iter_mut().for_each(|value| *value *= 1.0 - SHRINKAGE);
        row[i] += SHRINKAGE * mean_variance + 1e-9;
    }
    let lower = cholesky(&covariance);
    Whitening { means, map: inverse(&lower), back: lower }
}

/// A whitening map and the gestures' means before it.
#[derive(Debug)]
pub(crate) struct Whitening {
    pub(crate) means: Vec<[f64; EMBEDDING]>,
    /// Lower triangular, by rows.
    map: Vec<[f64; EMBEDDING]>,
    /// Its inverse.
    back: Vec<[f64; EMBEDDING]>,
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

/// Lower triangular L with L L^T the symmetric positive matrix given.
fn cholesky(matrix: &[[f64; EMBEDDING]]) -> Vec<[f64; EMBEDDING]> {
    let mut lower = vec![[0.0; EMBEDDING]; EMBEDDING];
    for i in 0..EMBEDDING {
        for j in 0..=i {
            let sum: f64 = (0..j).map(|k| lower[i][k] * lower[j][k]).sum();
            lower[i][j] = if i == j {
                (matrix[i][i] - sum).max(1e-12).sqrt()
            } else {
                (matrix[i][j] - sum) / lower[j][j]
            };
        }
    }
    lower
}

/// Inverse of a lower triangular matrix.
fn inverse(lower: &[[f64; EMBEDDING]]) -> Vec<[f64; EMBEDDING]> {
    let mut inverse: Vec<[f64; EMBEDDING]> = Vec::with_capacity(EMBEDDING);
    for (i, row) in lower.iter().enumerate() {
        let mut next = [0.0; EMBEDDING];
        for (column, value) in next.iter_mut().enumerate().take(i + 1) {
            let unit = if i == column { 1.0 } else { 0.0 };
            let sum: f64 =
                inverse.iter().zip(row).skip(column).map(|(above, factor)| factor * above[column]).sum();
            *value = (unit - sum) / row[i];
        }
        inverse.push(next);
    }
    inverse
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
            total += distance2(&whitening.apply(&z.map(f64::from)), &centre);
        }
        // Shrinkage takes its share from the expected EMBEDDING.
        let mean = total / samples.len() as f32;
        assert!((EMBEDDING as f32 * 0.6..EMBEDDING as f32 * 1.1).contains(&mean), "{mean}");
    }
}
