//! Twin of `project_gut.wgsl` and `lib/response_gut.wgsl`: Gaussians evaluated along each pixel's ray (3DGUT).
//!
//! Written from the paper's formulas in world space, whereas the kernels use an algebraically equal expression in camera space: a
//! mistake in either one shows.

use glam::{DMat3, DQuat, DVec2, DVec3};

use super::rasterize::Pixel;
use super::{
    ALPHA_MIN, EPS2D_PX2, FAR_WORLD, Gaussians, NEAR_WORLD, Options, Picture, QUAT_MIN_LENGTH, sh_colour,
};
use crate::camera::Pose;
use crate::lens::{Lens, LensProjector};
use crate::shutter::RollingShutter;

/// Squared distance of the outer sigma points from the mean, in standard deviations: `3 + lambda` with
/// `lambda = alpha² (3 + kappa) - 3`, alpha 0.1, kappa 0 (gsplat).
pub const SPREAD_SQUARED: f64 = 0.03;
/// Weight of the mean itself among the means: `lambda / (3 + lambda)`.
const CENTRE_WEIGHT_MEAN: f64 = -99.0;
/// The same for the covariances: `+ 1 - alpha² + beta`, beta 2.
const CENTRE_WEIGHT: f64 = -96.01;
/// Weight of each outer point: `1 / (2 (3 + lambda))`.
const OUTER_WEIGHT: f64 = 1.0 / 0.06;

/// A view through any lens.
#[derive(Clone, Debug)]
pub struct LensView {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// World to camera, with a global shutter.
    pub cam_from_world: Pose,
    /// Motion of the camera during readout; replaces `cam_from_world`.
    pub rolling_shutter: Option<RollingShutter>,
    lens: LensProjector,
    /// Ray of every pixel's centre, in camera space.
    rays: Vec<Option<DVec3>>,
}

impl LensView {
    /// `None` if [`Lens::validate`] fails.
    #[must_use]
    pub fn new(lens: &Lens, cam_from_world: Pose) -> Option<Self> {
        let (width, height, projector) = (lens.width, lens.height, lens.projector()?);
        let places = (0..height).flat_map(|row| (0..width).map(move |column| (column, row)));
        let ray =
            |(column, row)| projector.unproject(DVec2::new(f64::from(column) + 0.5, f64::from(row) + 0.5));
        let rays = places.map(ray).collect();
        Some(Self { width, height, cam_from_world, rolling_shutter: None, lens: projector, rays })
    }

    /// The pose used for sorting and colours.
    #[must_use]
    pub fn middle(&self) -> Pose {
        self.rolling_shutter.map_or(self.cam_from_world, |shutter| shutter.middle())
    }

    /// The pixel of a world point.
    fn see(&self, point: DVec3) -> Option<DVec2> {
        match &self.rolling_shutter {
            Some(shutter) => shutter.project(&self.lens, (self.width, self.height), point),
            None => self.lens.project(self.cam_from_world.transform_point(point)),
        }
    }

    /// Origin and direction of a pixel's ray in world coordinates.
    fn world_ray(&self, index: usize) -> Option<(DVec3, DVec3)> {
        let ray = (*self.rays.get(index)?)?;
        let (column, row) = (index % self.width as usize, index / self.width as usize);
        let place = DVec2::new(column as f64 + 0.5, row as f64 + 0.5);
        let pose = match &self.rolling_shutter {
            Some(shutter) => shutter.pose_at(shutter.direction.time_at(place, self.width, self.height)),
            None => self.cam_from_world,
        };
        let world_from_cam = pose.inverse();
        Some((world_from_cam.translation, world_from_cam.rotation * ray))
    }
}

/// A Gaussian prepared for evaluation along rays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ellipsoid {
    /// Index of its Gaussian.
    pub gaussian: usize,
    /// `diag(1/s) Rᵀ`: from world coordinates to those in which the Gaussian is a unit sphere.
    pub whiten: DMat3,
    /// Centre in the world.
    pub mean: DVec3,
    /// Bounds in pixels, outside of which it is not evaluated.
    pub bounds: (DVec2, DVec2),
    /// Sort key, world units.
    pub depth: f64,
    /// Opacity 0..1.
    pub opacity: f64,
    /// Colour from this camera.
    pub rgb: [f64; 3],
}

/// Projects, sorts and blends along rays: the complete forward pass.
#[must_use]
pub fn render_gut(gaussians: &Gaussians, view: &LensView, options: &Options) -> Picture {
    let mut order: Vec<Ellipsoid> = project_gut(gaussians, view).into_iter().flatten().collect();
    order.sort_by(|a, b| a.depth.total_cmp(&b.depth)); // stable
    rasterize_gut(&order, view, options)
}

/// Computes each Gaussian's bounds by the unscented transform; `None` if it is culled.
///
/// # Source
/// 3DGUT (Wu et al. 2025), section 3.2, with gsplat's constants. Sigma points outside of the lens's field of view are mirrored.
#[must_use]
pub fn project_gut(gaussians: &Gaussians, view: &LensView) -> Vec<Option<Ellipsoid>> {
    (0..gaussians.means.len()).map(|index| project_one(gaussians, index, view)).collect()
}

fn project_one(gaussians: &Gaussians, index: usize, view: &LensView) -> Option<Ellipsoid> {
    let mean = DVec3::from_array(*gaussians.means.get(index)?);
    let [w, x, y, z] = *gaussians.quats.get(index)?;
    let scale = DVec3::from_array(gaussians.log_scales.get(index)?.map(f64::exp));
    let opacity = 1.0 / (1.0 + (-*gaussians.opacity_logits.get(index)?).exp());
    let per_gaussian = (gaussians.sh_degree as usize + 1).pow(2);
    let coeffs = gaussians.sh_coeffs.get(index * per_gaussian..(index + 1) * per_gaussian)?;
    let rgb = sh_colour(coeffs, (mean - view.middle().centre()).normalize_or_zero());

    let quat = DQuat::from_xyzw(x, y, z, w);
    let length_squared = quat.length_squared();
    let has_direction = length_squared > QUAT_MIN_LENGTH.powi(2) && length_squared.is_finite();
    let rotation = DMat3::from_quat(if has_direction { quat.normalize() } else { DQuat::IDENTITY });
    let whiten = DMat3::from_diagonal(scale.recip()) * rotation.transpose();

    let see = |point: DVec3| view.see(point);
    let cam = view.middle().transform_point(mean);
    let depth = view.lens.depth(cam);
    let centre = see(mean)?;
    let finite = opacity.is_finite() && rgb.iter().all(|c| c.is_finite()) && whiten.is_finite();
    if !(depth > NEAR_WORLD && depth < FAR_WORLD) || opacity < ALPHA_MIN || !finite {
        return None;
    }
    let bound = 2.0 * (opacity / ALPHA_MIN).ln();
    let room = 1.0 - bound / (whiten * (mean - view.middle().centre())).length_squared();
    let everywhere = (DVec2::NEG_INFINITY, DVec2::INFINITY);
    let bounds = if room > 0.01 {
        sigma_points(mean, rotation, scale, centre, &see).map_or(everywhere, |points| {
            let (mean2d, variance) = moments(centre, &points);
            let extent = DVec2::new((bound / room * variance.x).sqrt(), (bound / room * variance.y).sqrt());
            (mean2d - extent, mean2d + extent)
        })
    } else {
        everywhere
    };
    let size = DVec2::new(f64::from(view.width), f64::from(view.height));
    let inside = bounds.1.cmpgt(DVec2::ZERO).all() && bounds.0.cmplt(size).all();
    inside.then_some(Ellipsoid { gaussian: index, whiten, mean, bounds, depth, opacity, rgb })
}

/// Pixels of the six outer points; `None` if the lens maps neither of two opposite ones.
fn sigma_points(
    mean: DVec3,
    rotation: DMat3,
    scale: DVec3,
    centre: DVec2,
    see: &dyn Fn(DVec3) -> Option<DVec2>,
) -> Option<[DVec2; 6]> {
    let mut points = [centre; 6];
    for axis in 0..3 {
        let step = rotation.col(axis) * (SPREAD_SQUARED.sqrt() * scale[axis]);
        let pair = [see(mean + step), see(mean - step)];
        let mirrored = |point: DVec2| 2.0 * centre - point;
        let [above, below] = pair;
        points[2 * axis] = above.or(below.map(mirrored))?;
        points[2 * axis + 1] = below.or(above.map(mirrored))?;
    }
    Some(points)
}

/// Mean and variances of the seven points, with the low-pass filter that applies to bounds only.
fn moments(centre: DVec2, points: &[DVec2; 6]) -> (DVec2, DVec2) {
    let mean = CENTRE_WEIGHT_MEAN * centre + OUTER_WEIGHT * points.iter().sum::<DVec2>();
    let square = |d: DVec2| d * d;
    let variance = CENTRE_WEIGHT * square(centre - mean)
        + OUTER_WEIGHT * points.iter().map(|point| square(*point - mean)).sum::<DVec2>();
    (mean, variance.max(DVec2::ZERO) + EPS2D_PX2)
}

/// Blends Gaussians, front to back in the order given, along the ray of every pixel.
///
/// With `o` the camera and `d` the pixel's ray in the world: `g_o = A (o - mean)`, `g_d = A d / |A d|`, skipped where
/// `-g_d . g_o < 0`; `a = min(0.99, opacity exp(-|g_d x g_o|² / 2))`. Pixels without a ray show the background.
/// If a pixel outside of a Gaussian's bounds would still be affected by it, its jump distance is 0, since the kernel may cut it
/// off.
///
/// # Source
/// 3DGUT (Wu et al. 2025), section 3.3; blending as in [`super::rasterize()`].
#[must_use]
pub fn rasterize_gut(ellipsoids: &[Ellipsoid], view: &LensView, options: &Options) -> Picture {
    let mut pixels = vec![Pixel::default(); view.width as usize * view.height as usize];
    for (index, pixel) in pixels.iter_mut().enumerate() {
        let (column, row) = (index % view.width as usize, index / view.width as usize);
        let place = DVec2::new(column as f64 + 0.5, row as f64 + 0.5);
        let Some((origin, ray)) = view.world_ray(index) else { continue };
        for ellipsoid in ellipsoids {
            let Some(exponent) = ellipsoid.exponent(origin, ray) else { continue };
            let (low, high) = ellipsoid.bounds;
            if ellipsoid.opacity * (-exponent).exp() >= ALPHA_MIN
                && !(place.cmpge(low).all() && place.cmple(high).all())
            {
                pixel.jump_distance = 0.0;
            }
            pixel.blend(exponent, ellipsoid.opacity, ellipsoid.rgb, ellipsoid.depth);
        }
    }
    Picture::of(view.width, view.height, &pixels, options)
}

impl Ellipsoid {
    /// Half the squared closest distance of a ray in standard deviations; `None` if that point is behind the origin.
    pub(crate) fn exponent(&self, origin: DVec3, ray: DVec3) -> Option<f64> {
        let from_mean = self.whiten * (origin - self.mean);
        let direction = (self.whiten * ray).try_normalize()?;
        if -direction.dot(from_mean) < 0.0 {
            return None;
        }
        Some(0.5 * direction.cross(from_mean).length_squared())
    }
}
