//! The frame that a run works in: its origin amid the cameras, its unit their reach.
//!
//! Learning rates, the random walk, the near plane and every other length of a recipe mean something only against the size of
//! the scene, and 32 bits hold seven digits: a scene in millimetres or in a survey's coordinates has to be brought to a size
//! and a place of its own. Poses are in f64 on both sides.

use glam::DVec3;

use crate::camera::LensCamera;
use crate::dataset::Dataset;
use crate::gaussians::GaussianCloud;
use crate::render::DEFAULT_NEAR;
use crate::scene::SeedPoint;

/// Nearer Gaussians are not drawn, in units of the frame: 0.01 (gsplat's) where cameras reach 5 world units far, as COLMAP's
/// models of one place do.
const NEAR: f32 = 0.002;

/// Scene extent in units of the frame: 1.1 times the reach of the cameras (Inria, gsplat).
pub(crate) const EXTENT: f32 = 1.1;

/// Cameras farther from the median of all than this many median distances say nothing of the scene's size.
const OUTLIER: f64 = 4.0;

/// A scene that lies farther off than this, in units of the frame, is written relative to an origin of its own: f32 world
/// coordinates would lose a twentieth of a pixel and more.
const FAR_OFF: f64 = 1_000.0;

/// A run's own frame: `world = origin + unit * frame`.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct SceneFrame {
    /// World coordinates of its zero.
    pub(crate) origin: [f64; 3],
    /// World units a unit of it.
    pub(crate) unit: f64,
}

impl SceneFrame {
    /// The world itself: that of checkpoints which name none.
    pub(crate) const WORLD: Self = Self { origin: [0.0; 3], unit: 1.0 };

    /// Of a dataset's training cameras: the origin is the mean of those that stand together, the unit how far the farthest of
    /// them is from it. Where all stand on one spot, the median distance of the points; without points one world unit.
    pub(crate) fn of(dataset: &Dataset) -> Self {
        let centres: Vec<DVec3> =
            dataset.train.iter().map(|&view| dataset.pinhole_camera(view).cam_from_world.centre()).collect();
        let middle = DVec3::from_array(std::array::from_fn(|axis| {
            median(centres.iter().map(|centre| centre[axis]).collect()).unwrap_or(0.0)
        }));
        let distances: Vec<f64> = centres.iter().map(|centre| centre.distance(middle)).collect();
        let typical = median(distances.clone()).unwrap_or(0.0);
        // Were more than half on one spot, the others are the scene's size and no outliers.
        let limit =
            if typical > 1e-6 * middle.length().max(1e-6) { OUTLIER * typical } else { f64::INFINITY };
        let near: Vec<DVec3> = (centres.iter().zip(&distances))
            .filter(|(_, distance)| **distance <= limit)
            .map(|(centre, _)| *centre)
            .collect();
        // Summed relative to the middle, so that large offsets cost no digits.
        let mean = middle + near.iter().map(|c| *c - middle).sum::<DVec3>() / near.len().max(1) as f64;
        let reach = near.iter().map(|centre| centre.distance(mean)).fold(0.0, f64::max);
        // What is left of equal centres after f64 transforms of far-off poses is no reach.
        let rounding = 1e-9 * mean.length().max(1e-9);
        let to_points = || {
            let points = dataset.scene.points.iter().map(|point| DVec3::from_array(point.position));
            median(
                points.map(|point| point.distance(mean)).filter(|d| d.is_finite() && *d > rounding).collect(),
            )
        };
        let unit = if reach > rounding { reach } else { to_points().unwrap_or(1.0) };
        if !(mean.is_finite() && unit.is_normal()) {
            return Self::WORLD;
        }
        Self { origin: mean.to_array(), unit }
    }

    /// Whether its numbers can be computed with.
    pub(crate) fn is_valid(&self) -> bool {
        self.origin.iter().all(|x| x.is_finite()) && self.unit.is_normal() && self.unit > 0.0
    }

    /// A camera of the world in this frame.
    pub(crate) fn camera(&self, world: &LensCamera) -> LensCamera {
        world.rebased(DVec3::from_array(self.origin), self.unit)
    }

    /// A point of the world in this frame.
    pub(crate) fn point(&self, world: &SeedPoint) -> SeedPoint {
        let position = (DVec3::from_array(world.position) - DVec3::from_array(self.origin)) / self.unit;
        SeedPoint { position: position.to_array(), rgb: world.rgb }
    }

    /// World coordinates that a file of the scene counts from: zero, unless the scene is so far off that f32 cannot hold its
    /// world coordinates.
    pub(crate) fn file_origin(&self) -> [f64; 3] {
        let origin = DVec3::from_array(self.origin);
        if origin.length() <= FAR_OFF * self.unit {
            return [0.0; 3];
        }
        // As few digits as do.
        let step = 10.0_f64.powf(self.unit.log10().ceil());
        let rounded = (origin / step).round() * step;
        if rounded.is_finite() { rounded.to_array() } else { self.origin }
    }

    /// A cloud of this frame in world units, relative to [`SceneFrame::file_origin`].
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

    /// A cloud in world units relative to `origin` in this frame.
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
        // What runs began with that know no frame.
        if self == Self::WORLD { DEFAULT_NEAR } else { NEAR }
    }

    /// The near plane in world units.
    pub(crate) fn near_world(self) -> f32 {
        (f64::from(self.near()) * self.unit) as f32
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    let middle = values.len() / 2;
    (middle < values.len()).then(|| *values.select_nth_unstable_by(middle, f64::total_cmp).1)
}
