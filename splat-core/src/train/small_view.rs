//! Reduced training photos, for the analysis before the first step.

use std::sync::Arc;

use glam::DVec2;

use super::frame::SceneFrame;
use crate::camera::Pose;
use crate::dataset::Dataset;
use crate::images::PackedImage;
use crate::lens::LensProjector;
use crate::{Error, Result};

/// Approximate longest side of a reduced photo in pixels: larger ones would need proportionally more depth samples.
const LONGEST_SIDE: u32 = 128;
/// Pixels whose mask is darker than this are not trained on.
pub(super) const MIN_ALPHA: u8 = 128;

/// A reduced training photo.
#[derive(Debug)]
pub(super) struct SmallView {
    pub(super) photo: Arc<PackedImage>,
    pub(super) lens: LensProjector,
    /// Focal length in pixels of the reduced photo.
    pub(super) focal_px: f64,
    /// Pose in the run's frame; with a rolling shutter, in the middle of the exposure.
    pub(super) cam_from_world: Pose,
}

impl SmallView {
    /// The training views of a dataset, in their order.
    ///
    /// # Errors
    /// [`Error::View`] for a photo that cannot be read.
    pub(super) fn of_training_views(dataset: &Dataset, frame: SceneFrame) -> Result<Vec<Self>> {
        let mut views = Vec::with_capacity(dataset.train.len());
        for (index, &view) in dataset.train.iter().enumerate() {
            // Prefetched by the dataset's own threads, within its memory budget.
            for &next in dataset.train.iter().skip(index + 1).take(2) {
                dataset.prefetch(next, shrinking(dataset, next));
            }
            views.push(Self::new(dataset, frame, view)?);
        }
        Ok(views)
    }

    fn new(dataset: &Dataset, frame: SceneFrame, view: usize) -> Result<Self> {
        let photo = dataset.image(view, shrinking(dataset, view))?;
        let focal_px = dataset.pinhole_camera(view).intrinsics.resized(photo.width, photo.height).fx;
        let camera = frame.camera(&dataset.camera_at(view, photo.width, photo.height));
        let lens = camera.lens.try_projector().map_err(|error| Error::View {
            name: dataset.scene.views[view].name.clone(),
            source: Box::new(error),
        })?;
        Ok(Self { photo, lens, focal_px, cam_from_world: camera.middle() })
    }

    /// The pixel that contains a point of the image.
    pub(super) fn pixel_at(&self, place: DVec2) -> Option<[i64; 2]> {
        let size = DVec2::new(self.photo.width.into(), self.photo.height.into());
        let inside = place.cmpge(DVec2::ZERO).all() && place.cmplt(size).all();
        inside.then_some([place.x as i64, place.y as i64])
    }

    /// Red, green, blue and alpha, clamped to the edge.
    pub(super) fn colour(&self, [x, y]: [i64; 2]) -> [u8; 4] {
        let (width, height) = (i64::from(self.photo.width), i64::from(self.photo.height));
        let index = y.clamp(0, height - 1) * width + x.clamp(0, width - 1);
        self.photo.pixels[index as usize].to_le_bytes()
    }

    /// The colours of the 3x3 neighbourhood of a pixel.
    pub(super) fn patch(&self, [x, y]: [i64; 2]) -> [[u8; 3]; 9] {
        std::array::from_fn(|i| {
            let [r, g, b, _] = self.colour([x + i as i64 % 3 - 1, y + i as i64 / 3 - 1]);
            [r, g, b]
        })
    }
}

/// Reduction factor from a photo's full training size.
fn shrinking(dataset: &Dataset, view: usize) -> u32 {
    let size = dataset.pinhole_camera(view).intrinsics;
    size.width.max(size.height).div_ceil(LONGEST_SIDE)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
pub(super) mod tests {
    use glam::DVec3;

    use super::*;
    use crate::camera::Pinhole;
    use crate::dataset::DatasetOptions;
    use crate::lens::Lens;
    use crate::scene::{Scene, SeedPoint, View};

    /// A wall of blotches at z = 4, photographed by six cameras in a row that look at it; each photo's channels are multiplied by
    /// its factors.
    pub(in crate::train) fn wall(
        dir: &std::path::Path,
        points: Vec<SeedPoint>,
        factors: impl Fn(usize) -> [f64; 3],
    ) -> Dataset {
        let (width, height) = (96, 64);
        let lens = Lens::pinhole(Pinhole { width, height, fx: 80.0, fy: 80.0, cx: 48.0, cy: 32.0 });
        let view = |i: u32| {
            let eye = DVec3::new(0.35 * f64::from(i) - 0.9, 0.1 * f64::from(i % 2), 0.0);
            let cam_from_world = Pose::look_at(eye, DVec3::new(0.0, 0.0, 4.0), DVec3::Y);
            let name = format!("{i}.png");
            let image_path = dir.join(&name);
            let photo = image::RgbImage::from_fn(width, height, |x, y| {
                let ray = lens.unproject(DVec2::new(f64::from(x) + 0.5, f64::from(y) + 0.5)).unwrap();
                let ray = cam_from_world.inverse().rotation * ray;
                let at = eye + ray * ((4.0 - eye.z) / ray.z);
                let blotch = |a: f64, b: f64| 127.0 + 100.0 * (a * at.x + (b * at.y).sin() * 3.0).sin();
                let colour = [blotch(7.0, 5.0), blotch(-4.0, 9.0), blotch(11.0, 3.0)];
                let factors = factors(i as usize);
                image::Rgb(std::array::from_fn(|c| (colour[c] * factors[c]) as u8))
            });
            photo.save(&image_path).unwrap();
            View {
                name,
                image_path,
                mask_path: None,
                lens: lens.clone(),
                cam_from_world,
                rolling_shutter: None,
            }
        };
        let scene = Scene { views: (0..6).map(view).collect(), points, ..Scene::default() };
        Dataset::new(scene, &DatasetOptions { holdout_every: None, ..DatasetOptions::default() }).unwrap()
    }
}
