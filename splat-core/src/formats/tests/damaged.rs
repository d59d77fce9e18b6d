//! Files that are damaged, truncated or violate their specification are rejected.

use proptest::prelude::*;
use splat_test_needs::needs;

use super::*;

#[needs("splats")]
#[test]
fn what_is_not_to_the_specification_is_refused_by_name() {
    let folder = test_data("splats");
    let refused = |name: &str| read(&folder.join(name)).unwrap_err().to_string();
    let raw = refused("splat_transform_minimal/minimal-raw.spz");
    assert!(raw.contains("in the clear") && raw.contains("version 2"), "{raw}");
    let kernel = refused("khr_gltf/khr_gaussian_splatting/khr_extensible_fallback.gltf");
    assert!(kernel.contains("`customShape`"), "{kernel}");
    for name in ["khr_conformance_matrix.glb", "khr_conformance_matrix.gltf"] {
        let scene = read(&folder.join("khr_gltf/khr_gaussian_splatting").join(name)).unwrap();
        assert_eq!((scene.cloud.sh_degree, scene.cloud.len() > 14), (3, true), "{name}");
        assert!(scene.notes.iter().any(|note| note.contains("lin_rec709_display")), "{:?}", scene.notes);
    }
}

/// All numbers are present, but the checksum is missing or wrong.
#[test]
fn an_spz_without_its_end_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for version in [SpzVersion::V2, SpzVersion::V3] {
        let path = write_file(folder.path(), Format::Spz(version), &cloud(30, 1));
        let bytes = fs::read(&path).unwrap();
        for cut in 1..=8 {
            fs::write(&path, &bytes[..bytes.len() - cut]).unwrap();
            assert!(
                read(&path).unwrap_err().to_string().contains("copy it again"),
                "{version:?}, {cut} bytes"
            );
        }
        let mut damaged = bytes.clone();
        let checksum = damaged.len() - 8;
        damaged[checksum] ^= 1;
        fs::write(&path, damaged).unwrap();
        assert!(read(&path).is_err(), "{version:?}");
        // Programs that pad to blocks append zeros.
        fs::write(&path, [&bytes[..], &[0; 100]].concat()).unwrap();
        assert_eq!(read(&path).unwrap().cloud.len(), 30);
    }
}

#[test]
fn headers_that_promise_more_than_the_file_holds_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for format in [Format::Spz(SpzVersion::V4), Format::CompressedPly, Format::Glb] {
        let path = write_file(folder.path(), format, &cloud(20, 1));
        let mut bytes = fs::read(&path).unwrap();
        let (from, to): (&[u8], &[u8]) = match format {
            Format::CompressedPly => (b"vertex 20", b"vertex 99"),
            Format::Glb => (b"\"count\":20", b"\"count\":99"),
            _ => (b"\x14\0\0\0\x01", b"\xff\xff\xff\x7f\x01"),
        };
        let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
        bytes[at..at + to.len()].copy_from_slice(to);
        fs::write(&path, bytes).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains(&path.display().to_string()), "{error}");
    }
}

fn damaged(format: Format, damage: impl FnOnce(&mut Vec<u8>)) -> (PathBuf, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = write_file(folder.path(), format, &cloud(40, 1));
    let mut bytes = fs::read(&path).unwrap();
    damage(&mut bytes);
    fs::write(&path, bytes).unwrap();
    (path, folder)
}

#[test]
fn files_cut_off_anywhere_are_refused() {
    for format in ALL {
        let (path, _folder) = damaged(format, |_| {});
        let whole = fs::read(&path).unwrap();
        // A .splat truncated between two splats is valid.
        for cut in (0..whole.len()).step_by(37).filter(|cut| format != Format::Splat || cut % 32 != 0) {
            fs::write(&path, &whole[..cut]).unwrap();
            let result = read(&path);
            // gzip's checksum and a zip's last record contain no splats.
            assert!(result.is_err() || cut + 64 > whole.len(), "{format:?} cut at {cut} of {}", whole.len());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    /// Damaged files are read or rejected, without panics, hangs, or unbounded memory.
    #[test]
    fn damage_never_panics(which in 0..ALL.len(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let (path, _folder) = damaged(ALL[which], |bytes| {
            for (at, value) in changes {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
        });
        if let Ok(scene) = read(&path) {
            prop_assert!(scene.cloud.validate().is_ok());
            prop_assert!(scene.cloud.means.as_flattened().iter().all(|v| v.is_finite()));
        }
    }

    /// The same for `.ksplat`, which has no writer here, with the header of a real file.
    #[needs("splats/splat_transform_minimal")]
    #[test]
    fn damaged_ksplats_never_panic(
        header in prop::collection::vec((0_usize..48, any::<u8>()), 0..4),
        section in prop::collection::vec((4096_usize..4144, any::<u8>()), 0..6),
        cut in 4096_usize..5400,
    ) {
        let folder = test_data("splats/splat_transform_minimal");
        let mut bytes = fs::read(folder.join("minimal.ksplat")).unwrap();
        header.into_iter().chain(section).for_each(|(at, value)| bytes[at] = value);
        bytes.truncate(cut);
        let _ = ksplat::read(&bytes, Path::new("test.ksplat"));
    }
}
