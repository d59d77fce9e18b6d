//! Projection and its inverse for each family of camera models.

use std::f64::consts::{FRAC_PI_2, PI, TAU};

use glam::{DVec2, DVec3};
use rayon::prelude::*;

use super::polynomial::{Distortion, Radial, Shift};
use super::uniform::{CameraModule, LensUniform};
use super::{Lens, LensModel};

/// Points with a smaller ratio of depth to distance are not projected by a perspective lens: their pixel would be millions of
/// focal lengths away.
const MIN_DEPTH_RATIO: f64 = 1e-9;

/// A [`Lens`] prepared for projecting many points and pixels: parameters by role, and precomputed limits.
#[derive(Clone, Debug)]
pub struct LensProjector {
    focal: DVec2,
    centre: DVec2,
    family: Family,
}

#[derive(Clone, Debug)]
enum Family {
    /// `(x, y) / z`.
    Pinhole,
    /// `(x, y) / z`, then a polynomial.
    Perspective(Distortion),
    /// The angle from the axis in the direction of `(x, y)`, then a polynomial.
    Fisheye(Distortion),
    /// Radius `atan(2 r tan(omega / 2)) / omega`.
    Fov { omega: f64 },
    /// Undistorted = distorted / (1 + k r^2).
    Division { k: f64 },
    /// `(x, y) / (alpha sqrt(beta (x^2 + y^2) + z^2) + (1 - alpha) z)`.
    Eucm { alpha: f64, beta: f64 },
    /// Longitude and latitude.
    Sphere,
}

impl LensProjector {
    /// `None` if the number of parameters is not the model's; [`Lens::validate`] returns an error message.
    pub(super) fn new(lens: &Lens) -> Option<Self> {
        if let (LensModel::Equirectangular, [width, height]) = (lens.model, lens.params.as_slice()) {
            let size = DVec2::new(*width, *height);
            return (size.min_element() > 0.0).then_some(Self {
                focal: size,
                centre: 0.5 * size,
                family: Family::Sphere,
            });
        }
        let ([fx, fy, cx, cy], extra) = lens.split()?;
        let family = Family::new(lens.model, extra)?;
        Some(Self { focal: DVec2::new(fx, fy), centre: DVec2::new(cx, cy), family })
    }

    /// As [`Lens::project`].
    #[must_use]
    pub fn project(&self, point_cam: DVec3) -> Option<DVec2> {
        let p = point_cam.try_normalize()?;
        let (xy, z) = (p.truncate(), p.z);
        let image = match &self.family {
            Family::Pinhole => perspective(xy, z)?,
            Family::Perspective(distortion) => distortion.distort(perspective(xy, z)?)?,
            Family::Fisheye(distortion) => {
                let sine = xy.length();
                let angle = sine.atan2(z);
                // On the axis the angle equals the sine; directly behind the camera the direction is undefined.
                let scale = if sine > 1e-12 { angle / sine } else { 1.0 };
                if sine <= 1e-12 && z < 0.0 {
                    return None;
                }
                distortion.distort(xy * scale)?
            }
            Family::Fov { omega } => {
                let xy = perspective(xy, z)?;
                let r = xy.length();
                let factor = 2.0 * (0.5 * omega).tan();
                if r > 1e-12 { xy * ((r * factor).atan() / (omega * r)) } else { xy * (factor / omega) }
            }
            Family::Division { k } => {
                let square = z * z - 4.0 * k * xy.length_squared();
                let denominator = z + (square >= 0.0).then(|| square.sqrt())?;
                positive(denominator).map(|d| xy * (2.0 / d))?
            }
            Family::Eucm { alpha, beta } => {
                let d = (beta * xy.length_squared() + z * z).sqrt();
                positive(z + eucm_cone(*alpha) * d)?;
                positive(alpha * d + (1.0 - alpha) * z).map(|d| xy / d)?
            }
            Family::Sphere => {
                let longitude = p.x.atan2(p.z);
                let latitude = p.y.atan2(p.x.hypot(p.z));
                DVec2::new(longitude / TAU, latitude / PI)
            }
        };
        let pixel = image * self.focal + self.centre;
        pixel.is_finite().then_some(pixel)
    }

    /// The value that Gaussians are sorted by: camera z for lenses that see less than a half space, the distance for those that
    /// may see behind them, for which z has no meaning.
    #[must_use]
    pub fn depth(&self, point_cam: DVec3) -> f64 {
        if self.module().depth_is_distance() { point_cam.length() } else { point_cam.z }
    }

    /// For each pixel of an image of this size, in row-major order, whether it has a ray.
    pub(crate) fn seen_pixels(&self, width: u32, height: u32) -> Vec<bool> {
        let mut sees = vec![false; width as usize * height as usize];
        sees.par_chunks_mut(width.max(1) as usize).enumerate().for_each(|(row, line)| {
            for (column, seen) in line.iter_mut().enumerate() {
                *seen = self.unproject(DVec2::new(column as f64 + 0.5, row as f64 + 0.5)).is_some();
            }
        });
        sees
    }

    /// The WGSL module that implements the same projection.
    #[must_use]
    pub fn module(&self) -> CameraModule {
        match self.family {
            Family::Pinhole => CameraModule::Pinhole,
            Family::Perspective(_) => CameraModule::Perspective,
            Family::Fisheye(_) => CameraModule::Fisheye,
            Family::Fov { .. } => CameraModule::Fov,
            Family::Division { .. } => CameraModule::Division,
            Family::Eucm { .. } => CameraModule::Eucm,
            Family::Sphere => CameraModule::Sphere,
        }
    }

    /// That module's parameters.
    #[must_use]
    pub fn uniform(&self) -> LensUniform {
        let mut uniform = LensUniform {
            focal_px: self.focal.as_vec2().to_array(),
            principal_px: self.centre.as_vec2().to_array(),
            ..LensUniform::default()
        };
        match &self.family {
            Family::Pinhole | Family::Sphere => {}
            Family::Perspective(distortion) | Family::Fisheye(distortion) => distortion.fill(&mut uniform),
            Family::Fov { omega } => {
                uniform.extra = [*omega as f32, (2.0 * (0.5 * omega).tan()) as f32, 0.0];
            }
            Family::Division { k } => uniform.extra[0] = *k as f32,
            Family::Eucm { alpha, beta } => {
                uniform.extra = [*alpha as f32, *beta as f32, eucm_cone(*alpha) as f32];
            }
        }
        uniform
    }

    /// As [`Lens::unproject`].
    #[must_use]
    pub fn unproject(&self, pixel: DVec2) -> Option<DVec3> {
        let image = (pixel - self.centre) / self.focal;
        if !image.is_finite() {
            return None;
        }
        let s = image.length_squared();
        let ray = match &self.family {
            Family::Pinhole => image.extend(1.0),
            Family::Perspective(distortion) => distortion.undistort(image)?.extend(1.0),
            Family::Fisheye(distortion) => {
                let point = distortion.undistort(image)?;
                let angle = point.length();
                positive(PI - angle)?;
                let scale = if angle > 1e-12 { angle.sin() / angle } else { 1.0 };
                (point * scale).extend(angle.cos())
            }
            Family::Fov { omega } => {
                let (r, factor) = (s.sqrt(), 2.0 * (0.5 * omega).tan());
                positive(FRAC_PI_2 - (r * omega).abs())?;
                let scale = if r > 1e-12 { (r * omega).tan() / (factor * r) } else { omega / factor };
                (image * scale).extend(1.0)
            }
            // For k > 0 only radii up to 1 / sqrt(k) have a preimage.
            Family::Division { k } if k * s <= 1.0 => image.extend(1.0 + k * s),
            Family::Division { .. } => return None,
            Family::Eucm { alpha, beta } => {
                let square = 1.0 - (2.0 * alpha - 1.0) * beta * s;
                let denominator = alpha * (square >= 0.0).then(|| square.sqrt())? + 1.0 - alpha;
                image.extend((1.0 - alpha * alpha * beta * s) / positive(denominator)?)
            }
            Family::Sphere => {
                if image.abs().max_element() > 0.5 {
                    return None;
                }
                let (sin_longitude, cos_longitude) = (image.x * TAU).sin_cos();
                let (sin_latitude, cos_latitude) = (image.y * PI).sin_cos();
                DVec3::new(cos_latitude * sin_longitude, sin_latitude, cos_latitude * cos_longitude)
            }
        };
        ray.try_normalize()
    }
}

impl Family {
    fn new(model: LensModel, extra: &[f64]) -> Option<Self> {
        let radial = |numerator: &[f64]| Distortion {
            radial: Radial::new(numerator, &[], f64::INFINITY),
            shift: Shift::default(),
            shift_after_radial: false,
        };
        let fisheye = |numerator: &[f64]| {
            let distortion = radial(numerator);
            Self::Fisheye(Distortion { radial: Radial::new(numerator, &[], PI), ..distortion })
        };
        Some(match (model, extra) {
            (LensModel::SimplePinhole | LensModel::Pinhole, []) => Self::Pinhole,
            (LensModel::SimpleRadial | LensModel::Radial, k) => Self::Perspective(radial(k)),
            (LensModel::OpenCv, &[k1, k2, p1, p2]) => Self::Perspective(Distortion {
                shift: Shift { p1, p2, ..Shift::default() },
                ..radial(&[k1, k2])
            }),
            (LensModel::FullOpenCv, &[k1, k2, p1, p2, k3, k4, k5, k6]) => Self::Perspective(Distortion {
                radial: Radial::new(&[k1, k2, k3], &[k4, k5, k6], f64::INFINITY),
                shift: Shift { p1, p2, ..Shift::default() },
                shift_after_radial: false,
            }),
            (LensModel::SimpleFisheye | LensModel::Fisheye, []) => fisheye(&[]),
            (LensModel::SimpleRadialFisheye | LensModel::RadialFisheye | LensModel::OpenCvFisheye, k) => {
                fisheye(k)
            }
            (LensModel::ThinPrismFisheye, &[k1, k2, p1, p2, k3, k4, sx, sy]) => Self::Fisheye(Distortion {
                radial: Radial::new(&[k1, k2, k3, k4], &[], PI),
                shift: Shift { p1, p2, prism_x: [sx, 0.0], prism_y: [sy, 0.0] },
                shift_after_radial: false,
            }),
            (LensModel::RadTanThinPrismFisheye, &[ref k @ .., p0, p1, s0, s1, s2, s3]) => {
                Self::Fisheye(Distortion {
                    radial: Radial::new(k, &[], PI),
                    shift: Shift { p1, p2: p0, prism_x: [s0, s1], prism_y: [s2, s3] },
                    shift_after_radial: true,
                })
            }
            (LensModel::Fov, [0.0]) => Self::Pinhole,
            (LensModel::Fov, &[omega]) => Self::Fov { omega },
            (LensModel::SimpleDivision | LensModel::Division, &[k]) => Self::Division { k },
            (LensModel::Eucm, &[alpha, beta]) => Self::Eucm { alpha, beta },
            _ => return None,
        })
    }
}

/// Behind the cone `z + this d = 0`, two rays have the same pixel (Khomutenko et al. 2016, eq. 12).
fn eucm_cone(alpha: f64) -> f64 {
    if alpha > 0.5 { (1.0 - alpha) / alpha } else { alpha / (1.0 - alpha) }
}

fn perspective(xy: DVec2, z: f64) -> Option<DVec2> {
    (z > MIN_DEPTH_RATIO).then(|| xy / z)
}

fn positive(value: f64) -> Option<f64> {
    (value > f64::EPSILON).then_some(value)
}
