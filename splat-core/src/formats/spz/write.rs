//! Writes a cloud as SPZ.

use std::io::{self, Write};
use std::path::Path;

use rayon::prelude::*;

use super::{ANTIALIASED, COLOUR_SCALE, ENTRY, HEADER_V4, MAGIC};
use crate::formats::SpzVersion;
use crate::formats::axes::HalfTurn;
use crate::formats::gzip;
use crate::formats::quantize::{byte, sigmoid, smallest_three, unit};
use crate::gaussians::GaussianCloud;
use crate::{Error, Result, files};

/// Position steps across the central part of the scene, if the farthest Gaussian allows such a precision: a fraction of the size
/// of small Gaussians.
const STEPS_ACROSS: f64 = 262_144.0;
/// A position shifted by this must fit 32 bits, as readers compute it.
const MOST_FRACTIONAL_BITS: u8 = 23;
/// Quantization step of harmonics, in units of a byte: seven bits. The reference writer keeps five bits for degree 1 and four
/// above, which alone limits rendered images to 34 to 44 dB relative to the original's; this gives 54 to 60.
const HARMONIC_STEP: f32 = 2.0;
/// The largest signed 24-bit number.
const MOST: f32 = 8_388_607.0;
/// Zstandard level: 12 compresses a few per cent better than the default, in the time of gzip.
const LEVEL: i32 = 12;

/// Writes a cloud of finite values.
pub(crate) fn write(
    path: &Path,
    cloud: &GaussianCloud,
    version: SpzVersion,
    antialiased: bool,
) -> Result<()> {
    let fractional_bits = fractional_bits(cloud)?;
    let streams = streams(cloud, version, fractional_bits);
    let number = match version {
        SpzVersion::V2 => 2_u32,
        SpzVersion::V3 => 3,
        SpzVersion::V4 => 4,
    };
    let mut header = MAGIC.to_vec();
    header.extend(number.to_le_bytes());
    header.extend((cloud.len() as u32).to_le_bytes());
    header.extend([cloud.sh_degree as u8, fractional_bits, if antialiased { ANTIALIASED } else { 0 }]);
    files::write_atomically(path, |out| match version {
        SpzVersion::V2 | SpzVersion::V3 => {
            header.push(0);
            let parts: Vec<&[u8]> =
                std::iter::once(&header[..]).chain(streams.iter().map(|s| &s[..])).collect();
            gzip::write(out, &parts)
        }
        SpzVersion::V4 => write_v4(out, header, &streams),
    })
}

/// Number of fractional bits of positions.
fn fractional_bits(cloud: &GaussianCloud) -> Result<u8> {
    let farthest = cloud.means.as_flattened().iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    let Some(most) = (0..=MOST_FRACTIONAL_BITS).rev().find(|&bits| farthest * f32::from(bits).exp2() <= MOST)
    else {
        let why = format!(
            "a position of {farthest} is beyond what SPZ holds; scale the scene down (`--scale`), or leave out what lies far off (`--drop-floaters`)"
        );
        return Err(Error::Cloud { why });
    };
    let Some([low, high]) = cloud.framing_bounds() else { return Ok(most) };
    let across = (0..3).map(|axis| high[axis] - low[axis]).fold(0.0, f64::max);
    // For a scene in a single point the cast of infinity saturates.
    let wanted = (STEPS_ACROSS / across).log2().ceil().max(0.0) as u8;
    Ok(most.min(wanted))
}

fn write_v4(out: &mut impl Write, mut header: Vec<u8>, streams: &[Vec<u8>; 6]) -> io::Result<()> {
    let filled: Vec<&Vec<u8>> = streams.iter().filter(|stream| !stream.is_empty()).collect();
    let packed: Vec<Vec<u8>> =
        filled.par_iter().map(|stream| zstd::bulk::compress(stream, LEVEL)).collect::<io::Result<_>>()?;
    header.push(filled.len() as u8);
    header.extend((HEADER_V4 as u32).to_le_bytes());
    header.resize(HEADER_V4, 0);
    for (stream, packed) in filled.iter().zip(&packed) {
        let entry: [u8; ENTRY] =
            bytemuck::cast([(packed.len() as u64).to_le(), (stream.len() as u64).to_le()]);
        header.extend(entry);
    }
    out.write_all(&header)?;
    packed.iter().try_for_each(|stream| out.write_all(stream))
}

fn streams(cloud: &GaussianCloud, version: SpzVersion, fractional_bits: u8) -> [Vec<u8>; 6] {
    let [sx, sy, sz] = HalfTurn::X.signs();
    let steps = f32::from(fractional_bits).exp2();
    let fixed = |value: f32| {
        let [a, b, c, _] = ((value * steps).round() as i32).to_le_bytes();
        [a, b, c]
    };
    let coeffs = cloud.coeffs_per_gaussian();
    let positions =
        cloud.means.iter().flat_map(|[x, y, z]| [x * sx, y * sy, z * sz]).flat_map(fixed).collect();
    let alphas = cloud.opacity_logits.iter().map(|&logit| byte(sigmoid(logit))).collect();
    let colours = cloud.sh_coeffs.iter().step_by(coeffs).flatten();
    let colours = colours.map(|value| byte(value * COLOUR_SCALE + 0.5)).collect();
    let scales = cloud.log_scales.iter().flatten().map(|scale| ((scale + 10.0) * 16.0 + 0.5) as u8).collect();
    let turned = cloud.quats.iter().map(|&quat| {
        let [w, x, y, z] = unit(quat);
        [x * sx, y * sy, z * sz, w]
    });
    let rotations = if version == SpzVersion::V2 {
        turned.flat_map(bytes_of_rotation).collect()
    } else {
        turned.flat_map(word_of_rotation).collect()
    };
    let signs = HalfTurn::X.sh_signs();
    let harmonics = cloud
        .sh_coeffs
        .iter()
        .enumerate()
        .map(|(index, rgb)| (index % coeffs, rgb))
        .filter(|(coefficient, _)| *coefficient > 0)
        .flat_map(|(coefficient, rgb)| rgb.map(|value| harmonic(value * signs[coefficient])))
        .collect();
    [positions, alphas, colours, scales, rotations, harmonics]
}

/// Centred on 128, a multiple of the step; out-of-range values saturate.
fn harmonic(value: f32) -> u8 {
    ((value * 128.0 / HARMONIC_STEP).round() * HARMONIC_STEP + 128.0) as u8
}

/// Three of a quaternion's four components; the error of the fourth grows as it gets smaller. Since a Gaussian is invariant under
/// half turns about its axes, there are four equivalent quaternions; the one with the largest fourth component is written, which
/// is at least 0.5.
fn bytes_of_rotation([x, y, z, w]: [f32; 4]) -> [u8; 3] {
    let equal = [[x, y, z, w], [w, z, -y, -x], [-z, w, x, -y], [y, -x, w, -z]];
    let largest = equal.into_iter().max_by(|a, b| a[3].abs().total_cmp(&b[3].abs()));
    let [x, y, z, w] = largest.unwrap_or([x, y, z, w]);
    let sign = 1.0_f32.copysign(w);
    [x, y, z].map(|component| (component * sign * 127.5 + 128.0) as u8)
}

fn word_of_rotation(xyzw: [f32; 4]) -> [u8; 4] {
    let (largest, three) = smallest_three(xyzw);
    let word = three.iter().fold(largest as u32, |word, &component| {
        let magnitude = (511.0 * component.abs() * std::f32::consts::SQRT_2 + 0.5) as u32;
        word << 10 | u32::from(component < 0.0) << 9 | magnitude.min(511)
    });
    word.to_le_bytes()
}
