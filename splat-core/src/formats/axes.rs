//! Conversion of axes, for formats that do not use COLMAP's.

use glam::{DMat3, DVec3};

use super::ShRotation;
use crate::gaussians::GaussianCloud;

/// A rotation by 180 degrees about an axis, which is its own inverse.
#[derive(Clone, Copy, Debug)]
pub(super) enum HalfTurn {
    /// SPZ: x right, y up, z back.
    X,
    /// glTF: x left, y up, z forward.
    Z,
}

impl HalfTurn {
    /// The sign of each axis.
    pub(super) const fn signs(self) -> [f32; 3] {
        match self {
            Self::X => [1.0, -1.0, -1.0],
            Self::Z => [-1.0, -1.0, 1.0],
        }
    }

    /// Signs of the 16 spherical harmonics.
    pub(super) fn sh_signs(self) -> [f32; 16] {
        let [x, y, z] = self.signs().map(f64::from);
        let mut ones = [[1.0; 3]; 16];
        ShRotation::new(DMat3::from_diagonal(DVec3::new(x, y, z))).apply(&mut ones);
        ones.map(|[value, ..]| 1.0_f32.copysign(value))
    }

    /// Rotates a cloud. Quaternions are conjugated by the rotation, which flips the signs of two components and keeps the order
    /// of the Gaussian's own axes.
    pub(super) fn apply(self, cloud: &mut GaussianCloud) {
        let signs = self.signs();
        let flip = |vector: &mut [f32]| vector.iter_mut().zip(signs).for_each(|(value, sign)| *value *= sign);
        cloud.means.iter_mut().for_each(|mean| flip(mean));
        cloud.quats.iter_mut().for_each(|quat| flip(&mut quat[1..]));
        let (sh_signs, coeffs) = (self.sh_signs(), cloud.coeffs_per_gaussian());
        for gaussian in cloud.sh_coeffs.chunks_exact_mut(coeffs) {
            for (coefficient, sign) in gaussian.iter_mut().zip(sh_signs) {
                *coefficient = coefficient.map(|value| value * sign);
            }
        }
    }
}
