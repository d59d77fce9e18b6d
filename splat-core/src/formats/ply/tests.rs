#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::Path;

use proptest::prelude::*;
use splat_test_needs::needs;

use super::*;
use crate::formats::quantize;
use crate::gaussians::GaussianCloud;
use crate::random::Random;
use crate::test_data;

fn cloud(count: usize, sh_degree: u32) -> GaussianCloud {
    let mut random = Random::new(5, u64::from(sh_degree), count as u32);
    let mut value = || (random.uniform() * 8.0 - 4.0) as f32;
    let mut cloud = GaussianCloud { sh_degree, ..Default::default() };
    for _ in 0..count {
        cloud.means.push([value(), value(), value()]);
        cloud.quats.push([value(), value(), value(), value()]);
        cloud.log_scales.push([value(), value(), value()]);
        cloud.opacity_logits.push(value());
        for _ in 0..cloud.coeffs_per_gaussian() {
            cloud.sh_coeffs.push([value(), value(), value()]);
        }
    }
    cloud
}

fn parse(bytes: &[u8]) -> Result<SplatScene> {
    read_from(&mut &bytes[..], bytes.len() as u64, Path::new("test.ply"))
}

fn written(cloud: &GaussianCloud, options: &PlyOptions) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scene.ply");
    write(&path, cloud, options).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no other file is left");
    std::fs::read(&path).unwrap()
}

/// A header and rows as text, for files that the writer does not produce.
fn ascii(properties: &[&str], rows: &[&str]) -> Vec<u8> {
    let mut text = format!("ply\nformat ascii 1.0\ncomment by hand\nelement vertex {}\n", rows.len());
    properties.iter().for_each(|name| text += &format!("property float {name}\n"));
    text += "end_header\n";
    rows.iter().for_each(|row| text += &format!("{row}\n"));
    text.into_bytes()
}

#[test]
fn round_trip_is_exact() {
    for sh_degree in 0..=3 {
        for normals in [false, true] {
            for count in [0, 1, 2100] {
                let cloud = cloud(count, sh_degree);
                let comments = vec!["trained by a test".to_owned(), "zwei\nZeilen".into()];
                let options = PlyOptions {
                    comments,
                    normals,
                    render_mode: Some(SplatRenderMode::Mip),
                    origin: [5e6 + 0.25, -0.1, 3.0],
                    near: Some(0.0123),
                };
                let bytes = written(&cloud, &options);
                assert_eq!(bytes, written(&cloud, &options));
                let scene = parse(&bytes).unwrap();
                assert_eq!(scene.cloud, cloud);
                let placed = ["SplatOrigin: 5000000.25 -0.1 3", "SplatNear: 0.0123"];
                let said = ["trained by a test", "zwei Zeilen", "SplatRenderMode: mip"];
                assert_eq!(scene.comments, [said.as_slice(), &placed].concat());
                assert_eq!((scene.render_mode, scene.dropped_rows), (SplatRenderMode::Mip, 0));
                assert_eq!((scene.origin, scene.near), ([5e6 + 0.25, -0.1, 3.0], Some(0.0123)));
                let again = PlyOptions {
                    comments: scene.comments,
                    normals,
                    render_mode: Some(scene.render_mode),
                    origin: scene.origin,
                    near: scene.near,
                };
                assert_eq!(written(&cloud, &again), written(&scene.cloud, &again));
            }
        }
    }
}

/// The layout of the authors' files: 62 floats, harmonics by channel.
#[test]
fn layout_is_the_fields() {
    let mut cloud = cloud(2, 3);
    for (i, coefficient) in cloud.sh_coeffs.iter_mut().enumerate() {
        *coefficient = [100.0 + i as f32, 200.0 + i as f32, 300.0 + i as f32];
    }
    let bytes = written(&cloud, &PlyOptions::default());
    let end = bytes.windows(11).position(|w| w == b"end_header\n").unwrap() + 11;
    let header = std::str::from_utf8(&bytes[..end]).unwrap();
    let start = "ply\nformat binary_little_endian 1.0\nelement vertex 2\nproperty float x\nproperty float y\n\
                 property float z\nproperty float nx\nproperty float ny\nproperty float nz\nproperty float f_dc_0\n";
    assert!(header.starts_with(start), "{header}");
    assert_eq!(bytes.len() - end, 2 * 248);
    let row: Vec<f32> =
        bytes[end..end + 248].as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    assert_eq!(row[6..9], [100.0, 200.0, 300.0]);
    assert_eq!(row[9..12], [101.0, 102.0, 103.0]);
    assert_eq!((row[9 + 15], row[9 + 44]), (201.0, 315.0));
    assert_eq!(row[54], cloud.opacity_logits[0]);
    assert_eq!(row[55..58], cloud.log_scales[0]);
    assert_eq!(row[58..62], cloud.quats[0]);
}

#[test]
fn properties_are_found_by_name_in_any_type_and_order() {
    let reversed: Vec<&str> = CORE.into_iter().rev().collect();
    let scene = parse(&ascii(
        &reversed,
        &["14 13 12 11 10 9 8 7 6 5 4 3 2 1", " 0 0\t0 0 0 0 0 0 0 1 -.5 +3e0 2 1 "],
    ));
    let scene = scene.unwrap();
    assert_eq!(scene.cloud.means, [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]);
    assert_eq!(scene.cloud.quats[0], [4.0, 5.0, 6.0, 7.0]);
    assert_eq!(scene.cloud.quats[1], [-0.5, 1.0, 0.0, 0.0]);
    assert_eq!(scene.cloud.sh_coeffs[0], [12.0, 13.0, 14.0]);
    assert_eq!(scene.comments, ["by hand"]);

    // Colours instead of constant harmonics, as bytes or fractions; if a file has both, harmonics are used.
    let coloured: Vec<&str> = CORE[..11].iter().copied().chain(["red", "green", "blue"]).collect();
    let row = |colour: &str| format!("1 2 3 1 0 0 0 0 0 0 0 {colour}");
    for (kind, colour) in [("uchar", "0 51 255"), ("float", "0 0.2 1")] {
        let text = String::from_utf8(ascii(&coloured, &[&row(colour)])).unwrap();
        let text = ["red", "green", "blue"]
            .iter()
            .fold(text, |text, name| text.replace(&format!("float {name}"), &format!("{kind} {name}")));
        let [red, green, blue] = parse(text.as_bytes()).unwrap().cloud.sh_coeffs[0].map(quantize::colour);
        assert!(red.abs() < 1e-6 && (green - 0.2).abs() < 1e-6 && (blue - 1.0).abs() < 1e-6, "{kind}");
    }

    // Big-endian doubles, shorts and bytes, an unknown property, CRLF, an element before and one after.
    let mut bytes =
        b"ply\r\nformat binary_big_endian 1.0\r\nelement extra 1\r\nproperty list uchar short s\r\n\
                      element vertex 1\r\nproperty uchar red\r\nproperty double x\r\nproperty short y\r\n"
            .to_vec();
    for name in &CORE[2..] {
        bytes.extend(format!("property float32 {name}\r\n").into_bytes());
    }
    bytes.extend(b"element tail 1\r\nproperty int t\r\nend_header\r\n");
    bytes.extend([2, 0, 1, 0, 2]); // extra
    bytes.push(200);
    bytes.extend(1.5_f64.to_be_bytes());
    bytes.extend((-7_i16).to_be_bytes());
    (2..14).for_each(|i| bytes.extend((i as f32).to_be_bytes()));
    bytes.extend([0; 4]);
    let scene = parse(&bytes).unwrap();
    assert_eq!(scene.cloud.means, [[1.5, -7.0, 2.0]]);
    assert_eq!(scene.cloud.sh_coeffs, [[11.0, 12.0, 13.0]]);
}

/// Variations made by editors and programs on other systems.
#[test]
fn headers_of_any_hand_are_read() {
    let row = "1 2 3 1 0 0 0 0 0 0 0 4 5 6";
    let plain = String::from_utf8(ascii(&CORE, &[row, row])).unwrap();
    let expected = parse(plain.as_bytes()).unwrap();
    let spaced = plain.replace("\nproperty ", "\n \tproperty  ").replace("float ", "float\t");
    let cases = [
        ("mark", format!("\u{feff}{plain}")),
        ("CR LF", plain.replace('\n', "\r\n")),
        ("mark and CR LF", format!("\u{feff}{}", plain.replace('\n', "\r\n"))),
        ("CR", plain.replace('\n', "\r")),
        ("blanks", spaced.replace("end_header\n", "end_header \n\n").replace("ply\n", "ply \n\n")),
        ("blank rows", plain.replace(row, &format!("{row}\n \t"))),
        ("a comment first", plain.replace("format", "comment 안녕\ncomment\nobj_info num_cols 1\nformat")),
        ("types by size", plain.replace("float", "float64")),
        (
            "elements around",
            plain
                .replace(
                    "element vertex",
                    "element nothing 3\nelement face 1\nproperty list uchar int v\nelement vertex",
                )
                .replace("end_header\n", "element camera 1\nproperty float f\nend_header\n3 0 1 2\n"),
        ),
    ];
    for (case, text) in cases {
        let scene = parse(text.as_bytes()).unwrap_or_else(|error| panic!("{case}: {error}"));
        assert_eq!(scene.cloud, expected.cloud, "{case}");
    }
    // Lines that end in CR only, before rows that begin with LF.
    let mut binary = plain.split("end_header").next().unwrap().replace("ascii", "binary_little_endian");
    binary = (binary.replace("vertex 2", "vertex 1") + "end_header\n").replace('\n', "\r");
    let mut bytes = binary.into_bytes();
    bytes.extend([10, 0, 128, 63]);
    bytes.extend([0; 13 * 4]);
    assert_eq!(parse(&bytes).unwrap().cloud.means[0][0], f32::from_le_bytes([10, 0, 128, 63]));
}

#[test]
fn a_line_that_ply_does_not_know_is_shown() {
    let text = String::from_utf8(ascii(&CORE, &[])).unwrap();
    let refused = |from: &str, to: &str| parse(text.replace(from, to).as_bytes()).unwrap_err().to_string();
    let error = refused("property float rot_0", "property int64 rot_0");
    assert!(
        error.contains("the line `property int64 rot_0`") && error.contains("float or double"),
        "{error}"
    );
    for odd in ["element vertex many", "elements vertex 0", "property float"] {
        let error = refused("element vertex 0", odd);
        assert!(error.contains(&format!("the line `{odd}`")), "{error}");
    }
    let error = refused("format ascii 1.0\n", "");
    assert!(error.contains("needs the lines `ply`, `format"), "{error}");
}

#[test]
fn what_c_libraries_print_for_no_number_is_one() {
    let row = |opacity: &str| format!("1 2 3 1 0 0 0 0 0 0 {opacity} 0 0 0");
    let count = |opacity: &str| {
        let scene = parse(&ascii(&CORE, &[&row(opacity)])).unwrap();
        (scene.dropped_rows, scene.clamped_rows)
    };
    for word in ["-nan", "NaN", "-nan(ind)", "nan(0x7)", "-1.#IND00", "1.#QNAN"] {
        assert_eq!(count(word), (1, 0), "{word}");
    }
    for word in ["inf", "-Infinity", "1.#INF00", "-1.#INF", "1e99"] {
        assert_eq!(count(word), (0, 1), "{word}");
    }
    let error = parse(&ascii(&CORE, &[&row("0,5")])).unwrap_err().to_string();
    assert!(error.contains("row 1 has `0,5` where a number should be"), "{error}");
}

#[test]
fn rows_that_are_not_finite_are_dropped_and_counted() {
    let one = "1 2 3 1 0 0 0 0 0 0 0 0 0 0";
    let rows = [one, "nan 2 3 1 0 0 0 0 0 0 0 0 0 0", one, "1 2 3 1 0 0 0 0 0 0 -inf 0 0 0"];
    let scene = parse(&ascii(&CORE, &rows)).unwrap();
    // Columns 7 to 9 are log-scales, column 10 is the opacity logit: infinite ones have a finite meaning.
    assert_eq!((scene.cloud.len(), scene.dropped_rows, scene.clamped_rows), (3, 1, 1));
    assert!(scene.cloud.opacity_logits[2] < -10.0);

    let mut cloud = cloud(5, 1);
    cloud.sh_coeffs[7][2] = f32::NAN;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b.ply");
    assert_eq!(write(&path, &cloud, &PlyOptions::default()).unwrap(), 1);
    assert_eq!(read(&path).unwrap().cloud.len(), 4);
}

#[test]
fn comments_tell_the_mode() {
    let with = |comment: &str| {
        let bytes = ascii(&CORE, &[]);
        let text =
            String::from_utf8(bytes).unwrap().replace("comment by hand", &format!("comment {comment}"));
        parse(text.as_bytes()).unwrap().render_mode
    };
    assert_eq!(with("SplatRenderMode: mip"), SplatRenderMode::Mip);
    assert_eq!(with("SplatRenderMode: 3dgut"), SplatRenderMode::Gut);
    assert_eq!(with("SplatRenderMode: 2dgs"), SplatRenderMode::TwoD);
    assert_eq!(with("SplatRenderMode: default"), SplatRenderMode::Default);
    assert_eq!(with("antialiased 1"), SplatRenderMode::Mip);
    assert_eq!(with("antialiased 0"), SplatRenderMode::Default);
    assert_eq!(with("something else"), SplatRenderMode::Default);
}

/// A truncated file is an error, unless only bytes after the last row are missing.
#[test]
fn truncation_at_every_byte_is_noticed() {
    let binary = written(&cloud(3, 1), &PlyOptions { comments: vec!["c".into()], ..Default::default() });
    let text = ascii(&CORE, &["1 2 3 1 0 0 0 0 0 0 0 0 0 0", "1 2 3 1 0 0 0 0 0 0 0 0 0 25"]);
    for (bytes, whole) in [(&binary, binary.len()), (&text, text.len() - 2)] {
        for cut in 0..bytes.len() {
            let result = parse(&bytes[..cut]);
            assert_eq!(result.is_ok(), cut >= whole, "cut at {cut} of {}: {result:?}", bytes.len());
            if let Err(error) = result {
                assert!(error.to_string().contains("test.ply"), "{error}");
            }
        }
        let mut longer = bytes.clone();
        longer.extend(b"garbage behind the end");
        assert_eq!(parse(&longer).unwrap(), parse(bytes).unwrap());
    }
}

#[test]
fn lying_headers_allocate_nothing() {
    for count in ["4000000000", "18446744073709551615", "99999999999999999999999", "-1"] {
        for format in ["ascii", "binary_little_endian"] {
            let text = String::from_utf8(ascii(&CORE, &[])).unwrap();
            let text = text
                .replace("vertex 0", &format!("vertex {count}"))
                .replace("format ascii", &format!("format {format}"));
            assert!(parse(text.as_bytes()).is_err(), "{count}");
        }
    }
    let endless = [b"ply\nformat ascii 1.0\ncomment ".to_vec(), vec![b'x'; 3 << 20]].concat();
    assert!(parse(&endless).is_err());
}

#[test]
fn other_plys_are_refused_by_name() {
    let refused = |bytes: &[u8]| parse(bytes).unwrap_err().to_string();
    assert!(refused(b"solid stl\n").contains("does not begin with `ply`"));
    let points = ascii(&["x", "y", "z", "red", "green", "blue"], &["0 0 0 1 1 1"]);
    assert!(refused(&points).contains("point cloud (1 points)"), "{}", refused(&points));
    let without: Vec<&str> = CORE.into_iter().filter(|name| *name != "opacity").collect();
    assert!(refused(&ascii(&without, &[])).contains("no `opacity`"));
    let flat: Vec<&str> = CORE.into_iter().filter(|name| *name != "scale_2").collect();
    assert!(refused(&ascii(&flat, &[])).contains("2DGS"));
    let odd: Vec<&str> = CORE.into_iter().chain(["f_rest_0", "f_rest_1"]).collect();
    assert!(refused(&ascii(&odd, &[])).contains("2 properties `f_rest_*`"));
    let twice: Vec<&str> = CORE.into_iter().chain(["x"]).collect();
    assert!(refused(&ascii(&twice, &[])).contains("twice"));
    assert!(refused(&ascii(&CORE, &["1 2 three 1 0 0 0 0 0 0 0 0 0 0"])).contains("`three`"));
    assert!(refused(&ascii(&CORE, &["1 2 3 1 0 0 0 0 0 0 0 0 0 0 0"])).contains("15 numbers"));
}

#[needs("splats")]
#[test]
fn real_files_read_as_expected() {
    let folder = test_data("splats");
    let error = |name: &str| read(&folder.join(name)).unwrap_err().to_string();
    for mesh in ["beetle.ascii.ply", "beetle.binary.ply"] {
        let message = error(&format!("metalsplatter/plain_ply_mesh/{mesh}"));
        assert!(message.contains("mesh (1148 vertices, 2053 faces)") && message.contains(mesh), "{message}");
    }
    let short = read(&folder.join("cvlab_pc_short/pc_short.ply")).unwrap();
    assert_eq!((short.cloud.len() + short.dropped_rows, short.cloud.sh_degree), (100, 3));
    let sh2 = read(&folder.join("cross_format_playbot4/playbot4.ply")).unwrap().cloud;
    assert_eq!((sh2.len(), sh2.sh_degree), (8406, 2));
    for degree in 0..=2 {
        let other =
            read(&folder.join(format!("cross_format_playbot4/playbot4.sh{degree}.ply"))).unwrap().cloud;
        assert_eq!(other.sh_degree, degree);
        assert_eq!(
            (&other.means, &other.quats, &other.log_scales),
            (&sh2.means, &sh2.quats, &sh2.log_scales)
        );
        // Coefficient j of a splat is the same in every degree that has it, so channels are separated correctly.
        let (few, all) = (other.coeffs_per_gaussian(), sh2.coeffs_per_gaussian());
        let agree =
            |i: usize| other.sh_coeffs[i * few..(i + 1) * few] == sh2.sh_coeffs[i * all..i * all + few];
        assert!((0..other.len()).all(agree), "degree {degree}");
    }
    // The ASCII file holds the same splats; its own CSV was decoded as if it were binary.
    let binary = read(&folder.join("gsplat_rs_minimal/minimal_binary.ply")).unwrap().cloud;
    assert_eq!(read(&folder.join("gsplat_rs_minimal/minimal_ascii.ply")).unwrap().cloud, binary);
    for (ply, csv) in [
        ("gsplat_rs_minimal/minimal_binary.ply", "minimal_binary.ply.csv"),
        ("metalsplatter/test-splat.3-points-from-train.ply", "test-splat.3-points-from-train.ply.csv"),
    ] {
        let expected = std::fs::read_to_string(folder.join("expected_csv").join(csv)).unwrap();
        let cloud = read(&folder.join(ply)).unwrap().cloud;
        let mut compared = 0;
        let mut lines = expected.lines();
        let names: Vec<&str> = lines.next().unwrap().split(',').collect();
        for (i, line) in lines.enumerate() {
            for (name, value) in names.iter().zip(line.split(',')) {
                let Some(got) = stored(&cloud, i, name) else { continue };
                let value: f32 = value.parse().unwrap();
                assert!((got - value).abs() <= 1e-6 * value.abs(), "{ply} row {i} {name}: {got} {value}");
                compared += 1;
            }
        }
        assert_eq!(compared, cloud.len() * (11 + 3 * cloud.coeffs_per_gaussian()), "{ply}");
    }
}

/// The stored number that a property of that name holds.
pub(in crate::formats) fn stored(cloud: &GaussianCloud, row: usize, name: &str) -> Option<f32> {
    let coeffs = cloud.coeffs_per_gaussian();
    if let Some(index) = name.strip_prefix("f_rest_") {
        let index: usize = index.parse().ok()?;
        let (channel, coefficient) = (index / (coeffs - 1), index % (coeffs - 1) + 1);
        return Some(cloud.sh_coeffs[row * coeffs + coefficient][channel]);
    }
    let at = |name: &str| name.rsplit('_').next()?.parse::<usize>().ok();
    Some(match name {
        "x" => cloud.means[row][0],
        "y" => cloud.means[row][1],
        "z" => cloud.means[row][2],
        "opacity" => cloud.opacity_logits[row],
        _ if name.starts_with("rot_") => cloud.quats[row][at(name)?],
        _ if name.starts_with("scale_") => cloud.log_scales[row][at(name)?],
        _ if name.starts_with("f_dc_") => cloud.sh_coeffs[row * coeffs][at(name)?],
        _ => return None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    /// Damaged files are read or refused; nothing panics, hangs or fills the memory.
    #[test]
    fn damage_never_panics(changes in prop::collection::vec((0_usize..2000, any::<u8>()), 1..8), text in any::<bool>()) {
        let mut bytes = if text {
            ascii(&CORE, &["1 2 3 1 0 0 0 0 0 0 0 0 0 0", "1 2 3 1 0 0 0 0 0 0 0 0 0 25"])
        } else {
            written(&cloud(3, 2), &PlyOptions::default())
        };
        let len = bytes.len();
        for (at, value) in changes {
            bytes[at % len] = value;
        }
        if let Ok(scene) = parse(&bytes) {
            prop_assert!(scene.cloud.validate().is_ok());
            prop_assert!(scene.cloud.means.as_flattened().iter().all(|v| v.is_finite()));
        }
    }
}
