//! Detects what a file is from its first bytes, for error messages that name what was given instead of what was needed.
//!
//! Start at [`Content::of_file`]; [`Content::advice`] says what to do about it.

mod photo_format;

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

pub use photo_format::PhotoFormat;

/// Bytes that [`Content::of`] needs; more are ignored.
pub const HEAD_BYTES: usize = 4096;

/// The byte order mark that some editors write before UTF-8 text.
pub(crate) const UTF8_MARK: &[u8] = b"\xef\xbb\xbf";

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Content {
    /// A file of no bytes, as left by a failed copy or a full disk.
    Empty,
    /// Nothing but zero bytes, as left by a failed copy or download.
    Zeros,
    /// The pointer that replaces a file in a Git LFS repository.
    LfsPointer,
    /// The pointer that replaces a file in a git-annex repository.
    AnnexPointer,
    /// An image in a supported format.
    Photo(PhotoFormat),
    /// JPEG XL.
    JpegXl,
    /// OpenEXR or Radiance HDR.
    HdrPicture,
    /// A Photoshop document.
    Photoshop,
    /// A camera's raw image.
    Raw,
    /// A video.
    Video,
    /// SOG: splats as WebP images in a zip.
    Sog,
    /// Any other zip.
    Zip,
    /// 7-Zip, RAR, tar, xz or bzip2.
    Archive,
    /// SPZ: compressed splats.
    Spz,
    /// Another gzip file.
    Gzip,
    /// A PLY: splats, a point cloud or a mesh.
    Ply,
    /// A PLY of splats in chunks, as PlayCanvas writes it.
    CompressedPly,
    /// Binary glTF.
    Glb,
    /// `.splat`, by its name: it has no signature.
    Splat,
    /// `.ksplat`, detected by its name.
    Ksplat,
    /// A web page, often the error or sign-in page of a failed download.
    Html,
    /// JSON text.
    Json,
    /// XML text.
    Xml,
    /// A PDF.
    Pdf,
    /// A SQLite database, such as COLMAP's.
    Sqlite,
    /// NumPy's or PyTorch's array files.
    Array,
    /// Text in UTF-16.
    Utf16,
    /// Other text.
    Text,
}

impl Content {
    /// Detects the type of a file by its first bytes or, if they are ambiguous, its name. `None` if it is unknown.
    ///
    /// # Errors
    /// An I/O error if the file cannot be opened or read.
    pub fn of_file(path: &Path) -> std::io::Result<Option<Self>> {
        let mut head = Vec::with_capacity(HEAD_BYTES);
        File::open(path)?.take(HEAD_BYTES as u64).read_to_end(&mut head)?;
        let named = |extension: &str| has_extension(path, extension);
        Ok(match Self::of_named(path, &head) {
            // Both formats begin with arbitrary numbers.
            None | Some(Self::Zeros) if named("splat") && !head.is_empty() => Some(Self::Splat),
            None | Some(Self::Zeros) if named("ksplat") && !head.is_empty() => Some(Self::Ksplat),
            found => found,
        })
    }

    /// As [`Content::of`], for a file with this name: most raw formats are TIFF inside, with a thumbnail as the first image.
    pub(crate) fn of_named(path: &Path, head: &[u8]) -> Option<Self> {
        match Self::of(head) {
            Some(Self::Photo(PhotoFormat::Tiff))
                if RAW_EXTENSIONS.into_iter().any(|extension| has_extension(path, extension)) =>
            {
                Some(Self::Raw)
            }
            found => found,
        }
    }

    /// Detects the type of a file that begins with `head`: its first [`HEAD_BYTES`], or all of a shorter one. `None` for a
    /// type that is not in the list.
    #[must_use]
    pub fn of(head: &[u8]) -> Option<Self> {
        if head.is_empty() {
            return Some(Self::Empty);
        }
        if let Some((_, kind)) = SIGNATURES.iter().find(|(signature, _)| head.starts_with(signature)) {
            return Some(*kind);
        }
        let at = |start: usize, word: &[u8]| head.get(start..).is_some_and(|rest| rest.starts_with(word));
        if head.starts_with(b"RIFF") {
            return match head.get(8..12) {
                Some(b"WEBP") => Some(Self::Photo(PhotoFormat::WebP)),
                Some(b"AVI ") => Some(Self::Video),
                _ => None,
            };
        }
        if at(4, b"ftyp") {
            return Some(iso_media(head));
        }
        if head.starts_with(b"PK\x03\x04") {
            let name = first_name(head);
            let pytorch = name.ends_with(b"/data.pkl");
            return Some(match (is_sog(name), pytorch) {
                (true, _) => Self::Sog,
                (_, true) => Self::Array,
                _ => Self::Zip,
            });
        }
        if head.starts_with(b"\x1f\x8b") {
            return Some(if spz_inside(head) { Self::Spz } else { Self::Gzip });
        }
        let unmarked = head.strip_prefix(UTF8_MARK).unwrap_or(head);
        let first = unmarked.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
        if first.trim_ascii_end() == b"ply" && first.len() < unmarked.len() {
            let header = &head[..head.len().min(HEAD_BYTES)];
            let holds = |word: &[u8]| header.windows(word.len()).any(|window| window == word);
            return Some(if holds(b"element chunk") { Self::CompressedPly } else { Self::Ply });
        }
        // MPEG transport streams repeat a sync byte in every packet.
        if head[0] == 0x47 && at(188, b"\x47") && at(376, b"\x47") {
            return Some(Self::Video);
        }
        if at(257, b"ustar") {
            return Some(Self::Archive);
        }
        if head.iter().all(|&byte| byte == 0) {
            return Some(Self::Zeros);
        }
        text_kind(head)
    }

    /// What to do about it, as the end of a sentence; `None` if there is no general advice.
    #[must_use]
    pub fn advice(self) -> Option<&'static str> {
        Some(match self {
            Self::Empty | Self::Zeros => "copy or download it again",
            Self::LfsPointer => "fetch the file itself with `git lfs pull`",
            Self::AnnexPointer => "fetch the file itself with `git annex get`",
            Self::JpegXl | Self::HdrPicture | Self::Photoshop | Self::Pdf => "export it as JPEG or PNG",
            Self::Raw => "develop it to JPEG or TIFF, such as with darktable or `dcraw -T FILE`",
            Self::Video => {
                "extract frames first, such as with `mkdir frames && ffmpeg -i VIDEO -vf fps=2 frames/%04d.jpg`, and give `frames`"
            }
            Self::Zip => "unpack it, such as with `unzip FILE -d FOLDER`, and give the folder",
            Self::Archive => "unpack it, such as with `tar -xf FILE`, and give what was inside",
            Self::Gzip => {
                "unpack it, such as with `gunzip FILE` (or `tar -xf FILE`, if it is a `.tgz`), and give what was inside"
            }
            Self::Html => "the download failed or needs a sign-in; download it again in a browser",
            Self::Utf16 => "save it as UTF-8 (in PowerShell with `-Encoding utf8`)",
            Self::Photo(_)
            | Self::Sog
            | Self::Spz
            | Self::Ply
            | Self::CompressedPly
            | Self::Glb
            | Self::Splat
            | Self::Ksplat
            | Self::Json
            | Self::Xml
            | Self::Sqlite
            | Self::Text => return None,
            Self::Array => "export the scene as PLY from the program that wrote it",
        })
    }

    /// `it is ...`, followed by the advice.
    #[must_use]
    pub fn sentence(self) -> String {
        match self.advice() {
            Some(advice) => format!("it is {self}; {advice}"),
            None => format!("it is {self}"),
        }
    }
}

/// With the article, as in "it is ...".
impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "empty (0 bytes)",
            Self::Zeros => "nothing but zero bytes",
            Self::LfsPointer => "a Git LFS pointer, which stands for a file that was not fetched",
            Self::AnnexPointer => "a git-annex pointer, which stands for a file that was not fetched",
            Self::Photo(format) => return write!(f, "a {format} picture"),
            Self::JpegXl => "a JPEG XL picture, which is not read",
            Self::HdrPicture => "a high-dynamic-range picture (EXR or HDR), which is not read",
            Self::Photoshop => "a Photoshop document",
            Self::Raw => "a camera's raw picture, which is not read",
            Self::Video => "a video, not a photo",
            Self::Sog => "a scene in SOG form",
            Self::Zip => "a zip archive",
            Self::Archive => "an archive",
            Self::Spz => "a scene in SPZ form",
            Self::Gzip => "a gzip file",
            Self::Ply => "a PLY",
            Self::CompressedPly => "a compressed PLY, as PlayCanvas writes them",
            Self::Glb => "a binary glTF",
            Self::Splat => "a scene in .splat form",
            Self::Ksplat => "a scene in .ksplat form",
            Self::Html => "a web page (HTML)",
            Self::Json => "JSON text",
            Self::Xml => "XML text",
            Self::Pdf => "a PDF document",
            Self::Sqlite => "a SQLite database, such as COLMAP's `database.db`",
            Self::Array => "a file of arrays (NumPy or PyTorch)",
            Self::Utf16 => "text in UTF-16, and UTF-8 is needed",
            Self::Text => "text",
        })
    }
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case(extension))
}

/// Extensions of raw images that are TIFF inside, lower case.
const RAW_EXTENSIONS: [&str; 20] = [
    "dng", "nef", "arw", "cr2", "pef", "srw", "nrw", "sr2", "3fr", "iiq", "erf", "kdc", "dcr", "mef", "mos",
    "gpr", "fff", "srf", "rwl", "k25",
];

const SIGNATURES: &[(&[u8], Content)] = &[
    (b"\xff\xd8\xff", Content::Photo(PhotoFormat::Jpeg)),
    (b"\x89PNG\r\n\x1a\n", Content::Photo(PhotoFormat::Png)),
    // Canon's signature, before TIFF's, of which it is an extension.
    (b"II*\0\x10\0\0\0CR", Content::Raw),
    (b"II*\0", Content::Photo(PhotoFormat::Tiff)),
    (b"MM\0*", Content::Photo(PhotoFormat::Tiff)),
    (b"GIF87a", Content::Photo(PhotoFormat::Gif)),
    (b"GIF89a", Content::Photo(PhotoFormat::Gif)),
    (b"BM", Content::Photo(PhotoFormat::Bmp)),
    (b"FUJIFILMCCD-RAW", Content::Raw),
    (b"IIRO", Content::Raw),
    (b"IIRS", Content::Raw),
    (b"MMOR", Content::Raw),
    (b"IIU\0", Content::Raw),
    (b"\0MRM", Content::Raw),
    (b"\xff\x0a", Content::JpegXl),
    (b"\0\0\0\x0cJXL ", Content::JpegXl),
    (b"\x76\x2f\x31\x01", Content::HdrPicture),
    (b"#?RADIANCE", Content::HdrPicture),
    (b"#?RGBE", Content::HdrPicture),
    (b"8BPS", Content::Photoshop),
    (b"\x1a\x45\xdf\xa3", Content::Video),
    (b"\0\0\x01\xba", Content::Video),
    (b"\0\0\x01\xb3", Content::Video),
    (b"FLV\x01", Content::Video),
    (b"OggS", Content::Video),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", Content::Video),
    (b"PK\x05\x06", Content::Zip),
    (b"7z\xbc\xaf\x27\x1c", Content::Archive),
    (b"Rar!\x1a\x07", Content::Archive),
    (b"\xfd7zXZ\0", Content::Archive),
    (b"BZh", Content::Archive),
    (b"NGSP", Content::Spz),
    (b"glTF", Content::Glb),
    (b"%PDF", Content::Pdf),
    (b"SQLite format 3\0", Content::Sqlite),
    (b"\x93NUMPY", Content::Array),
    (b"version https://git-lfs.github.com/spec/", Content::LfsPointer),
    (b"/annex/objects/", Content::AnnexPointer),
    (b"\xff\xfe", Content::Utf16),
    (b"\xfe\xff", Content::Utf16),
];

/// Distinguishes ISO base media files by their brands. The major brand may only name the container; then the compatible brands
/// decide what the file is.
fn iso_media(head: &[u8]) -> Content {
    let length = head.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes)) as usize;
    let compatible = head.get(16..length.clamp(16, head.len().max(16))).unwrap_or_default();
    let brand = head.get(8..12).unwrap_or_default();
    match brand {
        b"mif1" | b"msf1" if compatible.as_chunks::<4>().0.iter().any(|brand| brand == b"avif") => {
            Content::Photo(PhotoFormat::Avif)
        }
        b"heic" | b"heix" | b"hevc" | b"hevx" | b"heim" | b"heis" | b"mif1" | b"msf1" => {
            Content::Photo(PhotoFormat::Heic)
        }
        b"avif" | b"avis" => Content::Photo(PhotoFormat::Avif),
        b"crx " => Content::Raw,
        _ => Content::Video,
    }
}

/// Name of a zip's first entry.
fn first_name(head: &[u8]) -> &[u8] {
    let length =
        |at: usize| head.get(at..at + 2).map_or(0, |b| usize::from(u16::from_le_bytes([b[0], b[1]])));
    head.get(30..30 + length(26)).unwrap_or_default()
}

/// Whether a zip that begins with this entry is a SOG: `meta.json` beside images.
fn is_sog(name: &[u8]) -> bool {
    let name = name.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    let planes: [&[u8]; 6] = [b"means_l", b"means_u", b"quats", b"scales", b"sh0", b"shN"];
    name == b"meta.json" || name.ends_with(b".webp") && planes.iter().any(|plane| name.starts_with(plane))
}

/// Whether the gzip content begins like an SPZ before version 4.
fn spz_inside(head: &[u8]) -> bool {
    let mut magic = [0; 4];
    flate2::read::GzDecoder::new(head).read_exact(&mut magic).is_ok() && &magic == b"NGSP"
}

/// Type of a text; `None` if it is not text.
fn text_kind(head: &[u8]) -> Option<Content> {
    let text = head.strip_prefix(UTF8_MARK).unwrap_or(head);
    let printable = |byte: &u8| *byte >= 0x20 || matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c);
    if !text.iter().all(printable) {
        // UTF-16 of ASCII letters without a byte order mark: every other byte is zero.
        let zeros = |first: usize| text.iter().skip(first).step_by(2).all(|&byte| byte == 0);
        let letters =
            |first: usize| text.iter().skip(first).step_by(2).all(|byte| printable(byte) && *byte < 0x7f);
        let wide = text.len() >= 16 && (zeros(1) && letters(0) || zeros(0) && letters(1));
        return wide.then_some(Content::Utf16);
    }
    let text = text.trim_ascii_start();
    let begins = |word: &[u8]| text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    if [&b"<!doctype html"[..], b"<html", b"<head", b"<body"].into_iter().any(begins) {
        return Some(Content::Html);
    }
    Some(match text.first() {
        Some(b'<') => Content::Xml,
        Some(b'{' | b'[') => Content::Json,
        _ => Content::Text,
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
