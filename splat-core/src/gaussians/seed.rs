//! The first Gaussians: one per point of the sparse reconstruction.

use super::nearest::mean_distance_to_nearest;
use super::{GaussianCloud, SH_C0};
use crate::random::Random;
use crate::scene::SeedPoint;

/// Standard deviation of a Gaussian without a neighbour, in world units.
const ALONE_SCALE: f64 = 0.1;
/// Minimum scale relative to the median one: coincident points would have a scale of zero.
const MIN_SCALE_OF_MEDIAN: f64 = 1e-3;

/// Options of [`GaussianCloud::from_seed_points`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SeedOptions {
    /// Degree of the spherical harmonics, 0 to 3; only the constant one is not zero at first.
    pub sh_degree: u32,
    /// Opacity of each Gaussian, between 0 and 1.
    pub opacity: f32,
    /// Standard deviation per mean distance to the three nearest points.
    pub scale: f32,
}

impl Default for SeedOptions {
    /// As in the 3DGS authors' code: opacity 0.1, scale 1.
    fn default() -> Self {
        Self { sh_degree: 3, opacity: 0.1, scale: 1.0 }
    }
}

impl GaussianCloud {
    /// One Gaussian per point, in the points' order; points that are not finite are left out.
    ///
    /// Each is isotropic: its standard deviation is `options.scale` times the mean distance to the three
    /// nearest other points, at least 1/1000 of the median over all points (duplicates). Rotations are
    /// the identity, colours the points'.
    #[must_use]
    pub fn from_seed_points(points: &[SeedPoint], options: &SeedOptions) -> Self {
        let points: Vec<&SeedPoint> = points.iter().filter(|point| is_finite(point)).collect();
        let means: Vec<[f32; 3]> = points.iter().map(|point| point.position.map(|x| x as f32)).collect();
        let distances = mean_distance_to_nearest::<3>(&means);
        let mut known: Vec<f64> = distances.iter().flatten().copied().filter(|&d| d > 0.0).collect();
        known.sort_by(f64::total_cmp);
        let median = known.get(known.len() / 2).copied();
        let floor = median.unwrap_or(ALONE_SCALE) * MIN_SCALE_OF_MEDIAN;
        let log_scale = |distance: Option<f64>| {
            let distance = distance.unwrap_or(ALONE_SCALE).max(floor);
            [(distance * f64::from(options.scale)).max(f64::MIN_POSITIVE).ln() as f32; 3]
        };
        let sh_degree = options.sh_degree.min(3);
        let mut cloud = Self { sh_degree, ..Self::default() };
        let coeffs = cloud.coeffs_per_gaussian();
        cloud.log_scales = distances.into_iter().map(log_scale).collect();
        cloud.quats = vec![[1.0, 0.0, 0.0, 0.0]; means.len()];
        cloud.opacity_logits = vec![logit(options.opacity); means.len()];
        cloud.sh_coeffs = vec![[0.0; 3]; means.len() * coeffs];
        for (first, point) in cloud.sh_coeffs.iter_mut().step_by(coeffs).zip(&points) {
            *first = point.rgb.map(|byte| (f32::from(byte) / 255.0 - 0.5) / SH_C0);
        }
        cloud.means = means;
        cloud
    }
}

/// At most `most` of the points: a random choice determined by `seed`, in the points' order.
pub(crate) fn thinned(points: Vec<SeedPoint>, most: usize, seed: u64) -> Vec<SeedPoint> {
    const PURPOSE: u64 = 0x7468_696e; // "thin"
    if points.len() <= most {
        return points;
    }
    let mut chosen = Random::new(seed, PURPOSE, 0).permutation(points.len());
    chosen.truncate(most);
    chosen.sort_unstable();
    chosen.into_iter().map(|index| points[index]).collect()
}

fn is_finite(point: &SeedPoint) -> bool {
    point.position.iter().all(|&v| (v as f32).is_finite())
}

/// The logit of an opacity, which is clamped to 1e-6 from 0 and 1.
pub(crate) fn logit(opacity: f32) -> f32 {
    let opacity = opacity.clamp(1e-6, 1.0 - 1e-6);
    (opacity / (1.0 - opacity)).ln()
}
