//! Depths of a view that are known from structure-from-motion.

use glam::{DVec2, DVec3};

use super::small_view::SmallView;
use crate::scene::SeedPoint;

/// Minimum number of points in a view to derive its nearest depth.
const FEWEST: usize = 20;
/// Share of a view's points that may be nearer than its nearest depth, as outliers.
const WRONG: f64 = 0.02;
/// Textureless surfaces have no points and may be nearer than those that have: by this factor at most.
const NEARER: f64 = 0.5;
/// Number of points used for the depth around a pixel; their median tolerates two outliers.
const AROUND: usize = 5;

/// Lower bound of the distances in a view, from those of its points; 0 if there are too few.
pub(super) fn nearest(mut distances: Vec<f64>) -> f64 {
    if distances.len() < FEWEST {
        return 0.0;
    }
    let rank = (distances.len() as f64 * WRONG) as usize;
    NEARER * *distances.select_nth_unstable_by(rank, f64::total_cmp).1
}

/// The points that project into a view. Some may be hidden by others, so their depths may be too large but not too small.
#[derive(Debug)]
pub(super) struct KnownDepths {
    /// Pixels of the reduced photo, and 1 / distance from the camera.
    points: Vec<(DVec2, f64)>,
    /// Lower bound of the distances in the view, units of the run's frame; 0 if unknown.
    pub(super) nearest: f64,
}

impl KnownDepths {
    /// From points in the run's frame.
    pub(super) fn of(view: &SmallView, points: &[SeedPoint]) -> Self {
        let project = |point: &SeedPoint| {
            let at = view.cam_from_world.transform_point(DVec3::from_array(point.position));
            let pixel = view.lens.project(at)?;
            view.pixel_at(pixel)?;
            let inverse = 1.0 / at.length();
            inverse.is_finite().then_some((pixel, inverse))
        };
        let points: Vec<(DVec2, f64)> = points.iter().filter_map(project).collect();
        let nearest = nearest(points.iter().map(|(_, inverse)| 1.0 / inverse).collect());
        Self { points, nearest }
    }

    /// Median of 1 / distance of the points nearest to a pixel in the image; `None` with fewer than five points in the view.
    pub(super) fn inverse_around(&self, pixel: DVec2) -> Option<f64> {
        if self.points.len() < AROUND {
            return None;
        }
        let mut by_distance: Vec<(f64, f64)> =
            self.points.iter().map(|(at, inverse)| (at.distance_squared(pixel), *inverse)).collect();
        by_distance.select_nth_unstable_by(AROUND - 1, |a, b| a.0.total_cmp(&b.0));
        let mut around: [f64; AROUND] = std::array::from_fn(|i| by_distance[i].1);
        around.sort_by(f64::total_cmp);
        Some(around[AROUND / 2])
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;
    use crate::train::frame::SceneFrame;
    use crate::train::small_view::tests::wall;

    #[test]
    fn depths_are_those_of_the_points_in_view() {
        let dir = tempfile::tempdir().unwrap();
        let dataset = wall(dir.path(), Vec::new(), |_| [1.0; 3]);
        let views = SmallView::of_training_views(&dataset, SceneFrame::WORLD).unwrap();
        let point = |position: [f64; 3]| SeedPoint { position, rgb: [0; 3] };
        // On the wall, with one outlier in front of the camera and one behind it.
        let mut points: Vec<SeedPoint> =
            (0..60).map(|i| point([f64::from(i % 10) * 0.1 - 0.5, f64::from(i / 10) * 0.1, 4.0])).collect();
        let middle = views[2].cam_from_world.inverse();
        points.push(point(middle.transform_point(DVec3::Z * 0.1).to_array()));
        points.push(point(middle.transform_point(DVec3::Z * -1.0).to_array()));
        let known = KnownDepths::of(&views[2], &points);
        assert!((1.9..2.1).contains(&known.nearest), "{}", known.nearest);
        let inverse = known.inverse_around(DVec2::new(48.0, 32.0)).unwrap();
        assert!((1.0 / inverse - 4.0).abs() < 0.1, "{inverse}");

        let few = KnownDepths::of(&views[2], &points[..4]);
        assert_eq!((few.nearest, few.inverse_around(DVec2::ZERO)), (0.0, None));
    }
}
