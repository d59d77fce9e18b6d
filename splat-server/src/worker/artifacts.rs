//! Artefacts: the files of a job that clients can download, and their names.

use std::fs;
use std::path::Path;

use splat_core::pipeline::OutputFolder;

use crate::job::Artifact;
use crate::layout;

/// The artefact of a saved file; `None` for files that are not for clients.
pub(super) fn of_saved(folder: &Path, path: &Path, kind: &str) -> Option<Artifact> {
    let name = match kind {
        "ply" => "scene.ply",
        "preview" => "preview.png",
        "metrics" => "metrics.json",
        "comparison" => "comparison.png",
        _ => return None,
    };
    artifact(folder, path, name)
}

/// All artefacts at the end of a job, in a fixed order; includes the scene after `steps_done` steps, if given. Found on disk,
/// since an earlier attempt may have made files and died before reporting them. Blocks.
pub(super) fn of_finished(folder: &Path, steps_done: Option<u32>) -> Vec<Artifact> {
    let Ok(output) = OutputFolder::create(folder.join(layout::MODEL)) else { return Vec::new() };
    let mut found = Vec::new();
    found.extend(steps_done.and_then(|steps| artifact(folder, &output.ply(steps), "scene.ply")));
    found.extend(artifact(folder, &output.preview(), "preview.png"));
    for (path, name) in
        [(output.cameras(), "cameras.json"), (output.metrics(), "metrics.json"), (output.log(), "log.txt")]
    {
        found.extend(artifact(folder, &path, name));
    }
    let mut pictures: Vec<_> = fs::read_dir(output.root().join("eval"))
        .map(|entries| entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect())
        .unwrap_or_default();
    pictures.sort();
    for (place, path) in (1..).zip(pictures) {
        found.extend(artifact(folder, &path, &format!("eval-{place}.png")));
    }
    found
}

fn artifact(folder: &Path, path: &Path, name: &str) -> Option<Artifact> {
    let metadata = fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file)?;
    let content_type = match name.rsplit_once('.')?.1 {
        "png" => "image/png",
        "json" => "application/json",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    };
    Some(Artifact {
        name: name.to_owned(),
        path: layout::relative(folder, path)?,
        bytes: metadata.len(),
        content_type: content_type.to_owned(),
    })
}
