//! Niantic's SPZ: fixed-point numbers and bytes, stored by attribute, compressed by gzip (versions 1 to 3) or Zstandard (4).
//!
//! Axes are x right, y up, z back.

mod write;

use std::io::Read as _;
use std::path::Path;

use super::axes::HalfTurn;
use super::quantize::{from_smallest_three, half, logit_of_byte, unit};
use super::{HARMONICS_DROPPED, SplatRenderMode, SplatScene, array, malformed};
use crate::Result;
use crate::gaussians::GaussianCloud;

pub(super) use write::write;

const MAGIC: &[u8; 4] = b"NGSP";
const HEADER: usize = 16;
/// Size of the uncompressed header of version 4.
const HEADER_V4: usize = 32;
/// Size of an entry of its table of streams.
const ENTRY: usize = 16;
const ANTIALIASED: u8 = 1;
/// Stored colours are harmonics times this, centred on the middle.
const COLOUR_SCALE: f32 = 0.15;
/// Maximum expansion of DEFLATE.
const MOST_BY_GZIP: u64 = 1032;
/// Maximum expansion of Zstandard: four bytes to a block of 128 KiB.
const MOST_BY_ZSTD: u64 = 32_768;

struct Header {
    version: u32,
    count: usize,
    sh_degree: u8,
    fractional_bits: u8,
    flags: u8,
}

impl Header {
    fn parse(bytes: &[u8], path: &Path) -> Result<Self> {
        let refuse = |what: String| Err(malformed(path, "SPZ", what));
        let (Some(head), true) = (bytes.first_chunk::<HEADER>(), bytes.starts_with(MAGIC)) else {
            return refuse("it ends within its header; it is truncated, copy it again".into());
        };
        let word = |at: usize| array(head, at).map_or(0, u32::from_le_bytes);
        let header = Self {
            version: word(4),
            count: word(8) as usize,
            sh_degree: head[12],
            fractional_bits: head[13],
            flags: head[14],
        };
        if header.sh_degree > 4 {
            return refuse(format!("its harmonics have degree {} of at most 4", header.sh_degree));
        }
        if header.fractional_bits > 24 {
            return refuse(format!(
                "its positions of 24 bits have {} after the point",
                header.fractional_bits
            ));
        }
        Ok(header)
    }

    /// Bytes per splat of positions, opacities, colours, scales, rotations and harmonics.
    fn widths(&self) -> [usize; 6] {
        let position = if self.version == 1 { 6 } else { 9 };
        let rotation = if self.version >= 3 { 4 } else { 3 };
        [position, 1, 3, 3, rotation, 3 * ((usize::from(self.sh_degree) + 1).pow(2) - 1)]
    }
}

pub(super) fn read(bytes: &[u8], path: &Path) -> Result<SplatScene> {
    if bytes.starts_with(MAGIC) { read_v4(bytes, path) } else { read_gzip(bytes, path) }
}

fn read_gzip(bytes: &[u8], path: &Path) -> Result<SplatScene> {
    let cut = |_| malformed(path, "SPZ", "its gzip breaks off or is damaged; copy it again");
    let mut unpacked = flate2::read::GzDecoder::new(bytes);
    let mut head = [0; HEADER];
    unpacked.read_exact(&mut head).map_err(cut)?;
    let header = Header::parse(&head, path)?;
    if !(1..=3).contains(&header.version) {
        return Err(malformed(path, "SPZ", format!("its version in gzip is {}, not 1 to 3", header.version)));
    }
    let per_splat: usize = header.widths().iter().sum();
    bounded(&header, per_splat, bytes.len() as u64 * MOST_BY_GZIP, path)?;
    let expected = header.count * per_splat;
    let mut body = Vec::new();
    unpacked.by_ref().take(expected as u64).read_to_end(&mut body).map_err(cut)?;
    // Reading past the end of the member verifies its checksum and length.
    unpacked.read(&mut [0]).map_err(cut)?;
    if body.len() < expected {
        let what =
            format!("it holds {} bytes of the {expected} that {} splats take", body.len(), header.count);
        return Err(malformed(path, "SPZ", what));
    }
    let mut rest = &body[..];
    let streams = header.widths().map(|width| {
        let (stream, behind) = rest.split_at(width * header.count);
        rest = behind;
        stream
    });
    Ok(decode(&header, streams))
}

fn read_v4(bytes: &[u8], path: &Path) -> Result<SplatScene> {
    let refuse = |what: String| Err(malformed(path, "SPZ", what));
    let header = Header::parse(bytes, path)?;
    if header.version != 4 {
        return refuse(format!(
            "its header is in the clear, as in version 4 alone, and says version {}",
            header.version
        ));
    }
    let per_splat: usize = header.widths().iter().sum();
    bounded(&header, per_splat, bytes.len() as u64 * MOST_BY_ZSTD, path)?;
    let Some(table) = array(bytes, HEADER).map(u32::from_le_bytes) else {
        return refuse("it ends within its header; it is truncated, copy it again".into());
    };
    let streams = usize::from(bytes[15]);
    let wanted: Vec<usize> = header.widths().iter().map(|width| width * header.count).collect();
    let filled = wanted.iter().filter(|&&len| len > 0).count();
    if (table as usize) < HEADER_V4 || streams < filled {
        return refuse(format!("it has {streams} streams, and {filled} are needed"));
    }
    let mut unpacked: Vec<Vec<u8>> = Vec::new();
    let mut at = (table as usize).saturating_add(streams * ENTRY) as u64;
    let mut entry = table as usize;
    for len in wanted {
        if len == 0 {
            unpacked.push(Vec::new());
            continue;
        }
        let sizes =
            (array(bytes, entry).map(u64::from_le_bytes), array(bytes, entry + 8).map(u64::from_le_bytes));
        let (Some(packed), Some(raw)) = sizes else {
            return refuse("it ends within its table of streams; it is truncated, copy it again".into());
        };
        if raw != len as u64 {
            return refuse(format!("a stream of {len} bytes is said to have {raw}"));
        }
        let stream = usize::try_from(at).ok().zip(usize::try_from(at.saturating_add(packed)).ok());
        let Some(stream) = stream.and_then(|(from, to)| bytes.get(from..to)) else {
            return refuse("it ends within its streams; it is truncated, copy it again".into());
        };
        unpacked.push(unpack(stream, len, path)?);
        entry += ENTRY;
        at += packed;
    }
    let mut streams = unpacked.iter().map(Vec::as_slice);
    Ok(decode(&header, std::array::from_fn(|_| streams.next().unwrap_or_default())))
}

fn unpack(stream: &[u8], len: usize, path: &Path) -> Result<Vec<u8>> {
    let damaged = |_| malformed(path, "SPZ", "its Zstandard is damaged; copy it again");
    // The window may be as large as the content or that of the compression level; memory is limited to that.
    let window = len.next_power_of_two().trailing_zeros().clamp(23, 27);
    let mut decoder = zstd::stream::read::Decoder::new(stream).map_err(damaged)?;
    decoder.window_log_max(window).map_err(damaged)?;
    let mut content = Vec::new();
    decoder.take(len as u64).read_to_end(&mut content).map_err(damaged)?;
    if content.len() < len {
        return Err(malformed(path, "SPZ", format!("a stream holds {} bytes of {len}", content.len())));
    }
    Ok(content)
}

/// Rejects sizes that the file cannot contain, before anything is allocated.
fn bounded(header: &Header, per_splat: usize, most: u64, path: &Path) -> Result<()> {
    if header.count as u64 * per_splat as u64 > most {
        let what = format!("its header promises {} splats, more than its bytes can hold", header.count);
        return Err(malformed(path, "SPZ", what));
    }
    Ok(())
}

/// Each stream has its width times the count.
fn decode(
    header: &Header,
    [positions, alphas, colours, scales, rotations, harmonics]: [&[u8]; 6],
) -> SplatScene {
    let kept = header.sh_degree.min(3);
    let mut cloud = GaussianCloud { sh_degree: u32::from(kept), ..GaussianCloud::default() };
    cloud.sh_coeffs.reserve_exact(header.count * cloud.coeffs_per_gaussian());
    if header.version == 1 {
        let (halves, _) = positions.as_chunks::<2>();
        let (points, _) = halves.as_chunks::<3>();
        cloud.means = points.iter().map(|point| point.map(|bytes| half(u16::from_le_bytes(bytes)))).collect();
    } else {
        let step = 2.0_f32.powi(-i32::from(header.fractional_bits));
        // Placed in the upper bytes, so that the shift extends the sign.
        let fixed = |[a, b, c]: [u8; 3]| (i32::from_le_bytes([0, a, b, c]) >> 8) as f32 * step;
        let (numbers, _) = positions.as_chunks::<3>();
        let (points, _) = numbers.as_chunks::<3>();
        cloud.means = points.iter().map(|point| point.map(fixed)).collect();
    }
    cloud.opacity_logits = alphas.iter().map(|&alpha| logit_of_byte(alpha)).collect();
    let scale = |byte: u8| f32::from(byte) / 16.0 - 10.0;
    cloud.log_scales = scales.as_chunks::<3>().0.iter().map(|bytes| bytes.map(scale)).collect();
    cloud.quats = if header.version >= 3 {
        rotations
            .as_chunks::<4>()
            .0
            .iter()
            .map(|bytes| rotation_of_word(u32::from_le_bytes(*bytes)))
            .collect()
    } else {
        rotations.as_chunks::<3>().0.iter().map(|bytes| rotation_of_bytes(*bytes)).collect()
    };
    let colour = |byte: u8| (f32::from(byte) / 255.0 - 0.5) / COLOUR_SCALE;
    let colours = colours.as_chunks::<3>().0;
    let (per_splat, kept_coeffs) = (header.widths()[5], cloud.coeffs_per_gaussian() - 1);
    for (index, bytes) in colours.iter().enumerate() {
        cloud.sh_coeffs.push(bytes.map(colour));
        let own = &harmonics[index * per_splat..(index + 1) * per_splat];
        let harmonic = |byte: u8| (f32::from(byte) - 128.0) / 128.0;
        cloud.sh_coeffs.extend(own.as_chunks::<3>().0.iter().take(kept_coeffs).map(|rgb| rgb.map(harmonic)));
    }
    HalfTurn::X.apply(&mut cloud);
    let mode = if header.flags & ANTIALIASED != 0 { SplatRenderMode::Mip } else { SplatRenderMode::Default };
    let notes = (header.sh_degree > 3).then(|| HARMONICS_DROPPED.to_owned()).into_iter().collect();
    SplatScene { cloud, render_mode: mode, notes, ..SplatScene::default() }
}

/// Versions 1 and 2: x, y, z of a quaternion with non-negative w.
fn rotation_of_bytes(bytes: [u8; 3]) -> [f32; 4] {
    let [x, y, z] = bytes.map(|byte| f32::from(byte) / 127.5 - 1.0);
    unit([(1.0 - x * x - y * y - z * z).max(0.0).sqrt(), x, y, z])
}

/// Versions 3 and up: the index of the largest of x, y, z, w, then nine bits and a sign for each of the others.
fn rotation_of_word(word: u32) -> [f32; 4] {
    let component = |shift: u32| {
        let bits = word >> shift;
        let magnitude = (bits & 511) as f32 / 511.0 * std::f32::consts::FRAC_1_SQRT_2;
        if bits & 512 != 0 { -magnitude } else { magnitude }
    };
    let [x, y, z, w] =
        from_smallest_three((word >> 30) as usize, [component(20), component(10), component(0)]);
    [w, x, y, z]
}
