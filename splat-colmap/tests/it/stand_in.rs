//! A stand-in for COLMAP.
//!
//! It is a shell script, so its tests run where there is a shell.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use splat_colmap::{
    ColmapError, ColmapOptions, ColmapSource, ModelForm, Point3d, PosedImage, Reconstruction, write_model,
};
use splat_core::{CancelToken, Lens, Pinhole, Placement, Pose};

use crate::common::Events;

pub(crate) const SCRIPT: &str = r#"#!/bin/sh
# Stands in for COLMAP. Beside it lie `mode` ("command behaviour"), `model` (what the mapper finds).
here=$(dirname "$0")
command=$1
[ "$command" = help ] && { cat "$here/help"; exit 0; }
if [ "$2" = --help ]; then
    # Releases before 4.0 lack the one, those before 3.11 the other.
    [ "$command" != global_mapper ] || [ -d "$here/global" ] || { echo "Command not recognized"; exit 1; }
    [ "$command" != pose_prior_mapper ] || [ -f "$here/priors" ] || { echo "Command not recognized"; exit 1; }
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
    mapper | pose_prior_mapper)
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

pub(crate) const HELP: &str =
    "COLMAP 3.8 -- Structure-from-Motion and Multi-View Stereo\n(Commit x on y without CUDA)\n";
pub(crate) const OPTIONS: &str =
    "  -h [ --help ]\n  --database_path arg\n  --image_path arg\n  --image_list_path arg\n  --output_path arg
  --input_path arg\n  --SiftExtraction.use_gpu arg (=1)\n  --SiftExtraction.max_num_features arg (=8192)
  --SiftMatching.use_gpu arg (=1)\n  --match_list_path arg
  --prior_position_std_x arg (=1)\n";

/// Writes a program from another process. A file that this one holds open for writing is inherited by every program that
/// another test starts at that moment, and until that program has replaced its image the system refuses to run the file
/// ("Text file busy").
pub(crate) fn install(script: &str, binary: &Path) {
    let text = binary.with_extension("text");
    fs::write(&text, script).unwrap();
    // `install` replaces the file, so one that still runs is not written to either.
    let status = Command::new("install").args(["-m", "755"]).arg(&text).arg(binary).status().unwrap();
    assert!(status.success());
    fs::remove_file(text).unwrap();
}

/// What feature extraction leaves: photos `p0.png`, `p1.png` ... with the same four features.
pub(crate) fn write_database(path: &Path, photos: usize) {
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
pub(crate) fn write_posed(dir: &Path, registered: usize) {
    write_posed_of(dir, 0..registered);
}

pub(crate) fn write_posed_of(dir: &Path, photos: std::ops::Range<usize>) {
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
pub(crate) fn compared_pairs(path: &Path) -> u32 {
    let database = rusqlite::Connection::open(path).unwrap();
    database.query_row("SELECT COUNT(*) FROM matches WHERE rows = 4", [], |row| row.get(0)).unwrap()
}

pub(crate) struct Bench {
    dir: tempfile::TempDir,
    pub(crate) options: ColmapOptions,
}

impl Bench {
    /// A stand-in whose mapper places `registered` of `photos` photos.
    pub(crate) fn new(photos: usize, registered: usize) -> Self {
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

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Below the working folder, where a later run goes on from.
    pub(crate) fn work(&self, name: &str) -> PathBuf {
        self.path("out").join("work").join(name)
    }

    pub(crate) fn mode(&self, mode: &str) {
        fs::write(self.path("mode"), format!("{mode}\n")).unwrap();
    }

    pub(crate) fn source(&self) -> ColmapSource {
        ColmapSource::new(self.path("photos"), self.path("out"), self.options.clone())
    }

    pub(crate) fn run(&self) -> (Result<Placement, ColmapError>, Events) {
        let events = Events::default();
        let result = self.source().run(&|event| events.push(event), &CancelToken::new());
        (result, events)
    }

    /// The commands called since the last look.
    pub(crate) fn calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.path("calls")).unwrap_or_default();
        let _ = fs::remove_file(self.path("calls"));
        calls.lines().map(|line| line.split(' ').next().unwrap_or_default().to_owned()).collect()
    }
}

pub(crate) const ALL_STAGES: [&str; 4] =
    ["feature_extractor", "exhaustive_matcher", "mapper", "image_undistorter"];
