#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use glam::{DVec2, DVec3};
use splat_test_needs::needs;

use super::undistort::Remap;
use super::{Lens, LensModel};
use crate::Pinhole;

/// One calibrated lens of each model; strong but realistic distortion, off-centre, not square.
pub(crate) fn example(model: LensModel) -> Lens {
    let params: &[f64] = match model {
        LensModel::SimplePinhole => &[700.0, 500.0, 390.0],
        LensModel::Pinhole => &[700.0, 720.0, 500.0, 390.0],
        LensModel::SimpleRadial => &[700.0, 500.0, 390.0, -0.12],
        LensModel::Radial => &[700.0, 500.0, 390.0, -0.2, 0.05],
        LensModel::OpenCv => &[700.0, 720.0, 500.0, 390.0, -0.25, 0.07, 0.002, -0.003],
        LensModel::OpenCvFisheye => &[420.0, 430.0, 500.0, 390.0, 0.03, -0.02, 0.004, -0.001],
        LensModel::FullOpenCv => {
            &[700.0, 720.0, 500.0, 390.0, 0.3, -0.1, 0.001, -0.002, 0.01, 0.5, -0.05, 0.01]
        }
        LensModel::Fov => &[500.0, 510.0, 500.0, 390.0, 0.9],
        LensModel::SimpleRadialFisheye => &[420.0, 500.0, 390.0, -0.03],
        LensModel::RadialFisheye => &[420.0, 500.0, 390.0, 0.04, -0.02],
        LensModel::ThinPrismFisheye => {
            &[420.0, 430.0, 500.0, 390.0, 0.02, -0.01, 0.001, -0.002, 0.003, -0.001, 0.0005, -0.0007]
        }
        LensModel::RadTanThinPrismFisheye => &[
            420.0, 430.0, 500.0, 390.0, 0.02, -0.01, 0.003, -0.001, 0.0005, -0.0002, 0.001, -0.002, 0.0005,
            -0.0007, 0.0002, -0.0001,
        ],
        LensModel::SimpleDivision => &[700.0, 500.0, 390.0, -0.2],
        LensModel::Division => &[700.0, 720.0, 500.0, 390.0, -0.2],
        LensModel::SimpleFisheye => &[420.0, 500.0, 390.0],
        LensModel::Fisheye => &[420.0, 430.0, 500.0, 390.0],
        LensModel::Eucm => &[420.0, 430.0, 500.0, 390.0, 0.6, 1.1],
        LensModel::Equirectangular => &[1024.0, 768.0],
    };
    Lens { model, width: 1024, height: 768, params: params.to_vec() }
}

#[test]
fn names_numbers_and_counts_agree_with_colmap() {
    for (id, model) in LensModel::ALL.into_iter().enumerate() {
        assert_eq!(model.colmap_id(), id as i32);
        assert_eq!(LensModel::from_colmap_id(id as i32), Some(model));
        assert_eq!(LensModel::from_name(model.name()), Some(model));
        assert_eq!(example(model).params.len(), model.num_params(), "{model}");
    }
    assert_eq!(LensModel::from_colmap_id(18), None);
    assert_eq!(LensModel::from_colmap_id(-1), None);
    assert_eq!(LensModel::from_name("pinhole"), None);
}

/// Projection and unprojection against pycolmap's results.
#[needs("colmap_models/camera_projection_oracle.json")]
#[test]
fn projections_match_pycolmap() {
    let path = crate::test_data("colmap_models/camera_projection_oracle.json");
    let text = std::fs::read_to_string(path).unwrap();
    let oracle: serde_json::Value = serde_json::from_str(&text).unwrap();
    let numbers = |v: &serde_json::Value| -> Vec<f64> {
        v.as_array().unwrap().iter().map(|n| n.as_f64().unwrap()).collect()
    };
    let mut compared = 0;
    for camera in oracle["cameras"].as_array().unwrap() {
        let model = LensModel::from_name(camera["model"].as_str().unwrap()).unwrap();
        assert_eq!(i64::from(model.colmap_id()), camera["model_id"].as_i64().unwrap());
        let [width, height] = ["width", "height"].map(|key| camera[key].as_u64().unwrap() as u32);
        let lens = Lens { model, width, height, params: numbers(&camera["params"]) };
        lens.validate().unwrap();
        for sample in camera["samples"].as_array().unwrap() {
            let point = DVec3::from_slice(&numbers(&sample["xyz"]));
            let truth = DVec2::from_slice(&numbers(&sample["px"]));
            let pixel = lens.project(point).unwrap();
            assert!(pixel.distance(truth) < 1e-9, "{model}: {point} -> {pixel}, not {truth}");
            let ray = lens.unproject(truth).unwrap();
            let flat = ray.truncate() / ray.z;
            let truth_flat = DVec2::from_slice(&numbers(&sample["cam_from_img"]));
            // pycolmap stops iterating at a step of 1e-5.
            assert!(flat.distance(truth_flat) < 1e-7, "{model}: {truth} -> {flat}, not {truth_flat}");
            compared += 1;
        }
    }
    assert_eq!(compared, 18 * 40);
}

#[test]
fn every_pixel_comes_back() {
    for model in LensModel::ALL {
        let lens = example(model);
        let projector = lens.projector().unwrap();
        let (mut seen, mut worst) = (0, 0.0_f64);
        for y in (0..=768).step_by(24) {
            for x in (0..=1024).step_by(32) {
                let pixel = DVec2::new(f64::from(x), f64::from(y));
                let Some(ray) = projector.unproject(pixel) else { continue };
                assert!((ray.length() - 1.0).abs() < 1e-12);
                let Some(back) = projector.project(ray * 3.7) else {
                    panic!("{model}: pixel {pixel} has the ray {ray}, which has no pixel");
                };
                // At the seam of the sphere, the same meridian has two longitudes.
                let wrapped = model == LensModel::Equirectangular && (x % 1024 == 0 || y % 768 == 0);
                if !wrapped {
                    worst = worst.max(back.distance(pixel));
                }
                seen += 1;
            }
        }
        assert!(worst < 1e-8, "{model}: {worst} px");
        assert!(seen > 33 * 33 * 9 / 10, "{model}: only {seen} of {} pixels have a ray", 33 * 33);
    }
}

#[test]
fn every_visible_point_comes_back() {
    for model in LensModel::ALL {
        let lens = example(model);
        let projector = lens.projector().unwrap();
        let mut seen = 0;
        for i in 0..2000_u32 {
            // Directions evenly distributed over the sphere (golden spiral), at varying distances.
            let z = 1.0 - (f64::from(i) + 0.5) / 1000.0;
            let angle = f64::from(i) * 2.399_963_229_728_653;
            let r = (1.0 - z * z).sqrt();
            let direction = DVec3::new(r * angle.cos(), r * angle.sin(), z);
            let Some(pixel) = projector.project(direction * (0.1 + f64::from(i))) else { continue };
            let inside = (0.0..=1024.0).contains(&pixel.x) && (0.0..=768.0).contains(&pixel.y);
            if inside {
                let back = projector
                    .unproject(pixel)
                    .unwrap_or_else(|| panic!("{model}: {direction} -> {pixel} -> nothing"));
                assert!(back.distance(direction) < 1e-9, "{model}: {direction} -> {pixel} -> {back}");
                seen += 1;
            }
        }
        assert!(seen > 100, "{model}: only {seen} directions are inside the image");
    }
}

#[test]
fn folded_distortion_is_refused_not_mirrored() {
    let lens = Lens { params: vec![700.0, 500.0, 390.0, -0.3], ..example(LensModel::SimpleRadial) };
    // The distortion folds back at a radius of 1 / sqrt(0.9) = 1.054.
    assert!(lens.project(DVec3::new(1.05, 0.0, 1.0)).is_some());
    assert!(lens.project(DVec3::new(1.06, 0.0, 1.0)).is_none());
    assert!(lens.project(DVec3::new(0.0, 0.0, -1.0)).is_none());
    assert!(lens.project(DVec3::splat(f64::NAN)).is_none());
    assert!(lens.unproject(DVec2::new(500.0 + 0.71 * 700.0, 390.0)).is_none());
    assert!(lens.unproject(DVec2::new(f64::INFINITY, 0.0)).is_none());
}

#[test]
fn resizing_scales_every_pixel() {
    for model in LensModel::ALL {
        let lens = example(model);
        for (width, height) in [(512, 384), (341, 256), (1000, 333)] {
            let resized = lens.resized(width, height);
            resized.validate().unwrap();
            let scale = DVec2::new(f64::from(width) / 1024.0, f64::from(height) / 768.0);
            for point in [DVec3::new(0.1, -0.2, 1.0), DVec3::new(-0.4, 0.3, 1.2)] {
                let (expected, got) = (lens.project(point).unwrap() * scale, resized.project(point).unwrap());
                assert!(got.distance(expected) < 1e-9, "{model} at {width}x{height}: {got}, not {expected}");
            }
        }
    }
}

/// Sizes and principal points computed by COLMAP 3.8's `image_undistorter` for the same cameras.
/// (Not compared: SIMPLE_RADIAL_FISHEYE, whose corners here lie beyond 90 degrees, which COLMAP 3.8
/// folds back into the picture.)
#[test]
fn undistorted_pinholes_match_colmap() {
    let barrel = Lens { params: vec![700.0, 500.0, 390.0, 0.2], ..example(LensModel::SimpleRadial) };
    let cases = [
        (example(LensModel::SimpleRadial), (1100, 798), (537.109375, 405.234375)),
        (example(LensModel::Radial), (1146, 817), (559.5703125, 414.8828125)),
        (example(LensModel::OpenCv), (1174, 824), (573.2421875, 418.4375)),
        (example(LensModel::OpenCvFisheye), (2048, 1030), (1000.0, 523.046875)),
        (example(LensModel::FullOpenCv), (1148, 813), (560.546875, 412.8515625)),
        (example(LensModel::Fov), (1333, 844), (650.87890625, 428.59375)),
        (example(LensModel::RadialFisheye), (2024, 1037), (988.28125, 526.6015625)),
        (example(LensModel::ThinPrismFisheye), (2012, 1031), (982.421875, 523.5546875)),
        (barrel, (902, 675), (440.4296875, 342.7734375)),
    ];
    for (lens, size, centre) in cases {
        let pinhole = lens.undistorted_pinhole().unwrap();
        assert_eq!((pinhole.width, pinhole.height), size, "{}", lens.model);
        assert_eq!((pinhole.cx, pinhole.cy), centre, "{}", lens.model);
        assert_eq!(pinhole.fx, lens.params[0], "{}", lens.model);
    }
}

#[test]
fn an_undistorted_picture_has_no_blank_pixels() {
    for model in LensModel::ALL {
        let lens = example(model);
        let Ok(pinhole) = lens.undistorted_pinhole() else {
            assert_eq!(model, LensModel::Equirectangular);
            continue;
        };
        let remap = Remap::new(&lens, &pinhole).unwrap();
        let white = vec![255_u8; 1024 * 768 * 4];
        let picture = remap.apply(&white).unwrap();
        let blank = picture.chunks_exact(4).filter(|p| p[3] == 0).count();
        assert_eq!(blank, 0, "{model}: {pinhole:?}");
        assert_eq!(picture.len(), pinhole.width as usize * pinhole.height as usize * 4);
        assert!(pinhole.width > 300 && pinhole.height > 200, "{model}: {pinhole:?}");
        assert!(remap.apply(&white[4..]).is_err());
    }
}

/// A photo whose red and green channels encode its coordinates shows where each pixel was sampled.
#[test]
fn remapped_pixels_come_from_where_the_lens_says() {
    let lens = Lens {
        model: LensModel::OpenCv,
        width: 256,
        height: 200,
        params: vec![200.0, 210.0, 130.0, 98.0, -0.2, 0.03, 0.002, -0.001],
    };
    let photo: Vec<u8> =
        (0..200_u32).flat_map(|y| (0..256_u32).flat_map(move |x| [x as u8, y as u8, 7, 255])).collect();
    let pinhole = lens.undistorted_pinhole().unwrap();
    let picture = Remap::new(&lens, &pinhole).unwrap().apply(&photo).unwrap();
    let mut moved = 0.0_f64;
    for (x, y) in [(3_u32, 4_u32), (40, 170), (128, 100), (200, 30)] {
        let ray = DVec3::new(
            (f64::from(x) + 0.5 - pinhole.cx) / pinhole.fx,
            (f64::from(y) + 0.5 - pinhole.cy) / pinhole.fy,
            1.0,
        );
        let source = lens.project(ray).unwrap() - 0.5;
        let at = (y * pinhole.width + x) as usize * 4;
        let got = DVec2::new(f64::from(picture[at]), f64::from(picture[at + 1]));
        assert!(got.distance(source) < 0.8, "({x}, {y}): {got}, not {source}");
        moved = moved.max(source.distance(DVec2::new(f64::from(x), f64::from(y))));
    }
    assert!(moved > 3.0, "the lens hardly distorts: the test tests nothing");
}

#[test]
fn hidden_colours_do_not_bleed() {
    let lens = Lens::pinhole(Pinhole { width: 2, height: 1, fx: 2.0, fy: 2.0, cx: 1.0, cy: 0.5 });
    let between = Pinhole { width: 1, height: 1, fx: 2.0, fy: 2.0, cx: 0.5, cy: 0.5 };
    let remap = Remap::new(&lens, &between).unwrap();
    // Halfway between a visible red pixel and a masked green one: red with half alpha.
    assert_eq!(remap.apply(&[200, 0, 0, 255, 0, 255, 0, 0]).unwrap(), [200, 0, 0, 128]);
    // Between masked pixels only, colours are interpolated.
    assert_eq!(remap.apply(&[200, 0, 0, 0, 100, 40, 0, 0]).unwrap(), [150, 20, 0, 0]);
}

#[test]
fn lenses_that_no_flat_picture_holds_are_refused_by_name() {
    let wide = Lens { params: vec![300.0, 512.0, 384.0], ..example(LensModel::SimpleFisheye) };
    let message = wide.undistorted_pinhole().unwrap_err().to_string();
    assert!(message.contains("SIMPLE_FISHEYE") && message.contains("195 degrees"), "{message}");
    let sphere = example(LensModel::Equirectangular).undistorted_pinhole().unwrap_err().to_string();
    assert!(sphere.contains("EQUIRECTANGULAR"), "{sphere}");
    let few = Lens { params: vec![300.0], ..wide };
    let message = few.undistorted_pinhole().unwrap_err().to_string();
    assert!(message.contains("takes 3 parameters, not 1"), "{message}");
    assert!(few.project(DVec3::Z).is_none() && few.as_pinhole().is_none());
}

#[test]
fn zero_distortion_is_a_pinhole() {
    let lens =
        Lens { params: vec![700.0, 720.0, 500.0, 390.0, 0.0, 0.0, 0.0, 0.0], ..example(LensModel::OpenCv) };
    let expected = Pinhole { width: 1024, height: 768, fx: 700.0, fy: 720.0, cx: 500.0, cy: 390.0 };
    assert_eq!(lens.as_pinhole(), Some(expected));
    assert_eq!(lens.undistorted_pinhole().unwrap(), expected);
    assert_eq!(example(LensModel::OpenCv).as_pinhole(), None);
    assert_eq!(example(LensModel::Fisheye).as_pinhole(), None);
}
