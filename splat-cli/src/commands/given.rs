//! Input of `run` and `colmap`: a folder of photos, or a zip or video from which one is extracted.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use splat_core::content::Content;
use splat_core::files::{self, make_dir};
use splat_core::images::MAX_PIXELS;
use splat_server::intake::{Intake, IntakeError, Limits, PhotoEntry, Rejected};
use splat_server::job::Owner;

use super::Context;
use super::serve::{runtime, stopped};
use crate::failure::{Failure, named};

/// Subfolder of the output folder for the photos of a zip or video, and their record.
const PHOTOS: &str = "photos";
const RECORD: &str = "photos.json";
/// Maximum number of frames per video: plenty for an orbit around an object, and matched in minutes.
const MAX_FRAMES: usize = 200;
/// Maximum number of files named in a message.
const NAMES_SHOWN: usize = 10;

/// Where photos were extracted from.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Record {
    source: PathBuf,
    bytes: u64,
    modified_ns: u128,
    photos: Vec<Photo>,
    skipped: Vec<String>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Photo {
    file: String,
    /// In the zip; for a frame, the video's name and the frame's number.
    name: String,
}

impl Record {
    fn begin(given: &Path) -> std::io::Result<Self> {
        let metadata = given.metadata()?;
        let modified = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Self {
            source: std::path::absolute(given)?,
            bytes: metadata.len(),
            modified_ns: modified.as_nanos(),
            photos: Vec::new(),
            skipped: Vec::new(),
        })
    }

    fn read(out: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(out.join(RECORD)).ok()?).ok()
    }

    /// Whether the photos in `dir` were extracted from the same, unchanged file and are complete.
    fn is_current(&self, new: &Self, dir: &Path) -> bool {
        let same = |record: &Self| (record.source.clone(), record.bytes, record.modified_ns);
        same(self) == same(new) && self.photos.iter().all(|photo| dir.join(&photo.file).is_file())
    }
}

/// The folder of photos: `given` itself, or one below `out` that is extracted from it. A folder that an earlier run extracted
/// from the same file is reused.
pub(super) fn photos(given: &Path, out: &Path, context: &Context) -> Result<PathBuf, Failure> {
    if !given.is_file() {
        return Ok(given.to_owned());
    }
    let unusable = |what: String, hint| Failure::Input { path: given.to_owned(), what, hint };
    let unreadable = |error: std::io::Error| unusable(format!("cannot be read: {error}"), "check the file");
    match Content::of_file(given).map_err(unreadable)? {
        Some(Content::Zip | Content::Video) => {}
        kind => {
            let is = kind.map_or("a file of no known kind".to_owned(), |kind| kind.to_string());
            let advice = kind.and_then(Content::advice).map(|advice| format!("; {}", named(advice, given)));
            let hint = "give the folder that holds the photos, a zip of them, or a video";
            let what = format!("is a file ({is}), and photos are needed{}", advice.unwrap_or_default());
            return Err(unusable(what, hint));
        }
    }
    let new = Record::begin(given).map_err(unreadable)?;
    let dir = out.join(PHOTOS);
    let earlier = Record::read(out);
    if let Some(record) = earlier.as_ref().filter(|record| record.is_current(&new, &dir)) {
        report_photos(record, given, &dir, context);
        return Ok(dir);
    }
    let occupied = std::fs::read_dir(&dir).is_ok_and(|mut entries| entries.next().is_some());
    if occupied && earlier.is_none() {
        return Err(Failure::Input {
            path: dir,
            what: "holds files of yours, and the photos would go there".into(),
            hint: "give another folder with `-o`",
        });
    }
    make_dir(out)?;
    context.reporter.note(&format!("taking photos out of {}", given.display()));
    let record = take(given, out, &dir, new, context)?;
    report_photos(&record, given, &dir, context);
    Ok(dir)
}

/// Extracts the photos to a new folder `dir`.
fn take(given: &Path, out: &Path, dir: &Path, new: Record, context: &Context) -> Result<Record, Failure> {
    let failed = |path: &Path, error: std::io::Error| Failure::Core(files::write_error(path, error));
    let scratch = tempfile::Builder::new().prefix(".intake").tempdir_in(out).map_err(|e| failed(out, e))?;
    let made = scratch.path().join(PHOTOS);
    make_dir(&made)?;
    let taken = runtime()?.block_on(async {
        tokio::select! {
            taken = extract(given, scratch.path(), &made) => taken.map(Some),
            () = stopped(context.cancel.clone()) => Ok(None),
        }
    });
    let Some((entries, rejected)) = taken.map_err(|error| refused(given, error))? else {
        return Err(Failure::Stopped { hint: None });
    };
    let photo = |entry: PhotoEntry| Photo { file: entry.file, name: entry.name };
    let skipped = rejected.into_iter().map(|rejected| format!("`{}` ({})", rejected.name, rejected.reason));
    let record =
        Record { photos: entries.into_iter().map(photo).collect(), skipped: skipped.collect(), ..new };
    // The record is written first: it marks the folder as created by this program.
    let json = serde_json::to_vec_pretty(&record).map_err(|error| failed(out, error.into()))?;
    files::write_atomically(&out.join(RECORD), |file| std::io::Write::write_all(file, &json))?;
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(dir, error)),
        _ => {}
    }
    std::fs::rename(&made, dir).map_err(|error| failed(dir, error))?;
    Ok(record)
}

/// Uses the service's intake, without its limits for untrusted clients.
async fn extract(
    given: &Path,
    scratch: &Path,
    made: &Path,
) -> Result<(Vec<PhotoEntry>, Vec<Rejected>), IntakeError> {
    let is_video = matches!(Content::of_file(given), Ok(Some(Content::Video)));
    let mut limits = Limits::default();
    limits.max_photos = if is_video { MAX_FRAMES } else { 100_000 };
    limits.max_file_bytes = u64::MAX;
    limits.max_job_bytes = u64::MAX;
    limits.max_pixels = MAX_PIXELS;
    limits.max_zip_entries = 1_000_000;
    limits.max_video_seconds = 24 * 3600;
    limits.video_timeout_seconds = 24 * 3600;
    let intake = Intake::open(scratch, limits)?;
    let mut draft = intake.begin(&Owner::local()).await?;
    draft.add_local_file(given).await?;
    let photos = draft.finish().await?;
    let rejected = photos.rejected().to_vec();
    Ok((photos.move_into(made).await?, rejected))
}

fn refused(given: &Path, error: IntakeError) -> Failure {
    let (what, hint) = match error {
        IntakeError::NoPhotos { rejected } | IntakeError::TooFewPhotos { rejected, .. }
            if !rejected.is_empty() =>
        {
            let named: Vec<String> = (rejected.iter().take(NAMES_SHOWN))
                .map(|rejected| format!("`{}`: {}", rejected.name, rejected.reason))
                .collect();
            (
                format!("gives too few photos: {}", named.join("; ")),
                "a scene takes three photos or more; ffmpeg reads videos, and `splat doctor` says whether it is there",
            )
        }
        error => {
            (format!("cannot be taken: {error}"), "unpack it, and give the folder that holds the photos")
        }
    };
    Failure::Input { path: given.to_owned(), what, hint }
}

/// Reports which photos are used and, on every run, which were rejected.
fn report_photos(record: &Record, given: &Path, dir: &Path, context: &Context) {
    let Record { photos, skipped, .. } = record;
    context.reporter.note(&format!(
        "{} photos of {} lie in {}",
        photos.len(),
        given.display(),
        dir.display()
    ));
    if !skipped.is_empty() {
        let named: Vec<&str> = skipped.iter().take(NAMES_SHOWN).map(String::as_str).collect();
        let more = skipped.len().saturating_sub(NAMES_SHOWN);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let all = skipped.len() + photos.len();
        context.reporter.warn(&format!(
            "{} of {all} files are skipped: {}{more}",
            skipped.len(),
            named.join(", ")
        ));
    }
}
