//! Parses the two request headers of tus 1.0 that have their own syntax.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::error::{IntakeError, Result};
use super::super::name;

/// Maximum length of `Upload-Metadata`, in bytes.
const MAX_METADATA_BYTES: usize = 4096;

/// The file name in `Upload-Metadata`, sanitized for display. The header is a comma-separated list of `key base64(value)`; values
/// are optional.
pub(super) fn file_name(metadata: &str) -> Result<String> {
    if metadata.len() > MAX_METADATA_BYTES {
        return Err(bad(format!("Upload-Metadata has more than {MAX_METADATA_BYTES} bytes")));
    }
    let mut found = None;
    for pair in metadata.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once(' ').unwrap_or((pair, ""));
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(bad("Upload-Metadata is no list of `key base64`".into()));
        }
        let value = STANDARD
            .decode(value.trim())
            .map_err(|_| bad("a value of Upload-Metadata is not base64".into()))?;
        if matches!(key, "filename" | "name") && found.is_none() {
            found = Some(String::from_utf8_lossy(&value).into_owned());
        }
    }
    Ok(name::shown(&found.unwrap_or_default()))
}

/// The SHA-1 in `Upload-Checksum`: `sha1 base64(digest)`.
pub(super) fn checksum(header: &str) -> Result<[u8; 20]> {
    let wrong = || {
        bad("Upload-Checksum is not `sha1` and the base64 of 20 bytes; other algorithms are not known".into())
    };
    let (algorithm, digest) = header.trim().split_once(' ').ok_or_else(wrong)?;
    if !algorithm.eq_ignore_ascii_case("sha1") {
        return Err(wrong());
    }
    STANDARD.decode(digest.trim()).ok().and_then(|bytes| bytes.try_into().ok()).ok_or_else(wrong)
}

fn bad(what: String) -> IntakeError {
    IntakeError::BadRequest { what }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_come_from_the_metadata() {
        assert_eq!(file_name("filename d29ybGQuanBn,is_confidential").unwrap(), "world.jpg");
        assert_eq!(file_name("filetype aW1hZ2UvanBlZw==,name Li4vLi4vYQ==").unwrap(), "a");
        assert_eq!(file_name("").unwrap(), "unnamed");
        assert_eq!(file_name("filename").unwrap(), "unnamed");
        assert!(file_name("filename ???").is_err());
        assert!(file_name(&"a ".repeat(4000)).is_err());
    }

    #[test]
    fn checksums_are_sha1() {
        assert_eq!(checksum("sha1 Lve95gjOVATpfV8EL5X4nxwjKHE=").unwrap()[..4], [0x2e, 0xf7, 0xbd, 0xe6]);
        for bad in ["", "sha1", "md5 Lve95gjOVATpfV8EL5X4nxwjKHE=", "sha1 AAAA", "sha1 ???"] {
            assert!(matches!(checksum(bad), Err(IntakeError::BadRequest { .. })), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_header_is_read_or_refused(text in ".*|([a-z]{1,8} [A-Za-z0-9+/=]{0,12},?)*") {
            if let Ok(name) = file_name(&text) {
                prop_assert!(!name.is_empty() && !name.contains(['/', '\\', '\0']));
            }
            let _ = checksum(&text);
        }
    }
}
