//! The EXIF tags that reconstruction uses. Invalid EXIF counts as missing, since the image may be good.

use std::io::Cursor;

use ::exif::{Exif, In, Reader, Tag, Value};

/// The transformation of a stored image to upright: EXIF orientation 1 to 8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Orientation {
    /// 1: as stored.
    #[default]
    Upright,
    /// 2: mirrored left to right.
    MirrorX,
    /// 3: rotated by 180 degrees.
    Rotate180,
    /// 4: mirrored top to bottom.
    MirrorY,
    /// 5: mirrored along the main diagonal.
    Transpose,
    /// 6: to be rotated by 90 degrees clockwise.
    Rotate90,
    /// 7: mirrored along the other diagonal.
    Transverse,
    /// 8: to be rotated by 270 degrees clockwise.
    Rotate270,
}

impl Orientation {
    /// From the EXIF value; other than 1 to 8 counts as upright.
    #[must_use]
    pub fn from_exif(value: u32) -> Self {
        match value {
            2 => Self::MirrorX,
            3 => Self::Rotate180,
            4 => Self::MirrorY,
            5 => Self::Transpose,
            6 => Self::Rotate90,
            7 => Self::Transverse,
            8 => Self::Rotate270,
            _ => Self::Upright,
        }
    }

    /// Whether the transformation exchanges width and height.
    #[must_use]
    pub fn swaps_axes(self) -> bool {
        matches!(self, Self::Transpose | Self::Rotate90 | Self::Transverse | Self::Rotate270)
    }

    pub(super) fn to_image(self) -> image::metadata::Orientation {
        use image::metadata::Orientation as Turn;
        match self {
            Self::Upright => Turn::NoTransforms,
            Self::MirrorX => Turn::FlipHorizontal,
            Self::Rotate180 => Turn::Rotate180,
            Self::MirrorY => Turn::FlipVertical,
            Self::Transpose => Turn::Rotate90FlipH,
            Self::Rotate90 => Turn::Rotate90,
            Self::Transverse => Turn::Rotate270FlipH,
            Self::Rotate270 => Turn::Rotate270,
        }
    }
}

/// The tags of one file.
#[derive(Debug, Default)]
pub(super) struct Tags {
    pub(super) orientation: Orientation,
    pub(super) focal_mm: Option<f64>,
    pub(super) focal_35mm: Option<f64>,
    pub(super) exposure_log2: Option<f64>,
    pub(super) make: Option<String>,
    pub(super) model: Option<String>,
    pub(super) gps: Option<[f64; 2]>,
    pub(super) altitude_m: Option<f64>,
}

pub(super) fn read(bytes: &[u8]) -> Tags {
    let parsed = Reader::new()
        .continue_on_error(true)
        .read_from_container(&mut Cursor::new(bytes))
        .or_else(|error| error.distill_partial_result(|_| ()));
    let Ok(exif) = parsed else { return Tags::default() };
    Tags {
        orientation: number(&exif, Tag::Orientation)
            .map_or(Orientation::Upright, |v| Orientation::from_exif(v as u32)),
        focal_mm: number(&exif, Tag::FocalLength).filter(|&v| v > 0.0),
        focal_35mm: number(&exif, Tag::FocalLengthIn35mmFilm).filter(|&v| v > 0.0),
        exposure_log2: exposure_log2(&exif),
        make: text(&exif, Tag::Make),
        model: text(&exif, Tag::Model),
        gps: position(&exif),
        altitude_m: altitude_m(&exif),
    }
}

/// From exposure time, f-number and sensitivity; a fixed f-number (as in phones) may be missing.
fn exposure_log2(exif: &Exif) -> Option<f64> {
    let positive = |tag| number(exif, tag).filter(|&v| v > 0.0);
    let f_number = positive(Tag::FNumber).unwrap_or(1.0);
    let seconds = positive(Tag::ExposureTime)?;
    let iso = positive(Tag::PhotographicSensitivity)?;
    Some((seconds * iso / (f_number * f_number)).log2())
}

fn number(exif: &Exif, tag: Tag) -> Option<f64> {
    let value = match &exif.get_field(tag, In::PRIMARY)?.value {
        Value::Rational(values) => values.first()?.to_f64(),
        value => f64::from(value.get_uint(0)?),
    };
    value.is_finite().then_some(value)
}

/// Degrees north and east. Phones without a GPS fix write zeros for both, which counts as missing.
fn position(exif: &Exif) -> Option<[f64; 2]> {
    let degrees = |tag, side_tag, negative: &str, limit: f64| {
        let Value::Rational(parts) = &exif.get_field(tag, In::PRIMARY)?.value else { return None };
        let units = parts.iter().zip([1.0, 60.0, 3600.0]);
        let value: f64 = units.map(|(part, unit)| part.to_f64() / unit).sum();
        let sign = if text(exif, side_tag).is_some_and(|side| side == negative) { -1.0 } else { 1.0 };
        (value.is_finite() && value <= limit).then_some(sign * value)
    };
    let north = degrees(Tag::GPSLatitude, Tag::GPSLatitudeRef, "S", 90.0)?;
    let east = degrees(Tag::GPSLongitude, Tag::GPSLongitudeRef, "W", 180.0)?;
    (north != 0.0 || east != 0.0).then_some([north, east])
}

fn altitude_m(exif: &Exif) -> Option<f64> {
    let below_sea =
        exif.get_field(Tag::GPSAltitudeRef, In::PRIMARY).and_then(|field| field.value.get_uint(0));
    let height = number(exif, Tag::GPSAltitude)?;
    Some(if below_sea == Some(1) { -height } else { height })
}

fn text(exif: &Exif, tag: Tag) -> Option<String> {
    let Value::Ascii(parts) = &exif.get_field(tag, In::PRIMARY)?.value else { return None };
    let text = String::from_utf8_lossy(parts.first()?).trim_matches(['\0', ' ']).to_owned();
    (!text.is_empty()).then_some(text)
}
