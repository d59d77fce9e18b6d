#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::sync::Mutex;

use glam::{DVec2, DVec3};
use serde_json::{Value, json};

use super::*;
use crate::lens::LensModel;
use crate::shutter::ShutterDirection;

/// A camera at (1, 2, 3) in OpenGL's axes: right +x, up +z, looking along +y.
fn matrix() -> Value {
    json!([[1, 0, 0, 1], [0, 0, -1, 2], [0, 1, 0, 3], [0, 0, 0, 1]])
}

/// A dataset's folder, inside a temporary one of its own: photos are also looked up in the folder above, which must not be the one
/// that every program writes to.
struct Folder {
    path: std::path::PathBuf,
    _temporary: tempfile::TempDir,
}

impl Folder {
    fn path(&self) -> &Path {
        &self.path
    }
}

fn dataset(transforms: &Value, photos: &[&str]) -> Folder {
    let temporary = tempfile::tempdir().unwrap();
    let folder = Folder { path: temporary.path().join("dataset"), _temporary: temporary };
    std::fs::create_dir(folder.path()).unwrap();
    for photo in photos {
        let path = folder.path().join(photo);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        image::RgbaImage::from_pixel(40, 30, image::Rgba([10, 20, 30, 128])).save(path).unwrap();
    }
    std::fs::write(folder.path().join("transforms.json"), transforms.to_string()).unwrap();
    folder
}

/// Returns the scene and the warnings.
fn load(folder: &Path) -> Result<(Scene, Vec<String>)> {
    let warnings = Mutex::new(Vec::new());
    let sink = |event| {
        if let Event::Warning { message } = event {
            warnings.lock().unwrap().push(message);
        }
    };
    let scene = NerfstudioSource::new(folder).scene(&sink, &CancelToken::new())?;
    Ok((scene, warnings.into_inner().unwrap()))
}

fn one_frame(lens: Value) -> Result<Scene> {
    let mut transforms = lens;
    transforms["frames"] = json!([{"file_path": "a.png", "transform_matrix": matrix()}]);
    let folder = dataset(&transforms, &["a.png"]);
    load(folder.path()).map(|(scene, _)| scene)
}

#[test]
fn cameras_look_where_opengl_has_them() {
    let scene = one_frame(json!({"fl_x": 40.0, "w": 40, "h": 30})).unwrap();
    let view = &scene.views[0];
    assert!(view.cam_from_world.centre().distance(DVec3::new(1.0, 2.0, 3.0)) < 1e-12);
    // In front of the camera, one unit to the right and half a unit up: right of and above the image centre.
    let camera = view.cam_from_world.transform_point(DVec3::new(2.0, 6.0, 3.5));
    assert!(camera.distance(DVec3::new(1.0, -0.5, 4.0)) < 1e-12, "{camera}");
    let pixel = view.lens.project(camera).unwrap();
    assert!(pixel.distance(DVec2::new(20.0 + 10.0, 15.0 - 5.0)) < 1e-9, "{pixel}");
}

#[test]
fn lenses_map_to_colmaps() {
    let lens = |fields: Value| one_frame(fields).unwrap().views.remove(0).lens;
    let blender = lens(json!({"camera_angle_x": 0.8}));
    assert_eq!((blender.width, blender.height), (40, 30), "the size is the photo's");
    let focal = 20.0 / 0.4_f64.tan();
    assert_eq!(blender.model, LensModel::OpenCv);
    assert!((blender.as_pinhole().unwrap().fy - focal).abs() < 1e-12);
    let degrees = lens(json!({"x_fov": 0.8_f64.to_degrees()}));
    assert!((degrees.as_pinhole().unwrap().fx - focal).abs() < 1e-9, "instant-ngp's angles are in degrees");
    let opencv = json!({"camera_model": "OPENCV", "fl_x": 50, "fl_y": 51.0, "cx": 19.0, "cy": 16.0, "w": 40.0, "h": 30.0,
        "k1": 0.1, "k2": 0.2, "p1": 0.3, "p2": 0.4});
    assert_eq!(lens(opencv.clone()).params, [50.0, 51.0, 19.0, 16.0, 0.1, 0.2, 0.3, 0.4]);
    let mut rational = opencv.clone();
    rational["k3"] = json!(0.5);
    let full = lens(rational);
    assert_eq!((full.model, full.params[8]), (LensModel::FullOpenCv, 0.5));
    let mut fisheye = opencv.clone();
    fisheye["camera_model"] = json!("OPENCV_FISHEYE");
    fisheye["k4"] = json!(0.6);
    let fisheye = lens(fisheye);
    assert_eq!((fisheye.model, fisheye.params[5], fisheye.params[7]), (LensModel::OpenCvFisheye, 0.2, 0.6));
    assert_eq!(lens(json!({"fl_x": 50, "is_fisheye": true})).model, LensModel::OpenCvFisheye);
    let pinhole = lens(json!({"camera_model": "SIMPLE_PINHOLE", "fl_x": 50}));
    assert_eq!((pinhole.model, pinhole.params[1]), (LensModel::Pinhole, 50.0));
    assert_eq!(lens(json!({"camera_model": "EQUIRECTANGULAR"})).model, LensModel::Equirectangular);
}

#[test]
fn rolling_shutters_are_instant_ngps() {
    let moved = |x: f64| json!([[1, 0, 0, x], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]);
    let scene_of = |order: Value| {
        let frame = json!({"file_path": "a.png", "transform_matrix": moved(0.0),
            "transform_matrix_start": moved(-0.1), "transform_matrix_end": moved(0.2)});
        let transforms = json!({"fl_x": 50, "w": 40, "h": 30, "rolling_shutter": order, "frames": [frame]});
        load(dataset(&transforms, &["a.png"]).path())
    };
    let orders = [json!([0, 0, 1, 0]), json!([1, 0, -1]), json!([0, 1, 0, 0]), json!([1, -1, 0, 0])];
    for (order, direction) in orders.into_iter().zip(ShutterDirection::ALL) {
        let (scene, _) = scene_of(order).unwrap();
        let shutter = scene.views[0].rolling_shutter.unwrap();
        assert_eq!(shutter.direction, direction);
        assert!(
            (shutter.start.centre().x + 0.1).abs() < 1e-12 && (shutter.end.centre().x - 0.2).abs() < 1e-12
        );
    }
    let (global, _) = scene_of(json!([0, 0, 0, 0])).unwrap();
    assert_eq!(global.views[0].rolling_shutter, None);
    for order in [json!([0.5, 0, 0, 0]), json!([0, 0, 1, 1]), json!([0, 2])] {
        let error = scene_of(order).unwrap_err().to_string();
        assert!(error.contains("a.png") && error.contains("rolling_shutter"), "{error}");
    }
}

#[test]
fn frames_have_masks_own_lenses_and_loose_names() {
    let frame = |path: &str| json!({"file_path": path, "transform_matrix": matrix()});
    let mut own = frame(".\\images\\b.png");
    own["fl_x"] = json!(70);
    own["mask_path"] = json!("masks/b.png");
    let transforms = json!({"camera_angle_x": 0.8, "w": 40, "h": 30, "ply_file_path": "points.ply",
        "applied_transform": [[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0]],
        "frames": [own, frame("./images/a"), frame("images/gone.png")]});
    let folder = dataset(&transforms, &["images/a.png", "images/b.png", "masks/b.png"]);
    let points = "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\n\
                  property uchar red\nproperty uchar green\nproperty uchar blue\nend_header\n\
                  1 2 3 255 0 7\nnan 0 0 0 0 0\n4 5 6 1 2 3\n";
    std::fs::write(folder.path().join("points.ply"), points).unwrap();
    let (scene, warnings) = load(folder.path()).unwrap();
    assert_eq!(
        scene.views.iter().map(|view| view.name.as_str()).collect::<Vec<_>>(),
        ["images/a.png", "images/b.png"]
    );
    let focal = |view: usize| scene.views[view].lens.params[0];
    assert!((focal(0) - 20.0 / 0.4_f64.tan()).abs() < 1e-12);
    assert_eq!((focal(1), scene.views[1].lens.params[1]), (70.0, 70.0));
    assert_eq!(scene.views[1].mask_path.as_deref(), Some(folder.path().join("masks/b.png").as_path()));
    assert_eq!(scene.points.len(), 2);
    assert_eq!((scene.points[0].position, scene.points[0].rgb), ([1.0, 2.0, 3.0], [255, 0, 7]));
    assert!(warnings.len() == 1 && warnings[0].contains("1 of 3 photos") && warnings[0].contains("gone.png"));
    // Alpha is preserved in the training image and multiplied by the mask.
    let dataset = crate::Dataset::new(scene, &crate::DatasetOptions::default()).unwrap();
    assert_eq!(dataset.image(0, 1).unwrap().pixels[0].to_le_bytes(), [10, 20, 30, 128]);
    assert_eq!(dataset.image(1, 1).unwrap().pixels[0] >> 24, 8); // 128 * 30/255 * 128/255 = 7.56
}

/// A file name in another case, percent-encoded photo names, masks named as by Metashape, points that were not copied.
#[test]
fn what_moved_between_machines_is_found_or_said() {
    let frame = json!({"file_path": "images/my%20photo.png", "transform_matrix": matrix()});
    let transforms = json!({"fl_x": 9, "w": 40, "h": 30, "ply_file_path": "points.ply", "frames": [frame]});
    let folder = dataset(&transforms, &["images/my photo.png", "masks/my photo_mask.png"]);
    std::fs::rename(folder.path().join("transforms.json"), folder.path().join("Transforms.JSON")).unwrap();
    assert!(NerfstudioSource::matches(folder.path()));
    let (scene, warnings) = load(folder.path()).unwrap();
    assert_eq!((scene.views.len(), scene.points.len()), (1, 0));
    assert!(scene.views[0].mask_path.as_ref().unwrap().ends_with("my photo_mask.png"));
    assert!(
        warnings.iter().any(|said| said.contains("points.ply") && said.contains("without")),
        "{warnings:?}"
    );
}

#[test]
fn broken_files_get_a_sentence() {
    let refused = |fields: Value| one_frame(fields).unwrap_err().to_string();
    assert!(refused(json!({})).contains("no focal length"));
    assert!(refused(json!({"fl_x": -3})).contains("lens that cannot be used"));
    assert!(refused(json!({"fl_x": 3, "w": 0.5, "h": 3})).contains("whole number"));
    assert!(refused(json!({"fl_x": 3, "camera_model": "VR180_L"})).contains("VR180_L"));
    let with_matrix = |matrix: Value| {
        let folder = dataset(
            &json!({"fl_x": 9, "frames": [{"file_path": "a.png", "transform_matrix": matrix}]}),
            &["a.png"],
        );
        load(folder.path()).unwrap_err().to_string()
    };
    assert!(with_matrix(json!([[1, 0], [0, 1]])).contains("frame `a.png` has no"));
    for none in [json!(null), json!("x"), json!([]), json!([1, 2, 3, 4]), json!([[1, 0, 0, 0], 3])] {
        assert!(with_matrix(none).contains("frame `a.png` has no `transform_matrix`"));
    }
    assert!(
        with_matrix(json!([[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])).contains("no rotation")
    );
    assert!(
        with_matrix(json!([[1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])).contains("no rotation")
    );
    assert!(
        with_matrix(json!([[1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])).contains("no rotation")
    );
    let none =
        dataset(&json!({"fl_x": 9, "frames": [{"file_path": "a.png", "transform_matrix": matrix()}]}), &[]);
    assert!(load(none.path()).unwrap_err().to_string().contains("none of the 1 photos"));
    assert!(load(Path::new("nowhere")).is_err() && !NerfstudioSource::matches(Path::new("nowhere")));
}

/// As three or four rows, or as a flat list; with the scale of the camera; frames without a pose beside others.
#[test]
fn matrices_are_read_as_programs_write_them() {
    let rows = |scale: f64| {
        let row = |x: f64, y: f64, z: f64, t: f64| vec![x * scale, y * scale, z * scale, t];
        vec![
            row(0.0, -1.0, 0.0, 5.0),
            row(1.0, 0.0, 0.0, 6.0),
            row(0.0, 0.0, 1.0, 7.0),
            row(0.0, 0.0, 0.0, 1.0),
        ]
    };
    let pose = |matrix: Value| {
        let frames = json!([{"file_path": "a.png", "transform_matrix": matrix}, {"file_path": "b.png"}]);
        let transforms = json!({"fl_x": 9, "w": 40, "h": 30, "frames": frames});
        let folder = dataset(&transforms, &["a.png", "b.png"]);
        let (scene, warnings) = load(folder.path()).unwrap();
        assert_eq!(scene.views.len(), 1);
        assert!(warnings[0].contains("1 of 2 photos") && warnings[0].contains("b.png"), "{warnings:?}");
        scene.views[0].cam_from_world
    };
    let expected = pose(json!(rows(1.0)));
    for matrix in [json!(rows(1.0)[..3]), json!(rows(1.0).concat()), json!(rows(0.1)), json!(rows(30.0))] {
        let found = pose(matrix);
        assert!((found.translation - expected.translation).length() < 1e-9);
        assert!(found.rotation.angle_between(expected.rotation) < 1e-6);
    }
}

#[test]
fn truncation_at_every_byte_is_an_error() {
    let transforms = json!({"fl_x": 9, "w": 40, "h": 30, "frames": [{"file_path": "a.png", "transform_matrix": matrix()}]});
    let folder = dataset(&transforms, &["a.png"]);
    let path = folder.path().join("transforms.json");
    let bytes = std::fs::read(&path).unwrap();
    for cut in 0..bytes.len() {
        std::fs::write(&path, &bytes[..cut]).unwrap();
        assert!(load(folder.path()).is_err(), "cut at {cut}");
        let mut damaged = bytes.clone();
        damaged[cut] = b'9';
        std::fs::write(&path, damaged).unwrap();
        let _ = load(folder.path());
    }
}

/// Frames with names from other machines and programs.
#[test]
fn photos_and_masks_are_found_under_similar_names() {
    let frame = |name: &str| json!({"file_path": name, "transform_matrix": matrix()});
    let mut transforms = json!({"fl_x": 40.0, "w": 40.0, "h": 30.0});
    let frames = [
        r"C:\Users\me\images\a.JPG",
        "images/b.jpg",
        "./images/b.jpg",
        "images/gone.jpg",
        "x/c.png",
        "y/c.png",
    ];
    transforms["frames"] = frames.into_iter().map(frame).collect();
    let folder =
        dataset(&transforms, &["images_2/a.png", "images_2/b.png", "images_2/c.png", "masks/a.png.png"]);
    let (scene, warnings) = load(folder.path()).unwrap();
    let photos: Vec<_> =
        scene.views.iter().map(|view| view.image_path.strip_prefix(folder.path()).unwrap()).collect();
    assert_eq!(photos.len(), 2);
    assert!(
        photos.contains(&Path::new("images_2/a.png")) && photos.contains(&Path::new("images_2/b.png")),
        "{photos:?}"
    );
    assert_eq!(scene.views.iter().filter(|view| view.mask_path.is_some()).count(), 1);
    let warnings = warnings.join("\n");
    for part in [
        "without extension",
        "more than one photo is as likely",
        "listed more than once",
        "masks for 1 of",
        "`images/gone.jpg`",
    ] {
        assert!(warnings.contains(part), "no {part} in {warnings}");
    }
}

#[test]
fn a_split_of_its_own_is_kept() {
    let frame = |name: String| json!({"file_path": name, "transform_matrix": matrix()});
    let names: Vec<String> = (0..6).map(|at| format!("{at}.png")).collect();
    let photos: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut transforms = json!({"fl_x": 40.0, "w": 40, "h": 30});
    transforms["frames"] = names.iter().cloned().map(frame).collect();
    transforms["train_filenames"] = json!(["./0.png", "1.png", "2.png"]);
    transforms["test_filenames"] = json!(["4.png", "5.png"]);
    let folder = dataset(&transforms, &photos);
    let (scene, warnings) = load(folder.path()).unwrap();
    assert!(warnings.join("").contains("1 photos are in none of the lists"), "{warnings:?}");
    let options = crate::DatasetOptions::default();
    let split = |scene: &Scene, options: &crate::DatasetOptions| {
        let dataset = crate::Dataset::new(scene.clone(), options).unwrap();
        (dataset.train.clone(), dataset.held_out.clone(), dataset.uses_own_split())
    };
    assert_eq!(split(&scene, &options), (vec![0, 1, 2], vec![3, 4], true));
    let every = crate::DatasetOptions { own_split: false, holdout_every: Some(4), ..options.clone() };
    assert_eq!(split(&scene, &every), (vec![1, 2, 3], vec![0, 4], false));
    let none = crate::DatasetOptions { holdout_every: None, ..options.clone() };
    assert_eq!(split(&scene, &none).1, [] as [usize; 0]);

    // Blender's format has one file per set.
    let of = |names: &[&str]| {
        let mut transforms = json!({"camera_angle_x": 0.8});
        transforms["frames"] = names.iter().map(|name| frame((*name).to_owned())).collect();
        transforms.to_string()
    };
    std::fs::remove_file(folder.path().join("transforms.json")).unwrap();
    std::fs::write(folder.path().join("transforms_train.json"), of(&["0", "1", "2"])).unwrap();
    std::fs::write(folder.path().join("transforms_test.json"), of(&["4", "5"])).unwrap();
    let (scene, warnings) = load(folder.path()).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!(split(&scene, &options), (vec![0, 1, 2], vec![3, 4], true));
    assert_eq!(scene.alpha, crate::scene::AlphaMode::Transparent, "Blender's renders");
}

/// Names in lists are matched like those of frames; lists of other photos are ignored.
#[test]
fn lists_of_a_split_have_other_names_than_the_frames() {
    let frame = |name: String| json!({"file_path": name, "transform_matrix": matrix()});
    let names: Vec<String> = (0..6).map(|at| format!("images/IMG_{at}.png")).collect();
    let photos: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut transforms = json!({"fl_x": 40.0, "w": 40, "h": 30});
    transforms["frames"] = names.iter().cloned().map(frame).collect();
    let split = |train: Value, test: Value| {
        let mut transforms = transforms.clone();
        transforms["train_filenames"] = train;
        transforms["test_filenames"] = test;
        let folder = dataset(&transforms, &photos);
        let (scene, warnings) = load(folder.path()).unwrap();
        (scene.views.len(), scene.test_views.map(|views| views.len()), warnings.join("; "))
    };
    for (train, test) in [
        (json!(["IMG_0", "IMG_1", "IMG_2"]), json!(["IMG_3", "IMG_4", "IMG_5"])),
        (
            json!(["img_0.PNG", "IMG_1.jpg", "IMG_2.png"]),
            json!([".\\images\\IMG_3.png", "C:\\x\\IMG_4.png", "/y/IMG_5"]),
        ),
    ] {
        assert_eq!(split(train, test), (6, Some(3), String::new()));
    }
    let (views, tests, warnings) = split(json!(["a.png", "b.png"]), json!(["c.png"]));
    assert_eq!((views, tests), (6, None));
    assert!(warnings.contains("name none of its photos"), "{warnings}");
    let (views, tests, warnings) = split(json!(["IMG_0", "IMG_1", "gone"]), json!(["IMG_2"]));
    assert_eq!((views, tests), (3, Some(1)));
    assert!(warnings.contains("1 of 4 names") && warnings.contains("3 photos are in none"), "{warnings}");
}

#[test]
fn a_frame_without_a_pose_is_left_out_and_said() {
    let mut transforms = json!({"fl_x": 40.0, "w": 40, "h": 30});
    let mut frames: Vec<Value> =
        ["a.png", "b.png"].map(|name| json!({"file_path": name, "transform_matrix": matrix()})).into();
    frames[1]["transform_matrix"][0][0] = Value::Null;
    transforms["frames"] = frames.into();
    let folder = dataset(&transforms, &["a.png", "b.png"]);
    // As written by Python.
    let text = transforms.to_string().replace("null", "NaN");
    std::fs::write(folder.path().join("transforms.json"), text).unwrap();
    let (scene, warnings) = load(folder.path()).unwrap();
    assert_eq!(scene.views.len(), 1);
    assert!(
        warnings[0].contains("1 of 2 photos have no usable pose") && warnings[0].contains("`b.png`"),
        "{warnings:?}"
    );
}
