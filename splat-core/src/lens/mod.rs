//! The 18 camera models of current COLMAP: projection, rays and undistortion.
//!
//! | part | purpose |
//! | --- | --- |
//! | [`LensModel`] | the models by COLMAP's name and number |
//! | [`Lens`] | a calibrated camera as stored in files: model, image size, parameters |
//! | [`LensProjector`] | a lens prepared for projecting many points and pixels |
//! | [`undistort`] | the pinhole camera to undistort to, and the resampling |
//!
//! Camera space is COLMAP's (x right, y down, z forward); pixel (0,0) has its centre at (0.5, 0.5).

mod model;
mod pinhole;
mod polynomial;
mod projector;
pub mod undistort;
mod uniform;

use glam::{DVec2, DVec3};

pub use model::LensModel;
pub use pinhole::Pinhole;
pub use projector::LensProjector;
pub use uniform::{CameraModule, LensUniform};

use crate::{Error, Result};

/// A camera's lens: model, image size and parameters in COLMAP's order.
#[derive(Clone, Debug, PartialEq)]
pub struct Lens {
    /// Camera model.
    pub model: LensModel,
    /// Image width in pixels.
    pub width: u32,
    /// Image height in pixels.
    pub height: u32,
    /// Parameters in COLMAP's order: focal length(s), principal point, distortion.
    pub params: Vec<f64>,
}

impl Lens {
    /// A lens without distortion.
    #[must_use]
    pub fn pinhole(pinhole: Pinhole) -> Self {
        let Pinhole { width, height, fx, fy, cx, cy } = pinhole;
        Self { model: LensModel::Pinhole, width, height, params: vec![fx, fy, cx, cy] }
    }

    /// The equivalent pinhole camera, if the lens has no distortion: a pinhole model, or a perspective model whose distortion parameters
    /// are all zero.
    #[must_use]
    pub fn as_pinhole(&self) -> Option<Pinhole> {
        if !self.model.is_pinhole_when_undistorted() || self.validate().is_err() {
            return None;
        }
        let ([fx, fy, cx, cy], extra) = self.split()?;
        let (width, height) = (self.width, self.height);
        extra.iter().all(|&k| k == 0.0).then_some(Pinhole { width, height, fx, fy, cx, cy })
    }

    /// Checks that the size is not zero, the number of parameters is that of the model, all are finite, and focal lengths are above
    /// zero.
    ///
    /// # Errors
    /// [`Error::InvalidLens`] says which of these fails.
    pub fn validate(&self) -> Result<()> {
        let refuse = |what: String| Err(Error::InvalidLens { model: self.model.name(), what });
        if self.width == 0 || self.height == 0 {
            return refuse(format!("its image size is {}x{}", self.width, self.height));
        }
        if self.params.len() != self.model.num_params() {
            let (expected, got) = (self.model.num_params(), self.params.len());
            return refuse(format!("it takes {expected} parameters, not {got}"));
        }
        if let Some(bad) = self.params.iter().position(|p| !p.is_finite()) {
            return refuse(format!("parameter {} of {} is not a number", bad + 1, self.params.len()));
        }
        if self.model == LensModel::Equirectangular && !self.params.iter().all(|&size| size > 0.0) {
            return refuse(format!("its panorama size is {:?}", self.params));
        }
        match self.split() {
            Some(([fx, fy, ..], _)) if !(fx > 0.0 && fy > 0.0) => {
                refuse(format!("its focal length is {fx} x {fy} pixels"))
            }
            _ => Ok(()),
        }
    }

    /// The pinhole of the same size, focal length and principal point, where only size and scale matter. The focal length of a panorama
    /// is its pixels per radian.
    #[must_use]
    pub fn nearest_pinhole(&self) -> Pinhole {
        let (width, height) = (self.width, self.height);
        let (w, h) = (f64::from(width), f64::from(height));
        let turn = w / std::f64::consts::TAU;
        let [fx, fy, cx, cy] = self.split().map_or([turn, turn, 0.5 * w, 0.5 * h], |(numbers, _)| numbers);
        Pinhole { width, height, fx, fy, cx, cy }
    }

    /// Prepares the lens for projecting many points; `None` if [`Lens::validate`] fails.
    #[must_use]
    pub fn projector(&self) -> Option<LensProjector> {
        self.validate().ok()?;
        LensProjector::new(self)
    }

    /// As [`Lens::projector`], with the reason for a failure.
    ///
    /// # Errors
    /// [`Error::InvalidLens`].
    pub fn try_projector(&self) -> Result<LensProjector> {
        self.validate()?;
        let what = "its parameters contradict each other".to_owned();
        LensProjector::new(self).ok_or(Error::InvalidLens { model: self.model.name(), what })
    }

    /// The pixel of a camera-space point (`[3]`, any scale), or `None` if the lens does not map it: behind a perspective camera, or
    /// beyond the angle at which the distortion folds back on itself.
    ///
    /// For many points use [`Lens::projector`], which computes the limits once.
    #[must_use]
    pub fn project(&self, point_cam: DVec3) -> Option<DVec2> {
        self.projector()?.project(point_cam)
    }

    /// The unit ray (camera space) of a pixel, or `None` if the pixel has no ray.
    #[must_use]
    pub fn unproject(&self, pixel: DVec2) -> Option<DVec3> {
        self.projector()?.unproject(pixel)
    }

    /// The same lens for its image resized to `width` x `height`.
    ///
    /// If the two axes scale differently, a model with one focal length becomes an equivalent one with two (such as OPENCV for
    /// SIMPLE_RADIAL).
    #[must_use]
    pub fn resized(&self, width: u32, height: u32) -> Self {
        let sx = f64::from(width) / f64::from(self.width.max(1));
        let sy = f64::from(height) / f64::from(self.height.max(1));
        let mut resized = if sx == sy { self.clone() } else { self.with_two_focal_lengths() };
        (resized.width, resized.height) = (width, height);
        for (param, scale) in resized.params.iter_mut().zip(scales_for(resized.model, sx, sy)) {
            *param *= scale;
        }
        resized
    }

    /// The same mapping by a model with separate focal lengths along x and y.
    fn with_two_focal_lengths(&self) -> Self {
        let (Some(model), Some(([fx, fy, cx, cy], extra))) = (self.model.two_focal_twin(), self.split())
        else {
            return self.clone();
        };
        let mut params = vec![fx, fy, cx, cy];
        params.extend_from_slice(extra);
        // The wider model's further distortion parameters are zero.
        params.resize(model.num_params(), 0.0);
        Self { model, params, ..*self }
    }

    /// `[fx, fy, cx, cy]` and the distortion parameters; `None` for an equirectangular image, which
    /// has no focal length, and for too few parameters.
    #[must_use]
    pub fn split(&self) -> Option<([f64; 4], &[f64])> {
        match (self.model, self.params.as_slice()) {
            (LensModel::Equirectangular, _) => None,
            (model, [f, cx, cy, extra @ ..]) if model.has_one_focal_length() => {
                Some(([*f, *f, *cx, *cy], extra))
            }
            (model, [fx, fy, cx, cy, extra @ ..]) if !model.has_one_focal_length() => {
                Some(([*fx, *fy, *cx, *cy], extra))
            }
            _ => None,
        }
    }
}

/// Factors for a model's leading parameters; distortion is independent of the size.
fn scales_for(model: LensModel, sx: f64, sy: f64) -> Vec<f64> {
    match model {
        LensModel::Equirectangular => vec![sx, sy],
        _ if model.has_one_focal_length() => vec![sx, sx, sy],
        _ => vec![sx, sy, sx, sy],
    }
}

#[cfg(test)]
pub(crate) mod tests;
