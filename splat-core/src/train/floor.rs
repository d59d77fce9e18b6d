//! Scale floors: how small a Gaussian may be before no training photo can tell.

use glam::DVec3;
use rayon::prelude::*;

use super::densify::Record;
use crate::Result;
use crate::camera::Pose;
use crate::dataset::Dataset;
use crate::lens::LensProjector;
use crate::render::rays::projector_of;

/// A photo counts a little beyond its edges, in shares of its size (Mip-Splatting's authors' code).
const MARGIN: f64 = 0.15;
/// Nearer Gaussians (world units along the axis, or away) say nothing of a sampling rate.
const NEAR_WORLD: f64 = 0.01;

/// The training cameras, as far as sampling rates go.
#[derive(Debug)]
pub(super) struct Sampling {
    views: Vec<Sampler>,
}

#[derive(Debug)]
struct Sampler {
    cam_from_world: Pose,
    lens: LensProjector,
    /// Pixels a radian near the axis.
    focal_px: f64,
    size: [f64; 2],
}

impl Sampling {
    /// Of a dataset's training views at full size.
    pub(super) fn new(dataset: &Dataset) -> Result<Self> {
        let sampler = |&view: &usize| {
            let camera = dataset.full_lens_camera(view);
            let k = dataset.camera(view).intrinsics;
            Ok(Sampler {
                cam_from_world: camera.middle(),
                lens: projector_of(&camera.lens)?,
                focal_px: k.fx.max(k.fy),
                size: [f64::from(k.width), f64::from(k.height)],
            })
        };
        Ok(Self { views: dataset.train.iter().map(sampler).collect::<Result<_>>()? })
    }

    /// Sets the floor of every Gaussian: `pixels` (a variance, square pixels) at the highest sampling rate that a training
    /// view sees it with. Gaussians that none sees keep theirs.
    ///
    /// # Source
    /// Mip-Splatting (Yu et al. 2024), eq. 7 to 9: the rate is the focal length over the depth.
    pub(super) fn set_floors(&self, geometry: &mut [Record], pixels: f32) {
        geometry.par_iter_mut().for_each(|record| {
            let mean = DVec3::new(record[0].into(), record[1].into(), record[2].into());
            let rate = self.views.iter().filter_map(|view| view.rate(mean)).fold(0.0, f64::max);
            if rate > 0.0 {
                record[11] = (f64::from(pixels) / (rate * rate)) as f32;
            }
        });
    }
}

impl Sampler {
    /// Pixels a world unit at a point; `None` where the photo does not show it.
    fn rate(&self, mean: DVec3) -> Option<f64> {
        let point = self.cam_from_world.transform_point(mean);
        let depth = self.lens.depth(point);
        if !(depth > NEAR_WORLD) {
            return None;
        }
        let pixel = self.lens.project(point)?;
        let inside = |at: f64, size: f64| at > -MARGIN * size && at < (1.0 + MARGIN) * size;
        (inside(pixel.x, self.size[0]) && inside(pixel.y, self.size[1])).then_some(self.focal_px / depth)
    }
}
