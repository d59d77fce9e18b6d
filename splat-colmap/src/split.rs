//! Lists of photos to train on and to evaluate on beside a model: `train.txt` and `test.txt`, a name a line.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use splat_core::photo_names::folded;
use splat_core::{Scene, text_file};

/// Names of such lists, the likeliest first: test before validation, as the field measures on tests.
const TEST: [&str; 4] = ["test.txt", "test_list.txt", "val.txt", "val_list.txt"];
const TRAIN: [&str; 2] = ["train.txt", "train_list.txt"];
/// A longer file is no list of names, bytes.
const MOST_BYTES: u64 = 16 << 20;

/// Takes the split that the lists in the model's folder, or in those above it up to `dataset`, make of a scene's views. With a list of
/// both kinds, photos in neither are left out; with one, all others are of the other kind. Gives what is to be warned of.
pub(crate) fn apply(scene: &mut Scene, model: &Path, dataset: &Path) -> Vec<String> {
    let mut warnings = Vec::new();
    let names = Names::of(scene);
    let mut list = |files: &[&str]| {
        let path = find(model, dataset, files)?;
        let found = match text_file::read(&path, "list of photos") {
            Ok(text) => names.of_list(&text),
            Err(_) => Listed::default(),
        };
        if found.views.is_empty() {
            // Any text may have such a name.
            warnings.push(format!("`{}` names none of the photos and is not used", path.display()));
            return None;
        }
        if found.unknown > 0 {
            warnings.push(format!(
                "{} lines of `{}` name no photo, or several",
                found.unknown,
                path.display()
            ));
        }
        Some((path, found.views))
    };
    let (test, train) = (list(&TEST), list(&TRAIN));
    let all: BTreeSet<String> = scene.views.iter().map(|view| view.name.clone()).collect();
    let Some((path, held_out)) = (match (&test, &train) {
        (Some((path, test)), _) => Some((path, test.clone())),
        (None, Some((path, train))) => Some((path, all.difference(train).cloned().collect())),
        (None, None) => None,
    }) else {
        return warnings;
    };
    if held_out.is_empty() || held_out.len() == all.len() {
        warnings.push(format!(
            "the list `{}` leaves nothing to train or to evaluate on and is not used",
            path.display()
        ));
        return warnings;
    }
    if let (Some((_, test)), Some((path, train))) = (&test, &train) {
        scene.views.retain(|view| test.contains(&view.name) || train.contains(&view.name));
        let unused = all.len() - scene.views.len();
        if unused > 0 {
            warnings.push(format!(
                "{unused} photos are neither in `{}` nor in the list of tests beside it and are left out",
                path.display()
            ));
        }
    }
    scene.test_views = Some(held_out);
    warnings
}

/// The first of these files in the model's folder and above it.
fn find(model: &Path, dataset: &Path, files: &[&str]) -> Option<PathBuf> {
    // A model given by its own folder lies outside of nothing.
    let folders = model.ancestors().take_while(|folder| *folder == model || folder.starts_with(dataset));
    let small = |path: &PathBuf| path.metadata().is_ok_and(|data| data.is_file() && data.len() <= MOST_BYTES);
    folders.flat_map(|folder| files.iter().map(|file| folder.join(file))).find(small)
}

#[derive(Default)]
struct Listed {
    /// Names of views.
    views: BTreeSet<String>,
    /// Lines that name no view, or several.
    unknown: usize,
}

/// Views by the last part of their names, as names are compared, without extension.
struct Names(BTreeMap<String, Vec<(Vec<String>, String)>>);

impl Names {
    fn of(scene: &Scene) -> Self {
        let mut names: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for view in &scene.views {
            let parts = parts(&view.name);
            let last = parts.last().cloned().unwrap_or_default();
            names.entry(last).or_default().push((parts, view.name.clone()));
        }
        Self(names)
    }

    /// The views that a list names: wholly, or by the end of the path, with or without extension, in any case.
    fn of_list(&self, text: &str) -> Listed {
        let mut listed = Listed::default();
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        for wanted in lines.map(parts) {
            let candidates = wanted.last().and_then(|last| self.0.get(last));
            let shared = |view: &[String]| {
                view.iter().rev().zip(wanted.iter().rev()).take_while(|(a, b)| a == b).count()
            };
            let most = candidates.into_iter().flatten().map(|(view, _)| shared(view)).max();
            let best = candidates.into_iter().flatten().filter(|(view, _)| Some(shared(view)) == most);
            match best.collect::<Vec<_>>().as_slice() {
                [(_, name)] => drop(listed.views.insert(name.clone())),
                _ => listed.unknown += 1,
            }
        }
        listed
    }
}

/// The parts of a path, as names are compared; the last without its extension.
fn parts(name: &str) -> Vec<String> {
    let mut parts: Vec<String> = name.replace('\\', "/").split('/').map(folded).collect();
    if let Some(last) = parts.last_mut()
        && let Some((stem, extension)) = last.rsplit_once('.')
        && !stem.is_empty()
        // A number behind the point is part of a frame's name.
        && extension.chars().any(char::is_alphabetic)
    {
        *last = stem.to_owned();
    }
    parts
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use splat_core::{Lens, LensModel, Pose, View};

    use super::*;

    fn scene(names: &[&str]) -> Scene {
        let lens = Lens { model: LensModel::SimplePinhole, width: 8, height: 6, params: vec![7.0, 4.0, 3.0] };
        let view = |name: &&str| View {
            name: (*name).to_owned(),
            image_path: PathBuf::new(),
            mask_path: None,
            lens: lens.clone(),
            cam_from_world: Pose::IDENTITY,
            rolling_shutter: None,
        };
        Scene { views: names.iter().map(view).collect(), ..Scene::default() }
    }

    fn split(names: &[&str], files: &[(&str, &str)]) -> (Option<Vec<String>>, usize, Vec<String>) {
        let dir = tempfile::tempdir().unwrap();
        let model = dir.path().join("sparse/0");
        std::fs::create_dir_all(&model).unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let mut scene = scene(names);
        let warnings = apply(&mut scene, &model, dir.path());
        (scene.test_views.map(|views| views.into_iter().collect()), scene.views.len(), warnings)
    }

    #[test]
    fn lists_beside_the_model_or_above_make_the_split() {
        let names = ["cam0/a.JPG", "cam0/b.JPG", "cam1/a.JPG", "c.1.png"];
        let test = |files: &[(&str, &str)]| split(&names, files);
        let (views, left, warnings) = test(&[("sparse/0/test.txt", "\u{feff}cam0/A.png\r\n# b\r\nc.1\r\n")]);
        assert_eq!(
            (views.unwrap(), left, warnings.len()),
            (vec!["c.1.png".into(), "cam0/a.JPG".to_owned()], 4, 0)
        );
        // The rest of those to train on; a path of another machine.
        let (views, ..) = test(&[("train_list.txt", "/data/images/cam0/a.jpg\ncam1\\a\n")]);
        assert_eq!(views.unwrap(), ["c.1.png", "cam0/b.JPG"]);
        // Both: what is in neither is left out.
        let (views, left, warnings) = test(&[("test.txt", "b\n"), ("train.txt", "c.1.png\ncam1/a.JPG\n")]);
        assert_eq!((views.unwrap(), left), (vec!["cam0/b.JPG".to_owned()], 3));
        assert!(warnings.concat().contains("1 photos are neither"), "{warnings:?}");
    }

    #[test]
    fn what_is_no_list_of_the_photos_is_told_and_not_used() {
        let names = ["cam0/a.JPG", "cam1/a.JPG"];
        let (views, left, warnings) = split(&names, &[("test.txt", "remember the milk\n")]);
        assert_eq!((views, left), (None, 2));
        assert!(warnings[0].contains("names none of the photos"), "{warnings:?}");
        let (views, _, warnings) = split(&names, &[("test.txt", "a.JPG\ncam0/a.JPG\n")]);
        assert_eq!(views.unwrap(), ["cam0/a.JPG"]);
        assert!(warnings[0].contains("1 lines"), "{warnings:?}");
        let (views, _, warnings) = split(&names, &[("train.txt", "cam0/a.JPG\ncam1/a.JPG\n")]);
        assert_eq!(views, None);
        assert!(warnings[0].contains("leaves nothing"), "{warnings:?}");
        assert_eq!(split(&names, &[]), (None, 2, vec![]));
    }
}
