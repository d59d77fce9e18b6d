//! Storage of the files of jobs: a folder of this machine, or a bucket.
//!
//! | what | local (the default, or `file:///...`) | `s3://bucket/prefix`, `gs://bucket/prefix` |
//! | --- | --- | --- |
//! | files of a job | `ROOT/jobs/<id>/...` | keys `prefix/jobs/<id>/...`, the same relative paths |
//! | working folder | the same, without copies | a copy below `DATA`, synchronized by [`Workspace`] |
//!
//! Start at [`JobStore::open`]. Paths below a job's folder are chosen by this service, never by a client, and still checked:
//! relative, no `..`, and no links are followed. Files are written atomically.

mod config;
mod error;
mod file;
mod local;
mod path;
mod remote;
mod sweep;
mod sync;
#[cfg(test)]
pub(crate) mod tests;
mod url;

use std::io::{self, Seek};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use tokio::io::AsyncReadExt;

use crate::job::JobId;

pub use config::StoreConfig;
pub use error::{Result, StoreError};
pub use file::{Contents, FileHead};
use local::Local;
pub(crate) use local::{ids_in, remove_tree};
use remote::Remote;
pub use sweep::ListedJob;
pub use sync::{Synced, Workspace};
use url::Target;

/// Chunk size for reading a file, in bytes.
const READ_PIECE: usize = 256 * 1024;
/// Folder of working copies of jobs whose files are in a bucket, below the data folder.
const WORK: &str = "work";

/// The files of all jobs. Cheap to clone, and safe for concurrent use.
#[derive(Clone, Debug)]
pub struct JobStore {
    data_dir: Arc<Path>,
    backend: Backend,
}

#[derive(Clone, Debug)]
enum Backend {
    Local(Arc<Local>),
    Remote(Arc<Remote>),
}

impl JobStore {
    /// Opens the store; creates the folder if it is local. A bucket is not contacted yet; [`JobStore::ping`] does that.
    ///
    /// # Errors
    /// [`StoreError::BadConfig`] if the URL is invalid, [`StoreError::Io`] if the folder cannot be created.
    pub fn open(config: &StoreConfig) -> Result<Self> {
        let root = &config.data_dir;
        std::fs::create_dir_all(root).map_err(|source| StoreError::from_io(root, source))?;
        // Absolute, so that child processes with another working directory find the same place.
        let root = std::path::absolute(root).map_err(|source| StoreError::from_io(root, source))?;
        let backend = match url::target(config)? {
            Target::DataDir => Backend::Local(Arc::new(Local::open(&root)?)),
            Target::Folder(folder) => Backend::Local(Arc::new(Local::open(&folder)?)),
            Target::Bucket { service, bucket, prefix } => {
                Backend::Remote(Arc::new(Remote::open(service, &bucket, &prefix, config)?))
            }
        };
        Ok(Self { data_dir: root.into(), backend })
    }

    /// A separate store beside the jobs (`ROOT/<folder>/<id>/...`, or such keys), which the sweep of jobs does not touch.
    ///
    /// # Errors
    /// [`StoreError::Io`] if the folder cannot be created.
    pub(crate) fn area(&self, folder: &'static str) -> Result<Self> {
        let backend = match &self.backend {
            Backend::Local(local) => Backend::Local(Arc::new(local.area(folder)?)),
            Backend::Remote(remote) => Backend::Remote(Arc::new(remote.area(folder))),
        };
        Ok(Self { data_dir: Arc::clone(&self.data_dir), backend })
    }

    /// Reads a small file completely.
    ///
    /// # Errors
    /// As [`JobStore::get`]; [`StoreError::Unavailable`] if it is truncated, [`StoreError::TooLarge`] beyond `limit` bytes.
    pub(crate) async fn read(&self, id: &JobId, path: &str, limit: usize) -> Result<Vec<u8>> {
        let mut contents = self.get(id, path, None).await?;
        let mut bytes = Vec::new();
        while let Some(piece) = contents.stream.next().await {
            let piece = piece.map_err(|error| StoreError::Unavailable { why: error.to_string() })?;
            if bytes.len() + piece.len() > limit {
                return Err(StoreError::TooLarge { path: path.to_owned(), limit });
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }

    /// The data folder on this machine.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Folder of a job's files on this machine; `None` for a bucket.
    #[must_use]
    pub fn local_dir(&self, id: &JobId) -> Option<PathBuf> {
        match &self.backend {
            Backend::Local(local) => Some(local.job_dir(id)),
            Backend::Remote(_) => None,
        }
    }

    /// Folder of the working copy on this machine, for a job whose files are in a bucket.
    fn work_dir(&self, id: &JobId) -> PathBuf {
        self.data_dir.join(WORK).join(id.as_str())
    }

    /// Stores a copy of `file` as `path` of the job, replacing what was there. Does nothing if it is the same file.
    ///
    /// # Errors
    /// Any [`StoreError`] but `NotFound` and `BadRange`.
    pub async fn put(&self, id: &JobId, path: &str, file: &Path) -> Result<FileHead> {
        match &self.backend {
            Backend::Local(local) => {
                let file = file.to_owned();
                local.run(id, path, move |local, id, path| local.copy_in(id, path, &file)).await
            }
            Backend::Remote(remote) => remote.put(id, path, file).await,
        }
    }

    /// As [`JobStore::put`], but removes `file`: it is moved if possible.
    ///
    /// # Errors
    /// As [`JobStore::put`].
    pub async fn put_moving(&self, id: &JobId, path: &str, file: &Path) -> Result<FileHead> {
        match &self.backend {
            Backend::Local(local) => {
                let file = file.to_owned();
                local.run(id, path, move |local, id, path| local.move_in(id, path, &file)).await
            }
            Backend::Remote(remote) => {
                let head = remote.put(id, path, file).await?;
                tokio::fs::remove_file(file).await.map_err(|source| StoreError::from_io(file, source))?;
                Ok(head)
            }
        }
    }

    /// Stores a small file from memory.
    ///
    /// # Errors
    /// As [`JobStore::put`].
    pub async fn put_bytes(&self, id: &JobId, path: &str, content: Bytes) -> Result<FileHead> {
        match &self.backend {
            Backend::Local(local) => {
                local.run(id, path, move |local, id, path| local.write(id, path, &content)).await
            }
            Backend::Remote(remote) => remote.put_bytes(id, path, content).await,
        }
    }

    /// Stores a small file if there is none yet, else returns `false`. Of several concurrent calls, one succeeds.
    ///
    /// # Errors
    /// As [`JobStore::put`].
    pub(crate) async fn put_new(&self, id: &JobId, path: &str, content: Bytes) -> Result<bool> {
        match &self.backend {
            Backend::Local(local) => {
                local.run(id, path, move |local, id, path| local.write_new(id, path, &content)).await
            }
            Backend::Remote(remote) => remote.put_new(id, path, content).await,
        }
    }

    /// Metadata of a file.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] and those of the backend.
    pub async fn head(&self, id: &JobId, path: &str) -> Result<FileHead> {
        match &self.backend {
            Backend::Local(local) => local.run(id, path, |local, id, path| Ok(local.head(id, path)?.0)).await,
            Backend::Remote(remote) => remote.head(id, path).await,
        }
    }

    /// Reads a file, or the range `range` of it (truncated at its end).
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::BadRange`] if the range is empty or starts after the end, and those of the
    /// backend.
    pub async fn get(&self, id: &JobId, path: &str, range: Option<Range<u64>>) -> Result<Contents> {
        match &self.backend {
            // A whole object takes one request.
            Backend::Remote(remote) if range.is_none() => remote.get(id, path, None).await,
            _ => self.get_part(id, path, move |head| within(range.clone(), head.bytes)).await,
        }
    }

    /// Reads the range of a file that `wanted` chooses from its metadata; an empty range reads nothing. Metadata and bytes are of
    /// one version, even if the file is replaced meanwhile.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], those of `wanted`, and those of the backend.
    pub(crate) async fn get_part(
        &self,
        id: &JobId,
        path: &str,
        wanted: impl Fn(&FileHead) -> Result<Range<u64>> + Send + 'static,
    ) -> Result<Contents> {
        match &self.backend {
            Backend::Local(local) => {
                let opened = local.run(id, path, move |local, id, path| {
                    let (head, mut file) = local.open_file(id, path)?;
                    let range = wanted(&head)?;
                    file.seek(io::SeekFrom::Start(range.start))
                        .map_err(|source| StoreError::from_io(Path::new(path), source))?;
                    Ok((head, range, file))
                });
                let (head, range, file) = opened.await?;
                let length = range.end.saturating_sub(range.start);
                Ok(Contents { head, range, stream: read_pieces(file.into(), length).boxed() })
            }
            Backend::Remote(remote) => remote.get_part(id, path, wanted).await,
        }
    }

    /// All files of a job in order of their paths, without the sweep's markers; empty if the job has no folder.
    ///
    /// # Errors
    /// Those of the backend.
    pub async fn list(&self, id: &JobId) -> Result<Vec<FileHead>> {
        let mut files = match &self.backend {
            Backend::Local(local) => local.run(id, "", |local, id, _| local.list(id)).await?,
            Backend::Remote(remote) => remote.list(id).await?,
        };
        files.retain(|file| !sweep::is_mark(&file.path));
        Ok(files)
    }

    /// Copies the files of a job whose paths satisfy `wanted` to another job, without the sweep's markers.
    ///
    /// # Errors
    /// Those of the backend.
    pub(crate) async fn copy_files(
        &self,
        from: &JobId,
        to: &JobId,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<()> {
        for file in self.list(from).await?.into_iter().filter(|file| wanted(&file.path)) {
            match &self.backend {
                Backend::Local(local) => {
                    let to = to.clone();
                    let copy = move |local: &Local, from: &JobId, path: &str| {
                        local.copy_in(&to, path, &local.head(from, path)?.1)
                    };
                    local.run(from, &file.path, copy).await?;
                }
                Backend::Remote(remote) => remote.copy(from, to, &file.path).await?,
            }
        }
        Ok(())
    }

    /// Removes one file; a missing file is not an error.
    ///
    /// # Errors
    /// [`StoreError::BadPath`] and those of the backend.
    pub async fn delete_file(&self, id: &JobId, path: &str) -> Result<()> {
        match &self.backend {
            Backend::Local(local) => local.run(id, path, Local::delete_file).await,
            Backend::Remote(remote) => remote.delete_file(id, path).await,
        }
    }

    /// Removes all files of a job, locally and in the bucket. May be repeated, also after a failure.
    ///
    /// # Errors
    /// Those of the backend.
    pub async fn delete_job(&self, id: &JobId) -> Result<()> {
        match &self.backend {
            Backend::Local(local) => local.run(id, "", |local, id, _| local.delete(id)).await,
            Backend::Remote(remote) => {
                self.delete_copy(id).await?;
                remote.delete_job(id).await
            }
        }
    }

    /// Jobs that have files, all of them older than `age`: candidates for the sweep.
    ///
    /// # Errors
    /// Those of the backend.
    pub async fn older_than(&self, age: Duration) -> Result<Vec<ListedJob>> {
        let before = before(age);
        match &self.backend {
            Backend::Local(local) => {
                let local = local.clone();
                blocking(move || local.older_than(before)).await
            }
            Backend::Remote(remote) => remote.older_than(before).await,
        }
    }

    /// Checks that the store is usable.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Denied`], [`StoreError::Full`].
    pub async fn ping(&self) -> Result<()> {
        match &self.backend {
            Backend::Local(local) => {
                let local = local.clone();
                blocking(move || local.ping()).await
            }
            Backend::Remote(remote) => remote.ping().await,
        }
    }

    /// Free bytes on the disk of the data folder.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn free_bytes(&self) -> Result<u64> {
        fs4::available_space(&*self.data_dir).map_err(|source| StoreError::from_io(&self.data_dir, source))
    }
}

/// The time this long ago.
fn before(age: Duration) -> SystemTime {
    SystemTime::now().checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// `range`, truncated to a file of `bytes` bytes.
fn within(range: Option<Range<u64>>, bytes: u64) -> Result<Range<u64>> {
    match range {
        None => Ok(0..bytes),
        Some(range) if range.start < bytes && range.start < range.end => {
            Ok(range.start..range.end.min(bytes))
        }
        Some(_) => Err(StoreError::BadRange { bytes }),
    }
}

fn read_pieces(file: tokio::fs::File, length: u64) -> impl stream::Stream<Item = io::Result<Bytes>> + Send {
    stream::try_unfold((file.take(length), length), |(mut file, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let mut piece =
            bytes::BytesMut::with_capacity(READ_PIECE.min(usize::try_from(left).unwrap_or(READ_PIECE)));
        match file.read_buf(&mut piece).await? {
            0 => {
                Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter while it was read"))
            }
            read => Ok(Some((piece.freeze(), (file, left - read as u64)))),
        }
    })
}

/// Runs blocking work on a thread that may block.
pub(crate) async fn blocking<T, E>(
    work: impl FnOnce() -> std::result::Result<T, E> + Send + 'static,
) -> std::result::Result<T, E>
where
    T: Send + 'static,
    E: Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(failed) => std::panic::resume_unwind(
            failed.try_into_panic().unwrap_or_else(|cancelled| Box::new(cancelled.to_string())),
        ),
    }
}
