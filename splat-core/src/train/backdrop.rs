//! First Gaussians far behind the scene, where photos show something of which structure-from-motion has no points: the sky, or
//! what is seen through gaps between trees.
//!
//! Hierarchical 3D Gaussians (Kerbl et al. 2024) puts 100,000 of them on a sphere around everything. Here they are only where
//! photos leave room for something far away, and have the colour that the photos have there. Since something is then behind
//! everything, a run with a backdrop uses a random background colour in each step: a render has to be opaque to match the
//! photos, and darkness can no longer be had by leaving a gap.

use glam::{DVec2, DVec3};
use rayon::prelude::*;

use super::small_view::{MIN_ALPHA, SmallView};
use crate::scene::SeedPoint;

/// Directions that are tried, evenly distributed over the sphere: 4.5 degrees apart.
const DIRECTIONS: u32 = 2_000;
/// Distance from the frame's origin, in typical depths of the scene.
const FAR: f64 = 10.0;
/// A pixel leaves room for something far away if no point is nearer to it than this share of the photo's longest side.
const ROOM: f64 = 1.0 / 16.0;
/// Share of the photos showing a direction that have to leave room there.
const AGREEING: f64 = 0.5;
/// With fewer points the photos' empty regions are unknown, and there is no backdrop.
const FEWEST_POINTS: usize = 100;
/// Maximum number of points that are projected into each photo.
const MOST_POINTS: usize = 20_000;
/// A backdrop that differs from the background by at most this many grey levels, for more than half of it, is the background.
const SAME_COLOUR: f64 = 12.0;

/// What a photo shows in a direction.
#[derive(Clone, Copy)]
enum Shown {
    /// Nothing: the direction is outside of the photo, or masked.
    Nothing,
    /// Points of the scene are near.
    Scene,
    /// No point is near: this colour may be far away.
    Room([u8; 3]),
}

/// Points of the backdrop in the run's frame, from the training photos, the points of structure-from-motion (in the frame) and the
/// scene's typical depth (units of the frame). May be empty: then the scene is all around. `None`: there are too few points, most
/// of the photos is masked, so that a single thing is wanted, or the backdrop has the colour of `background`, as in rendered photos.
pub(super) fn backdrop(
    views: &[SmallView],
    points: &[SeedPoint],
    depth: f64,
    background: [f32; 3],
) -> Option<Vec<SeedPoint>> {
    let pixels = || views.iter().flat_map(|view| &view.photo.pixels);
    let masked = pixels().filter(|pixel| pixel.to_le_bytes()[3] < MIN_ALPHA).count();
    if points.len() < FEWEST_POINTS || 2 * masked > pixels().count() {
        return None;
    }
    let places: Vec<DVec3> = points
        .iter()
        .step_by(points.len().div_ceil(MOST_POINTS))
        .map(|point| DVec3::from_array(point.position))
        .collect();
    let sphere: Vec<DVec3> = (0..DIRECTIONS).map(|i| direction(i) * FAR * depth).collect();
    let shown: Vec<Vec<Shown>> = views.par_iter().map(|view| shown_by(view, &places, &sphere)).collect();
    let colour = |i: usize| common_colour(shown.iter().map(|view| view[i]));
    let points: Vec<SeedPoint> = (sphere.iter().enumerate())
        .filter_map(|(i, at)| colour(i).map(|rgb| SeedPoint { position: at.to_array(), rgb }))
        .collect();
    let background = background.map(|channel| f64::from(channel) * 255.0);
    let is_background = |point: &&SeedPoint| {
        point.rgb.iter().zip(background).all(|(&channel, b)| (f64::from(channel) - b).abs() <= SAME_COLOUR)
    };
    let plain = points.iter().filter(is_background).count();
    (2 * plain <= points.len()).then_some(points)
}

/// Distance between neighbouring points of the sphere.
pub(super) fn spacing(depth: f64) -> f64 {
    FAR * depth * (4.0 * std::f64::consts::PI / f64::from(DIRECTIONS)).sqrt()
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
        let [r, g, b, alpha] = view.colour(pixel);
        match alpha < MIN_ALPHA {
            true => Shown::Nothing,
            false if near_points(pixel) => Shown::Scene,
            false => Shown::Room([r, g, b]),
        }
    };
    sphere.iter().map(shown).collect()
}

/// The median colour of the photos that leave room in a direction, if they are enough of those that show it.
fn common_colour(shown: impl Iterator<Item = Shown>) -> Option<[u8; 3]> {
    let mut photos = 0_usize;
    let mut channels: [Vec<u8>; 3] = Default::default();
    for shown in shown {
        photos += usize::from(!matches!(shown, Shown::Nothing));
        if let Shown::Room(rgb) = shown {
            channels.iter_mut().zip(rgb).for_each(|(values, value)| values.push(value));
        }
    }
    let room = channels[0].len();
    if room == 0 || (room as f64) < AGREEING * photos as f64 {
        return None;
    }
    Some(channels.map(|mut values| *values.select_nth_unstable(room / 2).1))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;
    use crate::train::frame::SceneFrame;
    use crate::train::small_view::tests::wall;

    /// Points on a wall at z = 4 wherever `on` says so, coordinates in tenths.
    fn points(on: impl Fn(i32, i32) -> bool) -> Vec<SeedPoint> {
        let all = (-60..60).flat_map(|x| (-40..40).map(move |y| (x, y)));
        all.filter(|&(x, y)| on(x, y))
            .map(|(x, y)| SeedPoint {
                position: [f64::from(x) / 10.0, f64::from(y) / 10.0, 4.0],
                rgb: [0; 3],
            })
            .collect()
    }

    #[test]
    fn points_of_the_sphere_are_evenly_spaced() {
        let all: Vec<DVec3> = (0..DIRECTIONS).map(|i| direction(i) * FAR * 2.0).collect();
        for i in [0, 1, 700, 1_999] {
            let distances = all.iter().filter(|at| **at != all[i]).map(|at| at.distance(all[i]));
            let ratio = distances.fold(f64::INFINITY, f64::min) / spacing(2.0);
            assert!((0.7..1.1).contains(&ratio), "{i}: {ratio}");
        }
    }

    fn of(points: &[SeedPoint], factors: [f64; 3], background: [f32; 3]) -> Option<Vec<SeedPoint>> {
        let dir = tempfile::tempdir().unwrap();
        let dataset = wall(dir.path(), points.to_vec(), |_| factors);
        let views = SmallView::of_training_views(&dataset, SceneFrame::WORLD).unwrap();
        backdrop(&views, points, 1.0, background)
    }

    #[test]
    fn it_lies_far_off_where_photos_show_no_points() {
        assert_eq!(of(&points(|_, _| true), [1.0; 3], [0.0; 3]), Some(Vec::new()), "the wall is everywhere");
        let found = of(&points(|_, y| y > 0), [1.0, 0.5, 0.1], [0.0; 3]).unwrap();
        assert!(found.len() > 10, "{} points", found.len());
        for SeedPoint { position: [x, y, z], rgb: [r, g, b] } in found {
            assert!(y < 0.0 && z > 0.0, "beside the empty half of the photos: {x} {y} {z}");
            assert!(((x * x + y * y + z * z).sqrt() - FAR).abs() < 1e-9);
            assert!(r >= 27 && g <= 114 && b <= 23, "the photos have no such colour: {r} {g} {b}");
        }
    }

    #[test]
    fn there_is_none_with_few_points_or_before_the_background() {
        assert_eq!(of(&points(|x, y| y > 0 && x == 0), [1.0; 3], [0.0; 3]), None);
        assert_eq!(of(&points(|_, y| y > 0), [0.01; 3], [0.0; 3]), None, "black photos");
        assert!(of(&points(|_, y| y > 0), [0.01; 3], [1.0; 3]).is_some(), "black photos, white background");
    }
}
