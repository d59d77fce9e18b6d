//! What the kernels are told of a lens: which WGSL module projects by it, and that module's parameters.

use bytemuck::{Pod, Zeroable};

/// The families of camera models that 3DGUT projects by, each a WGSL module, `lib/camera_*.wgsl`.
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
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Pinhole,
        Self::Perspective,
        Self::Fisheye,
        Self::Fov,
        Self::Division,
        Self::Eucm,
        Self::Sphere,
    ];

    /// Whether Gaussians are sorted by their distance instead of by camera z: where a lens may see behind itself.
    #[must_use]
    pub const fn depth_is_distance(self) -> bool {
        matches!(self, Self::Fisheye | Self::Division | Self::Eucm | Self::Sphere)
    }
}

/// `LensUniform` of `lib/lens.wgsl`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct LensUniform {
    /// Focal lengths; of a panorama, its size.
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
    /// Largest undistorted radius at which the distortion still grows: beyond it nothing is drawn.
    pub limit: f32,
    /// What a model has of its own.
    pub extra: [f32; 3],
    /// 1 where shifts are those at the radially distorted point.
    pub shift_after_radial: f32,
}
