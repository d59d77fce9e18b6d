//! Operations on a whole cloud: moving, rotating, scaling, thinning and cropping.

use glam::{DMat3, DQuat, DVec3};

use super::nearest::mean_distance_to_nearest;
use super::{GaussianCloud, ShRotation, sigmoid};

impl GaussianCloud {
    /// Rotates the cloud by `rotation`, scales it and then moves it by `translation` (new world units).
    pub fn transform(&mut self, rotation: DMat3, scale: f64, translation: DVec3) {
        let turn = DQuat::from_mat3(&rotation);
        let turned = rotation != DMat3::IDENTITY;
        for mean in &mut self.means {
            let moved = rotation * DVec3::from_array(mean.map(f64::from)) * scale + translation;
            *mean = moved.as_vec3().to_array();
        }
        for scales in &mut self.log_scales {
            *scales = scales.map(|value| (f64::from(value) + scale.ln()) as f32);
        }
        if !turned {
            return;
        }
        for quat in &mut self.quats {
            let [w, x, y, z] = quat.map(f64::from);
            let new = turn * DQuat::from_xyzw(x, y, z, w);
            *quat = [new.w as f32, new.x as f32, new.y as f32, new.z as f32];
        }
        let harmonics = ShRotation::new(rotation);
        let coeffs = self.coeffs_per_gaussian();
        self.sh_coeffs.chunks_exact_mut(coeffs).for_each(|own| harmonics.apply(own));
    }

    /// Removes spherical harmonics above a degree, or pads up to it with zeros. A degree above 3 counts as 3.
    pub fn set_sh_degree(&mut self, degree: u32) {
        let (old, new) = (self.coeffs_per_gaussian(), (degree.min(3) as usize + 1).pow(2));
        if old != new {
            let mut coeffs = Vec::with_capacity(self.len() * new);
            for own in self.sh_coeffs.chunks_exact(old) {
                coeffs.extend((0..new).map(|index| own.get(index).copied().unwrap_or_default()));
            }
            self.sh_coeffs = coeffs;
        }
        self.sh_degree = degree.min(3);
    }

    /// Keeps the Gaussians whose centres are inside; returns the number removed.
    pub fn keep_inside(&mut self, inside: impl Fn([f32; 3]) -> bool) -> usize {
        let keep: Vec<bool> = self.means.iter().map(|mean| inside(*mean)).collect();
        self.keep(&keep)
    }

    /// Keeps the `count` most visible Gaussians (opacity times the area of the two larger axes), in order; returns the number removed.
    pub fn keep_most_seen(&mut self, count: usize) -> usize {
        if count >= self.len() {
            return 0;
        }
        let seen = |index: usize| {
            let scales = self.log_scales[index];
            let smallest = scales.iter().copied().fold(f32::INFINITY, f32::min);
            sigmoid(self.opacity_logits[index]).ln() + scales.iter().sum::<f32>() - smallest
        };
        let mut order: Vec<(f32, usize)> = (0..self.len()).map(|index| (seen(index), index)).collect();
        order.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let mut keep = vec![false; self.len()];
        order.iter().take(count).for_each(|(_, index)| keep[*index] = true);
        self.keep(&keep)
    }

    /// Removes floaters; returns their number. Three rules: nearly invisible (opacity below 2 %); larger than the middle 98 % of the
    /// scene; or isolated (mean distance to the eight nearest is more than eight times the median of such distances).
    pub fn drop_floaters(&mut self) -> usize {
        const MIN_OPACITY: f32 = 0.02;
        const NEIGHBOURS: usize = 8;
        const FACTOR: f64 = 8.0;
        let Some([low, high]) = self.framing_bounds() else { return 0 };
        let extent = (DVec3::from_array(high) - DVec3::from_array(low)).max_element() as f32;
        let alone = mean_distance_to_nearest::<NEIGHBOURS>(&self.means);
        let mut sorted: Vec<f64> = alone.iter().flatten().copied().collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let middle = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
        let keep: Vec<bool> = (0..self.len())
            .map(|index| {
                let largest = self.log_scales[index].iter().copied().fold(f32::NEG_INFINITY, f32::max).exp();
                sigmoid(self.opacity_logits[index]) >= MIN_OPACITY
                    && !(extent > 0.0 && largest > extent)
                    && !(middle > 0.0 && alone[index].is_some_and(|distance| distance > FACTOR * middle))
            })
            .collect();
        self.keep(&keep)
    }

    fn keep(&mut self, keep: &[bool]) -> usize {
        self.retain(keep);
        keep.iter().filter(|&&keep| !keep).count()
    }
}
