//! Where a photo was taken from and how its pixels map to rays.
//!
//! Conventions are COLMAP's: camera x points right, y down, z forward, and pixel (0,0) has its
//! centre at (0.5, 0.5). Transforms are named `a_from_b`: `point_cam = cam_from_world * point_world`.

use glam::{DMat3, DMat4, DQuat, DVec3};

use crate::lens::Lens;
use crate::shutter::RollingShutter;

/// A rigid transform, kept in f64 on the host; kernels receive it as f32.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pose {
    /// Unit quaternion. (`glam` stores x,y,z,w; files and buffers store w,x,y,z.)
    pub rotation: DQuat,
    /// Translation in world units.
    pub translation: DVec3,
}

impl Pose {
    /// The transform that changes nothing.
    pub const IDENTITY: Self = Self { rotation: DQuat::IDENTITY, translation: DVec3::ZERO };

    /// A camera at `eye` that looks at `target`, with `down` pointing down in the picture.
    #[must_use]
    pub fn look_at(eye: DVec3, target: DVec3, down: DVec3) -> Self {
        let forward = (target - eye).normalize_or(DVec3::Z);
        let right = down.cross(forward).try_normalize().unwrap_or_else(|| forward.any_orthonormal_vector());
        let down = forward.cross(right);
        let world_from_cam = DMat3::from_cols(right, down, forward);
        let rotation = DQuat::from_mat3(&world_from_cam.transpose()).normalize();
        Self { rotation, translation: -(rotation * eye) }
    }

    /// Applies the transform to a point.
    #[must_use]
    pub fn transform_point(&self, point: DVec3) -> DVec3 {
        self.rotation * point + self.translation
    }

    /// The inverse transform.
    #[must_use]
    pub fn inverse(&self) -> Self {
        let rotation = self.rotation.conjugate();
        Self { rotation, translation: -(rotation * self.translation) }
    }

    /// For a `cam_from_world` pose: the camera's position in the world.
    #[must_use]
    pub fn centre(&self) -> DVec3 {
        self.inverse().translation
    }

    /// The same `cam_from_world` pose where the world's coordinates count from `origin` in steps of `unit`
    /// (`world = origin + unit * new`): camera coordinates are divided by `unit` too.
    #[must_use]
    pub fn rebased(&self, origin: DVec3, unit: f64) -> Self {
        Self { rotation: self.rotation, translation: self.transform_point(origin) / unit }
    }

    /// As a 4x4 matrix (column-major, as `glam` keeps it).
    #[must_use]
    pub fn to_matrix(&self) -> DMat4 {
        DMat4::from_rotation_translation(self.rotation, self.translation)
    }
}

/// Pinhole intrinsics at one image size, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Pinhole {
    /// Image width.
    pub width: u32,
    /// Image height.
    pub height: u32,
    /// Focal length along x.
    pub fx: f64,
    /// Focal length along y.
    pub fy: f64,
    /// Principal point, x.
    pub cx: f64,
    /// Principal point, y.
    pub cy: f64,
}

impl Pinhole {
    /// The same camera with its image resized to `width` x `height`.
    #[must_use]
    pub fn resized(&self, width: u32, height: u32) -> Self {
        let sx = f64::from(width) / f64::from(self.width.max(1));
        let sy = f64::from(height) / f64::from(self.height.max(1));
        Self { width, height, fx: self.fx * sx, fy: self.fy * sy, cx: self.cx * sx, cy: self.cy * sy }
    }
}

/// A posed camera with any lens, as the photo was taken: what [`crate::RendererKind::Gut`] can draw a view from.
#[derive(Clone, Debug, PartialEq)]
pub struct LensCamera {
    /// The lens; its width and height are the rendered size.
    pub lens: Lens,
    /// World to camera; where the shutter rolls, [`RollingShutter::middle`] takes its place.
    pub cam_from_world: Pose,
    /// How the camera moves while its sensor is read out; `None`: a global shutter.
    pub rolling_shutter: Option<RollingShutter>,
}

impl LensCamera {
    /// A camera with a global shutter.
    #[must_use]
    pub fn new(lens: Lens, cam_from_world: Pose) -> Self {
        Self { lens, cam_from_world, rolling_shutter: None }
    }

    /// [`Pose::rebased`] of every pose of it.
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

    /// The pose that the view is sorted and coloured from: in the middle of the exposure.
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

/// A posed pinhole camera: what the renderer draws a view from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Camera {
    /// Intrinsics; their width and height are the rendered size.
    pub intrinsics: Pinhole,
    /// World to camera.
    pub cam_from_world: Pose,
}
