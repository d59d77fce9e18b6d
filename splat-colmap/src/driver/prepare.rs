//! The Prepare stage: from the input folder to a folder of upright photos that COLMAP can read.
//!
//! Each file is decoded once, so that damaged ones are named here instead of half-read later. A
//! JPEG or PNG that is upright already is copied byte for byte; everything else is written as JPEG, or
//! as PNG where pixels are transparent, with the focal length and the position of its EXIF kept. EXIF orientation is thereby applied exactly once: COLMAP, the
//! undistorted pictures and training all see the same upright pixels.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;
use splat_core::dataset::read_mask;
use splat_core::events::{EventSink, Stage};
use splat_core::images::{decode_upright, probe};
use splat_core::{CancelToken, Event};

use super::PHOTOS;
use super::encoding::{as_is_extension, encode, output_name};
use super::listing::Source;
use super::masks::{self, FEATURE_MASKS, GivenMasks, MASKS};
use crate::error::{ColmapError, Result, write_error};

/// Minimum number of photos.
pub(super) const MIN_PHOTOS: usize = 3;
/// Smaller images have practically no features.
const MIN_SIDE_PX: u32 = 32;
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
    /// Heights above sea level of those, in metres.
    #[serde(default)]
    pub(super) altitudes: BTreeMap<String, f64>,
    /// The longer side of each, in pixels.
    #[serde(default)]
    pub(super) sides: BTreeMap<String, u32>,
    /// Photos with transparent pixels, which are PNG here.
    #[serde(default)]
    pub(super) alpha: BTreeSet<String>,
    /// Photos with a mask beside them.
    #[serde(default)]
    pub(super) masked: BTreeSet<String>,
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

/// Checks and copies `sources` into `photos` of the work folder, and their masks into the folders beside it; all are cleared
/// first.
///
/// # Errors
/// [`ColmapError::NoPhotos`], [`ColmapError::TooFewPhotos`], or the disk's refusal.
pub(super) fn prepare(
    input: &Path,
    sources: &[Source],
    masks: &GivenMasks,
    work: &Path,
    events: EventSink<'_>,
    cancel: &CancelToken,
) -> Result<Photos> {
    for folder in [PHOTOS, MASKS, FEATURE_MASKS] {
        remove_dir(&work.join(folder))?;
    }
    splat_core::files::make_dir(&work.join(PHOTOS))?;
    let done = AtomicU64::new(0);
    let results: Vec<Result<Prepared>> = sources
        .par_iter()
        .map(|source| {
            cancel.check()?;
            let prepared = prepare_one(source, masks.of(source), work);
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            events(Event::StageProgress { stage: Stage::Prepare, done, total: Some(sources.len() as u64) });
            prepared
        })
        .collect();
    let mut cameras: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut photos = Photos::default();
    for (source, result) in sources.iter().zip(results) {
        match result? {
            Prepared::Photo { name, camera, position, altitude, side, alpha, masked } => {
                photos.alpha.extend(alpha.then(|| name.clone()));
                photos.masked.extend(masked.then(|| name.clone()));
                photos.sides.insert(name.clone(), side);
                if let Some(position) = position {
                    photos.positions.insert(name.clone(), position);
                    photos.altitudes.extend(altitude.map(|altitude| (name.clone(), altitude)));
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

/// Rejects an output folder with masks that are not ours, such as those of the photos beside it.
pub(super) fn check_masks(out: &Path, is_ours: bool) -> Result<()> {
    let path = out.join(MASKS);
    let is_filled = fs::read_dir(&path).is_ok_and(|mut entries| entries.next().is_some());
    if is_filled && !is_ours { Err(ColmapError::OutputInTheWay { path }) } else { Ok(()) }
}

/// Removes the database and what SQLite leaves beside it.
pub(super) fn remove_database(path: &Path) -> Result<()> {
    for suffix in ["", "-journal", "-wal", "-shm"] {
        let file = splat_core::files::with_ending(path, suffix);
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(write_error(&file, error)),
            _ => {}
        }
    }
    Ok(())
}

enum Prepared {
    Photo {
        name: String,
        camera: String,
        position: Option<[f64; 2]>,
        altitude: Option<f64>,
        side: u32,
        alpha: bool,
        masked: bool,
    },
    Skipped(String),
}

/// Errors are those of the output; an unusable input file is skipped.
fn prepare_one(source: &Source, mask: Option<&Path>, work: &Path) -> Result<Prepared> {
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
    let mask = match mask.map(|mask| read_mask(mask, width, height)).transpose() {
        Ok(mask) => mask,
        Err(error) => return Ok(Prepared::Skipped(format!("its mask: {}", reason(&source.path, error)))),
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
    let alpha = info.has_alpha && upright.pixels().any(|pixel| pixel[3] < u8::MAX);
    let extension = as_is_extension(&info, &bytes, alpha);
    let name = output_name(&source.name, extension.unwrap_or(if alpha { "png" } else { "jpg" }));
    let masked = mask.is_some();
    if alpha || masked {
        let file = masks::mask_name(&name);
        masks::write_feature_mask(&work.join(FEATURE_MASKS).join(&file), &upright, mask.as_deref())?;
        if let Some(mask) = mask {
            masks::write_grey(&work.join(MASKS).join(&file), &mask, (width, height))?;
        }
    }
    let content = match extension {
        Some(_) => bytes,
        None => encode(upright, alpha, &info)
            .map_err(|error| write_error(&source.path, io::Error::other(error)))?,
    };
    let path = work.join(PHOTOS).join(&name);
    splat_core::files::make_parent(&path)?;
    fs::write(&path, content).map_err(|error| write_error(&path, error))?;
    let side = width.max(height);
    Ok(Prepared::Photo { name, camera, position: info.gps, altitude: info.altitude_m, side, alpha, masked })
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn alpha_is_kept_and_no_feature_is_sought_where_it_or_a_mask_hides() {
        let dir = tempfile::tempdir().unwrap();
        let photos = dir.path().join("photos");
        for (name, alpha) in [("photos/a.png", 0), ("photos/b.png", 255), ("photos/c.webp", 9)] {
            let path = dir.path().join(name);
            splat_core::files::make_parent(&path).unwrap();
            let left_of = |x| if x < 20 { alpha } else { 255 };
            image::RgbaImage::from_fn(40, 40, |x, y| image::Rgba([200, y as u8, 7, left_of(x)]))
                .save(path)
                .unwrap();
        }
        // Beside photos in a folder of a usual name; half the size, the lower half black.
        fs::create_dir(dir.path().join("masks")).unwrap();
        let mask = image::GrayImage::from_fn(20, 20, |_, y| image::Luma([if y < 10 { 255 } else { 0 }]));
        mask.save(dir.path().join("masks/b.png")).unwrap();
        let work = dir.path().join("work");
        let (listing, given) = masks::list(&photos, &work, None).unwrap();
        assert!(given.message.as_deref().unwrap().starts_with("masks for 1 of 3 photos"), "{given:?}");
        let made = prepare(&photos, &listing.sources, &given, &work, &|_| {}, &CancelToken::new()).unwrap();
        assert_eq!(made.names(), ["a.png", "b.png.jpg", "c.webp.png"]);
        assert_eq!(made.alpha, ["a.png", "c.webp.png"].map(String::from).into());
        assert_eq!(made.masked, ["b.png.jpg".to_owned()].into());
        let copied = |name: &str| image::open(work.join(name)).unwrap();
        for (name, alpha) in [("photos/a.png", 0), ("photos/c.webp.png", 9)] {
            assert_eq!(copied(name).to_rgba8().get_pixel(5, 30).0, [200, 30, 7, alpha], "{name}");
        }
        let seen = |name: &str| {
            let mask = copied(name).to_luma8();
            [(5, 5), (35, 5), (5, 35), (35, 35)].map(|(x, y)| mask.get_pixel(x, y)[0])
        };
        assert_eq!(seen("feature_masks/a.png.png"), [0, 255, 0, 255]);
        assert_eq!(seen("feature_masks/c.webp.png.png"), [0, 255, 0, 255]);
        assert_eq!(seen("feature_masks/b.png.jpg.png"), [255, 255, 0, 0]);
        assert_eq!(seen("masks/b.png.jpg.png"), [255, 255, 0, 0]);
        assert!(!work.join("masks/a.png.png").exists());
        // A mask of another shape says so of its photo.
        image::GrayImage::new(40, 10).save(dir.path().join("masks/b.png")).unwrap();
        let few =
            prepare(&photos, &listing.sources, &given, &work, &|_| {}, &CancelToken::new()).unwrap_err();
        assert!(few.to_string().contains("`b.png` (its mask: it is a mask of 40x10"), "{few}");
    }
}
