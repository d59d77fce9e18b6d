//! Kernel parameters of a lens: the WGSL module of its camera model, and that module's uniform.

use bytemuck::{Pod, Zeroable};

/// The families of camera models in 3DGUT, each with a WGSL module, `lib/camera_*.wgsl`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CameraModule {
    /// No distortion.
    #[default]
    Pinhole,
    /// Polynomials of `(x, y) / z`.
    Perspective,
    /// Polynomials of the angle from the axis.
    Fisheye,
    /// The arc tangent model.
    Fov,
    /// The division model.
    Division,
    /// The enhanced unified model.
    Eucm,
    /// Longitude and latitude.
    Sphere,
}

impl CameraModule {
    /// All families.
    pub const ALL: [Self; 7] = [
        Self::Pinhole,
        Self::Perspective,
        Self::Fisheye,
        Self::Fov,
        Self::Division,
        Self::Eucm,
        Self::Sphere,
    ];

    /// Whether Gaussians are sorted by distance instead of camera z: for lenses that may see behind themselves.
    #[must_use]
    pub const fn depth_is_distance(self) -> bool {
        matches!(self, Self::Fisheye | Self::Division | Self::Eucm | Self::Sphere)
    }
}

/// `LensUniform` of `lib/lens.wgsl`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct LensUniform {
    /// Focal lengths; for a panorama pixels per radian.
    pub focal_px: [f32; 2],
    /// Principal point in pixels.
    pub principal_px: [f32; 2],
    /// Radial numerator, of `r^2` to `r^8`.
    pub numerator: [f32; 4],
    /// Radial denominator, of `r^2` to `r^6`.
    pub denominator: [f32; 3],
    /// Radial numerator, of `r^10`.
    pub numerator5: f32,
    /// Thin prism: x of `r^2`, x of `r^4`, y of `r^2`, y of `r^4`.
    pub prism: [f32; 4],
    /// Decentring (tangential) distortion, p1 and p2.
    pub decentring: [f32; 2],
    /// Radial numerator, of `r^12`.
    pub numerator6: f32,
    /// Radius where the distortion folds back: points beyond it are not mapped.
    pub limit: f32,
    /// Parameters specific to one model.
    pub extra: [f32; 3],
    /// 1 if shifts are evaluated at the radially distorted point.
    pub shift_after_radial: f32,
}
