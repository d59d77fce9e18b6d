//! The first Gaussians: one per point of the sparse reconstruction.

use glam::DVec3;

use super::nearest::mean_distance_to_nearest;
use super::{GaussianCloud, SH_C0};
use crate::random::Random;
use crate::scene::{Scene, SeedPoint};

/// Fewer points than this say too little about where the scene is.
const MIN_SEED_POINTS: usize = 50;
/// Standard deviation of a Gaussian without a neighbour, in world units.
const ALONE_SCALE: f64 = 0.1;
/// Scales are at least this part of the median one: points on one spot would make infinitely small ones.
const MIN_SCALE_OF_MEDIAN: f64 = 1e-3;

/// How [`GaussianCloud::from_seed_points`] begins.
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
    /// Each is round: its standard deviation is `options.scale` times the mean distance to the three
    /// nearest other points, at least 1/1000 of the median over all points (duplicates). Rotations are
    /// the identity, colours the points'.
    #[must_use]
    pub fn from_seed_points(points: &[SeedPoint], options: &SeedOptions) -> Self {
        let points: Vec<&SeedPoint> = points.iter().filter(|point| is_finite(point)).collect();
        let means: Vec<[f32; 3]> = points.iter().map(|point| point.position).collect();
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

/// The scene's points, or, where there are fewer than 50, those and random ones, `count` in all.
///
/// Random points lie in what the cameras see: of each camera in turn, at a random pixel, between 0.1
/// and 3 times the radius of the cameras from it (between half and twice the depth of its nearest and
/// farthest point, where the scene has points before it). Their colours are random. The same `seed`
/// gives the same points.
#[must_use]
pub fn seed_points_or_random(scene: &Scene, count: usize, seed: u64) -> Vec<SeedPoint> {
    const PURPOSE: u64 = 0x7365_6564; // "seed"
    let mut points: Vec<SeedPoint> = scene.points.iter().copied().filter(is_finite).collect();
    if points.len() >= MIN_SEED_POINTS || scene.views.is_empty() {
        return points;
    }
    let depths: Vec<(f64, f64)> = depth_ranges(scene, &points);
    let mut random = Random::new(seed, PURPOSE, 0);
    // Views whose lens has no ray there give no point; the bound ends the search among such views.
    for attempt in 0..count.saturating_mul(4) {
        if points.len() >= count {
            break;
        }
        let view = &scene.views[attempt % scene.views.len()];
        let (near, far) = depths[attempt % scene.views.len()];
        let (u, v, t) = (random.uniform(), random.uniform(), random.uniform());
        let rgb = std::array::from_fn(|_| (random.uniform() * 256.0) as u8);
        let pixel = glam::DVec2::new(u * f64::from(view.lens.width), v * f64::from(view.lens.height));
        let Some(ray) = view.lens.unproject(pixel) else { continue };
        let world = view.cam_from_world.inverse().transform_point(ray * (near + t * (far - near)));
        let point = SeedPoint { position: world.as_vec3().to_array(), rgb };
        if is_finite(&point) {
            points.push(point);
        }
    }
    points
}

/// At most `most` of the points: a random choice that `seed` fixes, in the points' order.
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

/// Nearest and farthest distance for random points, of each view.
fn depth_ranges(scene: &Scene, points: &[SeedPoint]) -> Vec<(f64, f64)> {
    let centres: Vec<DVec3> = scene.views.iter().map(|view| view.cam_from_world.centre()).collect();
    let mean = centres.iter().sum::<DVec3>() / centres.len().max(1) as f64;
    let radius = centres.iter().map(|centre| centre.distance(mean)).fold(0.0, f64::max);
    let radius = if radius > 1e-9 { radius } else { 1.0 };
    let range = |view: &crate::View| {
        let depth = |point: &SeedPoint| {
            let camera =
                view.cam_from_world.transform_point(DVec3::from_array(point.position.map(f64::from)));
            (camera.z > 0.0).then(|| camera.length())
        };
        let depths = points.iter().filter_map(depth);
        let (near, far) =
            depths.fold((f64::MAX, 0.0), |(near, far), d| (f64::min(near, d), f64::max(far, d)));
        if far > 0.0 { (0.5 * near, 2.0 * far) } else { (0.1 * radius, 3.0 * radius) }
    };
    scene.views.iter().map(range).collect()
}

fn is_finite(point: &SeedPoint) -> bool {
    point.position.iter().all(|v| v.is_finite())
}

fn logit(opacity: f32) -> f32 {
    let opacity = opacity.clamp(1e-6, 1.0 - 1e-6);
    (opacity / (1.0 - opacity)).ln()
}
