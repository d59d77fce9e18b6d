//! The driver against a stand-in for COLMAP: every way to fail, resume, cancellation.
//!
//! The stand-in is a shell script, so these tests run where there is a shell.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use splat_colmap::{
    Colmap, ColmapError, ColmapOptions, ColmapQuality, ColmapSource, DatasetSource, Matcher, MatcherEngine,
    ModelForm, Point3d, PosedImage, Reconstruction, write_model,
};
use splat_core::events::Stage;
use splat_core::{CancelToken, Event, LeftOutReason, Lens, Pinhole, Placement, Pose, SceneSource};

use crate::common::Events;

const SCRIPT: &str = r#"#!/bin/sh
# Stands in for COLMAP. Beside it lie `mode` ("command behaviour"), `model` (what the mapper finds).
here=$(dirname "$0")
command=$1
[ "$command" = help ] && { cat "$here/help"; exit 0; }
if [ "$2" = --help ]; then
    # Releases before 4.0 lack it.
    [ "$command" != global_mapper ] || [ -d "$here/global" ] || { echo "Command not recognized"; exit 1; }
    cat "$here/options"
    exit 0
fi
echo "$*" >> "$here/calls"
while [ $# -gt 0 ]; do
    case $1 in
        --database_path) database=$2 ;;
        --image_path) images=$2 ;;
        --output_path) out=$2 ;;
        --image_list_path) list=$2 ;;
        --input_path) input=$2 ;;
    esac
    shift
done
read -r target behaviour < "$here/mode"
if [ "$command" = "$target" ]; then
    case $behaviour in
        fail) echo "something is wrong" >&2; exit 3 ;;
        crash) kill -SEGV $$ ;;
        lose) lost=1 ;;
        hang) sleep 300 & echo $! > "$here/child"; wait ;;
        nothing)
            # The reason on stderr may be read before the last lines of stdout.
            echo "ERROR: failed to create sparse model" >&2
            sleep 0.1
            for i in 1 2 3 4 5 6 7 8; do echo "more on stdout"; done
            exit 1 ;;
    esac
fi
case $command in
    feature_extractor)
        [ -f "$database" ] || cp "$here/database" "$database"
        cp "$list" "$here/listed"
        echo "Processed file [1/4]"; echo "Processed file [4/4]" ;;
    exhaustive_matcher) cp "$database" "$here/verified"; echo "Matching block [1/1, 1/1] in 0.1s" ;;
    mapper)
        if [ -n "$input" ]; then
            # `nearer`: what a lower limit adds; `more`: what features sought once more add.
            sought=$(grep -c "^feature_extractor" "$here/calls")
            [ ! -d "$here/nearer" ] || cp "$here/nearer/"* "$out"
            [ ! -d "$here/more" ] || [ "$sought" -lt 2 ] || cp "$here/more/"* "$out"
            exit 0
        fi
        mkdir -p "$out/0"; cp "$here/model/"* "$out/0"; echo "Registering image #1 (3)" ;;
    global_mapper) mkdir -p "$out/0"; cp "$here/global/"* "$out/0" ;;
    image_undistorter)
        mkdir -p "$out/sparse" "$out/images"; cp "$here/model/"* "$out/sparse"; cp -r "$images/." "$out/images"
        if [ -n "$lost" ]; then rm "$out/images/p1.png"; : > "$out/images/p2.png"; fi ;;
esac
"#;

const HELP: &str =
    "COLMAP 3.8 -- Structure-from-Motion and Multi-View Stereo\n(Commit x on y without CUDA)\n";
const OPTIONS: &str =
    "  -h [ --help ]\n  --database_path arg\n  --image_path arg\n  --image_list_path arg\n  --output_path arg
  --input_path arg\n  --SiftExtraction.use_gpu arg (=1)\n  --SiftExtraction.max_num_features arg (=8192)
  --SiftMatching.use_gpu arg (=1)\n  --match_list_path arg\n";

/// Writes a program from another process. A file that this one holds open for writing is inherited by every program that
/// another test starts at that moment, and until that program has replaced its image the system refuses to run the file
/// ("Text file busy").
fn install(script: &str, binary: &Path) {
    let text = binary.with_extension("text");
    fs::write(&text, script).unwrap();
    // `install` replaces the file, so one that still runs is not written to either.
    let status = Command::new("install").args(["-m", "755"]).arg(&text).arg(binary).status().unwrap();
    assert!(status.success());
    fs::remove_file(text).unwrap();
}

/// What feature extraction leaves: photos `p0.png`, `p1.png` ... with the same four features.
fn write_database(path: &Path, photos: usize) {
    let database = rusqlite::Connection::open(path).unwrap();
    database
        .execute_batch(
            "CREATE TABLE cameras(camera_id INTEGER PRIMARY KEY, width INTEGER, height INTEGER);
             INSERT INTO cameras VALUES(1, 64, 48);
             CREATE TABLE images(image_id INTEGER PRIMARY KEY, name TEXT, camera_id INTEGER);
             CREATE TABLE keypoints(image_id INTEGER PRIMARY KEY, rows INTEGER, cols INTEGER, data BLOB);
             CREATE TABLE two_view_geometries(pair_id INTEGER PRIMARY KEY, rows INTEGER);
             CREATE TABLE descriptors(image_id INTEGER PRIMARY KEY, rows INTEGER, cols INTEGER, data BLOB);
             CREATE TABLE matches(pair_id INTEGER PRIMARY KEY, rows INTEGER, cols INTEGER, data BLOB);",
        )
        .unwrap();
    // Eight of 181 make a length of 512.
    let feature = |k: usize| (0..128).map(move |i| if i / 8 == k { 181_u8 } else { 0 });
    let data: Vec<u8> = (0..4).flat_map(feature).collect();
    for i in 0..photos {
        let insert = "INSERT INTO images(image_id, name, camera_id) VALUES(?1, ?2, 1)";
        database.execute(insert, rusqlite::params![i as u32 + 1, format!("p{i}.png")]).unwrap();
        let insert = "INSERT INTO keypoints(image_id, rows, cols, data) VALUES(?1, 4, 6, ?2)";
        let shapes = [0_u8; 4 * 6 * 4];
        database.execute(insert, rusqlite::params![i as u32 + 1, shapes]).unwrap();
        let insert = "INSERT INTO descriptors(image_id, rows, cols, data) VALUES(?1, 4, 128, ?2)";
        database.execute(insert, rusqlite::params![i as u32 + 1, data]).unwrap();
    }
}

/// A model of the first `registered` photos.
fn write_posed(dir: &Path, registered: usize) {
    write_posed_of(dir, 0..registered);
}

fn write_posed_of(dir: &Path, photos: std::ops::Range<usize>) {
    let lens = Lens::pinhole(Pinhole { width: 64, height: 48, fx: 50.0, fy: 50.0, cx: 32.0, cy: 24.0 });
    let image = |i: usize| PosedImage {
        name: format!("p{i}.png"),
        camera_id: 1,
        cam_from_world: Pose::IDENTITY,
        points2d: Vec::new(),
    };
    let images = photos.map(|i| (i as u32 + 1, image(i))).collect();
    let point =
        |i: u64| Point3d { position: [i as f64, 0.0, 5.0], rgb: [9; 3], error: 0.5, track: Vec::new() };
    let points = (0..20).map(|i| (i, point(i))).collect();
    let model = Reconstruction { cameras: [(1, lens)].into(), images, points };
    write_model(&model, dir, ModelForm::Binary).unwrap();
}

/// Pairs in a database that have been compared.
fn compared_pairs(path: &Path) -> u32 {
    let database = rusqlite::Connection::open(path).unwrap();
    database.query_row("SELECT COUNT(*) FROM matches WHERE rows = 4", [], |row| row.get(0)).unwrap()
}

struct Bench {
    dir: tempfile::TempDir,
    options: ColmapOptions,
}

impl Bench {
    /// A stand-in whose mapper places `registered` of `photos` photos.
    fn new(photos: usize, registered: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let here = dir.path();
        write_posed(&here.join("model"), registered);
        let binary = here.join("colmap");
        install(SCRIPT, &binary);
        fs::write(here.join("help"), HELP).unwrap();
        fs::write(here.join("options"), OPTIONS).unwrap();
        fs::write(here.join("mode"), "none none\n").unwrap();
        fs::create_dir(here.join("photos")).unwrap();
        write_database(&here.join("database"), photos);
        for i in 0..photos {
            let picture = image::RgbImage::from_fn(64, 48, |x, y| image::Rgb([x as u8, y as u8, i as u8]));
            picture.save(here.join(format!("photos/p{i}.png"))).unwrap();
        }
        let options = ColmapOptions { binary: Some(binary), ..ColmapOptions::default() };
        Self { dir, options }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Below the working folder, where a later run goes on from.
    fn work(&self, name: &str) -> PathBuf {
        self.path("out").join("work").join(name)
    }

    fn mode(&self, mode: &str) {
        fs::write(self.path("mode"), format!("{mode}\n")).unwrap();
    }

    fn source(&self) -> ColmapSource {
        ColmapSource::new(self.path("photos"), self.path("out"), self.options.clone())
    }

    fn run(&self) -> (Result<Placement, ColmapError>, Events) {
        let events = Events::default();
        let result = self.source().run(&|event| events.push(event), &CancelToken::new());
        (result, events)
    }

    /// The commands called since the last look.
    fn calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.path("calls")).unwrap_or_default();
        let _ = fs::remove_file(self.path("calls"));
        calls.lines().map(|line| line.split(' ').next().unwrap_or_default().to_owned()).collect()
    }
}

const ALL_STAGES: [&str; 4] = ["feature_extractor", "exhaustive_matcher", "mapper", "image_undistorter"];

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
    let told: Vec<(u64, Option<u64>)> = (events.all().into_iter())
        .filter_map(|event| match event {
            Event::StageProgress { stage: Stage::Matching, done, total } => Some((done, total)),
            _ => None,
        })
        .collect();
    assert!(told.is_sorted() && told.last() == Some(&(2, Some(2))), "{told:?}");
    // Another engine begins with the same features, which nobody has compared.
    bench.options.matcher_engine = MatcherEngine::Colmap;
    bench.calls();
    bench.run().0.unwrap();
    assert_eq!(
        (bench.calls(), compared_pairs(&bench.path("verified"))),
        (ALL_STAGES[1..].iter().map(|name| (*name).to_owned()).collect(), 0)
    );
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
    for told in
        ["more features are sought in the other 2", "`p3.png` (only 0 features", "A second try placed 0 of 2"]
    {
        assert!(events.warnings().contains(told), "{told}: {}", events.warnings());
    }
    // A later run tells the same and does nothing.
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

/// Long enough for a busy machine: only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(120);

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not after {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether a process still runs (a zombie does not).
fn runs(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.contains(") Z") && !stat.contains(") X"))
}

/// A killed process ends when the kernel next schedules it, which may be after its parent was collected.
fn ends(pid: &str) {
    if cfg!(target_os = "linux") {
        wait_until("a killed child has ended", || !runs(pid));
    }
}

fn wait_for(path: &Path) -> String {
    let line = || fs::read_to_string(path).ok().filter(|text| text.ends_with('\n'));
    wait_until(&format!("{} is written", path.display()), || line().is_some());
    line().unwrap_or_default().trim().to_owned()
}

#[test]
fn the_time_limit_ends_a_hanging_stage_with_its_children() {
    let mut bench = Bench::new(4, 4);
    bench.mode("exhaustive_matcher hang");
    bench.options.stage_timeout = Some(Duration::from_secs(3));
    let error = bench.run().0.unwrap_err();
    assert!(matches!(error, ColmapError::TimedOut { command: "exhaustive_matcher", .. }), "{error}");
    ends(&wait_for(&bench.path("child")));
    // The next run goes on where this one was stopped.
    bench.mode("none none");
    bench.calls();
    bench.run().0.unwrap();
    assert_eq!(bench.calls(), ALL_STAGES[1..]);
}

#[test]
fn cancelling_ends_the_whole_group_at_once() {
    let bench = Bench::new(4, 4);
    bench.mode("feature_extractor hang");
    let cancel = CancelToken::new();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| bench.source().scene(&|_| (), &cancel));
        let child = wait_for(&bench.path("child"));
        assert!(!cfg!(target_os = "linux") || runs(&child));
        cancel.cancel();
        let result = run.join().unwrap();
        assert!(matches!(result, Err(splat_core::Error::Cancelled)), "{result:?}");
        ends(&child);
    });
}

#[test]
fn programs_that_are_missing_old_or_other_are_refused_in_words() {
    let bench = Bench::new(4, 4);
    let missing = Colmap::find(Some(Path::new("/nowhere/colmap"))).unwrap_err();
    assert!(matches!(missing, ColmapError::CannotStart { .. }), "{missing}");
    assert!(missing.to_string().contains("/nowhere/colmap") && missing.to_string().contains("install"));
    let binary = bench.path("colmap");
    assert_eq!(Colmap::find(Some(&binary)).unwrap().version().to_string(), "3.8");
    fs::write(bench.path("help"), "COLMAP 3.4 -- Structure-from-Motion\n").unwrap();
    let old = Colmap::find(Some(&binary)).unwrap_err().to_string();
    assert!(old.contains("COLMAP 3.4") && old.contains("too old"), "{old}");
    fs::write(bench.path("help"), "I am a calculator\n").unwrap();
    let other = Colmap::find(Some(&binary)).unwrap_err().to_string();
    assert!(other.contains("not COLMAP") && other.contains("I am a calculator"), "{other}");
    // The error reaches the core's callers as itself.
    let core = bench.source().scene(&|_| (), &CancelToken::new()).unwrap_err();
    assert_eq!(core.to_string(), other);
    fs::write(bench.path("help"), HELP).unwrap();
    fs::write(bench.path("options"), "unknown command\n").unwrap();
    let message = bench.run().0.unwrap_err().to_string();
    assert!(message.contains("no command `feature_extractor`"), "{message}");
}

#[test]
fn a_gpu_that_fails_gives_way_to_the_cpu() {
    let bench = Bench::new(4, 4);
    fs::write(bench.path("help"), "COLMAP 3.13.0 (Commit x with CUDA)\n").unwrap();
    fs::write(bench.path("options"), OPTIONS.replace("SiftExtraction.use_gpu", "FeatureExtraction.use_gpu"))
        .unwrap();
    let script = SCRIPT.replace(
        "case $command in",
        "case \"$command $all\" in *extractor*use_gpu?1*) exit 1 ;; esac\ncase $command in",
    );
    let script = script.replace("command=$1\n", "command=$1\nall=\"$*\"\n");
    install(&script, &bench.path("colmap"));
    let (result, events) = bench.run();
    result.unwrap();
    assert!(events.warnings().contains("failed on the GPU"), "{}", events.warnings());
    let calls = fs::read_to_string(bench.path("calls")).unwrap();
    assert!(
        calls.contains("--FeatureExtraction.use_gpu 1") && calls.contains("--FeatureExtraction.use_gpu 0"),
        "{calls}"
    );
}
