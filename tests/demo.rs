//! Rendered demo photos: the same photos for the same seed, as a phone would store them.

use std::collections::BTreeMap;
use std::path::Path;

use exif::{In, Tag, Value};
use image::GenericImageView as _;
use splat_core::{CancelToken, Error};
use splat_demo::{DemoOptions, DemoTruth, photograph};

fn small(views: u32) -> DemoOptions {
    DemoOptions { views, ..DemoOptions::sized(96, 72) }
}

fn take(dir: &Path, options: &DemoOptions) -> DemoTruth {
    photograph(dir, options, &|_, _| (), &CancelToken::new()).expect("the photos are taken")
}

/// The files of a folder but hidden ones.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    std::fs::read_dir(dir)
        .expect("the folder is there")
        .map(|entry| {
            let path = entry.expect("the folder is readable").path();
            let name = path.file_name().expect("files have names").to_string_lossy().into_owned();
            (name, std::fs::read(path).expect("the file is readable"))
        })
        .filter(|(name, _)| !name.starts_with('.'))
        .collect()
}

#[test]
fn a_seed_gives_the_same_bytes_and_another_seed_others() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let options = small(2);
    let [first, again, other] = ["first", "again", "other"].map(|name| dir.path().join(name));
    let truth = take(&first, &options);
    assert_eq!(take(&again, &options), truth);
    assert_ne!(take(&other, &DemoOptions { seed: 2, ..options }), truth);
    let first = files(&first);
    assert_eq!(first.len(), 2, "photos and nothing else: {:?}", first.keys());
    assert!(first == files(&again), "the same seed gave other bytes");
    assert!(first.values().zip(files(&other).values()).all(|(a, b)| a != b), "the seed changes nothing");
}

#[test]
fn photos_of_the_same_options_are_kept_and_others_removed() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let options = small(3);
    let truth = take(dir.path(), &options);
    let taken = files(dir.path());
    let kept = dir.path().join("photo_001.jpg");
    std::fs::write(&kept, "kept as it is").expect("the photo can be replaced");
    std::fs::remove_file(dir.path().join("photo_002.jpg")).expect("the photo can be removed");
    std::fs::write(dir.path().join("photo_of_mine.jpg"), "mine").expect("the file can be written");
    assert_eq!(take(dir.path(), &options), truth);
    let again = files(dir.path());
    assert_eq!(again["photo_001.jpg"], b"kept as it is");
    assert_eq!(again["photo_002.jpg"], taken["photo_002.jpg"]);
    // Another ring has other places: none of the first may stay among its photos.
    take(dir.path(), &small(2));
    let fewer = files(dir.path());
    assert_eq!(fewer.keys().collect::<Vec<_>>(), ["photo_001.jpg", "photo_002.jpg", "photo_of_mine.jpg"]);
    assert!(fewer["photo_002.jpg"] != taken["photo_002.jpg"]);
}

#[test]
fn photos_carry_focal_length_and_orientation() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let truth = take(dir.path(), &small(10));
    let mut orientations = BTreeMap::new();
    for photo in &truth.photos {
        let bytes = std::fs::read(dir.path().join(&photo.name)).expect("the photo is there");
        let exif = exif::Reader::new()
            .read_from_container(&mut std::io::Cursor::new(&bytes))
            .expect("the EXIF block is readable");
        let number = |tag| {
            let field = exif.get_field(tag, In::PRIMARY).unwrap_or_else(|| panic!("no {tag}"));
            match &field.value {
                Value::Rational(values) => values[0].to_f64(),
                value => f64::from(value.get_uint(0).expect("a number")),
            }
        };
        assert_eq!(number(Tag::Orientation) as u16, photo.orientation);
        assert_eq!(number(Tag::FocalLengthIn35mmFilm), 27.0);
        assert!((number(Tag::FocalLength) - 4.41).abs() < 0.01);
        assert!(exif.get_field(Tag::Model, In::PRIMARY).is_some());
        *orientations.entry(photo.orientation).or_insert(0) += 1;
        let picture = image::load_from_memory(&bytes).expect("the photo decodes");
        assert_eq!(picture.dimensions(), (96, 72), "stored as the sensor is read out");
    }
    assert_eq!(orientations, BTreeMap::from([(1, 7), (3, 1), (6, 1), (8, 1)]));
}

/// The same view, taken level and taken turned, shows the same once the tag is applied. Where they
/// differ by how the sensor's grid lies, a half-size picture hides it.
#[test]
fn orientation_tags_set_photos_upright() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    // A square sensor, so that turned pictures cover the same ground.
    let turned = DemoOptions { views: 10, ..DemoOptions::sized(80, 80) };
    let level = DemoOptions { turned: false, ..turned.clone() };
    let [turned_dir, level_dir] = ["turned", "level"].map(|name| dir.path().join(name));
    let truth = take(&turned_dir, &turned);
    take(&level_dir, &level);
    let mut checked = 0;
    for photo in truth.photos.iter().filter(|photo| photo.orientation != 1) {
        let open = |dir: &Path| image::open(dir.join(&photo.name)).expect("the photo opens");
        let stored = open(&turned_dir);
        let upright = match photo.orientation {
            3 => stored.rotate180(),
            6 => stored.rotate90(),
            8 => stored.rotate270(),
            other => panic!("orientation {other} is not one the demo uses"),
        };
        let difference = |a: &image::DynamicImage, b: &image::DynamicImage| {
            let [a, b] = [a, b].map(|image| image.thumbnail_exact(20, 20).to_rgb8());
            let total: u32 = a.iter().zip(b.iter()).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
            f64::from(total) / f64::from(20 * 20 * 3)
        };
        let level = open(&level_dir);
        let (right, wrong) = (difference(&upright, &level), difference(&stored, &level));
        assert!(right < 4.0, "{}: mean difference of {right} levels", photo.name);
        assert!(wrong > 3.0 * right, "{}: turning changes nothing ({wrong} and {right})", photo.name);
        checked += 1;
    }
    assert_eq!(checked, 3);
}

#[test]
fn photos_are_rich_in_contrast_everywhere() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let truth = take(dir.path(), &DemoOptions { views: 4, turned: false, ..DemoOptions::sized(160, 120) });
    for photo in truth.photos {
        let grey = image::open(dir.path().join(&photo.name)).expect("the photo opens").to_luma8();
        let mean = grey.iter().map(|v| f64::from(*v)).sum::<f64>() / grey.len() as f64;
        assert!((70.0..185.0).contains(&mean), "{}: mean level {mean}", photo.name);
        let clipped = grey.iter().filter(|v| **v > 250 || **v < 4).count();
        assert!(clipped * 50 < grey.len(), "{}: {clipped} clipped pixels", photo.name);
        // The lower three quarters, where there is no sky: every 20-pixel block has structure.
        let (mut flat, mut blocks) = (0, 0);
        for top in (30..120).step_by(20).filter(|top| top + 20 <= 120) {
            for left in (0..160).step_by(20) {
                let block = grey.view(left, top, 20, 20).to_image();
                let (low, high) = block.iter().fold((255, 0), |(low, high), v| (low.min(*v), high.max(*v)));
                flat += usize::from(high - low < 30);
                blocks += 1;
            }
        }
        assert!(flat * 20 <= blocks, "{}: {flat} of {blocks} blocks are flat", photo.name);
    }
}

#[test]
fn cancelling_stops_between_photos() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let cancel = CancelToken::new();
    let stop_after_one = |done: u32, _: u32| {
        if done == 1 {
            cancel.cancel();
        }
    };
    let result = photograph(dir.path(), &small(5), &stop_after_one, &cancel);
    assert!(matches!(result, Err(Error::Cancelled)));
    assert_eq!(files(dir.path()).len(), 1);
}
