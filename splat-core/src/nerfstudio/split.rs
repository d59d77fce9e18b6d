//! The frames that a dataset declares for evaluation: by lists in its file, or in a separate file.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::json::Transforms;
use super::slashed;
use crate::scene::Scene;

/// Files of the frames for evaluation beside `transforms.json` or `transforms_train.json`: test before validation, since published
/// figures are on test views.
pub(super) fn test_file(json: &Path) -> Option<PathBuf> {
    let name = json.file_name()?.to_str()?;
    if !["transforms.json", "transforms_train.json"].contains(&name) {
        return None;
    }
    let files = ["transforms_test.json", "transforms_val.json"].map(|name| json.with_file_name(name));
    files.into_iter().find(|file| file.is_file())
}

/// The lists of a file, and the resulting split.
pub(super) struct Split {
    train: Option<BTreeSet<String>>,
    test: BTreeSet<String>,
    test_views: BTreeSet<String>,
    /// Views that neither list has.
    unused: BTreeSet<String>,
}

impl Split {
    pub(super) fn of(transforms: &Transforms) -> Self {
        let list = |names: &Option<Vec<String>>| -> BTreeSet<String> {
            names.iter().flatten().map(|name| key(name)).collect()
        };
        let train = transforms.train_filenames.as_ref().map(|_| list(&transforms.train_filenames));
        let test = list(&transforms.test_filenames);
        let test = if test.is_empty() { list(&transforms.val_filenames) } else { test };
        Self {
            train: train.filter(|train| !train.is_empty()),
            test,
            test_views: BTreeSet::new(),
            unused: BTreeSet::new(),
        }
    }

    /// Assigns a frame's view to training, evaluation or neither.
    pub(super) fn note(&mut self, view: &str, file_path: &str, of_test_file: bool) {
        let key = key(file_path);
        let listed = self.train.as_ref().is_some_and(|train| train.contains(&key));
        if of_test_file || self.test.contains(&key) || self.test.is_empty() && self.train.is_some() && !listed
        {
            self.test_views.insert(view.to_owned());
        } else if self.train.is_some() && !listed {
            self.unused.insert(view.to_owned());
        }
    }

    /// Marks the views for evaluation and removes those in no list; returns the number removed.
    pub(super) fn apply(self, scene: &mut Scene) -> usize {
        let before = scene.views.len();
        scene.views.retain(|view| !self.unused.contains(&view.name));
        scene.test_views = Some(self.test_views).filter(|views| !views.is_empty());
        before - scene.views.len()
    }
}

fn key(file_path: &str) -> String {
    slashed(file_path).trim_start_matches("./").to_owned()
}
