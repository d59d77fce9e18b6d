//! Photos that get no pose, against the stand-in for COLMAP.

use std::fs;
use std::io::Cursor;

use exif::experimental::Writer;
use exif::{Field, In, Rational, Tag, Value};
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder as _};
use splat_colmap::{ColmapError, DatasetSource};
use splat_core::LeftOutReason;
use splat_core::images::probe;

use crate::stand_in::{ALL_STAGES, Bench, SCRIPT, install, write_posed, write_posed_of};

#[test]
fn photos_that_do_not_connect_say_how_many_did() {
    let bench = Bench::new(4, 4);
    bench.mode("mapper nothing");
    let (result, events) = bench.run();
    let error = result.unwrap_err();
    // A small set is tried once more, at a higher quality.
    assert!(
        events.warnings().contains("only 0 of 4 photos at medium quality; high is tried"),
        "{}",
        events.warnings()
    );
    // So few features as these photos have are the same at any of the two.
    assert_eq!(bench.calls(), [&ALL_STAGES[..3], &ALL_STAGES[1..3]].concat());
    assert!(matches!(error, ColmapError::NoReconstruction { registered: 0, photos: 4, .. }), "{error}");
    assert!(error.to_string().contains("0 of 4 registered"), "{error}");
    // That answer is kept, and the quality that came last is where the next run goes on.
    assert!(matches!(bench.run().0, Err(ColmapError::NoReconstruction { .. })));
    assert!(bench.calls().is_empty());
    bench.mode("none none");
    fs::remove_dir_all(bench.work("sparse")).unwrap();
    bench.run().0.unwrap();
    assert_eq!(bench.calls(), ALL_STAGES[2..]);
    // Poses without points are those of a camera that only turned.
    let bench = Bench::new(4, 4);
    fs::remove_file(bench.path("model/points3D.bin")).unwrap();
    let error = bench.run().0.unwrap_err();
    assert!(matches!(error, ColmapError::NoReconstruction { registered: 4, .. }), "{error}");
    let error = Bench::new(4, 2).run().0.unwrap_err();
    assert!(matches!(error, ColmapError::NoReconstruction { registered: 2, .. }), "{error}");
    let mut half = Bench::new(10, 5);
    half.options.raise_quality = false;
    let (result, events) = half.run();
    result.unwrap();
    assert!(events.warnings().contains("5 of 10 photos are not in the scene"), "{}", events.warnings());
    assert!(events.warnings().contains("overlap by 60 %"), "{}", events.warnings());
}

#[test]
fn photos_left_out_are_named_with_their_reason_and_tried_once_more() {
    let bench = Bench::new(5, 3);
    let database = rusqlite::Connection::open(bench.path("database")).unwrap();
    // Image 4 shares matches with image 1, which is placed.
    database.execute("INSERT INTO two_view_geometries VALUES(2147483647 + 4, 20)", []).unwrap();
    drop(database);
    let (placement, events) = bench.run();
    let placement = placement.unwrap();
    assert_eq!((placement.photos, placement.placed), (5, 3));
    let reasons: Vec<_> =
        placement.left_out.iter().map(|photo| (photo.name.as_str(), &photo.reason)).collect();
    // Features of p3 and p4 are sought anew, and this stand-in finds none.
    assert_eq!(
        reasons,
        [
            ("p3.png", &LeftOutReason::TooFewFeatures { features: 0 }),
            ("p4.png", &LeftOutReason::TooFewFeatures { features: 0 })
        ]
    );
    assert_eq!(placement.second_try.map(|again| (again.photos, again.placed)), Some((2, 0)));
    assert_eq!(bench.calls(), [&ALL_STAGES[..3], &["mapper"], &ALL_STAGES].concat());
    assert_eq!(fs::read_to_string(bench.path("listed")).unwrap(), "p3.png\np4.png\n");
    for part in
        ["more features are sought in the other 2", "`p3.png` (only 0 features", "A second try placed 0 of 2"]
    {
        assert!(events.warnings().contains(part), "{part}: {}", events.warnings());
    }
    // A later run reports the same without doing anything.
    assert_eq!(bench.run().0.unwrap(), placement);
    assert!(bench.calls().is_empty());

    let mut bench = Bench::new(5, 3);
    let database = rusqlite::Connection::open(bench.path("database")).unwrap();
    database.execute("INSERT INTO two_view_geometries VALUES(2147483647 + 4, 20)", []).unwrap();
    database.execute("INSERT INTO two_view_geometries VALUES(2147483647 * 4 + 5, 20)", []).unwrap();
    drop(database);
    bench.options.try_again = false;
    let placement = bench.run().0.unwrap();
    let reasons: Vec<_> = placement.left_out.iter().map(|photo| &photo.reason).collect();
    assert_eq!(
        reasons,
        [&LeftOutReason::TooFewPoints { pairs: 1 }, &LeftOutReason::OnlyWithLeftOut { pairs: 1 }]
    );
}

#[test]
fn a_second_try_goes_on_from_the_model() {
    let bench = Bench::new(4, 3);
    write_posed(&bench.path("more"), 4);
    let placement = bench.run().0.unwrap();
    assert_eq!((placement.placed, placement.left_out.len()), (4, 0));
    assert_eq!(placement.second_try.map(|again| (again.photos, again.placed)), Some((1, 1)));
    let scene =
        DatasetSource::new(bench.work("sparse")).with_images(bench.work("photos")).load(&|_| ()).unwrap();
    assert_eq!(scene.views.len(), 4);
}

/// The mapper's own limit leaves photos out that a lower one lets in with the same features.
#[test]
fn a_lower_limit_is_tried_before_more_features() {
    let bench = Bench::new(4, 3);
    write_posed(&bench.path("nearer"), 4);
    let placement = bench.run().0.unwrap();
    assert_eq!((placement.placed, placement.second_try), (4, None));
    assert_eq!(bench.calls(), [&ALL_STAGES[..3], &["mapper"], &ALL_STAGES[3..]].concat());
}

/// COLMAP 4 has a mapper that places all photos at once; it is asked where photos are left out, and counts where it places more.
#[test]
fn the_global_mapper_is_asked_where_photos_are_left_out() {
    let bench = Bench::new(4, 3);
    write_posed(&bench.path("global"), 4);
    let placement = bench.run().0.unwrap();
    assert_eq!((placement.placed, placement.second_try), (4, None));
    let mappers = ["mapper", "global_mapper"];
    assert_eq!(bench.calls(), [&ALL_STAGES[..3], &mappers, &ALL_STAGES[3..]].concat());
    // No better than the other.
    fs::remove_dir_all(bench.path("out")).unwrap();
    write_posed(&bench.path("global"), 3);
    assert_eq!(bench.run().0.unwrap().placed, 3);
    // Not asked where nothing is left out.
    let all = Bench::new(4, 4);
    write_posed(&all.path("global"), 4);
    assert_eq!(all.run().0.unwrap().placed, 4);
    assert_eq!(all.calls(), ALL_STAGES);
}

/// Writes photos of a flight, 20 m apart, with their positions in EXIF.
fn write_flight(bench: &Bench, photos: usize, orientation: u16) {
    let rational = |num, denom| vec![Rational { num, denom }];
    let text = |text: &str| Value::Ascii(vec![text.as_bytes().to_vec()]);
    for i in 0..photos {
        let seconds = Rational { num: 648 * i as u32 + 4, denom: 1000 };
        let angle = |seconds| Value::Rational(vec![rational(46, 1)[0], rational(59, 1)[0], seconds]);
        let fields = [
            (Tag::Orientation, Value::Short(vec![orientation])),
            (Tag::GPSLatitudeRef, text("S")),
            (Tag::GPSLatitude, angle(seconds)),
            (Tag::GPSLongitudeRef, text("W")),
            (Tag::GPSLongitude, angle(Rational { num: 9, denom: 2 })),
            (Tag::GPSAltitude, Value::Rational(rational(1987, 10))),
        ];
        let mut writer = Writer::new();
        let fields = fields.map(|(tag, value)| Field { tag, ifd_num: In::PRIMARY, value });
        fields.iter().for_each(|field| writer.push_field(field));
        let mut exif = Cursor::new(Vec::new());
        writer.write(&mut exif, false).unwrap();
        let mut file = fs::File::create(bench.path(&format!("photos/p{i}.png"))).unwrap();
        let mut encoder = PngEncoder::new(&mut file);
        encoder.set_exif_metadata(exif.into_inner()).unwrap();
        let pixels = vec![i as u8; 64 * 48 * 3];
        encoder.write_image(&pixels, 64, 48, ExtendedColorType::Rgb8).unwrap();
    }
}

/// The mapper that takes GPS positions runs for photos of a flight, also in the second attempt. Where a release lacks it, it fails, or
/// photos have no positions, the usual mapper runs.
#[test]
fn photos_far_apart_are_placed_by_their_gps_positions_too() {
    let bench = Bench::new(5, 5);
    write_flight(&bench, 5, 1);
    bench.run().0.unwrap();
    assert_eq!(bench.calls(), ALL_STAGES);
    fs::write(bench.path("priors"), "").unwrap();
    fs::remove_dir_all(bench.path("out")).unwrap();
    bench.run().0.unwrap();
    let log = fs::read_to_string(bench.work("colmap.log")).unwrap();
    assert!(log.contains("== colmap pose_prior_mapper --prior_position_std_x 5"), "{log}");
    assert_eq!(bench.calls()[2], "pose_prior_mapper");
    // One photo is left out: the second attempt uses positions too.
    let four = Bench::new(5, 4);
    write_flight(&four, 5, 1);
    fs::write(four.path("priors"), "").unwrap();
    write_posed(&four.path("nearer"), 5);
    assert_eq!(four.run().0.unwrap().placed, 5);
    assert_eq!(four.calls()[2..4], ["pose_prior_mapper", "pose_prior_mapper"]);
    // It fails, and the photos are placed without it.
    four.mode("pose_prior_mapper fail");
    fs::remove_dir_all(four.path("out")).unwrap();
    assert_eq!(four.run().0.unwrap().placed, 5);
    assert_eq!(four.calls()[2..5], ["pose_prior_mapper", "mapper", "mapper"]);
    // Photos without positions go to the usual mapper.
    let garden = Bench::new(4, 4);
    fs::write(garden.path("priors"), "").unwrap();
    garden.run().0.unwrap();
    assert_eq!(garden.calls(), ALL_STAGES);
}

/// Photos that are turned are written anew, and COLMAP reads their positions there.
#[test]
fn upright_copies_keep_their_positions() {
    let bench = Bench::new(5, 5);
    write_flight(&bench, 5, 3);
    bench.run().0.unwrap();
    let copies: Vec<_> = fs::read_dir(bench.work("photos")).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(copies.len(), 5);
    for copy in copies {
        let (before, after) =
            (probe(&bench.path("photos").join(copy.file_stem().unwrap())).unwrap(), probe(&copy).unwrap());
        let ([north, east], [north_after, east_after]) = (before.gps.unwrap(), after.gps.unwrap());
        assert!((north - north_after).abs() < 1e-10 && (east - east_after).abs() < 1e-10, "{after:?}");
        assert_eq!((before.altitude_m, after.altitude_m), (Some(198.7), Some(198.7)));
    }
}

/// Photos in another model have features enough: a higher quality would not connect them.
#[test]
fn two_places_are_not_tried_at_a_higher_quality() {
    let bench = Bench::new(8, 4);
    let script = SCRIPT
        .replace("echo \"Registering image #1 (3)\"", "mkdir \"$out/1\"; cp \"$here/second/\"* \"$out/1\"");
    install(&script, &bench.path("colmap"));
    write_posed_of(&bench.path("second"), 4..8);
    let (placement, events) = bench.run();
    assert_eq!(placement.unwrap().placed, 4);
    assert!(!events.warnings().contains("high is tried"), "{}", events.warnings());
    // Without the second model it is tried.
    fs::remove_dir_all(bench.path("second")).unwrap();
    install(SCRIPT, &bench.path("colmap"));
    fs::remove_dir_all(bench.path("out")).unwrap();
    assert!(bench.run().1.warnings().contains("high is tried"));
}

/// Several models: the largest is used, and the next is named with the way to train it. One whose photos are all placed is none.
#[test]
fn other_models_are_told() {
    let bench = Bench::new(6, 4);
    bench.mode("none none");
    let script = SCRIPT
        .replace("echo \"Registering image #1 (3)\"", "mkdir \"$out/1\"; cp \"$here/second/\"* \"$out/1\"");
    install(&script, &bench.path("colmap"));
    write_posed_of(&bench.path("second"), 0..3);
    assert_eq!(bench.run().0.unwrap().other_models, []);
    fs::remove_dir_all(bench.path("out")).unwrap();
    write_posed_of(&bench.path("second"), 3..6);
    let (placement, events) = bench.run();
    let placement = placement.unwrap();
    let others: Vec<_> = placement.other_models.iter().map(|other| (other.model, other.photos)).collect();
    assert_eq!((placement.placed, others), (4, vec![(1, 3)]));
    assert!(events.warnings().contains("make 2 groups that do not connect"), "{}", events.warnings());
    assert!(events.warnings().contains("--images"), "{}", events.warnings());
}
