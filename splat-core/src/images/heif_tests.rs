//! HEIC and AVIF: images of 64x48 pixels in containers as written by phones and encoders.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use splat_test_needs::needs;

use super::*;
use crate::test_data;

/// The image in all files: four plain quarters, each slightly brighter towards the right and bottom.
fn truth(x: u32, y: u32) -> [u8; 3] {
    let quarter = [[200, 60, 40], [60, 170, 80], [50, 80, 190], [220, 200, 90]];
    let place = (x * 2 / 64 + 2 * (y * 2 / 48)) as usize;
    let light = (x * 16 / 64 + y * 16 / 48) as u8;
    quarter[place].map(|c: u8| c.saturating_add(light))
}

/// A grid of one tile of 64x64 pixels, by `heif-enc -q 80`.
const HEIC: &str = "\
    AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAa1tZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAA\
    AA5waXRtAAAAAAACAAAAEGlkYXQAAAAAAEAAMAAAADhpbG9jAQAAAERAAAIAAQAAAAAAAAHRAAEAAAAAAAAAxgACAAEAAAAAAAAA\
    AQAAAAAAAAAIAAAAOGlpbmYAAAAAAAIAAAAVaW5mZQIAAAEAAQAAaHZjMQAAAAAVaW5mZQIAAAAAAgAAZ3JpZAAAAADYaXBycAAA\
    ALZpcGNvAAAAdmh2Y0MBA3AAAAAAAAAAAAAe8AD8/fj4AAAPAyAAAQAYQAEMAf//A3AAAAMAkAAAAwAAAwAeugJAIQABACpCAQED\
    cAAAAwCQAAADAAADAB6gIIEFlurkprm4EBAwIAAAAwAgAAADACEiAAEABkQBwXPAiQAAABRpc3BlAAAAAAAAAEAAAABAAAAAFGlz\
    cGUAAAAAAAAAQAAAADAAAAAQcGl4aQAAAAADCAgIAAAAGmlwbWEAAAAAAAAAAgABAoECAAICA4QAAAAaaXJlZgAAAAAAAAAOZGlt\
    ZwACAAEAAQAAAM5tZGF0AAAAwigBrwT47KYBkt6Rt7qdYr4W83S7os//9Ya7L5MF+yoGJx/9lOLaC3Yq9ktjWGWCSiMCFx7A/fe/\
    43/555UbxrWw09fLG03tosLrufbVn1ratAtN9Upj4bIe1UOMx8//EkNVCVOZU0qz8QZk4tNp2QnOXNUa38sdY39ganj9ixVCMm4t\
    5jQ93A9j4FbdZwZzDNlKen2Km0d8k3fs0crY0QKYbFXLsKQVpDUlAvoXvcZW0+1smWyeuuxPeeyTEQrw6zvA\
    ";
/// 4:4:4 without rotation, by `avifenc --min 10 --max 10`.
const AVIF: &str = "\
    AAAAIGZ0eXBhdmlmAAAAAGF2aWZtaWYxbWlhZk1BMUEAAADybWV0YQAAAAAAAAAoaGRscgAAAAAAAAAAcGljdAAAAAAAAAAAAAAA\
    AGxpYmF2aWYAAAAADnBpdG0AAAAAAAEAAAAeaWxvYwAAAABEAAABAAEAAAABAAABGgAAAF4AAAAoaWluZgAAAAAAAQAAABppbmZl\
    AgAAAAABAABhdjAxQ29sb3IAAAAAamlwcnAAAABLaXBjbwAAABRpc3BlAAAAAAAAAEAAAAAwAAAAEHBpeGkAAAAAAwgICAAAAAxh\
    djFDgSAAAAAAABNjb2xybmNseAABAA0ABoAAAAAXaXBtYQAAAAAAAAABAAEEAQKDBAAAAGZtZGF0EgAKCTgVf72UBDQaQDJPEoAE\
    EAAEANgBDtQT8RFfrHjBeI/fgLF1PlLgi+VzuhVtdBtdXzdSB98xL9b6/TDuak9DbqJAFevdpmoKcYiuPaIdNeM/7QTizIjJ6fIV\
    tw==\
    ";
/// With `irot` 1 and `imir` 1, by `avifenc --irot 1 --imir 1`.
const AVIF_TURNED: &str = "\
    AAAAIGZ0eXBhdmlmAAAAAGF2aWZtaWYxbWlhZk1BMUEAAAEGbWV0YQAAAAAAAAAoaGRscgAAAAAAAAAAcGljdAAAAAAAAAAAAAAA\
    AGxpYmF2aWYAAAAADnBpdG0AAAAAAAEAAAAeaWxvYwAAAABEAAABAAEAAAABAAABLgAAAFEAAAAoaWluZgAAAAAAAQAAABppbmZl\
    AgAAAAABAABhdjAxQ29sb3IAAAAAfmlwcnAAAABdaXBjbwAAABRpc3BlAAAAAAAAAEAAAAAwAAAAEHBpeGkAAAAAAwgICAAAAAxh\
    djFDgSAAAAAAABNjb2xybmNseAABAA0ABoAAAAAJaXJvdAEAAAAJaW1pcgEAAAAZaXBtYQAAAAAAAAABAAEGAQKDBIWGAAAAWW1k\
    YXQSAAoJOBV/vZQENBpAMkIWQAQQAAQE2C0mOxeneis7n18FbjRStTo/+vS6Vh+DQMsLB1PLpLxiC6bDo6mAP45rjkfTDGnvz+k1\
    VEIvWu57T3o=\
    ";

fn bytes(text: &str) -> Vec<u8> {
    STANDARD.decode(text).unwrap()
}

fn decoded(bytes: &[u8]) -> Result<RgbaImage> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("photo");
    fs::write(&path, bytes).unwrap();
    let info = probe(&path)?;
    let picture = decode_upright(&path)?;
    assert_eq!((info.stored_width, info.stored_height), picture.dimensions());
    assert_eq!(info.orientation, Orientation::Upright);
    assert_eq!(decode_stored(&path)?, picture);
    Ok(picture)
}

/// Mean and maximum difference of any colour channel.
fn difference(a: &RgbaImage, b: impl Fn(u32, u32) -> [u8; 3]) -> (f64, u8) {
    let (mut sum, mut most) = (0_u64, 0);
    for (x, y, pixel) in a.enumerate_pixels() {
        for (a, b) in pixel.0.iter().zip(b(x, y)) {
            sum += u64::from(a.abs_diff(b));
            most = most.max(a.abs_diff(b));
        }
    }
    (sum as f64 / f64::from(3 * a.width() * a.height()), most)
}

/// As defined by ISO/IEC 23008-12: `quarters` counterclockwise quarter turns, then a mirror that swaps top and bottom (0) or left
/// and right (1).
fn turned(picture: &RgbaImage, quarters: u8, mirror: Option<u8>) -> RgbaImage {
    let mut picture = picture.clone();
    for _ in 0..quarters {
        let (width, height) = picture.dimensions();
        let before = picture;
        picture = RgbaImage::from_fn(height, width, |x, y| *before.get_pixel(width - 1 - y, x));
    }
    let (width, height) = picture.dimensions();
    RgbaImage::from_fn(width, height, |x, y| match mirror {
        Some(0) => *picture.get_pixel(x, height - 1 - y),
        Some(_) => *picture.get_pixel(width - 1 - x, y),
        None => *picture.get_pixel(x, y),
    })
}

#[test]
fn heic_and_avif_show_what_was_put_in() {
    for (text, mean) in [(HEIC, 3.0), (AVIF, 3.0)] {
        let picture = decoded(&bytes(text)).unwrap();
        assert_eq!(picture.dimensions(), (64, 48));
        let found = difference(&picture, truth);
        assert!(found.0 < mean, "{found:?}");
        assert!(picture.pixels().all(|pixel| pixel.0[3] == 255));
    }
}

#[test]
fn an_avif_is_turned_as_its_container_says() {
    let file = bytes(AVIF_TURNED);
    let place = |kind: &[u8]| file.windows(4).position(|window| window == kind).unwrap() + 4;
    let with = |quarters: u8, mirror: u8| {
        let mut file = file.clone();
        file[place(b"irot")] = quarters;
        file[place(b"imir")] = mirror;
        decoded(&file).unwrap()
    };
    let upright = turned(&with(0, 1), 0, Some(1));
    assert!(difference(&upright, truth).0 < 12.0, "{:?}", difference(&upright, truth));
    for quarters in 0..4 {
        for mirror in 0..2 {
            assert_eq!(
                with(quarters, mirror),
                turned(&upright, quarters, Some(mirror)),
                "{quarters} {mirror}"
            );
        }
        // Without the mirror: its property gets an unknown type.
        let mut plain = file.clone();
        plain[place(b"irot")] = quarters;
        plain[place(b"imir") - 1] = b'x';
        assert_eq!(decoded(&plain).unwrap(), turned(&upright, quarters, None), "{quarters}");
    }
}

fn element(kind: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    [&(content.len() as u32 + 8).to_be_bytes()[..], kind, &content].concat()
}

/// The content of the first box of this type, without its header.
fn content<'a>(file: &'a [u8], kind: &[u8; 4]) -> &'a [u8] {
    let at = file.windows(4).position(|window| window == kind).unwrap();
    let size = u32::from_be_bytes(file[at - 4..at].try_into().unwrap()) as usize;
    &file[at + 4..at - 4 + size]
}

/// Four tiles in a grid of 120x100 pixels, rotated, as written by iPhones.
fn grid(quarters: u8, mirror: Option<u8>) -> Vec<u8> {
    let one = bytes(HEIC);
    let tile = content(&one, b"mdat");
    let size =
        |width: u32, height: u32| element(b"ispe", &[&[0; 4], &width.to_be_bytes(), &height.to_be_bytes()]);
    let mut properties = vec![
        element(b"hvcC", &[content(&one, b"hvcC")]),
        size(64, 64),
        size(120, 100),
        element(b"irot", &[&[quarters]]),
    ];
    properties.extend(mirror.map(|mirror| element(b"imir", &[&[mirror]])));
    let of_grid: Vec<u8> = (3..=properties.len() as u8).map(|place| 0x80 | place).collect();
    // Items 1 to 4 are tiles, item 5 is the grid.
    let mut associations = vec![0, 0, 0, 0, 0, 0, 0, 5];
    for tile in 1..=4 {
        associations.extend([0, tile, 2, 0x81, 2]);
    }
    associations.extend([0, 5, of_grid.len() as u8]);
    associations.extend(&of_grid);
    let entry = |id: u8, kind: &[u8; 4]| element(b"infe", &[&[2, 0, 0, 0, 0, id, 0, 0], kind, &[0]]);
    let mut entries: Vec<Vec<u8>> = (1..=4).map(|id| entry(id, b"hvc1")).collect();
    entries.push(entry(5, b"grid"));
    let meta = |start: u32| {
        // Offsets and lengths of four bytes; the grid is in `idat`.
        let mut locations = vec![1, 0, 0, 0, 0x44, 0, 0, 5];
        for id in 1..=4 {
            locations.extend([0, id, 0, 0, 0, 0, 0, 1]);
            locations.extend(start.to_be_bytes());
            locations.extend((tile.len() as u32).to_be_bytes());
        }
        locations.extend([0, 5, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 8]);
        element(
            b"meta",
            &[
                &[0; 4],
                &element(b"hdlr", &[&[0; 8], b"pict", &[0; 13]]),
                &element(b"pitm", &[&[0, 0, 0, 0, 0, 5]]),
                &element(b"idat", &[&[0, 0, 1, 1, 0, 120, 0, 100]]),
                &element(b"iloc", &[&locations]),
                &element(b"iinf", &[&[0, 0, 0, 0, 0, 5], &entries.concat()]),
                &element(
                    b"iprp",
                    &[&element(b"ipco", &[&properties.concat()]), &element(b"ipma", &[&associations])],
                ),
                &element(b"iref", &[&[0; 4], &element(b"dimg", &[&[0, 5, 0, 4, 0, 1, 0, 2, 0, 3, 0, 4]])]),
            ],
        )
    };
    let brands = element(b"ftyp", &[b"heic", &[0; 4], b"mif1heic"]);
    let start = (brands.len() + meta(0).len() + 8) as u32;
    [brands, meta(start), element(b"mdat", &[tile])].concat()
}

#[test]
fn a_grid_of_tiles_is_one_picture_turned_as_the_container_says() {
    let upright = decoded(&grid(0, None)).unwrap();
    assert_eq!(upright.dimensions(), (120, 100));
    // A tile is the image, and 16 more rows.
    let shown = |x: u32, y: u32| {
        if y % 64 < 48 { truth(x % 64, y % 64) } else { upright.get_pixel(x, y).0[..3].try_into().unwrap() }
    };
    let found = difference(&upright, shown);
    assert!(found.0 < 3.0, "{found:?}");
    for (quarters, mirror) in [(1, None), (2, Some(1)), (3, Some(0))] {
        let picture = decoded(&grid(quarters, mirror)).unwrap();
        let expected = turned(&upright, quarters, mirror);
        assert_eq!(picture.dimensions(), expected.dimensions());
        let found = difference(&picture, |x, y| expected.get_pixel(x, y).0[..3].try_into().unwrap());
        assert!(found.1 <= 1, "{found:?}");
    }
}

#[test]
fn brands_in_the_other_order_change_nothing() {
    for text in [HEIC, AVIF] {
        let mut file = bytes(text);
        let expected = decoded(&file).unwrap();
        file[8..12].copy_from_slice(b"mif1");
        assert_eq!(decoded(&file).unwrap(), expected);
    }
}

#[test]
fn damage_is_refused_and_never_panics() {
    for text in [HEIC, AVIF] {
        let file = bytes(text);
        for cut in 0..file.len() {
            assert!(decoded(&file[..cut]).is_err(), "cut at {cut} of {}", file.len());
            for flip in [0x01, 0x80, 0xff] {
                let mut damaged = file.clone();
                damaged[cut] ^= flip;
                let path = Path::new("damaged");
                if let Ok((info, decoder)) = open(path, &damaged)
                    && u64::from(info.stored_width) * u64::from(info.stored_height) < 100_000
                {
                    let _ = decode(path, info.format, decoder);
                }
            }
        }
        // Data that cameras append is ignored.
        assert!(decoded(&[&file[..], b"SEFH and more of a maker's own"].concat()).is_ok());
    }
}

/// Equal to the output of the libraries' own programs, except for chroma upsampling.
#[needs(
    "photos/lund_door/images/DSC_0001.jpg",
    program = "heif-enc",
    program = "heif-convert",
    program = "avifenc",
    program = "avifdec"
)]
#[test]
fn other_decoders_give_the_same_picture() {
    let photo = test_data("photos/lund_door/images/DSC_0001.jpg");
    let dir = tempfile::tempdir().unwrap();
    let run = |program: &str, arguments: &[&std::ffi::OsStr]| {
        let output = std::process::Command::new(program).args(arguments).output().unwrap();
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    };
    for (encoder, decoder, name) in [("heif-enc", "heif-convert", "a.heic"), ("avifenc", "avifdec", "a.avif")]
    {
        let (made, other) = (dir.path().join(name), dir.path().join(format!("{name}.png")));
        if encoder == "heif-enc" {
            run(encoder, &["-q".as_ref(), "90".as_ref(), photo.as_ref(), "-o".as_ref(), made.as_ref()]);
        } else {
            run(
                encoder,
                &["-s".as_ref(), "8".as_ref(), "-y".as_ref(), "420".as_ref(), photo.as_ref(), made.as_ref()],
            );
        }
        run(decoder, &[made.as_ref(), other.as_ref()]);
        let (ours, theirs) = (decode_upright(&made).unwrap(), decode_upright(&other).unwrap());
        assert_eq!(ours.dimensions(), theirs.dimensions());
        let found = difference(&ours, |x, y| theirs.get_pixel(x, y).0[..3].try_into().unwrap());
        assert!(found.0 < 1.0, "{name}: {found:?}");
    }
}
