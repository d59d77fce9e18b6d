//! Sparse models: every stored one, round trips, truncation and corruption.

use std::fs;
use std::path::Path;

use glam::DVec3;
use proptest::prelude::*;
use splat_colmap::{
    ColmapError, ModelForm, Place, Point2d, Point3d, PosedImage, Reconstruction, TrackElement,
    find_best_model, read_model, write_model,
};
use splat_core::{Lens, LensModel, Pose};
use splat_test_needs::needs;

use crate::common::test_data;

const FORMS: [(ModelForm, &str); 2] = [(ModelForm::Binary, "bin"), (ModelForm::Text, "txt")];

/// All 18 camera models, rigs and many cameras: both forms say the same, and every observation lies
/// where pose and lens project its point (the data is exact; a tenth of it is made of outliers that
/// see no point).
#[needs("colmap_models")]
#[test]
fn stored_models_project_onto_their_own_features() {
    let root = test_data("colmap_models");
    let mut folders: Vec<_> =
        fs::read_dir(&root).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_dir()).collect();
    folders.sort();
    assert!(folders.len() >= 22, "{folders:?}");
    let mut models_seen = std::collections::BTreeSet::new();
    for folder in folders {
        let binary = read_model(&folder.join("bin")).unwrap();
        let text = read_model(&folder.join("txt")).unwrap();
        assert_same(&binary, &text, &folder);
        if folder.ends_with("empty") {
            assert!(binary.images.is_empty());
            continue;
        }
        let mut observations = 0;
        for image in binary.images.values() {
            let lens = &binary.cameras[&image.camera_id];
            let projector = lens.projector().unwrap();
            models_seen.insert(lens.model);
            for feature in &image.points2d {
                let Some(id) = feature.point3d_id else { continue };
                let point = DVec3::from_array(binary.points[&id].position);
                let pixel = projector.project(image.cam_from_world.transform_point(point)).unwrap();
                let off = pixel.distance(feature.xy.into());
                assert!(off < 1e-6, "{}: {} sees point {id} {off} px away", folder.display(), image.name);
                observations += 1;
            }
        }
        assert!(observations > 100, "{}: {observations}", folder.display());
        for point in binary.points.values() {
            for element in &point.track {
                assert!(binary.images[&element.image_id].points2d.len() > element.point2d_index as usize);
            }
        }
    }
    assert_eq!(models_seen.len(), LensModel::ALL.len(), "{models_seen:?}");
}

/// Equal but for the last digits of text.
fn assert_same(a: &Reconstruction, b: &Reconstruction, folder: &Path) {
    let name = folder.display();
    assert_eq!(a.cameras, b.cameras, "{name}");
    assert_eq!(a.images.len(), b.images.len(), "{name}");
    for (id, image) in &a.images {
        let other = &b.images[id];
        assert_eq!((&image.name, image.camera_id), (&other.name, other.camera_id), "{name}");
        assert_eq!(image.points2d, other.points2d, "{name}");
        let (pose, other) = (image.cam_from_world, other.cam_from_world);
        assert!(pose.rotation.angle_between(other.rotation) < 1e-7, "{name}");
        assert!(pose.translation.distance(other.translation) < 1e-12, "{name}");
    }
    assert_eq!(a.points, b.points, "{name}");
}

#[needs("photos/lund_door/colmap_model")]
#[test]
fn real_models_survive_a_round_trip_in_both_forms() {
    let dir = test_data("photos/lund_door/colmap_model");
    let model = read_model(&dir).unwrap();
    assert_eq!(model.images.len(), 12);
    assert!(model.mean_reprojection_error_px().unwrap() < 2.0);
    let out = tempfile::tempdir().unwrap();
    for (form, extension) in FORMS {
        fs::write(out.path().join("rigs.bin"), "of another model").unwrap();
        write_model(&model, out.path(), form).unwrap();
        assert_eq!(ModelForm::of(out.path()), Some(form));
        assert_same(&read_model(out.path()).unwrap(), &model, out.path());
        // The other form's files and the stale rigs are gone.
        let names: Vec<_> = fs::read_dir(out.path()).unwrap().map(|e| e.unwrap().path()).collect();
        assert!(names.len() == 3 && names.iter().all(|p| p.extension().unwrap() == extension), "{names:?}");
    }
}

#[needs("colmap_models/opencv/bin")]
#[test]
fn every_truncation_of_a_binary_model_is_refused() {
    let dir = test_data("colmap_models/opencv/bin");
    let out = tempfile::tempdir().unwrap();
    for name in ["cameras.bin", "images.bin", "points3D.bin"] {
        for other in ["cameras.bin", "images.bin", "points3D.bin"] {
            fs::copy(dir.join(other), out.path().join(other)).unwrap();
        }
        let whole = fs::read(dir.join(name)).unwrap();
        for length in 0..whole.len() {
            fs::write(out.path().join(name), &whole[..length]).unwrap();
            match read_model(out.path()) {
                Err(ColmapError::Malformed { path, place: Place::Byte(offset), .. }) => {
                    assert!(path.ends_with(name) && offset <= length as u64, "{path:?} {offset}");
                }
                other => panic!("{name} cut at {length} of {}: {other:?}", whole.len()),
            }
        }
        let mut longer = whole;
        longer.push(0);
        fs::write(out.path().join(name), &longer).unwrap();
        let message = read_model(out.path()).unwrap_err().to_string();
        assert!(message.contains("1 bytes follow the last record"), "{message}");
    }
}

#[needs("colmap_models/pinhole/txt")]
#[test]
fn truncated_text_models_never_panic() {
    let dir = test_data("colmap_models/pinhole/txt");
    let out = tempfile::tempdir().unwrap();
    for name in ["cameras.txt", "images.txt", "points3D.txt"] {
        for other in ["cameras.txt", "images.txt", "points3D.txt"] {
            fs::copy(dir.join(other), out.path().join(other)).unwrap();
        }
        let whole = fs::read(dir.join(name)).unwrap();
        let mut refused = 0;
        for length in 0..whole.len() {
            fs::write(out.path().join(name), &whole[..length]).unwrap();
            refused += u32::from(read_model(out.path()).is_err());
        }
        assert!(refused > 0, "{name}");
    }
}

#[needs("colmap_models/opencv/bin")]
#[test]
fn a_count_beyond_the_file_is_refused_with_its_place() {
    let dir = test_data("colmap_models/opencv/bin");
    let out = tempfile::tempdir().unwrap();
    for name in ["cameras.bin", "images.bin", "points3D.bin"] {
        fs::copy(dir.join(name), out.path().join(name)).unwrap();
    }
    let mut images = fs::read(dir.join("images.bin")).unwrap();
    images[..8].copy_from_slice(&(1_u64 << 60).to_le_bytes());
    fs::write(out.path().join("images.bin"), &images).unwrap();
    let message = read_model(out.path()).unwrap_err().to_string();
    assert!(
        message.contains("images.bin")
            && message.contains("byte 0")
            && message.contains("1152921504606846976")
    );
    // Such a model does not win over an honest one either.
    assert!(find_best_model(out.path()).is_err());
}

#[test]
fn text_errors_name_the_line() {
    let out = tempfile::tempdir().unwrap();
    fs::write(out.path().join("cameras.txt"), "# comment\n\n1 PINHOLE 640 480 500 500 320 240\n").unwrap();
    let images = |text: &str| {
        fs::write(out.path().join("images.txt"), text).unwrap();
        read_model(out.path())
    };
    let model = images("# c\n7 1 0 0 0 1 2 3 1 my photo (1).jpg\n\n").unwrap();
    assert_eq!(model.images[&7].name, "my photo (1).jpg");
    for (text, expected) in [
        ("1 1 0 0 0 1 2 3 1 a.jpg\n10 20 x\n", "`x` is not a point number at line 2"),
        ("1 1 0 0 0 1 2 3 9 a.jpg\n\n", "camera 9, which the model lacks"),
        ("1 0 0 0 0 1 2 3 1 a.jpg\n\n", "impossible pose at line 1"),
        ("1 nan 0 0 0 1 2 3 1 a.jpg\n\n", "impossible pose at line 1"),
        ("1 1 0 0 0 1 2 3 1\n\n", "no name at line 1"),
        ("1 1 0 0 0 1 2 3 1 a.jpg\n\n1 1 0 0 0 1 2 3 1 b.jpg\n\n", "two images 1 at line 3"),
    ] {
        let message = images(text).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
    fs::write(out.path().join("cameras.txt"), "1 FISH 640 480 500 500 320 240\n").unwrap();
    let message = images("").unwrap_err().to_string();
    assert!(message.contains("unknown model `FISH` at line 1"), "{message}");
}

fn finite() -> impl Strategy<Value = f64> {
    prop::num::f64::NORMAL | prop::num::f64::ZERO
}

fn arbitrary_model() -> impl Strategy<Value = Reconstruction> {
    let camera = (0..18_usize, 1..20_000_u32, 1..20_000_u32, prop::collection::vec(1e-3..1e4_f64, 16));
    let camera = camera.prop_map(|(id, width, height, mut params)| {
        let model = LensModel::ALL[id];
        params.truncate(model.num_params());
        Lens { model, width, height, params }
    });
    let rotation =
        prop::array::uniform4(-1.0..1.0_f64).prop_filter("zero", |q| q.iter().any(|x| x.abs() > 1e-3));
    let feature = (prop::array::uniform2(finite()), prop::option::of(0..1000_u64));
    let feature = feature.prop_map(|(xy, point3d_id)| Point2d { xy, point3d_id });
    let image = (
        "[a-z é写/]{0,12}[a-z]",
        rotation,
        prop::array::uniform3(-1e6..1e6_f64),
        prop::collection::vec(feature, 0..5),
    );
    let image = image.prop_map(|(name, [x, y, z, w], translation, points2d)| {
        let rotation = glam::DQuat::from_xyzw(x, y, z, w).normalize();
        let cam_from_world = Pose { rotation, translation: translation.into() };
        PosedImage { name: name.trim().to_owned(), camera_id: 3, cam_from_world, points2d }
    });
    let track = prop::collection::vec((any::<u32>(), any::<u32>()), 0..4);
    let point = (prop::array::uniform3(finite()), any::<[u8; 3]>(), finite(), track);
    let point = point.prop_map(|(position, rgb, error, track)| {
        let track =
            track.into_iter().map(|(image_id, point2d_index)| TrackElement { image_id, point2d_index });
        Point3d { position, rgb, error, track: track.collect() }
    });
    let maps = (
        prop::collection::btree_map(any::<u32>(), camera.clone(), 0..4),
        camera,
        prop::collection::btree_map(any::<u32>(), image, 0..4),
        prop::collection::btree_map(0..u64::MAX, point, 0..4),
    );
    maps.prop_map(|(mut cameras, camera, images, points)| {
        cameras.insert(3, camera);
        Reconstruction { cameras, images, points }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_model_survives_a_round_trip(model in arbitrary_model()) {
        let out = tempfile::tempdir().unwrap();
        for (form, _) in FORMS {
            write_model(&model, out.path(), form).unwrap();
            let back = read_model(out.path()).unwrap();
            prop_assert_eq!(&back.cameras, &model.cameras);
            prop_assert_eq!(&back.points, &model.points);
            prop_assert_eq!(back.images.len(), model.images.len());
            for (id, image) in &model.images {
                let other = &back.images[id];
                prop_assert_eq!(&other.name, &image.name);
                prop_assert_eq!(&other.points2d, &image.points2d);
                prop_assert_eq!(other.cam_from_world.translation, image.cam_from_world.translation);
                // Normalising a unit quaternion once more may move its last bit.
                let difference = other.cam_from_world.rotation - image.cam_from_world.rotation;
                prop_assert!(difference.length() < 1e-15);
            }
        }
    }

    #[needs("colmap_models/rig_1x2x5_fisheye")]
    #[test]
    fn corruption_never_panics(
        which in 0..3_usize,
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        form in 0..2_usize,
    ) {
        let (_, extension) = FORMS[form];
        let dir = test_data("colmap_models/rig_1x2x5_fisheye").join(extension);
        let out = tempfile::tempdir().unwrap();
        let names = ["cameras", "images", "points3D"].map(|stem| format!("{stem}.{extension}"));
        for name in &names {
            fs::copy(dir.join(name), out.path().join(name)).unwrap();
        }
        let mut bytes = fs::read(dir.join(&names[which])).unwrap();
        for (index, value) in flips {
            let at = index.index(bytes.len());
            bytes[at] = value;
        }
        fs::write(out.path().join(&names[which]), bytes).unwrap();
        // Whatever is read must also convert without a panic.
        if let Ok(model) = read_model(out.path()) {
            let _ = model.to_scene(out.path(), None);
        }
        let _ = find_best_model(out.path());
    }
}
