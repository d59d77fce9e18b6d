//! The lens described by `transforms.json`, as an equivalent COLMAP camera model.

use super::json::LensFields;
use crate::Result;
use crate::lens::{Lens, LensModel};

/// The lens, or what is wrong with the fields; `photo_size` (pixels) is called if they have no size.
pub(super) fn lens(
    fields: &LensFields,
    photo_size: impl FnOnce() -> Result<(u32, u32)>,
) -> Result<Result<Lens, String>> {
    let size = match (fields.w, fields.h) {
        (Some(w), Some(h)) => (whole(w), whole(h)),
        _ => {
            let (width, height) = photo_size()?;
            (Some(width), Some(height))
        }
    };
    let (Some(width), Some(height)) = size else {
        return Ok(Err("has an image size (`w`, `h`) that is no whole number of pixels".into()));
    };
    Ok(lens_of_size(fields, width, height))
}

fn whole(value: f64) -> Option<u32> {
    (value >= 1.0 && value <= f64::from(u32::MAX) && value.fract() == 0.0).then_some(value as u32)
}

fn lens_of_size(fields: &LensFields, width: u32, height: u32) -> Result<Lens, String> {
    let (w, h) = (f64::from(width), f64::from(height));
    let name = match (fields.camera_model.as_deref(), fields.is_fisheye) {
        (None, Some(true)) => "OPENCV_FISHEYE".to_owned(),
        (None, _) => "OPENCV".to_owned(), // nerfstudio's default
        (Some(name), _) => name.to_ascii_uppercase(),
    };
    if name == "EQUIRECTANGULAR" {
        return Ok(Lens { model: LensModel::Equirectangular, width, height, params: vec![w, h] });
    }
    let from_angle = |angle: Option<f64>, side: f64| angle.map(|angle| 0.5 * side / (0.5 * angle).tan());
    let angle_x = fields.camera_angle_x.or_else(|| fields.x_fov.map(f64::to_radians));
    let angle_y = fields.camera_angle_y.or_else(|| fields.y_fov.map(f64::to_radians));
    let fx = fields.fl_x.or_else(|| from_angle(angle_x, w));
    let fx = fx.or(fields.fl_y).or_else(|| from_angle(angle_y, h));
    let Some(fx) = fx else {
        return Err("has no focal length: neither `fl_x` nor `camera_angle_x` is given".into());
    };
    let fy = fields.fl_y.or_else(|| from_angle(angle_y, h)).unwrap_or(fx);
    let (cx, cy) = (fields.cx.unwrap_or(0.5 * w), fields.cy.unwrap_or(0.5 * h));
    let [k1, k2, k3, k4, p1, p2] =
        [fields.k1, fields.k2, fields.k3, fields.k4, fields.p1, fields.p2].map(Option::unwrap_or_default);
    let (model, params) = match name.as_str() {
        "SIMPLE_PINHOLE" | "PINHOLE" => (LensModel::Pinhole, vec![fx, fy, cx, cy]),
        // nerfstudio passes k3 and k4 to OpenCV, where k4 is in the denominator.
        "OPENCV" | "SIMPLE_RADIAL" | "RADIAL" | "FULL_OPENCV" if k3 != 0.0 || k4 != 0.0 => {
            (LensModel::FullOpenCv, vec![fx, fy, cx, cy, k1, k2, p1, p2, k3, k4, 0.0, 0.0])
        }
        "OPENCV" | "SIMPLE_RADIAL" | "RADIAL" | "FULL_OPENCV" | "PERSPECTIVE" => {
            (LensModel::OpenCv, vec![fx, fy, cx, cy, k1, k2, p1, p2])
        }
        "OPENCV_FISHEYE" | "FISHEYE" => (LensModel::OpenCvFisheye, vec![fx, fy, cx, cy, k1, k2, k3, k4]),
        other => {
            return Err(format!(
                "has camera model `{other}`, which is not read; PINHOLE, OPENCV, OPENCV_FISHEYE and \
                 EQUIRECTANGULAR are"
            ));
        }
    };
    let lens = Lens { model, width, height, params };
    lens.validate().map_err(|error| format!("has a lens that cannot be used: {error}"))?;
    Ok(lens)
}
