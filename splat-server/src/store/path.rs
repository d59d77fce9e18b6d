//! Validation of paths below a job's folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::error::{Result, StoreError};

/// Maximum length of a path below a job's folder, in bytes. The longest one used has about 60.
const MAX_PATH_BYTES: usize = 400;

/// Checks a path below a job's folder: relative, components separated by `/`, none of them empty, `.` or `..`, and no character
/// with a special meaning on some system (`\`, `:`, control characters).
///
/// # Errors
/// [`StoreError::BadPath`].
pub(super) fn check(path: &str) -> Result<()> {
    let plain = |part: &str| {
        !matches!(part, "" | "." | "..")
            && !part.ends_with(['.', ' '])
            && !part.contains(|c: char| {
                c.is_control() || matches!(c, '\\' | ':' | '<' | '>' | '"' | '|' | '?' | '*')
            })
    };
    if path.len() <= MAX_PATH_BYTES && path.split('/').all(plain) {
        Ok(())
    } else {
        Err(StoreError::BadPath { path: path.chars().take(80).collect() })
    }
}

/// Resolves a checked path below `root`; no existing component may be a link.
///
/// A job's folder is written by this service and its child processes only. A child could leave a link that points outside, which
/// is rejected here.
///
/// # Errors
/// [`StoreError::BadPath`], [`StoreError::Link`], [`StoreError::Io`].
pub(super) fn locate(root: &Path, path: &str) -> Result<PathBuf> {
    check(path)?;
    let mut place = root.to_path_buf();
    refuse_link(&place)?;
    for part in path.split('/') {
        place.push(part);
        refuse_link(&place)?;
    }
    Ok(place)
}

/// Rejects a link at `place`; a missing file is not an error.
pub(super) fn refuse_link(place: &Path) -> Result<()> {
    match fs::symlink_metadata(place) {
        Ok(meta) if meta.file_type().is_symlink() => Err(StoreError::Link { path: place.to_path_buf() }),
        Ok(_) => Ok(()),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(())
        }
        Err(error) => Err(StoreError::from_io(place, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn plain_paths_pass_and_all_others_fail() {
        for good in
            ["a", "images/0001.jpg", "output/final_trained_model/ply/point_cloud_29999.ply", ".keep", "a/..b"]
        {
            assert!(check(good).is_ok(), "{good}");
        }
        let long = "a/".repeat(300) + "a";
        for bad in [
            "",
            "/",
            "/etc/passwd",
            "..",
            "../x",
            "a/../b",
            "a/..",
            "a//b",
            "a/",
            "./a",
            "a\\b",
            "..\\x",
            "C:",
            "C:/x",
            "a\0b",
            "a\nb",
            "x.",
            "x ",
            "con:",
            "a*",
            &long,
        ] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }
}
