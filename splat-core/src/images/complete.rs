//! Detects truncated files, for formats in which that is possible.
//!
//! JPEG decoders fill missing parts with grey and report success, so truncation must be detected from the file's structure.

use super::{PhotoFormat, boxes};

/// A sentence on where the file is truncated, if it is. Bytes after the end marker are allowed.
pub(super) fn check(format: PhotoFormat, bytes: &[u8]) -> Result<(), String> {
    let whole = match format {
        PhotoFormat::Jpeg => jpeg_reaches_end(bytes),
        PhotoFormat::Png => png_reaches_end(bytes),
        PhotoFormat::WebP => riff_reaches_end(bytes),
        PhotoFormat::Heic | PhotoFormat::Avif => boxes::reach_end(bytes),
        PhotoFormat::Tiff | PhotoFormat::Gif | PhotoFormat::Bmp => Some(()),
    };
    whole.ok_or_else(|| {
        format!("it is a {format} that breaks off after {} bytes, before its end; copy it again", bytes.len())
    })
}

/// Walks the markers of the first image (ITU-T T.81, annex B) to its EOI.
fn jpeg_reaches_end(bytes: &[u8]) -> Option<()> {
    const SOI: u8 = 0xd8;
    const EOI: u8 = 0xd9;
    const SOS: u8 = 0xda;
    const TEM: u8 = 0x01;
    const RST: std::ops::RangeInclusive<u8> = 0xd0..=0xd7;
    let mut at = 0;
    loop {
        // Skip to the next marker: 0xff, any fill bytes 0xff, then neither 0x00 nor 0xff.
        let skipped = bytes
            .get(at..)?
            .windows(2)
            .position(|pair| pair[0] == 0xff && pair[1] != 0xff && pair[1] != 0 && !RST.contains(&pair[1]))?;
        at += skipped;
        let marker = *bytes.get(at + 1)?;
        at += 2;
        match marker {
            EOI => return Some(()),
            SOI | TEM => {}
            _ => {
                let length = usize::from(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
                // The length counts its own two bytes. After SOS, compressed data follows, in which
                // 0xff is always followed by 0x00 or a restart marker: the search above skips it.
                at += length.max(2);
                if marker == SOS && at >= bytes.len() {
                    return None;
                }
            }
        }
    }
}

/// Walks the chunks to IEND.
fn png_reaches_end(bytes: &[u8]) -> Option<()> {
    const SIGNATURE_BYTES: usize = 8;
    const CHUNK_OVERHEAD: usize = 12; // length, type, checksum
    let mut at = SIGNATURE_BYTES;
    loop {
        let length = u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize;
        let kind = bytes.get(at + 4..at + 8)?;
        at = at.checked_add(length)?.checked_add(CHUNK_OVERHEAD)?;
        if at > bytes.len() {
            return None;
        }
        if kind == b"IEND" {
            return Some(());
        }
    }
}

/// A RIFF container has its length at byte 4.
fn riff_reaches_end(bytes: &[u8]) -> Option<()> {
    let length = u32::from_le_bytes(bytes.get(4..8)?.try_into().ok()?) as usize;
    (bytes.len() >= length.checked_add(8)?).then_some(())
}
