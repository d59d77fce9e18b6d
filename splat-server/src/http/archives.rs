//! Many files of a job as one zip archive, streamed while it is packed.

use std::collections::BTreeSet;
use std::io::{self, Write};

use axum::body::{Body, Bytes};
use axum::extract::{Extension, Path, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::App;
use super::auth::Caller;
use super::document::FileContent;
use super::jobs::owned;
use super::problem::{Problem, Result};
use crate::job::{Job, JobId};
use crate::layout;
use crate::scene::SceneSpec;
use crate::store::JobStore;

/// Bytes per chunk, and the number of chunks buffered for a slow client.
const PIECE_BYTES: usize = 256 << 10;
const PIECES: usize = 4;

/// A file and its name in the zip.
struct Packed {
    path: String,
    name: String,
    bytes: u64,
}

/// Fetch many files of a scene
///
/// `photos.zip`: the original photos. `dataset.zip`: undistorted photos and COLMAP's model, as other trainers read them.
/// `everything.zip`: all stored files of the job, in their folders.
#[utoipa::path(
    get, path = "/v1/jobs/{id}/archives/{name}", tag = "artifacts", operation_id = "get_archive",
    params(("id" = String, Path, description = "The job"), ("name" = String, Path, description = "The archive")),
    responses(
        (status = 200, description = "The zip", content_type = "application/zip", body = FileContent),
        (status = 404, description = "No such job or archive, or it would be empty", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path((id, name)): Path<(String, String)>,
) -> Result<Response> {
    let job = owned(&app, &caller, &id).await?;
    let files = app.store.list(&job.id).await?;
    let all = files.into_iter().map(|file| (file.path, file.bytes));
    let packed: Vec<Packed> = match name.as_str() {
        "photos.zip" => photos(&job, all),
        "dataset.zip" => {
            below(layout::COLMAP_DATA, all).filter(|file| !file.name.starts_with("work/")).collect()
        }
        "everything.zip" => all.map(|(path, bytes)| Packed { name: path.clone(), path, bytes }).collect(),
        _ => {
            return Err(Problem::not_found("archive; there are photos.zip, dataset.zip and everything.zip"));
        }
    };
    if packed.is_empty() {
        return Err(Problem::not_found("file for this archive yet"));
    }
    let (sender, receiver) = mpsc::channel(PIECES);
    let (store, id, runtime) = (app.store.clone(), job.id.clone(), Handle::current());
    tokio::task::spawn_blocking(move || {
        let out = Sender { sender: sender.clone(), piece: Vec::with_capacity(PIECE_BYTES) };
        if let Err(error) = pack(&store, &id, &packed, out, &runtime) {
            // The client sees a truncated zip, and thus that the download failed.
            tracing::warn!(job = %id, %error, "archive download aborted");
            let _ = sender.blocking_send(Err(error));
        }
    });
    let body = stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|piece| (piece, receiver))
    });
    let headers = [
        (CONTENT_TYPE, "application/zip".to_owned()),
        (CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    Ok((headers, Body::from_stream(body)).into_response())
}

/// The photos under their original names; duplicate names get the photo's number as a prefix.
fn photos(job: &Job, files: impl Iterator<Item = (String, u64)>) -> Vec<Packed> {
    let spec = serde_json::from_value::<SceneSpec>(job.spec.clone()).unwrap_or_default();
    let mut taken = BTreeSet::new();
    let mut name = |path: &str| {
        let stored = path.rsplit('/').next().unwrap_or(path);
        let sent = spec.photos.iter().find(|photo| photo.file == stored).map(|photo| photo.name.as_str());
        let sent = sent.and_then(|name| name.rsplit(['/', '\\']).next());
        let wanted = sent.filter(|name| !matches!(*name, "" | "." | "..")).unwrap_or(stored).to_owned();
        let free = if taken.contains(&wanted) { format!("{stored}-{wanted}") } else { wanted };
        taken.insert(free.clone());
        free
    };
    below(layout::IMAGES, files).map(|file| Packed { name: name(&file.path), ..file }).collect()
}

/// The files in a folder, by their paths relative to it.
fn below(folder: &str, files: impl Iterator<Item = (String, u64)>) -> impl Iterator<Item = Packed> {
    let folder = format!("{folder}/");
    files.filter_map(move |(path, bytes)| {
        let name = path.strip_prefix(&folder)?.to_owned();
        Some(Packed { name, path, bytes })
    })
}

/// Writes the files one after another, uncompressed: photos and scenes hardly compress.
fn pack(store: &JobStore, id: &JobId, files: &[Packed], out: Sender, runtime: &Handle) -> io::Result<()> {
    let mut zip = ZipWriter::new_stream(out);
    for file in files {
        let options = SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Stored)
            .large_file(file.bytes >= u64::from(u32::MAX));
        zip.start_file(file.name.as_str(), options)?;
        let mut contents = runtime.block_on(store.get(id, &file.path, None)).map_err(io::Error::other)?;
        while let Some(piece) = runtime.block_on(contents.stream.next()) {
            zip.write_all(&piece?)?;
        }
    }
    zip.finish()?.into_inner().flush()
}

/// Sends pieces to the client's connection, and blocks while the client is slow.
struct Sender {
    sender: mpsc::Sender<io::Result<Bytes>>,
    piece: Vec<u8>,
}

impl Write for Sender {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PIECE_BYTES - self.piece.len());
        self.piece.extend_from_slice(&bytes[..taken]);
        if self.piece.len() == PIECE_BYTES {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE_BYTES));
        self.sender
            .blocking_send(Ok(piece.into()))
            .map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the client left"))
    }
}
