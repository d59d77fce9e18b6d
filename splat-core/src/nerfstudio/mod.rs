//! Posed datasets in nerfstudio's format, `transforms.json`, which Blender's and instant-ngp's datasets share.
//!
//! [`NerfstudioSource`] reads one as a [`Scene`]. World axes and unit are the file's, and so are the trained scene's; only camera axes
//! are converted, from OpenGL's (x right, y up, z back) to COLMAP's. The points of `ply_file_path` are in the same frame as the camera
//! poses: nerfstudio applies an `applied_transform` to both.
//!
//! Alpha channels are kept; those of Blender's renders are transparency ([`Scene::alpha`]). Rolling shutters are instant-ngp's:
//! `rolling_shutter` of the file with `transform_matrix_start` and `transform_matrix_end` of each frame; `transform_matrix` is the pose
//! in the middle of the exposure.

mod intrinsics;
mod json;
mod pose;
mod split;

use std::path::{Path, PathBuf};

use crate::camera::Pose;
use crate::events::{CancelToken, Event, EventSink};
use crate::images::{self, PHOTO_EXTENSIONS};
use crate::photo_names::{self, MatchedBy, PhotoIndex, Resolved};
use crate::ply;
use crate::scene::{AlphaMode, Scene, SceneSource, View};
use crate::{Error, Result, text_file};

use json::{FrameEntry, Transforms};
use pose::{pose, rolling_shutter};

const FORMAT: &str = "nerfstudio dataset";
/// File names searched for in a folder; the first that exists is used.
const FILE_NAMES: [&str; 2] = ["transforms.json", "transforms_train.json"];
/// Levels of folders searched by [`NerfstudioSource::below`].
const MAX_LEVELS: usize = 3;
/// nerfstudio's default name for the points.
const DEFAULT_POINTS: &str = "sparse_pc.ply";

/// A dataset in nerfstudio's format.
#[derive(Clone, Debug)]
pub struct NerfstudioSource {
    json: PathBuf,
    images: Option<PathBuf>,
    masks: Option<PathBuf>,
}

impl NerfstudioSource {
    /// From a `transforms.json`, or a folder with one (or with Blender's `transforms_train.json`).
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { json: find(path).unwrap_or_else(|| path.to_owned()), images: None, masks: None }
    }

    /// Overrides the folder of photos.
    #[must_use]
    pub fn with_images(mut self, images: impl Into<PathBuf>) -> Self {
        self.images = Some(images.into());
        self
    }

    /// Overrides the folder of masks.
    #[must_use]
    pub fn with_masks(mut self, masks: impl Into<PathBuf>) -> Self {
        self.masks = Some(masks.into());
        self
    }

    /// The datasets in the folders below `dir`, up to three levels down, the nearest first: archives often have a folder around their
    /// contents.
    #[must_use]
    pub fn below(dir: &Path) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut level = vec![dir.to_owned()];
        for _ in 0..MAX_LEVELS {
            let subfolders = level.iter().flat_map(|folder| {
                let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
                let mut folders: Vec<PathBuf> = entries
                    .filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
                    .map(|entry| entry.path())
                    .filter(|path| path.is_dir())
                    .collect();
                folders.sort();
                folders
            });
            level = subfolders.collect();
            found.extend(level.iter().filter_map(|folder| find(folder)));
        }
        found
    }

    /// Whether a path looks like such a dataset.
    #[must_use]
    pub fn matches(path: &Path) -> bool {
        find(path).is_some()
    }
}

fn find(path: &Path) -> Option<PathBuf> {
    if path.is_dir() {
        let exact = FILE_NAMES.iter().map(|name| path.join(name)).find(|file| file.is_file());
        return exact.or_else(|| {
            let entries = std::fs::read_dir(path).ok()?.flatten().map(|entry| entry.path());
            let mut files: Vec<PathBuf> = entries.filter(|file| file.is_file()).collect();
            files.sort();
            let named =
                |file: &PathBuf, name: &str| file.file_name().is_some_and(|n| n.eq_ignore_ascii_case(name));
            FILE_NAMES.iter().find_map(|name| files.iter().find(|file| named(file, name)).cloned())
        });
    }
    let is_json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    (is_json && path.is_file()).then(|| path.to_owned())
}

impl SceneSource for NerfstudioSource {
    /// Reads poses, lenses and points; of photos only the headers, if the file does not contain their size.
    ///
    /// Frames without a photo or without a valid pose are skipped with a warning; it is an error if none are left.
    ///
    /// # Errors
    /// [`Error::Read`] for files that cannot be read; [`Error::Malformed`] for violations of the format, with the frame's name;
    /// [`Error::Scene`] without a usable frame; [`Error::Cancelled`].
    fn scene(&mut self, events: EventSink<'_>, cancel: &CancelToken) -> Result<Scene> {
        let transforms: Transforms = text_file::read_json(&self.json, FORMAT)?;
        let folder = self.json.parent().unwrap_or(Path::new(""));
        let mut scene = Scene::default();
        let warn = |message: String| events(Event::Warning { message });
        let tests = split::test_file(&self.json);
        let test_transforms = match &tests {
            Some(path) => Some(text_file::read_json::<Transforms>(path, FORMAT)?),
            None => None,
        };
        if transforms.is_blender() {
            scene.alpha = AlphaMode::Transparent;
        }
        let mut split = split::Split::of(&transforms, |names| self.photos(folder, names));
        let mut ambiguous = Vec::new();
        let mut missing = Vec::new();
        let mut poseless = Vec::new();
        let mut total = 0;
        for (json, transforms) in [
            (&self.json, Some(&transforms)),
            (tests.as_ref().unwrap_or(&self.json), test_transforms.as_ref()),
        ] {
            let Some(transforms) = transforms else { continue };
            let names: Vec<&str> = transforms.frames.iter().map(|frame| frame.file_path.as_str()).collect();
            let photos = self.photos(folder, &names);
            total += photos.len();
            if let Some(how) = photo_names::summary(&photos) {
                warn(format!("photos were matched to the names of `{}`: {how}", json.display()));
            }
            for (frame, photo) in transforms.frames.iter().zip(&photos) {
                cancel.check()?;
                match photo {
                    Resolved::File(path, how) => {
                        let posed = pose(&frame.transform_matrix);
                        let Ok(cam_from_world) = posed else {
                            poseless.extend(
                                posed.err().map(|what| format!("frame `{}` {what}", frame.file_path)),
                            );
                            continue;
                        };
                        let mut view = view(json, folder, transforms, frame, path.clone(), cam_from_world)?;
                        // The view gets the actual file name if the dataset's name differs.
                        if *how != MatchedBy::Path
                            && let Some(below) = path.strip_prefix(folder).ok().and_then(Path::to_str)
                        {
                            view.name = slashed(below);
                        }
                        split.note(&view.name, &view.image_path, tests.as_ref() == Some(json));
                        scene.views.push(view);
                    }
                    Resolved::Ambiguous(_) => ambiguous.push(format!("`{}`", frame.file_path)),
                    Resolved::Missing => missing.push(frame.file_path.as_str()),
                }
            }
        }
        split.apply(&mut scene, &self.json, missing.len()).into_iter().for_each(warn);
        if !ambiguous.is_empty() {
            warn(format!("left out, since more than one photo is as likely: {}", ambiguous.join(", ")));
        }
        self.masks(folder, &mut scene, events);
        if let Some(warning) = scene.drop_duplicates() {
            warn(warning);
        }
        scene.views.sort_by(|a, b| a.name.cmp(&b.name));
        if scene.views.is_empty() {
            if let Some(what) = poseless.first() {
                return Err(malformed(&self.json, what.clone()));
            }
            let why = match missing.first() {
                Some(first) => format!(
                    "none of the {total} photos of `{}` exists, such as `{first}`; put them there, or name their folder with \
                     `--images`",
                    self.json.display()
                ),
                None => format!("`{}` lists no frames", self.json.display()),
            };
            return Err(Error::Scene { why });
        }
        if let Some(first) = poseless.first() {
            let message =
                format!("{} of {total} photos have no usable pose and are left out: {first}", poseless.len());
            events(Event::Warning { message });
        }
        if let Some(first) = missing.first() {
            let message =
                format!("{} of {total} photos are missing and left out, such as `{first}`", missing.len());
            events(Event::Warning { message });
        }
        let points = transforms.ply_file_path.as_deref().map(|name| folder.join(slashed(name)));
        let given = points.unwrap_or_else(|| folder.join(DEFAULT_POINTS));
        if given.is_file() {
            scene.points = ply::read_points(&given)?;
        } else if transforms.ply_file_path.is_some() {
            let message = format!(
                "the points that `{}` names, `{}`, are not there; training begins without them",
                self.json.display(),
                given.display()
            );
            events(Event::Warning { message });
        }
        scene.validate()?;
        Ok(scene)
    }
}

impl NerfstudioSource {
    /// The photo of each name: at its path relative to the dataset's folder or its parent; otherwise the one in the usual photo
    /// folders that matches.
    fn photos(&self, folder: &Path, names: &[&str]) -> Vec<Resolved> {
        let in_folders = |folders: &[PathBuf]| match photo_names::best_folder(folders, names) {
            Some((_, photos)) => photos,
            None => vec![Resolved::Missing; names.len()],
        };
        if let Some(images) = &self.images {
            return in_folders(std::slice::from_ref(images));
        }
        let above = folder.parent().unwrap_or(folder);
        let written = |name: &str| photo_path(folder, name).or_else(|| photo_path(above, name));
        let direct: Vec<Option<PathBuf>> = names.iter().map(|name| written(name)).collect();
        if direct.iter().all(Option::is_some) {
            return direct.into_iter().flatten().map(|path| Resolved::File(path, MatchedBy::Path)).collect();
        }
        let mut folders = photo_names::photo_folders(folder, false);
        folders.push(folder.to_owned());
        let taken: std::collections::BTreeSet<PathBuf> = direct.iter().flatten().cloned().collect();
        let found = in_folders(&folders);
        let both = direct.into_iter().zip(found);
        both.map(|(direct, found)| match (direct, found) {
            (Some(path), _) => Resolved::File(path, MatchedBy::Path),
            // A file can only be one photo.
            (None, Resolved::File(path, _)) if taken.contains(&path) => Resolved::Ambiguous(vec![path]),
            (None, found) => found,
        })
        .collect()
    }

    /// Masks by the photos' names, if a folder is given, or if the default one exists and the file lists none.
    fn masks(&self, folder: &Path, scene: &mut Scene, events: EventSink<'_>) {
        let named = scene.views.iter().any(|view| view.mask_path.is_some());
        let usual = || photo_names::mask_folder(folder).filter(|_| !named);
        if let Some(dir) = self.masks.clone().or_else(usual) {
            let names: Vec<&str> = scene.views.iter().map(|view| view.name.as_str()).collect();
            let found = photo_names::resolve_masks(&PhotoIndex::of(&dir), &names);
            let count = found.iter().filter(|mask| matches!(mask, Resolved::File(..))).count();
            let message =
                format!("masks for {count} of {} photos are taken from `{}`", names.len(), dir.display());
            events(Event::Warning { message });
            for (view, mask) in scene.views.iter_mut().zip(found) {
                view.mask_path = match mask {
                    Resolved::File(path, _) => Some(path),
                    _ => None,
                };
            }
            return;
        }
        let mut lost = Vec::new();
        for view in &mut scene.views {
            if let Some(path) = view.mask_path.take_if(|path| !path.is_file()) {
                lost.push(path);
            }
        }
        if let Some(first) = lost.first() {
            let message = format!(
                "{} masks are not there, such as `{}`: their photos are used whole",
                lost.len(),
                first.display()
            );
            events(Event::Warning { message });
        }
    }
}

fn malformed(path: &Path, what: String) -> Error {
    Error::Malformed { path: path.to_owned(), format: FORMAT, what }
}

fn view(
    json: &Path,
    folder: &Path,
    transforms: &Transforms,
    frame: &FrameEntry,
    path: PathBuf,
    cam_from_world: Pose,
) -> Result<View> {
    let bad = |what: String| malformed(json, format!("frame `{}` {what}", frame.file_path));
    let lens = intrinsics::lens(&frame.lens.or(&transforms.lens), || {
        let info = images::probe_header(&path)?;
        Ok((info.stored_width, info.stored_height))
    })?
    .map_err(bad)?;
    let mask_path = frame.mask_path.as_ref().map(|name| folder.join(slashed(name)));
    let rolling_shutter = rolling_shutter(transforms, frame).map_err(bad)?;
    let name = view_name(&frame.file_path, &path);
    Ok(View { name, image_path: path, mask_path, lens, cam_from_world, rolling_shutter })
}

/// Paths may have Windows separators.
fn slashed(path: &str) -> String {
    path.replace('\\', "/")
}

/// The photo of a frame: at the path as written, or with a photo's extension appended.
fn photo_path(folder: &Path, file_path: &str) -> Option<PathBuf> {
    let path = folder.join(slashed(file_path).trim_start_matches("./"));
    if path.is_file() {
        return Some(path);
    }
    // Blender's files have paths without extension, and its renders are PNG.
    let lower = std::iter::once("png").chain(PHOTO_EXTENSIONS).map(str::to_owned);
    let upper = PHOTO_EXTENSIONS.map(str::to_ascii_uppercase);
    lower.chain(upper).find_map(|extension| {
        let mut name = path.clone().into_os_string();
        name.push(format!(".{extension}"));
        Some(PathBuf::from(name)).filter(|path| path.is_file())
    })
}

/// The frame's path as written, `/`-separated, with the extension that was found.
fn view_name(file_path: &str, path: &Path) -> String {
    let name = slashed(file_path).trim_start_matches("./").to_owned();
    match path.extension().and_then(|extension| extension.to_str()) {
        Some(extension) if !name.ends_with(&format!(".{extension}")) => format!("{name}.{extension}"),
        _ => name,
    }
}

#[cfg(test)]
mod tests;
