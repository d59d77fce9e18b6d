//! Resumable uploads as tus 1.0 describes them (<https://tus.io/protocols/resumable-upload>): creation, termination,
//! expiration and checksum, as a state machine on disk.
//!
//! `DATA/uploads/<id>/data` contains the bytes, and its length is the offset, so what arrived before a connection dropped
//! survives, also across restarts. `upload.json` beside it records the owner and the total length. Implemented here because a
//! file that cannot be used is rejected by its first bytes, while it is received.

mod header;
mod index;
mod piece;
mod record;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::stream::Stream;
use sha1::{Digest, Sha1};

use super::error::{IntakeError, Rejected, Result, at};
use super::{Draft, Intake, Shared};
use crate::job::{JobId, Owner};
use crate::store::{blocking, remove_tree};
pub(super) use index::Index;
use index::{Slot, UploadLock};
use piece::Piece;
use record::Record;

/// State of an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Id of the upload.
    pub id: JobId,
    /// The client's file name, sanitized for display.
    pub name: String,
    /// Declared length in bytes: `Upload-Length`.
    pub length: u64,
    /// Bytes received: `Upload-Offset`.
    pub offset: u64,
    /// `Upload-Metadata` as received.
    pub metadata: String,
    /// When the upload is removed unless more is received: `Upload-Expires`.
    pub expires: SystemTime,
}

impl Upload {
    /// Whether all bytes were received; then its content was accepted.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.offset == self.length
    }
}

/// An upload that a draft uses. Dropping it releases the upload.
#[derive(Debug)]
pub(super) struct UsedUpload {
    shared: Arc<Shared>,
    id: JobId,
    _lock: UploadLock,
}

impl UsedUpload {
    /// Removes the upload after the draft became a job.
    pub(super) async fn used(self) {
        let dir = self.shared.upload_dir(&self.id);
        self.shared.index.remove(&self.id);
        // If removal fails, the sweep removes it later.
        let _ = blocking(move || remove_tree(&dir)).await;
    }
}

impl Intake {
    /// Creates an upload of `length` bytes. `metadata` is the `Upload-Metadata` header, empty if missing.
    ///
    /// # Errors
    /// [`IntakeError::BadRequest`], [`IntakeError::UploadTooLarge`], [`IntakeError::TooManyUploads`],
    /// [`IntakeError::OwnerFull`], [`IntakeError::NoRoom`], [`IntakeError::Refused`] for an empty file.
    pub async fn create_upload(&self, owner: &Owner, length: u64, metadata: &str) -> Result<Upload> {
        let shared = self.shared.clone();
        let name = header::file_name(metadata)?;
        if length == 0 {
            return Err(IntakeError::Refused(piece::empty(&name)));
        }
        // The largest files are zips and videos, which may fill a job.
        if length > shared.limits.max_job_bytes {
            return Err(IntakeError::UploadTooLarge { max: shared.limits.max_job_bytes });
        }
        shared.floor().check(length)?;
        let id = JobId::random();
        let record = Record {
            owner: owner.clone(),
            name,
            length,
            metadata: metadata.to_owned(),
            accepted: false,
            refused: None,
        };
        shared.index.add(&id, owner, length, &shared.limits)?;
        let (dir, written) = (shared.upload_dir(&id), record.clone());
        let made = blocking(move || {
            std::fs::create_dir(&dir).map_err(at(&dir))?;
            written.write(&dir)
        })
        .await;
        if let Err(error) = made {
            shared.index.remove(&id);
            return Err(error);
        }
        shared.describe(&id, record, 0)
    }

    /// State of the owner's upload, after data of a dropped connection was flushed.
    ///
    /// # Errors
    /// [`IntakeError::NoUpload`], [`IntakeError::Locked`] while another request writes to it, [`IntakeError::Refused`].
    pub async fn upload(&self, owner: &Owner, id: &JobId) -> Result<Upload> {
        let (_lock, _, record, offset) = self.shared.open_locked(owner, id).await?;
        self.shared.describe(id, record, offset)
    }

    /// The owner's uploads that no job uses yet, including those being written.
    ///
    /// # Errors
    /// [`IntakeError::Store`] if the disk cannot be read.
    pub async fn uploads(&self, owner: &Owner) -> Result<Vec<Upload>> {
        let (shared, owner) = (self.shared.clone(), owner.clone());
        blocking(move || {
            let own = shared.index.ids().into_iter().filter(|(_, slot)| slot.owner == owner);
            let mut found = Vec::new();
            for (id, _) in own {
                let dir = shared.upload_dir(&id);
                if let Some(record) = Record::read(&dir).filter(|record| record.refused.is_none()) {
                    found.push(shared.describe(&id, record, record::offset(&dir)?)?);
                }
            }
            Ok(found)
        })
        .await
    }

    /// Appends a chunk that begins at `offset`. `checksum` is the chunk's `Upload-Checksum` header.
    ///
    /// If the stream fails, the received bytes stay (unless there is a checksum, which can then not be verified), and the client
    /// resumes at [`Intake::upload`]'s offset. A file that cannot be used is rejected as soon as its first bytes show that, at
    /// the latest with its last ones.
    ///
    /// # Errors
    /// [`IntakeError::NoUpload`], [`IntakeError::Locked`], [`IntakeError::WrongOffset`], [`IntakeError::BeyondLength`],
    /// [`IntakeError::WrongChecksum`], [`IntakeError::BadRequest`], [`IntakeError::Interrupted`], [`IntakeError::NoRoom`],
    /// [`IntakeError::Refused`].
    pub async fn append<S, E>(
        &self,
        owner: &Owner,
        id: &JobId,
        offset: u64,
        checksum: Option<&str>,
        stream: S,
    ) -> Result<Upload>
    where
        S: Stream<Item = std::result::Result<Bytes, E>>,
        E: fmt::Display,
    {
        let shared = &self.shared;
        let checksum = checksum.map(header::checksum).transpose()?;
        let (lock, slot, mut record, have) = shared.open_locked(owner, id).await?;
        if offset != have {
            return Err(IntakeError::WrongOffset { have, given: offset });
        }
        let dir = shared.upload_dir(id);
        if checksum.is_some() {
            let dir = dir.clone();
            blocking(move || record::mark_unverified(&dir, have)).await?;
        }
        let before = have;
        let piece = Piece { slot: &slot, record: &record, have, hash: checksum.is_some().then(Sha1::new) };
        let lock = Arc::new(lock);
        let (written, digest) = piece.receive(shared, &dir, stream, lock.clone()).await;
        if let Some(expected) = checksum {
            // An incomplete chunk cannot be verified: `recover` removes it.
            let right = written.is_ok() && digest.is_some_and(|digest| digest == expected);
            let dir = dir.clone();
            blocking(move || if right { record::verified(&dir) } else { record::recover(&dir) }).await?;
            if written.is_ok() && !right {
                return Err(IntakeError::WrongChecksum);
            }
        }
        let have = match written {
            Ok(have) => have,
            Err(IntakeError::Refused(rejected)) => {
                return Err(shared.refuse(id, record, rejected, &lock).await);
            }
            Err(error @ IntakeError::BeyondLength { .. }) => {
                // All of it is removed: the client confused this file with another.
                let data = record::data(&dir);
                blocking(move || {
                    let file = std::fs::OpenOptions::new().write(true).open(&data);
                    file.and_then(|file| file.set_len(before)).map_err(at(&data))
                })
                .await?;
                return Err(error);
            }
            Err(error) => return Err(error),
        };
        if have == record.length && !record.accepted {
            if let Err(rejected) = piece::check(shared, &dir, &record).await? {
                return Err(shared.refuse(id, record, rejected, &lock).await);
            }
            record.accepted = true;
            let (dir, written) = (dir.clone(), record.clone());
            blocking(move || written.write(&dir)).await?;
        }
        shared.describe(id, record, have)
    }

    /// Removes the owner's upload.
    ///
    /// # Errors
    /// [`IntakeError::NoUpload`], [`IntakeError::Locked`].
    pub async fn terminate(&self, owner: &Owner, id: &JobId) -> Result<()> {
        let slot = self.shared.index.find(owner, id)?;
        let lock = slot.lock().await?;
        self.shared.remove(id, lock).await
    }

    /// A draft made of the owner's complete uploads. They stay until its photos are committed to a job, and are released if the
    /// draft is dropped before.
    ///
    /// # Errors
    /// [`IntakeError::NoUpload`], [`IntakeError::Locked`], [`IntakeError::Incomplete`], [`IntakeError::Refused`] for one that was
    /// rejected before, and those of [`Draft::add_file`].
    pub async fn take(&self, owner: &Owner, ids: &[JobId]) -> Result<Draft> {
        let shared = &self.shared;
        let max = shared.limits.max_uploads;
        if ids.len() > max {
            return Err(IntakeError::TooManyUploads { count: ids.len() });
        }
        let mut locked = Vec::new();
        let mut seen = std::collections::BTreeSet::new();
        for id in ids.iter().filter(|id| seen.insert(*id)) {
            let (lock, _, record, have) = shared.open_locked(owner, id).await?;
            if have != record.length || !record.accepted {
                return Err(IntakeError::Incomplete { id: id.to_string(), have, length: record.length });
            }
            locked.push((UsedUpload { shared: shared.clone(), id: id.clone(), _lock: lock }, record));
        }
        let mut draft = self.begin(owner).await?;
        for (taken, record) in locked {
            let data = record::data(&shared.upload_dir(&taken.id));
            draft.add_upload(&record.name, &data, taken).await?;
        }
        Ok(draft)
    }

    /// Removes uploads and drafts that have not changed within the retention time. Returns their number.
    ///
    /// # Errors
    /// [`IntakeError::Store`] if the disk cannot be read or written.
    pub async fn sweep_uploads(&self) -> Result<usize> {
        let age = Duration::from_secs(self.shared.limits.upload_retention_seconds);
        let before = SystemTime::now().checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH);
        self.sweep_unchanged_since(before).await
    }

    /// Removes uploads and drafts that have not changed since then. Returns their number.
    pub(super) async fn sweep_unchanged_since(&self, before: SystemTime) -> Result<usize> {
        let shared = self.shared.clone();
        let uploads = shared.uploads();
        let old = blocking(move || crate::store::ids_in(&uploads, before)).await?;
        let slots = shared.index.ids();
        let mut removed = 0;
        for id in old {
            match slots.iter().find(|(known, _)| *known == id) {
                // Skipped while it is in use.
                Some((_, slot)) => match slot.try_lock() {
                    Some(lock) => shared.remove(&id, lock).await?,
                    None => continue,
                },
                None => {
                    let dir = shared.upload_dir(&id);
                    blocking(move || remove_tree(&dir)).await?;
                }
            }
            removed += 1;
        }
        Ok(removed)
    }
}

impl Shared {
    fn upload_dir(&self, id: &JobId) -> PathBuf {
        self.uploads().join(id.as_str())
    }

    /// Acquires the owner's upload exclusively; returns it with its record and offset.
    async fn open_locked(&self, owner: &Owner, id: &JobId) -> Result<(UploadLock, Arc<Slot>, Record, u64)> {
        let slot = self.index.find(owner, id)?;
        let lock = slot.lock().await?;
        let dir = self.upload_dir(id);
        let (record, offset) = blocking(move || {
            let record = Record::read(&dir).ok_or(IntakeError::NoUpload)?;
            record::recover(&dir)?;
            Ok::<_, IntakeError>((record, record::offset(&dir)?))
        })
        .await?;
        match record.refused {
            Some(rejected) => Err(IntakeError::Refused(rejected)),
            None => Ok((lock, slot, record, offset)),
        }
    }

    /// Stores the reason and deletes the data.
    async fn refuse(
        &self,
        id: &JobId,
        mut record: Record,
        rejected: Rejected,
        _lock: &Arc<UploadLock>,
    ) -> IntakeError {
        record.refused = Some(rejected.clone());
        self.index.refuse(id);
        let dir = self.upload_dir(id);
        let kept = blocking(move || {
            record.write(&dir)?;
            let data = record::data(&dir);
            std::fs::remove_file(&data).map_err(at(data))
        })
        .await;
        kept.err().unwrap_or(IntakeError::Refused(rejected))
    }

    async fn remove(&self, id: &JobId, lock: UploadLock) -> Result<()> {
        let dir = self.upload_dir(id);
        self.index.remove(id);
        blocking(move || {
            let _lock = lock;
            remove_tree(&dir)
        })
        .await?;
        Ok(())
    }

    fn describe(&self, id: &JobId, record: Record, offset: u64) -> Result<Upload> {
        let expires = SystemTime::now() + Duration::from_secs(self.limits.upload_retention_seconds);
        let Record { name, length, metadata, .. } = record;
        Ok(Upload { id: id.clone(), name, length, offset, metadata, expires })
    }
}
