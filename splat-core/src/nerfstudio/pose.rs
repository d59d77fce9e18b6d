//! Poses and rolling shutters of frames, converted from OpenGL's camera axes to COLMAP's.

use glam::{DMat3, DQuat, DVec3};

use super::json::{FrameEntry, Matrix, Transforms};
use crate::camera::Pose;
use crate::shutter::{RollingShutter, ShutterDirection};

/// The rolling shutter of a frame, if it has one, or what is wrong with it.
pub(super) fn rolling_shutter(
    transforms: &Transforms,
    frame: &FrameEntry,
) -> Result<Option<RollingShutter>, String> {
    let (Some(order), Some(start), Some(end)) =
        (&transforms.rolling_shutter, &frame.transform_matrix_start, &frame.transform_matrix_end)
    else {
        return Ok(None);
    };
    let by_order = |direction: &ShutterDirection| match direction {
        ShutterDirection::TopToBottom => [0.0, 0.0, 1.0],
        ShutterDirection::BottomToTop => [1.0, 0.0, -1.0],
        ShutterDirection::LeftToRight => [0.0, 1.0, 0.0],
        ShutterDirection::RightToLeft => [1.0, -1.0, 0.0],
    };
    let (known, blur) = order.split_at(order.len().min(3));
    if known.iter().chain(blur).all(|number| *number == 0.0) {
        return Ok(None);
    }
    let direction = ShutterDirection::ALL.into_iter().find(|direction| by_order(direction) == *known);
    match direction {
        Some(direction) if blur.iter().all(|number| *number == 0.0) => {
            let end_pose =
                |matrix: &Matrix| pose(matrix).map_err(|what| format!("{what} at an end of the exposure"));
            Ok(Some(RollingShutter { direction, start: end_pose(start)?, end: end_pose(end)? }))
        }
        _ => Err(format!(
            "has `rolling_shutter` {order:?}; lines can be read downwards [0, 0, 1, 0], upwards [1, 0, -1, 0], to the right \
             [0, 1, 0, 0] or to the left [1, -1, 0, 0]"
        )),
    }
}

/// Converts camera-to-world in OpenGL's axes to world-to-camera in COLMAP's, or returns what is wrong with the matrix. Axes are
/// normalized: a camera that was scaled in Blender has the same image.
pub(super) fn pose(matrix: &Matrix) -> Result<Pose, String> {
    /// Files have 6 digits or more; larger deviations are shear or reflection.
    const MAX_ERROR: f64 = 1e-2;
    let ([x, y, z] | [x, y, z, _]) = matrix.0.as_slice() else {
        return Err("has no `transform_matrix` of 4x4 numbers".into());
    };
    let [x, y, z] = [x, y, z].map(|row| row.map(|number| number.unwrap_or(f64::NAN)));
    let column = |i: usize| DVec3::new(x[i], y[i], z[i]);
    let axis = |i: usize| column(i).normalize_or_zero();
    // COLMAP's camera y and z axes are opposite to OpenGL's.
    let world_from_cam = DMat3::from_cols(axis(0), -axis(1), -axis(2));
    let centre = column(3);
    let product = world_from_cam.transpose() * world_from_cam;
    let off = (product - DMat3::IDENTITY)
        .to_cols_array()
        .into_iter()
        .fold(0.0, |worst, v| f64::max(worst, v.abs()));
    if !centre.is_finite()
        || !world_from_cam.is_finite()
        || off > MAX_ERROR
        || world_from_cam.determinant() < 0.0
    {
        return Err("has a `transform_matrix` that is no rotation and translation".into());
    }
    let rotation = DQuat::from_mat3(&world_from_cam).normalize().conjugate();
    Ok(Pose { rotation, translation: -(rotation * centre) })
}
