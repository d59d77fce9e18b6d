//! In which form COLMAP gets a photo: its own bytes where it can read them, else a new JPEG or PNG.

use std::io::Cursor;
use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{DynamicImage, ExtendedColorType, ImageEncoder as _, ImageError, RgbaImage};
use splat_core::images::{Orientation, PhotoFormat, PhotoInfo};

/// Quality of rewritten JPEGs: no visible loss, a quarter of a PNG's size.
const JPEG_QUALITY: u8 = 97;

/// The extension under which COLMAP can take the file's own bytes: upright 8-bit grey or RGB in
/// JPEG (MPO too) or PNG, and RGBA in PNG if some of its `alpha` is below 255.
pub(super) fn as_is_extension(info: &PhotoInfo, bytes: &[u8], alpha: bool) -> Option<&'static str> {
    if info.orientation != Orientation::Upright || (info.has_alpha && !alpha) {
        return None;
    }
    match info.format {
        PhotoFormat::Jpeg => matches!(jpeg_components(bytes), Some(1 | 3)).then_some("jpg"),
        // Bit depth and colour type of the IHDR chunk: RGBA, or grey or RGB, with 8 bits.
        PhotoFormat::Png if alpha => matches!(bytes.get(24..26), Some([8, 6])).then_some("png"),
        PhotoFormat::Png => matches!(bytes.get(24..26), Some([8, 0 | 2])).then_some("png"),
        _ => None,
    }
}

/// Colour components of a JPEG from its frame header; 4 is CMYK, which COLMAP misreads.
fn jpeg_components(bytes: &[u8]) -> Option<u8> {
    let mut at = 2;
    loop {
        let &[0xff, marker] = bytes.get(at..at + 2)? else { return None };
        match marker {
            // Fill bytes before a marker.
            0xff => at += 1,
            // Frame headers, all but the tables that share their range.
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => return bytes.get(at + 9).copied(),
            _ => at += 2 + usize::from(u16::from_be_bytes(*bytes.get(at + 2..)?.first_chunk()?)),
        }
    }
}

/// The source's name, with the content's extension put behind where its own does not say it.
pub(super) fn output_name(name: &str, extension: &str) -> String {
    let own = Path::new(name).extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
    let fits = match own.as_deref() {
        Some("jpg" | "jpeg") => extension == "jpg",
        Some("png") => extension == "png",
        _ => false,
    };
    if fits { name.to_owned() } else { format!("{name}.{extension}") }
}

/// As JPEG, or as PNG with its `alpha`, with the EXIF tags that COLMAP reads.
pub(super) fn encode(upright: RgbaImage, alpha: bool, info: &PhotoInfo) -> image::ImageResult<Vec<u8>> {
    let mut bytes = Vec::new();
    let exif = exif_for_colmap(info);
    let (width, height) = upright.dimensions();
    if alpha {
        let mut encoder = PngEncoder::new(&mut bytes);
        exif.map_or(Ok(()), |exif| encoder.set_exif_metadata(exif)).map_err(ImageError::Unsupported)?;
        encoder.write_image(&upright, width, height, ExtendedColorType::Rgba8)?;
    } else {
        let mut encoder = JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY);
        exif.map_or(Ok(()), |exif| encoder.set_exif_metadata(exif)).map_err(ImageError::Unsupported)?;
        let rgb = DynamicImage::ImageRgba8(upright).into_rgb8();
        encoder.write_image(&rgb, width, height, ExtendedColorType::Rgb8)?;
    }
    Ok(bytes)
}

/// Focal length and camera, from which it takes its first guess, and the position.
fn exif_for_colmap(info: &PhotoInfo) -> Option<Vec<u8>> {
    use exif::{Field, In, Rational, Tag, Value, experimental::Writer};
    let text =
        |text: &Option<String>| Value::Ascii(vec![text.as_deref().unwrap_or_default().as_bytes().to_vec()]);
    let thousandths = |mm: f64| Rational { num: (mm * 1000.0).round() as u32, denom: 1000 };
    let field = |tag, value| Field { tag, ifd_num: In::PRIMARY, value };
    let mut fields = Vec::new();
    if let Some(mm) = info.focal_mm {
        fields.push(field(Tag::FocalLength, Value::Rational(vec![thousandths(mm)])));
    }
    if let Some(mm) = info.focal_35mm {
        fields.push(field(Tag::FocalLengthIn35mmFilm, Value::Short(vec![mm.round() as u16])));
    }
    if !fields.is_empty() {
        fields.push(field(Tag::Make, text(&info.camera_make)));
        fields.push(field(Tag::Model, text(&info.camera_model)));
    }
    if let Some(([north, east], altitude)) = info.gps.zip(info.altitude_m) {
        let sides = [
            (Tag::GPSLatitudeRef, if north < 0.0 { "S" } else { "N" }),
            (Tag::GPSLongitudeRef, if east < 0.0 { "W" } else { "E" }),
        ];
        fields.extend(sides.map(|(tag, side)| field(tag, Value::Ascii(vec![side.as_bytes().to_vec()]))));
        let degrees = |value: f64| Value::Rational(degrees_minutes_seconds(value.abs()).to_vec());
        fields.push(field(Tag::GPSLatitude, degrees(north)));
        fields.push(field(Tag::GPSLongitude, degrees(east)));
        fields.push(field(Tag::GPSAltitudeRef, Value::Byte(vec![u8::from(altitude < 0.0)])));
        fields.push(field(Tag::GPSAltitude, Value::Rational(vec![thousandths(altitude.abs())])));
    }
    if fields.is_empty() {
        return None;
    }
    let mut writer = Writer::new();
    fields.iter().for_each(|field| writer.push_field(field));
    let mut bytes = Cursor::new(Vec::new());
    writer.write(&mut bytes, false).ok()?;
    Some(bytes.into_inner())
}

/// An angle in degrees, to a thousandth of a millimetre on the ground.
fn degrees_minutes_seconds(angle: f64) -> [exif::Rational; 3] {
    let whole = |num| exif::Rational { num, denom: 1 };
    let minutes = angle.fract() * 60.0;
    let seconds = (minutes.fract() * 60.0 * 1e7).round() as u32;
    [
        whole(angle.trunc() as u32),
        whole(minutes.trunc() as u32),
        exif::Rational { num: seconds, denom: 10_000_000 },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_the_content_is() {
        for (name, extension, expected) in [
            ("a.jpg", "jpg", "a.jpg"),
            ("sub/A.JPEG", "jpg", "sub/A.JPEG"),
            ("a.png", "jpg", "a.png.jpg"),
            ("a.webp", "jpg", "a.webp.jpg"),
            ("a.mpo", "jpg", "a.mpo.jpg"),
            ("a.png", "png", "a.png"),
            ("photo", "jpg", "photo.jpg"),
        ] {
            assert_eq!(output_name(name, extension), expected);
        }
    }

    #[test]
    fn jpeg_components_are_read_past_other_segments() {
        let mut jpeg = vec![0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2, 0xff, 0xff, 0xc4, 0, 2];
        jpeg.extend([0xff, 0xc2, 0, 17, 8, 0, 9, 0, 9, 4]);
        assert_eq!(jpeg_components(&jpeg), Some(4));
        for length in 0..jpeg.len() {
            assert_eq!(jpeg_components(&jpeg[..length]), None);
        }
    }
}
