//! Photo folders: their usual names, and the folder that a dataset's names belong to.

use std::fs;
use std::path::{Path, PathBuf};

use super::{MatchedBy, PhotoIndex, Resolved, is_mask_folder};

/// Whether a folder beside `images` has a name that programs use for images derived from photos: smaller copies, masks, depth and
/// normal maps.
#[must_use]
pub fn is_made_from_photos(name: &str) -> bool {
    let copies = name.strip_prefix("images_").is_some_and(|factor| factor.parse::<u32>().is_ok());
    let others = ["depth", "depths", "depth_maps", "normal", "normals", "sparse", "stereo"];
    copies || is_mask_folder(name) || others.contains(&name.to_ascii_lowercase().as_str())
}

/// Usual names of photo folders, lower case, most likely first; `images_2` and so on come after them.
const PHOTO_FOLDERS: [&str; 12] = [
    "images", "image", "input", "photos", "imgs", "img", "frames", "rgb", "color", "images_2", "images_4",
    "images_8",
];

/// The photo folders in `dir`, ignoring case, most likely first; with `input_first`, `input` (photos before undistortion) is
/// first.
#[must_use]
pub fn photo_folders(dir: &Path, input_first: bool) -> Vec<PathBuf> {
    let mut found: Vec<(usize, PathBuf)> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().to_str()?.to_lowercase();
            let known = PHOTO_FOLDERS.iter().position(|known| *known == name);
            let rank = match known {
                Some(2) if input_first => 0,
                Some(rank) => rank + 1,
                None if name.starts_with("images_") => PHOTO_FOLDERS.len() + 1,
                None => return None,
            };
            Some((rank, entry.path())).filter(|(_, path)| path.is_dir())
        })
        .collect();
    found.sort();
    found.into_iter().map(|(_, path)| path).collect()
}

/// The folder in which most names resolve, with the results; in case of a tie, the one with most exact matches, then the first.
/// `None` if no folder exists.
#[must_use]
pub fn best_folder(folders: &[PathBuf], names: &[&str]) -> Option<(PhotoIndex, Vec<Resolved>)> {
    let mut best: Option<((usize, usize), PhotoIndex, Vec<Resolved>)> = None;
    for (at, folder) in folders.iter().enumerate() {
        if folders[..at].contains(folder) || !folder.is_dir() {
            continue;
        }
        let index = PhotoIndex::of(folder);
        let resolved = index.resolve(names);
        let count = |wanted: fn(&MatchedBy) -> bool| {
            resolved.iter().filter(|one| matches!(one, Resolved::File(_, how) if wanted(how))).count()
        };
        let score = (count(|_| true), count(|how| *how == MatchedBy::Path));
        if best.as_ref().is_none_or(|(known, ..)| score > *known) {
            best = Some((score, index, resolved));
        }
        if score == (names.len(), names.len()) {
            break;
        }
    }
    best.map(|(_, index, resolved)| (index, resolved))
}
