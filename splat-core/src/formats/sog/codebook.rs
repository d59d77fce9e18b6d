//! Codebooks of 256 values for quantization, by least squares.

use rayon::prelude::*;

const ENTRIES: usize = 256;
/// Iterations of Lloyd's algorithm; each costs 256 binary searches in the sorted values.
const ROUNDS: usize = 40;

/// Ascending values, indexed by byte.
pub(super) struct Codebook(pub(super) Vec<f32>);

impl Codebook {
    /// Fits a codebook to finite values by Lloyd's algorithm (k-means in one dimension) on the sorted values: cells are
    /// intervals, whose means follow from prefix sums.
    pub(super) fn fit(mut values: Vec<f32>) -> Self {
        values.par_sort_unstable_by(f32::total_cmp);
        if values.is_empty() {
            return Self(vec![0.0; ENTRIES]);
        }
        let mut sums = Vec::with_capacity(values.len() + 1);
        let mut sum = 0.0_f64;
        sums.push(sum);
        sums.extend(values.iter().map(|&value| {
            sum += f64::from(value);
            sum
        }));
        // Initialized half by rank and half by value, so that both the dense middle and the sparse tails have entries.
        let (low, high) = (values[0], values[values.len() - 1]);
        let mut entries: Vec<f32> = (0..ENTRIES)
            .map(|index| {
                let fraction = (index / 2) as f32 / (ENTRIES / 2 - 1) as f32;
                let rank = (fraction * (values.len() - 1) as f32) as usize;
                if index % 2 == 0 {
                    values[rank.min(values.len() - 1)]
                } else {
                    low + (high - low) * fraction
                }
            })
            .collect();
        entries.sort_unstable_by(f32::total_cmp);
        for _ in 0..ROUNDS {
            let mut start = 0;
            let old = entries.clone();
            for index in 0..ENTRIES {
                let end = match old.get(index + 1) {
                    Some(next) => values.partition_point(|value| *value < f32::midpoint(old[index], *next)),
                    None => values.len(),
                };
                if end > start {
                    entries[index] = ((sums[end] - sums[start]) / (end - start) as f64) as f32;
                }
                start = end.max(start);
            }
            entries.sort_unstable_by(f32::total_cmp);
            if entries == old {
                break;
            }
        }
        Self(entries)
    }

    /// Index of the nearest entry.
    pub(super) fn index(&self, value: f32) -> u8 {
        let above = self.0.partition_point(|entry| *entry < value).min(ENTRIES - 1);
        let below = above.saturating_sub(1);
        let nearest =
            if (self.0[above] - value).abs() < (self.0[below] - value).abs() { above } else { below };
        nearest as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_numbers_are_exact_and_many_are_near() {
        let few: Vec<f32> = (0..100).map(|i| (i as f32 * 0.7).sin()).collect();
        let codebook = Codebook::fit(few.clone());
        for value in few {
            assert!((codebook.0[usize::from(codebook.index(value))] - value).abs() < 0.008);
        }
        let many: Vec<f32> = (0..100_000).map(|i| (i as f32 * 0.37).sin() * 4.0).collect();
        let codebook = Codebook::fit(many.clone());
        let error = |value: f32| f64::from(codebook.0[usize::from(codebook.index(value))] - value).powi(2);
        let rms = (many.iter().map(|value| error(*value)).sum::<f64>() / 1e5).sqrt();
        // Uniform steps would give 8 / 256 / sqrt 12.
        assert!(rms < 0.0091, "{rms}");
        assert_eq!(Codebook::fit(vec![]).0.len(), ENTRIES);
        assert_eq!(Codebook::fit(vec![2.5; 9]).0[usize::from(Codebook::fit(vec![2.5; 9]).index(2.5))], 2.5);
    }
}
