//! Operations on photo names: normalization for comparison, splitting into components, removing extensions.

use std::borrow::Cow;
use std::path::Path;

use icu_normalizer::ComposingNormalizerBorrowed;

use crate::images::has_photo_extension;

/// Decodes percent-encoding; `None` if there is none.
pub(super) fn percent_decoded(name: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    let mut found = false;
    while let [first, others @ ..] = rest {
        let code = others.first_chunk::<2>().filter(|_| *first == b'%');
        let code = code.and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                found = true;
                bytes.push(byte);
                rest = &others[2..];
            }
            None => {
                bytes.push(*first);
                rest = others;
            }
        }
    }
    String::from_utf8(bytes).ok().filter(|_| found)
}

/// Normalizes a name for comparison: lower case, composed Unicode.
#[must_use]
pub fn folded(name: &str) -> String {
    composed(&name.to_lowercase()).into_owned()
}

pub(super) fn composed(name: &str) -> Cow<'_, str> {
    ComposingNormalizerBorrowed::new_nfc().normalize(name)
}

/// Splits a name into components, with separators of any system; `None` if there are none. Everything up to the last `..` is
/// dropped: names in a dataset are untrusted and must not point outside of the folder.
pub(super) fn parts_of(name: &str) -> Option<Vec<String>> {
    let slashed = name.trim().replace('\\', "/");
    let mut parts = Vec::new();
    for part in slashed.split('/') {
        match part {
            "" | "." => {}
            ".." => parts.clear(),
            part => parts.push(part.to_owned()),
        }
    }
    // Skip the drive letter.
    if parts.first().is_some_and(|first| first.len() == 2 && first.ends_with(':')) {
        parts.remove(0);
    }
    (!parts.is_empty()).then_some(parts)
}

/// A file name without the extension of a photo or raw file. Raw extensions occur in datasets whose photos were developed.
pub(super) fn stem(name: &str) -> &str {
    const OTHERS: [&str; 14] =
        ["heic", "heif", "avif", "dng", "nef", "cr2", "cr3", "arw", "raf", "rw2", "orf", "exr", "hdr", "jxl"];
    let Some((stem, extension)) = name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()) else {
        return name;
    };
    let known =
        has_photo_extension(Path::new(name)) || OTHERS.iter().any(|o| o.eq_ignore_ascii_case(extension));
    if known { stem } else { name }
}
