//! Datasets on disk: where photos, masks and models are found.

use std::fs;
use std::path::Path;

use splat_colmap::{
    ColmapError, DatasetSource, ModelForm, Point3d, PosedImage, Reconstruction, find_best_model, read_model,
    write_model,
};
use splat_core::{CancelToken, Event, Lens, Pinhole, Pose, SceneSource};
use splat_test_needs::needs;

use crate::common::{Events, test_data};

fn model(names: &[&str]) -> Reconstruction {
    let lens = Lens::pinhole(Pinhole { width: 64, height: 48, fx: 50.0, fy: 50.0, cx: 32.0, cy: 24.0 });
    let image = |name: &&str| PosedImage {
        name: (*name).to_owned(),
        camera_id: 1,
        cam_from_world: Pose::IDENTITY,
        points2d: Vec::new(),
    };
    let images = names.iter().enumerate().map(|(id, name)| (id as u32, image(name)));
    Reconstruction { cameras: [(1, lens)].into(), images: images.collect(), ..Reconstruction::default() }
}

fn touch(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, "a photo").unwrap();
}

#[test]
fn the_model_with_most_images_wins() {
    let dir = tempfile::tempdir().unwrap();
    let sparse = dir.path().join("sparse");
    write_model(&model(&["a.jpg", "b.jpg"]), &sparse.join("0"), ModelForm::Binary).unwrap();
    write_model(&model(&["a.jpg", "b.jpg", "c.jpg"]), &sparse.join("1"), ModelForm::Text).unwrap();
    write_model(&model(&["d.jpg"]), &sparse.join("10"), ModelForm::Binary).unwrap();
    let choice = find_best_model(dir.path()).unwrap();
    assert_eq!((choice.dir.as_path(), choice.registered), (sparse.join("1").as_path(), 3));
    assert_eq!(choice.others, [2, 1]);
    // A model beside the numbered ones is counted once.
    write_model(&model(&["e.jpg"]), &sparse, ModelForm::Text).unwrap();
    assert_eq!(find_best_model(dir.path()).unwrap().others, [2, 1, 1]);
    // The folder of models and a single model are taken too.
    assert_eq!(find_best_model(&sparse).unwrap().registered, 3);
    assert_eq!(find_best_model(&sparse.join("0")).unwrap().registered, 2);
    // A broken model does not hide whole ones.
    fs::write(sparse.join("1/images.txt"), "1 x").unwrap();
    assert_eq!(find_best_model(dir.path()).unwrap().registered, 2);
    let empty = tempfile::tempdir().unwrap();
    let message = find_best_model(empty.path()).unwrap_err().to_string();
    assert!(message.contains("no COLMAP model"), "{message}");
}

/// Model folders are often links into a project that is stored elsewhere.
#[cfg(unix)]
#[test]
fn linked_models_are_found_once() {
    use std::os::unix::fs::symlink;
    let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let sparse = dir.path().join("sparse");
    write_model(&model(&["a.jpg", "b.jpg"]), &elsewhere.path().join("text"), ModelForm::Text).unwrap();
    fs::create_dir(&sparse).unwrap();
    symlink(elsewhere.path().join("text"), sparse.join("0")).unwrap();
    let choice = find_best_model(dir.path()).unwrap();
    assert_eq!((choice.dir, choice.registered, choice.others), (sparse.join("0"), 2, vec![]));
    // Links back into the folder itself neither lead to a second model nor cause an endless loop.
    write_model(&model(&["a.jpg", "b.jpg"]), &sparse.join("1"), ModelForm::Binary).unwrap();
    symlink(sparse.join("1"), dir.path().join("latest")).unwrap();
    symlink(dir.path(), sparse.join("loop")).unwrap();
    let choice = find_best_model(dir.path()).unwrap();
    assert_eq!((choice.dir, choice.others), (sparse.join("1"), vec![2]));
}

#[test]
fn photos_and_masks_are_found_and_missing_ones_counted() {
    let dir = tempfile::tempdir().unwrap();
    let names = ["b.jpg", "sub/a b.jpg", "gone.jpg", "../outside.jpg"];
    write_model(&model(&names), &dir.path().join("sparse/0"), ModelForm::Binary).unwrap();
    touch(&dir.path().join("outside.jpg"));
    for photo in ["images/b.jpg", "images/sub/a b.jpg", "masks/b.jpg.png", "masks/sub/a b.png"] {
        touch(&dir.path().join(photo));
    }
    for given in [dir.path().to_owned(), dir.path().join("sparse"), dir.path().join("sparse/0")] {
        let events = Events::default();
        let sink = |event| events.push(event);
        let scene = DatasetSource::new(given).scene(&sink, &CancelToken::new()).unwrap();
        let found: Vec<_> = scene.views.iter().map(|view| view.name.as_str()).collect();
        assert_eq!(found, ["b.jpg", "sub/a b.jpg"]);
        assert!(scene.views[0].mask_path.as_ref().unwrap().ends_with("masks/b.jpg.png"));
        assert!(scene.views[1].mask_path.as_ref().unwrap().ends_with("masks/sub/a b.png"));
        let warnings = events.warnings();
        assert!(warnings.contains("2 of the 4 photos") && warnings.contains("`gone.jpg`"), "{warnings}");
        assert!(matches!(events.all().last(), Some(Event::StageFinished { .. })));
    }
}

/// As copies between systems leave a model's files; one of them is not taken for a model.
#[test]
fn a_models_files_are_found_in_any_case() {
    for form in [ModelForm::Text, ModelForm::Binary] {
        let dir = tempfile::tempdir().unwrap();
        let sparse = dir.path().join("Sparse/0");
        let point = Point3d { position: [1.0, 2.0, 3.0], rgb: [9; 3], error: 0.5, track: Vec::new() };
        let with_point = Reconstruction { points: [(1, point)].into(), ..model(&["a.jpg"]) };
        write_model(&with_point, &sparse, form).unwrap();
        touch(&dir.path().join("images/a.jpg"));
        for entry in fs::read_dir(&sparse).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let other = if name.starts_with("cameras") { name.to_uppercase() } else { name.to_lowercase() };
            fs::rename(entry.path(), sparse.join(other)).unwrap();
        }
        let scene = DatasetSource::new(dir.path()).load(&|_| ()).unwrap();
        assert_eq!((scene.views.len(), scene.points.len()), (1, 1));
        let images = fs::read_dir(&sparse).unwrap().map(|entry| entry.unwrap().path());
        assert!(images.into_iter().all(|path| ModelForm::is_file_of_model(&path)));
        fs::rename(
            sparse.join(if form == ModelForm::Text { "images.txt" } else { "images.bin" }),
            sparse.join("x"),
        )
        .unwrap();
        assert!(matches!(DatasetSource::new(dir.path()).load(&|_| ()), Err(ColmapError::NoModel { .. })));
    }
}

#[test]
fn a_dataset_without_its_photos_says_where_they_should_be() {
    let dir = tempfile::tempdir().unwrap();
    write_model(&model(&["a.jpg", "b.jpg"]), &dir.path().join("sparse/0"), ModelForm::Text).unwrap();
    let error = DatasetSource::new(dir.path()).load(&|_| ()).unwrap_err();
    assert!(matches!(&error, ColmapError::NoImages { count: 2, first, .. } if first == "a.jpg"), "{error}");
    write_model(&model(&[]), &dir.path().join("sparse/0"), ModelForm::Text).unwrap();
    let error = DatasetSource::new(dir.path()).load(&|_| ()).unwrap_err();
    assert!(matches!(error, ColmapError::EmptyModel { .. }), "{error}");
    // Photos beside the model's files, as some tools leave them.
    let flat = tempfile::tempdir().unwrap();
    write_model(&model(&["a.jpg"]), flat.path(), ModelForm::Binary).unwrap();
    touch(&flat.path().join("a.jpg"));
    assert_eq!(DatasetSource::new(flat.path()).load(&|_| ()).unwrap().views.len(), 1);
    let elsewhere = tempfile::tempdir().unwrap();
    touch(&elsewhere.path().join("a.jpg"));
    let source = DatasetSource::new(flat.path()).with_images(elsewhere.path());
    assert!(source.load(&|_| ()).unwrap().views[0].image_path.starts_with(elsewhere.path()));
}

#[needs("bench/snowmiku_480")]
#[test]
fn the_public_benchmark_loads() {
    let dir = test_data("bench/snowmiku_480");
    let scene = DatasetSource::new(&dir).load(&|_| ()).unwrap();
    assert_eq!(scene.views.len(), 48);
    assert!(scene.points.len() > 1000);
    let lens = &scene.views[0].lens;
    assert_eq!((lens.width, lens.height), (480, 360));
    assert!(lens.as_pinhole().is_some());
    assert!(scene.views.windows(2).all(|pair| pair[0].name < pair[1].name));
}

/// As Notepad, PowerShell and scripts leave a text model.
#[test]
fn text_models_are_read_as_people_have_them() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &[u8]| fs::write(dir.path().join(name), text).unwrap();
    write("cameras.txt", b"\xef\xbb\xbf1 PINHOLE 64.0 48.0 50 50 32 24");
    // Without the lines of features, and without the last line's end.
    write("images.txt", b"\xef\xbb\xbf1 1 0 0 0 0 0 0 1 a 1.jpg\r\n2.0 1 0 0 0 0 0 1 1.0 b.jpg\r\n3.5 2.5 -1\r\n3 1 0 0 0 0 0 2 1 c.jpg");
    write("points3D.txt", b"\xef\xbb\xbf7 1 2 3 128.0 0 255 0.5 1 0.0");
    let read = read_model(dir.path()).unwrap();
    let names: Vec<_> =
        read.images.values().map(|image| (image.name.as_str(), image.points2d.len())).collect();
    assert_eq!(names, [("a 1.jpg", 0), ("b.jpg", 1), ("c.jpg", 0)]);
    assert_eq!((read.cameras[&1].width, read.points[&7].rgb), (64, [128, 0, 255]));
    write(
        "images.txt",
        &"1 1 0 0 0 0 0 0 1 a.jpg\n".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>(),
    );
    let message = read_model(dir.path()).unwrap_err().to_string();
    assert!(message.contains("UTF-16") && message.contains("images.txt"), "{message}");
    // Half a colour is no integer.
    write("images.txt", b"1 1 0 0 0 0 0 0 1 a.jpg\n\n");
    write("points3D.txt", b"7 1 2 3 128.5 0 255 0.5");
    let message = read_model(dir.path()).unwrap_err().to_string();
    assert!(message.contains("`128.5` is not a colour at line 1"), "{message}");
    let binary = tempfile::tempdir().unwrap();
    write_model(&model(&["a.jpg"]), binary.path(), ModelForm::Binary).unwrap();
    fs::write(
        binary.path().join("points3D.bin"),
        "version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n",
    )
    .unwrap();
    let message = read_model(binary.path()).unwrap_err().to_string();
    assert!(message.contains("git lfs pull"), "{message}");
}

/// Places and names of photos as other programs and machines leave them: all are found, and said.
#[test]
fn datasets_of_other_programs_are_found() {
    let names = ["cam/a.JPG", "cam/b.JPG"];
    let cases: &[(&str, &[&str], &str, &str)] = &[
        ("colmap_sparse/0", &["images/cam/a.JPG", "images/cam/b.JPG"], "images/cam/a.JPG", ""),
        ("colmap/sparse/0", &["images_4/a.png", "images_4/b.png"], "images_4/a.png", "without extension"),
        (
            "dense/0/sparse",
            &["dense/0/images/a.jpg", "dense/0/images/b.jpg"],
            "dense/0/images/a.jpg",
            "end of the path",
        ),
        ("distorted/sparse/0", &["input/cam/a.JPG", "input/cam/b.JPG"], "input/cam/a.JPG", "taken from"),
        ("sparse/0", &["Scan 1/x/a.jpg", "Scan 1/x/b.jpg"], "Scan 1/x/a.jpg", "end of the path"),
    ];
    for (place, photos, first, said) in cases {
        let dir = tempfile::tempdir().unwrap();
        write_model(&model(&names), &dir.path().join(place), ModelForm::Text).unwrap();
        photos.iter().for_each(|photo| touch(&dir.path().join(photo)));
        let events = Events::default();
        let scene = DatasetSource::new(dir.path()).load(&|event| events.push(event)).unwrap();
        assert_eq!(scene.views.len(), 2, "{place}");
        assert_eq!(scene.views[0].image_path, dir.path().join(first));
        assert!(events.warnings().contains(said), "{place}: {}", events.warnings());
        assert_eq!(events.warnings().is_empty(), said.is_empty(), "{}", events.warnings());
    }
}

#[test]
fn the_undistorted_model_with_its_photos_comes_first() {
    let dir = tempfile::tempdir().unwrap();
    let names = ["a.jpg", "b.jpg", "c.jpg"];
    let mut bent = model(&names);
    bent.cameras.values_mut().for_each(|lens| {
        lens.model = splat_core::LensModel::SimpleRadial;
        lens.params = vec![50.0, 32.0, 24.0, 0.1];
    });
    write_model(&bent, &dir.path().join("distorted/sparse/0"), ModelForm::Binary).unwrap();
    write_model(&model(&names[..2]), &dir.path().join("sparse/0"), ModelForm::Binary).unwrap();
    names.iter().for_each(|name| touch(&dir.path().join("input").join(name)));
    names[..2].iter().for_each(|name| touch(&dir.path().join("images").join(name)));
    let load = || {
        let events = Events::default();
        let scene = DatasetSource::new(dir.path()).load(&|event| events.push(event)).unwrap();
        (scene.views.len(), scene.views[0].image_path.clone(), events.warnings())
    };
    let (count, photo, warnings) = load();
    assert_eq!((count, photo), (2, dir.path().join("images/a.jpg")));
    assert!(warnings.contains("passed over") && warnings.contains("distorted"), "{warnings}");
    // Without its photos it is no use, and nor is a splinter of the whole.
    fs::remove_file(dir.path().join("images/b.jpg")).unwrap();
    fs::remove_dir_all(dir.path().join("images")).unwrap();
    fs::remove_dir_all(dir.path().join("sparse")).unwrap();
    let (count, photo, _) = load();
    assert_eq!((count, photo), (3, dir.path().join("input/a.jpg")));
}

#[test]
fn riddles_are_refused_by_name_and_duplicates_dropped() {
    let dir = tempfile::tempdir().unwrap();
    write_model(
        &model(&["0/a.jpg", "1/a.jpg", "b.jpg", "b.jpg"]),
        &dir.path().join("sparse/0"),
        ModelForm::Text,
    )
    .unwrap();
    touch(&dir.path().join("images/a.jpg"));
    let error = DatasetSource::new(dir.path()).load(&|_| ()).unwrap_err().to_string();
    assert!(error.contains("`0/a.jpg` (may be") && error.contains("--images"), "{error}");
    touch(&dir.path().join("images/b.jpg"));
    touch(&dir.path().join("masks/mask_b.png"));
    let events = Events::default();
    let scene = DatasetSource::new(dir.path()).load(&|event| events.push(event)).unwrap();
    assert_eq!(scene.views.len(), 1);
    let warnings = events.warnings();
    for part in ["`1/a.jpg` (may be", "listed more than once", "no masks are used"] {
        assert!(warnings.contains(part), "{warnings}");
    }
}

#[test]
fn points_may_lie_in_a_ply() {
    let dir = tempfile::tempdir().unwrap();
    write_model(&model(&["a.jpg"]), dir.path(), ModelForm::Binary).unwrap();
    fs::remove_file(dir.path().join("points3D.bin")).unwrap();
    let ply = "ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\nend_header\n1 2 3\n";
    fs::write(dir.path().join("points3D.ply"), ply).unwrap();
    assert_eq!(read_model(dir.path()).unwrap().points[&1].position, [1.0, 2.0, 3.0]);
}
