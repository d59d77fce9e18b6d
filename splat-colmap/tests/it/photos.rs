//! The Prepare stage on real and broken files, and the real COLMAP where it is installed.
//!
//! Prepare is looked at through what it leaves in `work/photos`: COLMAP is named as a program that
//! accepts everything.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use splat_colmap::{ColmapError, ColmapOptions, ColmapQuality, ColmapSource, DatasetSource};
use splat_core::images::{Orientation, decode_upright, probe};
use splat_core::{CancelToken, Placement, SceneSource};
use splat_test_needs::needs;

use crate::common::{Events, test_data};

fn low() -> ColmapOptions {
    let stage_timeout = Some(Duration::from_secs(600));
    ColmapOptions {
        quality: ColmapQuality::Low,
        stage_timeout,
        raise_quality: false,
        try_again: false,
        ..ColmapOptions::default()
    }
}

/// Runs until the features of the photos would be extracted and returns the prepared folder.
fn prepared(photos: &Path, out: &Path) -> (Result<Placement, ColmapError>, Events, PathBuf) {
    let events = Events::default();
    let options = ColmapOptions { stage_timeout: Some(Duration::ZERO), ..low() };
    let result =
        ColmapSource::new(photos, out, options).run(&|event| events.push(event), &CancelToken::new());
    (result, events, out.join("work/photos"))
}

#[needs("error_cases/file_formats", program = "colmap")]
#[test]
fn every_kind_of_picture_is_taken_upright() {
    let dir = test_data("error_cases/file_formats");
    let out = tempfile::tempdir().unwrap();
    let (result, events, photos) = prepared(&dir, out.path());
    assert!(matches!(result, Err(ColmapError::TimedOut { command: "feature_extractor", .. })), "{result:?}");
    assert_eq!(events.warnings(), "");
    // Upright 8-bit JPEG and PNG: byte for byte, under the same name.
    for name in [
        "plain.jpg",
        "UPPER.JPG",
        "progressive.jpg",
        "grey.jpg",
        "rgb.png",
        "grey.png",
        "spaces in name (1).jpg",
        "ünïcødé_写真_🦊.jpg",
    ] {
        assert_eq!(fs::read(dir.join(name)).unwrap(), fs::read(photos.join(name)).unwrap(), "{name}");
    }
    for name in ["a.bmp", "a.gif", "a.tif", "a.webp", "palette.png", "onebit.png", "rgb16.png"] {
        let info = probe(&photos.join(format!("{name}.jpg"))).unwrap();
        assert_eq!(info.upright_size(), probe(&dir.join(name)).unwrap().upright_size(), "{name}");
    }
    // The CMYK file keeps its name and becomes RGB.
    assert_ne!(fs::read(dir.join("cmyk.jpg")).unwrap(), fs::read(photos.join("cmyk.jpg")).unwrap());
    // Eight ways to hold the camera, one picture.
    let mut orientations: Vec<_> =
        fs::read_dir(dir.join("orientation")).unwrap().map(|e| e.unwrap().file_name()).collect();
    orientations.sort();
    let upright: Vec<_> = orientations.iter().map(|name| photos.join("orientation").join(name)).collect();
    let first = decode_upright(&upright[0]).unwrap();
    for path in &upright {
        assert_eq!(probe(path).unwrap().orientation, Orientation::Upright, "{path:?}");
        let picture = decode_upright(path).unwrap();
        assert_eq!(picture.dimensions(), first.dimensions(), "{path:?}");
        let difference: u64 = picture.iter().zip(first.iter()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        let mean = difference as f64 / picture.len() as f64;
        assert!(mean < 4.0, "{path:?} differs by {mean} of 255 on average");
    }
}

#[needs("error_cases", "photos/lund_door/images", program = "colmap")]
#[test]
fn broken_files_are_skipped_named_and_counted() {
    let dir = test_data("error_cases/broken_files");
    let good = test_data("photos/lund_door/images");
    let (input, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (result, ..) = prepared(&test_data("error_cases/no_images_only_text"), out.path());
    let message = result.unwrap_err().to_string();
    assert!(message.contains("no photos in") && message.contains("`notes.txt`"), "{message}");
    for entry in fs::read_dir(&dir).unwrap().chain(fs::read_dir(&good).unwrap().take(3)) {
        let entry = entry.unwrap();
        fs::copy(entry.path(), input.path().join(entry.file_name())).unwrap();
    }
    let (result, events, photos) = prepared(input.path(), out.path());
    assert!(matches!(result, Err(ColmapError::TimedOut { .. })), "{result:?}");
    let warnings = events.warnings();
    for name in [
        "bomb_30000x30000_1bit.png",
        "header_only.jpg",
        "one_pixel.png",
        "strip_4000x8.png",
        "text_named.jpg",
        "truncated.jpg",
        "truncated.png",
        "zero_bytes.jpg",
    ] {
        assert!(warnings.contains(&format!("`{name}` (")), "{name}: {warnings}");
        assert!(!photos.join(name).exists(), "{name}");
    }
    // What the content says counts, not the name.
    assert!(photos.join("jpg_named.png.jpg").is_file() && photos.join("png_named.jpg.png").is_file());
}

#[needs("error_cases", program = "colmap")]
#[test]
fn too_few_photos_are_refused_at_once() {
    for (name, expected) in
        [("one_image", "only 1 usable"), ("two_images", "only 2 usable"), ("empty_folder", "no photos in")]
    {
        let dir = test_data(&format!("error_cases/{name}"));
        let out = tempfile::tempdir().unwrap();
        let message = prepared(&dir, out.path()).0.unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
}

#[needs("photos/snowmiku/images", program = "colmap")]
#[test]
fn a_focal_length_survives_the_rewriting() {
    let dir = test_data("photos/snowmiku/images");
    let (input, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut names: Vec<_> = fs::read_dir(&dir).unwrap().map(|e| e.unwrap().path()).collect();
    names.sort();
    let mut turned = 0;
    for (i, path) in names.iter().take(3).enumerate() {
        // Turn the camera: patch the EXIF orientation's value, wherever that tag is.
        let mut bytes = fs::read(path).unwrap();
        let tag = |little: bool| {
            if little { [0x12, 0x01, 3, 0, 1, 0, 0, 0] } else { [0x01, 0x12, 0, 3, 0, 0, 0, 1] }
        };
        for little in [true, false] {
            if let Some(at) = bytes.windows(8).position(|window| window == tag(little)) {
                bytes[at + 8 + usize::from(!little)] = 6;
                turned += 1;
            }
        }
        fs::write(input.path().join(format!("{i}.jpg")), bytes).unwrap();
    }
    assert_eq!(turned, 3, "the photos have no orientation tag to turn");
    let (_, _, photos) = prepared(input.path(), out.path());
    for i in 0..3 {
        let before = probe(&input.path().join(format!("{i}.jpg"))).unwrap();
        let after = probe(&photos.join(format!("{i}.jpg"))).unwrap();
        assert_eq!((after.stored_width, after.stored_height), (before.stored_height, before.stored_width));
        assert!(before.focal_px().is_some() && after.focal_35mm == before.focal_35mm, "{after:?}");
        assert_eq!(after.camera_model, before.camera_model);
    }
}

/// The real thing: 12 photos to a dataset whose poses agree with the reference model's.
#[needs("photos/lund_door", program = "colmap")]
#[test]
fn the_door_is_reconstructed() {
    let photos = test_data("photos/lund_door/images");
    let out = tempfile::tempdir().unwrap();
    let events = Events::default();
    let mut source = ColmapSource::new(&photos, out.path(), low());
    let scene = source.scene(&|event| events.push(event), &CancelToken::new()).unwrap();
    assert_eq!(scene.views.len(), 12, "{}", events.warnings());
    assert!(scene.points.len() > 1000, "{} points", scene.points.len());
    for view in &scene.views {
        let pinhole = view.lens.as_pinhole().unwrap();
        let photo = probe(&view.image_path).unwrap();
        assert_eq!(photo.upright_size(), (pinhole.width, pinhole.height));
        let half = probe(&out.path().join("images_2").join(&view.name)).unwrap();
        assert_eq!(half.stored_width, (f64::from(pinhole.width) / 2.0).round() as u32);
    }
    let reference = test_data("photos/lund_door/colmap_model");
    let reference = DatasetSource::new(reference).with_images(&photos).load(&|_| ()).unwrap();
    // The worlds differ by a similarity: compare the angles between views, which it leaves alone.
    let mut worst = 0.0_f64;
    for (a, b) in scene.views.iter().zip(&reference.views) {
        assert_eq!(a.name, b.name);
        let ours = a.cam_from_world.rotation * scene.views[0].cam_from_world.rotation.inverse();
        let theirs = b.cam_from_world.rotation * reference.views[0].cam_from_world.rotation.inverse();
        worst = worst.max(ours.angle_between(theirs).to_degrees());
    }
    assert!(worst < 1.5, "views are turned by up to {worst} degrees against the reference");
}

#[needs("error_cases/unrelated_12", program = "colmap")]
#[test]
fn photos_of_different_places_are_refused_with_a_count() {
    let photos = test_data("error_cases/unrelated_12");
    let out = tempfile::tempdir().unwrap();
    let result = ColmapSource::new(photos, out.path(), low()).run(&|_| (), &CancelToken::new());
    let message = result.unwrap_err().to_string();
    assert!(message.contains("of 11 registered") && message.contains("overlap"), "{message}");
}
