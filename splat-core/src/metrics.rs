//! Image quality metrics on the CPU: PSNR and SSIM.
//!
//! Both take images `[H*W*3]`, rows from the top, RGB within a pixel, and clamp them to 0..=1
//! first, as is customary; NaN counts as 0. Optional weights `[H*W]` weight the pixels, for masked photos.

use glam::{DMat4, DVec4};
use rayon::prelude::*;

use crate::{Error, Result};

/// Side of SSIM's window in pixels.
const WINDOW: usize = 11;
/// Standard deviation of SSIM's window in pixels.
const SIGMA: f64 = 1.5;
/// SSIM's stabilisers for a data range of 1 (Wang et al. 2004): `(0.01)^2` and `(0.03)^2`.
const C1: f64 = 0.01 * 0.01;
const C2: f64 = 0.03 * 0.03;
const CHANNELS: usize = 3;

/// Peak signal-to-noise ratio in dB: `-10 log10` of the mean squared difference.
///
/// Equal images give infinity.
///
/// # Errors
/// [`Error::ImageSize`] if the lengths are inconsistent or all weights are zero.
pub fn psnr(image: &[f32], photo: &[f32], weights: Option<&[f32]>) -> Result<f64> {
    if image.len() != photo.len() || !image.len().is_multiple_of(CHANNELS) {
        return Err(size_error(format!("{} against {} values", image.len(), photo.len())));
    }
    let pixels = image.len() / CHANNELS;
    check_weights(weights, pixels)?;
    let mut sum = Weighted::default();
    for (index, (a, b)) in image.chunks_exact(CHANNELS).zip(photo.chunks_exact(CHANNELS)).enumerate() {
        let squared: f64 = a.iter().zip(b).map(|(&a, &b)| (clamp(a) - clamp(b)).powi(2)).sum();
        sum.add(squared / CHANNELS as f64, weight(weights, index));
    }
    Ok(-10.0 * sum.mean()?.log10())
}

/// The image after a least-squares affine colour map to the photo: one 3x4 matrix for the whole image, applied to values clamped to
/// 0..=1, and clamped again. Its PSNR is independent of the photo's exposure and white balance, and never below that of the image
/// itself.
///
/// # Errors
/// As [`psnr`].
///
/// # Source
/// The colour-corrected PSNR of NeRF and splatting benchmarks with varying exposure; theirs fits quadratic maps in places.
pub fn color_corrected(image: &[f32], photo: &[f32], weights: Option<&[f32]>) -> Result<Vec<f32>> {
    /// Regularization towards the identity, per pixel of weight, for images whose colours do not determine the map.
    const RIDGE: f64 = 1e-6;
    if image.len() != photo.len() || !image.len().is_multiple_of(CHANNELS) {
        return Err(size_error(format!("{} against {} values", image.len(), photo.len())));
    }
    check_weights(weights, image.len() / CHANNELS)?;
    let homogeneous = |p: &[f32]| DVec4::new(clamp(p[0]), clamp(p[1]), clamp(p[2]), 1.0);
    let mut moments = DMat4::ZERO;
    // Column c: the moments of the difference from the photo's channel c.
    let mut differences = [DVec4::ZERO; CHANNELS];
    let mut total = 0.0;
    for (index, (a, b)) in image.chunks_exact(CHANNELS).zip(photo.chunks_exact(CHANNELS)).enumerate() {
        let (pixel, weight) = (homogeneous(a), weight(weights, index));
        let weighted = pixel * weight;
        for column in 0..4 {
            *moments.col_mut(column) += weighted * pixel[column];
        }
        for (channel, sum) in differences.iter_mut().enumerate() {
            *sum += weighted * (clamp(b[channel]) - pixel[channel]);
        }
        total += weight;
    }
    if total <= 0.0 {
        return Err(size_error("no pixel to compare: the image is empty or masked out".into()));
    }
    let inverse = (moments + DMat4::from_diagonal(DVec4::splat(RIDGE * total))).inverse();
    let changes = differences.map(|sum| inverse * sum);
    let corrected = image.chunks_exact(CHANNELS).flat_map(|p| {
        let pixel = homogeneous(p);
        [0, 1, 2].map(|channel| (pixel[channel] + changes[channel].dot(pixel)).clamp(0.0, 1.0) as f32)
    });
    Ok(corrected.collect())
}

/// Structural similarity, the mean over pixels and channels: 1 for equal images.
///
/// Window 11x11, Gaussian with sigma 1.5, zeros outside the image ("same" padding), C1 = 0.01^2,
/// C2 = 0.03^2, biased variances: what the 3DGS authors' evaluation and `fused-ssim` compute.
/// (torchmetrics, which gsplat uses, leaves a border of 5 pixels out and differs in the third decimal.)
///
/// # Errors
/// [`Error::ImageSize`] if the lengths do not match `width` and `height`, or all weights are zero.
///
/// # Source
/// Wang et al. 2004, Image Quality Assessment, eq. 13.
pub fn ssim(image: &[f32], photo: &[f32], width: u32, height: u32, weights: Option<&[f32]>) -> Result<f64> {
    let (width, height) = (width as usize, height as usize);
    let values = width.checked_mul(height).and_then(|pixels| pixels.checked_mul(CHANNELS));
    if values != Some(image.len()) || image.len() != photo.len() {
        let why = format!("{} and {} values for {width}x{height} pixels", image.len(), photo.len());
        return Err(size_error(why));
    }
    check_weights(weights, width * height)?;
    let clamped = |values: &[f32]| values.par_iter().map(|&value| clamp(value) as f32).collect::<Vec<_>>();
    let (image, photo) = (clamped(image), clamped(photo));
    // One sum per row, added in order afterwards: the result does not depend on the threads.
    let rows: Vec<Weighted> = (0..height)
        .into_par_iter()
        .map(|y| {
            let mut sum = Weighted::default();
            for (x, value) in ssim_row(&image, &photo, width, height, y).into_iter().enumerate() {
                sum.add(value, weight(weights, y * width + x));
            }
            sum
        })
        .collect();
    let mut total = Weighted::default();
    for row in rows {
        total.sum += row.sum;
        total.weight += row.weight;
    }
    total.mean()
}

/// SSIM of each pixel of row `y`, averaged over the channels. Values are in 0..=1.
fn ssim_row(image: &[f32], photo: &[f32], width: usize, height: usize, y: usize) -> Vec<f64> {
    const RADIUS: usize = WINDOW / 2;
    let taps = gaussian_window();
    let row_len = width * CHANNELS;
    // Moments a, b, aa + bb, ab of the row after the vertical pass, with a border of zeros. Only the sum
    // of the two variances enters.
    let mut moments = vec![[0.0_f64; 4]; row_len + 2 * RADIUS * CHANNELS];
    for (tap, source) in taps.iter().zip(y as isize - RADIUS as isize..) {
        let Some(source) = usize::try_from(source).ok().filter(|&source| source < height) else { continue };
        let range = source * row_len..(source + 1) * row_len;
        let inner = &mut moments[RADIUS * CHANNELS..];
        for ((sum, &a), &b) in inner.iter_mut().zip(&image[range.clone()]).zip(&photo[range]) {
            let (a, b) = (f64::from(a), f64::from(b));
            let (ta, tb) = (tap * a, tap * b);
            *sum = [sum[0] + ta, sum[1] + tb, sum[2] + ta * a + tb * b, sum[3] + ta * b];
        }
    }
    let similarity = |at: usize| {
        let mut m = [0.0; 4];
        for (tap, column) in taps.iter().zip(moments[at..].iter().step_by(CHANNELS)) {
            m = [
                m[0] + tap * column[0],
                m[1] + tap * column[1],
                m[2] + tap * column[2],
                m[3] + tap * column[3],
            ];
        }
        let [a, b, squares, product] = m;
        let means = a * a + b * b;
        let luminance = (2.0 * a * b + C1) / (means + C1);
        luminance * (2.0 * (product - a * b) + C2) / (squares - means + C2)
    };
    (0..width)
        .map(|x| (0..CHANNELS).map(|c| similarity(x * CHANNELS + c)).sum::<f64>() / CHANNELS as f64)
        .collect()
}

/// Normalised taps of the separable window.
fn gaussian_window() -> [f64; WINDOW] {
    let mut taps = [0.0; WINDOW];
    for (offset, tap) in (-(WINDOW as i32 / 2)..).zip(&mut taps) {
        *tap = (-f64::from(offset * offset) / (2.0 * SIGMA * SIGMA)).exp();
    }
    let sum: f64 = taps.iter().sum();
    taps.map(|tap| tap / sum)
}

/// Clamps to 0..=1; maps NaN to 0.
fn clamp(value: f32) -> f64 {
    if value.is_nan() { 0.0 } else { f64::from(value.clamp(0.0, 1.0)) }
}

/// Accumulator of a weighted mean.
#[derive(Clone, Copy, Debug, Default)]
struct Weighted {
    sum: f64,
    weight: f64,
}

impl Weighted {
    fn add(&mut self, value: f64, weight: f64) {
        self.sum += weight * value;
        self.weight += weight;
    }

    fn mean(self) -> Result<f64> {
        if self.weight > 0.0 {
            Ok(self.sum / self.weight)
        } else {
            Err(size_error("no pixel to compare: the image is empty or masked out".into()))
        }
    }
}

fn weight(weights: Option<&[f32]>, index: usize) -> f64 {
    weights.map_or(1.0, |weights| clamp(weights[index]))
}

fn check_weights(weights: Option<&[f32]>, pixels: usize) -> Result<()> {
    match weights {
        Some(weights) if weights.len() != pixels => {
            Err(size_error(format!("{} weights for {pixels} pixels", weights.len())))
        }
        _ => Ok(()),
    }
}

fn size_error(why: String) -> Error {
    Error::ImageSize { why }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    /// Two procedural images that can be reproduced in NumPy: waves, and waves with other phases and values outside of 0..1.
    /// Computed in f64 and rounded to f32.
    fn waves(width: usize, height: usize) -> (Vec<f32>, Vec<f32>) {
        let mut images = (Vec::new(), Vec::new());
        for y in 0..height {
            for x in 0..width {
                for c in 0..3 {
                    let (x, y, c) = (x as f64, y as f64, c as f64);
                    let a = 0.5 + 0.55 * (0.35 * x + 0.9 * c).sin() * (0.23 * y - 0.4 * c).cos();
                    let b = 0.9 * a + 0.08 * (0.9 * x - 0.7 * y + c).sin() + 0.03;
                    images.0.push(a as f32);
                    images.1.push(b as f32);
                }
            }
        }
        images
    }

    // Expected values: NumPy 2.4, SciPy and scikit-image 0.26 in float64 on the same waves, by
    //   a, b = (np.clip(v.astype(np.float32).astype(np.float64), 0, 1) for v in (a, b))
    //   skimage.metrics.peak_signal_noise_ratio(b, a, data_range=1)
    //   w = np.outer(g, g), g = exp(-(arange(11) - 5)**2 / 4.5) normalised;
    //   f = lambda v: scipy.signal.convolve2d(v, w, mode="same") per channel, then eq. 13
    //   skimage.metrics.structural_similarity(a, b, data_range=1, channel_axis=2, gaussian_weights=True,
    //       sigma=1.5, use_sample_covariance=False, full=True)[1][5:-5, 5:-5].mean()
    // the last one for `interior_ssim`, which depends on no padding.
    const SIZE: (usize, usize) = (61, 47);
    const PSNR: f64 = 23.754049460481163;
    const SSIM_SAME: f64 = 0.9251822174780596;
    const SSIM_INTERIOR: f64 = 0.915427918585175;

    #[test]
    fn agrees_with_numpy_and_scikit_image() {
        let (a, b) = waves(SIZE.0, SIZE.1);
        let (width, height) = (SIZE.0 as u32, SIZE.1 as u32);
        let psnr = psnr(&a, &b, None).unwrap();
        assert!((psnr - PSNR).abs() < 1e-9, "{psnr}");
        let same = ssim(&a, &b, width, height, None).unwrap();
        assert!((same - SSIM_SAME).abs() < 1e-9, "{same}");
        let interior = |x: usize, y: usize| x >= 5 && y >= 5 && x + 5 < SIZE.0 && y + 5 < SIZE.1;
        let weights: Vec<f32> =
            (0..SIZE.0 * SIZE.1).map(|i| f32::from(u8::from(interior(i % SIZE.0, i / SIZE.0)))).collect();
        let inner = ssim(&a, &b, width, height, Some(&weights)).unwrap();
        assert!((inner - SSIM_INTERIOR).abs() < 1e-9, "{inner}");
    }

    #[test]
    fn equal_images_are_perfect_and_values_are_clamped() {
        let (a, _) = waves(20, 15);
        assert_eq!(psnr(&a, &a, None).unwrap(), f64::INFINITY);
        assert!((ssim(&a, &a, 20, 15, None).unwrap() - 1.0).abs() < 1e-12);
        assert_eq!(psnr(&[2.0, -1.0, f32::NAN], &[1.0, 0.0, 0.0], None).unwrap(), f64::INFINITY);
        let psnr = psnr(&[0.5; 3], &[0.6; 3], None).unwrap();
        assert!((psnr - 20.0).abs() < 1e-5, "{psnr}");
    }

    #[test]
    fn a_photo_of_other_brightness_and_balance_is_met_by_correction_alone() {
        let (a, b) = waves(20, 15);
        let clamped: Vec<f32> = a.iter().map(|v| v.clamp(0.0, 1.0)).collect();
        // Channels mixed, scaled and shifted, all within 0..1.
        let mapped: Vec<f32> = clamped
            .chunks_exact(3)
            .flat_map(|p| [0.5 * p[0] + 0.2 * p[1] + 0.1, 0.7 * p[1] + 0.05, 0.1 * p[0] + 0.6 * p[2] + 0.2])
            .collect();
        let plain = psnr(&clamped, &mapped, None).unwrap();
        let corrected = psnr(&color_corrected(&clamped, &mapped, None).unwrap(), &mapped, None).unwrap();
        assert!(plain < 20.0 && corrected > 60.0, "{plain} {corrected}");
        // Never below the plain PSNR, also with weights and for an image of one colour.
        let weights: Vec<f32> = (0..300).map(|i| f32::from(u8::from(i % 7 != 0))).collect();
        for (image, photo) in [(&a, &b), (&b, &a), (&vec![0.4; 900], &a), (&a, &vec![0.4; 900])] {
            let corrected = color_corrected(image, photo, Some(&weights)).unwrap();
            let [before, after] = [image, &corrected].map(|x| psnr(x, photo, Some(&weights)).unwrap());
            assert!(after >= before - 1e-6, "{before} {after}");
        }
        assert!(color_corrected(&[0.0; 3], &[0.0; 3], Some(&[0.0])).is_err());
        assert!(color_corrected(&[0.0; 3], &[0.0; 6], None).is_err());
    }

    #[test]
    fn masked_pixels_do_not_count() {
        let photo = [0.2_f32, 0.2, 0.2, 0.9, 0.9, 0.9];
        let image = [0.2_f32, 0.2, 0.2, 0.1, 0.1, 0.1];
        assert_eq!(psnr(&image, &photo, Some(&[1.0, 0.0])).unwrap(), f64::INFINITY);
        assert!(psnr(&image, &photo, Some(&[0.0, 0.0])).is_err());
    }

    #[test]
    fn sizes_are_checked() {
        assert!(psnr(&[0.0; 3], &[0.0; 6], None).is_err());
        assert!(psnr(&[], &[], None).is_err());
        assert!(ssim(&[0.0; 12], &[0.0; 12], 2, 1, None).is_err());
        assert!(ssim(&[0.0; 12], &[0.0; 12], 2, 2, Some(&[1.0])).is_err());
        assert!(ssim(&[], &[], u32::MAX, u32::MAX, None).is_err());
        assert!(ssim(&[0.3; 3], &[0.4; 3], 1, 1, None).unwrap().is_finite());
    }
}
