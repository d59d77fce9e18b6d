//! The scene's parameters on the host: a cloud of 3-D Gaussians before activation.

mod edit;
mod nearest;
mod rotation;
mod seed;

pub use rotation::ShRotation;
pub use seed::SeedOptions;
pub(crate) use seed::{logit, thinned};

use glam::DVec3;

use crate::{Error, Result};

/// Coefficients of degree-3 spherical harmonics per colour channel.
pub const MAX_SH_COEFFS: usize = 16;
/// The constant basis function, `1 / (2 sqrt(pi))`.
pub const SH_C0: f32 = 0.282_094_79;

/// An opacity from its logit.
pub(crate) fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}

/// `N` Gaussians, each parameter in its stored (pre-activation) form.
///
/// | field | shape | activation |
/// | --- | --- | --- |
/// | `means` | `[N,3]` world units | none |
/// | `quats` | `[N,4]` w,x,y,z, any length | normalised |
/// | `log_scales` | `[N,3]` ln world units | exp |
/// | `opacity_logits` | `[N]` | sigmoid |
/// | `sh_coeffs` | `[N,K,3]`, `K = (degree + 1)^2` | `max(SH(dir) + 0.5, 0)` |
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GaussianCloud {
    /// Centres, world units.
    pub means: Vec<[f32; 3]>,
    /// Rotations as quaternions w,x,y,z of any length.
    pub quats: Vec<[f32; 4]>,
    /// Natural logarithm of the standard deviations along the rotated axes.
    pub log_scales: Vec<[f32; 3]>,
    /// Logits of the opacities.
    pub opacity_logits: Vec<f32>,
    /// Spherical harmonics, coefficient-major, RGB within a coefficient.
    pub sh_coeffs: Vec<[f32; 3]>,
    /// Degree of the spherical harmonics, 0 to 3.
    pub sh_degree: u32,
}

impl GaussianCloud {
    /// An empty cloud with capacity for `count` Gaussians; growing vectors while filling them would take three times the memory.
    pub(crate) fn with_room(count: usize, sh_degree: u32) -> Self {
        let mut cloud = Self { sh_degree, ..Self::default() };
        cloud.means.reserve_exact(count);
        cloud.quats.reserve_exact(count);
        cloud.log_scales.reserve_exact(count);
        cloud.opacity_logits.reserve_exact(count);
        cloud.sh_coeffs.reserve_exact(count.saturating_mul(cloud.coeffs_per_gaussian()));
        cloud
    }

    /// Number of Gaussians.
    #[must_use]
    pub fn len(&self) -> usize {
        self.means.len()
    }

    /// Whether it has no Gaussians.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.means.is_empty()
    }

    /// Coefficients per Gaussian and channel, `(degree + 1)^2`.
    #[must_use]
    pub fn coeffs_per_gaussian(&self) -> usize {
        (self.sh_degree as usize + 1).pow(2)
    }

    /// Checks that lengths agree and that the degree is 0 to 3. Values are not checked; see [`GaussianCloud::retain_finite`].
    ///
    /// # Errors
    /// [`Error::Cloud`] names the part that does not fit.
    pub fn validate(&self) -> Result<()> {
        if self.sh_degree > 3 {
            return Err(Error::Cloud {
                why: format!("its harmonics have degree {} of at most 3", self.sh_degree),
            });
        }
        let count = self.len();
        let parts = [
            ("quats", self.quats.len(), count),
            ("log_scales", self.log_scales.len(), count),
            ("opacity_logits", self.opacity_logits.len(), count),
            ("sh_coeffs", self.sh_coeffs.len(), count * self.coeffs_per_gaussian()),
        ];
        match parts.into_iter().find(|(_, got, expected)| got != expected) {
            Some((part, got, expected)) => Err(Error::Cloud {
                why: format!("it has {count} means and {got} `{part}` instead of {expected}"),
            }),
            None => Ok(()),
        }
    }

    /// Replaces infinite opacities and scales by the nearest usable values, and returns the number of Gaussians changed. Editors write
    /// them for an opacity of exactly 0 or 1 (logit) and for a size of 0 (ln).
    pub fn clamp_infinite(&mut self) -> usize {
        /// sigmoid(16) is 1 - 1e-7: the last step before 1 in `f32`.
        const LOGIT: f32 = 16.0;
        /// e^20 is 5e8 and e^-20 is 2e-9 world units; what compressed PLYs can hold, too.
        const LOG_SCALE: f32 = 20.0;
        let mut changed = 0;
        for (scales, opacity) in self.log_scales.iter_mut().zip(&mut self.opacity_logits) {
            let infinite = opacity.is_infinite() || scales.iter().any(|scale| scale.is_infinite());
            changed += usize::from(infinite);
            if opacity.is_infinite() {
                *opacity = LOGIT.copysign(*opacity);
            }
            for scale in scales.iter_mut().filter(|scale| scale.is_infinite()) {
                *scale = LOG_SCALE.copysign(*scale);
            }
        }
        changed
    }

    /// An axis-aligned box for framing the scene in a viewer, as its lowest and highest corner: the middle 98 % along each axis of the
    /// Gaussians that are visible and not far behind the scene, so that neither a few floaters nor the sky matter. `None` without
    /// Gaussians.
    #[must_use]
    pub fn framing_bounds(&self) -> Option<[[f64; 3]; 2]> {
        /// Gaussians below an opacity of 5 % are hardly visible.
        const MIN_LOGIT: f32 = -2.944_439;
        /// Gaussians farther from the middle than this many median distances are behind the scene. A trained sky is at ten typical
        /// depths from the cameras, and the middle of the scene at one at most.
        const FAR_BEHIND: f64 = 8.0;
        let seen = |wanted: bool| {
            let both = self.means.iter().zip(&self.opacity_logits);
            both.filter(move |(_, opacity)| !wanted || **opacity >= MIN_LOGIT)
                .map(|(mean, _)| mean.map(f64::from))
        };
        let mut points: Vec<[f64; 3]> = seen(true).collect();
        if points.is_empty() {
            points = seen(false).collect();
        }
        let middle = DVec3::from_array(std::array::from_fn(|axis| {
            median(points.iter().map(|point| point[axis]).collect()).unwrap_or_default()
        }));
        let distance = |point: &[f64; 3]| DVec3::from_array(*point).distance(middle);
        let limit = FAR_BEHIND * median(points.iter().map(distance).collect()).unwrap_or_default();
        // If more than half are at one place, the others define the scene's size.
        if limit > 0.0 {
            points.retain(|point| distance(point) <= limit);
        }
        central_box(&points)
    }

    /// Removes every Gaussian with a value that is not finite and returns their number. Order is kept.
    ///
    /// # Errors
    /// As [`GaussianCloud::validate`].
    pub fn retain_finite(&mut self) -> Result<usize> {
        self.validate()?;
        let keep = self.finite_rows();
        let dropped = keep.iter().filter(|&&keep| !keep).count();
        if dropped > 0 {
            self.retain(&keep);
        }
        Ok(dropped)
    }

    /// Keeps the Gaussians marked, in order. The cloud must be valid and `keep` as long as it.
    pub(crate) fn retain(&mut self, keep: &[bool]) {
        let coeffs = self.coeffs_per_gaussian();
        retain(&mut self.means, keep, 1);
        retain(&mut self.quats, keep, 1);
        retain(&mut self.log_scales, keep, 1);
        retain(&mut self.opacity_logits, keep, 1);
        retain(&mut self.sh_coeffs, keep, coeffs);
    }

    /// The cloud with spherical harmonics of another degree: higher terms are dropped, or added as zero. The cloud must be valid.
    pub(crate) fn with_sh_degree(mut self, degree: u32) -> Self {
        let (old, new) = (self.coeffs_per_gaussian(), (degree as usize + 1).pow(2));
        if old != new {
            let rows = self.sh_coeffs.chunks_exact(old);
            let filled = |row: &[[f32; 3]]| {
                (0..new).map(|k| row.get(k).copied().unwrap_or_default()).collect::<Vec<_>>()
            };
            self.sh_coeffs = rows.flat_map(filled).collect();
            self.sh_degree = degree;
        }
        self
    }

    /// Keeps at most `count` Gaussians, in order: those with the largest opacity times the area of their largest cross-section. The
    /// cloud must be valid.
    pub(crate) fn keep_most_visible(&mut self, count: usize) {
        if self.len() <= count {
            return;
        }
        let weight = |i: usize| {
            let [x, y, z] = self.log_scales[i];
            let log_area = x + y + z - x.min(y).min(z);
            // ln(sigmoid(logit)), without overflow for very faint ones.
            log_area - (-self.opacity_logits[i]).max(0.0) - (-self.opacity_logits[i].abs()).exp().ln_1p()
        };
        let mut order: Vec<(f32, usize)> = (0..self.len()).map(|i| (weight(i), i)).collect();
        order.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let mut keep = vec![false; self.len()];
        order.iter().take(count).for_each(|&(_, i)| keep[i] = true);
        self.retain(&keep);
    }

    /// Which Gaussians have finite values only. The cloud must be valid.
    pub(crate) fn finite_rows(&self) -> Vec<bool> {
        let coeffs = self.coeffs_per_gaussian();
        let finite = |values: &[f32]| values.iter().all(|v| v.is_finite());
        (0..self.len())
            .map(|i| {
                finite(&self.means[i])
                    && finite(&self.quats[i])
                    && finite(&self.log_scales[i])
                    && self.opacity_logits[i].is_finite()
                    && finite(self.sh_coeffs[i * coeffs..(i + 1) * coeffs].as_flattened())
            })
            .collect()
    }

    /// Smallest and largest coordinates of the finite centres, in world units; `None` without any.
    #[must_use]
    pub fn bounds(&self) -> Option<([f32; 3], [f32; 3])> {
        let finite = self.means.iter().filter(|mean| mean.iter().all(|v| v.is_finite()));
        finite.fold(None, |bounds, mean| {
            let (mut low, mut high) = bounds.unwrap_or((*mean, *mean));
            for axis in 0..3 {
                low[axis] = low[axis].min(mean[axis]);
                high[axis] = high[axis].max(mean[axis]);
            }
            Some((low, high))
        })
    }
}

/// Lowest and highest corner of the middle 98 % of points along each axis; of all points if there are fewer than 100.
#[must_use]
pub fn central_box(points: &[[f64; 3]]) -> Option<[[f64; 3]; 2]> {
    if points.is_empty() {
        return None;
    }
    let outside = points.len() / 100;
    let axis = |axis: usize| {
        let mut values: Vec<f64> = points.iter().map(|point| point[axis]).collect();
        values.sort_unstable_by(f64::total_cmp);
        [values[outside], values[values.len() - 1 - outside]]
    };
    let [x, y, z] = [axis(0), axis(1), axis(2)];
    Some([[x[0], y[0], z[0]], [x[1], y[1], z[1]]])
}

/// The median of the values, the upper one for an even number; `None` if there are none.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    let middle = values.len() / 2;
    (middle < values.len()).then(|| *values.select_nth_unstable_by(middle, f64::total_cmp).1)
}

/// Keeps the elements of the rows marked, `per_row` elements per row.
fn retain<T>(values: &mut Vec<T>, keep: &[bool], per_row: usize) {
    let mut index = 0;
    values.retain(|_| {
        let kept = keep[index / per_row];
        index += 1;
        kept
    });
}

#[cfg(test)]
mod tests;
