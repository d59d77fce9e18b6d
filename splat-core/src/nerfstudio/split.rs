//! The frames that a dataset declares for evaluation: by lists in its file, or in a separate file.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::json::Transforms;
use crate::photo_names::Resolved;
use crate::scene::Scene;

/// The file of frames for evaluation beside `transforms.json` or `transforms_train.json`: test rather than validation, since
/// published results are on test views.
pub(super) fn test_file(json: &Path) -> Option<PathBuf> {
    let name = json.file_name()?.to_str()?;
    if !["transforms.json", "transforms_train.json"].contains(&name) {
        return None;
    }
    let files = ["transforms_test.json", "transforms_val.json"].map(|name| json.with_file_name(name));
    files.into_iter().find(|file| file.is_file())
}

/// The photos in a file's lists.
pub(super) struct Split {
    train: Option<BTreeSet<PathBuf>>,
    test: BTreeSet<PathBuf>,
    /// Number of names in the lists, and of those without a photo.
    names: usize,
    lost: usize,
    listed_views: usize,
    test_views: BTreeSet<String>,
    /// Views that are in neither list.
    unused: BTreeSet<String>,
}

impl Split {
    /// `photos` resolves names to files as for frames: names in lists may differ in case, folder or extension from those of
    /// frames.
    pub(super) fn of(transforms: &Transforms, photos: impl Fn(&[&str]) -> Vec<Resolved>) -> Self {
        let (mut total, mut lost) = (0, 0);
        let mut list = |names: &Option<Vec<String>>| -> BTreeSet<PathBuf> {
            let names: Vec<&str> = names.iter().flatten().map(String::as_str).collect();
            total += names.len();
            let mut files = BTreeSet::new();
            for photo in photos(&names) {
                match photo {
                    Resolved::File(path, _) => drop(files.insert(place(&path))),
                    _ => lost += 1,
                }
            }
            files
        };
        let train = list(&transforms.train_filenames);
        let test = list(&transforms.test_filenames);
        let test = if test.is_empty() { list(&transforms.val_filenames) } else { test };
        Self {
            train: Some(train).filter(|train| !train.is_empty()),
            test,
            names: total,
            lost,
            listed_views: 0,
            test_views: BTreeSet::new(),
            unused: BTreeSet::new(),
        }
    }

    /// Assigns the view of a photo to a set.
    pub(super) fn note(&mut self, view: &str, photo: &Path, of_test_file: bool) {
        let photo = place(photo);
        let trained = self.train.as_ref().is_some_and(|train| train.contains(&photo));
        let tested = self.test.contains(&photo);
        self.listed_views += usize::from(trained || tested);
        if of_test_file || tested || self.test.is_empty() && self.train.is_some() && !trained {
            self.test_views.insert(view.to_owned());
        } else if self.train.is_some() && !trained {
            self.unused.insert(view.to_owned());
        }
    }

    /// Marks the views for evaluation and drops those in no list; returns inconsistencies, as sentences. `missing` frames have no
    /// photo.
    pub(super) fn apply(self, scene: &mut Scene, json: &Path, missing: usize) -> Vec<String> {
        let mut odd = Vec::new();
        if self.names > 0 && self.listed_views == 0 && self.test_views.is_empty() {
            odd.push(format!(
                "the lists of `{}` for training and evaluation name none of its photos, and are not used",
                json.display()
            ));
            return odd;
        }
        // Frames with missing photos were already reported.
        if self.lost > missing {
            odd.push(format!(
                "{} of {} names in the lists of `{}` are no photos here",
                self.lost,
                self.names,
                json.display()
            ));
        }
        let before = scene.views.len();
        scene.views.retain(|view| !self.unused.contains(&view.name));
        let unused = before - scene.views.len();
        if unused > 0 {
            odd.push(format!(
                "{unused} photos are in none of the lists of `{}` and are left out",
                json.display()
            ));
        }
        scene.test_views = Some(self.test_views).filter(|views| !views.is_empty());
        odd
    }
}

/// The canonical path of a file.
fn place(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}
