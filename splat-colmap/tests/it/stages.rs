//! The stages against the stand-in for COLMAP: what they make, what is done again, and what fails.

use std::fs;

use splat_colmap::{ColmapError, ColmapQuality, ColmapSource, DatasetSource, Matcher, MatcherEngine};
use splat_core::events::Stage;
use splat_core::{CancelToken, Event, SceneSource};

use crate::common::Events;
use crate::stand_in::{ALL_STAGES, Bench, HELP, OPTIONS, compared_pairs};

#[test]
fn photos_become_a_dataset_and_a_second_run_does_nothing() {
    let bench = Bench::new(4, 4);
    let events = Events::default();
    let scene = bench.source().scene(&|event| events.push(event), &CancelToken::new()).unwrap();
    assert_eq!(scene.views.len(), 4);
    assert_eq!(bench.calls(), ALL_STAGES);
    let progress = |stage| {
        events
            .all()
            .into_iter()
            .any(|e| matches!(e, Event::StageProgress { stage: s, done, .. } if s == stage && done > 0))
    };
    assert!([Stage::Prepare, Stage::Features, Stage::Matching, Stage::Mapping].into_iter().all(progress));
    for made in ["out/images/p0.png", "out/images_2/p3.png", "out/sparse/0/cameras.bin"] {
        assert!(bench.path(made).is_file(), "{made}");
    }
    let half = image::open(bench.path("out/images_2/p3.png")).unwrap();
    assert_eq!((half.width(), half.height()), (32, 24));
    let log = fs::read_to_string(bench.work("colmap.log")).unwrap();
    assert!(
        log.contains("== colmap mapper --database_path") && log.contains("Registering image #1"),
        "{log}"
    );

    // A patch of COLMAP, which other releases state, is no reason to do anything again.
    fs::write(bench.path("help"), HELP.replace("3.8", "3.8.1")).unwrap();
    let (result, events) = bench.run();
    result.unwrap();
    assert!(bench.calls().is_empty());
    let finished = |e: &Event| matches!(e, Event::StageFinished { skipped: true, .. });
    assert_eq!(events.all().iter().filter(|e| finished(e)).count(), 5);
    assert_eq!(DatasetSource::new(bench.path("out")).load(&|_| ()).unwrap().views.len(), 4);

    let as_taken = bench.source().keeping_distortion(true).scene(&|_| (), &CancelToken::new()).unwrap();
    assert_eq!(as_taken.views.len(), 4);
    assert!(as_taken.views.iter().all(|view| view.image_path.starts_with(bench.work("photos"))));
    assert!(scene.views.iter().all(|view| view.image_path.starts_with(bench.path("out/images"))));
}

#[test]
fn features_are_compared_before_colmap_verifies() {
    let mut bench = Bench::new(4, 4);
    let (result, events) = bench.run();
    result.unwrap();
    assert_eq!(compared_pairs(&bench.path("verified")), 6);
    let counts: Vec<(u64, Option<u64>)> = (events.all().into_iter())
        .filter_map(|event| match event {
            Event::StageProgress { stage: Stage::Matching, done, total } => Some((done, total)),
            _ => None,
        })
        .collect();
    assert!(counts.is_sorted() && counts.last() == Some(&(2, Some(2))), "{counts:?}");
    // Another engine starts from the same features, without any matches.
    bench.options.matcher_engine = MatcherEngine::Colmap;
    bench.calls();
    bench.run().0.unwrap();
    assert_eq!(
        (bench.calls(), compared_pairs(&bench.path("verified"))),
        (ALL_STAGES[1..].iter().map(|name| (*name).to_owned()).collect(), 0)
    );
    assert!(!events.warnings().contains("slower"));
    // A release that is known to match slowly is named, where it matches.
    let named = |bench: &Bench| {
        fs::remove_dir_all(bench.path("out")).unwrap();
        bench.run().1.warnings().contains("4.1.0 matches features 4 to 6 times slower than 4.1.1")
    };
    fs::write(bench.path("help"), HELP.replace("3.8", "4.1.0")).unwrap();
    assert!(named(&bench));
    fs::write(bench.path("help"), HELP.replace("3.8", "4.1.1")).unwrap();
    assert!(!named(&bench));
    // A database of an unknown kind is left to COLMAP, unless this program was asked for by name.
    fs::write(bench.path("database"), "another kind").unwrap();
    fs::remove_file(bench.work("database.db")).unwrap();
    bench.options.matcher_engine = MatcherEngine::Splat;
    let error = bench.run().0.unwrap_err();
    assert!(matches!(error, ColmapError::Database { .. }), "{error}");
    bench.options.matcher_engine = MatcherEngine::Auto;
    bench.options.resume = false;
    let (result, events) = bench.run();
    result.unwrap();
    assert!(events.warnings().contains("COLMAP compares them now"), "{}", events.warnings());
}

#[test]
fn preselected_pairs_alone_are_verified() {
    let mut bench = Bench::new(4, 4);
    bench.options.matcher = Matcher::Preselection;
    bench.run().0.unwrap();
    let stages = ["feature_extractor", "matches_importer", "mapper", "image_undistorter"];
    assert_eq!(bench.calls(), stages);
    assert_eq!(compared_pairs(&bench.work("database.db")), 6);
    // Four matches verify no pair: COLMAP need not look.
    assert_eq!(fs::read_to_string(bench.work("pairs.txt")).unwrap(), "");
    bench.options.matcher_engine = MatcherEngine::Colmap;
    bench.run().0.unwrap();
    assert_eq!(bench.calls(), stages[1..]);
    let pairs = fs::read_to_string(bench.work("pairs.txt")).unwrap();
    assert_eq!((pairs.lines().count(), pairs.lines().next()), (6, Some("p0.png p1.png")));
    assert_eq!(compared_pairs(&bench.work("database.db")), 0);
}

/// A dataset of another program, given as photos: its copies, masks and depth maps are no photos.
#[test]
fn what_was_made_from_the_photos_is_no_photo() {
    let bench = Bench::new(4, 4);
    for folder in ["images_2", "masks", "depth", "other"] {
        fs::create_dir_all(bench.path("given").join(folder)).unwrap();
        fs::copy(bench.path("photos/p0.png"), bench.path("given").join(folder).join("p0.png")).unwrap();
    }
    fs::rename(bench.path("photos"), bench.path("given/images")).unwrap();
    let events = Events::default();
    let source = ColmapSource::new(bench.path("given"), bench.path("out"), bench.options.clone());
    source.run(&|event| events.push(event), &CancelToken::new()).unwrap();
    let listed = fs::read_to_string(bench.path("listed")).unwrap();
    assert_eq!(listed, "images/p0.png\nimages/p1.png\nimages/p2.png\nimages/p3.png\nother/p0.png\n");
    assert!(events.warnings().contains("passed over: `depth`, `images_2`, `masks`"), "{}", events.warnings());
}

/// Cut-out photos and masks go through COLMAP, which knows neither.
#[test]
fn alpha_channels_and_masks_are_in_the_dataset() {
    let bench = Bench::new(4, 4);
    fs::write(bench.path("options"), format!("{OPTIONS}  --ImageReader.mask_path arg\n")).unwrap();
    let cut_out = |x: u32, y: u32| if (16..48).contains(&x) && y >= 8 { 255 } else { 0 };
    for name in ["p0.png", "p1.png"] {
        let picture = image::RgbaImage::from_fn(64, 48, |x, y| image::Rgba([200, y as u8, 9, cut_out(x, y)]));
        picture.save(bench.path("photos").join(name)).unwrap();
    }
    let masks = bench.path("photos/masks");
    fs::create_dir(&masks).unwrap();
    let left = image::GrayImage::from_fn(64, 48, |x, _| image::Luma([if x < 32 { 255 } else { 0 }]));
    left.save(masks.join("p2.png")).unwrap();
    let events = Events::default();
    let scene = bench.source().scene(&|event| events.push(event), &CancelToken::new()).unwrap();
    let extraction = fs::read_to_string(bench.path("calls")).unwrap();
    let given = format!("--ImageReader.mask_path {}", bench.work("feature_masks").display());
    assert!(extraction.lines().next().unwrap().contains(&given), "{extraction}");
    assert!(events.warnings().contains("masks for 1 of 4 photos are taken from"), "{}", events.warnings());
    for (folder, scale) in [("out/images", 1), ("out/images_2", 2)] {
        let picture = image::open(bench.path(folder).join("p1.png")).unwrap().to_rgba8();
        let [red, green, blue, alpha] = picture.get_pixel(32 / scale, 24 / scale).0;
        assert_eq!((red, blue, alpha), (200, 9, 255), "{folder}");
        // The centre of a pixel of the small copy lies between two of the large one.
        assert!((24..=25).contains(&green), "{folder}: {green}");
        let [red, .., alpha] = picture.get_pixel(2 / scale, 24 / scale).0;
        assert_eq!((red, alpha), (200, 0), "{folder}: what is hidden keeps its colour");
        assert!(!image::open(bench.path(folder).join("p3.png")).unwrap().color().has_alpha());
    }
    let mask_of = |view: &splat_core::View| view.mask_path.clone();
    assert_eq!(
        scene.views.iter().map(mask_of).collect::<Vec<_>>(),
        [None, None, Some(bench.path("out/masks/p2.png.png")), None]
    );
    let mask = image::open(bench.path("out/masks/p2.png.png")).unwrap().to_luma8();
    assert_eq!((mask.get_pixel(10, 10)[0], mask.get_pixel(50, 10)[0]), (255, 0));
    let as_taken = bench.source().keeping_distortion(true).scene(&|_| (), &CancelToken::new()).unwrap();
    let masked: Vec<bool> = as_taken.views.iter().map(|view| view.mask_path.is_some()).collect();
    assert_eq!(masked, [false, false, true, false]);
    assert_eq!(bench.calls(), ALL_STAGES);

    // Without the mask all is done again, and its copy goes.
    fs::remove_dir_all(&masks).unwrap();
    bench.run().0.unwrap();
    assert_eq!(bench.calls(), ALL_STAGES);
    assert!(!bench.path("out/masks").exists());
    // Masks of another folder, named as other programs name them, among files that are no photos.
    let theirs = bench.path("theirs");
    fs::create_dir(&theirs).unwrap();
    left.save(theirs.join("p3_mask.png")).unwrap();
    let run = |out: &str| {
        let source = ColmapSource::new(bench.path("photos"), bench.path(out), bench.options.clone());
        source.with_masks(&theirs).scene(&|_| (), &CancelToken::new())
    };
    assert!(run("out").unwrap().views[3].mask_path.is_some());
    // Somebody's masks in the output folder are not replaced.
    fs::create_dir_all(bench.path("filled/masks")).unwrap();
    left.save(bench.path("filled/masks/mine.png")).unwrap();
    let error = run("filled").unwrap_err().to_string();
    assert!(error.contains("masks` is in the way"), "{error}");
}

/// COLMAP ends well although its disk was full for a moment: the stage is not taken for done.
#[test]
fn files_that_a_stage_left_out_are_noticed() {
    let bench = Bench::new(4, 4);
    bench.mode("image_undistorter lose");
    let error = bench.run().0.unwrap_err();
    assert!(
        matches!(&error, ColmapError::Incomplete { missing: 2, expected: 4, first, .. } if first == "p1.png"),
        "{error}"
    );
    bench.mode("none none");
    bench.calls();
    bench.run().0.unwrap();
    assert_eq!(bench.calls(), ["image_undistorter"]);
}

#[test]
fn changed_options_photos_and_lost_files_redo_what_depends_on_them() {
    let mut bench = Bench::new(4, 4);
    bench.run().0.unwrap();
    bench.calls();
    bench.options.downscales = vec![2, 4];
    bench.run().0.unwrap();
    assert_eq!(bench.calls(), ["image_undistorter"]);
    assert!(bench.path("out/images_4/p0.png").is_file());
    fs::remove_dir_all(bench.work("sparse")).unwrap();
    bench.run().0.unwrap();
    assert_eq!(bench.calls(), ["mapper", "image_undistorter"]);
    bench.options.matcher = Matcher::Sequential;
    bench.run().0.unwrap();
    let sequential =
        ["feature_extractor", "sequential_matcher", "matches_importer", "mapper", "image_undistorter"];
    assert_eq!(bench.calls(), sequential[1..]);
    fs::remove_file(bench.path("photos/p3.png")).unwrap();
    bench.run().0.unwrap();
    assert_eq!(bench.calls(), sequential);
    bench.options.resume = false;
    bench.run().0.unwrap();
    assert_eq!(bench.calls(), sequential);
}

/// Of four photos with four features each, the second has as many as `medium` takes.
#[test]
fn only_features_that_a_quality_changes_are_found_again() {
    let mut bench = Bench::new(4, 4);
    let many = vec![9_u8; 2048 * 128];
    let database = rusqlite::Connection::open(bench.path("database")).unwrap();
    database.execute("UPDATE descriptors SET rows = 2048, data = ?1 WHERE image_id = 2", [&many]).unwrap();
    drop(database);
    bench.run().0.unwrap();
    assert_eq!(fs::read_to_string(bench.path("listed")).unwrap(), "p0.png\np1.png\np2.png\np3.png\n");
    assert_eq!(compared_pairs(&bench.work("database.db")), 3);
    bench.calls();
    bench.options.quality = ColmapQuality::High;
    bench.run().0.unwrap();
    assert_eq!(bench.calls(), ALL_STAGES);
    assert_eq!(fs::read_to_string(bench.path("listed")).unwrap(), "p1.png\n");
    // What was asked to be done again is.
    fs::remove_file(bench.path("listed")).unwrap();
    bench.source().forget_from(Stage::Features).unwrap();
    bench.run().0.unwrap();
    assert_eq!(fs::read_to_string(bench.path("listed")).unwrap().lines().count(), 4);
}

#[test]
fn a_failed_stage_says_which_and_keeps_the_earlier_ones() {
    let bench = Bench::new(4, 4);
    bench.mode("mapper fail");
    let message = bench.run().0.unwrap_err().to_string();
    for part in ["`mapper` failed", "exit status: 3", "something is wrong", "colmap.log"] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(bench.calls(), ALL_STAGES[..3]);
    bench.mode("mapper crash");
    let error = bench.run().0.unwrap_err();
    assert!(matches!(error, ColmapError::StageFailed { exited: false, .. }), "{error}");
    assert_eq!(bench.calls(), ["mapper"]);
    bench.mode("none none");
    bench.run().0.unwrap();
    assert_eq!(bench.calls(), ALL_STAGES[2..]);
}

#[test]
fn nobody_elses_files_are_replaced() {
    let bench = Bench::new(4, 4);
    let run = |input: &str, out: &str| {
        let source = ColmapSource::new(bench.path(input), bench.path(out), bench.options.clone());
        source.run(&|_| (), &CancelToken::new())
    };
    fs::create_dir_all(bench.path("theirs/images")).unwrap();
    fs::copy(bench.path("photos/p0.png"), bench.path("theirs/images/p0.png")).unwrap();
    for (input, out) in [("photos", "photos"), ("photos", "theirs"), ("theirs/images", "theirs")] {
        let error = run(input, out).unwrap_err();
        assert!(matches!(error, ColmapError::OutputInTheWay { .. }), "{input} to {out}: {error}");
    }
    assert!(bench.path("theirs/images/p0.png").is_file());
    run("photos", "out").unwrap();
    assert!(matches!(run("out/images", "out"), Err(ColmapError::OutputInTheWay { .. })));
    // An output folder inside the photos' folder is not taken for photos.
    run("photos", "photos/result").unwrap();
    assert_eq!(fs::read_dir(bench.path("photos/result").join("work").join("photos")).unwrap().count(), 4);
    run("photos", "photos/result").unwrap();
    assert_eq!(fs::read_dir(bench.path("photos/result").join("work").join("photos")).unwrap().count(), 4);
}
