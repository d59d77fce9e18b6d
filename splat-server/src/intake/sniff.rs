//! Detects the type of a file from its first bytes, never from its name or declared type.

use splat_core::content::{Content, PhotoFormat};

/// Bytes needed to detect the type.
pub(super) const HEAD_BYTES: usize = 512;

/// File types that are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A photo in a format that every program of the pipeline reads, see [`is_taken`].
    Photo,
    Zip,
    Video(VideoKind),
}

/// Whether photos of this format are accepted.
pub(super) fn is_taken(format: PhotoFormat) -> bool {
    use PhotoFormat::{Avif, Heic, Jpeg, Png, WebP};
    matches!(format, Jpeg | Png | WebP | Heic | Avif)
}

/// Video containers, by the ffmpeg demuxer that reads them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum VideoKind {
    /// MP4 and QuickTime.
    Mov,
    /// Matroska and WebM.
    Matroska,
    Avi,
}

impl VideoKind {
    /// Name of the ffmpeg demuxer.
    pub(super) fn demuxer(self) -> &'static str {
        match self {
            Self::Mov => "mov",
            Self::Matroska => "matroska",
            Self::Avi => "avi",
        }
    }
}

/// The file's type, or a sentence on why it is not accepted. `head`: its first [`HEAD_BYTES`], or all of a shorter file.
pub(super) fn kind(head: &[u8]) -> Result<Kind, &'static str> {
    let riff: Option<&[u8]> = head.starts_with(b"RIFF").then(|| head.get(8..12)).flatten();
    match head {
        [] => Err("it is empty (0 bytes); copy it again"),
        [0xff, 0xd8, 0xff, ..] | [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Ok(Kind::Photo),
        _ if riff == Some(b"WEBP") => Ok(Kind::Photo),
        _ if riff == Some(b"AVI ") => Ok(Kind::Video(VideoKind::Avi)),
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Ok(Kind::Zip),
        [b'P', b'K', 7, 8, ..] => Err("it is one part of a divided zip; make a single zip"),
        [0x1a, 0x45, 0xdf, 0xa3, ..] => Ok(Kind::Video(VideoKind::Matroska)),
        _ if head.get(4..8) == Some(b"ftyp") => iso_media(head),
        _ if matches!(head.get(4..8), Some(b"moov" | b"mdat" | b"wide" | b"pnot")) => {
            Ok(Kind::Video(VideoKind::Mov))
        }
        [b'I', b'I', b'*', 0, ..] | [b'M', b'M', 0, b'*', ..] => {
            Err("it is a TIFF or raw picture, which is not taken; convert it to JPEG or PNG")
        }
        [b'G', b'I', b'F', b'8', ..] => Err("it is a GIF, which is not taken; convert it to JPEG or PNG"),
        [b'B', b'M', ..] => Err("it is a BMP, which is not taken; convert it to JPEG or PNG"),
        [0x1f, 0x8b, ..]
        | [b'R', b'a', b'r', b'!', ..]
        | [b'7', b'z', 0xbc, 0xaf, ..]
        | [0xfd, b'7', b'z', b'X', b'Z', ..] => {
            Err("it is an archive of another kind; only zip archives are unpacked")
        }
        [b'%', b'P', b'D', b'F', ..] => Err("it is a PDF, not a photo"),
        _ if head.iter().all(|&byte| byte >= 0x20 || matches!(byte, b'\t' | b'\n' | b'\r')) => {
            Err("it is text, not a photo")
        }
        _ => Err(
            "it is of no known kind; JPEG, PNG, WebP, HEIC and AVIF photos, zips of them and videos are taken",
        ),
    }
}

/// ISO base media (ISO/IEC 14496-12), used by images and videos; the brands distinguish them.
fn iso_media(head: &[u8]) -> Result<Kind, &'static str> {
    match Content::of(head) {
        _ if head.len() < 12 => Err("it breaks off after a few bytes; copy it again"),
        Some(Content::Photo(format)) if is_taken(format) => Ok(Kind::Photo),
        Some(Content::Raw) => Err("it is a raw picture, which is not taken; convert it to JPEG or PNG"),
        _ => Ok(Kind::Video(VideoKind::Mov)),
    }
}
