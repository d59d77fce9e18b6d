//! Twin of `ssim_columns`, `ssim_rows`, `loss_gradient` and `loss_total`: the loss of a rendered image against its photo.

/// Side of the SSIM window, in pixels.
pub const SSIM_WINDOW: usize = 11;
/// Standard deviation of the SSIM window's Gaussian, in pixels.
pub const SSIM_SIGMA_PX: f64 = 1.5;
/// Share of `1 - SSIM` in the training loss; the rest is L1.
pub const SSIM_WEIGHT: f64 = 0.2;
/// SSIM's first constant, `(0.01 L)²` with `L = 1`.
const C1: f64 = 0.01 * 0.01;
/// SSIM's second constant, `(0.03 L)²`.
const C2: f64 = 0.03 * 0.03;

/// Luma of an encoded colour (ITU-R BT.601).
pub const LUMA: [f64; 3] = [0.299, 0.587, 0.114];

/// `0.8 mean|x - y| + 0.2 (1 - mean SSIM(luma of x, luma of y))`.
///
/// L1 is averaged over pixels and channels, SSIM over pixels. Both images are `[H,W,3]`, row-major.
///
/// # Source
/// 3D Gaussian Splatting (Kerbl et al. 2023), eq. 7, with SSIM of the luma as defined by Wang et al. 2004; the 3DGS authors' code
/// averages over channels.
///
/// # Panics
/// If the length of a slice is not `width * height * 3`, or is 0.
#[must_use]
pub fn photometric_loss(rendered: &[f64], photo: &[f64], width: usize, height: usize) -> f64 {
    assert!(rendered.len() == width * height * 3 && photo.len() == rendered.len(), "sizes differ");
    let [x, y] = [rendered, photo].map(|picture| -> Vec<f64> {
        picture.chunks_exact(3).map(|rgb| rgb.iter().zip(LUMA).map(|(c, w)| c * w).sum()).collect()
    });
    let ssim = ssim_map(&x, &y, width, height, 1).iter().sum::<f64>() / x.len() as f64;
    let l1 = rendered.iter().zip(photo).map(|(x, y)| (x - y).abs()).sum::<f64>() / rendered.len() as f64;
    (1.0 - SSIM_WEIGHT) * l1 + SSIM_WEIGHT * (1.0 - ssim)
}

/// SSIM at every pixel and channel, `[H,W,channels]`.
///
/// Window: 11x11 Gaussian of sigma 1.5 and sum 1. Outside the image both images are 0 ("same"
/// padding, the window not renormalised), as in the 3DGS authors' `loss_utils.py`.
///
/// # Source
/// Wang et al. 2004, "Image Quality Assessment: From Error Visibility to Structural Similarity", eq. 13.
///
/// # Panics
/// If the length of a slice is not `width * height * channels`, or is 0.
#[must_use]
pub fn ssim_map(x: &[f64], y: &[f64], width: usize, height: usize, channels: usize) -> Vec<f64> {
    assert!(!x.is_empty() && x.len() == width * height * channels && y.len() == x.len(), "sizes differ");
    let blur = |value: &dyn Fn(usize) -> f64| -> Vec<f64> {
        let map: Vec<f64> = (0..x.len()).map(value).collect();
        convolve(&map, width, height, channels)
    };
    let mean_x = blur(&|i| x[i]);
    let mean_y = blur(&|i| y[i]);
    let mean_xx = blur(&|i| x[i] * x[i]);
    let mean_yy = blur(&|i| y[i] * y[i]);
    let mean_xy = blur(&|i| x[i] * y[i]);
    (0..x.len())
        .map(|i| {
            let (mx, my) = (mean_x[i], mean_y[i]);
            let (var_x, var_y, cov) = (mean_xx[i] - mx * mx, mean_yy[i] - my * my, mean_xy[i] - mx * my);
            (2.0 * mx * my + C1) * (2.0 * cov + C2) / ((mx * mx + my * my + C1) * (var_x + var_y + C2))
        })
        .collect()
}

/// Two-dimensional convolution with the window, directly from its definition.
fn convolve(map: &[f64], width: usize, height: usize, channels: usize) -> Vec<f64> {
    let half = SSIM_WINDOW / 2;
    let weights: Vec<f64> = (0..SSIM_WINDOW)
        .map(|i| {
            let offset = i as f64 - half as f64;
            (-offset * offset / (2.0 * SSIM_SIGMA_PX * SSIM_SIGMA_PX)).exp()
        })
        .collect();
    let sum: f64 = weights.iter().sum();
    let mut out = vec![0.0; map.len()];
    for row in 0..height {
        for column in 0..width {
            for channel in 0..channels {
                let mut total = 0.0;
                for (i, wy) in weights.iter().enumerate() {
                    for (j, wx) in weights.iter().enumerate() {
                        let (y, x) = (row + i, column + j); // both shifted by `half`
                        if (half..height + half).contains(&y) && (half..width + half).contains(&x) {
                            total += wy * wx * map[((y - half) * width + x - half) * channels + channel];
                        }
                    }
                }
                out[(row * width + column) * channels + channel] = total / (sum * sum);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_pictures_lose_nothing() {
        let picture: Vec<f64> = (0..7 * 5 * 3).map(|i| f64::from(i % 11) / 11.0).collect();
        assert!(photometric_loss(&picture, &picture, 7, 5).abs() < 1e-12);
    }

    /// Away from the border, constant images have no variance, so only SSIM's first factor is left.
    #[test]
    fn constant_pictures_have_the_closed_form() {
        let (size, a, b) = (23, 0.8, 0.5);
        let map = ssim_map(&vec![a; size * size], &vec![b; size * size], size, size, 1);
        let expected = (2.0 * a * b + C1) / (a * a + b * b + C1);
        let centre = map[(size / 2) * size + size / 2];
        assert!((centre - expected).abs() < 1e-12, "{centre} is not {expected}");
        // At the corner, part of the window covers zeros, so there is variance and SSIM differs.
        assert!((map[0] - expected).abs() > 1e-3);
        let loss = photometric_loss(&vec![a; size * size * 3], &vec![b; size * size * 3], size, size);
        let mean = map.iter().sum::<f64>() / map.len() as f64;
        assert!((loss - (0.8 * 0.3 + 0.2 * (1.0 - mean))).abs() < 1e-12);
    }

    #[test]
    fn opposite_structure_scores_below_zero() {
        let size = 15;
        let x: Vec<f64> = (0..size * size).map(|i| if i % 2 == 0 { 0.9 } else { 0.1 }).collect();
        let y: Vec<f64> = x.iter().map(|value| 1.0 - value).collect();
        let map = ssim_map(&x, &y, size, size, 1);
        assert!(map[(size / 2) * size + size / 2] < -0.5);
    }
}
