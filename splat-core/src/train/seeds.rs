//! Positions of the first Gaussians: the points of structure-from-motion and, if these are few, positions on which the photos
//! agree.
//!
//! A plane sweep (Collins 1996) along single rays: for a random pixel, the depth at which neighbouring photos are most similar to
//! its neighbourhood. A patch that has no texture, or a repeating one, matches at many depths: then the depth closest to that of
//! the surrounding points of structure-from-motion is used, and none that is much nearer than all of them. A Gaussian too near to
//! a camera becomes a veil in front of it.

use glam::{DVec2, DVec3};
use rayon::prelude::*;

use super::frame::SceneFrame;
use super::known_depths::KnownDepths;
use super::memory::PIXELS_PER_GAUSSIAN;
use super::small_view::{MIN_ALPHA, SmallView};
use crate::dataset::Dataset;
use crate::random::Random;
use crate::scene::SeedPoint;

/// Minimum number of seed points of a scene.
const FEWEST: u64 = 50;
/// Minimum and maximum number of depths tried per ray, evenly spaced in 1 / depth: as many as move a pixel by one in the next
/// photo.
const DEPTHS: [f64; 2] = [32.0, 512.0];
/// Number of photos compared with: the nearest ones that are not too near.
const NEIGHBOURS: usize = 4;
/// Photos nearer to each other than this, in units of the run's frame, give little information about depth.
const TOO_NEAR: f64 = 0.2;
/// Number of those that must agree: the others may not see the point.
const AGREEING: usize = 2;
/// Positions whose difference exceeds the smallest by at most this are considered equally good: one and a half grey levels for
/// each compared value (nine pixels, three channels, the agreeing photos), which is noise.
const AS_GOOD: u32 = 80;
/// Minimum and maximum depth tried, in units of the frame.
const SWEEP: [f64; 2] = [0.15, 30.0];
/// If everything is far away, depths up to this times the nearest are tried.
const BEYOND: f64 = 8.0;
/// Range of random depths for rays that no two photos see.
const UNSEEN: [f64; 2] = [0.1, 3.0];

/// The scene's points in the run's frame and, if they are fewer than `least`, as many more on which the training photos agree.
/// The same `seed` gives the same points.
pub(super) fn seed_points(
    dataset: &Dataset,
    views: &[SmallView],
    frame: SceneFrame,
    least: u32,
    seed: u64,
) -> Vec<SeedPoint> {
    let finite = |point: &SeedPoint| point.position.iter().all(|v| v.is_finite());
    let mut points: Vec<SeedPoint> =
        dataset.scene.points.iter().map(|point| frame.point(point)).filter(finite).collect();
    // Four bytes per pixel. More points could not be resolved.
    let worthwhile = dataset.image_bytes() / 4 / PIXELS_PER_GAUSSIAN;
    let count = u64::from(least).min(worthwhile).max(FEWEST) as usize;
    if points.len() >= count {
        return points;
    }
    let sweep = Sweep::new(views, &points);
    // Drawn sequentially, processed in parallel: the same points on any number of threads.
    let rays = sweep.rays(count.saturating_sub(points.len()), seed);
    points.par_extend(rays.par_iter().map(|ray| sweep.point(ray)).filter(finite));
    points
}

/// A pixel's ray, and random parameters for its samples.
struct Ray {
    view: usize,
    pixel: [i64; 2],
    /// In the camera's coordinates.
    direction: DVec3,
    /// Offset of the sampled depths, as a share of their distance, so that points do not lie in shells.
    shift: f64,
    /// Random position along the ray, in case no photo determines one.
    guess: f64,
}

impl Ray {
    /// The centre of its pixel.
    fn centre(&self) -> DVec2 {
        let [x, y] = self.pixel;
        DVec2::new(x as f64 + 0.5, y as f64 + 0.5)
    }
}

struct Sweep<'a> {
    views: &'a [SmallView],
    /// For each view, those that see the same from elsewhere, and the distance of the farthest of them.
    neighbours: Vec<(Vec<usize>, f64)>,
    /// For each view.
    known: Vec<KnownDepths>,
}

impl<'a> Sweep<'a> {
    /// `points` from structure-from-motion, in the run's frame.
    fn new(views: &'a [SmallView], points: &[SeedPoint]) -> Self {
        let centres: Vec<DVec3> = views.iter().map(|view| view.cam_from_world.centre()).collect();
        let nearest = |&from: &DVec3| {
            let distance = |to: usize| centres[to].distance(from);
            // Views from the same position give no information about depth.
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
        let known = views.par_iter().map(|view| KnownDepths::of(view, points)).collect();
        Self { views, neighbours, known }
    }

    /// Rays of `count` random unmasked pixels, from each view in turn.
    fn rays(&self, count: usize, seed: u64) -> Vec<Ray> {
        const PURPOSE: u64 = 0x7365_6564; // "seed"
        let mut random = Random::new(seed, PURPOSE, 0);
        let mut rays = Vec::with_capacity(count);
        // Bounds the search if photos are completely masked.
        for attempt in 0..count.saturating_mul(4) {
            let (Some(view), true) = (attempt.checked_rem(self.views.len()), rays.len() < count) else {
                break;
            };
            let (u, v) = (random.uniform(), random.uniform());
            let (shift, guess) = (random.uniform(), random.uniform());
            let SmallView { photo, lens, .. } = &self.views[view];
            let place = DVec2::new(u * f64::from(photo.width), v * f64::from(photo.height));
            let (Some(pixel), Some(direction)) = (self.views[view].pixel_at(place), lens.unproject(place))
            else {
                continue;
            };
            if self.views[view].colour(pixel)[3] >= MIN_ALPHA {
                rays.push(Ray { view, pixel, direction, shift, guess });
            }
        }
        rays
    }

    /// The point on a ray on which most photos agree, with its pixel's colour.
    fn point(&self, ray: &Ray) -> SeedPoint {
        let view = &self.views[ray.view];
        let known = &self.known[ray.view];
        let world_from_cam = view.cam_from_world.inverse();
        let patch = view.patch(ray.pixel);
        // Distances from the camera for each depth, since a lens's rays need not have unit length.
        let length = ray.direction.length();
        let bound = known.nearest / length;
        let [nearest, farthest] =
            [SWEEP[0].max(bound), SWEEP[1].max(BEYOND * bound)].map(|depth| 1.0 / depth);
        let shift_px = view.focal_px * self.neighbours[ray.view].1 * (nearest - farthest);
        let depths = shift_px.ceil().clamp(DEPTHS[0], DEPTHS[1]);
        let mut tried = Vec::new();
        for step in 0..depths as u32 {
            let share = (f64::from(step) + ray.shift) / depths;
            let inverse = nearest + share * (farthest - nearest);
            let place = world_from_cam.transform_point(ray.direction / inverse);
            if let Some(difference) = self.difference(ray.view, &patch, place) {
                tried.push((difference, inverse / length, place));
            }
        }
        let place = best(&tried, known.inverse_around(ray.centre())).unwrap_or_else(|| {
            let [near, far] = UNSEEN;
            world_from_cam.transform_point(ray.direction * (near + ray.guess * (far - near)))
        });
        let [r, g, b, _] = view.colour(ray.pixel);
        SeedPoint { position: place.to_array(), rgb: [r, g, b] }
    }

    /// Difference between a patch and the best-matching neighbours at a point; `None` if too few see it.
    fn difference(&self, view: usize, patch: &[[u8; 3]; 9], place: DVec3) -> Option<u32> {
        let neighbours = &self.neighbours[view].0;
        let mut found = [u32::MAX; NEIGHBOURS];
        for (found, &other) in found.iter_mut().zip(neighbours) {
            let other = &self.views[other];
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

/// Among samples (difference, 1 / distance, position): the one with the smallest difference or, if `around` is known, the one
/// closest to that 1 / distance among those that are about as good. The nearer position wins a tie.
fn best(tried: &[(u32, f64, DVec3)], around: Option<f64>) -> Option<DVec3> {
    let least = tried.iter().map(|(difference, ..)| *difference).min()?;
    let found = match around {
        None => tried.iter().find(|(difference, ..)| *difference == least),
        Some(around) => tried
            .iter()
            .filter(|(difference, ..)| *difference <= least.saturating_add(AS_GOOD))
            .min_by(|(_, a, _), (_, b, _)| (a - around).abs().total_cmp(&(b - around).abs())),
    };
    found.map(|(.., place)| *place)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;
    use crate::dataset::DatasetOptions;
    use crate::train::small_view::tests::wall;

    fn seeded(dataset: &Dataset, least: u32, seed: u64) -> Vec<SeedPoint> {
        let views = SmallView::of_training_views(dataset, SceneFrame::WORLD).unwrap();
        seed_points(dataset, &views, SceneFrame::WORLD, least, seed)
    }

    #[test]
    fn points_lie_where_photos_agree() {
        let dir = tempfile::tempdir().unwrap();
        let few = SeedPoint { position: [0.1, 0.2, 0.3], rgb: [1, 2, 3] };
        let unusable = SeedPoint { position: [f64::NAN; 3], rgb: [0; 3] };
        let dataset = wall(dir.path(), vec![few, unusable], |_| [1.0; 3]);
        let points = seeded(&dataset, 300, 7);
        assert_eq!((points.len(), points[0]), (300, few));
        assert_eq!(seeded(&dataset, 10_000, 7).len(), 576, "one for 64 pixels");
        assert_eq!(points, seeded(&dataset, 300, 7));
        assert_ne!(points, seeded(&dataset, 300, 8));
        let near = points.iter().filter(|point| (point.position[2] - 4.0).abs() < 0.25).count();
        assert!(near > 240, "{near} of 300 lie within 0.25 of the wall at 4");
    }

    #[test]
    fn of_places_as_good_the_one_at_the_depth_around_it_is_taken() {
        let tried = [(10, 2.0, DVec3::X), (60, 1.0, DVec3::Y), (200, 0.5, DVec3::Z)];
        assert_eq!(best(&tried, None), Some(DVec3::X));
        assert_eq!(best(&tried, Some(0.8)), Some(DVec3::Y));
        assert_eq!(best(&tried, Some(0.4)), Some(DVec3::Y), "the third differs by too much");
        assert_eq!(best(&[], Some(0.4)), None);
    }

    #[test]
    fn enough_points_are_left_as_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let points: Vec<_> =
            (0..60_u8).map(|i| SeedPoint { position: [f64::from(i); 3], rgb: [i; 3] }).collect();
        assert_eq!(seeded(&wall(dir.path(), points.clone(), |_| [1.0; 3]), 60, 7), points);
    }

    /// With a single photo, points are placed in front of it.
    #[test]
    fn a_single_photo_gives_points_as_well() {
        let dir = tempfile::tempdir().unwrap();
        let mut scene = wall(dir.path(), Vec::new(), |_| [1.0; 3]).scene;
        scene.views.truncate(1);
        let dataset = Dataset::new(scene, &DatasetOptions::default()).unwrap();
        let points = seeded(&dataset, 90, 7);
        let view = &dataset.scene.views[0];
        let seen = |point: &&SeedPoint| {
            let place = DVec3::from_array(point.position);
            view.lens.project(view.cam_from_world.transform_point(place)).is_some()
        };
        assert_eq!((points.len(), points.iter().filter(seen).count()), (90, 90));
    }
}
