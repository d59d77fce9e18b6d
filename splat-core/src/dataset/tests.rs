#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::Path;

use glam::DVec3;
use image::{Rgba, RgbaImage};
use splat_test_needs::needs;

use super::*;
use crate::lens::{Lens, LensModel};
use crate::{Pinhole, Pose, View, test_data};

fn pinhole(width: u32, height: u32) -> Pinhole {
    let focal = f64::from(width);
    Pinhole { width, height, fx: focal, fy: focal, cx: f64::from(width) / 2.0, cy: f64::from(height) / 2.0 }
}

fn view(folder: &Path, name: &str, lens: Lens) -> View {
    let pose = Pose { translation: DVec3::Z, ..Pose::IDENTITY };
    View {
        name: name.into(),
        image_path: folder.join(name),
        mask_path: None,
        lens,
        cam_from_world: pose,
        rolling_shutter: None,
    }
}

/// Smooth colours that differ by photo.
fn photo(width: u32, height: u32, seed: u32) -> RgbaImage {
    RgbaImage::from_fn(width, height, |x, y| {
        Rgba([(x * 3 + seed * 40) as u8, (y * 5) as u8, (x + y + seed) as u8, 255])
    })
}

fn folder_of(count: u32, width: u32, height: u32) -> (tempfile::TempDir, Scene) {
    let folder = tempfile::tempdir().unwrap();
    let views = (0..count).map(|i| {
        let name = format!("{i:02}.png");
        photo(width, height, i).save(folder.path().join(&name)).unwrap();
        view(folder.path(), &name, Lens::pinhole(pinhole(width, height)))
    });
    let views = views.rev().collect();
    (folder, Scene { views, ..Scene::default() })
}

#[test]
fn views_are_sorted_split_and_sized() {
    let (_folder, scene) = folder_of(10, 41, 30);
    let options = DatasetOptions { downscale: Some(2), holdout_every: Some(4), ..Default::default() };
    let dataset = Dataset::new(scene.clone(), &options).unwrap();
    assert_eq!(dataset.held_out, [0, 4, 8]);
    assert_eq!(dataset.train, [1, 2, 3, 5, 6, 7, 9]);
    assert_eq!(dataset.scene.views[3].name, "03.png");
    let k = dataset.pinhole_camera(3).intrinsics;
    assert_eq!((k.width, k.height), (21, 15));
    assert!((k.fx - 21.0).abs() < 1e-12 && (k.cx - 10.5).abs() < 1e-12 && (k.fy - 20.5).abs() < 1e-12);
    let image = dataset.image(3, 1).unwrap();
    assert_eq!((image.width, image.height), (21, 15));
    let expected = PackedImage::from(&photo(41, 30, 3)).shrunk_to(21, 15);
    assert_eq!(*image, expected);
    assert_eq!(*dataset.image(3, 4).unwrap(), expected.shrunk_by(4));
    assert_eq!(dataset.image_bytes(), 10 * 21 * 15 * 4);
    assert_eq!(dataset.peak_memory_bytes(), 10 * 21 * 15 * 4 * 4 / 3 + 3 * 12 * 41 * 30);
    let limited = DatasetOptions { max_image_size: Some(10), holdout_every: None, ..Default::default() };
    let dataset = Dataset::new(scene, &limited).unwrap();
    assert!(dataset.held_out.is_empty());
    let image = dataset.image(0, 1).unwrap();
    assert_eq!((image.width, image.height), (10, 7));
}

/// Whatever is cached, prefetched or evicted, and on any number of threads, the pixels are the same.
#[test]
fn pixels_do_not_depend_on_the_cache() {
    let (_folder, scene) = folder_of(6, 40, 24);
    let full = Dataset::new(scene.clone(), &DatasetOptions::default()).unwrap();
    let keys: Vec<(usize, u32)> = (0..60).map(|i| (i * 7 % 6, [1, 2, 4, 3][i % 4])).collect();
    let expected: Vec<_> = keys.iter().map(|&(view, factor)| full.image(view, factor).unwrap()).collect();
    for budget in [0, 40 * 24 * 4, 3 * 40 * 24 * 4, u64::MAX] {
        let options = DatasetOptions { image_memory_bytes: budget, ..Default::default() };
        let dataset = Dataset::new(scene.clone(), &options).unwrap();
        for (i, (&(view, factor), expected)) in keys.iter().zip(&expected).enumerate() {
            for &(view, factor) in keys.iter().skip(i + 1).take(3) {
                dataset.prefetch(view, factor);
            }
            assert_eq!(dataset.image(view, factor).unwrap(), *expected);
            assert!(dataset.cache.bytes_held() <= budget, "{} of {budget}", dataset.cache.bytes_held());
        }
        let together = keys
            .par_iter()
            .zip(&expected)
            .all(|(&(view, factor), expected)| dataset.image(view, factor).unwrap() == *expected);
        assert!(together);
    }
}

#[test]
fn a_budget_that_holds_all_decodes_once() {
    let (folder, scene) = folder_of(3, 16, 16);
    let dataset = Dataset::new(scene, &DatasetOptions::default()).unwrap();
    let first = dataset.image(1, 2).unwrap();
    drop(folder); // the photos are gone from the disk
    assert_eq!(dataset.image(1, 2).unwrap(), first);
    assert_eq!(dataset.image(1, 4).unwrap().width, 4, "made from the kept full size");
    let error = dataset.image(2, 1).unwrap_err();
    assert!(matches!(&error, Error::View { name, .. } if name == "02.png"), "{error}");
    dataset.prefetch(2, 1);
    dataset.prefetch(99, 1);
    assert!(dataset.image(2, 1).is_err() && dataset.image(99, 1).is_err());
}

#[test]
fn masks_and_alpha_multiply() {
    let (folder, mut scene) = folder_of(1, 8, 4);
    let mut image = photo(8, 4, 0);
    image.put_pixel(0, 0, Rgba([9, 9, 9, 100]));
    image.save(folder.path().join("00.png")).unwrap();
    // Twice the size, as for `images_2`; left half black.
    let mask = image::GrayImage::from_fn(16, 8, |x, _| image::Luma([if x < 8 { 0 } else { 255 }]));
    mask.save(folder.path().join("mask.png")).unwrap();
    let open = |scene: &Scene| {
        Dataset::new(scene.clone(), &DatasetOptions::default()).and_then(|dataset| dataset.image(0, 1))
    };
    let image = open(&scene).unwrap();
    assert_eq!(image.pixels[0] >> 24, 100);
    scene.views[0].mask_path = Some(folder.path().join("mask.png"));
    let image = open(&scene).unwrap();
    let alphas: Vec<u32> = image.pixels[..8].iter().map(|pixel| pixel >> 24).collect();
    assert_eq!(alphas, [0, 0, 0, 0, 255, 255, 255, 255]);
    scene.views[0].mask_path = Some(folder.path().join("none.png"));
    assert!(matches!(open(&scene).unwrap_err(), Error::View { .. }));
}

/// Photos of a disc; parameters are the colour under alpha 0, and where alpha is 0.
fn photos_with_alpha(
    alpha: impl Fn(u32, f64, f64) -> u8,
    hidden: impl Fn(u32, Rgba<u8>) -> [u8; 3],
) -> Dataset {
    let (folder, scene) = folder_of(6, 60, 40);
    for index in 0..6 {
        let mut image = photo(60, 40, index);
        for (x, y, pixel) in image.enumerate_pixels_mut() {
            let alpha = alpha(index, f64::from(x) - 29.5, f64::from(y) - 19.5);
            let [r, g, b] = if alpha == 0 { hidden(index, *pixel) } else { [pixel[0], pixel[1], pixel[2]] };
            *pixel = Rgba([r, g, b, alpha]);
        }
        image.save(folder.path().join(format!("{index:02}.png"))).unwrap();
    }
    let dataset = Dataset::new(scene, &DatasetOptions::default()).unwrap();
    let _ = dataset.fitting_alpha(); // reads the photos, before they go
    dataset
}

fn disc(radius: f64) -> impl Fn(u32, f64, f64) -> u8 {
    // At a different position in each photo.
    move |index, x, y| if (x - f64::from(index)).hypot(y) < radius { 255 } else { 0 }
}

#[test]
fn photos_whose_background_is_cut_out_are_transparent() {
    let black = |_, _| [0; 3];
    let nearly_white = |index, pixel: Rgba<u8>| [255 - (index + u32::from(pixel[0])) as u8 % 4; 3];
    let soft = |index, x: f64, y: f64| match (x - f64::from(index)).hypot(y) {
        far if far > 14.0 => 0,
        near if near > 10.0 => 120,
        _ => 255,
    };
    // A bust: the bottom edge of the frame cuts the object off.
    let bust = |index, x: f64, y: f64| if (x - f64::from(index)).abs() < 12.0 && y > -8.0 { 255 } else { 0 };
    let cases = [
        photos_with_alpha(disc(15.0), black),
        photos_with_alpha(disc(15.0), nearly_white),
        photos_with_alpha(soft, black),
        photos_with_alpha(bust, black),
        // A turntable with the object on its axis gives the same outline in every photo.
        photos_with_alpha(|_, x, y| if x.hypot(y) < 15.0 { 255 } else { 0 }, black),
    ];
    for (case, dataset) in cases.iter().enumerate() {
        assert_eq!(dataset.fitting_alpha(), AlphaMode::Transparent, "case {case}");
        let note = dataset.alpha_note().unwrap();
        assert!(note.starts_with("6 of 6 photos") && note.contains("cut out"), "{note}");
    }
}

#[test]
fn alpha_of_masks_stays_a_mask() {
    let black = |_, _| [0; 3];
    let content = |_, pixel: Rgba<u8>| [pixel[0], pixel[1], pixel[2]];
    let cases = [
        ("content under alpha", photos_with_alpha(disc(15.0), content)),
        ("another colour in each photo", photos_with_alpha(disc(15.0), |index, _| [index as u8 * 40; 3])),
        ("somebody passes", photos_with_alpha(|index, x, y| 255 - disc(12.0)(index, x, y), black)),
        ("the sky", photos_with_alpha(|_, _, y| if y < 0.0 { 0 } else { 255 }, black)),
        ("a fisheye's circle", photos_with_alpha(|_, x, y| if x.hypot(y) < 20.5 { 255 } else { 0 }, black)),
    ];
    for (case, dataset) in &cases {
        assert_eq!(dataset.fitting_alpha(), AlphaMode::Mask, "{case}");
        assert!(dataset.alpha_note().unwrap().contains("a mask"), "{case}");
    }
    let opaque = photos_with_alpha(|_, _, _| 255, black);
    assert_eq!((opaque.fitting_alpha(), opaque.alpha_note()), (AlphaMode::Mask, None));
}

/// Programs that label pixels write 0 and 1 for masks.
#[test]
fn masks_of_labels_are_used() {
    let (folder, mut scene) = folder_of(1, 8, 4);
    let mask = image::GrayImage::from_fn(8, 4, |x, _| image::Luma([u8::from(x >= 4)]));
    mask.save(folder.path().join("mask.png")).unwrap();
    scene.views[0].mask_path = Some(folder.path().join("mask.png"));
    let image = Dataset::new(scene, &DatasetOptions::default()).unwrap().image(0, 1).unwrap();
    let alphas: Vec<u32> = image.pixels[..8].iter().map(|pixel| pixel >> 24).collect();
    assert_eq!(alphas, [0, 0, 0, 0, 255, 255, 255, 255]);
}

/// A photo that is completely masked can be neither trained on nor evaluated.
#[test]
fn photos_that_a_mask_hides_are_left_out() {
    let (folder, mut scene) = folder_of(3, 8, 4);
    let mask = |name: &str, value: u8| {
        let path = folder.path().join(name);
        image::GrayImage::from_pixel(8, 4, image::Luma([value])).save(&path).unwrap();
        Some(path)
    };
    scene.views.sort_by(|a, b| a.name.cmp(&b.name));
    scene.views[0].mask_path = mask("black.png", 0);
    scene.views[1].mask_path = mask("white.png", 255);
    let warnings = std::sync::Mutex::new(Vec::new());
    let checked = |scene: &Scene| {
        let sink = |event| {
            if let Event::Warning { message } = event {
                warnings.lock().unwrap().push(message);
            }
        };
        let dataset = Dataset::open(scene.clone(), &DatasetOptions::default(), &sink)?;
        dataset.without_damaged_photos(&sink, &CancelToken::new())
    };
    assert_eq!(checked(&scene).unwrap().scene.views.len(), 2);
    let said = warnings.lock().unwrap().concat();
    assert!(
        said.contains("1 of 3 photos") && said.contains("00.png") && said.contains("hides all"),
        "{said}"
    );
    scene.views.iter_mut().for_each(|view| view.mask_path = mask("black.png", 0));
    let error = checked(&scene).unwrap_err().to_string();
    assert!(error.contains("none of its 3 photos") && error.contains("hides all"), "{error}");
    // With another shape, the error must name the mask.
    let square = folder.path().join("square.png");
    image::GrayImage::new(5, 5).save(&square).unwrap();
    scene.views.iter_mut().for_each(|view| view.mask_path = Some(square.clone()));
    let error = checked(&scene).unwrap_err().to_string();
    assert!(error.contains("a mask of 5x5 pixels and its photo has 8x4"), "{error}");
}

#[test]
fn alpha_beside_masks_is_a_mask() {
    let (folder, mut scene) = folder_of(1, 60, 40);
    let image = RgbaImage::from_fn(60, 40, |x, _| Rgba(if x == 30 { [200, 9, 9, 255] } else { [0; 4] }));
    image.save(folder.path().join("00.png")).unwrap();
    let open =
        |scene: &Scene| Dataset::new(scene.clone(), &DatasetOptions::default()).unwrap().fitting_alpha();
    assert_eq!(open(&scene), AlphaMode::Transparent);
    image::GrayImage::new(60, 40).save(folder.path().join("mask.png")).unwrap();
    scene.views[0].mask_path = Some(folder.path().join("mask.png"));
    assert_eq!(open(&scene), AlphaMode::Mask);
}

#[test]
fn photos_of_another_size_scale_the_camera() {
    let (folder, mut scene) = folder_of(1, 31, 20);
    scene.views[0].lens = Lens::pinhole(pinhole(61, 39)); // `images_2` of an odd size
    let dataset = Dataset::new(scene.clone(), &DatasetOptions::default()).unwrap();
    let k = dataset.pinhole_camera(0).intrinsics;
    assert_eq!((k.width, k.height), (31, 20));
    assert!((k.fx - 31.0).abs() < 1e-9 && (k.cy - 10.0).abs() < 1e-9, "{k:?}");
    scene.views[0].lens = Lens::pinhole(pinhole(60, 60));
    let error = Dataset::new(scene, &DatasetOptions::default()).unwrap_err();
    let Error::View { source, .. } = &error else { panic!("{error}") };
    assert!(source.to_string().contains("31x20") && source.to_string().contains("60x60"), "{source}");
    drop(folder);
}

/// COLMAP ignores EXIF orientation: poses for the stored shape need the stored pixels.
#[needs("error_cases/file_formats/orientation")]
#[test]
fn orientation_follows_the_lens() {
    let folder = test_data("error_cases/file_formats/orientation");
    for (value, stored, upright) in [(6, (319, 480), (480, 319)), (3, (480, 319), (480, 319))] {
        let name = format!("exif_{value}.jpg");
        for (size, expected) in [(stored, false), (upright, stored != upright)] {
            let lens = Lens::pinhole(pinhole(size.0, size.1));
            let scene = Scene { views: vec![view(&folder, &name, lens)], ..Scene::default() };
            let image = Dataset::new(scene, &DatasetOptions::default()).unwrap().image(0, 1).unwrap();
            let path = folder.join(&name);
            let decoded = if expected {
                crate::images::decode_upright(&path).unwrap()
            } else {
                crate::images::decode_stored(&path).unwrap()
            };
            assert_eq!(*image, PackedImage::from(&decoded), "orientation {value} at {size:?}");
        }
    }
}

/// A photo of a grid of dots through a distorting lens has the dots at the pinhole's positions once undistorted.
#[test]
fn distorted_photos_are_undistorted() {
    let (folder, mut scene) = folder_of(1, 200, 150);
    let lens = Lens {
        model: LensModel::OpenCv,
        width: 200,
        height: 150,
        params: vec![160.0, 165.0, 98.0, 76.0, -0.2, 0.05, 0.002, -0.001],
    };
    let rays: Vec<DVec3> = (-3..=3)
        .flat_map(|y| (-4..=4).map(move |x| DVec3::new(0.1 * f64::from(x), 0.1 * f64::from(y), 1.0)))
        .collect();
    let mut image = RgbaImage::from_pixel(200, 150, Rgba([0, 0, 0, 255]));
    for &ray in &rays {
        let centre = lens.project(ray).unwrap();
        for (x, y, pixel) in image.enumerate_pixels_mut() {
            let (dx, dy) = (f64::from(x) + 0.5 - centre.x, f64::from(y) + 0.5 - centre.y);
            let value = (255.0 * (-(dx * dx + dy * dy) / 4.0).exp()) as u8;
            pixel[0] = pixel[0].max(value);
        }
    }
    image.save(folder.path().join("00.png")).unwrap();
    scene.views[0].lens = lens;
    let dataset = Dataset::new(scene, &DatasetOptions::default()).unwrap();
    let image = dataset.image(0, 1).unwrap();
    let k = dataset.pinhole_camera(0).intrinsics;
    assert_eq!((image.width, image.height), (k.width, k.height));
    assert!(!image.has_alpha(), "no blank border");
    let mut seen = 0;
    for &ray in &rays {
        let (x, y) = (k.fx * ray.x + k.cx, k.fy * ray.y + k.cy);
        if x < 5.0 || y < 5.0 || x > f64::from(k.width) - 5.0 || y > f64::from(k.height) - 5.0 {
            continue;
        }
        let (mut sum, mut sx, mut sy) = (0.0, 0.0, 0.0);
        for py in (y as u32 - 4)..=(y as u32 + 4) {
            for px in (x as u32 - 4)..=(x as u32 + 4) {
                let value = f64::from(image.pixels[(py * image.width + px) as usize] & 0xff);
                sum += value;
                sx += value * (f64::from(px) + 0.5);
                sy += value * (f64::from(py) + 0.5);
            }
        }
        assert!(
            (sx / sum - x).abs() < 0.3 && (sy / sum - y).abs() < 0.3,
            "{x} {y}: {} {}",
            sx / sum,
            sy / sum
        );
        seen += 1;
    }
    assert!(seen > 30, "{seen}");
}

#[test]
fn unusable_scenes_are_refused_in_words() {
    let (_folder, scene) = folder_of(2, 8, 8);
    let refuse = |change: &dyn Fn(&mut Scene)| {
        let mut broken = scene.clone();
        change(&mut broken);
        let error = Dataset::new(broken, &DatasetOptions::default()).unwrap_err();
        match error {
            Error::View { name, source } => format!("{name}: {source}"),
            other => other.to_string(),
        }
    };
    assert!(refuse(&|s| s.views.clear()).contains("no posed photo"));
    assert!(
        refuse(&|s| s.views[1].cam_from_world.translation.y = f64::NAN).contains("`00.png` is not finite")
    );
    assert!(
        refuse(&|s| s.views[0].cam_from_world.rotation = glam::DQuat::from_xyzw(0.0, 0.0, 0.0, 2.0))
            .contains("rotation")
    );
    assert!(refuse(&|s| s.views[0].lens.width = 0).starts_with("01.png"));
    assert!(refuse(&|s| s.views[0].image_path = "gone.png".into()).contains("gone.png"));
}
