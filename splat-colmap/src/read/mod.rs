//! Reading sparse models, binary and text.
//!
//! A model is a folder with `cameras`, `images` and `points3D`, all `.bin` or all `.txt`. Every
//! count is checked against the bytes that are left before memory is asked for, and every
//! malformed file is refused with its path and place.

mod binary;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use splat_core::{Content, Lens, content};

use crate::error::{ColmapError, Result, read_error};
use crate::model::{Point3d, PosedImage, Reconstruction};

const FORMAT: &str = "COLMAP model file";

/// The two forms of a sparse model on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelForm {
    /// `cameras.bin`, `images.bin`, `points3D.bin`.
    Binary,
    /// `cameras.txt`, `images.txt`, `points3D.txt`.
    Text,
}

impl ModelForm {
    pub(crate) fn file(self, dir: &Path, stem: &str) -> PathBuf {
        dir.join(self.file_name(stem))
    }

    fn file_name(self, stem: &str) -> String {
        format!("{stem}.{}", if self == Self::Binary { "bin" } else { "txt" })
    }

    /// The file as it is called on disk, where programs and copies change case; [`Self::file`] if there is none.
    fn existing(self, dir: &Path, stem: &str) -> PathBuf {
        let exact = self.file(dir, stem);
        if exact.is_file() {
            return exact;
        }
        let wanted = self.file_name(stem);
        file_names(dir).find(|name| name.eq_ignore_ascii_case(&wanted)).map_or(exact, |name| dir.join(name))
    }

    /// Which form `dir` holds; the binary one, as COLMAP, where both are there.
    #[must_use]
    pub fn of(dir: &Path) -> Option<Self> {
        const POSES: [&str; 2] = ["cameras", "images"];
        let forms = [Self::Binary, Self::Text];
        let exact = forms.into_iter().find(|form| POSES.iter().all(|stem| form.file(dir, stem).is_file()));
        exact.or_else(|| {
            let wanted = forms.map(|form| POSES.map(|stem| form.file_name(stem)));
            let mut there = [[false; 2]; 2];
            for name in file_names(dir) {
                for (there, wanted) in there.iter_mut().flatten().zip(wanted.iter().flatten()) {
                    *there |= name.eq_ignore_ascii_case(wanted);
                }
            }
            forms.into_iter().zip(there).find(|(_, there)| *there == [true; 2]).map(|(form, _)| form)
        })
    }

    /// Whether a path is called like one of a model's files.
    #[must_use]
    pub fn is_file_of_model(path: &Path) -> bool {
        let forms = [Self::Binary, Self::Text];
        let mut names =
            forms.iter().flat_map(|form| ["cameras", "images", "points3D"].map(|stem| form.file_name(stem)));
        path.is_file()
            && path
                .file_name()
                .is_some_and(|name| names.any(|known| name.eq_ignore_ascii_case(known.as_str())))
    }
}

/// Names of the files in a folder, as far as they are UTF-8; none if it cannot be read.
fn file_names(dir: &Path) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| !kind.is_dir()))
        .filter_map(|entry| entry.file_name().into_string().ok())
}

/// Reads the sparse model in `dir`, in whichever form it is there.
///
/// Points may be in the other form or a `points3D.ply`. Without any the points are empty: poses alone are a usable model.
///
/// # Errors
/// [`ColmapError::NoModel`] without `cameras` and `images`; [`ColmapError::Malformed`] for broken
/// content; [`ColmapError::Core`] where a file cannot be read.
pub fn read_model(dir: &Path) -> Result<Reconstruction> {
    let mut model = read_poses(dir)?;
    model.points = read_points(dir)?;
    Ok(model)
}

/// As [`read_model`], without the points.
pub(crate) fn read_poses(dir: &Path) -> Result<Reconstruction> {
    let form = ModelForm::of(dir).ok_or_else(|| ColmapError::NoModel { dir: dir.to_owned() })?;
    let [cameras, images] = ["cameras", "images"].map(|stem| form.existing(dir, stem));
    let (cameras_bytes, images_bytes) = (load(&cameras, form)?, load(&images, form)?);
    let (cameras, images) = match form {
        ModelForm::Binary => {
            (binary::cameras(&cameras, &cameras_bytes)?, binary::images(&images, &images_bytes)?)
        }
        ModelForm::Text => (
            text::cameras(&cameras, &decode(&cameras, cameras_bytes)?)?,
            text::images(&images, &decode(&images, images_bytes)?)?,
        ),
    };
    check_cameras(dir, form, &cameras, &images)?;
    Ok(Reconstruction { cameras, images, points: BTreeMap::new() })
}

/// The points of a model in any form, that of the poses first: programs leave them as `points3D.ply`, too.
pub(crate) fn read_points(dir: &Path) -> Result<BTreeMap<u64, Point3d>> {
    let own = ModelForm::of(dir).unwrap_or(ModelForm::Binary);
    let other = if own == ModelForm::Binary { ModelForm::Text } else { ModelForm::Binary };
    for form in [own, other] {
        let path = form.existing(dir, "points3D");
        if path.is_file() {
            let bytes = load(&path, form)?;
            return match form {
                ModelForm::Binary => binary::points(&path, &bytes),
                ModelForm::Text => text::points(&path, &decode(&path, bytes)?),
            };
        }
    }
    let ply =
        file_names(dir).find(|name| name.eq_ignore_ascii_case("points3D.ply")).map(|name| dir.join(name));
    let points = ply.map_or(Ok(Vec::new()), |path| splat_core::ply::read_points(&path))?;
    let numbered = (1..).zip(points).map(|(id, point)| {
        let position = point.position.map(f64::from);
        (id, Point3d { position, rgb: point.rgb, error: -1.0, track: Vec::new() })
    });
    Ok(numbered.collect())
}

/// A file's bytes; a file that is not part of a model is reported with its kind.
fn load(path: &Path, form: ModelForm) -> Result<Vec<u8>> {
    let bytes = fs::read(path).map_err(|error| read_error(path, error))?;
    let kind = Content::of(&bytes[..bytes.len().min(content::HEAD_BYTES)]);
    let misplaced = matches!(
        kind,
        Some(
            Content::LfsPointer
                | Content::AnnexPointer
                | Content::Html
                | Content::Zip
                | Content::Gzip
                | Content::Archive
        )
    );
    // No record is all zeros, and a model without images is 8 zero bytes.
    let zeros = kind == Some(Content::Zeros) && bytes.len() > 8 && bytes.iter().all(|&byte| byte == 0);
    match kind {
        Some(kind) if form == ModelForm::Binary && (misplaced || zeros) => {
            let what = kind.sentence();
            Err(splat_core::Error::Malformed { path: path.to_owned(), format: FORMAT, what }.into())
        }
        _ => Ok(bytes),
    }
}

fn decode(path: &Path, bytes: Vec<u8>) -> Result<String> {
    Ok(splat_core::text_file::decode(path, FORMAT, bytes)?)
}

/// Checks that every image's camera exists.
fn check_cameras(
    dir: &Path,
    form: ModelForm,
    cameras: &BTreeMap<u32, Lens>,
    images: &BTreeMap<u32, PosedImage>,
) -> Result<()> {
    let Some((id, image)) = images.iter().find(|(_, image)| !cameras.contains_key(&image.camera_id)) else {
        return Ok(());
    };
    Err(ColmapError::UnknownCamera {
        path: form.existing(dir, "images"),
        image_id: *id,
        name: image.name.clone(),
        camera_id: image.camera_id,
    })
}

/// How many images a model has registered, without reading them all.
fn count_images(dir: &Path, form: ModelForm) -> Result<u64> {
    let path = form.existing(dir, "images");
    match form {
        ModelForm::Binary => binary::count_images(&path),
        ModelForm::Text => {
            let bytes = load(&path, form)?;
            Ok(text::images(&path, &decode(&path, bytes)?)?.len() as u64)
        }
    }
}

/// One of the models written by a mapper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelChoice {
    /// The folder of the model's files.
    pub dir: PathBuf,
    /// Images it registered.
    pub registered: u64,
    /// Images that each of the other models registered.
    pub others: Vec<u64>,
}

/// Maximum depth of subfolders searched for models.
const MAX_LEVELS: usize = 3;

/// The number by which COLMAP's mapper names the folder of a model.
pub(crate) fn model_number(dir: &Path) -> Option<u32> {
    dir.file_name()?.to_str()?.parse().ok()
}

/// All folders with a model in `dir` and up to three levels below it: `sparse` before others, numbers in order, a folder's
/// own model after those inside it.
///
/// Links are followed; a folder that several names lead to is taken under the first of them.
pub(crate) fn list_models(dir: &Path) -> Vec<PathBuf> {
    fn walk(dir: &Path, levels: usize, seen: &mut BTreeSet<PathBuf>, found: &mut Vec<PathBuf>) {
        if levels > 0 {
            let (sparse, others): (Vec<_>, Vec<_>) =
                subfolders(dir).into_iter().partition(|folder| folder.ends_with("sparse"));
            for folder in sparse.iter().chain(&others) {
                walk(folder, levels - 1, seen, found);
            }
        }
        let place = || fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
        if ModelForm::of(dir).is_some() && seen.insert(place()) {
            found.push(dir.to_owned());
        }
    }
    let mut found = Vec::new();
    walk(dir, MAX_LEVELS, &mut BTreeSet::new(), &mut found);
    found
}

/// The model with most registered images in `dir` and up to three levels below it; of equals, the first by name.
///
/// # Errors
/// [`ColmapError::NoModel`]; what is wrong with the only ones there are.
pub fn find_best_model(dir: &Path) -> Result<ModelChoice> {
    let mut best: Option<ModelChoice> = None;
    let mut first_error = None;
    for candidate in list_models(dir) {
        let Some(form) = ModelForm::of(&candidate) else { continue };
        match (count_images(&candidate, form), &mut best) {
            (Ok(registered), Some(best)) if registered <= best.registered => best.others.push(registered),
            (Ok(registered), _) => {
                let others = best.take().map_or(Vec::new(), |mut old| {
                    old.others.push(old.registered);
                    old.others
                });
                best = Some(ModelChoice { dir: candidate, registered, others });
            }
            (Err(error), _) => first_error = first_error.or(Some(error)),
        }
    }
    match (best, first_error) {
        (Some(best), _) => Ok(best),
        (None, Some(error)) => Err(error),
        (None, None) => Err(ColmapError::NoModel { dir: dir.to_owned() }),
    }
}

/// Folders in `dir`, by number where their names are numbers, then by name; none if it cannot be read.
fn subfolders(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let hidden = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with('.');
    let mut folders: Vec<PathBuf> = entries
        .filter(|entry| !hidden(entry))
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    let number = |path: &Path| path.file_name()?.to_str()?.parse::<u64>().ok();
    // Links come last: they usually lead to folders that are listed themselves.
    folders.sort_by_key(|path| (path.is_symlink(), number(path).unwrap_or(u64::MAX), path.clone()));
    folders
}
