//! The coordinate frame of a run: its origin is the centre of the cameras, its unit their extent.
//!
//! Learning rates, noise, the near plane and all other lengths of a recipe are relative to the size of the scene, and f32 has seven
//! digits: a scene in millimetres or in survey coordinates has to be scaled and moved first. Poses are in f64 in both frames.

use glam::DVec3;

use crate::camera::{LensCamera, Pinhole, Pose};
use crate::dataset::Dataset;
use crate::gaussians::{GaussianCloud, median};
use crate::render::DEFAULT_NEAR;
use crate::scene::SeedPoint;

/// Near plane in units of the frame: equal to gsplat's 0.01 if the cameras' extent is 5 world units, which is typical of COLMAP's
/// models of one place.
const NEAR: f32 = 0.002;

/// Scene extent in units of the frame: 1.1 times the extent of the cameras (Inria, gsplat).
pub(crate) const EXTENT: f32 = 1.1;

/// Cameras farther from the median than this many median distances are outliers and do not count for the scene's size.
const OUTLIER: f64 = 4.0;

/// Maximum of [`SceneFrame::depth`]. The deepest scene on which it was measured has 5.6 (LLFF's fern).
const DEEPEST: f64 = 8.0;

/// Maximum numbers of views and of points from which the typical depth is measured.
const DEPTH_VIEWS: usize = 50;
const DEPTH_POINTS: usize = 2_000;

/// A scene farther from the world's origin than this, in units of the frame, is written relative to its own origin: f32 world
/// coordinates would be off by a twentieth of a pixel or more.
const FAR_OFF: f64 = 1_000.0;

/// A run's coordinate frame: `world = origin + unit * frame`.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct SceneFrame {
    /// World coordinates of its origin.
    pub(crate) origin: [f64; 3],
    /// World units per unit of the frame.
    pub(crate) unit: f64,
    /// How much larger than the cameras' reach the scene is: the typical depth of points in the photos, units of the frame, from 1 to
    /// [`DEEPEST`]. See [`super::TrainConfig::rate_by_depth`].
    #[serde(default = "one")]
    pub(crate) depth: f64,
}

/// The depth of frames in checkpoints from before it was measured.
fn one() -> f64 {
    1.0
}

impl SceneFrame {
    /// World coordinates: the frame of checkpoints without one.
    pub(crate) const WORLD: Self = Self { origin: [0.0; 3], unit: 1.0, depth: 1.0 };

    /// For a dataset's training cameras: the origin is the mean of those that are no outliers, the unit the distance of the farthest of
    /// them. If all are at one position, the unit is the median distance of the points, or one world unit without points.
    pub(crate) fn of(dataset: &Dataset) -> Self {
        let centres: Vec<DVec3> =
            dataset.train.iter().map(|&view| dataset.pinhole_camera(view).cam_from_world.centre()).collect();
        let middle = DVec3::from_array(std::array::from_fn(|axis| {
            median(centres.iter().map(|centre| centre[axis]).collect()).unwrap_or(0.0)
        }));
        let distances: Vec<f64> = centres.iter().map(|centre| centre.distance(middle)).collect();
        let typical = median(distances.clone()).unwrap_or(0.0);
        // If more than half are at one position, the others define the scene's size and are no outliers.
        let limit =
            if typical > 1e-6 * middle.length().max(1e-6) { OUTLIER * typical } else { f64::INFINITY };
        let near: Vec<DVec3> = (centres.iter().zip(&distances))
            .filter(|(_, distance)| **distance <= limit)
            .map(|(centre, _)| *centre)
            .collect();
        // Summed relative to the median, so that large offsets do not cost precision.
        let mean = middle + near.iter().map(|c| *c - middle).sum::<DVec3>() / near.len().max(1) as f64;
        let extent = near.iter().map(|centre| centre.distance(mean)).fold(0.0, f64::max);
        // Differences of equal centres that are due to rounding of far-away poses do not count.
        let rounding = 1e-9 * mean.length().max(1e-9);
        let to_points = || {
            let points = dataset.scene.points.iter().map(|point| DVec3::from_array(point.position));
            median(
                points.map(|point| point.distance(mean)).filter(|d| d.is_finite() && *d > rounding).collect(),
            )
        };
        let unit = if extent > rounding { extent } else { to_points().unwrap_or(1.0) };
        if !(mean.is_finite() && unit.is_normal()) {
            return Self::WORLD;
        }
        let depth = typical_depth(dataset).map_or(1.0, |depth| (depth / unit).clamp(1.0, DEEPEST));
        Self { origin: mean.to_array(), unit, depth }
    }

    /// Whether its numbers are finite and its unit positive.
    pub(crate) fn is_valid(&self) -> bool {
        self.origin.iter().all(|x| x.is_finite())
            && self.unit.is_normal()
            && self.unit > 0.0
            && self.depth >= 1.0
            && self.depth <= DEEPEST
    }

    /// Transforms a camera from world coordinates to this frame.
    pub(crate) fn camera(&self, world: &LensCamera) -> LensCamera {
        world.rebased(DVec3::from_array(self.origin), self.unit)
    }

    /// Transforms a `cam_from_world` pose from this frame to world coordinates.
    pub(crate) fn pose_to_world(&self, pose: &Pose) -> Pose {
        let translation = pose.translation * self.unit - pose.rotation * DVec3::from_array(self.origin);
        Pose { rotation: pose.rotation, translation }
    }

    /// Transforms a point from world coordinates to this frame.
    pub(crate) fn point(&self, world: &SeedPoint) -> SeedPoint {
        let position = (DVec3::from_array(world.position) - DVec3::from_array(self.origin)) / self.unit;
        SeedPoint { position: position.to_array(), rgb: world.rgb }
    }

    /// World coordinates of the origin of a file of the scene: zero, unless the scene is so far away that f32 lacks the precision.
    pub(crate) fn file_origin(&self) -> [f64; 3] {
        let origin = DVec3::from_array(self.origin);
        if origin.length() <= FAR_OFF * self.unit {
            return [0.0; 3];
        }
        // Rounded to a few digits.
        let step = 10.0_f64.powf(self.unit.log10().ceil());
        let rounded = (origin / step).round() * step;
        if rounded.is_finite() { rounded.to_array() } else { self.origin }
    }

    /// Transforms a cloud from this frame to world units, relative to [`SceneFrame::file_origin`].
    pub(crate) fn to_world(self, mut cloud: GaussianCloud) -> GaussianCloud {
        if self == Self::WORLD {
            return cloud;
        }
        let shift = DVec3::from_array(self.origin) - DVec3::from_array(self.file_origin());
        for mean in &mut cloud.means {
            let there = DVec3::from_array(mean.map(f64::from)) * self.unit + shift;
            *mean = there.as_vec3().to_array();
        }
        let ln_unit = self.unit.ln();
        for scale in cloud.log_scales.as_flattened_mut() {
            *scale = (f64::from(*scale) + ln_unit) as f32;
        }
        cloud
    }

    /// Transforms a cloud in world units relative to `origin` to this frame.
    pub(crate) fn to_frame(self, mut cloud: GaussianCloud, origin: [f64; 3]) -> GaussianCloud {
        let shift = DVec3::from_array(origin) - DVec3::from_array(self.origin);
        for mean in &mut cloud.means {
            *mean = ((DVec3::from_array(mean.map(f64::from)) + shift) / self.unit).as_vec3().to_array();
        }
        let ln_unit = self.unit.ln();
        for scale in cloud.log_scales.as_flattened_mut() {
            *scale = (f64::from(*scale) - ln_unit) as f32;
        }
        cloud
    }

    /// The near plane in units of the frame.
    pub(crate) fn near(self) -> f32 {
        // For compatibility with runs from before there was a frame.
        if self == Self::WORLD { DEFAULT_NEAR } else { NEAR }
    }

    /// The near plane in world units.
    pub(crate) fn near_world(self) -> f32 {
        (f64::from(self.near()) * self.unit) as f32
    }
}

/// Median over the training views of the median depth of the points in the view, world units; `None` without points.
fn typical_depth(dataset: &Dataset) -> Option<f64> {
    let (views, points) = (&dataset.train, &dataset.scene.points);
    let points = || points.iter().step_by(points.len().div_ceil(DEPTH_POINTS).max(1));
    let of_view = |&view: &usize| {
        let camera = dataset.pinhole_camera(view);
        let Pinhole { width, height, fx, fy, cx, cy } = camera.intrinsics;
        let depth_in_view = |point: &SeedPoint| {
            let at = camera.cam_from_world.transform_point(DVec3::from_array(point.position));
            let (x, y) = (fx * at.x / at.z + cx, fy * at.y / at.z + cy);
            let inside = (0.0..f64::from(width)).contains(&x) && (0.0..f64::from(height)).contains(&y);
            (at.z > 0.0 && inside).then_some(at.z)
        };
        median(points().filter_map(depth_in_view).collect())
    };
    median(views.iter().step_by(views.len().div_ceil(DEPTH_VIEWS).max(1)).filter_map(of_view).collect())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;
    use crate::train::small_view::tests::wall;

    #[test]
    fn depth_is_that_of_points_in_view_relative_to_the_cameras_reach() {
        let point = |position: [f64; 3]| SeedPoint { position, rgb: [0; 3] };
        // On the wall at 4; some beside every photo, behind the cameras, or unusable.
        let on_the_wall = (0..60).map(|i| [f64::from(i % 10) * 0.1 - 0.5, f64::from(i / 10) * 0.1, 4.0]);
        let others = (0..90).map(|i| match i % 3 {
            0 => [400.0, 0.0, 100.0],
            1 => [0.0, 0.0, -9.0],
            _ => [f64::NAN; 3],
        });
        let points: Vec<SeedPoint> = on_the_wall.chain(others).map(point).collect();
        let dir = tempfile::tempdir().unwrap();
        let dataset = wall(dir.path(), points, |_| [1.0; 3]);
        let frame = SceneFrame::of(&dataset);
        let expected = 4.0 / frame.unit;
        assert!((frame.depth / expected - 1.0).abs() < 0.1, "{} instead of {expected}", frame.depth);
        assert_eq!(SceneFrame::of(&wall(dir.path(), Vec::new(), |_| [1.0; 3])).depth, 1.0, "no points");
        let near = (0..60).map(|i| point([f64::from(i % 10) * 0.01, f64::from(i / 10) * 0.01, 0.5]));
        assert_eq!(
            SceneFrame::of(&wall(dir.path(), near.collect(), |_| [1.0; 3])).depth,
            1.0,
            "a small scene"
        );
    }

    #[test]
    fn frames_of_earlier_checkpoints_have_no_depth() {
        let frame: SceneFrame = serde_json::from_str(r#"{"origin": [1, 2, 3], "unit": 2}"#).unwrap();
        assert!(frame.depth == 1.0 && frame.is_valid());
        let deep: SceneFrame =
            serde_json::from_str(r#"{"origin": [1, 2, 3], "unit": 2, "depth": 9}"#).unwrap();
        assert!(!deep.is_valid());
    }
}
