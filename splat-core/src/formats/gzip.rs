//! gzip on all threads: slices are compressed side by side and joined to one member, as pigz does.
//!
//! Readers that take the first member alone, as some of SPZ do, read all of it.

use std::io::{self, Write};

use flate2::{Compression, Crc, write::DeflateEncoder};
use rayon::prelude::*;

/// Bytes compressed at a time: the 32 KiB that DEFLATE looks back are little of it, so that starting anew costs next to nothing.
const SLICE: usize = 1 << 20;
/// Slices held in memory at a time.
const BATCH: usize = 64;
/// Magic number, DEFLATE, no flags, no time, no hint of the level, unknown system (RFC 1952).
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
/// A last block without contents: what ends a stream of slices, each of which ends with a flush.
const END: [u8; 2] = [3, 0];

/// Writes `parts`, one after the other, as one gzip member. The bytes do not depend on the number of threads.
///
/// # Errors
/// What `out` reports.
pub(super) fn write(out: &mut impl Write, parts: &[&[u8]]) -> io::Result<()> {
    out.write_all(&HEADER)?;
    let slices: Vec<&[u8]> = parts.iter().flat_map(|part| part.chunks(SLICE)).collect();
    let mut checksum = Crc::new();
    for batch in slices.chunks(BATCH) {
        let packed: Vec<(Vec<u8>, Crc)> =
            batch.par_iter().map(|slice| deflate(slice)).collect::<io::Result<_>>()?;
        for (bytes, crc) in packed {
            out.write_all(&bytes)?;
            checksum.combine(&crc);
        }
    }
    out.write_all(&END)?;
    out.write_all(&checksum.sum().to_le_bytes())?;
    out.write_all(&checksum.amount().to_le_bytes())
}

/// One slice in whole blocks that end at a byte, and its checksum.
fn deflate(slice: &[u8]) -> io::Result<(Vec<u8>, Crc)> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(slice)?;
    encoder.flush()?;
    let mut crc = Crc::new();
    crc.update(slice);
    Ok((std::mem::take(encoder.get_mut()), crc))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn one_member_holds_every_part() {
        let noise = |i: usize| (i.wrapping_mul(2_654_435_761) >> 13) as u8;
        let long: Vec<u8> = (0..2 * SLICE + 77).map(noise).collect();
        for parts in [vec![], vec![&b""[..]], vec![&b"NGSP"[..], &long, &[0; 5000]]] {
            let mut packed = Vec::new();
            write(&mut packed, &parts).unwrap();
            let mut unpacked = Vec::new();
            // Reads the first member alone, and checks its checksum and length.
            flate2::bufread::GzDecoder::new(&packed[..]).read_to_end(&mut unpacked).unwrap();
            assert_eq!(unpacked, parts.concat());
        }
    }
}
