//! Camera paths in JSON, and the frames along them.

use std::path::Path;

use glam::{DMat3, DQuat, DVec3};

use crate::{Camera, Error, Pinhole, Pose, Result, text_file};

const FORMAT: &str = "camera path";

/// Maximum number of frames of a path, against mistakes (an hour at 60 frames per second is 216,000).
const MAX_FRAMES: usize = 1_000_000;

/// A camera path.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraPath {
    /// Frame width in pixels.
    #[serde(deserialize_with = "text_file::whole_u32")]
    pub width: u32,
    /// Frame height in pixels.
    #[serde(deserialize_with = "text_file::whole_u32")]
    pub height: u32,
    /// Vertical field of view in degrees.
    #[serde(default = "default_fov")]
    pub fov_y_deg: f64,
    /// Frames per second of a video.
    #[serde(default)]
    pub fps: Option<u32>,
    /// Frames between two keys; 0: only the keys.
    #[serde(default)]
    pub between: u32,
    /// Poses on the path.
    pub keys: Vec<Key>,
}

/// A pose on a path.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
pub enum Key {
    /// A camera at `eye` that looks at `target`.
    LookAt {
        /// Camera position.
        eye: [f64; 3],
        /// Point in the centre of the image.
        target: [f64; 3],
        /// The world direction that points down in the image; COLMAP's y by default.
        #[serde(default = "default_down")]
        down: [f64; 3],
    },
    /// A rigid transform by rows; camera x right, y down, z forward.
    Matrix {
        /// World from camera.
        world_from_cam: [[f64; 4]; 4],
    },
}

fn default_fov() -> f64 {
    50.0
}

fn default_down() -> [f64; 3] {
    DVec3::Y.to_array()
}

impl CameraPath {
    /// Reads a path.
    ///
    /// # Errors
    /// [`Error::Read`], or [`Error::Malformed`] with what is wrong and where.
    pub fn read(path: &Path) -> Result<Self> {
        let malformed = |what: String| Error::Malformed { path: path.to_path_buf(), format: FORMAT, what };
        let this: Self = text_file::read_json(path, FORMAT)?;
        this.check().map_err(malformed)?;
        Ok(this)
    }

    fn check(&self) -> Result<(), String> {
        let sizes = 1..=16_384;
        if !sizes.contains(&self.width) || !sizes.contains(&self.height) {
            return Err(format!(
                "width and height must be 1 to 16384, not {} and {}",
                self.width, self.height
            ));
        }
        if !(self.fov_y_deg > 0.1 && self.fov_y_deg < 175.0) {
            return Err(format!("fov_y_deg must be between 0.1 and 175, not {}", self.fov_y_deg));
        }
        if self.keys.is_empty() {
            return Err("it has no keys".into());
        }
        let frames = (self.keys.len() - 1).saturating_mul(self.between as usize + 1);
        if frames >= MAX_FRAMES {
            return Err(format!("it has {frames} frames, more than {MAX_FRAMES}"));
        }
        for (i, key) in self.keys.iter().enumerate() {
            key.world_from_cam().map_err(|what| format!("key {i} {what}"))?;
        }
        Ok(())
    }

    /// One camera per frame: positions are interpolated by Catmull-Rom splines, rotations by slerp.
    ///
    /// # Errors
    /// [`Error::InvalidPath`] if a key is not a valid camera.
    pub fn frames(&self) -> Result<Vec<Camera>> {
        self.check().map_err(|what| Error::InvalidPath { what })?;
        let focal = f64::from(self.height) / 2.0 / (self.fov_y_deg.to_radians() / 2.0).tan();
        let intrinsics = Pinhole {
            width: self.width,
            height: self.height,
            fx: focal,
            fy: focal,
            cx: f64::from(self.width) / 2.0,
            cy: f64::from(self.height) / 2.0,
        };
        let keys: Vec<Pose> = self
            .keys
            .iter()
            .map(Key::world_from_cam)
            .collect::<Result<_, _>>()
            .map_err(|what| Error::InvalidPath { what })?;
        Ok(interpolate(&keys, self.between)
            .iter()
            .map(|pose| Camera { intrinsics, cam_from_world: pose.inverse() })
            .collect())
    }
}

impl Key {
    fn world_from_cam(&self) -> Result<Pose, String> {
        match self {
            Self::LookAt { eye, target, down } => {
                let [eye, target, down] = [eye, target, down].map(|v| DVec3::from_array(*v));
                if !(eye.is_finite() && target.is_finite() && down.is_finite()) {
                    return Err("has a number that is not finite".into());
                }
                let forward = (target - eye).try_normalize().ok_or("has its eye at its target")?;
                if down.cross(forward).length() < 1e-9 {
                    return Err("looks along its down direction; give another `down`".into());
                }
                Ok(Pose::look_at(eye, target, down).inverse())
            }
            Self::Matrix { world_from_cam } => {
                let [x, y, z, last] = *world_from_cam;
                let axes =
                    DMat3::from_cols_array_2d(&[x, y, z].map(|row| [row[0], row[1], row[2]])).transpose();
                let translation = DVec3::new(x[3], y[3], z[3]);
                let rigid =
                    (axes * axes.transpose()).abs_diff_eq(DMat3::IDENTITY, 1e-3) && axes.determinant() > 0.0;
                if !rigid || !translation.is_finite() || last != [0.0, 0.0, 0.0, 1.0] {
                    return Err("holds a matrix that is no rotation and translation".into());
                }
                Ok(Pose { rotation: DQuat::from_mat3(&axes).normalize(), translation })
            }
        }
    }
}

/// Poses through `keys` with `between` more after each but the last; `world_from_cam` in and out.
pub(super) fn interpolate(keys: &[Pose], between: u32) -> Vec<Pose> {
    let count = between + 1;
    let at = |i: isize| keys[i.clamp(0, keys.len() as isize - 1) as usize];
    let mut poses = Vec::new();
    for i in 0..keys.len().saturating_sub(1) as isize {
        let [p0, p1, p2, p3] = [-1, 0, 1, 2].map(|d| at(i + d).translation);
        for k in 0..count {
            let t = f64::from(k) / f64::from(count);
            let translation = p1
                + 0.5
                    * t
                    * ((p2 - p0)
                        + t * ((2.0 * p0 - 5.0 * p1 + 4.0 * p2 - p3) + t * (3.0 * (p1 - p2) + p3 - p0)));
            poses.push(Pose { rotation: at(i).rotation.slerp(at(i + 1).rotation, t), translation });
        }
    }
    poses.extend(keys.last());
    poses
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn path(text: &str) -> Result<CameraPath> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        CameraPath::read(file.path())
    }

    #[test]
    fn frames_pass_the_keys_and_look_at_the_target() {
        let path = path(
            r#"{"width": 64, "height": 48, "fov_y_deg": 90, "between": 3, "keys": [
                {"eye": [0, 0, -4], "target": [0, 0, 0]},
                {"eye": [4, 0, 0], "target": [0, 0, 0]},
                {"world_from_cam": [[1,0,0,7],[0,1,0,8],[0,0,1,9],[0,0,0,1]]}]}"#,
        )
        .unwrap();
        let frames = path.frames().unwrap();
        assert_eq!(frames.len(), 9);
        assert!((frames[0].intrinsics.fy - 24.0).abs() < 1e-9);
        for (frame, eye) in [(0, [0.0, 0.0, -4.0]), (4, [4.0, 0.0, 0.0]), (8, [7.0, 8.0, 9.0])] {
            let off = frames[frame].cam_from_world.centre() - DVec3::from_array(eye);
            assert!(off.length() < 1e-9, "frame {frame} is off by {off}");
        }
        let target_cam = frames[4].cam_from_world.transform_point(DVec3::ZERO);
        assert!((target_cam - DVec3::new(0.0, 0.0, 4.0)).length() < 1e-9, "{target_cam}");
        // Down in the picture is the world's y.
        assert!(frames[0].cam_from_world.transform_point(DVec3::Y).y > 0.9);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, what) in [
            (r#"{"width": 64, "height": 48, "keys": []}"#, "no keys"),
            (
                r#"{"width": 0, "height": 48, "keys": [{"eye": [0,0,0], "target": [0,0,1]}]}"#,
                "width and height",
            ),
            (
                r#"{"width": 4, "height": 4, "keys": [{"eye": [0,0,0], "target": [0,0,0]}]}"#,
                "key 0 has its eye",
            ),
            (r#"{"width": 4, "height": 4, "keys": [{"eye": [0,0,0], "target": [0,1,0]}]}"#, "another `down`"),
            (r#"{"width": 4, "height": 4, "fov": 3, "keys": []}"#, "unknown field `fov`"),
            (
                r#"{"width": 4, "height": 4, "keys": [{"world_from_cam": [[2,0,0,7],[0,1,0,8],[0,0,1,9],[0,0,0,1]]}]}"#,
                "no rotation",
            ),
        ] {
            let error = path(text).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
    }
}
