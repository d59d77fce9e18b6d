//! Cameras: the pose of a photo and the mapping of its pixels to rays.
//!
//! Conventions are COLMAP's: camera x points right, y down, z forward, and pixel (0,0) has its
//! centre at (0.5, 0.5). Transforms are named `a_from_b`: `point_cam = cam_from_world * point_world`.

use glam::DVec3;

use crate::lens::Lens;
pub use crate::lens::Pinhole;
pub use crate::pose::Pose;
use crate::shutter::RollingShutter;

/// A posed camera with a lens of any model, which [`crate::RendererKind::Gut`] can render.
#[derive(Clone, Debug, PartialEq)]
pub struct LensCamera {
    /// The lens; its width and height are the rendered size.
    pub lens: Lens,
    /// World to camera; with a rolling shutter [`RollingShutter::middle`] is used instead.
    pub cam_from_world: Pose,
    /// Motion of the camera during readout; `None`: a global shutter.
    pub rolling_shutter: Option<RollingShutter>,
}

impl LensCamera {
    /// A camera with a global shutter.
    #[must_use]
    pub fn new(lens: Lens, cam_from_world: Pose) -> Self {
        Self { lens, cam_from_world, rolling_shutter: None }
    }

    /// Applies [`Pose::rebased`] to every pose.
    #[must_use]
    pub fn rebased(&self, origin: DVec3, unit: f64) -> Self {
        let rolling_shutter = self.rolling_shutter.map(|shutter| RollingShutter {
            start: shutter.start.rebased(origin, unit),
            end: shutter.end.rebased(origin, unit),
            ..shutter
        });
        let cam_from_world = self.cam_from_world.rebased(origin, unit);
        Self { lens: self.lens.clone(), cam_from_world, rolling_shutter }
    }

    /// The pose in the middle of the exposure, which is used for sorting and view-dependent colours.
    #[must_use]
    pub fn middle(&self) -> Pose {
        self.rolling_shutter.map_or(self.cam_from_world, |shutter| shutter.middle())
    }
}

impl From<Camera> for LensCamera {
    fn from(camera: Camera) -> Self {
        Self::new(Lens::pinhole(camera.intrinsics), camera.cam_from_world)
    }
}

/// A posed pinhole camera.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Camera {
    /// Intrinsics; their width and height are the rendered size.
    pub intrinsics: Pinhole,
    /// World to camera.
    pub cam_from_world: Pose,
}
