//! Twin of `project.wgsl`: projects 3-D Gaussians to 2-D splats, and sorts them front to back.

use glam::{DMat3, DQuat, DVec2, DVec3};

use super::{
    COMPENSATION_MIN, DET_MIN, EPS2D_PX2, EXTENT_SIGMAS, FAR_WORLD, Gaussians, JACOBIAN_MARGIN, NEAR_WORLD,
    Options, QUAT_MIN_LENGTH, View, sh_colour,
};

/// The footprint of one Gaussian in one view.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Splat {
    /// Index of its Gaussian.
    pub gaussian: usize,
    /// Centre, in pixels.
    pub mean2d: DVec2,
    /// Inverse of the blurred covariance, upper triangle `A, B, C`, px⁻²: the density falls as
    /// `exp(-(A dx² + C dy²) / 2 - B dx dy)`.
    pub conic: [f64; 3],
    /// Half-extents in pixels of the box that holds it: `ceil(3.33 sigma)` along x and y.
    pub radii: DVec2,
    /// Camera z, in world units.
    pub depth: f64,
    /// Opacity 0..1; with antialiasing, after compensation.
    pub opacity: f64,
    /// Colour from this camera.
    pub rgb: [f64; 3],
}

/// Projects every Gaussian to its footprint in one view; `None` if it is culled.
///
/// The covariance is `J W Σ Wᵀ Jᵀ + 0.3 I` with `W` the view's linear part, `Σ = R diag(s²) Rᵀ` and
/// `J` the projection's Jacobian at the mean. In `J` (only) the mean's `x/z` and `y/z` are clamped to
/// the image grown by 0.3 half-images a side. Culled: non-finite values, depths outside `near..far`,
/// and boxes of 3.33 sigma that miss the image. A zero or non-finite quaternion is the identity.
///
/// # Source
/// EWA Splatting (Zwicker et al. 2002), eq. 29 and 31; clamp, low-pass and culls as in gsplat.
#[must_use]
pub fn project(gaussians: &Gaussians, view: &View, options: &Options) -> Vec<Option<Splat>> {
    (0..gaussians.means.len()).map(|index| project_one(gaussians, index, view, options)).collect()
}

fn project_one(gaussians: &Gaussians, index: usize, view: &View, options: &Options) -> Option<Splat> {
    let mean = DVec3::from_array(*gaussians.means.get(index)?);
    let [w, x, y, z] = *gaussians.quats.get(index)?;
    let scale = DVec3::from_array(gaussians.log_scales.get(index)?.map(f64::exp));
    let logit = *gaussians.opacity_logits.get(index)?;
    let per_gaussian = (gaussians.sh_degree as usize + 1).pow(2);
    let coeffs = gaussians.sh_coeffs.get(index * per_gaussian..(index + 1) * per_gaussian)?;

    let linear = view.linear();
    let cam = linear * mean + view.translation();
    let depth = cam.z;
    if !(depth > NEAR_WORLD && depth < FAR_WORLD) {
        return None;
    }
    let quat = DQuat::from_xyzw(x, y, z, w);
    let length_squared = quat.length_squared();
    let has_direction = length_squared > QUAT_MIN_LENGTH.powi(2) && length_squared.is_finite();
    let unit = if has_direction { quat / length_squared.sqrt() } else { DQuat::IDENTITY };
    let rotation = DMat3::from_quat(unit);
    let axes = linear * rotation * DMat3::from_diagonal(scale);
    let covariance3d = axes * axes.transpose();

    let pinhole = &view.intrinsics;
    let mean2d = DVec2::new(pinhole.fx * cam.x / depth + pinhole.cx, pinhole.fy * cam.y / depth + pinhole.cy);
    let (width, height) = (f64::from(pinhole.width), f64::from(pinhole.height));
    let slope_x = clamp_slope(cam.x / depth, pinhole.fx, pinhole.cx, width);
    let slope_y = clamp_slope(cam.y / depth, pinhole.fy, pinhole.cy, height);
    let row_x = DVec3::new(pinhole.fx / depth, 0.0, -pinhole.fx * slope_x / depth);
    let row_y = DVec3::new(0.0, pinhole.fy / depth, -pinhole.fy * slope_y / depth);

    let xx = row_x.dot(covariance3d * row_x);
    let xy = row_x.dot(covariance3d * row_y);
    let yy = row_y.dot(covariance3d * row_y);
    let det_sharp = xx * yy - xy * xy;
    let (xx, yy) = (xx + EPS2D_PX2, yy + EPS2D_PX2);
    let det = (xx * yy - xy * xy).max(DET_MIN);
    let conic = [yy / det, -xy / det, xx / det];

    let radii = DVec2::new((EXTENT_SIGMAS * xx.sqrt()).ceil(), (EXTENT_SIGMAS * yy.sqrt()).ceil());
    let inside = mean2d.x + radii.x > 0.0
        && mean2d.x - radii.x < width
        && mean2d.y + radii.y > 0.0
        && mean2d.y - radii.y < height;
    let opacity = 1.0 / (1.0 + (-logit).exp());
    let compensation =
        if options.antialiased { (det_sharp / det).max(COMPENSATION_MIN.powi(2)).sqrt() } else { 1.0 };
    let rgb = sh_colour(coeffs, (mean - view.centre()).normalize_or_zero());
    let finite = conic.iter().chain(&rgb).all(|value| value.is_finite())
        && mean2d.is_finite()
        && radii.is_finite()
        && opacity.is_finite()
        && coeffs.iter().flatten().all(|value| value.is_finite());
    (inside && finite).then_some(Splat {
        gaussian: index,
        mean2d,
        conic,
        radii,
        depth,
        opacity: opacity * compensation,
        rgb,
    })
}

/// Clamps `x / z` to the image's own range, grown by [`JACOBIAN_MARGIN`] half-images a side.
fn clamp_slope(slope: f64, focal_px: f64, centre_px: f64, size_px: f64) -> f64 {
    let margin = JACOBIAN_MARGIN * 0.5 * size_px / focal_px;
    slope.min((size_px - centre_px) / focal_px + margin).max(-centre_px / focal_px - margin)
}

/// The visible splats, front to back by depth; equal depths keep the order of the Gaussians.
#[must_use]
pub fn sort(splats: &[Option<Splat>]) -> Vec<Splat> {
    let mut order: Vec<Splat> = splats.iter().flatten().copied().collect();
    order.sort_by(|a, b| a.depth.total_cmp(&b.depth)); // stable
    order
}
