//! Rotation of spherical harmonics.

use glam::{DMat3, DVec3};

use crate::sh::sh_basis;

/// The transformation of the coefficients of degree 1 to 3 under a rotation of the scene: `c' = M c` for each degree, with `M_ij` the
/// integral of `Y_i(R d) Y_j(d)` over the sphere.
#[derive(Clone, Debug, PartialEq)]
pub struct ShRotation {
    /// The matrix of all 16 coefficients; entries between degrees are zero.
    matrix: [[f32; 16]; 16],
}

impl ShRotation {
    /// For a rotation, with or without a reflection.
    #[must_use]
    pub fn new(rotation: DMat3) -> Self {
        let mut matrix = [[0.0_f64; 16]; 16];
        // Products of degree 6 at most: four Gauss-Legendre nodes in z and eight angles are exact for degree 7.
        const NODES: [(f64, f64); 4] = [
            (-0.861_136_311_594_052_6, 0.347_854_845_137_453_85),
            (-0.339_981_043_584_856_26, 0.652_145_154_862_546_1),
            (0.339_981_043_584_856_26, 0.652_145_154_862_546_1),
            (0.861_136_311_594_052_6, 0.347_854_845_137_453_85),
        ];
        for (z, weight) in NODES {
            for step in 0..8 {
                let (sin, cos) = (f64::from(step) * std::f64::consts::FRAC_PI_4).sin_cos();
                let radius = (1.0 - z * z).sqrt();
                let direction = DVec3::new(radius * cos, radius * sin, z);
                let (from, to) = (sh_basis(direction), sh_basis(rotation * direction));
                for (row, to) in matrix.iter_mut().zip(to) {
                    for (entry, from) in row.iter_mut().zip(from) {
                        *entry += weight * std::f64::consts::FRAC_PI_4 * to * from;
                    }
                }
            }
        }
        let degree = |index: usize| index.isqrt();
        let kept = |i: usize, j: usize| if degree(i) == degree(j) { matrix[i][j] } else { 0.0 };
        // Entries that are zero by symmetry are set to zero: rotations by right angles then only permute and change signs.
        let entry = |i: usize, j: usize| if kept(i, j).abs() < 1e-12 { 0.0 } else { kept(i, j) as f32 };
        Self { matrix: std::array::from_fn(|i| std::array::from_fn(|j| entry(i, j))) }
    }

    /// Rotates the coefficients of one Gaussian, `[K,3]` with K of 1, 4, 9 or 16.
    pub fn apply(&self, coeffs: &mut [[f32; 3]]) {
        let old: [[f32; 3]; 16] = std::array::from_fn(|i| coeffs.get(i).copied().unwrap_or_default());
        for (coefficient, row) in coeffs.iter_mut().zip(&self.matrix).skip(1) {
            *coefficient = std::array::from_fn(|channel| {
                row.iter().zip(&old).map(|(entry, old)| entry * old[channel]).sum()
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use glam::DQuat;

    use super::*;
    use crate::sh::sh_colour;

    /// A rotated Gaussian has the same colour from a rotated direction as before.
    #[test]
    fn colours_turn_with_the_scene() {
        let rotation = DMat3::from_quat(DQuat::from_xyzw(0.3, -0.5, 0.2, 0.7).normalize());
        let coeffs: Vec<[f32; 3]> =
            (0..16).map(|i| std::array::from_fn(|c| ((i * 3 + c) as f32 * 1.7).sin() * 0.1)).collect();
        let mut turned = coeffs.clone();
        ShRotation::new(rotation).apply(&mut turned);
        let wide = |coeffs: &[[f32; 3]]| coeffs.iter().map(|c| c.map(f64::from)).collect::<Vec<_>>();
        for direction in
            [DVec3::X, DVec3::new(0.2, -0.6, 0.5).normalize(), DVec3::new(-1.0, 2.0, 3.0).normalize()]
        {
            let (before, after) =
                (sh_colour(&wide(&coeffs), direction), sh_colour(&wide(&turned), rotation * direction));
            for (before, after) in before.iter().zip(after) {
                assert!((before - after).abs() < 1e-6, "{before} {after}");
            }
        }
    }

    #[test]
    fn half_turns_change_signs_alone() {
        let mut coeffs: Vec<[f32; 3]> = (0..16).map(|i| [i as f32; 3]).collect();
        ShRotation::new(DMat3::from_diagonal(DVec3::new(1.0, -1.0, -1.0))).apply(&mut coeffs);
        for (i, coefficient) in coeffs.iter().enumerate() {
            assert!((coefficient[0].abs() - i as f32).abs() < 1e-5, "{i} {coefficient:?}");
        }
        // Basis functions odd in y and z together: -y, z; xy, xz ...
        assert!(coeffs[1][0] < 0.0 && coeffs[2][0] < 0.0 && coeffs[3][0] > 0.0);
    }
}
