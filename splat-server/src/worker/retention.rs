//! Which files of a job are stored, and which are removed once it is finished.

use std::path::{Path, PathBuf};

use splat_colmap::ColmapSource;

use super::Workers;
use crate::job::Job;
use crate::layout;
use crate::scene::SceneSpec;
use crate::store::StoreError;

/// Removes files that a finished job no longer needs, which are several times as large as photos and scene. Called after the
/// queue has recorded the end, since another attempt would resume from them.
pub(super) async fn prune(workers: &Workers, job: &Job) {
    let removable = removable(job);
    let pruned = async {
        for file in workers.store.list(&job.id).await?.iter().filter(|file| is_within(&removable, &file.path))
        {
            workers.store.delete_file(&job.id, &file.path).await?;
        }
        Ok::<_, StoreError>(())
    };
    if let Err(error) = pruned.await {
        tracing::warn!(job = %job.id, %error, "could not remove temporary files of a finished job");
    }
}

/// Files that a finished job no longer needs: checkpoints, and COLMAP's intermediate files. Those are kept if the job trained on
/// the original photos, since training again reads COLMAP's copies of them.
pub(super) fn removable(job: &Job) -> Vec<PathBuf> {
    let undistorted = serde_json::from_value::<SceneSpec>(job.spec.clone())
        .is_ok_and(|spec| !spec.options.keep_distortion());
    let of_colmap =
        undistorted.then(|| ColmapSource::removable_after_training(Path::new(layout::COLMAP_DATA)));
    of_colmap.into_iter().flatten().chain([layout::CHECKPOINTS.into()]).collect()
}

pub(super) fn is_within(folders: &[PathBuf], path: &str) -> bool {
    folders.iter().any(|folder| Path::new(path).starts_with(folder))
}

/// Files that are stored for other workers and the owner: all but COLMAP's working copies of the photos.
pub(super) fn is_stored(path: &str) -> bool {
    !is_within(&ColmapSource::working_copies(Path::new(layout::COLMAP_DATA)), path)
}
