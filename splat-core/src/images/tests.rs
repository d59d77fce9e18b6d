#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::PathBuf;

use splat_test_needs::needs;

use super::*;
use crate::test_data;

fn mean_difference(a: &RgbaImage, b: &RgbaImage) -> f64 {
    assert_eq!(a.dimensions(), b.dimensions());
    let pairs = a.pixels().zip(b.pixels()).flat_map(|(p, q)| (0..3).map(|c| u64::from(p[c].abs_diff(q[c]))));
    pairs.sum::<u64>() as f64 / (3 * a.width() * a.height()) as f64
}

/// Downscaled 16 times, so that dithering and compression noise average out.
fn coarse(image: &RgbaImage) -> RgbaImage {
    image::imageops::thumbnail(image, image.width() / 16, image.height() / 16)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.is_file()).collect();
    files.sort();
    files
}

/// Every format gives the same image; lossy and grey ones within their precision.
#[needs("error_cases/file_formats")]
#[test]
fn formats_show_the_same_picture() {
    let folder = test_data("error_cases/file_formats");
    let truth = decode_upright(&folder.join("rgb.png")).unwrap();
    let grey_truth = DynamicImage::ImageRgba8(truth.clone()).grayscale().into_rgba8();
    let mut compared = 0;
    for path in files(&folder) {
        let info = probe(&path).unwrap();
        assert_eq!(info.upright_size(), (480, 319), "{}", path.display());
        let name = path.file_name().unwrap().to_str().unwrap();
        let photo = decode_upright(&path).unwrap();
        let (truth, tolerance) = match name {
            "onebit.png" | "grey.png" | "grey.jpg" => (&grey_truth, 2.0),
            "rgb16.png" | "lossless.webp" | "a.tif" | "a.bmp" | "rgb.png" | "rgba.png" => (&truth, 0.01),
            "cmyk.jpg" => (&truth, 12.0), // no colour profile is applied
            _ => (&truth, 2.0),
        };
        let difference = mean_difference(&coarse(&photo), &coarse(truth));
        assert!(difference <= tolerance, "{name}: {difference} of {tolerance}");
        compared += 1;
    }
    assert!(compared >= 18, "only {compared} files");
}

/// The colours that WebP encoders put under alpha 0 are meaningless, and must not make a cut-out photo look masked.
#[test]
fn colours_that_webp_hides_are_black() {
    let folder = tempfile::tempdir().unwrap();
    let picture = RgbaImage::from_fn(8, 8, |x, y| {
        image::Rgba([7 * x as u8, 9 * y as u8, 5, if x < 4 { 0 } else { 200 }])
    });
    for (name, hidden) in [("a.png", [7, 18, 5, 0]), ("a.webp", [0; 4])] {
        let path = folder.path().join(name);
        picture.save(&path).unwrap();
        let decoded = decode_stored(&path).unwrap();
        assert_eq!(
            (decoded.get_pixel(1, 2).0, decoded.get_pixel(6, 2).0),
            (hidden, [42, 18, 5, 200]),
            "{name}"
        );
    }
}

/// Orientations 1 to 8 of one image give the same result.
#[needs("error_cases/file_formats/orientation")]
#[test]
fn orientation_is_applied_once() {
    let folder = test_data("error_cases/file_formats/orientation");
    let truth = decode_upright(&folder.join("exif_1.jpg")).unwrap();
    for value in 1..=8_u32 {
        let path = folder.join(format!("exif_{value}.jpg"));
        let info = probe(&path).unwrap();
        assert_eq!(info.orientation, Orientation::from_exif(value));
        assert_eq!(info.upright_size(), truth.dimensions());
        let stored = decode_stored(&path).unwrap();
        assert_eq!(stored.dimensions(), (info.stored_width, info.stored_height));
        let upright = decode_upright(&path).unwrap();
        let difference = mean_difference(&upright, &truth);
        assert!(difference < 3.0, "orientation {value}: {difference}");
    }
}

#[needs("error_cases/broken_files")]
#[test]
fn broken_files_get_a_sentence() {
    let folder = test_data("error_cases/broken_files");
    for path in files(&folder) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let message = decode_upright(&path).err().map(|error| error.to_string());
        let expected = match name.as_str() {
            "text_named.jpg" => "it is text",
            "zero_bytes.jpg" => "it is empty",
            "truncated.jpg" | "truncated.png" | "header_only.jpg" => "breaks off",
            "bomb_30000x30000_1bit.png" => "900 megapixels",
            "jpg_named.png" | "png_named.jpg" | "garbage_tail.jpg" | "one_pixel.png" | "strip_4000x8.png" => {
                assert_eq!(message, None, "{name} is a good picture");
                continue;
            }
            // Decoders differ in how much damage they detect; both results are acceptable, a panic is not.
            "corrupt_middle.jpg" => continue,
            other => panic!("no expectation for {other}"),
        };
        let message = message.unwrap_or_else(|| panic!("{name} was decoded"));
        assert!(message.contains(expected) && message.contains(&name), "{name}: {message}");
        assert!(probe(&path).is_err(), "{name}: the probe must say so too");
    }
}

#[needs("photos/snowmiku/images")]
#[test]
fn exif_of_a_phone() {
    let folder = test_data("photos/snowmiku/images");
    let photo = files(&folder).into_iter().find(|path| has_photo_extension(path)).unwrap();
    let info = probe(&photo).unwrap();
    assert_eq!((info.stored_width, info.stored_height), (960, 720));
    assert!(info.camera_make.is_some() && info.camera_model.is_some(), "{info:?}");
    assert!(info.focal_mm.unwrap() > 1.0, "{info:?}");
}

/// A raw photo begins like a TIFF whose first image is a thumbnail.
#[test]
fn raw_pictures_are_refused_and_not_taken_at_their_thumbnail() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("thumbnail.tif");
    RgbaImage::new(16, 12).save(&path).unwrap();
    assert!(probe(&path).is_ok());
    for name in ["a.dng", "b.NEF", "c.arw"] {
        let raw = dir.path().join(name);
        fs::copy(&path, &raw).unwrap();
        for refused in
            [probe(&raw).map(|_| ()), probe_header(&raw).map(|_| ()), decode_upright(&raw).map(|_| ())]
        {
            let message = refused.unwrap_err().to_string();
            assert!(message.contains("raw picture") && message.contains("develop it"), "{message}");
        }
    }
}

#[test]
fn a_position_is_read_in_degrees() {
    use ::exif::experimental::Writer;
    use ::exif::{Field, In, Rational, Tag, Value};
    let parts =
        |parts: [(u32, u32); 3]| Value::Rational(parts.map(|(num, denom)| Rational { num, denom }).to_vec());
    let side = |side: &str| Value::Ascii(vec![side.as_bytes().to_vec()]);
    let position = |south: &str, latitude, longitude| {
        let fields = [
            (Tag::GPSLatitudeRef, side(south)),
            (Tag::GPSLatitude, parts(latitude)),
            (Tag::GPSLongitudeRef, side("W")),
            (Tag::GPSLongitude, parts(longitude)),
            (Tag::GPSAltitudeRef, Value::Byte(vec![1])),
            (Tag::GPSAltitude, Value::Rational(vec![Rational { num: 43, denom: 10 }])),
        ];
        let fields = fields.map(|(tag, value)| Field { tag, ifd_num: In::PRIMARY, value });
        let mut writer = Writer::new();
        fields.iter().for_each(|field| writer.push_field(field));
        let mut bytes = Cursor::new(Vec::new());
        writer.write(&mut bytes, false).unwrap();
        let tags = exif::read(&bytes.into_inner());
        assert_eq!(tags.altitude_m, Some(-4.3));
        tags.gps
    };
    let [north, east] = position("S", [(33, 1), (51, 1), (3600, 100)], [(70, 1), (30, 1), (0, 1)]).unwrap();
    assert!((north + 33.86).abs() < 1e-9 && (east + 70.5).abs() < 1e-9, "{north} {east}");
    let zeros = [(0, 1); 3];
    assert_eq!(position("N", zeros, zeros), None);
    assert_eq!(position("N", [(1, 0), (0, 1), (0, 1)], zeros), None);
    assert_eq!(position("N", [(91, 1), (0, 1), (0, 1)], zeros), None);
}

#[test]
fn mpo_gives_its_first_picture() {
    let jpeg = |width, height| {
        let mut bytes = Cursor::new(Vec::new());
        DynamicImage::new_rgb8(width, height).write_to(&mut bytes, image::ImageFormat::Jpeg).unwrap();
        bytes.into_inner()
    };
    let (first, second) = (jpeg(40, 30), jpeg(8, 6));
    let (start, rest) = first.split_at(2);
    let segment = [b"\xff\xe2\x00\x0aMPF\0".as_slice(), &[0; 4]].concat();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mpo.jpg");
    std::fs::write(&path, [start, &segment, rest, &second].concat()).unwrap();
    assert_eq!(probe(&path).unwrap().upright_size(), (40, 30));
    assert_eq!(decode_upright(&path).unwrap().dimensions(), (40, 30));
    // Truncated in the second image, the first is complete; truncated in the first, it is not.
    std::fs::write(&path, [start, &segment, rest, &second[..20]].concat()).unwrap();
    assert!(probe(&path).is_ok());
    std::fs::write(&path, [start, &segment, &rest[..rest.len() - 2]].concat()).unwrap();
    assert!(probe(&path).is_err());
}

#[needs("photos/banana/images")]
#[test]
fn the_header_alone_tells_the_same() {
    let folder = test_data("photos/banana/images");
    let photos: Vec<_> = files(&folder).into_iter().filter(|path| has_photo_extension(path)).collect();
    assert_eq!(photos.len(), 16);
    for path in photos {
        assert_eq!(probe_header(&path).unwrap(), probe(&path).unwrap());
    }
}

#[test]
fn missing_file_is_a_read_error() {
    let error = probe(Path::new("does/not/exist.jpg")).unwrap_err();
    assert!(matches!(error, Error::Read { .. }), "{error}");
}

/// As [`decode_upright`] of a file with this content; sizes that would only take time are not decoded.
fn decode_bytes(bytes: &[u8]) -> Result<(u32, u32)> {
    let path = Path::new("cut");
    let (info, decoder) = open(path, bytes)?;
    let size = (info.stored_width, info.stored_height);
    if u64::from(size.0) * u64::from(size.1) < 10_000 {
        decode(path, info.format, decoder)?;
    }
    Ok(size)
}

/// No truncation or flipped byte in any format may panic; a truncated JPEG, PNG or WebP must be detected.
#[test]
fn truncation_never_panics() {
    use PhotoFormat::{Bmp, Gif, Jpeg, Png, Tiff, WebP};
    let image = image::RgbImage::from_fn(9, 7, |x, y| image::Rgb([x as u8 * 20, y as u8 * 30, 77]));
    for format in [Jpeg, Png, WebP, Tiff, Gif, Bmp] {
        let mut bytes = Cursor::new(Vec::new());
        DynamicImage::ImageRgb8(image.clone())
            .write_to(&mut bytes, sniff::image_format(format).unwrap())
            .unwrap();
        let bytes = bytes.into_inner();
        for cut in 0..bytes.len() {
            let result = decode_bytes(&bytes[..cut]);
            if matches!(format, Jpeg | Png | WebP) {
                assert!(result.is_err(), "{format} cut at {cut} of {}", bytes.len());
            }
            for flip in [0x01, 0x5a, 0xff] {
                let mut damaged = bytes.clone();
                damaged[cut] ^= flip;
                let _ = decode_bytes(&damaged);
            }
        }
        assert_eq!(decode_bytes(&bytes).unwrap(), (9, 7));
    }
}
