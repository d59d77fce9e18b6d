//! A cloud to SPZ.

use std::io::{self, Write};
use std::path::Path;

use rayon::prelude::*;

use super::{ANTIALIASED, COLOUR_SCALE, ENTRY, HEADER_V4, MAGIC};
use crate::formats::SpzVersion;
use crate::formats::axes::HalfTurn;
use crate::formats::quantize::{byte, sigmoid, smallest_three, unit};
use crate::gaussians::GaussianCloud;
use crate::{Error, Result, files};

/// Digits of positions after the point, in bits: 1/4096 of a unit, up to 2048 units away.
const FRACTIONAL_BITS: u8 = 12;
/// The largest number of 24 bits with a sign.
const MOST: f32 = 8_388_607.0;
/// Zstandard's: 12 packs some percent better than the default, and in the time of gzip.
const LEVEL: i32 = 12;

/// Writes a finite cloud.
pub(crate) fn write(
    path: &Path,
    cloud: &GaussianCloud,
    version: SpzVersion,
    antialiased: bool,
) -> Result<()> {
    let farthest = cloud.means.as_flattened().iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    // Fewer digits where the scene is larger.
    let bits = (0..=FRACTIONAL_BITS).rev().find(|&bits| farthest * f32::from(bits).exp2() <= MOST);
    let Some(fractional_bits) = bits else {
        let why = format!("a position of {farthest} is beyond what SPZ holds; scale the scene down");
        return Err(Error::Cloud { why });
    };
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
            let mut out = flate2::write::GzEncoder::new(out, flate2::Compression::default());
            header.push(0);
            out.write_all(&header)?;
            streams.iter().try_for_each(|stream| out.write_all(stream))?;
            out.finish().map(drop)
        }
        SpzVersion::V4 => write_v4(out, header, &streams),
    })
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
        .flat_map(|(coefficient, rgb)| rgb.map(|value| harmonic(value * signs[coefficient], coefficient)))
        .collect();
    [positions, alphas, colours, scales, rotations, harmonics]
}

/// Five bits of degree 1 and four above, as the middle of a byte's steps, around 128.
fn harmonic(value: f32, coefficient: usize) -> u8 {
    let step = if coefficient < 4 { 8 } else { 16 };
    let byte = (value * 128.0).round() as i32 + 128;
    ((byte + step / 2).div_euclid(step) * step).clamp(0, 255) as u8
}

fn bytes_of_rotation([x, y, z, w]: [f32; 4]) -> [u8; 3] {
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
