//! The Prepare stage: from the input folder to a folder of upright photos that COLMAP can read.
//!
//! Each file is decoded once, so that damaged ones are named here instead of half-read later. A
//! JPEG or PNG that is upright already is copied byte for byte; everything else is written as JPEG
//! with the EXIF focal length kept. EXIF orientation is thereby applied exactly once: COLMAP, the
//! undistorted pictures and training all see the same upright pixels.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Cursor};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageEncoder as _};
use rayon::prelude::*;
use splat_core::events::{EventSink, Stage};
use splat_core::images::{Orientation, PhotoFormat, PhotoInfo, decode_upright, probe};
use splat_core::{CancelToken, Event};

use super::listing::Source;
use crate::error::{ColmapError, Result, write_error};

/// Minimum number of photos.
pub(super) const MIN_PHOTOS: usize = 3;
/// Smaller images have practically no features.
const MIN_SIDE_PX: u32 = 32;
/// Quality of rewritten JPEGs: no visible loss, a quarter of a PNG's size.
const JPEG_QUALITY: u8 = 97;
/// Maximum number of skipped files named in a warning; the log has all.
const NAMES_SHOWN: usize = 20;

/// The photos of a run, by their names in the work folder.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Photos {
    /// Photos of one camera each: same maker, model, focal length and size. Sorted.
    pub(super) cameras: Vec<Vec<String>>,
    /// Files left out, and why.
    pub(super) skipped: Vec<(String, String)>,
    /// GPS positions, in degrees north and east.
    #[serde(default)]
    pub(super) positions: BTreeMap<String, [f64; 2]>,
    /// The longer side of each, in pixels.
    #[serde(default)]
    pub(super) sides: BTreeMap<String, u32>,
    /// Number of photos with transparent pixels, which are black here.
    #[serde(default)]
    pub(super) transparent: usize,
}

impl Photos {
    pub(super) fn count(&self) -> usize {
        self.cameras.iter().map(Vec::len).sum()
    }

    /// All names, sorted.
    pub(super) fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.cameras.iter().flatten().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    /// A sentence on photos with transparent pixels, if there are any.
    pub(super) fn transparent_warning(&self) -> Option<String> {
        (self.transparent > 0).then(|| {
            format!(
                "{} of {} photos have transparent pixels, which are black in the dataset that COLMAP makes: it has no alpha channels",
                self.transparent,
                self.count()
            )
        })
    }

    /// A sentence on the files left out, if there are any.
    pub(super) fn skipped_warning(&self) -> Option<String> {
        let first: Vec<String> =
            self.skipped.iter().take(NAMES_SHOWN).map(|(name, why)| format!("`{name}` ({why})")).collect();
        let more = self.skipped.len().saturating_sub(NAMES_SHOWN);
        let more = if more > 0 { format!(" and {more} more, named in the log") } else { String::new() };
        let all = self.skipped.len() + self.count();
        (!first.is_empty())
            .then(|| format!("{} of {all} files are skipped: {}{more}", self.skipped.len(), first.join(", ")))
    }
}

/// Checks and copies `sources` into the folder `out`, which is cleared first.
///
/// # Errors
/// [`ColmapError::NoPhotos`], [`ColmapError::TooFewPhotos`], or the disk's refusal.
pub(super) fn prepare(
    input: &Path,
    sources: &[Source],
    out: &Path,
    events: EventSink<'_>,
    cancel: &CancelToken,
) -> Result<Photos> {
    remove_dir(out)?;
    splat_core::files::make_dir(out)?;
    let done = AtomicU64::new(0);
    let results: Vec<Result<Prepared>> = sources
        .par_iter()
        .map(|source| {
            cancel.check()?;
            let prepared = prepare_one(source, out);
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            events(Event::StageProgress { stage: Stage::Prepare, done, total: Some(sources.len() as u64) });
            prepared
        })
        .collect();
    let mut cameras: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut photos = Photos::default();
    for (source, result) in sources.iter().zip(results) {
        match result? {
            Prepared::Photo { name, camera, position, side, transparent } => {
                photos.transparent += usize::from(transparent);
                photos.sides.insert(name.clone(), side);
                if let Some(position) = position {
                    photos.positions.insert(name.clone(), position);
                }
                cameras.entry(camera).or_default().push(name);
            }
            Prepared::Skipped(why) => photos.skipped.push((source.name.clone(), why)),
        }
    }
    photos.cameras = cameras.into_values().collect();
    let (dir, skipped) = (input.to_owned(), photos.skipped_warning().unwrap_or_default());
    match photos.count() {
        0 => Err(ColmapError::NoPhotos { dir, skipped }),
        count if count < MIN_PHOTOS => Err(ColmapError::TooFewPhotos { dir, count, skipped }),
        _ => Ok(photos),
    }
}

/// Removes a folder with its contents, if it exists.
pub(super) fn remove_dir(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(write_error(dir, error)),
        _ => Ok(()),
    }
}

/// Rejects an output folder in which replacing our own results would destroy other files.
pub(super) fn check_output(input: &Path, out: &Path, is_ours: bool) -> Result<()> {
    let refuse = |path: &Path| Err(ColmapError::OutputInTheWay { path: path.to_owned() });
    // A path that cannot be resolved does not exist.
    let resolved = |path: &Path| fs::canonicalize(path).ok();
    let Some(input) = resolved(input) else { return Ok(()) };
    if resolved(out).is_some_and(|out| out == input) {
        return refuse(out);
    }
    for name in ["images", "sparse", super::WORK] {
        let path = out.join(name);
        let is_filled = fs::read_dir(&path).is_ok_and(|mut entries| entries.next().is_some());
        let holds_input = resolved(&path).is_some_and(|path| input.starts_with(path));
        if holds_input || (is_filled && !is_ours && name != super::WORK) {
            return refuse(&path);
        }
    }
    Ok(())
}

/// Removes the database and what SQLite leaves beside it.
pub(super) fn remove_database(path: &Path) -> Result<()> {
    for suffix in ["", "-journal", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match fs::remove_file(&name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(write_error(Path::new(&name), error));
            }
            _ => {}
        }
    }
    Ok(())
}

enum Prepared {
    Photo { name: String, camera: String, position: Option<[f64; 2]>, side: u32, transparent: bool },
    Skipped(String),
}

/// Errors are those of the output; an unusable input file is skipped.
fn prepare_one(source: &Source, out: &Path) -> Result<Prepared> {
    let skip = |error| Ok(Prepared::Skipped(reason(&source.path, error)));
    let info = match probe(&source.path) {
        Ok(info) => info,
        Err(error) => return skip(error),
    };
    let (width, height) = info.upright_size();
    if width.min(height) < MIN_SIDE_PX {
        return Ok(Prepared::Skipped(format!(
            "its {width}x{height} pixels are too small to find anything in"
        )));
    }
    let upright = match decode_upright(&source.path) {
        Ok(upright) => upright,
        Err(error) => return skip(error),
    };
    let bytes = match fs::read(&source.path) {
        Ok(bytes) => bytes,
        Err(source_error) => {
            return skip(splat_core::Error::Read { path: source.path.clone(), source: source_error });
        }
    };
    let camera = format!(
        "{} {} {:?} {:?} {width}x{height}",
        info.camera_make.as_deref().unwrap_or_default(),
        info.camera_model.as_deref().unwrap_or_default(),
        info.focal_mm,
        info.focal_35mm
    );
    let extension = as_is_extension(&info, &bytes);
    let transparent = info.has_alpha && upright.pixels().any(|pixel| pixel[3] <= u8::MAX / 2);
    let content = match extension {
        Some(_) => bytes,
        None => encode(&DynamicImage::ImageRgba8(upright), &info)
            .map_err(|error| write_error(&source.path, io::Error::other(error)))?,
    };
    let name = output_name(&source.name, extension.unwrap_or("jpg"));
    let path = out.join(&name);
    splat_core::files::make_parent(&path)?;
    fs::write(&path, content).map_err(|error| write_error(&path, error))?;
    Ok(Prepared::Photo { name, camera, position: info.gps, side: width.max(height), transparent })
}

/// Why a file is skipped, without its path.
fn reason(path: &Path, error: splat_core::Error) -> String {
    use std::error::Error as _;
    match error {
        splat_core::Error::BadPhoto { what, .. } => what,
        splat_core::Error::Read { source, .. } => format!("it cannot be read: {source}"),
        error => {
            let prefix = format!("cannot use photo `{}`: ", path.display());
            let text = error.to_string();
            let text = text.strip_prefix(&prefix).unwrap_or(&text).to_owned();
            error.source().map_or(text.clone(), |cause| format!("{text}: {cause}"))
        }
    }
}

/// The extension under which COLMAP can take the file's own bytes: upright 8-bit grey or RGB in
/// JPEG (MPO too) or PNG.
fn as_is_extension(info: &PhotoInfo, bytes: &[u8]) -> Option<&'static str> {
    if info.orientation != Orientation::Upright || info.has_alpha {
        return None;
    }
    match info.format {
        PhotoFormat::Jpeg => matches!(jpeg_components(bytes), Some(1 | 3)).then_some("jpg"),
        // Bit depth and colour type of the IHDR chunk: grey or RGB with 8 bits.
        PhotoFormat::Png => matches!(bytes.get(24..26), Some([8, 0 | 2])).then_some("png"),
        _ => None,
    }
}

/// Colour components of a JPEG from its frame header; 4 is CMYK, which COLMAP misreads.
fn jpeg_components(bytes: &[u8]) -> Option<u8> {
    let mut at = 2;
    loop {
        let &[0xff, marker] = bytes.get(at..at + 2)? else { return None };
        match marker {
            // Fill bytes before a marker.
            0xff => at += 1,
            // Frame headers, all but the tables that share their range.
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => return bytes.get(at + 9).copied(),
            _ => at += 2 + usize::from(u16::from_be_bytes(*bytes.get(at + 2..)?.first_chunk()?)),
        }
    }
}

/// The source's name, with the content's extension put behind where its own does not say it.
fn output_name(name: &str, extension: &str) -> String {
    let own = Path::new(name).extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
    let fits = match own.as_deref() {
        Some("jpg" | "jpeg") => extension == "jpg",
        Some("png") => extension == "png",
        _ => false,
    };
    if fits { name.to_owned() } else { format!("{name}.{extension}") }
}

/// As JPEG, with the EXIF tags from which COLMAP takes its first guess of the focal length.
fn encode(upright: &DynamicImage, info: &PhotoInfo) -> image::ImageResult<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY);
    if let Some(exif) = focal_exif(info) {
        encoder.set_exif_metadata(exif).map_err(image::ImageError::Unsupported)?;
    }
    let rgb = flatten(upright);
    encoder.write_image(&rgb, rgb.width(), rgb.height(), image::ExtendedColorType::Rgb8)?;
    Ok(bytes)
}

/// Transparent pixels become black: their stored colour is arbitrary and would be matched.
fn flatten(upright: &DynamicImage) -> image::RgbImage {
    let rgba = upright.to_rgba8();
    image::RgbImage::from_fn(rgba.width(), rgba.height(), |x, y| {
        let [r, g, b, a] = rgba.get_pixel(x, y).0;
        image::Rgb([r, g, b].map(|c| ((u16::from(c) * u16::from(a) + 127) / 255) as u8))
    })
}

fn focal_exif(info: &PhotoInfo) -> Option<Vec<u8>> {
    use exif::{Field, In, Rational, Tag, Value, experimental::Writer};
    let text =
        |text: &Option<String>| Value::Ascii(vec![text.as_deref().unwrap_or_default().as_bytes().to_vec()]);
    let thousandths = |mm: f64| Rational { num: (mm * 1000.0).round() as u32, denom: 1000 };
    let field = |tag, value| Field { tag, ifd_num: In::PRIMARY, value };
    let mut fields = Vec::new();
    if let Some(mm) = info.focal_mm {
        fields.push(field(Tag::FocalLength, Value::Rational(vec![thousandths(mm)])));
    }
    if let Some(mm) = info.focal_35mm {
        fields.push(field(Tag::FocalLengthIn35mmFilm, Value::Short(vec![mm.round() as u16])));
    }
    if fields.is_empty() {
        return None;
    }
    fields.push(field(Tag::Make, text(&info.camera_make)));
    fields.push(field(Tag::Model, text(&info.camera_model)));
    let mut writer = Writer::new();
    fields.iter().for_each(|field| writer.push_field(field));
    let mut bytes = Cursor::new(Vec::new());
    writer.write(&mut bytes, false).ok()?;
    Some(bytes.into_inner())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn transparent_pixels_become_black_and_are_told_of() {
        let dir = tempfile::tempdir().unwrap();
        for (name, alpha) in [("a.png", 0), ("b.png", 255), ("c.png", 255)] {
            image::RgbaImage::from_fn(40, 40, |x, _| {
                image::Rgba([200, 200, 200, if x < 20 { alpha } else { 255 }])
            })
            .save(dir.path().join(name))
            .unwrap();
        }
        let out = dir.path().join("out");
        let sources = crate::driver::listing::list(dir.path(), &out).unwrap().sources;
        let photos = prepare(dir.path(), &sources, &out, &|_| {}, &CancelToken::new()).unwrap();
        assert!(photos.transparent_warning().unwrap().starts_with("1 of 3 photos"));
        let written = decode_upright(&out.join("a.png.jpg")).unwrap();
        assert!(written.get_pixel(5, 20)[0] < 20 && written.get_pixel(35, 20)[0] > 180);
        assert_eq!(Photos::default().transparent_warning(), None);
    }

    #[test]
    fn names_say_what_the_content_is() {
        for (name, extension, expected) in [
            ("a.jpg", "jpg", "a.jpg"),
            ("sub/A.JPEG", "jpg", "sub/A.JPEG"),
            ("a.png", "jpg", "a.png.jpg"),
            ("a.webp", "jpg", "a.webp.jpg"),
            ("a.mpo", "jpg", "a.mpo.jpg"),
            ("a.png", "png", "a.png"),
            ("photo", "jpg", "photo.jpg"),
        ] {
            assert_eq!(output_name(name, extension), expected);
        }
    }

    #[test]
    fn jpeg_components_are_read_past_other_segments() {
        let mut jpeg = vec![0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2, 0xff, 0xff, 0xc4, 0, 2];
        jpeg.extend([0xff, 0xc2, 0, 17, 8, 0, 9, 0, 9, 4]);
        assert_eq!(jpeg_components(&jpeg), Some(4));
        for length in 0..jpeg.len() {
            assert_eq!(jpeg_components(&jpeg[..length]), None);
        }
    }
}
