//! PlayCanvas's SOG, version 2: values as lossless WebP images and codebooks in a `meta.json`, in a zip or a folder.

mod codebook;
mod palette;
mod write;

use std::fs;
use std::io::{BufReader, Cursor, Read};
use std::path::Path;

use image::{ImageFormat, ImageReader, RgbaImage};
use serde::{Deserialize, Serialize};

use super::quantize::{component_of_fraction, from_smallest_three, logit_of_byte};
use super::{SplatScene, malformed, open};
use crate::gaussians::GaussianCloud;
use crate::plain::plain;
use crate::{Error, Result};

pub(super) use write::write;

/// Maximum size of a meta.json, in bytes: it contains four codebooks of 256 numbers.
const MAX_META: u64 = 1 << 20;
/// Maximum pixels per byte of an image: WebP's longest repetition.
const MOST_PIXELS: u64 = 4096;
/// Alpha value of a quaternion whose first component is the largest.
const FIRST_LARGEST: u8 = 252;
/// Palette entries per row of `shN_centroids`.
const PALETTE_COLUMNS: usize = 64;

#[derive(Debug, Serialize, Deserialize)]
struct Meta {
    version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asset: Option<Asset>,
    count: usize,
    means: Means,
    scales: Coded,
    quats: Files,
    sh0: Coded,
    #[serde(default, rename = "shN", skip_serializing_if = "Option::is_none")]
    sh_n: Option<Harmonics>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Asset {
    #[serde(default)]
    generator: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Means {
    mins: [f32; 3],
    maxs: [f32; 3],
    files: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Coded {
    codebook: Vec<f32>,
    files: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Files {
    files: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Harmonics {
    count: usize,
    bands: u32,
    codebook: Vec<f32>,
    files: Vec<String>,
}

/// Whether the folder contains an unpacked SOG.
pub(super) fn is_folder(path: &Path) -> bool {
    let Ok(file) = fs::File::open(path.join("meta.json")) else { return false };
    let mut text = String::new();
    let read = file.take(MAX_META).read_to_string(&mut text).is_ok();
    let meta: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    // Detected by properties of all versions, so that a damaged file or another version gets a specific error.
    read && ["means", "quats", "scales"].iter().all(|part| meta[part].is_object())
}

pub(super) fn read_folder(path: &Path) -> Result<SplatScene> {
    let mut scene = decode(path, &mut |name| {
        // Only the file name is used, so that a name cannot point outside of the folder.
        let part = path.join(Path::new(name).file_name().unwrap_or_default());
        fs::read(&part).map_err(|source| Error::Read { path: part, source })
    })?;
    scene.settle()?;
    Ok(scene)
}

pub(super) fn read(path: &Path) -> Result<SplatScene> {
    let damaged =
        |error: zip::result::ZipError| malformed(path, "SOG", format!("its zip is damaged ({error})"));
    let file = open(path)?;
    let len = file.metadata().map_err(|source| Error::Read { path: path.to_owned(), source })?.len();
    let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(damaged)?;
    decode(path, &mut |name| {
        // Some writers put the files in a folder.
        let names = archive.file_names().flatten().map(std::borrow::Cow::into_owned);
        let inside = names.into_iter().find(|entry| entry.rsplit('/').next() == Some(name));
        let Some(inside) = inside else {
            return Err(malformed(path, "SOG", format!("it has no `{name}`")));
        };
        let mut content = Vec::new();
        let entry = archive.by_name(&inside).map_err(damaged)?;
        // Images are stored, or hardly compressed further.
        let read = entry.take(len.saturating_mul(2).max(MAX_META)).read_to_end(&mut content);
        read.map_err(|error| malformed(path, "SOG", format!("`{name}` is damaged ({error})")))?;
        Ok(content)
    })
}

/// Reads a file of the scene by name.
type Part<'a> = &'a mut dyn FnMut(&str) -> Result<Vec<u8>>;

fn decode(path: &Path, part: Part<'_>) -> Result<SplatScene> {
    let refuse = |what: String| malformed(path, "SOG", what);
    let meta = part("meta.json")?;
    let version = serde_json::from_slice::<serde_json::Value>(&meta).unwrap_or_default();
    if version["means"].is_object() && version["version"].is_null() {
        return Err(refuse(
            "it is of version 1, and 2 is read; PlayCanvas' `splat-transform` converts it to PLY".into(),
        ));
    }
    let meta: Meta = serde_json::from_slice(&meta)
        .map_err(|error| refuse(format!("its meta.json cannot be read ({})", plain(&error.to_string()))))?;
    if meta.version != 2 {
        return Err(refuse(format!("its version is {}, and 2 is read", meta.version)));
    }
    let count = meta.count;
    let mut picture = |files: &[String], index: usize| -> Result<RgbaImage> {
        let name = files.get(index).ok_or_else(|| refuse("its meta.json names too few pictures".into()))?;
        load(&part(name)?, name, path)
    };
    let enough = |picture: &RgbaImage, what: &str| {
        let pixels = u64::from(picture.width()) * u64::from(picture.height());
        if pixels < count as u64 {
            return Err(refuse(format!("its {what} have {pixels} pixels, and it has {count} splats")));
        }
        Ok(())
    };
    let entry = |codebook: &[f32], index: u8| -> Result<f32> {
        let value = codebook.get(usize::from(index)).copied();
        value.ok_or_else(|| {
            refuse(format!("a codebook of {} entries is asked for number {index}", codebook.len()))
        })
    };
    let mut cloud = GaussianCloud::default();

    let (low, high) = (picture(&meta.means.files, 0)?, picture(&meta.means.files, 1)?);
    enough(&low, "positions")?;
    enough(&high, "positions")?;
    let Means { mins, maxs, .. } = meta.means;
    cloud.means.reserve_exact(count);
    for (low, high) in low.pixels().zip(high.pixels()).take(count) {
        cloud.means.push(std::array::from_fn(|axis| {
            let steps = f32::from(u16::from_le_bytes([low[axis], high[axis]]));
            let log = mins[axis] + (maxs[axis] - mins[axis]) * (steps / 65_535.0);
            log.abs().exp_m1().copysign(log)
        }));
    }
    let quats = picture(&meta.quats.files, 0)?;
    enough(&quats, "rotations")?;
    cloud.quats.reserve_exact(count);
    for pixel in quats.pixels().take(count) {
        let [a, b, c, mode] = pixel.0;
        let Some(largest @ 0..=3) = mode.checked_sub(FIRST_LARGEST) else {
            return Err(refuse(format!("a rotation is marked {mode}, not 252 to 255")));
        };
        let three = [a, b, c].map(|byte| component_of_fraction(f32::from(byte) / 255.0));
        cloud.quats.push(from_smallest_three(usize::from(largest), three));
    }
    let scales = picture(&meta.scales.files, 0)?;
    enough(&scales, "scales")?;
    cloud.log_scales.reserve_exact(count);
    for pixel in scales.pixels().take(count) {
        let [x, y, z, _] = pixel.0;
        let scale = |index| entry(&meta.scales.codebook, index);
        cloud.log_scales.push([scale(x)?, scale(y)?, scale(z)?]);
    }
    let sh0 = picture(&meta.sh0.files, 0)?;
    enough(&sh0, "colours")?;
    cloud.sh_coeffs.reserve_exact(count);
    cloud.opacity_logits.reserve_exact(count);
    for pixel in sh0.pixels().take(count) {
        let [red, green, blue, alpha] = pixel.0;
        let value = |index| entry(&meta.sh0.codebook, index);
        cloud.sh_coeffs.push([value(red)?, value(green)?, value(blue)?]);
        cloud.opacity_logits.push(logit_of_byte(alpha));
    }
    if let Some(harmonics) = &meta.sh_n {
        if !(1..=3).contains(&harmonics.bands) {
            return Err(refuse(format!("its harmonics have degree {}, not 1 to 3", harmonics.bands)));
        }
        let (centroids, labels) = (picture(&harmonics.files, 0)?, picture(&harmonics.files, 1)?);
        enough(&labels, "labels of harmonics")?;
        let coeffs = (harmonics.bands as usize + 1).pow(2) - 1;
        let constant = std::mem::take(&mut cloud.sh_coeffs);
        cloud.sh_coeffs.reserve_exact(count.saturating_mul(coeffs + 1));
        for (constant, label) in constant.into_iter().zip(labels.pixels()) {
            let label = usize::from(u16::from_le_bytes([label[0], label[1]]));
            cloud.sh_coeffs.push(constant);
            for coefficient in 0..coeffs {
                let column = (label % PALETTE_COLUMNS) * coeffs + coefficient;
                let row = label / PALETTE_COLUMNS;
                let Some(pixel) = centroids.get_pixel_checked(column as u32, row as u32) else {
                    return Err(refuse(format!("its palette has no entry {label}")));
                };
                let value = |channel: usize| entry(&harmonics.codebook, pixel[channel]);
                cloud.sh_coeffs.push([value(0)?, value(1)?, value(2)?]);
            }
        }
        cloud.sh_degree = harmonics.bands;
    }
    Ok(SplatScene { cloud, ..SplatScene::default() })
}

fn load(content: &[u8], name: &str, path: &Path) -> Result<RgbaImage> {
    let refuse = |what: String| malformed(path, "SOG", format!("`{name}` {what}"));
    let damaged = |error: image::ImageError| refuse(format!("cannot be decoded ({error})"));
    let reader = || ImageReader::with_format(Cursor::new(content), ImageFormat::WebP);
    let (width, height) = reader().into_dimensions().map_err(damaged)?;
    if u64::from(width) * u64::from(height) > MOST_PIXELS * content.len() as u64 {
        return Err(refuse(format!("claims {width}x{height} pixels, more than its bytes can hold")));
    }
    Ok(reader().decode().map_err(damaged)?.into_rgba8())
}
