//! Job files in a folder of this machine: `ROOT/jobs/<id>/`.
//!
//! All functions here block; [`super::JobStore`] calls them through [`Local::run`]. Implemented here because the local store of
//! `object_store` follows links out of its root, and copies files that are moved here: photos, and scenes of many GB.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use splat_core::files::with_ending;

use super::error::{Result, StoreError};
use super::sweep::ListedJob;
use super::{FileHead, blocking, path};
use crate::job::JobId;

/// Folder of all jobs below the root.
pub(super) const JOBS: &str = "jobs";

/// Maximum depth of a listing. The known layout has 5 levels.
const MAX_DEPTH: usize = 16;

#[derive(Debug)]
pub(super) struct Local {
    root: PathBuf,
    /// Name of the folder below the root: [`JOBS`], or that of another area.
    folder: &'static str,
}

impl Local {
    pub(super) fn open(root: &Path) -> Result<Self> {
        Self::open_folder(root, JOBS)
    }

    /// Opens another area beside the jobs.
    pub(super) fn area(&self, folder: &'static str) -> Result<Self> {
        Self::open_folder(&self.root, folder)
    }

    /// Runs blocking work on the file `path` of a job.
    pub(super) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        id: &JobId,
        path: &str,
        work: impl FnOnce(&Self, &JobId, &str) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (local, id, path) = (Arc::clone(self), id.clone(), path.to_owned());
        blocking(move || work(&local, &id, &path)).await
    }

    fn open_folder(root: &Path, folder: &'static str) -> Result<Self> {
        let place = root.join(folder);
        fs::create_dir_all(&place).map_err(|source| StoreError::from_io(&place, source))?;
        Ok(Self { root: root.to_path_buf(), folder })
    }

    pub(super) fn job_dir(&self, id: &JobId) -> PathBuf {
        self.root.join(self.folder).join(id.as_str())
    }

    fn locate(&self, id: &JobId, relative: &str) -> Result<PathBuf> {
        path::locate(&self.job_dir(id), relative)
    }

    pub(super) fn head(&self, id: &JobId, relative: &str) -> Result<(FileHead, PathBuf)> {
        let place = self.locate(id, relative)?;
        match fs::symlink_metadata(&place) {
            Ok(meta) if meta.is_file() => Ok((head_of(relative, &meta), place)),
            Ok(_) => Err(not_found(id, relative)),
            Err(error) if is_absent(&error) => Err(not_found(id, relative)),
            Err(error) => Err(StoreError::from_io(&place, error)),
        }
    }

    /// Opens a file, with the metadata of exactly that file: it may be replaced while it is read.
    pub(super) fn open_file(&self, id: &JobId, relative: &str) -> Result<(FileHead, File)> {
        let (_, place) = self.head(id, relative)?;
        let to_error = |source| StoreError::from_io(&place, source);
        let file = File::open(&place)
            .map_err(|error| if is_absent(&error) { not_found(id, relative) } else { to_error(error) })?;
        let meta = file.metadata().map_err(to_error)?;
        Ok((head_of(relative, &meta), file))
    }

    /// Copies a file into the store, atomically.
    pub(super) fn copy_in(&self, id: &JobId, relative: &str, file: &Path) -> Result<FileHead> {
        let place = self.prepare(id, relative)?;
        if same_file(file, &place) {
            return Ok(self.head(id, relative)?.0);
        }
        self.place_whole(&place, |unfinished| {
            let mut from = File::open(file).map_err(|source| StoreError::from_io(file, source))?;
            let to_error = |source| StoreError::from_io(unfinished, source);
            let mut to = File::create(unfinished).map_err(to_error)?;
            io::copy(&mut from, &mut to).map_err(to_error)?;
            to.sync_all().map_err(to_error)
        })?;
        Ok(self.head(id, relative)?.0)
    }

    /// Moves a file into the store; copies it if it is on another file system.
    pub(super) fn move_in(&self, id: &JobId, relative: &str, file: &Path) -> Result<FileHead> {
        let place = self.prepare(id, relative)?;
        match fs::rename(file, &place) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                self.copy_in(id, relative, file)?;
                fs::remove_file(file).map_err(|source| StoreError::from_io(file, source))?;
            }
            Err(error) => return Err(StoreError::from_io(&place, error)),
        }
        Ok(self.head(id, relative)?.0)
    }

    pub(super) fn write(&self, id: &JobId, relative: &str, content: &[u8]) -> Result<FileHead> {
        let place = self.prepare(id, relative)?;
        self.place_whole(&place, |unfinished| {
            let to_error = |source| StoreError::from_io(unfinished, source);
            let mut to = File::create(unfinished).map_err(to_error)?;
            io::Write::write_all(&mut to, content).map_err(to_error)?;
            to.sync_all().map_err(to_error)
        })?;
        Ok(self.head(id, relative)?.0)
    }

    /// As [`Self::write`] if there is no such file yet, else returns `false`. Of several concurrent calls, one succeeds.
    pub(super) fn write_new(&self, id: &JobId, relative: &str, content: &[u8]) -> Result<bool> {
        let place = self.prepare(id, relative)?;
        let to_error = |source| StoreError::from_io(&place, source);
        // A unique name, unlike in `place_whole`, since others may be writing the same file.
        let unfinished = with_ending(&place, &format!(".{}.part", JobId::random()));
        let written = File::create(&unfinished).and_then(|mut to| {
            io::Write::write_all(&mut to, content)?;
            to.sync_all()
        });
        let placed = written.and_then(|()| match fs::hard_link(&unfinished, &place) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            // A file system without hard links: the last write wins.
            Err(_) => fs::rename(&unfinished, &place).map(|()| true),
        });
        // The file keeps its other name.
        let _ = fs::remove_file(&unfinished);
        placed.map_err(to_error)
    }

    fn place_whole(&self, place: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let unfinished = with_ending(place, ".part");
        let done = write(&unfinished).and_then(|()| {
            fs::rename(&unfinished, place).map_err(|source| StoreError::from_io(place, source))
        });
        if done.is_err() {
            // The original error is the one to report.
            let _ = fs::remove_file(&unfinished);
        }
        done
    }

    fn prepare(&self, id: &JobId, relative: &str) -> Result<PathBuf> {
        let place = self.locate(id, relative)?;
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent).map_err(|source| StoreError::from_io(parent, source))?;
        }
        Ok(place)
    }

    /// Files of a job in order of their paths. Links are skipped, and so are files that disappear meanwhile.
    pub(super) fn list(&self, id: &JobId) -> Result<Vec<FileHead>> {
        files_below(&self.job_dir(id))
    }

    pub(super) fn delete(&self, id: &JobId) -> Result<()> {
        remove_tree(&self.job_dir(id))
    }

    pub(super) fn delete_file(&self, id: &JobId, relative: &str) -> Result<()> {
        let place = self.locate(id, relative)?;
        match fs::remove_file(&place) {
            Err(error) if !is_absent(&error) => Err(StoreError::from_io(&place, error)),
            _ => Ok(()),
        }
    }

    /// Jobs with a folder in which nothing was created or removed since `before`.
    pub(super) fn older_than(&self, before: SystemTime) -> Result<Vec<ListedJob>> {
        let ids = ids_in(&self.root.join(self.folder), before)?;
        let found = ids.into_iter().map(|id| {
            let mut found = ListedJob::new(id);
            for entry in fs::read_dir(self.job_dir(&found.id)).into_iter().flatten().flatten() {
                found.note(&entry.file_name().to_string_lossy());
            }
            found
        });
        Ok(found.collect())
    }

    /// Checks that the folder can be written and read.
    pub(super) fn ping(&self) -> Result<()> {
        let probe = self.root.join(self.folder).join(format!(".ping-{}", std::process::id()));
        let written = fs::write(&probe, b"ping").and_then(|()| fs::remove_file(&probe));
        written.map_err(|source| match StoreError::from_io(&probe, source) {
            StoreError::Io { path, source } => {
                StoreError::Unavailable { why: format!("`{}`: {source}", path.display()) }
            }
            other => other,
        })
    }
}

/// Files below a folder in order of their paths. Links are skipped.
pub(super) fn files_below(dir: &Path) -> Result<Vec<FileHead>> {
    path::refuse_link(dir)?;
    let mut found = Vec::new();
    walk(dir, &mut String::new(), 0, &mut found)?;
    found.sort_by(|a: &FileHead, b| a.path.cmp(&b.path));
    Ok(found)
}

/// Folders below `dir` that are named like a job and were last changed before `before`.
pub(crate) fn ids_in(dir: &Path, before: SystemTime) -> Result<Vec<JobId>> {
    let error = |source| StoreError::from_io(dir, source);
    let entries = match fs::read_dir(dir) {
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        entries => entries.map_err(error)?,
    };
    let mut ids = Vec::new();
    for entry in entries {
        let entry = entry.map_err(error)?;
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<JobId>().ok()) else {
            continue;
        };
        // Metadata of the entry itself, not of a link's target.
        let Ok(meta) = entry.metadata() else { continue };
        if meta.is_dir() && newest_change(&entry.path(), &meta) < before {
            ids.push(id);
        }
    }
    ids.sort();
    Ok(ids)
}

/// When the folder or any of its direct entries last changed.
fn newest_change(dir: &Path, meta: &fs::Metadata) -> SystemTime {
    let own = meta.modified().unwrap_or(UNIX_EPOCH);
    let inside = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.metadata().ok()?.modified().ok());
    inside.fold(own, SystemTime::max)
}

/// Removes a folder recursively, without following links. A missing folder is not an error.
pub(crate) fn remove_tree(dir: &Path) -> Result<()> {
    /// A child process that is being killed may still be writing, so the folder may not be empty on the first try.
    const TRIES: u32 = 5;
    let mut tried = 0;
    loop {
        tried += 1;
        match fs::remove_dir_all(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && fs::symlink_metadata(dir).is_err() => {
                return Ok(());
            }
            Err(_) if tried < TRIES => std::thread::sleep(Duration::from_millis(20 << tried)),
            Err(error) => return Err(StoreError::from_io(dir, error)),
            Ok(()) => return Ok(()),
        }
    }
}

fn walk(dir: &Path, prefix: &mut String, depth: usize, found: &mut Vec<FileHead>) -> Result<()> {
    let entries = match fs::read_dir(dir) {
        Err(error) if is_absent(&error) => return Ok(()),
        entries => entries.map_err(|source| StoreError::from_io(dir, source))?,
    };
    for entry in entries {
        let entry = entry.map_err(|source| StoreError::from_io(dir, source))?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let Ok(meta) = entry.metadata() else { continue };
        let length = prefix.len();
        prefix.push_str(&name);
        if meta.is_dir() && depth < MAX_DEPTH {
            prefix.push('/');
            walk(&entry.path(), prefix, depth + 1, found)?;
        } else if meta.is_file() && !name.ends_with(".part") {
            found.push(head_of(prefix, &meta));
        }
        prefix.truncate(length);
    }
    Ok(())
}

fn head_of(relative: &str, meta: &fs::Metadata) -> FileHead {
    let modified = meta.modified().unwrap_or(UNIX_EPOCH);
    let nanos = modified.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    FileHead {
        path: relative.to_owned(),
        bytes: meta.len(),
        etag: format!("\"{nanos:x}-{:x}\"", meta.len()),
        modified,
    }
}

fn same_file(a: &Path, b: &Path) -> bool {
    matches!((fs::canonicalize(a), fs::canonicalize(b)), (Ok(a), Ok(b)) if a == b)
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn not_found(id: &JobId, relative: &str) -> StoreError {
    StoreError::NotFound { id: id.to_string(), path: relative.to_owned() }
}
