#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod damaged;

use splat_test_needs::needs;

use super::ply::tests::stored;
use super::*;
use crate::random::Random;
use crate::test_data;

pub(super) const ALL: [Format; 8] = [
    Format::Ply,
    Format::CompressedPly,
    Format::Spz(SpzVersion::V2),
    Format::Spz(SpzVersion::V3),
    Format::Spz(SpzVersion::V4),
    Format::Sog,
    Format::Splat,
    Format::Glb,
];

/// A cloud like those from training: a few units wide, small splats, harmonics well below 1.
pub(super) fn cloud(count: usize, sh_degree: u32) -> GaussianCloud {
    let mut random = Random::new(7, u64::from(sh_degree), count as u32);
    let mut within = |most: f64| ((random.uniform() * 2.0 - 1.0) * most) as f32;
    let mut cloud = GaussianCloud { sh_degree, ..Default::default() };
    for _ in 0..count {
        cloud.means.push([within(3.0), within(3.0), within(3.0)]);
        cloud.quats.push([within(1.0), within(1.0), within(1.0), within(1.0)]);
        cloud.log_scales.push([within(1.0) - 4.0, within(1.0) - 4.0, within(1.0) - 4.0]);
        cloud.opacity_logits.push(within(4.0));
        cloud.sh_coeffs.push([within(1.5), within(1.5), within(1.5)]);
        for _ in 1..cloud.coeffs_per_gaussian() {
            cloud.sh_coeffs.push([within(0.3), within(0.3), within(0.3)]);
        }
    }
    cloud
}

pub(super) fn write_file(folder: &Path, format: Format, cloud: &GaussianCloud) -> PathBuf {
    let path = folder.join(format!("scene.{}", format.extension()));
    let scene = SplatScene { cloud: cloud.clone(), ..SplatScene::default() };
    write(&path, format, &scene).unwrap();
    path
}

/// The largest differences of positions, log-scales, opacities, constant harmonics, other harmonics, and rotations (1 - |cos| of
/// half the angle). For formats that reorder Gaussians, each is compared with the most similar one within `allowed` of its
/// position.
fn differences(a: &GaussianCloud, b: &GaussianCloud, format: Format, allowed: [f32; 6]) -> [f32; 6] {
    assert_eq!(a.len(), b.len());
    let (many, few) = (a.coeffs_per_gaussian(), b.coeffs_per_gaussian());
    let compared = many.min(few);
    let distance = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max);
    let rest = |cloud: &GaussianCloud, index: usize, coeffs: usize| {
        cloud.sh_coeffs[index * coeffs + 1..index * coeffs + compared].as_flattened().to_vec()
    };
    let between = |i: usize, j: usize| {
        let (own, other) = (quantize::unit(a.quats[i]), quantize::unit(b.quats[j]));
        // The rotation between them; half turns about its own axes do not change a Gaussian.
        let [[w, x, y, z], [p, q, r, s]] = [own, other];
        let between = [
            w * p + x * q + y * r + z * s,
            w * q - x * p - y * s + z * r,
            w * r + x * s - y * p - z * q,
            w * s - x * r + y * q - z * p,
        ];
        let alike = between.into_iter().fold(0.0, |most: f32, part| most.max(part.abs()));
        [
            distance(&a.means[i], &b.means[j]),
            distance(&a.log_scales[i], &b.log_scales[j]),
            (quantize::sigmoid(a.opacity_logits[i]) - quantize::sigmoid(b.opacity_logits[j])).abs(),
            distance(&a.sh_coeffs[i * many], &b.sh_coeffs[j * few]),
            distance(&rest(a, i, many), &rest(b, j, few)),
            1.0 - alike,
        ]
    };
    let reordered = matches!(format, Format::CompressedPly | Format::Sog | Format::Splat);
    let worst = |worst: [f32; 6], found: [f32; 6]| std::array::from_fn(|k| worst[k].max(found[k]));
    (0..a.len()).fold([0.0; 6], |so_far, i| {
        if !reordered {
            return worst(so_far, between(i, i));
        }
        let near = (0..b.len()).filter(|&j| distance(&a.means[i], &b.means[j]) <= allowed[0]);
        let score =
            |found: &[f32; 6]| -> f32 { found.iter().zip(allowed).map(|(d, most)| d / most.max(1e-9)).sum() };
        let likest = near.map(|j| between(i, j)).min_by(|x, y| score(x).total_cmp(&score(y)));
        worst(so_far, likest.unwrap_or([f32::INFINITY; 6]))
    })
}

/// Tolerances of each format: positions, log-scales, opacities, constant harmonics, other harmonics, rotations.
fn tolerance(format: Format) -> [f32; 6] {
    const BYTE: f32 = 0.5 / 255.0 + 1e-5;
    match format {
        Format::Ply => [0.0, 0.0, 0.0, 0.0, 0.0, 1e-6],
        Format::Glb => [0.0, 2e-6, 1e-6, 0.0, 0.0, 1e-6],
        // At least 10 bits of a chunk's range; harmonics of -4 to 4 in a byte.
        Format::CompressedPly => {
            [6.0 / 1023.0 / 2.0, 2.0 / 1023.0, BYTE, 3.0 / 255.0 / 2.0 * 1.1, 0.5 / 32.0 + 1e-4, 1e-5]
        }
        Format::Spz(SpzVersion::V2) => [
            0.5 / 4096.0 + 1e-6,
            0.5 / 16.0 + 1e-5,
            BYTE,
            0.5 / 255.0 / 0.15 + 1e-4,
            1.0 / 128.0 + 1e-6,
            2e-4,
        ],
        Format::Spz(_) => [
            0.5 / 4096.0 + 1e-6,
            0.5 / 16.0 + 1e-5,
            BYTE,
            0.5 / 255.0 / 0.15 + 1e-4,
            1.0 / 128.0 + 1e-6,
            1e-5,
        ],
        // There are as many palette entries as Gaussians, so only the codebook's steps matter.
        Format::Sog => [2e-4, 0.02, BYTE, 0.03, 0.01, 1e-4],
        Format::Splat => [0.0, 2e-6, BYTE, 0.5 / 255.0 / 0.28 + 1e-4, 1.0, 2e-4],
    }
}

#[test]
fn every_format_gives_back_what_was_written_within_its_steps() {
    for sh_degree in [0, 1, 2, 3] {
        let original = cloud(700, sh_degree);
        for format in ALL {
            let folder = tempfile::tempdir().unwrap();
            let path = write_file(folder.path(), format, &original);
            let bytes = fs::read(&path).unwrap();
            let scene = read(&path).unwrap();
            let degree = if format == Format::Splat { 0 } else { sh_degree };
            assert_eq!(scene.cloud.sh_degree, degree, "{format:?}");
            let allowed = tolerance(format);
            let found = differences(&original, &scene.cloud, format, allowed);
            assert!(
                found.iter().zip(allowed).all(|(found, most)| *found <= most),
                "{format:?}: {found:?} of {allowed:?}"
            );
            write_file(folder.path(), format, &original);
            assert_eq!(bytes, fs::read(&path).unwrap(), "{format:?} is not reproducible");
        }
    }
}

/// Eight files of one scene by an independent program decode to the same values.
#[needs("splats/cross_format_playbot4")]
#[test]
fn the_same_scene_in_eight_files_is_the_same() {
    let folder = test_data("splats/cross_format_playbot4");
    let original = read(&folder.join("playbot4.ply")).unwrap().cloud;
    for (name, format, degree) in [
        ("playbot4.sh0.ply", Format::Ply, 0),
        ("playbot4.sh1.ply", Format::Ply, 1),
        ("playbot4.compressed.ply", Format::CompressedPly, 2),
        ("playbot4.v3.spz", Format::Spz(SpzVersion::V3), 2),
        ("playbot4.v4.spz", Format::Spz(SpzVersion::V4), 2),
        ("playbot4.sog", Format::Sog, 2),
        ("playbot4.glb", Format::Glb, 2),
    ] {
        let scene = read(&folder.join(name)).unwrap();
        assert_eq!((scene.cloud.len(), scene.cloud.sh_degree), (8406, degree), "{name}");
        let mut allowed = tolerance(format);
        // Wider ranges than in the test above: colours of this scene exceed the displayable range, and codebooks and palettes are
        // coarse for 8,406 Gaussians.
        if format == Format::Sog {
            // A whole step of opacity and rotation, since that writer rounds down.
            allowed = [1e-4, 0.03, 1.0 / 255.0 + 1e-5, 0.04, 0.35, 3e-4];
        }
        if format == Format::CompressedPly {
            allowed[1] = 0.02;
            allowed[3] = 0.05;
        }
        let mut expected = original.clone();
        if matches!(format, Format::Spz(_)) {
            // That writer keeps four bits of harmonics.
            allowed[4] = 8.5 / 128.0;
            // -10 is the smallest log-scale; harmonics are within -1 to 1, and colours within their byte.
            expected.log_scales.iter_mut().for_each(|scale| *scale = scale.map(|value| value.max(-10.0)));
            let coeffs = expected.coeffs_per_gaussian();
            for (index, rgb) in expected.sh_coeffs.iter_mut().enumerate() {
                let most = if index % coeffs == 0 { 0.5 / 0.15 } else { 1.0 };
                *rgb = rgb.map(|value| value.clamp(-most, most));
            }
        }
        let found = differences(&expected, &scene.cloud, format, allowed);
        assert!(
            found.iter().zip(allowed).all(|(found, most)| *found <= most),
            "{name}: {found:?} of {allowed:?}"
        );
    }
}

#[needs("splats")]
#[test]
fn values_are_those_of_an_independent_program() {
    let folder = test_data("splats");
    for (file, csv) in [
        ("splat_transform_minimal/minimal-v2.spz", "minimal-v2.spz.csv"),
        ("splat_transform_minimal/minimal-v3.spz", "minimal-v3.spz.csv"),
        ("splat_transform_minimal/minimal-v4.spz", "minimal-v4.spz.csv"),
        ("gsplat_rs_minimal/minimal_v4_degree0.spz", "minimal_v4_degree0.spz.csv"),
        ("metalsplatter/test-splat.3-points-from-train.spz", "test-splat.3-points-from-train.spz.csv"),
        ("metalsplatter/test-splat.3-points-from-train.splat", "test-splat.3-points-from-train.splat.csv"),
        ("splat_transform_minimal/minimal.splat", "minimal.splat.csv"),
        ("splat_transform_minimal/minimal.ksplat", "minimal.ksplat.csv"),
    ] {
        let mut cloud = read(&folder.join(file)).unwrap().cloud;
        cloud.quats.iter_mut().for_each(|quat| *quat = quantize::unit(*quat));
        let expected = fs::read_to_string(folder.join("expected_csv").join(csv)).unwrap();
        let mut lines = expected.lines();
        let names: Vec<&str> = lines.next().unwrap().split(',').collect();
        let mut rows = 0;
        for (row, line) in lines.enumerate() {
            let values: Vec<f32> = line.split(',').map(|value| value.parse().unwrap()).collect();
            let component =
                |index: usize| names.iter().position(|name| *name == format!("rot_{index}")).unwrap();
            let dot: f32 = (0..4).map(|index| values[component(index)] * cloud.quats[row][index]).sum();
            for (name, value) in names.iter().zip(&values) {
                let mut got = stored(&cloud, row, name).unwrap();
                if name.starts_with("rot_") {
                    got *= dot.signum();
                }
                // Writers disagree whether the zero of a quaternion's bytes is 127.5 or 128.
                let most = if name.starts_with("rot_") { 0.006 } else { 2e-5 * value.abs().max(1.0) };
                assert!((got - value).abs() <= most, "{file} row {row} {name}: {got} {value}");
            }
            rows += 1;
        }
        assert_eq!(rows, cloud.len(), "{file}");
    }
}

#[test]
fn forms_of_these_names_that_are_not_read_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let unpacked = folder.path().join("old");
    fs::create_dir(&unpacked).unwrap();
    let meta = r#"{"means": {"shape": [4, 3], "files": ["means_l.webp"]}, "scales": {}, "quats": {}}"#;
    fs::write(unpacked.join("meta.json"), meta).unwrap();
    assert!(is_scene(&unpacked));
    let error = read(&unpacked).unwrap_err().to_string();
    assert!(error.contains("version 1") && error.contains("splat-transform"), "{error}");

    let gltf = |primitive: &str, view: &str| {
        let path = folder.path().join("scene.gltf");
        let text = format!(
            r#"{{"asset": {{"version": "2.0"}}, "meshes": [{{"primitives": [{primitive}]}}], "buffers": [{{"byteLength": 12, "uri": "data:;base64,AAAAAAAAAAAAAAAA"}}],
            "bufferViews": [{view}], "accessors": [{{"bufferView": 0, "componentType": 5126, "count": 1, "type": "VEC3"}}]}}"#
        );
        fs::write(&path, text).unwrap();
        read(&path).unwrap_err().to_string()
    };
    let spz = r#"{"attributes": {"POSITION": 0}, "extensions": {"KHR_gaussian_splatting": {"extensions": {"KHR_gaussian_splatting_compression_spz_2": {"bufferView": 0}}}}}"#;
    let error = gltf(spz, r#"{"buffer": 0, "byteLength": 12}"#);
    assert!(error.contains("KHR_gaussian_splatting_compression_spz_2"), "{error}");
    let plain = r#"{"attributes": {"POSITION": 0}, "extensions": {"KHR_gaussian_splatting": {}}}"#;
    let meshopt = r#"{"buffer": 0, "byteLength": 12, "extensions": {"EXT_meshopt_compression": {}}}"#;
    let error = gltf(plain, meshopt);
    assert!(error.contains("packed by a glTF extension"), "{error}");
}

#[test]
fn a_sog_is_read_from_its_folder_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = write_file(folder.path(), Format::Sog, &cloud(300, 1));
    let mut archive = zip::ZipArchive::new(File::open(&path).unwrap()).unwrap();
    let unpacked = folder.path().join("unpacked");
    archive.extract(&unpacked).unwrap();
    let expected = read(&path).unwrap();
    assert!(is_scene(&unpacked) && !is_scene(folder.path()));
    assert_eq!(read(&unpacked).unwrap(), expected);
    assert_eq!(read(&unpacked.join("meta.json")).unwrap(), expected);
}

#[test]
fn harmonics_of_degree_4_are_dropped_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("four.ply");
    let names =
        ["x", "y", "z", "rot_0", "rot_1", "rot_2", "rot_3", "scale_0", "scale_1", "scale_2", "opacity"];
    let mut text = "ply\nformat ascii 1.0\nelement vertex 1\n".to_owned();
    let rest: Vec<String> = (0..72).map(|index| format!("f_rest_{index}")).collect();
    let all: Vec<String> = names
        .iter()
        .map(|name| (*name).to_owned())
        .chain((0..3).map(|i| format!("f_dc_{i}")))
        .chain(rest)
        .collect();
    all.iter().for_each(|name| text += &format!("property float {name}\n"));
    text += "end_header\n";
    (0..all.len()).for_each(|value| text += &format!("{value} "));
    fs::write(&path, text).unwrap();
    let scene = read(&path).unwrap();
    assert_eq!((scene.cloud.sh_degree, scene.notes.len()), (3, 1));
    // Red, green and blue of the first and the fifteenth coefficient above the constant: 24 per channel in the file, of which 15
    // are kept.
    assert_eq!(
        (scene.cloud.sh_coeffs[1], scene.cloud.sh_coeffs[15]),
        ([14.0, 38.0, 62.0], [28.0, 52.0, 76.0])
    );
}

#[test]
fn scenes_are_turned_scaled_and_moved() {
    let mut scene =
        SplatScene { cloud: cloud(400, 3), origin: [10.0, 0.0, 0.0], near: Some(0.2), ..Default::default() };
    scene.cloud.means[0] = [0.0, 0.0, 1.0];
    scene.turn_up([0.0, 0.0, 1.0]);
    assert!((scene.cloud.means[0][1] + 1.0).abs() < 1e-6, "{:?}", scene.cloud.means[0]);
    assert!((scene.origin[0] - 10.0).abs() < 1e-9);
    let before = scene.cloud.log_scales[3][1];
    scene.rescale(2.0);
    assert!((scene.cloud.log_scales[3][1] - before - 2.0_f32.ln()).abs() < 1e-6);
    assert_eq!(scene.near, Some(0.4));
    scene.recentre();
    let [low, high] = scene.cloud.framing_bounds().unwrap();
    assert!((0..3).all(|axis| (low[axis] + high[axis]).abs() < 1e-5) && scene.origin == [0.0; 3]);
}

#[test]
fn floaters_go_and_the_rest_stays() {
    let mut cloud = cloud(2000, 0);
    cloud.opacity_logits.fill(1.0);
    cloud.means[5] = [90.0, 0.0, 0.0];
    cloud.opacity_logits[6] = -8.0;
    cloud.log_scales[7] = [5.0; 3];
    assert_eq!((cloud.drop_floaters(), cloud.len()), (3, 1997));
    let mut thinned = cloud.clone();
    assert_eq!((thinned.keep_most_seen(100), thinned.len()), (1897, 100));
    let sums = |cloud: &GaussianCloud| {
        cloud.log_scales.iter().map(|s| s.iter().sum::<f32>()).sum::<f32>() / cloud.len() as f32
    };
    assert!(sums(&thinned) > sums(&cloud));
    assert!(cloud.keep_inside(|[x, ..]| x > 0.0) > 0 && cloud.means.iter().all(|mean| mean[0] > 0.0));
}
