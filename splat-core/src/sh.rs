//! Real spherical harmonics up to degree 3, in the sign and order of the 3DGS authors' code.

use glam::DVec3;

/// The 16 basis functions at a unit direction.
///
/// Condon-Shortley phase included: degree 1 is `-y, z, -x` times 0.4886.
///
/// # Source
/// Sloan, "Efficient Spherical Harmonic Evaluation", JCGT 2013; checked against gsplat's values.
#[must_use]
pub fn sh_basis(direction: DVec3) -> [f64; 16] {
    use std::f64::consts::PI;
    let DVec3 { x, y, z } = direction;
    let root = |value: f64| (value / PI).sqrt();
    let (xx, yy, zz) = (x * x, y * y, z * z);
    [
        0.5 * root(1.0),
        -0.5 * root(3.0) * y,
        0.5 * root(3.0) * z,
        -0.5 * root(3.0) * x,
        0.5 * root(15.0) * x * y,
        -0.5 * root(15.0) * y * z,
        0.25 * root(5.0) * (3.0 * zz - 1.0),
        -0.5 * root(15.0) * x * z,
        0.25 * root(15.0) * (xx - yy),
        -0.25 * root(17.5) * y * (3.0 * xx - yy),
        0.5 * root(105.0) * x * y * z,
        -0.25 * root(10.5) * y * (5.0 * zz - 1.0),
        0.25 * root(7.0) * z * (5.0 * zz - 3.0),
        -0.25 * root(10.5) * x * (5.0 * zz - 1.0),
        0.25 * root(105.0) * z * (xx - yy),
        -0.25 * root(17.5) * x * (xx - 3.0 * yy),
    ]
}

/// The colour of a Gaussian seen along a direction: `max(SH(direction) + 0.5, 0)`, per channel.
///
/// `coeffs` is `[K,3]`; coefficients past the sixteenth are ignored. `direction` points from the
/// camera's centre to the Gaussian and has length 1.
#[must_use]
pub fn sh_colour(coeffs: &[[f64; 3]], direction: DVec3) -> [f64; 3] {
    let basis = sh_basis(direction);
    let mut colour = [0.5; 3];
    for (basis, coeff) in basis.iter().zip(coeffs) {
        for (channel, value) in colour.iter_mut().zip(coeff) {
            *channel += basis * value;
        }
    }
    colour.map(|channel| channel.max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Orthonormality over the sphere determines every factor; the signs are checked below.
    #[test]
    fn basis_is_orthonormal() {
        // Gauss-Legendre would be exact with 4 nodes; a fine midpoint rule is simpler and sufficient.
        let (rows, columns) = (400, 16);
        let mut gram = [[0.0_f64; 16]; 16];
        for row in 0..rows {
            let z = (f64::from(row) + 0.5) / f64::from(rows) * 2.0 - 1.0;
            let radius = (1.0 - z * z).sqrt();
            for column in 0..columns {
                let angle = (f64::from(column) + 0.5) / f64::from(columns) * std::f64::consts::TAU;
                let basis = sh_basis(DVec3::new(radius * angle.cos(), radius * angle.sin(), z));
                let area = 4.0 * std::f64::consts::PI / f64::from(rows * columns);
                for (gram, a) in gram.iter_mut().zip(basis) {
                    for (entry, b) in gram.iter_mut().zip(basis) {
                        *entry += a * b * area;
                    }
                }
            }
        }
        for (i, row) in gram.iter().enumerate() {
            for (j, value) in row.iter().enumerate() {
                let expected = if i == j { 1.0 } else { 0.0 };
                assert!((value - expected).abs() < 1e-3, "<b{i}, b{j}> = {value}");
            }
        }
    }

    #[test]
    fn signs_are_those_of_3dgs() {
        let along_x = sh_basis(DVec3::X);
        let along_y = sh_basis(DVec3::Y);
        let along_z = sh_basis(DVec3::Z);
        assert!((along_x[3] + 0.488_602_5).abs() < 1e-6);
        assert!((along_y[1] + 0.488_602_5).abs() < 1e-6);
        assert!((along_z[2] - 0.488_602_5).abs() < 1e-6);
        assert!(along_x[8] > 0.0 && along_y[8] < 0.0);
        assert!(along_x[15] < 0.0 && along_y[9] > 0.0 && along_z[12] > 0.0);
        let grey = sh_colour(&[[0.0; 3]], DVec3::X);
        assert_eq!(grey, [0.5; 3]);
        let clamped = sh_colour(&[[-10.0, 0.0, 1.0]], DVec3::X);
        assert_eq!(clamped[0], 0.0);
        assert!((clamped[2] - 0.782_094_79).abs() < 1e-8);
    }
}
