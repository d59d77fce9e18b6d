//! Rigid transforms, named `a_from_b`: `point_cam = cam_from_world * point_world`.

use glam::{DMat3, DMat4, DQuat, DVec3};

/// A rigid transform, kept in f64 on the host; kernels receive it as f32.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pose {
    /// Unit quaternion. (`glam` stores x,y,z,w; files and buffers store w,x,y,z.)
    pub rotation: DQuat,
    /// Translation in world units.
    pub translation: DVec3,
}

impl Pose {
    /// The identity.
    pub const IDENTITY: Self = Self { rotation: DQuat::IDENTITY, translation: DVec3::ZERO };

    /// A camera at `eye` that looks at `target`, with `down` pointing down in the image.
    #[must_use]
    pub fn look_at(eye: DVec3, target: DVec3, down: DVec3) -> Self {
        let forward = (target - eye).normalize_or(DVec3::Z);
        let right = down.cross(forward).try_normalize().unwrap_or_else(|| forward.any_orthonormal_vector());
        let down = forward.cross(right);
        let world_from_cam = DMat3::from_cols(right, down, forward);
        let rotation = DQuat::from_mat3(&world_from_cam.transpose()).normalize();
        Self { rotation, translation: -(rotation * eye) }
    }

    /// The `cam_from_world` pose of a camera at `position`, whose axes in world coordinates are the columns of the matrix with
    /// these `rows`, as stored in camera files. `None` if the numbers are not a valid pose.
    #[must_use]
    pub fn of_camera(position: [f64; 3], rows: [[f64; 3]; 3]) -> Option<Self> {
        let world_from_cam = DMat3::from_cols_array_2d(&rows).transpose();
        let is_rotation = (world_from_cam * world_from_cam.transpose()).abs_diff_eq(DMat3::IDENTITY, 1e-3)
            && world_from_cam.determinant() > 0.0;
        let translation = DVec3::from_array(position);
        let rotation = DQuat::from_mat3(&world_from_cam).normalize();
        (is_rotation && translation.is_finite()).then(|| Self { rotation, translation }.inverse())
    }

    /// For a `cam_from_world` pose: the rows of the matrix whose columns are the camera's axes in world coordinates.
    #[must_use]
    pub fn camera_rows(&self) -> [[f64; 3]; 3] {
        DMat3::from_quat(self.inverse().rotation).transpose().to_cols_array_2d()
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

    /// The same `cam_from_world` pose in world coordinates with another origin and unit (`world = origin + unit * new`): camera
    /// coordinates are divided by `unit` too.
    #[must_use]
    pub fn rebased(&self, origin: DVec3, unit: f64) -> Self {
        Self { rotation: self.rotation, translation: self.transform_point(origin) / unit }
    }

    /// As a 4x4 matrix (column-major, as in `glam`).
    #[must_use]
    pub fn to_matrix(&self) -> DMat4 {
        DMat4::from_rotation_translation(self.rotation, self.translation)
    }
}
