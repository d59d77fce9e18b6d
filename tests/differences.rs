//! Shared code for comparing gradients with central differences.

use glam::DVec3;
use splat_core::{GaussianCloud, Pose};

use crate::fixtures::Rng;

/// Step of the central differences: f64 leaves nine correct digits.
pub(crate) const STEP: f64 = 1e-6;
/// Pixels that come this near to a jump of the picture are left out.
pub(crate) const CLEAR_OF_JUMPS: f64 = 3e-4;

/// Every entry within 1e-4 of its own size and `of_largest` of the largest; and there must be something to compare.
pub(crate) fn assert_gradients(what: &str, ours: &[f64], expected: &[f64], of_largest: f64) {
    assert_eq!(ours.len(), expected.len(), "{what}: different sizes");
    let largest = expected.iter().fold(0.0_f64, |max, value| max.max(value.abs()));
    assert!(largest > 1e-3, "{what}: nothing moves the loss, so the fixture tests nothing");
    for (index, (ours, expected)) in ours.iter().zip(expected).enumerate() {
        let allowed = 1e-4 * expected.abs() + of_largest * largest;
        assert!(
            (ours - expected).abs() <= allowed,
            "{what}[{index}]: {ours} on the GPU, {expected} by differences, largest {largest}"
        );
    }
}

/// A scene put together Gaussian by Gaussian, in a camera's coordinates, and weights of its picture; a seed decides.
pub(crate) struct Sowing {
    pub(crate) cloud: GaussianCloud,
    rng: Rng,
    world_from_cam: Pose,
}

impl Sowing {
    pub(crate) fn new(seed: u64, cam_from_world: Pose, sh_degree: u32) -> Self {
        let cloud = GaussianCloud { sh_degree, ..GaussianCloud::default() };
        Self { cloud, rng: Rng(seed), world_from_cam: cam_from_world.inverse() }
    }

    /// One Gaussian, its scales within e^0.5 of `log_scale`.
    pub(crate) fn add(&mut self, cam: [f64; 3], log_scale: f64, logit: f64, dc: [f32; 3]) {
        let (cloud, rng) = (&mut self.cloud, &mut self.rng);
        let mean = self.world_from_cam.transform_point(DVec3::from_array(cam));
        cloud.means.push(mean.as_vec3().to_array());
        cloud.quats.push(rng.vector(-1.0, 1.0));
        cloud.log_scales.push(rng.vector(log_scale - 0.5, log_scale + 0.5));
        cloud.opacity_logits.push(logit as f32);
        cloud.sh_coeffs.push(dc);
        for _ in 1..(cloud.sh_degree + 1).pow(2) {
            cloud.sh_coeffs.push(rng.vector(-0.15, 0.15));
        }
    }

    /// So many at several depths; the last one's alpha is capped around its centre.
    pub(crate) fn scattered(&mut self, count: u32, capped_log_scale: f64) {
        for i in 0..count {
            let depth = 2.0 + 0.4 * f64::from(i);
            let cam = [self.rng.range(-0.8, 0.8), self.rng.range(-0.5, 0.5), depth];
            let (log_scale, logit) =
                if i + 1 == count { (capped_log_scale, 8.0) } else { (-1.8, self.rng.range(-1.5, 1.5)) };
            let dc = self.rng.vector(-0.3, 1.0);
            self.add(cam, log_scale, logit, dc);
        }
    }

    /// Opaque enough for pixels to end before the last.
    pub(crate) fn three_in_a_row(&mut self, log_scale: f64) {
        for depth in [1.5, 1.6, 1.7] {
            let dc = self.rng.vector(-0.3, 1.0);
            self.add([-0.2, 0.1, depth], log_scale, 4.0, dc);
        }
    }

    /// A channel clamped at 0 from every side.
    pub(crate) fn clamped(&mut self) {
        self.add([0.3, 0.2, 1.9], -2.0, 0.0, [-4.0, 0.5, 0.2]);
    }

    /// Rounded to f32, so that the GPU gets the same.
    pub(crate) fn weights(&mut self, count: usize) -> Vec<f64> {
        (0..count).map(|_| f64::from(self.rng.range(-1.0, 1.0) as f32)).collect()
    }
}
