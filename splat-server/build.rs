//! Embeds the page: everything below `web/assets`, the HTML files, and what `make web` has put into `web/dist`.
//!
//! Touches no network. Without the 3-D viewer and the hand tracking the server builds all the same, and the page says
//! what is missing.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Below this size compression saves nothing worth a header.
const LEAST_GZIP_BYTES: usize = 512;
/// Above this size only the compressed form is embedded; every browser takes it.
const MOST_PLAIN_BYTES: usize = 4 << 20;

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let web = root.join("web");
    for watched in [
        "assets",
        "dist",
        "csp-gestures.txt",
        "csp-page.txt",
        "csp-viewer.txt",
        "gestures.html",
        "index.html",
        "local.html",
        "viewer.html",
    ] {
        // A path that is missing would have cargo build the crate anew each time.
        if web.join(watched).exists() {
            println!("cargo::rerun-if-changed=web/{watched}");
        }
    }
    println!("cargo::rerun-if-changed=build.rs");

    let mut files = BTreeMap::new();
    collect(&web.join("assets"), "/assets", &mut files)?;
    let viewer = web.join("dist/viewer");
    let has_viewer = viewer.join("index.js").is_file() && viewer.join("index.css").is_file();
    if has_viewer {
        collect(&viewer, "/assets/viewer", &mut files)?;
    }
    let hands = web.join("dist/mediapipe");
    if hands.is_dir() {
        collect(&hands, "/assets/mediapipe", &mut files)?;
    }
    // One version for all assets: modules name each other relatively, so old and new ones never mix.
    let mut version = Fnv::new();
    for (path, bytes) in &files {
        version.add(path.as_bytes());
        version.add(bytes);
    }
    let version = version.hex();
    for (path, file) in [
        ("/", "index.html"),
        ("/gestures", "gestures.html"),
        ("/local", "local.html"),
        ("/viewer/", "viewer.html"),
        ("/shared/", "viewer.html"),
    ] {
        if web.join(file).is_file() {
            let html = fs::read_to_string(web.join(file))?.replace("assets/", &format!("assets/{version}/"));
            files.insert(path.to_owned(), html.into_bytes());
        }
    }

    let mut code = String::from("static FILES: &[Embedded] = &[\n");
    for (index, (path, bytes)) in files.iter().enumerate() {
        let packed = gzip(bytes)?;
        let is_packed = bytes.len() >= LEAST_GZIP_BYTES && packed.len() < bytes.len();
        let form = |keep: bool, name: String, content: &[u8]| {
            if keep {
                // Named by the variable, so that a target folder may be moved.
                let code = format!("Some(include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}\")))");
                fs::write(out.join(name), content).map(|()| code)
            } else {
                Ok("None".to_owned())
            }
        };
        let packed_code = form(is_packed, format!("page_{index}.gz"), &packed)?;
        let plain_code = form(!is_packed || bytes.len() <= MOST_PLAIN_BYTES, format!("page_{index}"), bytes)?;
        let mut hash = Fnv::new();
        hash.add(bytes);
        writeln!(
            code,
            "    Embedded {{ path: {path:?}, plain: {plain_code}, gzip: {packed_code}, etag: {:?} }},",
            format!("\"{}\"", hash.hex())
        )
        .expect("a String takes all");
    }
    writeln!(code, "];\nconst VERSION: &str = {version:?};\nconst HAS_VIEWER: bool = {has_viewer};")
        .expect("a String takes all");
    for (name, file) in
        [("GESTURES_CSP", "csp-gestures.txt"), ("PAGE_CSP", "csp-page.txt"), ("VIEWER_CSP", "csp-viewer.txt")]
    {
        let policy = fs::read_to_string(web.join(file))?.lines().collect::<Vec<_>>().join("; ");
        writeln!(code, "const {name}: &str = {policy:?};").expect("a String takes all");
    }
    // What a link shows may stand in any page.
    let policy = fs::read_to_string(web.join("csp-viewer.txt"))?;
    let policy = policy
        .lines()
        .map(|line| if line.starts_with("frame-ancestors") { "frame-ancestors *" } else { line });
    let policy = policy.collect::<Vec<_>>().join("; ");
    writeln!(code, "const SHARED_CSP: &str = {policy:?};").expect("a String takes all");
    fs::write(out.join("page_files.rs"), code)
}

/// Reads every file below `folder` under its URL.
fn collect(folder: &Path, url: &str, files: &mut BTreeMap<String, Vec<u8>>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry
            .file_name()
            .into_string()
            .map_err(|name| io::Error::other(format!("{} is not UTF-8", name.display())))?;
        if name.starts_with('.') {
            continue;
        }
        let url = format!("{url}/{name}");
        if entry.path().is_dir() {
            collect(&entry.path(), &url, files)?;
        } else {
            files.insert(url, fs::read(entry.path())?);
        }
    }
    Ok(())
}

fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// FNV-1a of 128 bits: tells contents apart; nothing depends on it being hard to invert.
struct Fnv(u128);

impl Fnv {
    fn new() -> Self {
        Self(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }

    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u128::from(*byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
    }

    fn hex(&self) -> String {
        format!("{:016x}", (self.0 >> 64) as u64 ^ self.0 as u64)
    }
}
