//! Job files in a bucket: keys `prefix/jobs/<id>/...`.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder};
use object_store::path::Path as Key;
use object_store::{
    ClientOptions, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutPayload,
    RetryConfig, WriteMultipart,
};
use splat_core::plain::with_causes;
use tokio::io::AsyncReadExt;

use super::error::{Result, StoreError};
use super::local::JOBS;
use super::sweep::ListedJob;
use super::{Contents, FileHead, StoreConfig, path};
use crate::job::JobId;

/// Part size of a multipart upload, in bytes. S3 requires at least 5 MiB and allows 10,000 parts: enough for 80 GB.
const PART_BYTES: usize = 8 << 20;
/// Parts uploaded concurrently.
const PARTS_AT_ONCE: usize = 3;
/// A server that sends nothing for this long counts as gone.
const SILENCE: Duration = Duration::from_secs(30);
const CONNECT: Duration = Duration::from_secs(5);
/// Number of retries if a file is replaced between reading its metadata and its content.
const VERSIONS: u32 = 8;

#[derive(Debug)]
pub(super) struct Remote {
    store: Arc<dyn ObjectStore>,
    prefix: String,
    /// Folder below the prefix: [`JOBS`], or that of another area.
    folder: &'static str,
    patience: Duration,
}

/// Cloud service of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    S3,
    Gcs,
}

impl Remote {
    /// Opens a bucket with a prefix for its keys (may be empty).
    pub(super) fn open(service: Service, bucket: &str, prefix: &str, config: &StoreConfig) -> Result<Self> {
        crate::tls::install_provider();
        if !prefix.is_empty() {
            path::check(prefix)?;
        }
        let retry = RetryConfig { retry_timeout: config.patience, ..RetryConfig::default() };
        // No limit on the duration of a request: a slow reader of a large file is not an error.
        let client = ClientOptions::new()
            .with_timeout_disabled()
            .with_read_timeout(SILENCE)
            .with_connect_timeout(CONNECT);
        let store: Arc<dyn ObjectStore> = match service {
            Service::S3 => Arc::new(s3(bucket, config, client, retry)?),
            Service::Gcs => Arc::new(gcs(bucket, config, client, retry)?),
        };
        Ok(Self { store, prefix: prefix.to_owned(), folder: JOBS, patience: config.patience })
    }

    /// Opens another area beside the jobs.
    pub(super) fn area(&self, folder: &'static str) -> Self {
        Self { store: self.store.clone(), prefix: self.prefix.clone(), folder, patience: self.patience }
    }

    fn jobs_prefix(&self) -> String {
        let folder = self.folder;
        if self.prefix.is_empty() { folder.to_owned() } else { format!("{}/{folder}", self.prefix) }
    }

    fn key(&self, id: &JobId, relative: &str) -> Result<Key> {
        path::check(relative)?;
        parse_key(&format!("{}/{id}/{relative}", self.jobs_prefix()))
    }

    fn job_key(&self, id: &JobId) -> Result<Key> {
        parse_key(&format!("{}/{id}", self.jobs_prefix()))
    }

    pub(super) async fn put(&self, id: &JobId, relative: &str, file: &Path) -> Result<FileHead> {
        let key = self.key(id, relative)?;
        let to_error = |source| StoreError::from_io(file, source);
        let mut from = tokio::fs::File::open(file).await.map_err(to_error)?;
        let length = from.metadata().await.map_err(to_error)?.len();
        if length <= PART_BYTES as u64 {
            let mut content = Vec::with_capacity(usize::try_from(length).unwrap_or(PART_BYTES));
            from.take(PART_BYTES as u64 + 1).read_to_end(&mut content).await.map_err(to_error)?;
            return self.put_bytes(id, relative, content.into()).await;
        }
        let failed = |error| from_store(error, id, relative);
        let mut upload = WriteMultipart::new_with_chunk_size(
            self.store.put_multipart(&key).await.map_err(failed)?,
            PART_BYTES,
        );
        loop {
            let mut part = BytesMut::with_capacity(PART_BYTES);
            let read = read_full(&mut from, &mut part).await;
            let step = match read {
                Ok(0) => break,
                Ok(_) => {
                    upload.put(part.freeze());
                    upload.wait_for_capacity(PARTS_AT_ONCE).await.map_err(failed)
                }
                Err(source) => Err(to_error(source)),
            };
            if let Err(error) = step {
                // The first error is the one to report; leftover parts are expired by the bucket.
                let _ = upload.abort().await;
                return Err(error);
            }
        }
        upload.finish().await.map_err(failed)?;
        self.head(id, relative).await
    }

    pub(super) async fn put_bytes(&self, id: &JobId, relative: &str, content: Bytes) -> Result<FileHead> {
        let key = self.key(id, relative)?;
        let put = self.store.put(&key, PutPayload::from_bytes(content)).await;
        put.map_err(|error| from_store(error, id, relative))?;
        self.head(id, relative).await
    }

    /// As [`Self::put_bytes`] if there is no such file yet, else returns `false`. Of several concurrent calls, one succeeds.
    pub(super) async fn put_new(&self, id: &JobId, relative: &str, content: Bytes) -> Result<bool> {
        let key = self.key(id, relative)?;
        match self.store.put_opts(&key, PutPayload::from_bytes(content.clone()), PutMode::Create.into()).await
        {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                Ok(false)
            }
            // A service without conditional writes: the last write wins.
            Err(object_store::Error::NotImplemented { .. } | object_store::Error::NotSupported { .. }) => {
                self.put_bytes(id, relative, content).await.map(|_| true)
            }
            Err(error) => Err(from_store(error, id, relative)),
        }
    }

    pub(super) async fn head(&self, id: &JobId, relative: &str) -> Result<FileHead> {
        let meta = self
            .store
            .head(&self.key(id, relative)?)
            .await
            .map_err(|error| from_store(error, id, relative))?;
        Ok(head_of(relative, &meta))
    }

    pub(super) async fn get_part(
        &self,
        id: &JobId,
        relative: &str,
        wanted: impl Fn(&FileHead) -> Result<Range<u64>>,
    ) -> Result<Contents> {
        for _ in 0..VERSIONS {
            let head = self.head(id, relative).await?;
            let range = wanted(&head)?;
            if range.is_empty() {
                return Ok(Contents { head, range, stream: stream::empty().boxed() });
            }
            let contents = self.get(id, relative, Some(range)).await;
            match contents {
                Ok(contents) if contents.head.etag == head.etag => return Ok(contents),
                // Services respond differently to a range after the end of a file that was replaced.
                Err(error) if self.head(id, relative).await?.etag == head.etag => return Err(error),
                _ => {}
            }
        }
        Err(StoreError::Unavailable { why: format!("{relative} changes again and again while it is read") })
    }

    /// Reads a file, or a range inside it.
    pub(super) async fn get(
        &self,
        id: &JobId,
        relative: &str,
        range: Option<Range<u64>>,
    ) -> Result<Contents> {
        let options = GetOptions { range: range.map(GetRange::Bounded), ..GetOptions::default() };
        let got = self
            .store
            .get_opts(&self.key(id, relative)?, options)
            .await
            .map_err(|error| from_store(error, id, relative))?;
        let (head, range) = (head_of(relative, &got.meta), got.range.clone());
        Ok(Contents { head, range, stream: got.into_stream().map_err(io::Error::other).boxed() })
    }

    pub(super) async fn list(&self, id: &JobId) -> Result<Vec<FileHead>> {
        let prefix = self.job_key(id)?;
        let mut found = Vec::new();
        let mut listing = self.store.list(Some(&prefix));
        while let Some(meta) = listing.try_next().await.map_err(|error| from_store(error, id, ""))? {
            let relative =
                meta.location.as_ref().strip_prefix(prefix.as_ref()).and_then(|rest| rest.strip_prefix('/'));
            // Objects with keys that this service does not create are ignored.
            if let Some(relative) = relative.filter(|relative| path::check(relative).is_ok()) {
                found.push(head_of(relative, &meta));
            }
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    pub(super) async fn copy(&self, from: &JobId, to: &JobId, relative: &str) -> Result<()> {
        let copied = self.store.copy(&self.key(from, relative)?, &self.key(to, relative)?).await;
        copied.map_err(|error| from_store(error, from, relative))
    }

    pub(super) async fn delete_file(&self, id: &JobId, relative: &str) -> Result<()> {
        match self.store.delete(&self.key(id, relative)?).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(from_store(error, id, relative)),
        }
    }

    pub(super) async fn delete_job(&self, id: &JobId) -> Result<()> {
        let keys = self.store.list(Some(&self.job_key(id)?)).map_ok(|meta| meta.location).boxed();
        let mut deleted = self.store.delete_stream(keys);
        while let Some(done) = deleted.next().await {
            match done {
                Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(from_store(error, id, "")),
            }
        }
        Ok(())
    }

    pub(super) async fn older_than(&self, before: SystemTime) -> Result<Vec<ListedJob>> {
        let prefix = parse_key(&self.jobs_prefix())?;
        let mut newest: BTreeMap<JobId, (SystemTime, ListedJob)> = BTreeMap::new();
        let mut listing = self.store.list(Some(&prefix));
        while let Some(meta) = listing.try_next().await.map_err(unavailable)? {
            let rest = meta.location.as_ref().strip_prefix(prefix.as_ref()).unwrap_or_default();
            let (id, file) = rest.trim_start_matches('/').split_once('/').unwrap_or_default();
            if let Ok(id) = id.parse::<JobId>() {
                let modified = SystemTime::from(meta.last_modified);
                let (known, found) =
                    newest.entry(id.clone()).or_insert_with(|| (modified, ListedJob::new(id)));
                *known = modified.max(*known);
                found.note(file);
            }
        }
        Ok(newest.into_values().filter(|&(modified, _)| modified < before).map(|(_, found)| found).collect())
    }

    pub(super) async fn ping(&self) -> Result<()> {
        // A listing that is always empty, but fails if the bucket does not exist.
        let nothing = parse_key(&format!("{}/ping", self.jobs_prefix()))?;
        let mut listing = self.store.list(Some(&nothing));
        match tokio::time::timeout(self.patience, listing.next()).await {
            Err(_) => Err(StoreError::Unavailable { why: format!("no answer within {:?}", self.patience) }),
            Ok(Some(Err(error))) => Err(unavailable(error)),
            Ok(_) => Ok(()),
        }
    }
}

fn s3(bucket: &str, config: &StoreConfig, client: ClientOptions, retry: RetryConfig) -> Result<AmazonS3> {
    let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket).with_retry(retry);
    let mut client = client;
    for (key, value) in with_environment("AWS_", config) {
        // Client options set below take precedence over those of the environment.
        match key.strip_prefix("aws_").unwrap_or(&key).parse::<object_store::ClientConfigKey>() {
            Ok(option) => client = client.with_config(option, value),
            Err(_) => builder = builder.with_config(key.parse().map_err(bad_option)?, value),
        }
    }
    builder.with_client_options(client).build().map_err(bad_config)
}

fn gcs(
    bucket: &str,
    config: &StoreConfig,
    client: ClientOptions,
    retry: RetryConfig,
) -> Result<GoogleCloudStorage> {
    let mut builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket).with_retry(retry);
    let mut client = client.with_allow_http(true);
    for (key, value) in with_environment("GOOGLE_", config) {
        match key.strip_prefix("google_").unwrap_or(&key).parse::<object_store::ClientConfigKey>() {
            Ok(option) => client = client.with_config(option, value),
            Err(_) => builder = builder.with_config(key.parse().map_err(bad_option)?, value),
        }
    }
    let set_elsewhere = [
        "GOOGLE_APPLICATION_CREDENTIALS",
        "GOOGLE_SERVICE_ACCOUNT",
        "GOOGLE_SERVICE_ACCOUNT_KEY",
        "SERVICE_ACCOUNT",
    ]
    .iter()
    .any(|name| std::env::var_os(name).is_some());
    if let Some(file) = config.firebase_credentials.as_ref().filter(|_| !set_elsewhere) {
        builder = builder.with_service_account_path(file.to_string_lossy());
    }
    builder.with_client_options(client).build().map_err(bad_config)
}

/// The settings as `(key in lower case, value)`: client options from the environment, then those of the configuration.
fn with_environment(prefix: &str, config: &StoreConfig) -> Vec<(String, String)> {
    let client_option = |key: &str| key.parse::<object_store::ClientConfigKey>().is_ok();
    let environment = std::env::vars_os().filter_map(|(key, value)| {
        let key = key.into_string().ok()?;
        let name = key.strip_prefix(prefix)?.to_ascii_lowercase();
        client_option(&name).then_some(())?;
        Some((name, value.into_string().ok()?))
    });
    environment.chain(config.options.iter().cloned()).collect()
}

fn bad_option(error: object_store::Error) -> StoreError {
    StoreError::BadConfig { what: format!("an option of the file store is not known: {error}") }
}

fn bad_config(error: object_store::Error) -> StoreError {
    StoreError::BadConfig { what: format!("the file store cannot be set up: {}", with_causes(&error)) }
}

fn parse_key(key: &str) -> Result<Key> {
    Key::parse(key).map_err(|_| StoreError::BadPath { path: key.chars().take(80).collect() })
}

/// Fills the buffer to its capacity, or to the end of the file.
async fn read_full(file: &mut tokio::fs::File, buffer: &mut BytesMut) -> io::Result<usize> {
    while buffer.len() < PART_BYTES {
        if file.read_buf(buffer).await? == 0 {
            break;
        }
    }
    Ok(buffer.len())
}

fn head_of(relative: &str, meta: &ObjectMeta) -> FileHead {
    let etag = match &meta.e_tag {
        Some(tag) if tag.ends_with('"') => tag.clone(),
        Some(tag) => format!("\"{tag}\""),
        None => format!("\"{:x}-{:x}\"", meta.last_modified.timestamp_millis(), meta.size),
    };
    FileHead { path: relative.to_owned(), bytes: meta.size, etag, modified: meta.last_modified.into() }
}

fn from_store(error: object_store::Error, id: &JobId, relative: &str) -> StoreError {
    match error {
        object_store::Error::NotFound { .. } if !relative.is_empty() => {
            StoreError::NotFound { id: id.to_string(), path: relative.to_owned() }
        }
        other => unavailable(other),
    }
}

fn unavailable(error: object_store::Error) -> StoreError {
    use object_store::Error as E;
    let why = with_causes(&error);
    // Listing a bucket that does not exist fails with this error.
    if why.contains("NoSuchBucket") {
        return StoreError::Denied { why: "the bucket is not there".into() };
    }
    match error {
        E::PermissionDenied { .. } | E::Unauthenticated { .. } => StoreError::Denied { why },
        E::NotFound { .. } => StoreError::Denied { why: format!("the bucket is not there ({why})") },
        _ => StoreError::Unavailable { why },
    }
}
