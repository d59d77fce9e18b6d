//! Locating a finished scene: a file, the output folder of a run, or an output folder of the 3DGS authors' code.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::older::{Run, read_run};
use super::output::OutputFolder;
use crate::dataset::DatasetOptions;
use crate::scene::AlphaMode;
use crate::{Error, Result, formats};

/// Longest side of a photo in pixels above which the authors' code scales down by default.
const AUTHORS_MAX_IMAGE_SIZE: u32 = 1600;
/// Maximum number of candidates listed in a message.
const NAMED: usize = 5;

/// Location of a dataset and its photos.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DatasetPlace {
    /// A COLMAP folder, or nerfstudio's file or folder.
    pub path: PathBuf,
    /// The folder of photos, if it is not the dataset's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<PathBuf>,
    /// The folder of masks, if it is not the dataset's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub masks: Option<PathBuf>,
}

/// A scene written by a run, with the files beside it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SavedScene {
    /// The scene's file, for [`formats::read`].
    pub scene: PathBuf,
    /// The `cameras.json` of the run that wrote it.
    pub cameras: Option<PathBuf>,
    /// The dataset that it was trained on, if recorded; it may no longer exist.
    pub dataset: Option<DatasetPlace>,
    /// Size and split of the photos that it was trained with.
    pub trained_with: Option<DatasetOptions>,
    /// What alpha channels of the photos meant in training, if recorded.
    pub alpha: Option<AlphaMode>,
    /// Whether it was trained in front of white: `--white_background` of the authors' code.
    pub white_background: bool,
}

impl SavedScene {
    /// Finds the scene at a path: the file itself if [`formats::is_scene`] accepts it; in the output folder of a run the one with most
    /// steps; in the authors' folder (or its `point_cloud`) that of the latest iteration; in any other folder the only scene.
    ///
    /// # Errors
    /// [`Error::Read`] for a path that does not exist or cannot be listed; [`Error::Malformed`] for a folder without a scene or with
    /// several candidates.
    pub fn find(path: &Path) -> Result<Self> {
        path.metadata().map_err(|source| Error::Read { path: path.to_owned(), source })?;
        if !path.is_dir() || formats::is_scene(path) {
            return Ok(Self::at(path.to_owned()));
        }
        if let Some(newest) = OutputFolder::existing(path).scenes()?.into_iter().next() {
            return Ok(Self::at(newest));
        }
        for folder in [path.join("point_cloud"), path.to_owned()] {
            if let Some(newest) = latest_iteration(&folder)? {
                return Ok(Self::at(newest));
            }
        }
        // Runs from photos keep their dataset in a subfolder, whose points are not a scene.
        let found = scenes_in(path)?;
        let malformed = |what: String| Error::Malformed { path: path.to_owned(), format: "scene", what };
        match found.as_slice() {
            [only] => Ok(Self::at(only.clone())),
            [] => Err(malformed(
                "the folder holds neither `ply/point_cloud_N.ply` nor `point_cloud/iteration_N/point_cloud.ply` nor another \
                 scene; give the scene's file"
                    .into(),
            )),
            several => {
                let names: Vec<_> = (several.iter().take(NAMED))
                    .filter_map(|path| Some(format!("`{}`", path.file_name()?.to_string_lossy())))
                    .collect();
                let more = if several.len() > NAMED { " and others" } else { "" };
                Err(malformed(format!(
                    "the folder holds several scenes ({}{more}); give one of them",
                    names.join(", ")
                )))
            }
        }
    }

    /// From a scene's file, with what the folders around it record.
    fn at(scene: PathBuf) -> Self {
        let folder = scene.parent().unwrap_or(Path::new("")).to_owned();
        // The file is in `<run>/point_cloud/iteration_N`.
        let root = if iteration(&folder).is_some() { folder.join("../..") } else { folder.join("..") };
        let cameras = [&folder, &root].map(|folder| folder.join("cameras.json"));
        let mut saved =
            Self { cameras: cameras.into_iter().find(|path| path.is_file()), scene, ..Self::default() };
        if let Some(Run { dataset, photos, alpha, .. }) = read_run(&root).or_else(|| read_run(&folder)) {
            let own = OutputFolder::existing(&root).colmap_data();
            let own = || own.is_dir().then(|| DatasetPlace { path: own.clone(), ..DatasetPlace::default() });
            saved.dataset = dataset.or_else(own);
            saved.trained_with = photos;
            saved.alpha = alpha;
        } else if let Ok(text) = fs::read_to_string(root.join("cfg_args")) {
            saved.take_authors_settings(&text);
        }
        saved
    }

    /// From `cfg_args`, where the authors' code writes its settings: `Namespace(sh_degree=3, source_path='/data/garden', ...)`.
    fn take_authors_settings(&mut self, text: &str) {
        let settings = namespace(text);
        let get = |name: &str| settings.get(name).map(String::as_str).filter(|value| !value.is_empty());
        self.dataset = get("source_path").map(PathBuf::from).map(|path| DatasetPlace {
            images: get("images").filter(|folder| *folder != "images").map(|folder| path.join(folder)),
            masks: None,
            path,
        });
        self.white_background = get("white_background") == Some("True");
        let (max_image_size, downscale) = match get("resolution").and_then(|value| value.parse::<i64>().ok())
        {
            Some(factor @ (1 | 2 | 4 | 8)) => (None, u32::try_from(factor).ok()),
            Some(width) if width > 8 => (u32::try_from(width).ok(), None),
            _ => (Some(AUTHORS_MAX_IMAGE_SIZE), None),
        };
        self.trained_with = Some(DatasetOptions { max_image_size, downscale, ..DatasetOptions::default() });
    }
}

/// The number of a folder `iteration_N`.
fn iteration(folder: &Path) -> Option<u64> {
    folder.file_name()?.to_str()?.strip_prefix("iteration_")?.parse().ok()
}

/// `iteration_N/point_cloud.ply` with the greatest N, or that of a folder `iteration_N` given itself.
fn latest_iteration(folder: &Path) -> Result<Option<PathBuf>> {
    let scene = |folder: &Path| Some(folder.join("point_cloud.ply")).filter(|path| path.is_file());
    let mut found: Vec<(u64, PathBuf)> =
        (listed(folder)?.iter()).filter_map(|folder| Some((iteration(folder)?, scene(folder)?))).collect();
    found.sort();
    Ok(found.pop().map(|(_, path)| path).or_else(|| iteration(folder).and_then(|_| scene(folder))))
}

/// Scenes of a folder by name.
fn scenes_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let named = |path: &Path| {
        let other = path
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("ksplat") || e.eq_ignore_ascii_case("gltf"));
        path.is_file() && (other || formats::Format::of_name(path).is_some())
    };
    let mut found = listed(folder)?;
    // `input.ply` of the authors' code and COLMAP's `points3D.ply` are seed points.
    let points = |path: &Path| {
        path.file_name()
            .is_some_and(|name| ["input.ply", "points3D.ply"].iter().any(|points| name == *points))
    };
    found.retain(|path| (named(path) && !points(path)) || (path.is_dir() && formats::is_scene(path)));
    found.sort();
    Ok(found)
}

/// Entries of a folder; empty if it does not exist.
fn listed(folder: &Path) -> Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(entries) => Ok(entries.flatten().map(|entry| entry.path()).collect()),
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(Error::Read { path: folder.to_owned(), source }),
    }
}

/// Names and values of Python's `Namespace(a=1, b='x, y', c=None)`, without quotes.
fn namespace(text: &str) -> BTreeMap<String, String> {
    let inside = text.trim().strip_prefix("Namespace(").unwrap_or_default();
    let mut rest = inside.strip_suffix(')').unwrap_or(inside);
    let mut values = BTreeMap::new();
    while let Some((name, after)) = rest.split_once('=') {
        let quote = after.chars().next().filter(|first| matches!(first, '\'' | '"'));
        let (value, next) = match quote {
            Some(quote) => {
                let mut value = String::new();
                let mut chars = after[1..].char_indices();
                let mut end = after.len();
                while let Some((at, c)) = chars.next() {
                    match c {
                        '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
                        c if c == quote => {
                            end = at + 2;
                            break;
                        }
                        c => value.push(c),
                    }
                }
                (value, after.get(end..).unwrap_or_default())
            }
            None => {
                let (value, next) = after.split_once(',').unwrap_or((after, ""));
                (value.trim().to_owned(), next)
            }
        };
        values.insert(name.trim_matches([',', ' ']).to_owned(), value);
        rest = next;
    }
    values
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::files::make_parent;

    fn put(path: PathBuf, text: &str) -> PathBuf {
        make_parent(&path).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn real(path: &Path) -> PathBuf {
        path.canonicalize().unwrap()
    }

    #[test]
    fn a_run_is_found_by_its_folder_with_what_it_was_trained_on() {
        let dir = tempfile::tempdir().unwrap();
        let folder = OutputFolder::create(dir.path()).unwrap();
        let photos = DatasetOptions { max_image_size: Some(480), ..DatasetOptions::default() };
        let place = DatasetPlace { path: "/data/set".into(), images: Some("/photos".into()), masks: None };
        folder.begin_run(Some(&place), &photos, AlphaMode::Transparent).unwrap();
        for step in [9, 30_000] {
            put(folder.ply(step), "ply\n");
        }
        put(folder.cameras(), "[]");
        for given in [dir.path().to_owned(), folder.ply(30_000)] {
            let found = SavedScene::find(&given).unwrap();
            assert_eq!(real(&found.scene), real(&folder.ply(30_000)));
            assert_eq!(real(&found.cameras.unwrap()), real(&folder.cameras()));
            assert_eq!(found.dataset.unwrap(), place);
            assert_eq!(found.trained_with.unwrap(), photos);
            assert_eq!(found.alpha, Some(AlphaMode::Transparent));
        }
    }

    #[test]
    fn the_authors_folder_is_read_with_its_settings() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let latest = put(root.join("point_cloud/iteration_30000/point_cloud.ply"), "ply\n");
        put(root.join("point_cloud/iteration_7000/point_cloud.ply"), "ply\n");
        put(root.join("input.ply"), "ply\n");
        let cameras = put(root.join("cameras.json"), "[]");
        put(
            root.join("cfg_args"),
            r"Namespace(sh_degree=3, source_path='/data/it\'s, here', model_path='o', images='images_4', depths='', resolution=2, white_background=True, data_device='cuda', eval=True)",
        );
        for given in
            [root.to_owned(), root.join("point_cloud"), latest.parent().unwrap().to_owned(), latest.clone()]
        {
            let found = SavedScene::find(&given).unwrap();
            assert_eq!(real(&found.scene), real(&latest), "{given:?}");
            assert_eq!(real(&found.cameras.unwrap()), real(&cameras), "{given:?}");
            let place = found.dataset.unwrap();
            assert_eq!(place.path, Path::new("/data/it's, here"));
            assert_eq!(place.images.unwrap(), Path::new("/data/it's, here/images_4"));
            assert!(found.white_background);
            let photos = found.trained_with.unwrap();
            assert_eq!((photos.max_image_size, photos.downscale), (None, Some(2)));
        }
        put(root.join("cfg_args"), "Namespace(source_path='x', resolution=-1)");
        let photos = SavedScene::find(root).unwrap().trained_with.unwrap();
        assert_eq!((photos.max_image_size, photos.downscale), (Some(1600), None));
        for odd in ["", "Namespace(", "Namespace(=)", "Namespace(a='", "Namespace(a=\"é\\", "a=b,c"] {
            put(root.join("cfg_args"), odd);
            SavedScene::find(root).unwrap();
        }
    }

    #[test]
    fn another_folder_gives_its_only_scene_and_names_several() {
        let dir = tempfile::tempdir().unwrap();
        let refused = |word: &str| {
            let error = SavedScene::find(dir.path()).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        };
        refused("ply/point_cloud_N.ply");
        put(dir.path().join("notes.txt"), "x");
        let scene = put(dir.path().join("room.SPZ"), "x");
        assert_eq!(SavedScene::find(dir.path()).unwrap().scene, scene);
        put(dir.path().join("hall.ksplat"), "x");
        refused("`hall.ksplat`, `room.SPZ`");
        assert!(matches!(SavedScene::find(&dir.path().join("none")), Err(Error::Read { .. })));
    }
}
