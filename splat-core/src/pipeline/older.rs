//! Results of earlier runs in an output folder, when a new run starts there.

use std::fs;
use std::path::{Path, PathBuf};

use super::{DatasetPlace, OutputFolder};
use crate::dataset::DatasetOptions;
use crate::files::{make_parent, write_atomically, write_error};
use crate::scene::AlphaMode;
use crate::{Error, Result};

/// Folder for the results of earlier runs, one numbered subfolder each.
const OLDER: &str = "older";

/// Content of `run.json`: the latest run in the folder, and its photos.
#[derive(Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Run {
    id: String,
    /// `None` in files from before this was recorded, and for runs whose dataset is in `colmap_data`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) dataset: Option<DatasetPlace>,
    /// `None` in files from before this was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) photos: Option<DatasetOptions>,
    /// `None` in files from before this was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) alpha: Option<AlphaMode>,
}

/// The `run.json` of a folder; `None` if there is no readable one.
pub(super) fn read_run(folder: &Path) -> Option<Run> {
    serde_json::from_slice(&fs::read(run_file(folder)).ok()?).ok()
}

fn run_file(folder: &Path) -> PathBuf {
    folder.join("run.json")
}

impl OutputFolder {
    /// The id of the latest run in this folder; empty if unknown.
    #[must_use]
    pub fn run_id(&self) -> String {
        read_run(self.root()).unwrap_or_default().id
    }

    /// Begins a run: moves the results of an earlier one to `older/<number>`, and returns that folder (`None` if there were no results)
    /// and the new run's id. Only the newest checkpoint is kept. Files of other names are not touched. Records the location of the
    /// dataset and the use of its photos and their alpha for [`super::SavedScene`].
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Write`].
    pub fn begin_run(
        &self,
        dataset: Option<&DatasetPlace>,
        photos: &DatasetOptions,
        alpha: AlphaMode,
    ) -> Result<(Option<PathBuf>, String)> {
        let older = self.retire()?;
        let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let id = format!("{:x}-{:x}", nanos.unwrap_or_default().as_nanos(), std::process::id());
        let run = Run { id, dataset: dataset.cloned(), photos: Some(photos.clone()), alpha: Some(alpha) };
        write_atomically(&run_file(self.root()), |out| {
            serde_json::to_writer(out, &run).map_err(std::io::Error::from)
        })?;
        Ok((older, run.id))
    }

    fn retire(&self) -> Result<Option<PathBuf>> {
        let mut files: Vec<PathBuf> = [self.metrics(), self.cameras(), self.preview()]
            .into_iter()
            .filter(|path| path.is_file())
            .collect();
        files.extend(listed(&self.root().join("ply"), |name| name.starts_with("point_cloud_"))?);
        files.extend(listed(&self.root().join("eval"), |name| name.ends_with(".png"))?);
        let checkpoints = self.checkpoints()?;
        let newest = checkpoints.first().and_then(|path| path.file_stem()?.to_str()).map(str::to_owned);
        let parts = listed(&self.root().join("checkpoints"), |name| name.starts_with("step_"))?;
        let (kept, dropped): (Vec<_>, Vec<_>) = parts
            .into_iter()
            .partition(|path| path.file_stem().and_then(|stem| stem.to_str()) == newest.as_deref());
        files.extend(kept);
        if files.is_empty() {
            return Ok(None);
        }
        let place = (1_u32..).map(|number| self.root().join(OLDER).join(number.to_string()));
        let Some(place) = place.into_iter().find(|place| !place.exists()) else { return Ok(None) };
        files.push(run_file(self.root()));
        for file in files.iter().filter(|file| file.is_file()) {
            let Ok(below) = file.strip_prefix(self.root()) else { continue };
            let to = place.join(below);
            make_parent(&to)?;
            fs::rename(file, &to).map_err(|source| write_error(&to, source))?;
        }
        for file in dropped {
            // An older checkpoint: a failure only costs disk space.
            let _ = fs::remove_file(file);
        }
        Ok(Some(place))
    }
}

/// Files of a folder whose name passes `wanted`, sorted; empty if there is no folder.
fn listed(dir: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(Error::Read { path: dir.to_owned(), source }),
    };
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(&wanted))
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    Ok(files)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_new_run_moves_what_an_older_one_left_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let folder = OutputFolder::create(dir.path()).unwrap();
        let begin = || folder.begin_run(None, &DatasetOptions::default(), AlphaMode::Mask);
        let (older, first) = begin().unwrap();
        assert_eq!((older, folder.run_id()), (None, first.clone()));
        let put = |path: PathBuf| {
            make_parent(&path).unwrap();
            fs::write(path, "x").unwrap();
        };
        for step in [20, 60] {
            put(folder.checkpoint(step));
            put(folder.checkpoint(step).with_extension("json"));
        }
        for name in [
            "ply/point_cloud_59.ply",
            "ply/mine.ply",
            "eval/a.png",
            "metrics.json",
            "cameras.json",
            "notes.txt",
        ] {
            put(dir.path().join(name));
        }
        let (older, second) = begin().unwrap();
        let older = older.unwrap();
        assert_ne!(first, second);
        assert_eq!(older, dir.path().join("older/1"));
        for name in [
            "ply/mine.ply",
            "notes.txt",
            "older/1/ply/point_cloud_59.ply",
            "older/1/eval/a.png",
            "older/1/run.json",
        ] {
            assert!(dir.path().join(name).is_file(), "{name}");
        }
        assert!(older.join("checkpoints/step_0000060.ckpt").is_file());
        assert!(older.join("checkpoints/step_0000060.json").is_file());
        assert!(!older.join("checkpoints/step_0000020.ckpt").exists());
        assert!(folder.checkpoints().unwrap().is_empty() && folder.scenes().unwrap().is_empty());
        assert_eq!(begin().unwrap().0, None);
        put(folder.ply(5));
        assert_eq!(begin().unwrap().0, Some(dir.path().join("older/2")));
    }
}
