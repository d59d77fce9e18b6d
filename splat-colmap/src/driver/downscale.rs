//! Smaller copies of a dataset's photos: `images_2`, `images_4`, `images_8`.

use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::imageops::FilterType;
use image::{DynamicImage, ImageEncoder as _, Rgba, RgbaImage};
use rayon::prelude::*;
use splat_core::CancelToken;
use splat_core::images::{decode_stored, has_photo_extension};

use super::prepare::remove_dir;
use crate::error::{Result, read_error, write_error};

/// Quality of the JPEGs.
const JPEG_QUALITY: u8 = 97;

/// Writes the photos of `dataset/images` downscaled by `factor` to `dataset/images_<factor>`, with the same names, and returns that
/// folder; an older one is replaced.
///
/// Sizes are rounded to the nearest pixel, and alpha channels are kept. Pixels are area-weighted averages with a triangle of
/// twice the factor's width, without any sharpening: the choice of filter alone moves PSNR by
/// tenths of a decibel, so compare trainings only on copies that were made the same way.
///
/// # Errors
/// [`crate::ColmapError::Core`] for a photo that cannot be read and where the disk refuses.
pub fn write_downscaled(dataset: &Path, factor: u32, cancel: &CancelToken) -> Result<PathBuf> {
    let factor = factor.max(1);
    let (input, out) = (dataset.join("images"), dataset.join(format!("images_{factor}")));
    // Written to a temporary folder and renamed, so that an interrupted run leaves no partial folder.
    let unfinished = dataset.join(format!("images_{factor}.tmp"));
    remove_dir(&unfinished)?;
    splat_core::files::make_dir(&unfinished)?;
    let mut names = Vec::new();
    photo_names(&input, Path::new(""), &mut names)?;
    names.par_iter().try_for_each(|name| -> Result<()> {
        cancel.check()?;
        let photo = decode_stored(&input.join(name))?;
        let shrink = |side: u32| (f64::from(side) / f64::from(factor)).round().max(1.0) as u32;
        let (width, height) = (shrink(photo.width()), shrink(photo.height()));
        let small = resized(photo, width, height);
        let path = unfinished.join(name);
        splat_core::files::make_parent(&path)?;
        write_picture(&path, &small).map_err(|error| write_error(&path, error))
    })?;
    remove_dir(&out)?;
    fs::rename(&unfinished, &out).map_err(|error| write_error(&out, error))?;
    Ok(out)
}

/// The photo at another size, with alpha if any of its pixels is not opaque. Colours are weighted by alpha, so that what a background
/// hides does not bleed into the object; where all is hidden they are kept.
fn resized(photo: RgbaImage, width: u32, height: u32) -> DynamicImage {
    let resized = |picture: DynamicImage| picture.resize_exact(width, height, FilterType::Triangle);
    if photo.pixels().all(|pixel| pixel[3] == u8::MAX) {
        return DynamicImage::ImageRgb8(resized(DynamicImage::ImageRgba8(photo)).into_rgb8());
    }
    let weighted = image::Rgba32FImage::from_fn(photo.width(), photo.height(), |x, y| {
        let [r, g, b, alpha] = photo.get_pixel(x, y).0.map(|value| f32::from(value) / 255.0);
        Rgba([r * alpha, g * alpha, b * alpha, alpha])
    });
    let weighted = resized(DynamicImage::ImageRgba32F(weighted)).into_rgba32f();
    let mut small = resized(DynamicImage::ImageRgba8(photo)).into_rgba8();
    for (pixel, weighted) in small.pixels_mut().zip(weighted.pixels()) {
        let [r, g, b, alpha] = weighted.0;
        pixel[3] = (255.0 * alpha + 0.5) as u8;
        if pixel[3] > 0 {
            for (channel, sum) in pixel.0.iter_mut().zip([r, g, b]) {
                *channel = (255.0 * sum / alpha + 0.5) as u8;
            }
        }
    }
    DynamicImage::ImageRgba8(small)
}

/// Encodes in the format of the name's extension: PNG, or else JPEG.
fn write_picture(path: &Path, picture: &DynamicImage) -> std::io::Result<()> {
    let mut file = BufWriter::new(fs::File::create(path)?);
    let is_png = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("png"));
    let (width, height) = (picture.width(), picture.height());
    let written = if is_png {
        PngEncoder::new(&mut file).write_image(picture.as_bytes(), width, height, picture.color().into())
    } else {
        let rgb = picture.to_rgb8();
        let encoder = JpegEncoder::new_with_quality(&mut file, JPEG_QUALITY);
        encoder.write_image(&rgb, width, height, image::ExtendedColorType::Rgb8)
    };
    written.map_err(|error| match error {
        image::ImageError::IoError(error) => error,
        error => std::io::Error::other(error),
    })?;
    file.flush()
}

fn photo_names(root: &Path, below: &Path, names: &mut Vec<PathBuf>) -> Result<()> {
    let folder = root.join(below);
    for entry in fs::read_dir(&folder).map_err(|error| read_error(&folder, error))? {
        let entry = entry.map_err(|error| read_error(&folder, error))?;
        let name = below.join(entry.file_name());
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => photo_names(root, &name, names)?,
            _ if has_photo_extension(&name) => names.push(name),
            _ => {}
        }
    }
    names.sort();
    Ok(())
}
