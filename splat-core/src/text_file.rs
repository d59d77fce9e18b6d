//! Tolerant reading of text files, as editors and shells write them.
//!
//! One reader for JSON, COLMAP's text models and camera paths: a UTF-8 byte order mark is skipped, lines may end in CR LF, and
//! errors on binary files name their kind instead of quoting them. [`whole`] reads integers that were written as `200.0`.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::content::{self, Content};
use crate::plain::plain;
use crate::{Error, Result};

/// The text of a file. `format` is the expected format, for messages.
///
/// Invalid UTF-8 is replaced: it occurs in names and comments by programs that write a local encoding.
///
/// # Errors
/// [`Error::Read`]; [`Error::Malformed`] for a file that is not text, with its kind and what to do.
pub fn read(path: &Path, format: &'static str) -> Result<String> {
    let bytes = fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    decode(path, format, bytes)
}

/// As [`read`], for bytes in memory.
///
/// # Errors
/// [`Error::Malformed`].
pub fn decode(path: &Path, format: &'static str, bytes: Vec<u8>) -> Result<String> {
    let malformed = |what: String| Error::Malformed { path: path.to_owned(), format, what };
    match Content::of(&bytes[..bytes.len().min(content::HEAD_BYTES)]) {
        // Files of an empty model are empty, and serde_json's message on them is good.
        None | Some(Content::Empty | Content::Text | Content::Json | Content::Xml) => {}
        Some(other) => return Err(malformed(other.sentence())),
    }
    // Text has no zero bytes; parsing a binary file might fail only after megabytes.
    if bytes.iter().take(content::HEAD_BYTES).any(|&byte| byte == 0) {
        return Err(malformed("it is a binary file, and text is needed".into()));
    }
    let bytes = match bytes.strip_prefix(content::UTF8_MARK) {
        Some(text) => text.to_vec(),
        None => bytes,
    };
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// The JSON of a file. `NaN` and infinities, which Python writes and JSON lacks, count as missing values.
///
/// # Errors
/// As [`read`]; [`Error::Malformed`] with line and column for what is not JSON of this form.
pub fn read_json<T: DeserializeOwned>(path: &Path, format: &'static str) -> Result<T> {
    let text = read(path, format)?;
    serde_json::from_str(&text).or_else(|error| {
        let with_nulls = nulls_for_odd_numbers(&text);
        let again = with_nulls.and_then(|text| serde_json::from_str(&text).ok());
        again.ok_or_else(|| {
            let what = if text.trim().is_empty() {
                "it is empty; copy it again".into()
            } else {
                plain(&error.to_string())
            };
            Error::Malformed { path: path.to_owned(), format, what }
        })
    })
}

/// The text with `null` for `NaN`, `Infinity` and `-Infinity` outside strings; `None` if there is none of them.
fn nulls_for_odd_numbers(text: &str) -> Option<String> {
    const ODD: [&str; 3] = ["-Infinity", "Infinity", "NaN"];
    let mut out = String::with_capacity(text.len());
    let (mut rest, mut in_string, mut found) = (text, false, false);
    while let Some(next) = rest.chars().next() {
        if !in_string && let Some(word) = ODD.into_iter().find(|word| rest.starts_with(word)) {
            out.push_str("null");
            rest = &rest[word.len()..];
            found = true;
            continue;
        }
        let mut taken = next.len_utf8();
        match next {
            '"' => in_string = !in_string,
            '\\' if in_string => taken += rest[taken..].chars().next().map_or(0, char::len_utf8),
            _ => {}
        }
        out.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    found.then_some(out)
}

/// An integer that may be written as `200`, `200.0` or `2e2`; `None` for anything else.
#[must_use]
pub fn whole(word: &str) -> Option<i128> {
    /// Above 2^53 a float may differ from the number written.
    const MAX_EXACT: f64 = 9_007_199_254_740_992.0;
    word.parse().ok().or_else(|| {
        let value: f64 = word.parse().ok()?;
        (value.fract() == 0.0 && value.abs() <= MAX_EXACT).then_some(value as i128)
    })
}

/// For serde's `deserialize_with`: a `u32` that may be written as `200.0`.
///
/// # Errors
/// The deserializer's, for anything but an integer in range.
pub fn whole_u32<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let value = f64::deserialize(deserializer)?;
    if value.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&value) {
        return Ok(value as u32);
    }
    Err(serde::de::Error::custom(format!("{value} is no whole number from 0 to {}", u32::MAX)))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn marks_are_skipped_and_what_is_no_text_is_named() {
        let path = Path::new("images.txt");
        let decode = |bytes: &[u8]| decode(path, "COLMAP model", bytes.to_vec());
        assert_eq!(decode(b"\xef\xbb\xbf1 2\r\n").unwrap(), "1 2\r\n");
        assert_eq!(decode(b"1 2").unwrap(), "1 2");
        assert_eq!(decode(b"").unwrap(), "");
        assert_eq!(decode(b"a\xe9.jpg").unwrap(), "a\u{fffd}.jpg");
        for (bytes, word) in [
            (&b"\xff\xfe1\0 \0"[..], "UTF-16"),
            (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
            (b"<!DOCTYPE html>", "web page"),
            (b"PK\x03\x04", "unzip"),
            (b"\x01\0\0\0\0\0\0\0", "binary"),
        ] {
            let error = decode(bytes).unwrap_err().to_string();
            assert!(error.contains(word) && error.contains("images.txt"), "{error}");
        }
    }

    #[test]
    fn json_may_hold_what_python_writes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.json");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read_json::<serde_json::Value>(&path, "test")
        };
        let value =
            read("\u{feff}{\"a\": NaN, \"b\": [-Infinity, 1], \"NaN \\\" NaN\": \"Infinity\"}").unwrap();
        assert_eq!(value, serde_json::json!({"a": null, "b": [null, 1], "NaN \" NaN": "Infinity"}));
        assert!(read("{\"a\": NaN,}").unwrap_err().to_string().contains("line 1"));
        assert!(read("  ").unwrap_err().to_string().contains("empty"));
    }

    #[test]
    fn whole_numbers_may_be_written_as_floats() {
        assert_eq!(
            ["200", "200.0", "2e2", "-1", "18446744073709551615"].map(whole),
            [Some(200), Some(200), Some(200), Some(-1), Some(i128::from(u64::MAX))]
        );
        assert_eq!(["200.5", "x", "", "inf", "nan", "1e40"].map(whole), [None; 6]);
    }
}
