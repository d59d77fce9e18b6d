//! Selection of the model in a dataset's folder, and location of its photos.

use std::path::{Path, PathBuf};

use splat_core::photo_names::{self, MatchedBy, Resolved};

use crate::error::{ColmapError, Result};
use crate::model::Reconstruction;
use crate::read::{list_models, read_poses};

/// Levels above a model that are searched for its photos: `dense/0/sparse` and `distorted/sparse/0` need three.
const ANCESTORS: usize = 4;

/// Subfolder of the output folder of [`crate::ColmapSource`], from which a later run resumes.
pub(crate) const WORK: &str = "work";

/// The model that is used.
pub(crate) struct Found {
    /// Folder of the model.
    pub(crate) dir: PathBuf,
    /// Cameras and images; no points.
    pub(crate) model: Reconstruction,
    /// The folder of its photos.
    pub(crate) images: PathBuf,
    /// The result of resolving each image's name there, in the order of [`Reconstruction::names`].
    pub(crate) photos: Vec<Resolved>,
    /// Sentences on the models that are not used.
    pub(crate) passed_over: Vec<String>,
}

struct Candidate {
    found: Found,
    /// Number of images whose photo exists.
    with_photo: usize,
    /// Whether all lenses are without distortion.
    undistorted: bool,
}

/// The model of the dataset in `dir`: preferably an undistorted one whose photos exist, then the one with most photos. `images` is the
/// folder of photos, if known.
pub(crate) fn model(dir: &Path, images: Option<&Path>) -> Result<Found> {
    let work = dir.join(WORK);
    let mut candidates = Vec::new();
    let mut broken = Vec::new();
    // Intermediate files of our COLMAP driver beside a finished dataset are not another dataset.
    for place in list_models(dir).into_iter().filter(|place| !place.starts_with(&work)) {
        match read_poses(&place) {
            Ok(model) => candidates.push(candidate(dir, place, model, images)),
            Err(error) => broken.push(error),
        }
    }
    let most = candidates.iter().map(|candidate| candidate.with_photo).max().unwrap_or(0);
    let key = |candidate: &Candidate| {
        // A small undistorted model is not preferred over a much larger one.
        let enough = candidate.with_photo > 0 && 2 * candidate.with_photo >= most;
        let by_path = |photo: &&Resolved| matches!(photo, Resolved::File(_, MatchedBy::Path));
        let exact = candidate.found.photos.iter().filter(by_path).count();
        (enough, candidate.undistorted, candidate.with_photo, exact, candidate.found.model.images.len())
    };
    // The first among equals.
    let best = (0..candidates.len()).rev().max_by_key(|&at| candidates.get(at).map(&key));
    let Some(best) = best else {
        let none = ColmapError::NoModel { dir: dir.to_owned() };
        return Err(broken.into_iter().next().unwrap_or(none));
    };
    let best = candidates.remove(best);
    let mut passed_over: Vec<String> = broken.iter().map(|error| format!("passed over: {error}")).collect();
    passed_over.extend(passed_over_warnings(&best, &candidates));
    Ok(Found { passed_over, ..best.found })
}

fn candidate(dir: &Path, place: PathBuf, model: Reconstruction, images: Option<&Path>) -> Candidate {
    let names = model.names();
    let best = match images {
        Some(images) => photo_names::best_folder(&[images.to_owned()], &names),
        None => {
            let (named, whole) = folders(dir, &place);
            let best = photo_names::best_folder(&named, &names);
            // Anywhere at all only where the usual places have few: what lies about there is often a copy.
            if best.as_ref().is_some_and(|(_, photos)| 2 * count(photos) >= names.len()) {
                best
            } else {
                let anywhere = photo_names::best_folder(&whole, &names);
                [anywhere, best].into_iter().flatten().max_by_key(|(_, photos)| count(photos))
            }
        }
    };
    let (root, photos) = match best {
        Some((index, photos)) => (index.root().to_owned(), photos),
        None => {
            (images.map_or_else(|| dir.join("images"), Path::to_owned), vec![Resolved::Missing; names.len()])
        }
    };
    let with_photo = count(&photos);
    // Where no photo is found, this is where people look for them.
    let root = if with_photo == 0 && images.is_none() { dir.join("images") } else { root };
    let undistorted = model.cameras.values().all(|lens| lens.as_pinhole().is_some());
    let found = Found { dir: place, model, images: root, photos, passed_over: Vec::new() };
    Candidate { found, with_photo, undistorted }
}

fn count(photos: &[Resolved]) -> usize {
    photos.iter().filter(|photo| matches!(photo, Resolved::File(..))).count()
}

/// Where the photos of the model in `place` may lie, the likeliest first: folders named for photos, and whole folders.
fn folders(dir: &Path, place: &Path) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let distorted = place.ancestors().take(ANCESTORS).any(|folder| folder.ends_with("distorted"));
    let bases: Vec<&Path> =
        place.ancestors().take(ANCESTORS).chain([dir]).filter(|base| base.is_dir()).collect();
    let named = bases.iter().flat_map(|base| photo_names::photo_folders(base, distorted)).collect();
    // The whole of a folder only within what was given: above it may lie anything.
    let whole = bases.iter().filter(|base| base.starts_with(dir)).map(|base| base.to_path_buf()).collect();
    (named, whole)
}

fn passed_over_warnings(best: &Candidate, others: &[Candidate]) -> Vec<String> {
    let used = &best.found;
    let parent = used.dir.parent();
    let (siblings, elsewhere): (Vec<_>, Vec<_>) =
        others.iter().partition(|other| other.found.dir.parent() == parent && is_number(&other.found.dir));
    let mut sentences = Vec::new();
    if !siblings.is_empty() && is_number(&used.dir) {
        let counts: Vec<String> =
            siblings.iter().map(|other| other.found.model.images.len().to_string()).collect();
        sentences.push(format!(
            "COLMAP made {} models that do not connect; `{}` with {} photos is used, the others have {}",
            siblings.len() + 1,
            used.dir.display(),
            used.model.images.len(),
            counts.join(", ")
        ));
    }
    if !elsewhere.is_empty() {
        let list: Vec<String> = (elsewhere.iter())
            .map(|other| {
                let lens = if other.undistorted { "" } else { ", distorted" };
                let (there, all) = (other.with_photo, other.found.model.images.len());
                format!("`{}` ({there} of {all} photos there{lens})", other.found.dir.display())
            })
            .collect();
        sentences.push(format!(
            "the model in `{}` is used; passed over: {}",
            used.dir.display(),
            list.join(", ")
        ));
    }
    sentences
}

fn is_number(dir: &Path) -> bool {
    dir.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.parse::<u64>().is_ok())
}

/// The names for which no single photo is the one, each with those that may be.
pub(crate) fn ambiguous(model: &Reconstruction, photos: &[Resolved]) -> Vec<String> {
    let both = model.images.values().zip(photos);
    both.filter_map(|(image, photo)| match photo {
        Resolved::Ambiguous(files) => {
            let files: Vec<String> = files.iter().map(|file| format!("`{}`", file.display())).collect();
            Some(format!("`{}` (may be {})", image.name, files.join(" or ")))
        }
        _ => None,
    })
    .collect()
}
