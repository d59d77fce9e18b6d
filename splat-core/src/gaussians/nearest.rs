//! Exact distances to nearest neighbours by a k-d tree built in place. Implemented here because it is a hundred lines, is built
//! in parallel, and supports any number of coincident points.

use rayon::prelude::*;

/// Maximum number of points in a leaf, which are searched linearly.
const LEAF: usize = 12;

/// Mean distance of each point to its `K` nearest others (to all others if there are fewer; `None` for a single point). Coordinates
/// must be finite.
pub(super) fn mean_distance_to_nearest<const K: usize>(points: &[[f32; 3]]) -> Vec<Option<f64>> {
    let mut entries: Vec<Entry> =
        points.iter().enumerate().map(|(index, &position)| Entry { position, index, axis: 0 }).collect();
    arrange(&mut entries);
    points
        .par_iter()
        .enumerate()
        .map(|(index, &position)| {
            let mut query = Query::<K> { position, index, squared: [f64::INFINITY; K] };
            query.search(&entries);
            let found = query.squared.iter().filter(|squared| squared.is_finite());
            let count = found.clone().count();
            (count > 0).then(|| found.map(|squared| squared.sqrt()).sum::<f64>() / count as f64)
        })
        .collect()
}

#[derive(Clone, Copy)]
struct Entry {
    position: [f32; 3],
    index: usize,
    /// Axis along which the halves before and after this entry are split.
    axis: usize,
}

/// Orders entries as an implicit tree: the middle entry splits its range along the widest axis, with smaller coordinates before it and
/// larger ones after it, recursively in both halves.
fn arrange(entries: &mut [Entry]) {
    if entries.len() <= LEAF {
        return;
    }
    let axis = widest_axis(entries);
    let middle = entries.len() / 2;
    entries.select_nth_unstable_by(middle, |a, b| a.position[axis].total_cmp(&b.position[axis]));
    let (below, rest) = entries.split_at_mut(middle);
    if let Some((split, above)) = rest.split_first_mut() {
        split.axis = axis;
        rayon::join(|| arrange(below), || arrange(above));
    }
}

fn widest_axis(entries: &[Entry]) -> usize {
    let width = |axis: usize| {
        let values = entries.iter().map(|entry| f64::from(entry.position[axis]));
        let (low, high) = values.fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(v), high.max(v)));
        high - low
    };
    (1..3).fold(0, |widest, axis| if width(axis) > width(widest) { axis } else { widest })
}

struct Query<const K: usize> {
    position: [f32; 3],
    index: usize,
    /// Squared distances to the nearest found so far, ascending. f64 holds the square of any f32.
    squared: [f64; K],
}

impl<const K: usize> Query<K> {
    fn search(&mut self, entries: &[Entry]) {
        if entries.len() <= LEAF {
            entries.iter().for_each(|entry| self.offer(entry));
            return;
        }
        let (below, rest) = entries.split_at(entries.len() / 2);
        let Some((split, above)) = rest.split_first() else { return };
        self.offer(split);
        let offset = f64::from(self.position[split.axis]) - f64::from(split.position[split.axis]);
        let (near, far) = if offset < 0.0 { (below, above) } else { (above, below) };
        self.search(near);
        if offset * offset < self.squared[K - 1] {
            self.search(far);
        }
    }

    fn offer(&mut self, entry: &Entry) {
        if entry.index == self.index {
            return;
        }
        let axes = self.position.iter().zip(&entry.position);
        let mut squared: f64 = axes.map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum();
        for slot in &mut self.squared {
            if squared < *slot {
                std::mem::swap(&mut squared, slot);
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn agrees_with_brute_force() {
        let mut random = Random::new(3, 0, 0);
        for (count, rounded) in
            [1, 2, 3, 12, 13, 14, 40, 700].into_iter().flat_map(|count| [(count, false), (count, true)])
        {
            // Rounded, many coordinates and some points coincide.
            let mut coordinate = || {
                let value = random.uniform() * 12.0;
                (if rounded { value.round() } else { value }) as f32
            };
            let points: Vec<[f32; 3]> =
                (0..count).map(|_| [coordinate(), coordinate(), coordinate()]).collect();
            let found = mean_distance_to_nearest::<3>(&points);
            for (i, p) in points.iter().enumerate() {
                let others = points.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, q)| q);
                let mut all: Vec<f64> = others
                    .map(|q| {
                        p.iter()
                            .zip(q)
                            .map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2))
                            .sum::<f64>()
                            .sqrt()
                    })
                    .collect();
                all.sort_by(f64::total_cmp);
                all.truncate(3);
                if all.is_empty() {
                    assert_eq!(found[i], None);
                } else {
                    let expected = all.iter().sum::<f64>() / all.len() as f64;
                    assert!((found[i].unwrap() - expected).abs() < 1e-9, "{count}: {i}");
                }
            }
        }
    }
}
