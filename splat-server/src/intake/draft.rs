//! A draft: photos that are collected for a job.

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures_util::stream::Stream;

use super::error::{IntakeError, RejectCode, Rejected, Result, at};
use super::photos::{Photos, StoredPhoto};
use super::sink::{Peeked, Sink};
use super::sniff::{self, Kind, VideoKind};
use super::tus::UsedUpload;
use super::video::Video;
use super::{Added, PhotoEntry, Shared, name, photos, zip};
use crate::job::{JobId, Owner};
use crate::store::{blocking, remove_tree};

/// Files per request beyond the maximum number of photos: rejected files cost work too.
const FILES_BEYOND_PHOTOS: usize = 1000;

/// A folder that is removed when this value is dropped.
#[derive(Debug)]
pub(crate) struct PrivateDir(PathBuf);

impl PrivateDir {
    pub(super) async fn make(uploads: &Path) -> Result<(JobId, Self)> {
        let id = JobId::random();
        let dir = uploads.join(id.as_str());
        tokio::fs::create_dir(&dir).await.map_err(at(&dir))?;
        Ok((id, Self(dir)))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for PrivateDir {
    fn drop(&mut self) {
        let dir = std::mem::take(&mut self.0);
        // If removal fails, the sweep removes the folder later.
        let remove = move || drop(remove_tree(&dir));
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(remove)),
            Err(_) => remove(),
        }
    }
}

/// Photos that are being collected. Dropping the draft removes them.
#[derive(Debug)]
pub struct Draft {
    pub(super) shared: Arc<Shared>,
    pub(super) owner: Owner,
    pub(super) dir: Arc<PrivateDir>,
    photos: Vec<StoredPhoto>,
    rejected: Vec<Rejected>,
    /// Files received, accepted or not.
    files: usize,
    /// Bytes received.
    received: u64,
    /// Bytes of the accepted photos.
    kept: u64,
    /// Counter for file names within the folder.
    next_number: u32,
    /// Resumable uploads that the photos came from: removed on success, released otherwise.
    taken: Vec<UsedUpload>,
}

impl Draft {
    pub(super) async fn begin(shared: Arc<Shared>, owner: &Owner) -> Result<Self> {
        shared.floor().check(0)?;
        let (_, dir) = PrivateDir::make(&shared.uploads()).await?;
        Ok(Self {
            shared,
            owner: owner.clone(),
            dir: Arc::new(dir),
            photos: Vec::new(),
            rejected: Vec::new(),
            files: 0,
            received: 0,
            kept: 0,
            next_number: 0,
            taken: Vec::new(),
        })
    }

    /// Owner of the draft.
    #[must_use]
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Number of photos accepted so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.photos.len()
    }

    /// Whether no photo was accepted yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.photos.is_empty()
    }

    /// Files rejected so far, with reasons.
    #[must_use]
    pub fn rejected(&self) -> &[Rejected] {
        &self.rejected
    }

    /// Adds one file from `stream`: a photo, a zip of photos, or a video. The type is detected from the content.
    ///
    /// A file that cannot be used is reported in [`Added::rejected`]. Its stream may not have been read to the end; the next file
    /// can be added all the same.
    ///
    /// # Errors
    /// Errors that end the whole request: [`IntakeError::Interrupted`] if the stream fails, [`IntakeError::TooManyPhotos`],
    /// [`IntakeError::TooManyFiles`], [`IntakeError::JobTooLarge`], [`IntakeError::NoRoom`], [`IntakeError::Store`].
    pub async fn add_file<S, E>(&mut self, client_name: &str, stream: S) -> Result<Added>
    where
        S: Stream<Item = std::result::Result<Bytes, E>>,
        E: fmt::Display,
    {
        let max_files = self.shared.limits.max_photos + FILES_BEYOND_PHOTOS;
        self.files += 1;
        if self.files > max_files {
            return Err(IntakeError::TooManyFiles { max: max_files });
        }
        let name = name::shown(client_name);
        let stream = pin!(stream);
        let mut stream = Peeked::new(stream, sniff::HEAD_BYTES).await?;
        let added = match sniff::kind(&stream.head) {
            Ok(kind) => {
                if self.photos.len() >= self.shared.limits.max_photos {
                    return Err(IntakeError::TooManyPhotos { max: self.shared.limits.max_photos });
                }
                let place = self.new_place();
                let max = match kind {
                    Kind::Photo => self.shared.limits.max_file_bytes,
                    Kind::Zip | Kind::Video(_) => self.shared.limits.max_job_bytes,
                };
                match self.receive(&mut stream, &place, max).await? {
                    None => reject_one(
                        &name,
                        RejectCode::FileTooLarge,
                        format!("it has more than {max} bytes, the most for one file"),
                    ),
                    Some(bytes) => self.take(&name, kind, place, bytes).await?,
                }
            }
            Err(reason) => {
                let code = if stream.head.is_empty() {
                    RejectCode::EmptyFile
                } else {
                    RejectCode::UnsupportedFormat
                };
                reject_one(&name, code, reason)
            }
        };
        self.rejected.extend(added.rejected.iter().cloned());
        Ok(added)
    }

    /// Adds a file of this machine, which is not changed: a photo, a zip of photos, or a video.
    ///
    /// # Errors
    /// As [`Self::add_file`]; [`IntakeError::Store`] if the file cannot be read.
    pub async fn add_local_file(&mut self, path: &Path) -> Result<Added> {
        let name = name::shown(&path.file_name().unwrap_or_default().to_string_lossy());
        self.add_copy(&name, path).await
    }

    /// Adds a hard link to a file, or a copy on file systems without hard links.
    async fn add_copy(&mut self, name: &str, path: &Path) -> Result<Added> {
        let (from, to) = (path.to_path_buf(), self.new_place());
        let place = to.clone();
        let (head, bytes) = blocking(move || {
            let mut head = Vec::with_capacity(sniff::HEAD_BYTES);
            let file = std::fs::File::open(&from).map_err(at(&from))?;
            let bytes = file.metadata().map_err(at(&from))?.len();
            file.take(sniff::HEAD_BYTES as u64).read_to_end(&mut head).map_err(at(&from))?;
            std::fs::hard_link(&from, &to)
                .or_else(|_| std::fs::copy(&from, &to).map(drop))
                .map_err(at(to))?;
            Ok::<_, IntakeError>((head, bytes))
        })
        .await?;
        let added = match sniff::kind(&head) {
            Ok(kind) => self.take(name, kind, place, bytes).await?,
            Err(reason) => {
                tokio::fs::remove_file(&place).await.map_err(at(&place))?;
                reject_one(name, RejectCode::UnsupportedFormat, reason)
            }
        };
        self.rejected.extend(added.rejected.iter().cloned());
        Ok(added)
    }

    /// Adds the data of a finished upload, which is not changed. Its type was detected when it was accepted.
    pub(super) async fn add_upload(&mut self, name: &str, data: &Path, taken: UsedUpload) -> Result<Added> {
        let added = self.add_copy(name, data).await?;
        self.taken.push(taken);
        Ok(added)
    }

    /// A new file path in the draft's folder.
    fn new_place(&mut self) -> PathBuf {
        self.next_number += 1;
        self.dir.path().join(format!("f{:06}", self.next_number))
    }

    /// Writes the stream to `place`. Returns `None`, and leaves no file, if it has more than `max` bytes.
    async fn receive<S, E>(
        &mut self,
        stream: &mut Peeked<std::pin::Pin<&mut S>>,
        place: &Path,
        max: u64,
    ) -> Result<Option<u64>>
    where
        S: Stream<Item = std::result::Result<Bytes, E>> + ?Sized,
        E: fmt::Display,
    {
        let max_job = self.shared.limits.max_job_bytes;
        let mut sink = Sink::append(place.to_path_buf(), self.shared.floor(), self.dir.clone()).await?;
        let mut bytes = 0_u64;
        while let Some(piece) = stream.next().await? {
            bytes += piece.len() as u64;
            self.received += piece.len() as u64;
            if bytes > max {
                drop(sink);
                tokio::fs::remove_file(place).await.map_err(at(place))?;
                return Ok(None);
            }
            if self.received > max_job {
                return Err(IntakeError::JobTooLarge { max: max_job });
            }
            sink.push(&piece).await?;
        }
        sink.finish().await.map(Some)
    }

    /// Adds a file that is in the draft's folder.
    async fn take(&mut self, name: &str, kind: Kind, place: PathBuf, bytes: u64) -> Result<Added> {
        match kind {
            Kind::Photo => match self.add_photo(name, place, bytes).await? {
                Ok(entry) => Ok(Added { photos: vec![entry], rejected: Vec::new() }),
                Err(rejected) => Ok(Added { photos: Vec::new(), rejected: vec![rejected] }),
            },
            Kind::Zip => self.add_zip(name, place).await,
            Kind::Video(kind) => self.add_video(name, kind, place).await,
        }
    }

    async fn add_zip(&mut self, name: &str, place: PathBuf) -> Result<Added> {
        let cancelled = Arc::new(AtomicBool::new(false));
        let _cancel_on_drop = CancelOnDrop(cancelled.clone());
        // See add_photo.
        let permit = self.shared.checks.acquire().await.ok();
        let prefix = format!("z{:06}-", self.next_number);
        let (shared, dir, shown) = (self.shared.clone(), self.dir.clone(), name.to_owned());
        let photos_left = shared.limits.max_photos.saturating_sub(self.photos.len());
        let bytes_left = shared.limits.max_job_bytes.saturating_sub(self.kept);
        let unpacked = blocking(move || {
            let job = zip::Extraction {
                archive: &place,
                name: &shown,
                dir: dir.path(),
                prefix: &prefix,
                limits: &shared.limits,
                photos_left,
                bytes_left,
                floor: &shared.floor(),
                cancelled: &cancelled,
            };
            let unpacked = job.run();
            std::fs::remove_file(&place).map_err(at(place))?;
            unpacked
        })
        .await?;
        drop(permit);
        let mut added = Added::default();
        match unpacked {
            Err(rejected) => added.rejected.push(rejected),
            Ok((photos, rejected)) => {
                added.rejected = rejected;
                added.photos = photos.into_iter().map(|photo| self.keep(photo)).collect();
            }
        }
        Ok(added)
    }

    async fn add_video(&mut self, name: &str, kind: VideoKind, place: PathBuf) -> Result<Added> {
        let Some(ffmpeg) = self.shared.ffmpeg.clone() else {
            tokio::fs::remove_file(&place).await.map_err(at(&place))?;
            return Ok(reject_one(name, RejectCode::VideoUnsupported, VIDEO_UNSUPPORTED));
        };
        let shared = self.shared.clone();
        let limits = &shared.limits;
        let wanted = limits.max_photos.saturating_sub(self.photos.len());
        if wanted == 0 {
            return Err(IntakeError::TooManyPhotos { max: limits.max_photos });
        }
        let bytes_left = limits.max_job_bytes.saturating_sub(self.kept);
        let dir = self.dir.clone();
        let file = place.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let video = Video { ffmpeg: &ffmpeg, dir: dir.path(), file: &file, kind, limits };
        let frames = match video.duration().await? {
            Err(refusal) => Err(refusal),
            Ok(seconds) => {
                video.frames(&format!("v{:06}", self.next_number), seconds, wanted, bytes_left).await?
            }
        };
        tokio::fs::remove_file(&place).await.map_err(at(&place))?;
        let frames = match frames {
            Ok(frames) => frames,
            Err((code, reason)) => return Ok(reject_one(name, code, reason)),
        };
        let mut added = Added::default();
        for (index, frame) in frames.into_iter().enumerate() {
            let bytes = tokio::fs::metadata(&frame).await.map_err(at(&frame))?.len();
            let frame_name = format!("{name} frame {:05}", index + 1);
            match self.add_photo(&frame_name, frame, bytes).await? {
                Ok(entry) => added.photos.push(entry),
                Err(rejected) => added.rejected.push(rejected),
            }
        }
        Ok(added)
    }

    /// Adds a photo of `bytes` bytes at `place`; removes the file if it is not usable.
    pub(super) async fn add_photo(
        &mut self,
        name: &str,
        place: PathBuf,
        bytes: u64,
    ) -> Result<std::result::Result<PhotoEntry, Rejected>> {
        let limits = &self.shared.limits;
        if self.photos.len() >= limits.max_photos {
            return Err(IntakeError::TooManyPhotos { max: limits.max_photos });
        }
        if self.kept + bytes > limits.max_job_bytes {
            return Err(IntakeError::JobTooLarge { max: limits.max_job_bytes });
        }
        // The semaphore is never closed; without a permit a check would only use more memory.
        let permit = self.shared.checks.acquire().await.ok();
        let (shared, shown, dir) = (self.shared.clone(), name.to_owned(), self.dir.clone());
        let checked = blocking(move || {
            let _dir = dir;
            let checked = photos::check(&place, &shown, bytes, &shared.limits);
            if checked.is_err() {
                std::fs::remove_file(&place).map_err(at(place))?;
            }
            Ok::<_, IntakeError>(checked)
        })
        .await?;
        drop(permit);
        Ok(checked.map(|photo| self.keep(photo)))
    }

    fn keep(&mut self, photo: StoredPhoto) -> PhotoEntry {
        let entry = photo.entry.clone();
        self.kept += entry.bytes;
        self.photos.push(photo);
        entry
    }

    /// Finishes the draft: the photos in natural order of the client's names, named `0001.jpg` and so on.
    ///
    /// # Errors
    /// [`IntakeError::NoPhotos`] or [`IntakeError::TooFewPhotos`], with the rejected files.
    pub async fn finish(mut self) -> Result<Photos> {
        let (found, min) = (self.photos.len(), self.shared.limits.min_photos);
        match found {
            0 => return Err(IntakeError::NoPhotos { rejected: self.rejected }),
            _ if found < min => {
                return Err(IntakeError::TooFewPhotos { found, min, rejected: self.rejected });
            }
            _ => {}
        }
        // Stable: photos of the same name stay in the order in which they were sent.
        self.photos.sort_by(|a, b| name::natural_order(&a.entry.name, &b.entry.name));
        for (index, held) in self.photos.iter_mut().enumerate() {
            held.entry.file = format!("{:04}.{}", index + 1, held.format.extension());
        }
        Ok(Photos::new(self.dir, self.photos, self.rejected, self.taken))
    }
}

/// Reason given for videos if ffmpeg is not installed.
pub(super) const VIDEO_UNSUPPORTED: &str =
    "it is a video, and this service cannot read videos, since ffmpeg is not installed; send photos";

/// Stops blocking work when its request is dropped.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

pub(super) fn reject_one(name: &str, code: RejectCode, reason: impl Into<String>) -> Added {
    Added { photos: Vec::new(), rejected: vec![Rejected::new(name, code, reason)] }
}
