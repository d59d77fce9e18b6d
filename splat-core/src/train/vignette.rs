//! Vignettes: how much darker a camera's photos become towards their corners.
//!
//! One coefficient per camera, from the colours of points that several of its photos show at different distances from their centres.

use super::exposure::{LogGain, Sample, Samples};
use crate::dataset::Dataset;

/// Photos of one size are of one camera if their focal lengths differ by at most this share.
const SAME_FOCAL: f64 = 0.05;
/// Minimum number of a camera's photos with a coefficient of their own, from which the camera's follows.
const FEWEST_PHOTOS: usize = 6;
/// Minimum number of comparisons within a photo.
const FEWEST_COMPARISONS: usize = 60;
/// Minimum difference of r² between compared points, each relative to the point's mean in the other photos.
const APART: f64 = 0.1;
/// Smaller vignettes are not worth correcting: 5 % in a corner.
const LEAST: f64 = 0.05;
/// A coefficient must exceed this many standard errors, which are those of a mean over the photos.
const STANDARD_ERRORS: f64 = 3.0;
/// Limit: corners of photos by ordinary lenses are not darker than this. More is the scene's light.
const MOST: f64 = 1.0;

/// [`Exposure::vignette`](crate::Exposure::vignette) of every view, in the order of the scene's views; 0 for cameras without a
/// measurable one. `gains` are the training views' measured factors.
pub(super) fn of_cameras(dataset: &Dataset, samples: &Samples, gains: &[LogGain]) -> Vec<f64> {
    let cameras = cameras(dataset);
    let mut vignettes = vec![0.0; cameras.len()];
    let count = cameras.iter().max().map_or(0, |last| last + 1);
    for camera in 0..count {
        let is_of_camera = |view: usize| cameras[view] == camera;
        let places: Vec<usize> =
            (0..dataset.train.len()).filter(|&i| is_of_camera(dataset.train[i])).collect();
        let vignette = of_photos(samples, gains, &places);
        for view in (0..cameras.len()).filter(|&view| is_of_camera(view)) {
            vignettes[view] = vignette;
        }
    }
    vignettes
}

/// A number for the camera of each view. Structure-from-motion may have given each photo intrinsics of its own, so photos of the same
/// size, either way up, and of similar focal length are considered to be of one camera.
fn cameras(dataset: &Dataset) -> Vec<usize> {
    let mut known: Vec<([u32; 2], f64)> = Vec::new();
    (0..dataset.scene.views.len())
        .map(|view| {
            let k = dataset.pinhole_camera(view).intrinsics;
            let size = [k.width.max(k.height), k.width.min(k.height)];
            let same =
                |&(other, focal): &([u32; 2], f64)| other == size && (k.fx / focal - 1.0).abs() <= SAME_FOCAL;
            known.iter().position(same).unwrap_or_else(|| {
                known.push((size, k.fx));
                known.len() - 1
            })
        })
        .collect()
}

/// The coefficient of a camera from its photos, given by their place among the training views: the mean of the photos' own.
fn of_photos(samples: &Samples, gains: &[LogGain], places: &[usize]) -> f64 {
    if places.len() < FEWEST_PHOTOS {
        return 0.0;
    }
    let of_point = point_sums(samples, gains, places);
    let slopes: Vec<f64> =
        places.iter().filter_map(|&place| slope(&samples.views[place], &gains[place], &of_point)).collect();
    let n = slopes.len() as f64;
    if slopes.len() < FEWEST_PHOTOS {
        return 0.0;
    }
    let mean = slopes.iter().sum::<f64>() / n;
    let variance = slopes.iter().map(|slope| (slope - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let is_sure = -mean > STANDARD_ERRORS * (variance / n).sqrt();
    if is_sure && -mean >= LEAST { mean.max(-MOST) } else { 0.0 }
}

/// Sums over a point's samples, by channel.
#[derive(Clone, Copy, Default)]
struct Sums {
    count: [f64; 3],
    log_colour: [f64; 3],
    radius_squared: [f64; 3],
}

/// Sums of each point over the camera's photos, with the photos' factors removed.
fn point_sums(samples: &Samples, gains: &[LogGain], places: &[usize]) -> Vec<Sums> {
    let mut sums = vec![Sums::default(); samples.points];
    for &place in places {
        for sample in &samples.views[place] {
            let sums = &mut sums[sample.point];
            for channel in (0..3).filter(|&channel| !sample.log_colour[channel].is_nan()) {
                sums.count[channel] += 1.0;
                sums.log_colour[channel] += sample.log_colour[channel] - gains[place][channel];
                sums.radius_squared[channel] += sample.radius_squared;
            }
        }
    }
    sums
}

/// Change of the logarithm of the colours with r² in one photo, relative to the same points in the camera's other photos. `None` if
/// there are fewer than [`FEWEST_COMPARISONS`].
///
/// # Source
/// A weighted median of slopes between pairs of points (Theil 1950, Sen 1968; Jaeckel 1972 for the weights): an error of the photo's
/// factors cancels, and points that are hidden in a photo are outliers.
fn slope(photo: &[Sample], gain: &LogGain, of_point: &[Sums]) -> Option<f64> {
    let mut ratios: Vec<(f64, f64)> = Vec::new();
    for (channel, gain) in gain.iter().enumerate() {
        let compare = |sample: &Sample| {
            let sums = &of_point[sample.point];
            let others = sums.count[channel] - 1.0;
            let own = sample.log_colour[channel] - gain;
            let off = own - (sums.log_colour[channel] - own) / others;
            let apart =
                sample.radius_squared - (sums.radius_squared[channel] - sample.radius_squared) / others;
            (others > 0.0 && off.is_finite()).then_some((apart, off))
        };
        let mut compared: Vec<(f64, f64)> = photo.iter().filter_map(compare).collect();
        compared.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (low, high) = compared.split_at(compared.len() / 2);
        for (low, high) in low.iter().zip(high) {
            let apart = high.0 - low.0;
            if apart > APART {
                ratios.push(((high.1 - low.1) / apart, apart));
            }
        }
    }
    if ratios.len() < FEWEST_COMPARISONS {
        return None;
    }
    ratios.sort_by(|a, b| a.0.total_cmp(&b.0));
    let half = ratios.iter().map(|(_, weight)| weight).sum::<f64>() / 2.0;
    let mut sum = 0.0;
    let is_middle = |(_, weight): &&(f64, f64)| {
        sum += weight;
        sum >= half
    };
    ratios.iter().find(is_middle).map(|(ratio, _)| *ratio)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use glam::DVec2;

    use super::*;
    use crate::exposure::Exposure;
    use crate::scene::SeedPoint;
    use crate::train::exposure::exposures;
    use crate::train::frame::SceneFrame;
    use crate::train::small_view::SmallView;
    use crate::train::small_view::tests::wall;

    /// The exposures found in photos of a smoothly coloured wall that differ in brightness and have a vignette.
    fn found(vignette: f64) -> Vec<Exposure> {
        let dir = tempfile::tempdir().unwrap();
        let dataset = wall(dir.path(), Vec::new(), |_| [1.0; 3]);
        for (index, view) in dataset.scene.views.iter().enumerate() {
            let exposure = Exposure { factors: [[0.8, 0.75, 0.7], [0.95; 3]][index % 2], vignette };
            let world_from_cam = view.cam_from_world.inverse();
            let eye = view.cam_from_world.centre();
            let (width, height) = (view.lens.width, view.lens.height);
            let photo = image::RgbImage::from_fn(width, height, |x, y| {
                let ray = view.lens.unproject(DVec2::new(f64::from(x) + 0.5, f64::from(y) + 0.5)).unwrap();
                let ray = world_from_cam.rotation * ray;
                let at = eye + ray * ((4.0 - eye.z) / ray.z);
                let colour = [at.x, at.y, at.x + at.y].map(|v| 120.0 + 70.0 * (1.5 * v).sin());
                let vignette = exposure.vignette_at([x, y], [width, height]);
                image::Rgb(std::array::from_fn(|c| {
                    (colour[c] * exposure.factors[c] * vignette).round() as u8
                }))
            });
            photo.save(&view.image_path).unwrap();
        }
        let views = SmallView::of_training_views(&dataset, SceneFrame::WORLD).unwrap();
        let points: Vec<SeedPoint> = (0..3600)
            .map(|i| [f64::from(i % 60) * 0.1 - 3.0, f64::from(i / 60) * 0.06 - 1.8, 4.0])
            .map(|position| SeedPoint { position, rgb: [0; 3] })
            .collect();
        exposures(&dataset, &views, &points)
    }

    #[test]
    fn a_cameras_vignette_is_found() {
        for exposure in found(-0.3) {
            assert!((exposure.vignette + 0.3).abs() < 0.03, "{exposure:?}");
        }
    }

    #[test]
    fn photos_without_one_have_none() {
        // Corners that are brighter than the centre are not a vignette either.
        for vignette in [0.0, 0.2] {
            assert!(found(vignette).iter().all(|exposure| exposure.vignette == 0.0), "{vignette}");
        }
    }

    #[test]
    fn photos_either_way_up_are_of_one_camera() {
        let dir = tempfile::tempdir().unwrap();
        let mut scene = wall(dir.path(), Vec::new(), |_| [1.0; 3]).scene;
        let turned = &mut scene.views[1];
        let photo = image::open(&turned.image_path).unwrap();
        photo.rotate90().save(&turned.image_path).unwrap();
        std::mem::swap(&mut turned.lens.width, &mut turned.lens.height);
        scene.views[1].lens.params[0] *= 1.02;
        scene.views[2].lens.params[0] *= 1.5;
        let of = |scene| cameras(&Dataset::new(scene, &crate::DatasetOptions::default()).unwrap());
        assert_eq!(of(scene), [0, 0, 1, 0, 0, 0]);
    }
}
