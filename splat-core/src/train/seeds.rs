//! Where the first Gaussians stand: at the points that structure-from-motion found and, where these are few, where the photos
//! agree.
//!
//! A plane sweep (Collins 1996) along single rays: of a random pixel, the depth at which neighbouring photos show most nearly
//! what surrounds it. A patch without texture fits everywhere; its depth is then as good as a random one, and its colour right.

use std::sync::Arc;

use glam::{DVec2, DVec3};
use rayon::prelude::*;

use super::frame::SceneFrame;
use super::memory::PIXELS_PER_GAUSSIAN;
use crate::camera::Pose;
use crate::dataset::Dataset;
use crate::images::PackedImage;
use crate::lens::LensProjector;
use crate::random::Random;
use crate::render::rays::projector_of;
use crate::scene::SeedPoint;
use crate::{Error, Result};

/// No scene begins with fewer.
const FEWEST: u64 = 50;
/// Photos are compared at about this size, pixels on their longest side: finer ones would need as many more depths.
const LONGEST_SIDE: u32 = 128;
/// Fewest and most depths tried on a ray, evenly apart in 1 / depth: as many as move a pixel by one in the next photo.
const DEPTHS: [f64; 2] = [32.0, 512.0];
/// Photos that a pixel is looked for in: the nearest to its own that are not too near.
const NEIGHBOURS: usize = 4;
/// Nearer to each other than this, in units of the run's frame, photos say little about depth.
const TOO_NEAR: f64 = 0.2;
/// Of them, this many have to agree: the others may not see the place.
const AGREEING: usize = 2;
/// Nearest and farthest depth tried, in units of the frame.
const SWEEP: [f64; 2] = [0.15, 30.0];
/// The same of a random depth, where no two photos see a pixel's ray.
const UNSEEN: [f64; 2] = [0.1, 3.0];
/// Darker in a mask than this, a pixel is not trained on.
const MIN_ALPHA: u8 = 128;

/// The scene's points in the run's frame and, if they are fewer than `least`, so many that the training photos agree on. The
/// same `seed` gives the same points.
///
/// # Errors
/// [`Error::View`] for a photo that cannot be read.
pub(super) fn seed_points(
    dataset: &Dataset,
    frame: SceneFrame,
    least: u32,
    seed: u64,
) -> Result<Vec<SeedPoint>> {
    let finite = |point: &SeedPoint| point.position.iter().all(|v| v.is_finite());
    let mut points: Vec<SeedPoint> =
        dataset.scene.points.iter().map(|point| frame.point(point)).filter(finite).collect();
    // Four bytes per pixel. There would be nothing to tell more points apart by.
    let worthwhile = dataset.image_bytes() / 4 / PIXELS_PER_GAUSSIAN;
    let count = u64::from(least).min(worthwhile).max(FEWEST) as usize;
    if points.len() >= count {
        return Ok(points);
    }
    let mut eyes = Vec::with_capacity(dataset.train.len());
    for (index, &view) in dataset.train.iter().enumerate() {
        // Decoded ahead by the dataset's own threads, whose memory is accounted for.
        for &next in dataset.train.iter().skip(index + 1).take(2) {
            dataset.prefetch(next, shrinking(dataset, next));
        }
        eyes.push(Eye::new(dataset, frame, view)?);
    }
    let sweep = Sweep::new(eyes);
    // Drawn one after the other, followed side by side: the same points on any number of threads.
    let rays = sweep.rays(count.saturating_sub(points.len()), seed);
    points.par_extend(rays.par_iter().map(|ray| sweep.point(ray)).filter(finite));
    Ok(points)
}

/// How much smaller than its full training size a photo is compared.
fn shrinking(dataset: &Dataset, view: usize) -> u32 {
    let size = dataset.camera(view).intrinsics;
    size.width.max(size.height).div_ceil(LONGEST_SIDE)
}

/// A training photo, small.
struct Eye {
    photo: Arc<PackedImage>,
    lens: LensProjector,
    /// Focal length in its pixels.
    focal_px: f64,
    cam_from_world: Pose,
}

impl Eye {
    fn new(dataset: &Dataset, frame: SceneFrame, view: usize) -> Result<Self> {
        let photo = dataset.image(view, shrinking(dataset, view))?;
        let focal_px = dataset.camera(view).intrinsics.resized(photo.width, photo.height).fx;
        let camera = frame.camera(&dataset.lens_camera(view, photo.width, photo.height));
        let lens = projector_of(&camera.lens).map_err(|error| Error::View {
            name: dataset.scene.views[view].name.clone(),
            source: Box::new(error),
        })?;
        Ok(Self { photo, lens, focal_px, cam_from_world: camera.middle() })
    }

    /// The pixel at a place of the picture.
    fn pixel_at(&self, place: DVec2) -> Option<[i64; 2]> {
        let size = DVec2::new(self.photo.width.into(), self.photo.height.into());
        let inside = place.cmpge(DVec2::ZERO).all() && place.cmplt(size).all();
        inside.then_some([place.x as i64, place.y as i64])
    }

    /// Red, green, blue and alpha; beyond the edges the nearest pixel's.
    fn colour(&self, [x, y]: [i64; 2]) -> [u8; 4] {
        let (width, height) = (i64::from(self.photo.width), i64::from(self.photo.height));
        let index = y.clamp(0, height - 1) * width + x.clamp(0, width - 1);
        self.photo.pixels[index as usize].to_le_bytes()
    }

    /// The colours of the 3x3 pixels around one.
    fn patch(&self, [x, y]: [i64; 2]) -> [[u8; 3]; 9] {
        std::array::from_fn(|i| {
            let [r, g, b, _] = self.colour([x + i as i64 % 3 - 1, y + i as i64 / 3 - 1]);
            [r, g, b]
        })
    }
}

/// The ray of a pixel, and where on it to begin.
struct Ray {
    eye: usize,
    pixel: [i64; 2],
    /// In the camera's frame.
    direction: DVec3,
    /// Shifts the depths tried by a share of their distance, so that points do not lie in shells.
    shift: f64,
    /// A share of the way, should no photo tell.
    guess: f64,
}

struct Sweep {
    eyes: Vec<Eye>,
    /// Of each eye, those that see what it sees from elsewhere, and how far away the farthest of them is.
    neighbours: Vec<(Vec<usize>, f64)>,
}

impl Sweep {
    fn new(eyes: Vec<Eye>) -> Self {
        let centres: Vec<DVec3> = eyes.iter().map(|eye| eye.cam_from_world.centre()).collect();
        let nearest = |&from: &DVec3| {
            let distance = |to: usize| centres[to].distance(from);
            // From the same place every depth looks alike.
            let mut others: Vec<usize> = (0..centres.len()).filter(|&to| distance(to) > 1e-3).collect();
            let rank = |to: usize| (distance(to) < TOO_NEAR, distance(to));
            others.sort_by(|&a, &b| {
                let ((near_a, a), (near_b, b)) = (rank(a), rank(b));
                near_a.cmp(&near_b).then(a.total_cmp(&b))
            });
            others.truncate(NEIGHBOURS);
            let farthest = others.iter().map(|&to| distance(to)).fold(0.0, f64::max);
            (others, farthest)
        };
        let neighbours = centres.iter().map(nearest).collect();
        Self { eyes, neighbours }
    }

    /// Rays of `count` random pixels that are trained on, from each eye in turn.
    fn rays(&self, count: usize, seed: u64) -> Vec<Ray> {
        const PURPOSE: u64 = 0x7365_6564; // "seed"
        let mut random = Random::new(seed, PURPOSE, 0);
        let mut rays = Vec::with_capacity(count);
        // The bound ends the search among photos that are masked all over.
        for attempt in 0..count.saturating_mul(4) {
            let (Some(eye), true) = (attempt.checked_rem(self.eyes.len()), rays.len() < count) else { break };
            let (u, v) = (random.uniform(), random.uniform());
            let (shift, guess) = (random.uniform(), random.uniform());
            let Eye { photo, lens, .. } = &self.eyes[eye];
            let place = DVec2::new(u * f64::from(photo.width), v * f64::from(photo.height));
            let (Some(pixel), Some(direction)) = (self.eyes[eye].pixel_at(place), lens.unproject(place))
            else {
                continue;
            };
            if self.eyes[eye].colour(pixel)[3] >= MIN_ALPHA {
                rays.push(Ray { eye, pixel, direction, shift, guess });
            }
        }
        rays
    }

    /// The place on a ray that most photos agree on, in its pixel's colour.
    fn point(&self, ray: &Ray) -> SeedPoint {
        let eye = &self.eyes[ray.eye];
        let world_from_cam = eye.cam_from_world.inverse();
        let patch = eye.patch(ray.pixel);
        let [nearest, farthest] = SWEEP.map(|depth| 1.0 / depth);
        let shift_px = eye.focal_px * self.neighbours[ray.eye].1 * (nearest - farthest);
        let depths = shift_px.ceil().clamp(DEPTHS[0], DEPTHS[1]);
        let mut best = (u32::MAX, None);
        for step in 0..depths as u32 {
            let share = (f64::from(step) + ray.shift) / depths;
            let depth = 1.0 / (nearest + share * (farthest - nearest));
            let place = world_from_cam.transform_point(ray.direction * depth);
            if let Some(difference) = self.difference(ray.eye, &patch, place)
                && difference < best.0
            {
                best = (difference, Some(place));
            }
        }
        let place = best.1.unwrap_or_else(|| {
            let [near, far] = UNSEEN;
            world_from_cam.transform_point(ray.direction * (near + ray.guess * (far - near)))
        });
        let [r, g, b, _] = eye.colour(ray.pixel);
        SeedPoint { position: place.to_array(), rgb: [r, g, b] }
    }

    /// How much a patch differs from what the neighbours that agree most show at a place; `None` where too few see it.
    fn difference(&self, eye: usize, patch: &[[u8; 3]; 9], place: DVec3) -> Option<u32> {
        let neighbours = &self.neighbours[eye].0;
        let mut found = [u32::MAX; NEIGHBOURS];
        for (found, &other) in found.iter_mut().zip(neighbours) {
            let other = &self.eyes[other];
            let seen = other.lens.project(other.cam_from_world.transform_point(place));
            let Some(pixel) = seen.and_then(|place| other.pixel_at(place)) else { continue };
            let theirs = other.patch(pixel);
            let pairs = patch.as_flattened().iter().zip(theirs.as_flattened());
            *found = pairs.map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
        }
        found.sort_unstable();
        let needed = AGREEING.min(neighbours.len());
        let agreeing = found.get(..needed).filter(|found| !found.is_empty())?;
        agreeing.iter().try_fold(0, |sum: u32, difference| sum.checked_add(*difference))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;
    use crate::camera::Pinhole;
    use crate::dataset::DatasetOptions;
    use crate::lens::Lens;
    use crate::scene::{Scene, View};

    /// A wall of blotches at z = 4, photographed by cameras in a row that look at it.
    fn wall(dir: &std::path::Path, points: Vec<SeedPoint>) -> Dataset {
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
                let blotch =
                    |a: f64, b: f64| (127.0 + 100.0 * (a * at.x + (b * at.y).sin() * 3.0).sin()) as u8;
                image::Rgb([blotch(7.0, 5.0), blotch(-4.0, 9.0), blotch(11.0, 3.0)])
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

    #[test]
    fn points_lie_where_photos_agree() {
        let dir = tempfile::tempdir().unwrap();
        let few = SeedPoint { position: [0.1, 0.2, 0.3], rgb: [1, 2, 3] };
        let unusable = SeedPoint { position: [f64::NAN; 3], rgb: [0; 3] };
        let dataset = wall(dir.path(), vec![few, unusable]);
        let points = seed_points(&dataset, SceneFrame::WORLD, 300, 7).unwrap();
        assert_eq!((points.len(), points[0]), (300, few));
        assert_eq!(
            seed_points(&dataset, SceneFrame::WORLD, 10_000, 7).unwrap().len(),
            576,
            "one for 64 pixels"
        );
        assert_eq!(points, seed_points(&dataset, SceneFrame::WORLD, 300, 7).unwrap());
        assert_ne!(points, seed_points(&dataset, SceneFrame::WORLD, 300, 8).unwrap());
        let near = points.iter().filter(|point| (point.position[2] - 4.0).abs() < 0.25).count();
        assert!(near > 240, "{near} of 300 lie within 0.25 of the wall at 4");
    }

    #[test]
    fn enough_points_are_left_as_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let points: Vec<_> =
            (0..60_u8).map(|i| SeedPoint { position: [f64::from(i); 3], rgb: [i; 3] }).collect();
        assert_eq!(seed_points(&wall(dir.path(), points.clone()), SceneFrame::WORLD, 60, 7).unwrap(), points);
    }

    /// One photo alone: points are before it.
    #[test]
    fn a_single_photo_gives_points_as_well() {
        let dir = tempfile::tempdir().unwrap();
        let mut scene = wall(dir.path(), Vec::new()).scene;
        scene.views.truncate(1);
        let dataset = Dataset::new(scene, &DatasetOptions::default()).unwrap();
        let points = seed_points(&dataset, SceneFrame::WORLD, 90, 7).unwrap();
        let view = &dataset.scene.views[0];
        let seen = |point: &&SeedPoint| {
            let place = DVec3::from_array(point.position);
            view.lens.project(view.cam_from_world.transform_point(place)).is_some()
        };
        assert_eq!((points.len(), points.iter().filter(seen).count()), (90, 90));
    }
}
