//! Parses those boxes of HEIF containers (ISO/IEC 14496-12, 23008-12) that the decoders do not report.

use super::exif::Orientation;

/// One box: its type and content.
struct Box4<'a> {
    kind: [u8; 4],
    content: &'a [u8],
}

/// The boxes in `bytes`, up to the first incomplete one.
fn boxes(mut bytes: &[u8]) -> impl Iterator<Item = Box4<'_>> {
    std::iter::from_fn(move || {
        let (found, rest) = split(bytes)?;
        bytes = rest;
        Some(found)
    })
}

/// The first box and the bytes after it; `None` if it is incomplete.
fn split(bytes: &[u8]) -> Option<(Box4<'_>, &[u8])> {
    let size = u32::from_be_bytes(*bytes.first_chunk()?);
    let kind = *bytes.get(4..)?.first_chunk()?;
    let (header, size) = match size {
        // Extends to the end of the file, or has a 64-bit size.
        0 => (8, bytes.len()),
        1 => (16, usize::try_from(u64::from_be_bytes(*bytes.get(8..)?.first_chunk()?)).ok()?),
        size => (8, size as usize),
    };
    let whole = bytes.get(..size)?;
    Some((Box4 { kind, content: whole.get(header..)? }, &bytes[size..]))
}

fn find<'a>(bytes: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    boxes(bytes).find(|found| found.kind == *kind).map(|found| found.content)
}

/// A file up to its first incomplete box: decoders reject data that some cameras append.
pub(super) fn whole(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes;
    while let Some((_, after)) = split(rest) {
        rest = after;
    }
    &bytes[..bytes.len() - rest.len()]
}

/// `Some` if all boxes are complete, or all up to those with the images: some cameras append data of their own.
pub(super) fn reach_end(bytes: &[u8]) -> Option<()> {
    find(bytes, b"meta")?;
    (whole(bytes).len() == bytes.len() || find(bytes, b"mdat").is_some()).then_some(())
}

/// The transformation of the primary image to upright: the properties `irot` and then `imir`.
pub(super) fn turn(bytes: &[u8]) -> Orientation {
    // Preceded by version and flags.
    let meta = find(bytes, b"meta").and_then(|content| content.get(4..)).unwrap_or_default();
    let properties = find(meta, b"iprp").unwrap_or_default();
    let all: Vec<Box4<'_>> = find(properties, b"ipco").map(|all| boxes(all).collect()).unwrap_or_default();
    let (mut quarters, mut mirror) = (0, None);
    let of_primary = associated(meta, properties).unwrap_or_default();
    for property in of_primary.into_iter().filter_map(|number| all.get(number.checked_sub(1)?)) {
        match (&property.kind, property.content.first()) {
            (b"irot", Some(value)) => quarters = value & 3,
            (b"imir", Some(value)) => mirror = Some(value & 1),
            _ => {}
        }
    }
    // The rotation is counterclockwise. A vertical mirror is a horizontal one and half a turn.
    let half = if mirror == Some(0) { 2 } else { 0 };
    match ((quarters + half) % 4, mirror.is_some()) {
        (0, false) => Orientation::Upright,
        (1, false) => Orientation::Rotate270,
        (2, false) => Orientation::Rotate180,
        (_, false) => Orientation::Rotate90,
        (0, true) => Orientation::MirrorX,
        (1, true) => Orientation::Transverse,
        (2, true) => Orientation::MirrorY,
        (_, true) => Orientation::Transpose,
    }
}

/// 1-based indices of the primary image's properties.
fn associated(meta: &[u8], properties: &[u8]) -> Option<Vec<usize>> {
    let number = |bytes: &mut &[u8], length: usize| -> Option<usize> {
        let (head, rest) = bytes.split_at_checked(length)?;
        *bytes = rest;
        Some(head.iter().fold(0, |value, &byte| value << 8 | usize::from(byte)))
    };
    let mut primary = find(meta, b"pitm")?;
    let version = number(&mut primary, 4)? >> 24;
    let id = number(&mut primary, if version == 0 { 2 } else { 4 })?;
    for entries in boxes(properties).filter(|found| found.kind == *b"ipma") {
        let mut bytes = entries.content;
        let head = number(&mut bytes, 4)?;
        let (id_length, wide) = (if head >> 24 == 0 { 2 } else { 4 }, head & 1 == 1);
        for _ in 0..number(&mut bytes, 4)? {
            let item = number(&mut bytes, id_length)?;
            let count = number(&mut bytes, 1)?;
            let mut places = Vec::new();
            for _ in 0..count {
                let value = number(&mut bytes, if wide { 2 } else { 1 })?;
                // The highest bit marks essential properties.
                places.push(value & if wide { 0x7fff } else { 0x7f });
            }
            if item == id {
                return Some(places);
            }
        }
    }
    None
}
