//! Settings of the store.

use std::path::PathBuf;
use std::time::Duration;

/// Where files are stored.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// Folder of this service on this machine; created if missing.
    pub data_dir: PathBuf,
    /// `file:///folder`, `s3://bucket/prefix` or `gs://bucket/prefix`; `None`: in `data_dir`.
    pub url: Option<String>,
    /// Service account of a Firebase project, as a JSON file. Used for `gs://` if no other credentials are set.
    pub firebase_credentials: Option<PathBuf>,
    /// A Firebase Storage bucket, which is a `gs://` bucket; used where `url` is `None`.
    pub firebase_bucket: Option<String>,
    /// How long a failing request to a bucket is retried before it fails with
    /// [`StoreError::Unavailable`](super::StoreError::Unavailable).
    pub patience: Duration,
    /// Further settings of a bucket, which override the environment's (`AWS_*`, `GOOGLE_*`): the same names in lower case, such
    /// as `("aws_endpoint", "http://127.0.0.1:9000")` or `("google_base_url", ...)`.
    pub options: Vec<(String, String)>,
}

impl StoreConfig {
    /// Stores files in `data_dir`.
    #[must_use]
    pub fn local(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            url: None,
            firebase_credentials: None,
            firebase_bucket: None,
            patience: Duration::from_secs(10),
            options: Vec::new(),
        }
    }
}
