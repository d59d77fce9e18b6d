//! Resolves a dataset's photo names to files on disk.
//!
//! Datasets move between machines and programs: letters change case, JPEGs become PNGs, folders are added, flattened or
//! renamed, paths are absolute or have `\`, accents and syllables are one character on one system and several on another (NFC and
//! NFD). [`PhotoIndex::resolve`] takes all names of a dataset at once and finds the
//! unique file for each: by exact path, then by the longest matching path suffix, then the same without extensions, ignoring case. A
//! name that matches two files equally well and a file that matches two names are reported as ambiguous rather than guessed.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use icu_normalizer::ComposingNormalizerBorrowed;

use crate::images::has_photo_extension;

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
    /// By [`folded`] file name, and by the stem of that, into `files`.
    by_name: BTreeMap<String, Vec<usize>>,
    by_stem: BTreeMap<String, Vec<usize>>,
}

#[derive(Clone, Debug)]
struct File {
    path: PathBuf,
    /// Components below the root, as far as they are UTF-8: what is not is replaced, as it is in the names of a dataset.
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
                // Masks are named like the photos that they may lie among.
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
        // As in addresses: `my%20photo.jpg`. A file that is called so was found above.
        let decoded = percent_decoded(name_given).map(|decoded| self.resolve_one(&decoded));
        if let Some(found) = decoded.filter(|found| *found != Resolved::Missing) {
            return found;
        }
        // `r_0` of Blender, then `a.jpg` as `a.png`; also `a.jpg` as `a.jpg.png`.
        let stems = [name.as_str(), stem(&name)];
        match stems.iter().find_map(|stem| self.by_stem.get(*stem)) {
            Some(candidates) => self.closest(candidates, &wanted, true),
            None => Resolved::Missing,
        }
    }

    /// The candidate with the longest common path suffix.
    fn closest(&self, candidates: &[usize], wanted: &[String], by_stem: bool) -> Resolved {
        // Shared components, those in the same case, and whether one path is wholly the end of the other.
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
                    // A file that was found in its folder and cannot be opened, such as a link to nowhere.
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

/// Whether a folder is called `masks` or `mask`, in any case.
#[must_use]
pub fn is_mask_folder(name: &str) -> bool {
    ["masks", "mask"].iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Whether a folder beside `images` has the name of what programs make from those: copies at another size, and pictures that show
/// no colours.
#[must_use]
pub fn is_made_from_photos(name: &str) -> bool {
    let copies = name.strip_prefix("images_").is_some_and(|factor| factor.parse::<u32>().is_ok());
    let others = ["depth", "depths", "depth_maps", "normal", "normals", "sparse", "stereo"];
    copies || is_mask_folder(name) || others.contains(&name.to_ascii_lowercase().as_str())
}

/// The folder of masks in `dir`, in any case.
#[must_use]
pub fn mask_folder(dir: &Path) -> Option<PathBuf> {
    let mut found: Vec<PathBuf> =
        fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    found.retain(|path| {
        path.file_name().is_some_and(|name| is_mask_folder(&name.to_string_lossy())) && path.is_dir()
    });
    // `masks` before `mask`, small letters before large ones.
    found.sort_by(|a, b| b.cmp(a));
    found.into_iter().next()
}

/// What programs append to a photo's name for its mask: Metashape `_mask`, RealityCapture `.mask`.
const MASK_SUFFIXES: [&str; 3] = ["_mask", ".mask", "-mask"];

/// The mask of each photo among the pictures of a folder of masks: named like the photo, with a mask's suffix behind it or without.
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

/// Usual names of photo folders, lower case, most likely first; `images_2` and so on come after them.
const PHOTO_FOLDERS: [&str; 12] = [
    "images", "image", "input", "photos", "imgs", "img", "frames", "rgb", "color", "images_2", "images_4",
    "images_8",
];

/// The photo folders in `dir`, in any case, most likely first; with `input_first`, that of photos before undistortion comes first.
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

/// The folder in which most names resolve, with the results: among equals the one with most exact matches, then the first. `None`
/// without folders.
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

/// The name with `%20` and the like as what they stand for; `None` without any.
fn percent_decoded(name: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    let mut found = false;
    while let [first, others @ ..] = rest {
        let code = others.first_chunk::<2>().filter(|_| *first == b'%');
        let code = code.and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                found = true;
                bytes.push(byte);
                rest = &others[2..];
            }
            None => {
                bytes.push(*first);
                rest = others;
            }
        }
    }
    String::from_utf8(bytes).ok().filter(|_| found)
}

/// A name normalized for comparison: one case and one Unicode form.
#[must_use]
pub fn folded(name: &str) -> String {
    composed(&name.to_lowercase()).into_owned()
}

fn composed(name: &str) -> Cow<'_, str> {
    ComposingNormalizerBorrowed::new_nfc().normalize(name)
}

/// The components of a name, with separators of any system; `None` without any. Everything up to the last `..` is dropped: names in
/// a dataset are untrusted and must not lead out of the folder.
fn parts_of(name: &str) -> Option<Vec<String>> {
    let slashed = name.trim().replace('\\', "/");
    let mut parts = Vec::new();
    for part in slashed.split('/') {
        match part {
            "" | "." => {}
            ".." => parts.clear(),
            part => parts.push(part.to_owned()),
        }
    }
    // Skip the drive.
    if parts.first().is_some_and(|first| first.len() == 2 && first.ends_with(':')) {
        parts.remove(0);
    }
    (!parts.is_empty()).then_some(parts)
}

/// A file name without a photo's extension, including those of raw files, which occur in datasets whose photos were developed.
fn stem(name: &str) -> &str {
    const OTHERS: [&str; 14] =
        ["heic", "heif", "avif", "dng", "nef", "cr2", "cr3", "arw", "raf", "rw2", "orf", "exr", "hdr", "jxl"];
    let Some((stem, extension)) = name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()) else {
        return name;
    };
    let known =
        has_photo_extension(Path::new(name)) || OTHERS.iter().any(|o| o.eq_ignore_ascii_case(extension));
    if known { stem } else { name }
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
mod tests {
    use super::*;

    fn resolve(files: &[&str], names: &[&str]) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        let below = |path: &Path| path.strip_prefix(dir.path()).unwrap().to_str().unwrap().replace('\\', "/");
        let found = PhotoIndex::of(dir.path()).resolve(names);
        found
            .iter()
            .map(|resolved| match resolved {
                Resolved::File(path, how) => format!("{} by {}", below(path), how.text()),
                Resolved::Ambiguous(paths) => {
                    format!("? {}", paths.iter().map(|path| below(path)).collect::<Vec<_>>().join(" "))
                }
                Resolved::Missing => "-".into(),
            })
            .collect()
    }

    /// Files of an archive from Windows, unpacked without its encoding: names of bytes that are no UTF-8.
    #[test]
    #[cfg(target_os = "linux")]
    fn names_in_other_encodings_are_found_where_they_differ() {
        use std::os::unix::ffi::OsStrExt as _;
        let dir = tempfile::tempdir().unwrap();
        // Two syllables in EUC-KR.
        let name = |number: u8| [&b"\xbb\xe7\xc1\xf8"[..], &[number], b".jpg"].concat();
        for number in [b'1', b'2'] {
            fs::write(dir.path().join(std::ffi::OsStr::from_bytes(&name(number))), "x").unwrap();
        }
        let wanted = [b'1', b'2', b'3'].map(|number| String::from_utf8_lossy(&name(number)).into_owned());
        let found = PhotoIndex::of(dir.path()).resolve(&wanted.each_ref().map(String::as_str));
        for (number, found) in [b'1', b'2'].into_iter().zip(&found) {
            let Resolved::File(path, _) = found else { panic!("{found:?}") };
            assert_eq!(path.file_name().unwrap().as_bytes(), name(number));
        }
        assert_eq!(found[2], Resolved::Missing);
    }

    #[test]
    fn masks_are_found_by_the_names_that_programs_give_them() {
        let dir = tempfile::tempdir().unwrap();
        let files =
            ["a_mask.png", "b.jpg.mask.png", "sub/c.mask.PNG", "d.png", "e-mask.png", "e.png", "mask_f.png"];
        for file in files {
            fs::create_dir_all(dir.path().join("sub")).unwrap();
            fs::write(dir.path().join(file), "x").unwrap();
        }
        let photos = ["a.jpg", "b.jpg", "sub/c.jpg", "d.JPG", "e.jpg", "f.jpg", "v1.2/g"];
        let masks = resolve_masks(&PhotoIndex::of(dir.path()), &photos);
        let names = masks.iter().map(|mask| match mask {
            Resolved::File(path, _) => path.file_name().unwrap().to_str().unwrap(),
            _ => "-",
        });
        assert_eq!(
            names.collect::<Vec<_>>(),
            ["a_mask.png", "b.jpg.mask.png", "c.mask.PNG", "d.png", "e.png", "-", "-"]
        );
    }

    #[test]
    fn names_find_their_files() {
        let cases: &[(&[&str], &str, &str)] = &[
            (&["a.jpg"], "a.jpg", "a.jpg by name"),
            (&["a.jpg"], "A.JPG", "a.jpg by name in another case"),
            (&["a.png"], "a.JPG", "a.png by name without extension"),
            (&["a.png"], "a", "a.png by name without extension"),
            (&["my photo.jpg"], "images/my%20photo.jpg", "my photo.jpg by the end of the path"),
            (&["my%20photo.jpg", "my photo.jpg"], "my%20photo.jpg", "my%20photo.jpg by name"),
            (&["100%.jpg", "사진.jpg"], "100%.jpg", "100%.jpg by name"),
            (&["사진.jpg"], "%EC%82%AC%EC%A7%84.jpg", "사진.jpg by name"),
            (&["a%20b.png"], "a%20b.jpg", "a%20b.png by name without extension"),
            // Masks among photos are none.
            (&["a.jpg", "masks/a.png"], "a.png", "a.jpg by name without extension"),
            (&["a.jpg.png"], "a.jpg", "a.jpg.png by name without extension"),
            (&["a.jpeg"], "cam0/A.HEIC", "a.jpeg by name without extension"),
            (&["frame.0001.png"], "frame.0001", "frame.0001.png by name without extension"),
            (&["a.jpg"], "cam0/a.jpg", "a.jpg by the end of the path"),
            (&["cam0/a.jpg"], "a.jpg", "cam0/a.jpg by the end of the path"),
            (&["cam0/a.jpg"], r"cam0\a.jpg", "cam0/a.jpg by name"),
            (&["a.jpg"], r"C:\Users\me\scan\images\a.jpg", "a.jpg by the end of the path"),
            (&["cam0/a.jpg", "cam1/a.jpg"], "/data/cam1/a.jpg", "cam1/a.jpg by the end of the path"),
            (&["cam0/a.jpg", "cam1/a.jpg"], "CAM1/a.png", "cam1/a.jpg by name without extension"),
            (&["cam0/a.jpg", "cam1/a.jpg"], "a.jpg", "? cam0/a.jpg cam1/a.jpg"),
            (&["a.jpg", "a.png"], "a.webp", "? a.jpg a.png"),
            (&["a.jpg", "a.png"], "a.png", "a.png by name"),
            (&["사진 1.jpg"], "사진 1.JPG", "사진 1.jpg by name in another case"),
            (
                &["\u{ac00}\u{c744}.jpg"],
                "\u{1100}\u{1161}\u{110b}\u{1173}\u{11af}.jpg",
                "\u{ac00}\u{c744}.jpg by name in another Unicode form",
            ),
            (
                &["e\u{301}te\u{301}/1.jpg"],
                "\u{e9}t\u{e9}/1.jpg",
                "e\u{301}te\u{301}/1.jpg by name in another Unicode form",
            ),
            (&["caf\u{e9}.png"], "scan/CAFE\u{301}.JPG", "caf\u{e9}.png by name without extension"),
            (&["b.jpg"], "a.jpg", "-"),
            (&["b.jpg"], "", "-"),
            (&["a.jpg"], "../../a.jpg", "a.jpg by name"),
            (&[".hidden/a.jpg", "a.txt"], "a.jpg", "-"),
        ];
        for (files, name, expected) in cases {
            assert_eq!(resolve(files, &[name]), [*expected], "{name} in {files:?}");
        }
    }

    #[test]
    fn one_file_is_one_photo() {
        // Two cameras' photos were flattened into one folder and one set was lost: nobody knows which.
        assert_eq!(resolve(&["1.jpg"], &["cam0/1.jpg", "cam1/1.jpg"]), ["? 1.jpg", "? 1.jpg"]);
        // The better match keeps it.
        assert_eq!(resolve(&["1.jpg"], &["1.jpg", "1.png"]), ["1.jpg by name", "? 1.jpg"]);
        // The same name twice is no riddle.
        assert_eq!(resolve(&["1.jpg"], &["x/1.jpg", "x/1.jpg"]), ["1.jpg by the end of the path"; 2]);
    }

    #[test]
    fn what_was_matched_how_is_one_line() {
        let file = |how| Resolved::File(PathBuf::new(), how);
        assert_eq!(summary(&[file(MatchedBy::Path), Resolved::Missing]), None);
        let mixed = [file(MatchedBy::Stem), file(MatchedBy::Path), file(MatchedBy::Stem)];
        assert_eq!(summary(&mixed).unwrap(), "1 by name, 2 by name without extension");
    }
}
