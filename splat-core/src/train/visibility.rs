//! What a dataset's views show of the scene.

use glam::DVec3;
use rayon::prelude::*;

use super::frame::SceneFrame;
use crate::Result;
use crate::camera::Pose;
use crate::dataset::Dataset;
use crate::gaussians::GaussianCloud;
use crate::lens::LensProjector;

/// Margin around a photo within which a Gaussian counts as visible, relative to its size (Mip-Splatting's authors' code).
pub(super) const MARGIN: f64 = 0.15;

/// Extent of a splat in standard deviations: where one of opacity 1 has alpha 1/255.
const EXTENT_SIGMAS: f64 = 3.33;
/// Smallest alpha that the rasterizer draws.
const MIN_ALPHA: f64 = 1.0 / 255.0;

/// Which Gaussians of a cloud (in the run's frame) may be visible in any of a dataset's views, including held-out ones. The others
/// do not change any of these images: they are too faint, nearer than the near plane, or their splats miss every image.
pub(super) fn seen_by_any(dataset: &Dataset, frame: SceneFrame, cloud: &GaussianCloud) -> Result<Vec<bool>> {
    let near = f64::from(frame.near());
    let views = dataset.train.iter().chain(&dataset.held_out);
    let views = views.map(|&view| Sampler::new(dataset, frame, view)).collect::<Result<Vec<_>>>()?;
    let rows = (0..cloud.len()).into_par_iter();
    Ok(rows
        .map(|i| {
            let opacity = 1.0 / (1.0 + (-f64::from(cloud.opacity_logits[i])).exp());
            let largest = cloud.log_scales[i].iter().copied().fold(f32::MIN, f32::max);
            let extent = EXTENT_SIGMAS * f64::from(largest).exp();
            let mean = DVec3::from_array(cloud.means[i].map(f64::from));
            opacity >= MIN_ALPHA && views.iter().any(|view| view.may_show(mean, extent, near))
        })
        .collect())
}

/// A view as a sampler of the scene, in the run's frame.
#[derive(Debug)]
pub(super) struct Sampler {
    pub(super) cam_from_world: Pose,
    pub(super) lens: LensProjector,
    /// Pixels per radian near the axis.
    pub(super) focal_px: f64,
    /// Width and height in pixels.
    pub(super) size: [f64; 2],
}

impl Sampler {
    pub(super) fn new(dataset: &Dataset, frame: SceneFrame, view: usize) -> Result<Self> {
        let camera = frame.camera(&dataset.camera(view));
        let k = dataset.pinhole_camera(view).intrinsics;
        Ok(Self {
            cam_from_world: camera.middle(),
            lens: camera.lens.try_projector()?,
            focal_px: k.fx.max(k.fy),
            size: [f64::from(k.width), f64::from(k.height)],
        })
    }

    /// Whether a splat around a point may touch the photo; `extent` is its radius. Conservative: a margin around the photo accounts for
    /// the stretching by lenses and by the first-order projection.
    fn may_show(&self, mean: DVec3, extent: f64, near: f64) -> bool {
        let point = self.cam_from_world.transform_point(mean);
        let depth = self.lens.depth(point);
        if depth.is_nan() || depth <= near {
            return false;
        }
        if point.length() <= 2.0 * extent {
            return true;
        }
        // If the lens does not map the mean, only a splat of large angular size can touch the image.
        let Some(pixel) = self.lens.project(point) else { return extent > 0.1 * depth };
        let beyond = 2.0 * self.focal_px * extent / depth;
        let inside = |at: f64, size: f64| {
            let margin = MARGIN * size + beyond;
            at > -margin && at < size + margin
        };
        inside(pixel.x, self.size[0]) && inside(pixel.y, self.size[1])
    }

    /// Distance of a point from the camera; `None` if it is not in the photo.
    pub(super) fn distance(&self, point: DVec3, near: f64) -> Option<f64> {
        let (point, _) = self.within(point, near, 0.0)?;
        Some(point.length()).filter(|distance| distance.is_finite())
    }

    /// A point in camera space and its depth; `None` if it is not in the photo or in the margin around it, relative to its size.
    pub(super) fn within(&self, point: DVec3, near: f64, margin: f64) -> Option<(DVec3, f64)> {
        let point = self.cam_from_world.transform_point(point);
        let depth = self.lens.depth(point);
        if !(depth > near) {
            return None;
        }
        let pixel = self.lens.project(point)?.to_array();
        let is_inside = |(at, size): (f64, f64)| at > -margin * size && at < (1.0 + margin) * size;
        pixel.into_iter().zip(self.size).all(is_inside).then_some((point, depth))
    }
}
