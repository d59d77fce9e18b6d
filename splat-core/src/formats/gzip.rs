//! gzip on all threads: slices are compressed in parallel and concatenated to one member, as by pigz.
//!
//! Readers that only read the first member, as some of SPZ do, read everything.

use std::io::{self, Write};

use flate2::{Compression, Crc, write::DeflateEncoder};
use rayon::prelude::*;

/// Bytes per slice: large compared to DEFLATE's window of 32 KiB, so that restarting it costs almost no compression.
const SLICE: usize = 1 << 20;
/// Slices held in memory at a time.
const BATCH: usize = 64;
/// Magic number, DEFLATE, no flags, no time, no compression level, unknown system (RFC 1952).
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
/// An empty last block, which ends a stream of slices that each end with a flush.
const END: [u8; 2] = [3, 0];

/// Writes the concatenation of `parts` as one gzip member. The bytes do not depend on the number of threads.
///
/// # Errors
/// Errors of `out`.
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

/// Compresses one slice to whole blocks that end at a byte boundary, with its checksum.
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
            // Reads only the first member, and verifies its checksum and length.
            flate2::bufread::GzDecoder::new(&packed[..]).read_to_end(&mut unpacked).unwrap();
            assert_eq!(unpacked, parts.concat());
        }
    }
}
