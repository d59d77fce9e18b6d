//! Slow, clear f64 twins of the GPU kernels, to test them against.
//!
//! | twin            | reads                                 | writes                  |
//! | --------------- | ------------------------------------- | ----------------------- |
//! | [`project()`]   | [`Gaussians`], [`View`], [`Options`]  | [`Splat`] per Gaussian  |
//! | [`sort()`]      | splats                                | indices, front to back  |
//! | [`rasterize()`] | splats, order                         | [`Picture`]             |
//! | [`render_gut()`] | [`Gaussians`], [`LensView`]            | [`Picture`] of 3DGUT    |
//! | [`photometric_loss`] | picture, photo                   | the training loss       |
//!
//! Start at [`render()`]. Everything is forward only: gradients are checked by central differences of these functions, which are
//! accurate to about nine digits in f64. The rules are gsplat's (and those of the 3DGS authors' code where both agree); each
//! function documents its own.

mod gut;
mod loss;
mod project;
mod rasterize;

pub use gut::{Ellipsoid, LensView, SPREAD_SQUARED, project_gut, rasterize_gut, render_gut};
pub use loss::{LUMA, SSIM_SIGMA_PX, SSIM_WEIGHT, SSIM_WINDOW, photometric_loss, ssim_map};
pub use project::{Splat, project, sort};
pub use rasterize::{Picture, rasterize, render};

use glam::{DMat3, DVec3};

use crate::camera::{Camera, Pinhole};
use crate::gaussians::GaussianCloud;
pub use crate::sh::{sh_basis, sh_colour};

/// Added to the diagonal of every 2-D covariance, in px²: the low-pass filter of the 3DGS authors' code.
pub const EPS2D_PX2: f64 = 0.3;
/// Gaussians at this depth (camera z, world units) or nearer are culled.
pub const NEAR_WORLD: f64 = 0.01;
/// Gaussians at this depth (camera z, world units) or farther are culled.
pub const FAR_WORLD: f64 = 1e10;
/// Half the side of a splat's bounding box, in standard deviations: outside of it, alpha is below [`ALPHA_MIN`], since
/// `exp(-3.33² / 2) < 1 / 255`.
pub const EXTENT_SIGMAS: f64 = 3.33;
/// Alpha below this is skipped.
pub const ALPHA_MIN: f64 = 1.0 / 255.0;
/// Maximum alpha.
pub const ALPHA_MAX: f64 = 0.99;
/// A splat that would reduce the transmittance to this or less ends the pixel and is not blended.
pub const TRANSMITTANCE_MIN: f64 = 1e-4;
/// Minimum determinant (px⁴) for inverting a 2-D covariance.
pub const DET_MIN: f64 = 1e-10;
/// Minimum factor of the antialiasing compensation on an opacity.
pub const COMPENSATION_MIN: f64 = 0.005;
/// A quaternion of this length or shorter counts as the identity.
pub const QUAT_MIN_LENGTH: f64 = 1e-12;
/// The projection's Jacobian is evaluated at most this many half-images outside of the image.
pub const JACOBIAN_MARGIN: f64 = 0.3;

/// [`GaussianCloud`] in f64: the same stored, pre-activation parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Gaussians {
    /// Centres, `[N,3]`, world units.
    pub means: Vec<[f64; 3]>,
    /// Rotations, `[N,4]`, w,x,y,z, of any length.
    pub quats: Vec<[f64; 4]>,
    /// Natural logarithms of the standard deviations, `[N,3]`.
    pub log_scales: Vec<[f64; 3]>,
    /// Logits of the opacities, `[N]`.
    pub opacity_logits: Vec<f64>,
    /// Spherical harmonics, `[N,K,3]` with `K = (degree + 1)²`.
    pub sh_coeffs: Vec<[f64; 3]>,
    /// Degree of the spherical harmonics, 0 to 3.
    pub sh_degree: u32,
}

impl From<&GaussianCloud> for Gaussians {
    fn from(cloud: &GaussianCloud) -> Self {
        Self {
            means: cloud.means.iter().map(|v| v.map(f64::from)).collect(),
            quats: cloud.quats.iter().map(|v| v.map(f64::from)).collect(),
            log_scales: cloud.log_scales.iter().map(|v| v.map(f64::from)).collect(),
            opacity_logits: cloud.opacity_logits.iter().copied().map(f64::from).collect(),
            sh_coeffs: cloud.sh_coeffs.iter().map(|v| v.map(f64::from)).collect(),
            sh_degree: cloud.sh_degree,
        }
    }
}

/// A pinhole view whose pose is a free 3x4 matrix, so that each entry can be perturbed separately.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// Intrinsics and image size.
    pub intrinsics: Pinhole,
    /// `cam_from_world`, row-major 3x4: the linear part in columns 0 to 2, the translation in column 3.
    pub cam_from_world: [f64; 12],
}

impl View {
    /// The linear part of `cam_from_world`.
    #[must_use]
    pub fn linear(&self) -> DMat3 {
        let m = &self.cam_from_world;
        DMat3::from_cols_array(&[m[0], m[4], m[8], m[1], m[5], m[9], m[2], m[6], m[10]])
    }

    /// The translation of `cam_from_world`.
    #[must_use]
    pub fn translation(&self) -> DVec3 {
        let m = &self.cam_from_world;
        DVec3::new(m[3], m[7], m[11])
    }

    /// The camera's position in world coordinates, `-Rᵀ t` (the transpose, not the inverse, so that it is defined for matrices
    /// that are not exactly rotations).
    #[must_use]
    pub fn centre(&self) -> DVec3 {
        -(self.linear().transpose() * self.translation())
    }
}

impl From<&Camera> for View {
    fn from(camera: &Camera) -> Self {
        let m = camera.cam_from_world.to_matrix().transpose().to_cols_array();
        let mut cam_from_world = [0.0; 12];
        cam_from_world.copy_from_slice(&m[..12]);
        Self { intrinsics: camera.intrinsics, cam_from_world }
    }
}

/// Options of rendering.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Options {
    /// Colour behind everything.
    pub background: [f64; 3],
    /// Whether opacities are compensated for the area added by [`EPS2D_PX2`] (Mip-Splatting's 2-D filter).
    pub antialiased: bool,
}
