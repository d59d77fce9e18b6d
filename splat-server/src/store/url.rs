//! Parses the store's URL.

use std::path::{Path, PathBuf};

use super::StoreConfig;
use super::error::{Result, StoreError};
use super::remote::Service;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// In the data folder.
    DataDir,
    /// In another folder.
    Folder(PathBuf),
    /// In a bucket.
    Bucket {
        service: Service,
        bucket: String,
        /// Without leading or trailing `/`; may be empty.
        prefix: String,
    },
}

/// The configured location of files.
pub(super) fn target(config: &StoreConfig) -> Result<Target> {
    let firebase;
    let url = match (&config.url, &config.firebase_bucket) {
        (Some(url), _) => url.as_str(),
        (None, Some(bucket)) => {
            // A Firebase Storage bucket is a Google Cloud Storage bucket; its console shows it with `gs://`.
            firebase = format!("gs://{}", bucket.strip_prefix("gs://").unwrap_or(bucket));
            &firebase
        }
        (None, None) => return Ok(Target::DataDir),
    };
    let bad = |what: &str| StoreError::BadConfig {
        what: format!(
            "the store's URL `{url}` {what}; it may be s3://bucket/prefix, gs://bucket/prefix or file:///folder"
        ),
    };
    let (scheme, rest) = url.split_once("://").ok_or_else(|| bad("names no kind of store"))?;
    let service = match scheme {
        "file" => return folder(rest).map(Target::Folder).ok_or_else(|| bad("names no absolute folder")),
        "s3" => Service::S3,
        "gs" => Service::Gcs,
        _ => return Err(bad("names an unknown kind of store")),
    };
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if bucket.is_empty() || !bucket.chars().all(plain) {
        return Err(bad("names no bucket"));
    }
    Ok(Target::Bucket { service, bucket: bucket.to_owned(), prefix: prefix.trim_matches('/').to_owned() })
}

/// `/folder`, or `/C:/folder` on Windows. URLs with another host are rejected.
fn folder(rest: &str) -> Option<PathBuf> {
    let rest = rest.strip_prefix("localhost").unwrap_or(rest);
    let path = if cfg!(windows) { rest.strip_prefix('/')? } else { rest };
    let path = Path::new(path);
    path.is_absolute().then(|| path.to_path_buf())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn of(url: Option<&str>, firebase: Option<&str>) -> Result<Target> {
        target(&StoreConfig {
            url: url.map(Into::into),
            firebase_bucket: firebase.map(Into::into),
            ..StoreConfig::local("data")
        })
    }

    #[test]
    fn urls_name_folders_and_buckets() {
        let bucket = |service, bucket: &str, prefix: &str| Target::Bucket {
            service,
            bucket: bucket.into(),
            prefix: prefix.into(),
        };
        assert_eq!(of(None, None).unwrap(), Target::DataDir);
        assert_eq!(of(Some("s3://scenes"), None).unwrap(), bucket(Service::S3, "scenes", ""));
        assert_eq!(of(Some("s3://scenes/a/b/"), None).unwrap(), bucket(Service::S3, "scenes", "a/b"));
        assert_eq!(
            of(Some("gs://x.appspot.com/p"), None).unwrap(),
            bucket(Service::Gcs, "x.appspot.com", "p")
        );
        assert_eq!(of(None, Some("x.appspot.com")).unwrap(), bucket(Service::Gcs, "x.appspot.com", ""));
        assert_eq!(of(None, Some("gs://x.appspot.com")).unwrap(), bucket(Service::Gcs, "x.appspot.com", ""));
        assert_eq!(of(Some("s3://b"), Some("x")).unwrap(), bucket(Service::S3, "b", ""));
        for bad in [
            "",
            "scenes",
            "/folder",
            "s3://",
            "s3:///x",
            "http://x/y",
            "file://host/x",
            "file://",
            "s3://a b/c",
        ] {
            let error = of(Some(bad), None).unwrap_err();
            assert!(matches!(error, StoreError::BadConfig { .. }), "{bad}: {error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_url_names_a_folder() {
        assert_eq!(of(Some("file:///mnt/scenes"), None).unwrap(), Target::Folder("/mnt/scenes".into()));
    }
}
