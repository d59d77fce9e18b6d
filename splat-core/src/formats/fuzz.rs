//! Fuzzing with mutated files of every format: they are read or rejected, without panics, hangs, or more Gaussians than the bytes
//! can hold.
//!
//! The test suite runs a few hundred mutants; `SPLAT_FUZZ_SECONDS=3600 cargo test --release -p splat-core --lib fuzz --
//! --nocapture` runs for an hour. The content of compressed formats is mutated and compressed again, since checksums would
//! otherwise reject most mutants. A failing file is kept in the folder for temporary files, under the name that is printed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "the figures are worth reading")]

use std::io::{Cursor, Read as _, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::*;
use crate::random::Random;
use crate::test_data;

/// Number of mutants in the test suite.
const FEW: usize = 400;
/// Maximum Gaussians per byte of any format: a WebP of one colour.
const MOST_PER_BYTE: usize = 4096;

/// A file to mutate.
struct Seed {
    name: String,
    bytes: Vec<u8>,
}

fn seeds() -> Vec<Seed> {
    let folder = tempfile::tempdir().unwrap();
    let mut seeds = Vec::new();
    for sh_degree in [0, 1, 3] {
        for format in super::tests::ALL {
            let path = super::tests::write_file(folder.path(), format, &super::tests::cloud(30, sh_degree));
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            seeds.push(Seed { name, bytes: fs::read(path).unwrap() });
        }
    }
    let ascii = "ply\nformat ascii 1.0\ncomment SplatOrigin: 1 2 3\nelement face 1\nproperty list uchar int vertex_indices\nelement vertex 2\n";
    let names = "x y z rot_0 rot_1 rot_2 rot_3 scale_0 scale_1 scale_2 opacity f_dc_0 f_dc_1 f_dc_2";
    let properties: String = names.split(' ').map(|name| format!("property double {name}\n")).collect();
    let text = format!(
        "{ascii}{properties}end_header\n3 0 1 2\n{0}\n{0}\n",
        "1 -2.5 3e-2 nan 1 0 0 0 -3 -3 inf 1 2 3"
    );
    seeds.push(Seed { name: "ascii.ply".into(), bytes: text.into_bytes() });
    let gltf = r#"{"asset":{"version":"2.0"},"scene":0,"scenes":[{"nodes":[0]}],"nodes":[{"children":[1],"scale":[2,2,2]},{"mesh":0,"rotation":[0,0,0,1]}],
        "meshes":[{"primitives":[{"mode":0,"attributes":{"POSITION":0,"COLOR_0":1,"KHR_gaussian_splatting:ROTATION":2,"KHR_gaussian_splatting:SCALE":0,"KHR_gaussian_splatting:OPACITY":3},
        "extensions":{"KHR_gaussian_splatting":{"kernel":"ellipse"}}}]}],"buffers":[{"byteLength":48,"uri":"data:application/octet-stream;base64,AACAPwAAgD8AAIA/AACAPwAAgD8AAIA/AACAPwAAgD8AAIA/AACAPwAAgD8AAIA/"}],
        "bufferViews":[{"buffer":0,"byteLength":48,"byteStride":12}],"accessors":[{"bufferView":0,"componentType":5126,"count":2,"type":"VEC3"},
        {"bufferView":0,"componentType":5121,"normalized":true,"count":2,"type":"VEC4"},{"bufferView":0,"componentType":5126,"count":2,"type":"VEC4"},
        {"bufferView":0,"byteOffset":4,"componentType":5126,"count":2,"type":"SCALAR"}]}"#;
    // Its strides do not fit all attributes; some mutants fix that.
    seeds.push(Seed { name: "inline.gltf".into(), bytes: gltf.as_bytes().to_vec() });
    // More seeds if the shared data is available; those above cover every reader without it.
    let folder = test_data("splats/splat_transform_minimal");
    if folder.is_dir() {
        for name in ["minimal.ksplat", "minimal-v4.spz"] {
            seeds.push(Seed { name: name.into(), bytes: fs::read(folder.join(name)).unwrap() });
        }
    }
    seeds
}

/// Numbers at which arithmetic overflows or loses precision.
const ODD: [u64; 12] = [
    0,
    1,
    0x7f,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    0x7f80_0000,
    0xff80_0000,
    0x7fff_ffff_ffff_ffff,
    u64::MAX,
];

/// Changes some bytes, one way or another.
fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..1 + random.below(4) {
        if bytes.is_empty() {
            return;
        }
        // Half of the changes near the beginning, where headers are.
        let within = if random.below(2) == 0 { bytes.len().min(256) } else { bytes.len() };
        let at = random.below(within);
        let len = (1 + random.below(16)).min(bytes.len() - at);
        match random.below(8) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.next_u64() as u8,
            2 | 3 => {
                let odd = ODD[random.below(ODD.len())].to_le_bytes();
                let width = [1, 2, 4, 8][random.below(4)].min(bytes.len() - at);
                bytes[at..at + width].copy_from_slice(&odd[..width]);
            }
            4 => bytes.truncate(at),
            5 => drop(bytes.drain(at..at + len)),
            6 => {
                let copied: Vec<u8> = bytes[at..at + len].to_vec();
                let to = random.below(bytes.len());
                bytes.splice(to..to, copied);
            }
            _ => number_in_text(bytes, at, random),
        }
    }
}

/// Replaces the next decimal number in a text by another one.
fn number_in_text(bytes: &mut Vec<u8>, from: usize, random: &mut Random) {
    let Some(start) = bytes[from..].iter().position(u8::is_ascii_digit).map(|at| from + at) else { return };
    let end = bytes[start..].iter().position(|b| !b.is_ascii_digit()).map_or(bytes.len(), |at| start + at);
    let texts = [
        "0",
        "-1",
        "1",
        "2",
        "255",
        "65536",
        "4294967295",
        "18446744073709551615",
        "99999999999999999999",
        "1e39",
        "0.5",
        "",
    ];
    bytes.splice(start..end, texts[random.below(texts.len())].bytes());
}

/// Mutates the content of a compressed file; `None` for other formats.
fn mutate_inside(seed: &Seed, random: &mut Random) -> Option<Vec<u8>> {
    if seed.bytes.starts_with(b"\x1f\x8b") {
        let mut inside = Vec::new();
        flate2::read::GzDecoder::new(&seed.bytes[..]).read_to_end(&mut inside).ok()?;
        mutate(&mut inside, random);
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(&inside).ok()?;
        return packed.finish().ok();
    }
    if seed.bytes.starts_with(b"PK") {
        let mut archive = zip::ZipArchive::new(Cursor::new(&seed.bytes)).ok()?;
        let changed = if random.below(2) == 0 { 0 } else { random.below(archive.len()) };
        let mut packed = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let stored =
            zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        for index in 0..archive.len() {
            let mut entry = archive.by_index(index).ok()?;
            let mut content = Vec::new();
            entry.read_to_end(&mut content).ok()?;
            if index == changed {
                mutate(&mut content, random);
            }
            packed.start_file(entry.name().ok()?.into_owned(), stored).ok()?;
            packed.write_all(&content).ok()?;
        }
        return packed.finish().ok().map(Cursor::into_inner);
    }
    None
}

/// Reads a mutant, checks the result, and returns whether it was a scene.
fn try_one(path: &Path, bytes: &[u8]) -> bool {
    fs::write(path, bytes).unwrap();
    let Ok(scene) = read(path) else { return false };
    scene.cloud.validate().unwrap();
    assert!(scene.cloud.means.as_flattened().iter().all(|value| value.is_finite()));
    let most = bytes.len() * MOST_PER_BYTE;
    assert!(scene.cloud.len() <= most, "{} Gaussians of {} bytes", scene.cloud.len(), bytes.len());
    true
}

#[test]
fn mutants_of_every_form_are_read_or_refused() {
    let seconds = std::env::var("SPLAT_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    let end = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let mut random = Random::new(seconds.unwrap_or(0), 0xf, 0);
    let (seeds, folder) = (seeds(), tempfile::tempdir().unwrap());
    let (mut tried, mut scenes, mut slowest) = (0_usize, 0_usize, (Duration::ZERO, String::new()));
    while end.map_or(tried < FEW, |end| Instant::now() < end) {
        let seed = &seeds[random.below(seeds.len())];
        let inside = if random.below(2) == 0 { mutate_inside(seed, &mut random) } else { None };
        let bytes = inside.unwrap_or_else(|| {
            let mut bytes = seed.bytes.clone();
            mutate(&mut bytes, &mut random);
            bytes
        });
        let path = folder.path().join(&seed.name);
        let begun = Instant::now();
        match catch_unwind(AssertUnwindSafe(|| try_one(&path, &bytes))) {
            Ok(scene) => scenes += usize::from(scene),
            Err(_) => {
                let kept = std::env::temp_dir().join(format!("splat-mutant-{tried}-{}", seed.name));
                fs::write(&kept, &bytes).unwrap();
                panic!("mutant {tried} of {} fails; it is kept as {}", seed.name, kept.display());
            }
        }
        if begun.elapsed() > slowest.0 {
            slowest = (begun.elapsed(), seed.name.clone());
        }
        tried += 1;
    }
    // Most must be rejected and some be read, or the mutants would not reach the readers.
    assert!(scenes * 50 > tried && scenes < tried, "{scenes} of {tried} are scenes");
    println!("{tried} mutants, {scenes} of them scenes; the slowest took {:?} ({})", slowest.0, slowest.1);
}
