//! First Gaussians far behind the scene, in every direction that a photo shows: the sky, what is seen through gaps between trees,
//! and whatever else structure-from-motion has no points of.
//!
//! Hierarchical 3D Gaussians (Kerbl et al. 2024) puts 100,000 of them on a sphere around everything. Here they are 2,000 at most,
//! have the colour that the photos have there, and are nearly opaque only where most photos leave room for something far away.
//! Since something is then behind everything, a run with a backdrop uses a random background colour in each step: a render has to
//! be opaque to match the photos, and darkness can no longer be had by leaving a gap. In directions without a Gaussian of the
//! backdrop, large faint ones would grow before the cameras to cover that background.

use glam::{DVec2, DVec3};
use rayon::prelude::*;

use super::frame::SceneFrame;
use super::small_view::{MIN_ALPHA, SmallView};
use crate::gaussians::{GaussianCloud, logit};
use crate::scene::SeedPoint;

/// Directions on the whole sphere, evenly distributed: 4.5 degrees apart.
const DIRECTIONS: u32 = 2_000;
/// Distance from the frame's origin, in typical depths of the scene.
const FAR: f64 = 10.0;
/// Minimum distance, as a multiple of the radius around the frame's origin within which 98 % of the points lie.
const BEHIND_POINTS: f64 = 1.5;
/// Maximum distance, in typical depths of the scene: points that are farther away are triangulated from angles too small for their
/// distances to be reliable.
const FARTHEST: f64 = 100.0;
/// With fewer points it is unknown where photos show the scene, and there is no backdrop.
const FEWEST_POINTS: usize = 100;
/// Maximum number of points that are projected into each photo.
const MOST_POINTS: usize = 20_000;
/// A pixel leaves room for something far away if no point is nearer to it than this share of the photo's longest side.
const ROOM: f64 = 1.0 / 16.0;
/// Share of the photos showing a direction that have to leave room there, for the backdrop to be what they show.
const AGREEING: f64 = 0.5;
/// Initial opacity where the backdrop is what photos show, and where it is probably hidden: more of it there would take the place of
/// the scene's own Gaussians (table "Backdrop" of `docs/benchmarks.md`).
const OPACITY: f32 = 0.8;
const HIDDEN_OPACITY: f32 = 0.1;
/// If most of the backdrop that photos show differs from the background colour by at most this many grey levels per channel, the
/// photos were rendered before that background, and there is no backdrop.
const SAME_COLOUR: f64 = 12.0;

/// What a photo shows in a direction.
#[derive(Clone, Copy)]
enum Shown {
    /// Nothing: the direction is outside of the photo, or masked.
    Nothing,
    /// The scene, since points of it are near.
    Scene([u8; 3]),
    /// Possibly something far away, since no point of the scene is near.
    Room([u8; 3]),
}

/// What stands behind a scene.
#[derive(Debug, Default)]
pub(super) struct Backdrop {
    /// In the run's frame, on a sphere around its origin.
    pub(super) points: Vec<SeedPoint>,
    /// Initial opacity of each point.
    opacities: Vec<f32>,
    /// Distance between neighbours, in units of the frame.
    spacing: f64,
}

impl Backdrop {
    /// From the training photos and the points of structure-from-motion, in the frame. `None` if there are too few points, if most of
    /// the photos is masked, so that a single thing is wanted, or if the backdrop has the colour of `background`, as in rendered
    /// photos.
    pub(super) fn of(
        views: &[SmallView],
        points: &[SeedPoint],
        frame: SceneFrame,
        background: [f32; 3],
    ) -> Option<Self> {
        let pixels = || views.iter().flat_map(|view| &view.photo.pixels);
        let masked = pixels().filter(|pixel| pixel.to_le_bytes()[3] < MIN_ALPHA).count();
        if points.len() < FEWEST_POINTS || 2 * masked > pixels().count() {
            return None;
        }
        let radius = radius(points, frame.depth);
        let sphere: Vec<DVec3> = (0..DIRECTIONS).map(|i| direction(i) * radius).collect();
        let places: Vec<DVec3> = (points.iter().step_by(points.len().div_ceil(MOST_POINTS)))
            .map(|point| DVec3::from_array(point.position))
            .collect();
        let shown: Vec<Vec<Shown>> = views.par_iter().map(|view| shown_by(view, &places, &sphere)).collect();
        let (points, opacities): (Vec<SeedPoint>, Vec<f32>) = (sphere.iter().enumerate())
            .filter_map(|(i, at)| {
                let (rgb, opacity) = common_colour(shown.iter().map(|view| view[i]))?;
                Some((SeedPoint { position: at.to_array(), rgb }, opacity))
            })
            .unzip();
        let background = background.map(|channel| f64::from(channel) * 255.0);
        let is_background = |point: &SeedPoint| {
            point
                .rgb
                .iter()
                .zip(background)
                .all(|(&channel, b)| (f64::from(channel) - b).abs() <= SAME_COLOUR)
        };
        let shown = points.iter().zip(&opacities).filter(|(_, opacity)| **opacity == OPACITY);
        let (plain, other): (Vec<_>, Vec<_>) = shown.partition(|(point, _)| is_background(point));
        let spacing = radius * (4.0 * std::f64::consts::PI / f64::from(DIRECTIONS)).sqrt();
        (plain.len() <= other.len()).then_some(Self { points, opacities, spacing })
    }

    /// Gives the last Gaussians of a cloud, which are the backdrop's, their size and opacity.
    pub(super) fn shape(&self, cloud: &mut GaussianCloud, initial_scale: f32) {
        let first = cloud.len() - self.points.len();
        // At its edges the neighbours are not all around.
        let log_scale = (self.spacing * f64::from(initial_scale)).ln() as f32;
        cloud.log_scales[first..].fill([log_scale; 3]);
        let logits = self.opacities.iter().map(|&opacity| logit(opacity));
        cloud.opacity_logits[first..].iter_mut().zip(logits).for_each(|(to, logit)| *to = logit);
    }
}

/// The sphere's radius: well behind the points, so that it hides none of them.
fn radius(points: &[SeedPoint], depth: f64) -> f64 {
    let distances = points.iter().map(|point| DVec3::from_array(point.position).length());
    let mut distances: Vec<f64> = distances.filter(|distance| distance.is_finite()).collect();
    distances.sort_unstable_by(f64::total_cmp);
    let farthest = distances.get(distances.len() * 98 / 100);
    (BEHIND_POINTS * farthest.copied().unwrap_or_default()).clamp(FAR * depth, FARTHEST * depth)
}

/// Unit vector `i` of a Fibonacci lattice on the sphere.
fn direction(i: u32) -> DVec3 {
    let golden_angle = std::f64::consts::PI * (3.0 - 5.0_f64.sqrt());
    let y = 1.0 - (2.0 * f64::from(i) + 1.0) / f64::from(DIRECTIONS);
    let (sin, cos) = (golden_angle * f64::from(i)).sin_cos();
    let across = (1.0 - y * y).sqrt();
    DVec3::new(across * cos, y, across * sin)
}

/// What a view shows at each place of the sphere.
fn shown_by(view: &SmallView, places: &[DVec3], sphere: &[DVec3]) -> Vec<Shown> {
    let pixel_of = |place: &DVec3| {
        let at: DVec2 = view.lens.project(view.cam_from_world.transform_point(*place))?;
        view.pixel_at(at)
    };
    let [width, height] = [view.photo.width, view.photo.height].map(i64::from);
    let mut occupied = vec![false; (width * height) as usize];
    for [x, y] in places.iter().filter_map(pixel_of) {
        occupied[(y * width + x) as usize] = true;
    }
    let reach = (ROOM * width.max(height) as f64).round() as i64;
    let near_points = |[x, y]: [i64; 2]| {
        let rows = (y - reach).max(0)..=(y + reach).min(height - 1);
        rows.into_iter().any(|row| {
            let half = ((reach * reach - (row - y) * (row - y)) as f64).sqrt() as i64;
            let columns = (x - half).max(0)..=(x + half).min(width - 1);
            columns.into_iter().any(|column| occupied[(row * width + column) as usize])
        })
    };
    let shown = |place: &DVec3| {
        let Some(pixel) = pixel_of(place) else { return Shown::Nothing };
        let [rgb @ .., alpha] = view.colour(pixel);
        match alpha < MIN_ALPHA {
            true => Shown::Nothing,
            false if near_points(pixel) => Shown::Scene(rgb),
            false => Shown::Room(rgb),
        }
    };
    sphere.iter().map(shown).collect()
}

/// The median colour of the photos that leave room in a direction, if they are enough of those that show it, or else of all that
/// show it; with the opacity to begin with. `None` if no photo shows the direction.
fn common_colour(shown: impl Iterator<Item = Shown>) -> Option<([u8; 3], f32)> {
    let (mut room, mut scene) = (Vec::new(), Vec::new());
    for shown in shown {
        match shown {
            Shown::Nothing => {}
            Shown::Scene(rgb) => scene.push(rgb),
            Shown::Room(rgb) => room.push(rgb),
        }
    }
    let is_far = !room.is_empty() && room.len() as f64 >= AGREEING * (room.len() + scene.len()) as f64;
    if !is_far {
        room.append(&mut scene);
    }
    let middle = room.len() / 2;
    let median = |channel: usize| {
        let mut values: Vec<u8> = room.iter().map(|rgb| rgb[channel]).collect();
        *values.select_nth_unstable(middle).1
    };
    (!room.is_empty()).then(|| ([0, 1, 2].map(median), if is_far { OPACITY } else { HIDDEN_OPACITY }))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;
    use crate::gaussians::SeedOptions;
    use crate::train::small_view::tests::wall;

    /// Points on the lower half of a wall at z = 4.
    fn points() -> Vec<SeedPoint> {
        let all = (-60..60).flat_map(|x| (0..40).map(move |y| (f64::from(x) / 10.0, f64::from(y) / 10.0)));
        all.map(|(x, y)| SeedPoint { position: [x, y, 4.0], rgb: [0; 3] }).collect()
    }

    fn of(factors: [f64; 3], background: [f32; 3]) -> Option<Backdrop> {
        of_points(&points(), factors, background)
    }

    fn of_points(points: &[SeedPoint], factors: [f64; 3], background: [f32; 3]) -> Option<Backdrop> {
        let dir = tempfile::tempdir().unwrap();
        let dataset = wall(dir.path(), points.to_vec(), |_| factors);
        let views = SmallView::of_training_views(&dataset, SceneFrame::WORLD).unwrap();
        Backdrop::of(&views, points, SceneFrame::WORLD, background)
    }

    #[test]
    fn points_of_the_sphere_are_evenly_spaced() {
        let all: Vec<DVec3> = (0..DIRECTIONS).map(direction).collect();
        let spacing = (4.0 * std::f64::consts::PI / f64::from(DIRECTIONS)).sqrt();
        for i in [0, 1, 700, 1_999] {
            let distances = all.iter().filter(|at| **at != all[i]).map(|at| at.distance(all[i]));
            let ratio = distances.fold(f64::INFINITY, f64::min) / spacing;
            assert!((0.7..1.1).contains(&ratio), "{i}: {ratio}");
        }
    }

    #[test]
    fn it_is_where_photos_look_and_has_their_colours() {
        let backdrop = of([1.0, 0.5, 0.1], [0.0; 3]).unwrap();
        // Six cameras in a row see 62 by 44 degrees around z: about 150 directions.
        assert!((100..250).contains(&backdrop.points.len()), "{} points", backdrop.points.len());
        let mut cloud = GaussianCloud::from_seed_points(&backdrop.points, &SeedOptions::default());
        backdrop.shape(&mut cloud, 0.6);
        for (point, logit) in backdrop.points.iter().zip(&cloud.opacity_logits) {
            let SeedPoint { position: [x, y, z], rgb: [r, g, b] } = *point;
            assert!(z > 0.0 && x.abs() < z && y.abs() < z, "no photo shows this: {x} {y} {z}");
            // The photos' channels are from 27 to 227, times the factors.
            assert!(r >= 27 && g <= 114 && b <= 23, "the photos have no such colour: {r} {g} {b}");
            if y.abs() > 0.1 * z {
                assert_eq!(*logit > 0.0, y < 0.0, "there are points at y > 0 only: {x} {y} {z}");
            }
        }
    }

    #[test]
    fn there_is_none_before_the_background() {
        assert!(of([0.01; 3], [0.0; 3]).is_none(), "black photos");
        assert!(of([0.01; 3], [1.0; 3]).is_some(), "black photos, white background");
    }

    #[test]
    fn there_is_none_with_few_points() {
        assert!(of_points(&points()[..99], [1.0; 3], [0.0; 3]).is_none());
    }

    #[test]
    fn it_stands_behind_the_points() {
        let at = |z: f64| SeedPoint { position: [0.0, 0.0, z], rgb: [0; 3] };
        let near: Vec<SeedPoint> = (0..100).map(|_| at(2.0)).collect();
        assert_eq!(radius(&near, 2.0), 20.0, "ten depths");
        assert_eq!(radius(&[], 2.0), 20.0);
        let far: Vec<SeedPoint> = (0..100).map(|i| at(if i < 90 { 2.0 } else { 40.0 })).collect();
        assert_eq!(radius(&far, 2.0), 60.0, "behind the tenth of points that is far off");
        let wrong: Vec<SeedPoint> = (0..100).map(|i| at(if i < 90 { 2.0 } else { 1e9 })).collect();
        assert_eq!(radius(&wrong, 2.0), 200.0);
    }
}
