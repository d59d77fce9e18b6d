//! Resolves a dataset's photo names to files on disk.
//!
//! Datasets move between machines and programs: letters change case, JPEGs become PNGs, folders are added, flattened or renamed,
//! paths are absolute or have `\`, and Unicode is composed on one system and decomposed on another (NFC and NFD).
//! [`PhotoIndex::resolve`] takes all names of a dataset at once and finds the unique file for each: by exact path, then by the
//! longest matching path suffix, then the same without extensions, ignoring case. A name that matches two files equally well, and
//! a file that matches two names, are reported as ambiguous rather than guessed.

mod folders;
mod masks;
mod names;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::images::has_photo_extension;
pub use folders::{best_folder, is_made_from_photos, photo_folders};
pub use masks::{is_mask_folder, mask_folder, resolve_masks};
pub use names::folded;
use names::{composed, parts_of, percent_decoded, stem};

/// Maximum depth of subfolders that are searched.
const MAX_DEPTH: usize = 6;
/// Maximum number of files listed; more than any dataset has.
const MAX_FILES: usize = 500_000;

/// How a name matched its file, from the strictest to the loosest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MatchedBy {
    /// The exact path.
    Path,
    /// The path in another Unicode normalization form: composed (NFC) or decomposed (NFD, as on macOS).
    UnicodeForm,
    /// The path in another case.
    Case,
    /// A suffix of the path: folders were added, removed or renamed.
    TrailingPath,
    /// The name without its extension, and a suffix of the path before it.
    Stem,
}

impl MatchedBy {
    /// As in "matched by ...".
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Path => "name",
            Self::UnicodeForm => "name in another Unicode form",
            Self::Case => "name in another case",
            Self::TrailingPath => "the end of the path",
            Self::Stem => "name without extension",
        }
    }
}

/// Result of resolving a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// Exactly one file matches.
    File(PathBuf, MatchedBy),
    /// Ambiguous: several files match equally well, or another name matches the same file; the files.
    Ambiguous(Vec<PathBuf>),
    /// No file matches.
    Missing,
}

/// The photos in a folder and its subfolders.
#[derive(Clone, Debug, Default)]
pub struct PhotoIndex {
    root: PathBuf,
    files: Vec<File>,
    /// Indices into `files` by [`folded`] file name, and by its stem.
    by_name: BTreeMap<String, Vec<usize>>,
    by_stem: BTreeMap<String, Vec<usize>>,
}

#[derive(Clone, Debug)]
struct File {
    path: PathBuf,
    /// Components below the root. Invalid UTF-8 is replaced, as in the names of a dataset.
    parts: Vec<String>,
}

impl PhotoIndex {
    /// Lists a folder's files with a photo's extension, in a fixed order; empty if the folder cannot be read.
    #[must_use]
    pub fn of(root: &Path) -> Self {
        let mut index = Self { root: root.to_owned(), ..Self::default() };
        index.walk(root, &mut Vec::new());
        for (at, file) in index.files.iter().enumerate() {
            let name = file.parts.last().map(|name| folded(name)).unwrap_or_default();
            index.by_stem.entry(stem(&name).to_owned()).or_default().push(at);
            index.by_name.entry(name).or_default().push(at);
        }
        index
    }

    fn walk(&mut self, dir: &Path, parts: &mut Vec<String>) {
        let mut entries: Vec<_> = fs::read_dir(dir).into_iter().flatten().flatten().collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') || self.files.len() >= MAX_FILES {
                continue;
            }
            let path = entry.path();
            if path.is_dir() {
                // Masks have the names of photos, and may be in a folder among them.
                if parts.len() < MAX_DEPTH && !is_mask_folder(&name) {
                    parts.push(name);
                    self.walk(&path, parts);
                    parts.pop();
                }
            } else if has_photo_extension(&path) {
                self.files.push(File { path, parts: parts.iter().cloned().chain([name]).collect() });
            }
        }
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Number of photos.
    #[must_use]
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there are no photos.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The file of each name, in the names' order.
    #[must_use]
    pub fn resolve(&self, names: &[&str]) -> Vec<Resolved> {
        let mut found: Vec<Resolved> = names.iter().map(|name| self.resolve_one(name)).collect();
        // A file is one photo: if several names match it, only a unique best match gets it.
        let mut claims: BTreeMap<PathBuf, Vec<usize>> = BTreeMap::new();
        for (at, resolved) in found.iter().enumerate() {
            if let Resolved::File(path, _) = resolved {
                claims.entry(path.clone()).or_default().push(at);
            }
        }
        for (path, claimants) in claims {
            // A name listed twice is not an ambiguity.
            let name = |at: usize| names.get(at).and_then(|name| parts_of(name));
            let distinct: BTreeSet<_> = claimants.iter().map(|&at| name(at)).collect();
            if distinct.len() < 2 {
                continue;
            }
            let how = |at: &usize| match found.get(*at) {
                Some(Resolved::File(_, how)) => *how,
                _ => MatchedBy::Stem,
            };
            let best = claimants.iter().map(how).min();
            let first: BTreeSet<_> =
                claimants.iter().filter(|at| Some(how(at)) == best).map(|&at| name(at)).collect();
            let losers: Vec<usize> =
                claimants.iter().copied().filter(|at| first.len() > 1 || Some(how(at)) != best).collect();
            for at in losers {
                if let Some(slot) = found.get_mut(at) {
                    *slot = Resolved::Ambiguous(vec![path.clone()]);
                }
            }
        }
        found
    }

    fn resolve_one(&self, name_given: &str) -> Resolved {
        let Some(wanted) = parts_of(name_given) else { return Resolved::Missing };
        let Some(last) = wanted.last() else { return Resolved::Missing };
        let exact = self.root.join(wanted.iter().collect::<PathBuf>());
        if exact.is_file() {
            return Resolved::File(exact, MatchedBy::Path);
        }
        let name = folded(last);
        if let Some(candidates) = self.by_name.get(&name) {
            return self.closest(candidates, &wanted, false);
        }
        // Percent-encoded names, such as `my%20photo.jpg`. A file with that literal name was found above.
        let decoded = percent_decoded(name_given).map(|decoded| self.resolve_one(&decoded));
        if let Some(found) = decoded.filter(|found| *found != Resolved::Missing) {
            return found;
        }
        // Blender's `r_0`; `a.jpg` stored as `a.png`; also `a.jpg` as `a.jpg.png`.
        let stems = [name.as_str(), stem(&name)];
        match stems.iter().find_map(|stem| self.by_stem.get(*stem)) {
            Some(candidates) => self.closest(candidates, &wanted, true),
            None => Resolved::Missing,
        }
    }

    /// The candidate with the longest common path suffix.
    fn closest(&self, candidates: &[usize], wanted: &[String], by_stem: bool) -> Resolved {
        // Number of equal components, whether one path is a suffix of the other, and number of components with the same case.
        let rank = |file: &File| {
            let pairs = || file.parts.iter().rev().zip(wanted.iter().rev()).skip(usize::from(by_stem));
            let shared = pairs().take_while(|(a, b)| folded(a) == folded(b)).count();
            let same_case = pairs().take(shared).filter(|(a, b)| composed(a) == composed(b)).count();
            (
                shared,
                file.parts.len() == wanted.len() && shared + usize::from(by_stem) == wanted.len(),
                same_case,
            )
        };
        let ranked = candidates.iter().filter_map(|&at| self.files.get(at)).map(|file| (rank(file), file));
        let ranked: Vec<_> = ranked.collect();
        let Some(best) = ranked.iter().map(|(rank, _)| *rank).max() else { return Resolved::Missing };
        let mut files = ranked.iter().filter(|(rank, _)| *rank == best).map(|(_, file)| file.path.clone());
        match (files.next(), files.next()) {
            (Some(only), None) => {
                let how = match best {
                    _ if by_stem => MatchedBy::Stem,
                    // A file that was listed but cannot be opened, such as a broken link.
                    _ if self.root.join(wanted.iter().collect::<PathBuf>()) == only => MatchedBy::Path,
                    (shared, true, same_case) if same_case == shared => MatchedBy::UnicodeForm,
                    (_, true, _) => MatchedBy::Case,
                    _ => MatchedBy::TrailingPath,
                };
                Resolved::File(only, how)
            }
            (first, second) => Resolved::Ambiguous(first.into_iter().chain(second).chain(files).collect()),
        }
    }
}

/// Summary of how names were matched: "12 photos: 10 by name, 2 by the end of the path". `None` if all matched exactly.
#[must_use]
pub fn summary(resolved: &[Resolved]) -> Option<String> {
    let mut counts: BTreeMap<MatchedBy, usize> = BTreeMap::new();
    for resolved in resolved {
        if let Resolved::File(_, how) = resolved {
            *counts.entry(*how).or_default() += 1;
        }
    }
    if counts.keys().all(|how| *how == MatchedBy::Path) {
        return None;
    }
    let parts: Vec<String> = counts.iter().map(|(how, count)| format!("{count} by {}", how.text())).collect();
    Some(parts.join(", "))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
