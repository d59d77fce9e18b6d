//! Scenes converted to other formats, whole or cropped: created on first request, then stored with the job.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::StreamExt;
use sha2::{Digest, Sha256};
use splat_core::formats::{self, Format, SpzVersion};
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;

use crate::intake::{Intake, IntakeError};
use crate::job::{Cut, Job, JobId};
use crate::layout;
use crate::store::{FileHead, JobStore, StoreError, blocking};

/// The artifact that every format is converted from.
const SCENE: &str = "scene.ply";

/// Why a scene cannot be exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The job has no scene yet.
    #[error("the job has no scene yet")]
    NoScene,
    /// The region contains no Gaussians.
    #[error("nothing of the scene lies in that region, or floaters are all there is")]
    NothingLeft,
    /// The format cannot hold the scene, or the scene cannot be read.
    #[error("the scene cannot be written in this form: {0}")]
    Form(#[from] splat_core::Error),
    /// The file store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No scratch folder could be made.
    #[error(transparent)]
    Intake(#[from] IntakeError),
}

/// A format in which a scene can be downloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    /// Its name in URLs.
    pub(crate) name: &'static str,
    format: Format,
}

/// Formats in which a scene can be downloaded.
pub(crate) const FORMS: [Form; 6] = [
    Form { name: SCENE, format: Format::Ply },
    Form { name: "scene.compressed.ply", format: Format::CompressedPly },
    Form { name: "scene.spz", format: Format::Spz(SpzVersion::V3) },
    Form { name: "scene.sog", format: Format::Sog },
    Form { name: "scene.splat", format: Format::Splat },
    Form { name: "scene.glb", format: Format::Glb },
];

impl Form {
    /// The format with this file name.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        FORMS.into_iter().find(|form| form.name == name)
    }

    /// MIME type.
    pub(crate) fn content_type(self) -> &'static str {
        if self.format == Format::Glb { "model/gltf-binary" } else { "application/octet-stream" }
    }
}

/// Converts scenes, one at a time: a scene of millions of Gaussians takes gigabytes of memory.
#[derive(Clone, Debug)]
pub(crate) struct Exporter {
    store: JobStore,
    intake: Intake,
    turn: Arc<Semaphore>,
}

impl Exporter {
    pub(crate) fn new(store: JobStore, intake: Intake) -> Self {
        Self { store, intake, turn: Arc::new(Semaphore::new(1)) }
    }

    /// Returns the job's scene in a format, stored as a file of the job; converts it if that was not done before.
    pub(crate) async fn file(&self, job: &Job, form: Form, cut: &Cut) -> Result<FileHead, ExportError> {
        let scene =
            job.artifacts.iter().find(|artifact| artifact.name == SCENE).ok_or(ExportError::NoScene)?;
        let head = self.store.head(&job.id, &scene.path).await?;
        if form.format == Format::Ply && *cut == Cut::default() {
            return Ok(head);
        }
        // The key includes the scene's ETag, so that a scene that is trained again gets a new file.
        let what = serde_json::json!({ "scene": head.etag, "form": form.name, "cut": cut }).to_string();
        let key = &hex::encode(Sha256::digest(what))[..16];
        let path = format!("{}/{key}/{}", layout::EXPORTS, form.name);
        if let Some(made) = self.made(&job.id, &path).await? {
            return Ok(made);
        }
        let _turn = self.turn.acquire().await;
        // Another request may have converted it in the meantime.
        if let Some(made) = self.made(&job.id, &path).await? {
            return Ok(made);
        }
        let scratch = self.intake.scratch().await?;
        let source = match self.store.local_dir(&job.id) {
            Some(dir) => dir.join(&scene.path),
            None => self.fetched(&job.id, &scene.path, scratch.path()).await?,
        };
        let (target, cut) = (scratch.path().join(form.name), cut.clone());
        let written = target.clone();
        blocking(move || convert(&source, form.format, &cut, &written)).await?;
        Ok(self.store.put_moving(&job.id, &path, &target).await?)
    }

    async fn made(&self, id: &JobId, path: &str) -> Result<Option<FileHead>, StoreError> {
        match self.store.head(id, path).await {
            Ok(head) => Ok(Some(head)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Downloads a file from a bucket to this machine.
    async fn fetched(&self, id: &JobId, path: &str, scratch: &Path) -> Result<PathBuf, ExportError> {
        let place = scratch.join("source.ply");
        let to_error = |source| StoreError::from_io(&place, source);
        let mut file = tokio::fs::File::create(&place).await.map_err(to_error)?;
        let mut contents = self.store.get(id, path, None).await?;
        while let Some(piece) = contents.stream.next().await {
            let piece = piece.map_err(|error| StoreError::Unavailable { why: error.to_string() })?;
            file.write_all(&piece).await.map_err(to_error)?;
        }
        file.flush().await.map_err(to_error)?;
        Ok(place)
    }
}

fn convert(source: &Path, format: Format, cut: &Cut, target: &Path) -> Result<(), ExportError> {
    let mut scene = formats::read(source)?;
    if let Some(region) = &cut.region {
        scene.keep_region(region);
    }
    if cut.drop_floaters {
        scene.cloud.drop_floaters();
    }
    if scene.cloud.is_empty() {
        return Err(ExportError::NothingLeft);
    }
    formats::write(target, format, &scene)?;
    Ok(())
}
