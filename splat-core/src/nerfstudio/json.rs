//! The JSON structure of `transforms.json`.

use serde::Deserialize;

/// The whole file; unknown fields are ignored.
#[derive(Debug, Deserialize)]
pub(super) struct Transforms {
    #[serde(flatten)]
    pub(super) lens: LensFields,
    pub(super) ply_file_path: Option<String>,
    /// instant-ngp's rolling shutter: a pixel at `(u, v)`, relative to width and height, was read at time `[0] + [1] u + [2] v`, 0 being
    /// the start; `[3]`, motion blur, must be 0.
    pub(super) rolling_shutter: Option<Vec<f64>>,
    pub(super) frames: Vec<FrameEntry>,
    /// nerfstudio's split, by `file_path`.
    pub(super) train_filenames: Option<Vec<String>>,
    pub(super) val_filenames: Option<Vec<String>>,
    pub(super) test_filenames: Option<Vec<String>>,
}

impl Transforms {
    /// Whether it describes Blender's renders (the synthetic scenes of Mildenhall et al. 2020): it has an angle of view and no other
    /// intrinsics, where programs that pose photos write focal lengths.
    pub(super) fn is_blender(&self) -> bool {
        self.lens.camera_angle_x.is_some() && self.lens.fl_x.is_none()
    }
}

/// One photo.
#[derive(Debug, Deserialize)]
pub(super) struct FrameEntry {
    pub(super) file_path: String,
    pub(super) mask_path: Option<String>,
    /// Camera to world.
    #[serde(default)]
    pub(super) transform_matrix: Matrix,
    /// The pose when the first line was read, and when the last was (instant-ngp).
    pub(super) transform_matrix_start: Option<Matrix>,
    pub(super) transform_matrix_end: Option<Matrix>,
    #[serde(flatten)]
    pub(super) lens: LensFields,
}

/// Rows of a matrix. Values that are not finite, which programs write for unposed photos, are `None`; anything other than a
/// matrix of four columns has no rows.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "serde_json::Value")]
pub(super) struct Matrix(pub(super) Vec<[Option<f64>; 4]>);

impl From<serde_json::Value> for Matrix {
    /// From rows, or from a flat list of numbers.
    fn from(value: serde_json::Value) -> Self {
        let empty = Vec::new();
        let rows = value.as_array().unwrap_or(&empty);
        let all: Vec<_> = match rows.iter().all(serde_json::Value::is_array) {
            true if rows.iter().any(|row| row.as_array().map_or(0, Vec::len) != 4) => Vec::new(),
            true => rows.iter().filter_map(serde_json::Value::as_array).flatten().collect(),
            false => rows.iter().collect(),
        };
        let numbers: Vec<Option<f64>> = all.into_iter().map(serde_json::Value::as_f64).collect();
        let (rows, rest) = numbers.as_chunks::<4>();
        Self(if rest.is_empty() { rows.to_vec() } else { Vec::new() })
    }
}

/// Intrinsics, for the file or for one frame.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct LensFields {
    pub(super) camera_model: Option<String>,
    /// instant-ngp's flag for the model OPENCV_FISHEYE.
    pub(super) is_fisheye: Option<bool>,
    /// Floating-point, since some programs write sizes as 960.0.
    pub(super) w: Option<f64>,
    pub(super) h: Option<f64>,
    pub(super) fl_x: Option<f64>,
    pub(super) fl_y: Option<f64>,
    pub(super) cx: Option<f64>,
    pub(super) cy: Option<f64>,
    /// Full angles of view in radians.
    pub(super) camera_angle_x: Option<f64>,
    pub(super) camera_angle_y: Option<f64>,
    /// instant-ngp's field, in degrees.
    pub(super) x_fov: Option<f64>,
    pub(super) y_fov: Option<f64>,
    pub(super) k1: Option<f64>,
    pub(super) k2: Option<f64>,
    pub(super) k3: Option<f64>,
    pub(super) k4: Option<f64>,
    pub(super) p1: Option<f64>,
    pub(super) p2: Option<f64>,
}

impl LensFields {
    /// These fields, with missing ones taken from `others`.
    pub(super) fn or(&self, others: &Self) -> Self {
        let model = self.camera_model.as_ref().or(others.camera_model.as_ref()).cloned();
        // A focal length here takes precedence over an angle there, and vice versa.
        let own_focal = self.fl_x.is_some() || self.camera_angle_x.is_some() || self.x_fov.is_some();
        let focal = if own_focal { self } else { others };
        Self {
            camera_model: model,
            is_fisheye: self.is_fisheye.or(others.is_fisheye),
            w: self.w.or(others.w),
            h: self.h.or(others.h),
            fl_x: focal.fl_x,
            fl_y: focal.fl_y,
            camera_angle_x: focal.camera_angle_x,
            camera_angle_y: focal.camera_angle_y,
            x_fov: focal.x_fov,
            y_fov: focal.y_fov,
            cx: self.cx.or(others.cx),
            cy: self.cy.or(others.cy),
            k1: self.k1.or(others.k1),
            k2: self.k2.or(others.k2),
            k3: self.k3.or(others.k3),
            k4: self.k4.or(others.k4),
            p1: self.p1.or(others.p1),
            p2: self.p2.or(others.p2),
        }
    }
}
