//! Palette of vectors for the harmonics of all Gaussians.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Vectors inside longer rows of numbers, used in place: a copy would be as large as the scene.
pub(super) struct Vectors<'a> {
    pub(super) values: &'a [f32],
    /// Numbers per row.
    pub(super) stride: usize,
    /// Offset of the vector in its row.
    pub(super) offset: usize,
    /// Numbers per vector.
    pub(super) width: usize,
    /// Row index of each vector.
    pub(super) order: &'a [usize],
}

impl Vectors<'_> {
    fn get(&self, index: u32) -> &[f32] {
        &self.values[self.order[index as usize] * self.stride + self.offset..][..self.width]
    }
}

/// A palette `[count, width]`, and the entry of each vector.
pub(super) struct Palette {
    pub(super) entries: Vec<f32>,
    pub(super) labels: Vec<u16>,
}

/// Iterations of the power method for a cell's principal axis.
const POWER_STEPS: usize = 3;

impl Palette {
    /// Fits a palette of at most `most` (65,536) entries.
    ///
    /// Repeatedly, the cell with the largest squared error is split at its mean across its principal axis (principal-direction
    /// divisive partitioning, Boley 1998). The cost grows with the logarithm of the number of entries; for Lloyd's algorithm with
    /// random initialization it grows linearly.
    pub(super) fn fit(vectors: &Vectors<'_>, most: usize) -> Self {
        let (count, width) = (vectors.order.len(), vectors.width);
        let mut indices: Vec<u32> = (0..count as u32).collect();
        let mut cells = vec![Cell::of(vectors, &indices, 0)];
        let mut worst = BinaryHeap::from([cells[0].rank(0)]);
        while cells.len() < most.clamp(1, 1 << 16) {
            let Some((_, Reverse(at))) = worst.pop() else { break };
            let members = &mut indices[cells[at].start..][..cells[at].len];
            // Cells of equal vectors have a small error from rounding.
            if members.len() < 2 || cells[at].error <= 1e-9 * members.len() as f64 {
                continue;
            }
            let middle = halve(vectors, members, &cells[at].mean);
            let start = cells[at].start;
            let (left, right) = members.split_at(middle);
            let (left, right) = (Cell::of(vectors, left, start), Cell::of(vectors, right, start + middle));
            worst.extend([left.rank(at), right.rank(cells.len())]);
            cells[at] = left;
            cells.push(right);
        }
        let mut palette = Self { entries: Vec::with_capacity(cells.len() * width), labels: vec![0; count] };
        for (label, cell) in cells.into_iter().enumerate() {
            palette.entries.extend(cell.mean);
            let members = &indices[cell.start..][..cell.len];
            members.iter().for_each(|index| palette.labels[*index as usize] = label as u16);
        }
        palette
    }
}

/// A range of the list of indices, with mean and summed squared error of its vectors.
struct Cell {
    start: usize,
    len: usize,
    mean: Vec<f32>,
    error: f64,
}

impl Cell {
    fn of(vectors: &Vectors<'_>, indices: &[u32], start: usize) -> Self {
        let (mut sum, mut squares) = (vec![0.0_f64; vectors.width], 0.0);
        for vector in rows(vectors, indices) {
            for (sum, &value) in sum.iter_mut().zip(vector) {
                *sum += f64::from(value);
                squares += f64::from(value) * f64::from(value);
            }
        }
        let count = indices.len().max(1) as f64;
        let error = squares - sum.iter().map(|sum| sum * sum / count).sum::<f64>();
        let mean = sum.into_iter().map(|sum| (sum / count) as f32).collect();
        Self { start, len: indices.len(), mean, error: error.max(0.0) }
    }

    /// Priority in the queue: the largest error first; of equal ones, the cell created first. Non-negative floats compare like
    /// their bits.
    fn rank(&self, at: usize) -> (u64, Reverse<usize>) {
        (self.error.to_bits(), Reverse(at))
    }
}

fn rows<'a>(vectors: &'a Vectors<'_>, indices: &'a [u32]) -> impl Iterator<Item = &'a [f32]> {
    indices.iter().map(move |&index| vectors.get(index))
}

/// Reorders the members of a cell so that those on one side of its mean come first; returns their number, which is neither zero
/// nor all.
fn halve(vectors: &Vectors<'_>, members: &mut [u32], mean: &[f32]) -> usize {
    let axis = principal_axis(vectors, members, mean);
    let mut middle = 0;
    for at in 0..members.len() {
        let vector = vectors.get(members[at]);
        let side: f32 = vector.iter().zip(mean).zip(&axis).map(|((v, m), axis)| (v - m) * axis).sum();
        if side < 0.0 {
            members.swap(at, middle);
            middle += 1;
        }
    }
    if middle == 0 || middle == members.len() { members.len() / 2 } else { middle }
}

/// The direction of largest variance, by the power method on the covariance.
fn principal_axis(vectors: &Vectors<'_>, indices: &[u32], mean: &[f32]) -> Vec<f32> {
    // For a large cell, a sample is sufficient.
    let step = indices.len().div_ceil(1024).max(1);
    // Starts with the vector farthest from the mean, which cannot be orthogonal to the whole spread.
    let distance = |vector: &[f32]| vector.iter().zip(mean).map(|(v, m)| (v - m) * (v - m)).sum::<f32>();
    let sample: Vec<u32> = indices.iter().copied().step_by(step).collect();
    let farthest = rows(vectors, &sample).max_by(|a, b| distance(a).total_cmp(&distance(b)));
    let mut axis: Vec<f32> = farthest
        .map_or_else(|| vec![1.0; vectors.width], |far| far.iter().zip(mean).map(|(v, m)| v - m).collect());
    for _ in 0..POWER_STEPS {
        let mut next = vec![0.0; vectors.width];
        for vector in rows(vectors, &sample) {
            let along: f32 = vector.iter().zip(mean).zip(&axis).map(|((v, m), a)| (v - m) * a).sum();
            for ((next, value), mean) in next.iter_mut().zip(vector).zip(mean) {
                *next += along * (value - mean);
            }
        }
        let length = next.iter().map(|value| value * value).sum::<f32>().sqrt();
        if !(length > 0.0 && length.is_finite()) {
            break;
        }
        axis = next.into_iter().map(|value| value / length).collect();
    }
    axis
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_are_found_and_every_vector_has_its_entry() {
        let width = 9;
        let centre = |cluster: usize, axis: usize| ((cluster * 31 + axis * 7) % 17) as f32;
        let noise = |i: usize, axis: usize| ((i * 13 + axis) as f32).sin() * 0.01;
        let vectors: Vec<f32> = (0..5000)
            .flat_map(|i| (0..width).map(move |axis| centre(i % 12, axis) + noise(i, axis)))
            .collect();
        // Each vector follows an unrelated number, and the order differs from that of the rows.
        let rows: Vec<f32> = vectors.chunks(width).flat_map(|vector| [&[9e9][..], vector].concat()).collect();
        let order: Vec<usize> = (0..5000).rev().collect();
        let within = |order| Vectors { values: &rows, stride: width + 1, offset: 1, width, order };
        let palette = Palette::fit(&within(&order), 64);
        assert!(palette.entries.len() <= 64 * width);
        for (i, &label) in palette.labels.iter().enumerate() {
            for axis in 0..width {
                let got = palette.entries[usize::from(label) * width + axis];
                assert!((got - vectors[order[i] * width + axis]).abs() < 0.05, "{i} {axis}");
            }
        }
        // With as many entries as vectors, each vector has its own.
        let palette = Palette::fit(&within(&order[..40]), 40);
        assert_eq!(palette.entries.len(), 40 * width);
    }
}
