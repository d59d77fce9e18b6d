//! The metadata block that the demo's photos carry, as a phone writes it.

use std::io::Cursor;

use exif::experimental::Writer;
use exif::{Field, In, Rational, Tag, Value};

/// Diagonal of a 36 x 24 mm frame, which 35 mm equivalents refer to.
const FULL_FRAME_DIAGONAL_MM: f64 = 43.266_615;
/// Diagonal of the sensor that the demo's camera pretends to have.
const SENSOR_DIAGONAL_MM: f64 = 7.06;

/// A TIFF structure with make, model, orientation and, when the lens has one, focal length.
///
/// `focal_px` and the picture's size are of the stored picture; `orientation` is EXIF's, 1 to 8. `None`
/// when the writer refuses, which no input of ours makes it do.
pub(super) fn block(width: u32, height: u32, focal_px: Option<f64>, orientation: u16) -> Option<Vec<u8>> {
    let text = |tag, text: &str| (tag, Value::Ascii(vec![text.as_bytes().to_vec()]));
    let mut values = vec![
        text(Tag::Make, "splat"),
        text(Tag::Model, "procedural camera"),
        (Tag::Orientation, Value::Short(vec![orientation])),
        (Tag::PixelXDimension, Value::Long(vec![width])),
        (Tag::PixelYDimension, Value::Long(vec![height])),
    ];
    if let Some(focal_px) = focal_px {
        let diagonals = focal_px / f64::from(width).hypot(f64::from(height));
        let millimetres =
            Rational { num: (diagonals * SENSOR_DIAGONAL_MM * 1000.0).round() as u32, denom: 1000 };
        values.push((Tag::FocalLength, Value::Rational(vec![millimetres])));
        let equivalent = (diagonals * FULL_FRAME_DIAGONAL_MM).round() as u16;
        values.push((Tag::FocalLengthIn35mmFilm, Value::Short(vec![equivalent])));
    }
    let fields: Vec<Field> =
        values.into_iter().map(|(tag, value)| Field { tag, ifd_num: In::PRIMARY, value }).collect();
    let mut writer = Writer::new();
    for field in &fields {
        writer.push_field(field);
    }
    let mut bytes = Cursor::new(Vec::new());
    writer.write(&mut bytes, true).ok()?;
    Some(bytes.into_inner())
}
