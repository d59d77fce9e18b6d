//! Folders of masks, and the mask of each photo.

use std::fs;
use std::path::{Path, PathBuf};

use super::{PhotoIndex, Resolved};

/// Whether a folder is called `masks` or `mask`, in any case.
#[must_use]
pub fn is_mask_folder(name: &str) -> bool {
    ["masks", "mask"].iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// The folder of masks in `dir`, ignoring case.
#[must_use]
pub fn mask_folder(dir: &Path) -> Option<PathBuf> {
    let mut found: Vec<PathBuf> =
        fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    found.retain(|path| {
        path.file_name().is_some_and(|name| is_mask_folder(&name.to_string_lossy())) && path.is_dir()
    });
    // `masks` before `mask`, lower case before upper case.
    found.sort_by(|a, b| b.cmp(a));
    found.into_iter().next()
}

/// Suffixes that programs append to a photo's name for its mask: Metashape `_mask`, RealityCapture `.mask`.
const MASK_SUFFIXES: [&str; 3] = ["_mask", ".mask", "-mask"];

/// Finds the mask of each photo in an index of masks: named like the photo, with or without a mask suffix.
#[must_use]
pub fn resolve_masks(masks: &PhotoIndex, photos: &[&str]) -> Vec<Resolved> {
    let mut found = masks.resolve(photos);
    for suffix in MASK_SUFFIXES {
        let missing: Vec<usize> = (0..found.len()).filter(|&at| found[at] == Resolved::Missing).collect();
        for behind_extension in [false, true] {
            let name = |at: &usize| {
                let photo = photos[*at];
                let extension = photo.rfind('.').filter(|dot| !photo[*dot..].contains(['/', '\\']));
                let end = extension.filter(|_| !behind_extension).unwrap_or(photo.len());
                format!("{}{suffix}.png", &photo[..end])
            };
            let names: Vec<String> = missing.iter().map(name).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            for (&at, mask) in missing.iter().zip(masks.resolve(&names)) {
                if found[at] == Resolved::Missing {
                    found[at] = mask;
                }
            }
        }
    }
    found
}
