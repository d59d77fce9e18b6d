//! Extracts photos from a zip archive, in bounded memory, with limits enforced while it is unpacked.
//!
//! Names in the archive are for display and never used as paths.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use zip::{CompressionMethod, ZipArchive};

use super::archive_folders::Folders;
use super::error::{IntakeError, RejectCode, Rejected, Result, at};
use super::photos::StoredPhoto;
use super::sink::{FLOOR_CHECK_BYTES, Floor};
use super::sniff::{self, Kind};
use super::{Limits, name, photos};

/// Maximum ratio of unpacked to archive size; photos are already compressed and come near 1.
const MAX_RATIO: u64 = 100;
/// The ratio is not checked below this size.
const RATIO_FREE_BYTES: u64 = 1 << 20;
const PIECE: usize = 64 * 1024;
/// Bytes that may be read to find and parse an archive's directory. In addition, each entry may need 46 and the length of its
/// name, usually below 200.
const DIRECTORY_BYTES: u64 = 1 << 20;
const DIRECTORY_BYTES_PER_ENTRY: u64 = 512;

/// Photos of an archive, and rejected entries.
type Found = (Vec<StoredPhoto>, Vec<Rejected>);

/// What to unpack, and its limits.
pub(super) struct Extraction<'a> {
    pub(super) archive: &'a Path,
    /// The archive's name, for display.
    pub(super) name: &'a str,
    /// Where photos are written, named by `prefix` and a number.
    pub(super) dir: &'a Path,
    pub(super) prefix: &'a str,
    pub(super) limits: &'a Limits,
    pub(super) photos_left: usize,
    pub(super) bytes_left: u64,
    pub(super) floor: &'a Floor,
    /// Set when the request was dropped.
    pub(super) cancelled: &'a AtomicBool,
}

/// What is rejected: an entry, the archive, or the request.
enum Stop {
    /// This entry only.
    Entry(RejectCode, String),
    /// The whole archive.
    Archive(RejectCode, String),
    /// The whole request.
    Request(IntakeError),
}

impl From<IntakeError> for Stop {
    fn from(error: IntakeError) -> Self {
        Self::Request(error)
    }
}

impl Extraction<'_> {
    /// Unpacks the photos of the archive; `Ok(Err)` if the archive as a whole is rejected, and then none of its files are left.
    pub(super) fn run(&self) -> Result<std::result::Result<Found, Rejected>> {
        let (mut photos, mut rejected) = (Vec::new(), Vec::new());
        match self.unpack(&mut photos, &mut rejected) {
            Ok(()) => Ok(Ok((photos, rejected))),
            Err(stop) => {
                for photo in photos {
                    fs::remove_file(&photo.place).map_err(at(&photo.place))?;
                }
                match stop {
                    Stop::Entry(code, reason) | Stop::Archive(code, reason) => {
                        Ok(Err(Rejected::new(self.name, code, reason)))
                    }
                    Stop::Request(error) => Err(error),
                }
            }
        }
    }

    fn unpack(
        &self,
        photos: &mut Vec<StoredPhoto>,
        rejected: &mut Vec<Rejected>,
    ) -> std::result::Result<(), Stop> {
        let (mut archive, archive_bytes) = open(self.archive, self.limits.max_zip_entries)?;
        let mut out = Budget {
            left: self.bytes_left,
            ratio_left: archive_bytes.saturating_mul(MAX_RATIO).saturating_add(RATIO_FREE_BYTES),
            unchecked: 0,
        };
        let folders = Folders::of(archive.file_names().flatten());
        for number in 0..archive.len() {
            if self.cancelled.load(Ordering::Relaxed) {
                return Err(IntakeError::Interrupted { why: "the client went away".into() }.into());
            }
            let entry = archive.by_index_data(number).map_err(|_| bad_archive())?;
            let entry_name =
                entry.name().unwrap_or_else(|_| String::from_utf8_lossy(entry.name_raw())).into_owned();
            let place = self.dir.join(format!("{}{number:05}", self.prefix));
            let made = if is_clutter(&entry_name) { None } else { folders.made_from_photos(&entry_name) };
            let taken = match made {
                Some(reason) => Err(Stop::Entry(RejectCode::UnsupportedFormat, reason)),
                None => self.entry(&mut archive, number, &entry_name, &place, photos.len(), &mut out),
            };
            match taken {
                Ok(Some(photo)) => photos.push(photo),
                Ok(None) => {}
                Err(Stop::Entry(code, reason)) => {
                    remove(&place)?;
                    rejected.push(Rejected::new(&name::shown(&entry_name), code, reason));
                }
                Err(stop) => {
                    remove(&place)?;
                    return Err(stop);
                }
            }
        }
        if photos.is_empty() && rejected.is_empty() {
            return Err(Stop::Archive(RejectCode::BadZip, "it holds no photo".into()));
        }
        Ok(())
    }

    /// `None` for entries that are skipped silently: folders, and files that operating systems add.
    fn entry(
        &self,
        archive: &mut ZipArchive<Metered>,
        number: usize,
        entry_name: &str,
        place: &Path,
        taken: usize,
        out: &mut Budget,
    ) -> std::result::Result<Option<StoredPhoto>, Stop> {
        /// File type bits of a Unix mode, and the value for a regular file.
        const TYPE: u32 = 0o170_000;
        const PLAIN: u32 = 0o100_000;
        let refuse = |code, reason: &str| Err(Stop::Entry(code, reason.to_owned()));
        let entry = archive.by_index_data(number).map_err(|_| damaged())?;
        if escapes_folder(entry_name) {
            return refuse(RejectCode::UnsafeName, "its name in the zip leads out of the zip");
        }
        if entry.is_dir() || is_clutter(entry_name) {
            return Ok(None);
        }
        if entry.unix_mode().is_some_and(|mode| !matches!(mode & TYPE, 0 | PLAIN)) || entry.is_symlink() {
            return refuse(RejectCode::Link, "it is a link or a special file, not a photo");
        }
        if entry.encrypted() {
            return refuse(RejectCode::Encrypted, "it asks for a password; make the zip without one");
        }
        if !matches!(entry.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
            return refuse(RejectCode::BadZip, UNUSUAL_COMPRESSION);
        }
        let mut entry = archive.by_index(number).map_err(|_| damaged())?;
        let mut head = Vec::with_capacity(sniff::HEAD_BYTES);
        entry.by_ref().take(sniff::HEAD_BYTES as u64).read_to_end(&mut head).map_err(|_| damaged())?;
        match sniff::kind(&head) {
            Ok(Kind::Photo) => {}
            Ok(Kind::Zip) => {
                return refuse(
                    RejectCode::NestedArchive,
                    "it is a zip within the zip, which is not unpacked",
                );
            }
            Ok(Kind::Video(_)) => {
                return refuse(
                    RejectCode::UnsupportedFormat,
                    "it is a video within the zip; send it by itself",
                );
            }
            Err(_) if head.is_empty() => return refuse(RejectCode::EmptyFile, "it is empty (0 bytes)"),
            Err(reason) => return refuse(RejectCode::UnsupportedFormat, reason),
        }
        if taken >= self.photos_left {
            return Err(IntakeError::TooManyPhotos { max: self.limits.max_photos }.into());
        }
        let bytes = self.write(&mut entry, &head, place, out)?;
        photos::check(place, &name::shown(entry_name), bytes, self.limits)
            .map(Some)
            .map_err(|rejected| Stop::Entry(rejected.code, rejected.reason))
    }

    fn write(
        &self,
        entry: &mut impl Read,
        head: &[u8],
        place: &Path,
        out: &mut Budget,
    ) -> std::result::Result<u64, Stop> {
        let mut file = File::create_new(place).map_err(at(place))?;
        let (mut bytes, mut piece) = (0_u64, vec![0; PIECE]);
        let mut next: Cow<'_, [u8]> = Cow::Borrowed(head);
        loop {
            let length = next.len() as u64;
            bytes += length;
            if bytes > self.limits.max_file_bytes {
                let reason =
                    format!("it has more than {} bytes, the most for one file", self.limits.max_file_bytes);
                return Err(Stop::Entry(RejectCode::FileTooLarge, reason));
            }
            out.spend(length, self)?;
            file.write_all(&next).map_err(at(place))?;
            let read = entry.read(&mut piece).map_err(|_| damaged())?;
            if read == 0 {
                break;
            }
            next = Cow::Owned(piece.get(..read).unwrap_or_default().to_vec());
        }
        file.sync_data().map_err(at(place))?;
        Ok(bytes)
    }
}

/// Checks that the directory of an archive can be read and is within limits.
pub(super) fn check(
    archive: &Path,
    name: &str,
    limits: &Limits,
) -> Result<std::result::Result<(), Rejected>> {
    match open(archive, limits.max_zip_entries) {
        Ok(_) => Ok(Ok(())),
        Err(Stop::Entry(code, reason) | Stop::Archive(code, reason)) => {
            Ok(Err(Rejected::new(name, code, reason)))
        }
        Err(Stop::Request(error)) => Err(error),
    }
}

/// Reads the directory of an archive with at most `max_entries` entries, with a limit on the bytes read. Also returns the size of
/// the archive.
fn open(archive: &Path, max_entries: usize) -> std::result::Result<(ZipArchive<Metered>, u64), Stop> {
    let file = File::open(archive).map_err(at(archive))?;
    let bytes = file.metadata().map_err(at(archive))?.len();
    let directory =
        DIRECTORY_BYTES.saturating_add(DIRECTORY_BYTES_PER_ENTRY.saturating_mul(max_entries as u64));
    let left = Arc::new(AtomicU64::new(directory));
    match ZipArchive::new(Metered { file: BufReader::new(file), left: left.clone() }) {
        Ok(archive) if archive.len() > max_entries => Err(too_many_entries(max_entries)),
        Ok(archive) => {
            left.store(u64::MAX, Ordering::Relaxed);
            Ok((archive, bytes))
        }
        Err(_) if left.load(Ordering::Relaxed) == 0 => Err(too_many_entries(max_entries)),
        Err(_) => Err(bad_archive()),
    }
}

const UNUSUAL_COMPRESSION: &str =
    "it is compressed in a way that is not read; make the zip with the usual compression (deflate)";

/// A reader with a limit on the bytes read. The zip crate holds the directory in memory, so an unlimited one could be gigabytes.
#[derive(Debug)]
struct Metered {
    file: BufReader<File>,
    left: Arc<AtomicU64>,
}

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 {
            return Err(std::io::Error::other("the directory of the archive is too large"));
        }
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.file.read(buffer.get_mut(..most).unwrap_or_default())?;
        self.left.store(left - read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

impl Seek for Metered {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.file.seek(to)
    }
}

/// What may still be unpacked.
struct Budget {
    /// Bytes left for the job.
    left: u64,
    /// Bytes left for this archive before it counts as a zip bomb.
    ratio_left: u64,
    unchecked: u64,
}

impl Budget {
    fn spend(&mut self, bytes: u64, job: &Extraction<'_>) -> std::result::Result<(), Stop> {
        let Some(ratio_left) = self.ratio_left.checked_sub(bytes) else {
            let reason = format!("it unpacks to more than {MAX_RATIO} times its size, as no photos do");
            return Err(Stop::Archive(RejectCode::ZipBomb, reason));
        };
        let Some(left) = self.left.checked_sub(bytes) else {
            return Err(IntakeError::JobTooLarge { max: job.limits.max_job_bytes }.into());
        };
        self.unchecked += bytes;
        if self.unchecked >= FLOOR_CHECK_BYTES {
            job.floor.check(bytes)?;
            self.unchecked = 0;
        }
        (self.left, self.ratio_left) = (left, ratio_left);
        Ok(())
    }
}

fn too_many_entries(max: usize) -> Stop {
    let reason = format!(
        "its list of files is longer than the {max} entries that one zip may have; put only the photos in"
    );
    Stop::Archive(RejectCode::TooManyEntries, reason)
}

fn bad_archive() -> Stop {
    Stop::Archive(
        RejectCode::BadZip,
        "it is no readable zip, or breaks off before its end; make or copy it again".into(),
    )
}

fn damaged() -> Stop {
    Stop::Entry(RejectCode::BadZip, "it is damaged within the zip; make the zip again".into())
}

fn remove(place: &Path) -> Result<()> {
    match fs::remove_file(place) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(IntakeError::from_io(place, error)),
        _ => Ok(()),
    }
}

/// Whether a name would point outside of the folder if it were used as a path.
fn escapes_folder(name: &str) -> bool {
    let drive = name.as_bytes().get(1) == Some(&b':');
    drive
        || name.starts_with(['/', '\\'])
        || name.contains('\0')
        || name.split(['/', '\\']).any(|part| part == "..")
}

/// Files that macOS and Windows add to archives, and hidden ones.
fn is_clutter(name: &str) -> bool {
    let clutter = |part: &str| {
        part == "__MACOSX"
            || (part.starts_with('.') && part != ".")
            || part.eq_ignore_ascii_case("thumbs.db")
            || part.eq_ignore_ascii_case("desktop.ini")
    };
    name.ends_with(['/', '\\']) || name.split(['/', '\\']).any(clutter)
}
