//! Lists the candidate photos of the input folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use splat_core::photo_names;

use super::state::fingerprint;
use crate::error::{Result, read_error};

/// Maximum depth of folders, against loops of links.
const MAX_DEPTH: usize = 32;

/// A file of the input folder.
#[derive(Debug)]
pub(super) struct Source {
    /// Relative to the input folder, `/`-separated.
    pub(super) name: String,
    pub(super) path: PathBuf,
    /// Size and modification time, to detect changes.
    stamp: String,
}

/// The files of an input folder.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Sorted by name.
    pub(super) sources: Vec<Source>,
    /// Folders that hold no photos of their own, sorted.
    pub(super) passed_over: Vec<String>,
}

/// All files below `dir` but hidden ones, those in the folders `exclude`, and what lies beside a folder `images` and was made from it.
pub(super) fn list(dir: &Path, exclude: &[&Path]) -> Result<Listing> {
    let exclude: Vec<PathBuf> = exclude.iter().filter_map(|path| fs::canonicalize(path).ok()).collect();
    let mut sources = Vec::new();
    let mut passed_over = Vec::new();
    let mut folders = vec![(dir.to_owned(), String::new(), 0)];
    while let Some((folder, prefix, depth)) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(|error| read_error(&folder, error))? {
            let entry = entry.map_err(|error| read_error(&folder, error))?;
            let file_name = entry.file_name();
            let shown = file_name.to_string_lossy();
            if shown.starts_with('.') {
                continue;
            }
            let (path, name) = (entry.path(), format!("{prefix}{shown}"));
            // A dangling link has no metadata: it is listed, and named when it cannot be read.
            let metadata = fs::metadata(&path).ok();
            if metadata.as_ref().is_some_and(fs::Metadata::is_dir) {
                if !exclude.is_empty() && fs::canonicalize(&path).is_ok_and(|path| exclude.contains(&path)) {
                    continue;
                }
                if photo_names::is_made_from_photos(&shown) && folder.join("images").is_dir() {
                    passed_over.push(name);
                    continue;
                }
                if depth < MAX_DEPTH {
                    folders.push((path, format!("{name}/"), depth + 1));
                }
                continue;
            }
            sources.push(Source { name, stamp: stamp(&path), path });
        }
    }
    sources.sort_by(|a, b| a.name.cmp(&b.name));
    passed_over.sort();
    Ok(Listing { sources, passed_over })
}

/// Size and modification time of a file, to detect changes.
pub(super) fn stamp(path: &Path) -> String {
    let metadata = fs::metadata(path).ok();
    let changed = metadata.as_ref().and_then(|m| m.modified().ok()?.duration_since(UNIX_EPOCH).ok());
    format!("{} {}", metadata.map_or(0, |m| m.len()), changed.map_or(0, |t| t.as_nanos()))
}

impl Listing {
    /// A sentence on the folders that were skipped, if there are any.
    pub(super) fn warning(&self) -> Option<String> {
        let names: Vec<String> = self.passed_over.iter().map(|name| format!("`{name}`")).collect();
        (!names.is_empty()).then(|| {
            format!(
                "passed over: {}, which programs make from the photos in `images` beside them: smaller copies, masks, depth maps. \
                 If they hold photos of their own, give them another name",
                names.join(", ")
            )
        })
    }
}

/// What identifies a set of files.
pub(super) fn key(sources: &[Source]) -> String {
    let lines: Vec<String> = sources.iter().map(|s| format!("{} {}\n", s.name, s.stamp)).collect();
    format!("{} files {}", sources.len(), fingerprint(&lines.concat()))
}
