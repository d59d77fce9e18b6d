//! Live views of a scene in training: the requests and responses that pass from a client through the queue and a worker to the
//! training process, and back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use splat_core::Pose;
use splat_core::pipeline::{Look, PICTURE_SIDES, Picture};

/// Default length of the longest side in pixels: the width of a page on a phone, and cheap to render.
const LONGEST_SIDE: u32 = 640;

/// Pose of a camera, in the coordinates of the job's cameras: x is right, y down, z forward.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Centre of the camera in the scene's coordinates.
    pub position: [f64; 3],
    /// Rows of the rotation from camera to world, as in `cameras.json`.
    pub rotation: [[f64; 3]; 3],
}

/// A requested view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LookOptions {
    /// The camera; by default that of the previews.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub camera: Option<Place>,
    /// Maximum length of the longest side in pixels: smaller views are faster on slow machines. Default 640.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 32, maximum = 1280)]
    pub longest_side: Option<u32>,
}

impl LookOptions {
    /// Converts to the pipeline's request.
    ///
    /// # Errors
    /// What is wrong, as a sentence.
    pub fn read(&self) -> Result<Look, String> {
        let cam_from_world = match self.camera {
            None => None,
            Some(Place { position, rotation }) => Some(Pose::of_camera(position, rotation).ok_or(
                "`camera` is no place of a camera: `rotation` must turn and neither stretch nor mirror",
            )?),
        };
        let longest_side = self.longest_side.unwrap_or(LONGEST_SIDE);
        if !PICTURE_SIDES.contains(&longest_side) {
            let (least, most) = (PICTURE_SIDES.start(), PICTURE_SIDES.end());
            return Err(format!("`longest_side` is {longest_side}, and must be {least} to {most}"));
        }
        Ok(Look { cam_from_world, longest_side })
    }
}

/// A view of the scene's current state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LookView {
    /// Number of training steps done.
    pub step: u32,
    /// The camera it was rendered from.
    pub camera: Place,
    /// The lens, or the pinhole closest to it.
    pub lens: LensView,
    /// What to orbit around.
    pub around: AroundView,
    /// The image, a JPEG in base64.
    #[schema(format = Byte)]
    pub jpeg: String,
}

/// A pinhole, in pixels of the image.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LensView {
    /// Width of the image.
    pub width: u32,
    /// Height of the image.
    pub height: u32,
    /// Horizontal focal length.
    pub fx: f64,
    /// Vertical focal length.
    pub fy: f64,
}

/// What to orbit around.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AroundView {
    /// The point that the training cameras look at.
    pub point: [f64; 3],
    /// Up direction, of length 1.
    pub up: [f64; 3],
}

impl LookView {
    /// The view as clients get it; `None` if it cannot be encoded.
    pub(crate) fn of(picture: &Picture) -> Option<Self> {
        let intrinsics = picture.camera.intrinsics;
        let pose = picture.camera.cam_from_world;
        Some(Self {
            step: picture.step,
            camera: Place { position: pose.centre().to_array(), rotation: pose.camera_rows() },
            lens: LensView {
                width: intrinsics.width,
                height: intrinsics.height,
                fx: intrinsics.fx,
                fy: intrinsics.fy,
            },
            around: AroundView { point: picture.around.point.to_array(), up: picture.around.up.to_array() },
            jpeg: STANDARD.encode(picture.to_jpeg().ok()?),
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn options(json: serde_json::Value) -> Result<Look, String> {
        serde_json::from_value::<LookOptions>(json).unwrap().read()
    }

    #[test]
    fn what_is_asked_for_is_read_and_nonsense_is_told() {
        let turned = serde_json::json!([[0, 0, 1], [0, 1, 0], [-1, 0, 0]]);
        let look =
            options(serde_json::json!({ "camera": { "position": [1, 2, 3], "rotation": turned } })).unwrap();
        let pose = look.cam_from_world.unwrap();
        assert_eq!(pose.centre().to_array().map(f64::round), [1.0, 2.0, 3.0]);
        let rows = [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]];
        assert_eq!(pose.camera_rows().map(|row| row.map(f64::round)), rows);
        assert_eq!(look.longest_side, LONGEST_SIDE);
        assert_eq!(options(serde_json::json!({ "longest_side": 32 })).unwrap().cam_from_world, None);
        let mirrored = serde_json::json!([[1, 0, 0], [0, 1, 0], [0, 0, -1]]);
        for (wrong, named) in [
            (serde_json::json!({ "longest_side": 31 }), "longest_side"),
            (serde_json::json!({ "longest_side": 1281 }), "longest_side"),
            (serde_json::json!({ "camera": { "position": [0, 0, 0], "rotation": mirrored } }), "rotation"),
            (
                serde_json::json!({ "camera": { "position": [0, 0, 0], "rotation": [[0, 0, 0], [0, 0, 0], [0, 0, 0]] } }),
                "rotation",
            ),
        ] {
            let message = options(wrong).unwrap_err();
            assert!(message.contains(named), "{message}");
        }
    }
}
