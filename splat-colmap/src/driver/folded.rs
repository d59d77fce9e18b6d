//! Detection of models in which two different places coincide.
//!
//! Where things repeat (two doors alike, the sides of a tower), photos of one are placed as if they showed the other, with a small
//! reprojection error. Such a model has photos that stand side by side and look at the same points, and share no match although they
//! were compared: what they show is not the same. Of six sound models of 8 to 48 photos, no pair out of 170 is such a pair.

use std::collections::{BTreeMap, BTreeSet};

use glam::DVec3;
use splat_core::Event;

use super::job::PosingRun;
use crate::error::Result;
use crate::matching::{Database, MIN_MATCHES};
use crate::model::{PosedImage, Reconstruction};

/// Two photos see a point alike whose rays to it differ by no more than this angle, in degrees,
const ALIKE_DEGREES: f64 = 20.0;
/// and whose distances from it have no larger ratio.
const ALIKE_DISTANCE: f64 = 1.25;
/// Part of each one's points that the other one must see alike for a match to be certain.
const CERTAIN: f64 = 0.6;
/// Photos with fewer points are ignored.
const LEAST_POINTS: usize = 30;
/// Maximum number of points examined per photo.
const MOST_POINTS: usize = 200;
/// Part of the certain pairs that must lack a match for the model to be doubted, and photos that these must be.
const DOUBTED_PERCENT: usize = 10;
const DOUBTED_PHOTOS: usize = 4;

/// Evidence against a model.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Evidence {
    /// Pairs of photos that should match.
    certain: usize,
    /// Those of them that do not.
    unmatched: usize,
    /// Two photos of such a pair.
    example: [String; 2],
}

impl PosingRun<'_> {
    /// Warns where photos that should match do not. Without the database nothing is known.
    pub(super) fn warn_if_folded(&mut self, model: &Reconstruction) {
        match self.evidence(model) {
            Ok(Some(Evidence { certain, unmatched, example: [a, b] })) => {
                let message = format!(
                    "the model may lay two places that look alike over one another: {unmatched} of {certain} pairs of photos that \
                     stand side by side and should show the same share no match, such as `{a}` and `{b}`. If these two show \
                     different places, reconstruct the places one by one, or add photos on the way from one to the other"
                );
                (self.events)(Event::Warning { message });
            }
            Ok(None) => {}
            Err(error) => {
                self.log(&format!("whether places are laid over one another is not known: {error}"))
            }
        }
    }

    /// Whether [`PosingRun::warn_if_folded`] would warn.
    pub(super) fn is_doubtful(&self, model: &Reconstruction) -> bool {
        matches!(self.evidence(model), Ok(Some(_)))
    }

    fn evidence(&self, model: &Reconstruction) -> Result<Option<Evidence>> {
        let path = self.database();
        if !path.is_file() {
            return Ok(None);
        }
        let database = Database::open(&path)?;
        let verified = database.verified(MIN_MATCHES)?.into_iter().collect();
        Ok(evidence(model, &database.compared_pairs()?, &verified))
    }
}

/// What speaks against `model`, whose images have the numbers of the pairs that were `compared` and of those whose matches were
/// `verified`, lower number first.
fn evidence(
    model: &Reconstruction,
    compared: &BTreeSet<[u32; 2]>,
    verified: &BTreeSet<[u32; 2]>,
) -> Option<Evidence> {
    let seen: BTreeMap<u32, Vec<DVec3>> = (model.images.iter())
        .map(|(&id, image)| (id, points(model, image)))
        .filter(|(_, points)| points.len() >= LEAST_POINTS)
        .collect();
    let sees_alike = |from: u32, to: u32| {
        let part = seen.get(&from).and_then(|points| alike_fraction(model, from, to, points));
        part.is_some_and(|part| part >= CERTAIN)
    };
    let certain: Vec<[u32; 2]> =
        compared.iter().copied().filter(|&[a, b]| sees_alike(a, b) && sees_alike(b, a)).collect();
    let unmatched: Vec<[u32; 2]> = certain.iter().copied().filter(|pair| !verified.contains(pair)).collect();
    let photos: BTreeSet<u32> = unmatched.iter().flatten().copied().collect();
    if 100 * unmatched.len() < DOUBTED_PERCENT * certain.len() || photos.len() < DOUBTED_PHOTOS {
        return None;
    }
    let name = |id: &u32| model.images.get(id).map(|image| image.name.clone()).unwrap_or_default();
    let [a, b] = unmatched.first()?;
    Some(Evidence { certain: certain.len(), unmatched: unmatched.len(), example: [name(a), name(b)] })
}

/// Points that an image sees, spread evenly over its features.
fn points(model: &Reconstruction, image: &PosedImage) -> Vec<DVec3> {
    let ids = image.points2d.iter().filter_map(|feature| feature.point3d_id);
    let all: Vec<DVec3> =
        ids.filter_map(|id| model.points.get(&id)).map(|point| DVec3::from(point.position)).collect();
    let step = all.len().div_ceil(MOST_POINTS).max(1);
    all.into_iter().step_by(step).collect()
}

/// Part of the points of image `from` that image `to` sees alike.
fn alike_fraction(model: &Reconstruction, from: u32, to: u32, points: &[DVec3]) -> Option<f64> {
    let (from, to) = (model.images.get(&from)?, model.images.get(&to)?);
    let lens = model.cameras.get(&to.camera_id)?;
    let projector = lens.projector()?;
    let (width, height) = (f64::from(lens.width), f64::from(lens.height));
    let (here, there) = (from.cam_from_world.centre(), to.cam_from_world.centre());
    let least_cosine = ALIKE_DEGREES.to_radians().cos();
    let alike = points.iter().filter(|&&point| {
        let (ray, other) = (point - here, point - there);
        let (length, other_length) = (ray.length(), other.length());
        let same_size = length.max(other_length) <= ALIKE_DISTANCE * length.min(other_length);
        let same_side = ray.dot(other) >= least_cosine * length * other_length;
        let pixel = projector.project(to.cam_from_world.transform_point(point));
        let in_picture =
            |pixel: glam::DVec2| (0.0..width).contains(&pixel.x) && (0.0..height).contains(&pixel.y);
        same_size && same_side && pixel.is_some_and(in_picture)
    });
    Some(alike.count() as f64 / points.len() as f64)
}

#[cfg(test)]
mod tests {
    use splat_core::{Lens, Pinhole, Pose};

    use super::*;
    use crate::model::{Point2d, Point3d};

    /// Photos along a wall of points, each with those that it sees.
    fn wall(photos: u32) -> Reconstruction {
        let lens = Lens::pinhole(Pinhole { width: 64, height: 48, fx: 50.0, fy: 50.0, cx: 32.0, cy: 24.0 });
        let point = |i: u64| Point3d {
            position: [(i % 40) as f64 * 0.25 - 3.0, (i / 40) as f64 * 0.3 - 1.0, 5.0],
            rgb: [9; 3],
            error: 0.5,
            track: Vec::new(),
        };
        let points: BTreeMap<u64, Point3d> = (0..280).map(|i| (i, point(i))).collect();
        let image = |i: u32| {
            let pose = Pose { translation: DVec3::new(-0.4 * f64::from(i), 0.0, 0.0), ..Pose::IDENTITY };
            let points2d = points
                .iter()
                .filter_map(|(&id, point)| {
                    let pixel = lens.project(pose.transform_point(DVec3::from(point.position)))?;
                    let inside = (0.0..64.0).contains(&pixel.x) && (0.0..48.0).contains(&pixel.y);
                    inside.then_some(Point2d { xy: pixel.into(), point3d_id: Some(id) })
                })
                .collect();
            PosedImage { name: format!("{i}.jpg"), camera_id: 1, cam_from_world: pose, points2d }
        };
        let images = (0..photos).map(|i| (i + 1, image(i))).collect();
        Reconstruction { cameras: [(1, lens.clone())].into(), images, points }
    }

    fn pairs(photos: u32, keep: impl Fn(u32, u32) -> bool) -> BTreeSet<[u32; 2]> {
        let all = (1..=photos).flat_map(|a| (a + 1..=photos).map(move |b| [a, b]));
        all.filter(|&[a, b]| keep(a, b)).collect()
    }

    #[test]
    fn photos_side_by_side_that_share_no_match_are_doubted() {
        let model = wall(10);
        let all = pairs(10, |_, _| true);
        assert_eq!(evidence(&model, &all, &all), None);
        // Odd and even photos show two walls alike, but for one pair that links them.
        let split = pairs(10, |a, b| a % 2 == b % 2 || (a, b) == (1, 2));
        let found = evidence(&model, &all, &split);
        assert!(
            found.as_ref().is_some_and(|found| found.unmatched * 3 > found.certain && found.certain >= 20),
            "{found:?}"
        );
        assert_eq!(found.map(|found| found.example), Some(["0.jpg".into(), "3.jpg".into()]));
        // Pairs that were not compared are no evidence, nor are a few that failed.
        assert_eq!(evidence(&model, &split, &split), None);
        assert_eq!(evidence(&model, &all, &pairs(10, |a, b| (a, b) != (1, 2))), None);
        // Far apart, photos need not match.
        assert_eq!(evidence(&model, &all, &pairs(10, |a, b| b - a < 7)), None);
    }
}
