//! The axes in whose space distances between hands are measured.
//!
//! Among synthetic hands, repeated views of the same pose (turned, with other bone lengths, fingers moved slightly, closed fingers
//! bent in other joints, with a detector's noise) vary along all features, and different poses vary much more along some of them.
//! The [`AXES`] directions with the greatest ratio (the generalised eigenvectors of linear discriminant analysis, Rao 1948, with each
//! pose as a class) are kept, in units of the variation within a pose: squared distances are Mahalanobis distances with one covariance for all hands.
//! The axes are the same for every model of a layout, so adding a gesture does not move existing ones.
//!
//! Landmarks without depth have their own axes: without depth no feature compensates for a change of viewpoint, so the synthetic
//! views of a pose differ in viewpoint by as much as people's hands do.

use std::sync::OnceLock;

use crate::augment::{Variation, other_pose, vary};
use crate::dense::Dense;
use crate::features::{FEATURES, UPRIGHT, features};
use crate::frame::{Frame, Layout};
use crate::hand::{Person, Pose, View, joints, observe};
use crate::linear::{Matrix, add_outer, cholesky, eigen, inverse};
use crate::random::Random;
use crate::rounded::{of_step, step};

/// Number of axes.
pub(crate) const AXES: usize = 28;
/// Number of synthetic poses.
const POSES: usize = 3000;
/// The same for landmarks without depth.
const FLAT_POSES: usize = 1500;
/// Number of views of each pose.
const VIEWS: usize = 4;
/// Share of the variation within a pose that is assumed proportional to a feature's variance among all hands, because synthetic
/// hands never vary in all the ways that recordings do.
const SHRINKAGE: f64 = 0.4;
/// The same for landmarks without depth, but equal for all features. With a proportional share, unknown hands of other authors
/// are rejected less reliably.
const FLAT_SHRINKAGE: f64 = 0.5;
/// Variation of the views of one pose without depth.
const FLAT_VIEW: View = View { turns: [0.9, 0.455, 0.42], lean: 0.35, noise: 0.002 };

/// Coordinates of a hand on the axes.
pub(crate) type Place = [f32; AXES];

/// Linear map from features to axes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Axes {
    /// From [`UPRIGHT`] features to [`AXES`], up to each axis's unit. The weights are rounded to multiples that fit into a byte.
    pub(crate) layer: Dense,
    /// Factor of each axis after that.
    pub(crate) units: Place,
    /// Whether these are the axes of landmarks without depth.
    pub(crate) flat: bool,
}

impl Axes {
    /// The axes of a layout, or of landmarks in two dimensions, computed once.
    pub(crate) fn of(layout: Layout, flat: bool) -> &'static Self {
        static WORLD: OnceLock<Axes> = OnceLock::new();
        static IMAGE: OnceLock<Axes> = OnceLock::new();
        static FLAT: OnceLock<Axes> = OnceLock::new();
        let made = match (flat, layout) {
            (true, _) => &FLAT,
            (false, Layout::World) => &WORLD,
            (false, Layout::Image) => &IMAGE,
        };
        made.get_or_init(|| {
            let mut random = Random::new(1, 0xA8E5);
            let of_frame = |frame: &Frame| upright(&features(frame, flat));
            let count = if flat { FLAT_POSES } else { POSES };
            let poses: Vec<Vec<Features>> = (0..count)
                .map(|_| {
                    if flat {
                        let joints = joints(&Pose::any(&mut random), &Person::any(&mut random));
                        let mut view = |_| {
                            let seen = observe(&joints, &FLAT_VIEW, &mut random);
                            of_frame(&vary(&seen, &Variation::APART_FLAT, &mut random).flattened())
                        };
                        return (0..VIEWS).map(&mut view).collect();
                    }
                    let hands = other_pose(layout, VIEWS, &mut random);
                    hands.iter().map(|hand| of_frame(&vary(hand, &Variation::APART, &mut random))).collect()
                })
                .collect();
            Self::between(&poses, flat)
        })
    }

    /// Coordinates of the hand with these features.
    pub(crate) fn place(&self, x: &[f32; FEATURES]) -> Place {
        let mut place = [0.0; AXES];
        self.layer.forward(&x[..UPRIGHT], &mut place);
        place.iter_mut().zip(self.units).for_each(|(value, unit)| *value *= unit);
        place
    }

    /// The axes along which these poses differ, given at least two views of each. Coordinates are centred on the mean of all.
    fn between(poses: &[Vec<Features>], flat: bool) -> Self {
        let mut within = vec![[0.0; UPRIGHT]; UPRIGHT];
        let mut total = within.clone();
        let centres: Vec<Features> = poses.iter().map(|views| mean(views)).collect();
        for (views, centre) in poses.iter().zip(&centres) {
            let weight = 1.0 / (poses.len() * (views.len() - 1)) as f64;
            for view in views {
                add_outer(&mut within, &std::array::from_fn(|i| view[i] - centre[i]), weight);
            }
        }
        let middle = mean(&centres);
        for centre in &centres {
            let weight = 1.0 / centres.len() as f64;
            add_outer(&mut total, &std::array::from_fn(|i| centre[i] - middle[i]), weight);
        }
        let trace = |matrix: &[Features]| matrix.iter().enumerate().map(|(i, row)| row[i]).sum::<f64>();
        let shrinkage = if flat { FLAT_SHRINKAGE } else { SHRINKAGE };
        let equal = shrinkage * trace(&within) / UPRIGHT as f64;
        let share = shrinkage * trace(&within) / trace(&total).max(f64::MIN_POSITIVE);
        for (i, row) in within.iter_mut().enumerate() {
            row.iter_mut().for_each(|value| *value *= 1.0 - shrinkage);
            row[i] += if flat { equal } else { share * total[i][i] } + 1e-9;
        }
        // Whitened by `within`, the total's eigenvectors are the directions looked for: V^T L^-1 with L L^T = within.
        let whiten = inverse(&cholesky(&within));
        let half: Matrix<UPRIGHT> = whiten.iter().map(|row| product(row, &total)).collect();
        let dot = |a: &Features, b: &Features| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let whitened: Matrix<UPRIGHT> =
            half.iter().map(|row| std::array::from_fn(|j| dot(row, &whiten[j]))).collect();
        let rows: Vec<Features> =
            eigen(&whitened).iter().take(AXES).map(|(_, vector)| product(vector, &whiten)).collect();
        let units: [f64; AXES] = std::array::from_fn(|axis| {
            rows[axis].iter().fold(1e-9, |most: f64, value| most.max(value.abs()))
        });
        let weight =
            |index: usize| of_step(step((rows[index % AXES][index / AXES] / units[index % AXES]) as f32));
        let weights: Vec<f32> = (0..UPRIGHT * AXES).map(weight).collect();
        let mut bias = vec![0.0; AXES];
        for (value, row) in middle.iter().zip(weights.chunks_exact(AXES)) {
            bias.iter_mut().zip(row).for_each(|(bias, weight)| *bias -= *value as f32 * weight);
        }
        let layer = Dense { inputs: UPRIGHT, outputs: AXES, weights, bias };
        Self { layer, units: units.map(|unit| unit as f32), flat }
    }
}

type Features = [f64; UPRIGHT];

fn upright(x: &[f32; FEATURES]) -> Features {
    std::array::from_fn(|i| f64::from(x[i]))
}

fn mean(samples: &[Features]) -> Features {
    std::array::from_fn(|i| samples.iter().map(|x| x[i]).sum::<f64>() / samples.len() as f64)
}

/// Row times matrix.
fn product(row: &Features, matrix: &[Features]) -> Features {
    let mut out = [0.0; UPRIGHT];
    for (factor, row) in row.iter().zip(matrix) {
        out.iter_mut().zip(row).for_each(|(out, value)| *out += factor * value);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_where_poses_differ_in_units_of_what_a_pose_varies() {
        let mut random = Random::new(1, 1);
        // Poses differ along the first AXES features only; views of one vary along all, by an uneven measure.
        let mut normal = || f64::from(random.normal());
        let own = |i: usize| 0.1 + 0.01 * i as f64;
        let poses: Vec<Vec<Features>> = (0..1000)
            .map(|_| {
                let pose: Features = std::array::from_fn(|i| if i < AXES { 3.0 * normal() } else { 0.0 });
                (0..4).map(|_| std::array::from_fn(|i| pose[i] + own(i) * normal())).collect()
            })
            .collect();
        let axes = Axes::between(&poses, false);
        assert!(axes.layer.is_rounded());
        let square = |place: Place| place.iter().map(|value| value * value).sum::<f32>() / AXES as f32;
        let place =
            |x: &Features| axes.place(&std::array::from_fn(|i| x.get(i).map_or(0.0, |value| *value as f32)));
        let mut within = 0.0;
        for views in &poses {
            let [a, b] = [place(&views[0]), place(&views[1])];
            within += 0.5 * square(std::array::from_fn(|axis| a[axis] - b[axis])) / poses.len() as f32;
        }
        // Less than one: some of what poses differ by is taken to be within a pose.
        assert!((0.03..1.0).contains(&within), "{within}");
        // A hand that differs where poses differ is far away, one that differs elsewhere is not.
        let moved = |from: usize, to: usize| {
            let moved = std::array::from_fn(|i| if (from..to).contains(&i) { 1.0 } else { 0.0 });
            let [a, b] = [place(&moved), place(&[0.0; UPRIGHT])];
            square(std::array::from_fn(|axis| a[axis] - b[axis]))
        };
        let (along, elsewhere) = (moved(0, AXES), moved(AXES, 2 * AXES));
        assert!(along > 5.0 * elsewhere, "{along} {elsewhere}");
    }
}
