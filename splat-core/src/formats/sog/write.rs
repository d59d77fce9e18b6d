//! Writes a cloud as SOG.

use std::io::{self, Cursor, Write as _};
use std::path::Path;

use image::codecs::webp::WebPEncoder;
use image::{ExtendedColorType, ImageEncoder as _};
use rayon::prelude::*;
use zip::write::SimpleFileOptions;

use super::codebook::Codebook;
use super::palette::{Palette, Vectors};
use super::{Asset, Coded, FIRST_LARGEST, Files, Harmonics, Means, Meta, PALETTE_COLUMNS};
use crate::formats::morton;
use crate::formats::quantize::{byte, fraction_of_component, sigmoid, smallest_three, unit};
use crate::gaussians::GaussianCloud;
use crate::{Error, Result, files};

/// Maximum side length of a WebP image in pixels.
const MAX_SIDE: usize = 16_383;

/// Writes a cloud of finite values in Morton order; returns a note about precision loss beyond the usual, as a sentence.
pub(crate) fn write(path: &Path, cloud: &GaussianCloud) -> Result<Option<String>> {
    let count = cloud.len();
    // Rows of a multiple of four pixels, with about as many rows as columns.
    let width = (count as f64).sqrt().div_euclid(4.0) as usize * 4 + 4;
    if width > MAX_SIDE {
        let why = format!("{count} Gaussians are more than SOG's pictures hold");
        return Err(Error::Cloud { why });
    }
    let order: Vec<usize> = morton::order(cloud).into_iter().map(|index| index as usize).collect();
    let coeffs = cloud.coeffs_per_gaussian();
    let picture = |pixel: &(dyn Fn(usize) -> [u8; 4] + Sync)| -> Vec<[u8; 4]> {
        order.par_iter().map(|&index| pixel(index)).collect()
    };

    let log = |value: f32| value.abs().ln_1p().copysign(value);
    let (low, high) = cloud.bounds().unwrap_or_default();
    let (mins, maxs) = (low.map(log), high.map(log));
    let step = (0..3).map(|axis| (maxs[axis] - mins[axis]) / 65_535.0).fold(0.0, f32::max);
    let steps = |index: usize| -> [[u8; 2]; 3] {
        std::array::from_fn(|axis| {
            let extent = maxs[axis] - mins[axis];
            let fraction =
                if extent > 0.0 { (log(cloud.means[index][axis]) - mins[axis]) / extent } else { 0.0 };
            ((fraction * 65_535.0 + 0.5) as u16).to_le_bytes()
        })
    };
    let means = |part: usize| {
        picture(&|index| {
            let [x, y, z] = steps(index).map(|bytes| bytes[part]);
            [x, y, z, 255]
        })
    };
    let quats = picture(&|index| {
        let (largest, three) = smallest_three(unit(cloud.quats[index]));
        let [a, b, c] = three.map(|component| byte(fraction_of_component(component)));
        [a, b, c, FIRST_LARGEST + largest as u8]
    });
    let scale_codes = Codebook::fit(cloud.log_scales.as_flattened().to_vec());
    let scales = picture(&|index| {
        let [x, y, z] = cloud.log_scales[index].map(|scale| scale_codes.index(scale));
        [x, y, z, 255]
    });
    let colour_codes = Codebook::fit(cloud.sh_coeffs.iter().step_by(coeffs).flatten().copied().collect());
    let sh0 = picture(&|index| {
        let [red, green, blue] = cloud.sh_coeffs[index * coeffs].map(|value| colour_codes.index(value));
        [red, green, blue, byte(sigmoid(cloud.opacity_logits[index]))]
    });
    let mut pictures = vec![
        ("means_l.webp", width, means(0)),
        ("means_u.webp", width, means(1)),
        ("quats.webp", width, quats),
        ("scales.webp", width, scales),
        ("sh0.webp", width, sh0),
    ];
    let mut harmonics = None;
    if coeffs > 1 && count > 0 {
        let (codebook, entries, centroids, labels) = harmonics_of(cloud, &order);
        harmonics = Some(Harmonics {
            count: entries,
            bands: cloud.sh_degree,
            codebook: codebook.0,
            files: names(&["shN_centroids.webp", "shN_labels.webp"]),
        });
        pictures.push(("shN_centroids.webp", PALETTE_COLUMNS * (coeffs - 1), centroids));
        pictures.push(("shN_labels.webp", width, labels));
    }
    let meta = Meta {
        version: 2,
        asset: Some(Asset { generator: format!("splat {}", env!("CARGO_PKG_VERSION")) }),
        count,
        means: Means { mins, maxs, files: names(&["means_l.webp", "means_u.webp"]) },
        scales: Coded { codebook: scale_codes.0, files: names(&["scales.webp"]) },
        quats: Files { files: names(&["quats.webp"]) },
        sh0: Coded { codebook: colour_codes.0, files: names(&["sh0.webp"]) },
        sh_n: harmonics,
    };
    let encoded: Vec<(&str, Vec<u8>)> = pictures
        .into_par_iter()
        .map(|(name, width, pixels)| Ok((name, webp(width, pixels)?)))
        .collect::<io::Result<_>>()
        .map_err(|source| files::write_error(path, source))?;
    files::write_atomically(path, |out| {
        let mut zip = zip::ZipWriter::new_stream(out);
        // Images are already compressed. No timestamps, so that the same scene gives the same bytes.
        let stored = SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Stored)
            .last_modified_time(zip::DateTime::default());
        zip.start_file("meta.json", stored)?;
        serde_json::to_writer(&mut zip, &meta)?;
        for (name, content) in encoded {
            zip.start_file(name, stored)?;
            zip.write_all(&content)?;
        }
        zip.finish()?;
        Ok(())
    })?;
    Ok(coarse(cloud, step))
}

/// Note for the case that positions near the origin are quantized to more than a share of the Gaussians' size.
fn coarse(cloud: &GaussianCloud, step: f32) -> Option<String> {
    /// Share of the size; at this value, rendered images differ by about 45 dB from the original's.
    const SHARE: f32 = 0.25;
    let middle = |scales: &[f32; 3]| {
        let [a, b, c] = *scales;
        a.min(b).max(a.max(b).min(c))
    };
    let mut sizes: Vec<f32> = cloud.log_scales.iter().map(middle).collect();
    let last = sizes.len().checked_sub(1)?;
    let size = sizes.select_nth_unstable_by(last / 2, f32::total_cmp).1.exp();
    (step > SHARE * size).then(|| {
        format!(
            "positions are rounded to {step:.1e}, and half of the Gaussians measure {size:.1e} or less: SOG is fine near the origin \
             for scenes some units wide; scale it up first (`--scale`), or leave out what lies far off (`--drop-floaters`)"
        )
    })
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

type Pixels = Vec<[u8; 4]>;

/// Codebook, number of palette entries, and the images of palette and labels.
fn harmonics_of(cloud: &GaussianCloud, order: &[usize]) -> (Codebook, usize, Pixels, Pixels) {
    let rest = cloud.coeffs_per_gaussian() - 1;
    let width = rest * 3;
    let vectors =
        Vectors { values: cloud.sh_coeffs.as_flattened(), stride: width + 3, offset: 3, width, order };
    let palette = Palette::fit(&vectors, entries(order.len()));
    let codebook = Codebook::fit(palette.entries.clone());
    let coefficients = palette.entries.as_chunks::<3>().0.iter();
    let mut centroids: Pixels = coefficients
        .map(|rgb| {
            let [red, green, blue] = rgb.map(|value| codebook.index(value));
            [red, green, blue, 255]
        })
        .collect();
    // Whole rows.
    let row = PALETTE_COLUMNS * rest;
    centroids.resize(centroids.len().div_ceil(row) * row, [0, 0, 0, 255]);
    let labels = palette.labels.iter().map(|label| {
        let [low, high] = label.to_le_bytes();
        [low, high, 0, 255]
    });
    (codebook, palette.entries.len() / width, centroids, labels.collect())
}

/// Number of palette entries for `count` Gaussians: one per Gaussian as long as 16-bit labels suffice. PlayCanvas's own writer
/// uses half as many, which costs up to 18 dB in rendered images of a small scene.
fn entries(count: usize) -> usize {
    count.min(1 << 16)
}

/// A lossless WebP with this width; the rest of the last row is transparent.
fn webp(width: usize, mut pixels: Pixels) -> io::Result<Vec<u8>> {
    let height = pixels.len().div_ceil(width).max(1);
    pixels.resize(width * height, [0; 4]);
    let mut file = Cursor::new(Vec::new());
    WebPEncoder::new_lossless(&mut file)
        .write_image(pixels.as_flattened(), width as u32, height as u32, ExtendedColorType::Rgba8)
        .map_err(io::Error::other)?;
    Ok(file.into_inner())
}
