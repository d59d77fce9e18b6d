//! The scene's parameters on the host: a cloud of 3-D Gaussians before activation.

/// Coefficients of degree-3 spherical harmonics per colour channel.
pub const MAX_SH_COEFFS: usize = 16;
/// The constant basis function, `1 / (2 sqrt(pi))`.
pub const SH_C0: f32 = 0.282_094_79;

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
    /// Centres.
    pub means: Vec<[f32; 3]>,
    /// Rotations, w,x,y,z.
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
    /// Number of Gaussians.
    #[must_use]
    pub fn len(&self) -> usize {
        self.means.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.means.is_empty()
    }

    /// Coefficients per Gaussian and channel, `(degree + 1)^2`.
    #[must_use]
    pub fn coeffs_per_gaussian(&self) -> usize {
        (self.sh_degree as usize + 1).pow(2)
    }
}
