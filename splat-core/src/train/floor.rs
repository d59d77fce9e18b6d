//! Limits on what the training photos can show: the smallest size that they resolve, and the nearest distance.

use glam::DVec3;
use rayon::prelude::*;

use super::frame::SceneFrame;
use super::known_depths::nearest;
use crate::Result;
use crate::camera::Pose;
use crate::dataset::Dataset;
use crate::gaussians::GaussianCloud;
use crate::gpu::layout::Gaussian;
use crate::lens::LensProjector;

/// Margin around a photo within which a Gaussian counts as visible, relative to its size (Mip-Splatting's authors' code).
const MARGIN: f64 = 0.15;

/// Points of structure-from-motion used for the nearest distance of each view: enough for its lowest two per cent.
const POINTS: usize = 10_000;

/// Sampling rates of the training cameras.
#[derive(Debug)]
pub(super) struct Sampling {
    views: Vec<Sampler>,
    /// Near plane, units of the run's frame.
    near: f64,
}

#[derive(Debug)]
struct Sampler {
    cam_from_world: Pose,
    lens: LensProjector,
    /// Pixels per radian near the axis.
    focal_px: f64,
    size: [f64; 2],
    /// Lower bound of distances in the photo, units of the run's frame; 0 if unknown.
    nearest: f64,
}

impl Sampling {
    /// For a dataset's training views at full size, in the run's frame.
    pub(super) fn new(dataset: &Dataset, frame: SceneFrame) -> Result<Self> {
        let near = f64::from(frame.near());
        let stride = (dataset.scene.points.len() / POINTS).max(1);
        let points = dataset.scene.points.iter().step_by(stride);
        let points: Vec<DVec3> = points.map(|point| DVec3::from_array(frame.point(point).position)).collect();
        let sampler = |&view: &usize| {
            let sampler = Sampler::new(dataset, frame, view)?;
            let distances = points.iter().filter_map(|&point| sampler.distance(point, near));
            let nearest = nearest(distances.collect());
            Ok(Sampler { nearest, ..sampler })
        };
        Ok(Self { near, views: dataset.train.par_iter().map(sampler).collect::<Result<_>>()? })
    }

    /// Sets the floor of every Gaussian: `pixels` (a variance, square pixels) at the highest sampling rate among the training views
    /// that show it. Gaussians that are in no view keep theirs.
    ///
    /// # Source
    /// Mip-Splatting (Yu et al. 2024), eq. 7 to 9: the rate is the focal length over the depth.
    pub(super) fn set_floors(&self, geometry: &mut [Gaussian], pixels: f32) {
        geometry.par_iter_mut().for_each(|gaussian| {
            let mean = DVec3::from_array(gaussian.mean.map(f64::from));
            let rate = self.views.iter().filter_map(|view| view.rate(mean, self.near)).fold(0.0, f64::max);
            if rate > 0.0 {
                gaussian.scale_floor = (f64::from(pixels) / (rate * rate)) as f32;
            }
        });
    }
}

impl Sampling {
    /// Fades Gaussians that are in front of everything that one of the photos shows: their opacity logits are limited to `faint`.
    /// They are veils, which only explain the colours of that photo.
    pub(super) fn fade_veils(&self, geometry: &mut [Gaussian], faint: f32) {
        geometry.par_iter_mut().for_each(|gaussian| {
            let mean = DVec3::from_array(gaussian.mean.map(f64::from));
            let is_veil = |view: &Sampler| {
                view.nearest > 0.0
                    && view.distance(mean, self.near).is_some_and(|distance| distance < view.nearest)
            };
            if gaussian.opacity_logit > faint && self.views.iter().any(is_veil) {
                gaussian.opacity_logit = faint;
            }
        });
    }
}

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

impl Sampler {
    fn new(dataset: &Dataset, frame: SceneFrame, view: usize) -> Result<Self> {
        let camera = frame.camera(&dataset.camera(view));
        let k = dataset.pinhole_camera(view).intrinsics;
        Ok(Self {
            cam_from_world: camera.middle(),
            lens: camera.lens.try_projector()?,
            focal_px: k.fx.max(k.fy),
            size: [f64::from(k.width), f64::from(k.height)],
            nearest: 0.0,
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
    fn distance(&self, point: DVec3, near: f64) -> Option<f64> {
        let point = self.cam_from_world.transform_point(point);
        let depth = self.lens.depth(point);
        if !(depth > near) {
            return None;
        }
        let pixel = self.lens.project(point)?.to_array();
        let inside = pixel.iter().zip(self.size).all(|(&at, size)| at > 0.0 && at < size);
        inside.then(|| point.length()).filter(|distance| distance.is_finite())
    }

    /// Pixels per unit of length at a point; `None` if it is not in the photo.
    fn rate(&self, mean: DVec3, near: f64) -> Option<f64> {
        let point = self.cam_from_world.transform_point(mean);
        let depth = self.lens.depth(point);
        if !(depth > near) {
            return None;
        }
        let pixel = self.lens.project(point)?;
        let inside = |at: f64, size: f64| at > -MARGIN * size && at < (1.0 + MARGIN) * size;
        (inside(pixel.x, self.size[0]) && inside(pixel.y, self.size[1])).then_some(self.focal_px / depth)
    }
}
