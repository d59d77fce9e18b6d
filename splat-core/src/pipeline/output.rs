//! Layout of a run's output folder.
//!
//! | path | what |
//! | --- | --- |
//! | `ply/point_cloud_<last step>.ply` | the scene; steps in names count from 0; beside it other requested formats (`.spz` ...) |
//! | `checkpoints/step_<steps done>.ckpt` | state to resume from; the newest two |
//! | `eval/<photo>.png` | held-out photo, render, side by side |
//! | `preview.png` | a view of the scene during training, if requested |
//! | `metrics.json` | PSNR and SSIM, per view and over time; memory and time |
//! | `cameras.json` | the training cameras |
//! | `run.json` | id of the latest run, location of its dataset, size and split of its photos |
//! | `older/<number>/` | results of earlier runs |
//! | `log.txt` | events, one per line |
//! | `colmap_data/` | the posed dataset, for runs that begin with photos |

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::files::make_dir;
use crate::{Error, Result};

/// Checkpoints kept: the newest, and the one before it in case the newest is unreadable.
const CHECKPOINTS_KEPT: usize = 2;
const CHECKPOINT_PREFIX: &str = "step_";
const CHECKPOINT_SUFFIX: &str = ".ckpt";
const PLY_PREFIX: &str = "point_cloud_";
const PLY_SUFFIX: &str = ".ply";

/// The folder of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputFolder {
    root: PathBuf,
}

impl OutputFolder {
    /// Creates the folder if it does not exist.
    ///
    /// # Errors
    /// [`Error::Write`] if it cannot be created.
    pub fn create(root: impl Into<PathBuf>) -> Result<Self> {
        let folder = Self { root: root.into() };
        make_dir(&folder.root)?;
        Ok(folder)
    }

    /// The output folder at `root`, without creating it.
    #[must_use]
    pub fn existing(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Path of the folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Path of the PLY after `steps_done` steps; the number in its name is that of the last step, from 0, as in other 3DGS programs.
    #[must_use]
    pub fn ply(&self, steps_done: u32) -> PathBuf {
        self.root.join("ply").join(format!("{PLY_PREFIX}{}{PLY_SUFFIX}", steps_done.saturating_sub(1)))
    }

    /// Path of the checkpoint after `steps_done` steps.
    #[must_use]
    pub fn checkpoint(&self, steps_done: u32) -> PathBuf {
        self.root.join("checkpoints").join(format!("{CHECKPOINT_PREFIX}{steps_done:07}{CHECKPOINT_SUFFIX}"))
    }

    /// Path of the side-by-side image of a held-out view.
    #[must_use]
    pub fn comparison(&self, view_name: &str) -> PathBuf {
        self.root.join("eval").join(Self::picture_name(view_name))
    }

    /// File name of a view's image; folders in the view's name become underscores.
    pub(super) fn picture_name(view_name: &str) -> String {
        let flat: String =
            view_name.chars().map(|c| if matches!(c, '/' | '\\' | ':') { '_' } else { c }).collect();
        let stem = flat.rsplit_once('.').map_or(flat.as_str(), |(stem, _)| stem);
        format!("{stem}.png")
    }

    /// Path of the latest view of the scene during training.
    #[must_use]
    pub fn preview(&self) -> PathBuf {
        self.root.join("preview.png")
    }

    /// Path of the run's metrics.
    #[must_use]
    pub fn metrics(&self) -> PathBuf {
        self.root.join("metrics.json")
    }

    /// Path of the training cameras.
    #[must_use]
    pub fn cameras(&self) -> PathBuf {
        self.root.join("cameras.json")
    }

    /// Path of the log, `log.txt`.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.root.join("log.txt")
    }

    /// Folder of the posed dataset, for runs that begin with photos.
    #[must_use]
    pub fn colmap_data(&self) -> PathBuf {
        self.root.join("colmap_data")
    }

    /// All checkpoints, newest first.
    ///
    /// # Errors
    /// [`Error::Read`] if the folder exists but cannot be listed.
    pub fn checkpoints(&self) -> Result<Vec<PathBuf>> {
        self.newest_first("checkpoints", checkpoint_step)
    }

    /// All scenes, the one with most steps first.
    ///
    /// # Errors
    /// [`Error::Read`] if the folder exists but cannot be listed.
    pub fn scenes(&self) -> Result<Vec<PathBuf>> {
        self.newest_first("ply", |path| {
            let name = path.file_name()?.to_str()?;
            name.strip_prefix(PLY_PREFIX)?.strip_suffix(PLY_SUFFIX)?.parse().ok()
        })
    }

    fn newest_first(&self, folder: &str, step: impl Fn(&Path) -> Option<u32>) -> Result<Vec<PathBuf>> {
        let dir = self.root.join(folder);
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            // The root may be a file, such as a transforms.json.
            Err(source) if matches!(source.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Ok(Vec::new());
            }
            Err(source) => return Err(Error::Read { path: dir, source }),
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry.map_err(|source| Error::Read { path: dir.clone(), source })?.path();
            if let Some(step) = step(&path) {
                found.push((step, path));
            }
        }
        found.sort_unstable_by(|a, b| b.cmp(a));
        Ok(found.into_iter().map(|(_, path)| path).collect())
    }

    /// Removes all but the newest checkpoints of a list that is sorted newest first. Failures are ignored.
    pub fn prune_checkpoints(&self, own: &[PathBuf]) {
        for old in own.iter().skip(CHECKPOINTS_KEPT) {
            // A failure only costs disk space, and the next checkpoint tries again.
            let _ = fs::remove_file(old.with_extension("json"));
            let _ = fs::remove_file(old);
        }
    }
}

/// Steps done at a checkpoint, from its name.
#[must_use]
pub fn checkpoint_step(path: &Path) -> Option<u32> {
    let name = path.file_name()?.to_str()?;
    name.strip_prefix(CHECKPOINT_PREFIX)?.strip_suffix(CHECKPOINT_SUFFIX)?.parse().ok()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::files::make_parent;

    #[test]
    fn names_follow_the_field() {
        let folder = OutputFolder { root: PathBuf::from("out") };
        assert_eq!(folder.ply(30_000), Path::new("out/ply/point_cloud_29999.ply"));
        assert_eq!(folder.ply(500), Path::new("out/ply/point_cloud_499.ply"));
        assert_eq!(folder.comparison("cam0/IMG_1.a.jpg"), Path::new("out/eval/cam0_IMG_1.a.png"));
        assert_eq!(checkpoint_step(&folder.checkpoint(500)), Some(500));
        assert_eq!(checkpoint_step(Path::new("step_0000500.ckpt.tmp")), None);
    }

    #[test]
    fn keeps_the_newest_two_checkpoints() {
        let dir = tempfile::tempdir().unwrap();
        let folder = OutputFolder::create(dir.path().join("a/b")).unwrap();
        assert!(folder.checkpoints().unwrap().is_empty());
        for step in [5, 1_000_000, 20, 30_000_000] {
            make_parent(&folder.checkpoint(step)).unwrap();
            fs::write(folder.checkpoint(step), "x").unwrap();
        }
        folder.prune_checkpoints(&folder.checkpoints().unwrap());
        assert_eq!(
            folder.checkpoints().unwrap(),
            [folder.checkpoint(30_000_000), folder.checkpoint(1_000_000)]
        );
    }

    #[test]
    fn a_file_in_the_way_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "x").unwrap();
        let error = OutputFolder::create(file.join("out")).unwrap_err().to_string();
        assert!(error.contains("choose another output folder"), "{error}");
    }
}
