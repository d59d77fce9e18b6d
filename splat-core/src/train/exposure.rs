//! Relative exposure and white balance of the photos, which a phone chooses anew for each of them, and their vignettes.
//!
//! One factor per photo and channel and one vignette per camera, estimated before the first step from the photos' colours at the seed
//! points. The scene is trained in the photos' mean brightness (geometric, per channel): a step multiplies its render by the photo's
//! exposure. Factors of held-out photos must not be measured on themselves, so they are predicted; their vignette is their camera's.

use rayon::prelude::*;

use super::small_view::{MIN_ALPHA, SmallView};
use super::vignette;
use crate::dataset::Dataset;
use crate::exposure::{Exposure, radius_squared};
use crate::gaussians::median;
use crate::images;
use crate::scene::SeedPoint;

/// Maximum number of points used.
const POINTS: usize = 12_000;
/// Cells of the reduced photo in which the nearest points hide the others, pixels.
const CELL: usize = 8;
/// A point farther than this times the depth of its cell's nearest points counts as hidden.
const HIDDEN: f64 = 1.2;
/// Channel values outside of this range are ignored: they are clipped, or noise.
const USABLE: std::ops::RangeInclusive<f64> = 12.0..=243.0;
/// Photos with fewer usable points get factors of 1.
const FEWEST_POINTS: usize = 30;
/// Number of alternations between points and photos.
const ROUNDS: usize = 40;
/// Photos whose factors have a smaller standard deviation of the logarithm count as equal: view-dependent colours represent what
/// is left.
const LEAST_SPREAD: f64 = 0.05;
/// Factors are used only if predicting them from other photos leaves at most this share of their spread. Then they are due to the
/// camera, and can be predicted for other views; unpredictable ones may be light and shadow.
const PREDICTED_TO: f64 = 0.7;

/// Logarithms of a photo's factors: red, green, blue.
pub(super) type LogGain = [f64; 3];

/// A photo's colour at a point.
pub(super) struct Sample {
    /// Index of the point.
    pub(super) point: usize,
    /// Logarithm of each channel; NaN if it is not usable.
    pub(super) log_colour: LogGain,
    /// Squared distance from the photo's centre, 1 in a corner; see [`radius_squared`].
    pub(super) radius_squared: f64,
}

/// The training photos' colours at points of the scene.
pub(super) struct Samples {
    /// Number of points.
    pub(super) points: usize,
    /// By training view.
    pub(super) views: Vec<Vec<Sample>>,
}

impl Samples {
    fn new(views: &[SmallView], points: &[SeedPoint]) -> Self {
        let stride = points.len().div_ceil(POINTS).max(1);
        let points: Vec<&SeedPoint> = points.iter().step_by(stride).collect();
        Self { points: points.len(), views: views.par_iter().map(|view| samples(view, &points)).collect() }
    }

    /// The factors of each view, with mean 0 over the views.
    ///
    /// # Source
    /// Gain compensation of panoramas (Brown and Lowe 2007), with medians, since occluded points are outliers.
    fn log_gains(&self) -> Vec<LogGain> {
        let alternate = |channel| alternate(&self.views, self.points, channel);
        let channels: Vec<Vec<f64>> = (0..3).into_par_iter().map(alternate).collect();
        (0..self.views.len()).map(|view| std::array::from_fn(|channel| channels[channel][view])).collect()
    }

    /// Removes the training views' vignettes from the colours.
    fn divide_by(&mut self, vignettes: &[f64]) {
        for (samples, vignette) in self.views.iter_mut().zip(vignettes) {
            for sample in samples {
                sample.log_colour = sample.log_colour.map(|log| log - vignette * sample.radius_squared);
            }
        }
    }
}

/// Whether photos with these factors differ.
fn differ(gains: &[LogGain]) -> bool {
    let square = |gain: &LogGain| gain.iter().map(|g| g * g).sum::<f64>() / 3.0;
    let spread = (gains.iter().map(square).sum::<f64>() / gains.len().max(1) as f64).sqrt();
    spread > LEAST_SPREAD
}

/// The exposure of every view, in the order of the scene's views. Factors are measured for training photos and predicted from those
/// for others; all are 1 if the photos do not differ, or cannot be predicted.
pub(super) fn exposures(dataset: &Dataset, views: &[SmallView], points: &[SeedPoint]) -> Vec<Exposure> {
    let mut samples = Samples::new(views, points);
    let mut gains = samples.log_gains();
    let vignettes = vignette::of_cameras(dataset, &samples, &gains);
    if vignettes.iter().any(|vignette| *vignette != 0.0) {
        let of_training: Vec<f64> = dataset.train.iter().map(|&view| vignettes[view]).collect();
        samples.divide_by(&of_training);
        gains = samples.log_gains();
    }
    let mut all: Vec<Exposure> =
        vignettes.into_iter().map(|vignette| Exposure { vignette, ..Exposure::default() }).collect();
    if !differ(&gains) {
        return all;
    }
    let measured = |(&view, gain): (&usize, LogGain)| Photo { view, exif: exif_of(dataset, view), gain };
    let known: Vec<Photo> = dataset.train.iter().zip(gains).map(measured).collect();
    let Some(predict) = best_predictor(&known) else { return all };
    for photo in &known {
        all[photo.view].factors = photo.gain.map(f64::exp);
    }
    for &view in &dataset.held_out {
        all[view].factors = predict(&known, view, exif_of(dataset, view)).map(f64::exp);
    }
    all
}

/// A training photo with measured factors.
#[derive(Clone, Copy, Debug)]
struct Photo {
    view: usize,
    /// log2 of the exposure by its settings; see [`PhotoInfo::exposure_log2`](crate::images::PhotoInfo::exposure_log2).
    exif: Option<f64>,
    gain: LogGain,
}

fn exif_of(dataset: &Dataset, view: usize) -> Option<f64> {
    images::probe_header(&dataset.scene.views[view].image_path).ok()?.exposure_log2
}

/// Predicts the factors of a view from those of other photos.
type Predictor = fn(&[Photo], usize, Option<f64>) -> LogGain;

/// The better predictor by leave-one-out error: from the previous and next photo, or from the camera's settings. `None` if
/// neither is good enough, see [`PREDICTED_TO`].
fn best_predictor(known: &[Photo]) -> Option<Predictor> {
    let error = |predict: Predictor| -> f64 {
        let squares = known.iter().enumerate().map(|(place, photo)| {
            let others: Vec<Photo> = [&known[..place], &known[place + 1..]].concat();
            let guess = predict(&others, photo.view, photo.exif);
            (0..3).map(|channel| (guess[channel] - photo.gain[channel]).powi(2)).sum::<f64>()
        });
        squares.sum::<f64>().sqrt()
    };
    let mean: Predictor = |_, _, _| [0.0; 3];
    let candidates: [Predictor; 2] = [between, by_settings];
    let (best, least) =
        candidates.into_iter().map(|predict| (predict, error(predict))).min_by(|a, b| a.1.total_cmp(&b.1))?;
    (least <= PREDICTED_TO * error(mean)).then_some(best)
}

/// Interpolates between the previous and next photo in the order of names, which is usually the order in which they were taken.
fn between(known: &[Photo], view: usize, _: Option<f64>) -> LogGain {
    let after = known.partition_point(|photo| photo.view < view);
    let before = after.checked_sub(1).and_then(|place| known.get(place));
    match (before, known.get(after)) {
        (Some(low), Some(high)) => {
            let share = (view - low.view) as f64 / (high.view - low.view) as f64;
            std::array::from_fn(|c| low.gain[c] + share * (high.gain[c] - low.gain[c]))
        }
        (Some(one), None) | (None, Some(one)) => one.gain,
        (None, None) => [0.0; 3],
    }
}

/// Linear fit of the known photos' factors over the exposure in their EXIF data. Without that of the view, or if all are equal,
/// the mean.
fn by_settings(known: &[Photo], _: usize, exif: Option<f64>) -> LogGain {
    let stated: Vec<(f64, LogGain)> = known.iter().filter_map(|p| Some((p.exif?, p.gain))).collect();
    let (Some(exif), true) = (exif, stated.len() > 1) else { return [0.0; 3] };
    let n = stated.len() as f64;
    let middle = stated.iter().map(|(exif, _)| exif).sum::<f64>() / n;
    let variance = stated.iter().map(|(exif, _)| (exif - middle).powi(2)).sum::<f64>();
    if variance < 1e-6 {
        return [0.0; 3];
    }
    std::array::from_fn(|channel| {
        let mean = stated.iter().map(|(_, gain)| gain[channel]).sum::<f64>() / n;
        let slope = stated.iter().map(|(exif, gain)| (exif - middle) * (gain[channel] - mean)).sum::<f64>()
            / variance;
        mean + slope * (exif - middle)
    })
}

/// A view's colours at the points that are not hidden.
fn samples(view: &SmallView, points: &[&SeedPoint]) -> Vec<Sample> {
    let across = (view.photo.width as usize).div_ceil(CELL);
    let cells = across * (view.photo.height as usize).div_ceil(CELL);
    let mut depths = vec![Vec::new(); cells];
    let mut seen = Vec::new();
    for (index, point) in points.iter().enumerate() {
        let place = view.cam_from_world.transform_point(point.position.into());
        let Some(pixel) = view.lens.project(place).and_then(|at| view.pixel_at(at)) else { continue };
        if view.colour(pixel)[3] < MIN_ALPHA {
            continue;
        }
        let cell = pixel[1] as usize / CELL * across + pixel[0] as usize / CELL;
        let depth = place.length();
        depths[cell].push(depth);
        seen.push((index, pixel, cell, depth));
    }
    // The second nearest: a single point may be an outlier.
    let nearest: Vec<f64> = depths
        .into_iter()
        .map(|mut depths| {
            depths.sort_by(f64::total_cmp);
            depths.get(1).or(depths.first()).copied().unwrap_or(f64::INFINITY)
        })
        .collect();
    seen.into_iter()
        .filter(|(_, _, cell, depth)| *depth <= HIDDEN * nearest[*cell])
        .map(|(point, pixel, ..)| {
            let patch = view.patch(pixel);
            let log_colour = std::array::from_fn(|channel| {
                let mean = patch.iter().map(|colour| f64::from(colour[channel])).sum::<f64>() / 9.0;
                if USABLE.contains(&mean) { mean.ln() } else { f64::NAN }
            });
            let size = [view.photo.width, view.photo.height];
            let radius_squared = radius_squared([pixel[0] as u32, pixel[1] as u32], size);
            Sample { point, log_colour, radius_squared }
        })
        .collect()
}

/// One channel's gain of each view: medians over points and over views, alternating until they converge.
fn alternate(samples: &[Vec<Sample>], points: usize, channel: usize) -> Vec<f64> {
    let mut gains = vec![0.0; samples.len()];
    for _ in 0..ROUNDS {
        let mut shown: Vec<Vec<f64>> = vec![Vec::new(); points];
        for (samples, gain) in samples.iter().zip(&gains) {
            for Sample { point, log_colour, .. } in samples.iter().filter(|s| !s.log_colour[channel].is_nan())
            {
                shown[*point].push(log_colour[channel] - gain);
            }
        }
        let colours: Vec<f64> = shown
            .into_iter()
            .map(|values| if values.len() < 2 { f64::NAN } else { median(values).unwrap_or(f64::NAN) })
            .collect();
        for (samples, gain) in samples.iter().zip(&mut gains) {
            let off: Vec<f64> = samples
                .iter()
                .map(|sample| sample.log_colour[channel] - colours[sample.point])
                .filter(|off| off.is_finite())
                .collect();
            let enough = off.len() >= FEWEST_POINTS;
            *gain = median(off).filter(|_| enough).unwrap_or(0.0);
        }
        let mean = gains.iter().sum::<f64>() / gains.len().max(1) as f64;
        for gain in &mut gains {
            *gain -= mean;
        }
    }
    gains
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;
    use crate::train::frame::SceneFrame;
    use crate::train::small_view::tests::wall;

    fn photo(view: usize, exif: f64, gain: f64) -> Photo {
        Photo { view, exif: Some(exif), gain: [gain; 3] }
    }

    /// Photos of one wall, each with its own factors.
    #[test]
    fn what_photos_differ_by_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let factors =
            [[0.8, 0.7, 0.75], [1.0, 1.1, 1.0], [0.9, 0.9, 1.0], [1.0, 1.0, 1.0], [0.6, 0.6, 0.6], [1.0; 3]];
        let dataset = wall(dir.path(), Vec::new(), |i| factors[i]);
        let views = SmallView::of_training_views(&dataset, SceneFrame::WORLD).unwrap();
        let points: Vec<SeedPoint> = (0..900)
            .map(|i| [f64::from(i % 30) * 0.08 - 1.2, f64::from(i / 30) * 0.06 - 0.9, 4.0])
            .map(|position| SeedPoint { position, rgb: [0; 3] })
            .collect();
        let log_gains = |points: &[SeedPoint]| {
            let gains = Samples::new(&views, points).log_gains();
            differ(&gains).then_some(gains)
        };
        let gains = log_gains(&points).unwrap();
        for channel in 0..3 {
            let mean = factors.iter().map(|factor: &[f64; 3]| factor[channel].ln()).sum::<f64>() / 6.0;
            assert!(gains.iter().map(|gain| gain[channel]).sum::<f64>().abs() < 1e-9, "the mean is kept");
            for (factor, gain) in factors.iter().zip(&gains) {
                let off = gain[channel] - (factor[channel].ln() - mean);
                assert!(off.abs() < 0.02, "{factor:?}: {gain:?} is off by {off}");
            }
        }
        assert!(log_gains(&points[..20]).is_none(), "too few points to say anything");
    }

    #[test]
    fn photos_alike_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let dataset = wall(dir.path(), Vec::new(), |_| [0.9; 3]);
        let views = SmallView::of_training_views(&dataset, SceneFrame::WORLD).unwrap();
        let points: Vec<SeedPoint> = (0..900)
            .map(|i| [f64::from(i % 30) * 0.08 - 1.2, f64::from(i / 30) * 0.06 - 0.9, 4.0])
            .map(|position| SeedPoint { position, rgb: [0; 3] })
            .collect();
        assert!(!differ(&Samples::new(&views, &points).log_gains()));
        assert!(exposures(&dataset, &views, &points).iter().all(|exposure| *exposure == Exposure::default()));
    }

    #[test]
    fn a_held_out_photo_is_predicted_by_what_predicts_the_others() {
        // A camera that gets slowly brighter, without EXIF settings.
        let drift: Vec<Photo> =
            (0..8).map(|i| photo(2 * i, f64::from(i as u32 * 5 % 3), 0.1 * i as f64)).collect();
        let guess = best_predictor(&drift).unwrap()(&drift, 5, Some(1.0));
        assert!((guess[0] - 0.25).abs() < 1e-9, "{guess:?}");
        // A camera whose settings predict everything, in random order.
        let settings: Vec<Photo> = (0..8)
            .map(|i| (i, f64::from(i as u32 * 5 % 8)))
            .map(|(i, exif)| photo(2 * i, exif, 0.2 * exif - 0.7))
            .collect();
        let guess = best_predictor(&settings).unwrap()(&settings, 5, Some(2.0));
        assert!((guess[0] + 0.3).abs() < 1e-9, "{guess:?}");
        // If factors are unpredictable, photos are used as they are.
        let noise = [0.3, -0.2, -0.3, 0.2, 0.3, -0.3].map(|gain| [gain; 3]);
        let noise: Vec<Photo> = (0..6).map(|i| Photo { view: 2 * i, exif: None, gain: noise[i] }).collect();
        assert!(best_predictor(&noise).is_none());
    }
}
