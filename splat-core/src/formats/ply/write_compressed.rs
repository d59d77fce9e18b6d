//! Writes a cloud as compressed PLY.

use std::io::{self, Write};
use std::path::Path;

use rayon::prelude::*;

use super::chunks::{self, scales};
use super::compressed::{CHUNK, PACKED, RANGES, SH_RANGE};
use super::write::comments;
use super::{PlyOptions, REST};
use crate::formats::quantize::{byte, colour, fraction_of_component, sigmoid, smallest_three, unit};
use crate::gaussians::GaussianCloud;
use crate::{Result, files};

/// Writes a cloud of finite values as PlayCanvas's compressed PLY, and returns the degree of its harmonics.
///
/// Degrees whose harmonics are all zero are omitted: a byte cannot represent zero, so all would have the same error.
pub(crate) fn write_compressed(path: &Path, cloud: &GaussianCloud, options: &PlyOptions) -> Result<u32> {
    let order = chunks::order(cloud);
    let sh_degree = used_sh_degree(cloud);
    files::write_atomically(path, |out| {
        header(out, cloud.len(), sh_degree, options)?;
        let groups: Vec<Ranges> = order.chunks(CHUNK).map(|group| Ranges::of(cloud, group)).collect();
        for Ranges(ranges) in &groups {
            for value in ranges.iter().flat_map(|[low, high]| [low, high]).flatten() {
                out.write_all(&value.to_le_bytes())?;
            }
        }
        for (group, ranges) in order.chunks(CHUNK).zip(&groups) {
            for &index in group {
                for word in ranges.pack(cloud, index as usize) {
                    out.write_all(&word.to_le_bytes())?;
                }
            }
        }
        let coeffs = cloud.coeffs_per_gaussian();
        let mut row = Vec::with_capacity(REST[3]);
        for &index in &order {
            row.clear();
            let rest = &cloud.sh_coeffs[index as usize * coeffs..][1..(sh_degree + 1).pow(2)];
            for channel in 0..3 {
                row.extend(rest.iter().map(|value| harmonic(value[channel])));
            }
            out.write_all(&row)?;
        }
        Ok(())
    })?;
    Ok(sh_degree as u32)
}

/// The highest degree with a non-zero coefficient.
fn used_sh_degree(cloud: &GaussianCloud) -> usize {
    let coeffs = cloud.coeffs_per_gaussian();
    let used = |degree: &usize| {
        let own = degree.pow(2)..(degree + 1).pow(2);
        cloud
            .sh_coeffs
            .par_chunks(coeffs)
            .any(|all| all[own.clone()].as_flattened().iter().any(|&value| value != 0.0))
    };
    (1..=cloud.sh_degree.min(3) as usize).rev().find(used).unwrap_or(0)
}

/// Out-of-range values saturate in the cast.
fn harmonic(value: f32) -> u8 {
    ((value / SH_RANGE + 0.5) * 256.0) as u8
}

fn header(out: &mut impl Write, count: usize, sh_degree: usize, options: &PlyOptions) -> io::Result<()> {
    writeln!(out, "ply\nformat binary_little_endian 1.0")?;
    // Directly after the format, where readers that only look at the first lines find the chunks.
    writeln!(out, "element chunk {}", count.div_ceil(CHUNK))?;
    RANGES.iter().try_for_each(|name| writeln!(out, "property float {name}"))?;
    writeln!(out, "element vertex {count}")?;
    PACKED.iter().try_for_each(|name| writeln!(out, "property uint {name}"))?;
    if sh_degree > 0 {
        writeln!(out, "element sh {count}")?;
        let rest = REST[sh_degree];
        (0..rest).try_for_each(|index| writeln!(out, "property uchar f_rest_{index}"))?;
    }
    comments(options).iter().try_for_each(|comment| writeln!(out, "comment {comment}"))?;
    writeln!(out, "end_header")
}

/// Minima and maxima of position, log-scale and colour of a chunk.
struct Ranges([[[f32; 3]; 2]; 3]);

fn groups(cloud: &GaussianCloud, index: usize) -> [[f32; 3]; 3] {
    [
        cloud.means[index],
        scales(cloud, index),
        cloud.sh_coeffs[index * cloud.coeffs_per_gaussian()].map(colour),
    ]
}

impl Ranges {
    fn of(cloud: &GaussianCloud, group: &[u32]) -> Self {
        let mut ranges = [[[f32::INFINITY; 3], [f32::NEG_INFINITY; 3]]; 3];
        for &index in group {
            for ([low, high], values) in ranges.iter_mut().zip(groups(cloud, index as usize)) {
                for axis in 0..3 {
                    low[axis] = low[axis].min(values[axis]);
                    high[axis] = high[axis].max(values[axis]);
                }
            }
        }
        Self(ranges)
    }

    fn pack(&self, cloud: &GaussianCloud, index: usize) -> [u32; 4] {
        let values = groups(cloud, index);
        let fractions = |group: usize| -> [f32; 3] {
            let [low, high] = self.0[group];
            std::array::from_fn(|axis| {
                let extent = high[axis] - low[axis];
                if extent > 0.0 { (values[group][axis] - low[axis]) / extent } else { 0.0 }
            })
        };
        let [red, green, blue] = fractions(2).map(byte);
        let alpha = byte(sigmoid(cloud.opacity_logits[index]));
        let (largest, three) = smallest_three(unit(cloud.quats[index]));
        let [a, b, c] = three.map(|value| unorm(fraction_of_component(value), 1023));
        [
            pack_11_10_11(fractions(0)),
            (largest as u32) << 30 | a << 20 | b << 10 | c,
            pack_11_10_11(fractions(1)),
            u32::from_be_bytes([red, green, blue, alpha]),
        ]
    }
}

fn unorm(fraction: f32, most: u32) -> u32 {
    ((fraction * most as f32 + 0.5) as u32).min(most)
}

fn pack_11_10_11([x, y, z]: [f32; 3]) -> u32 {
    unorm(x, 2047) << 21 | unorm(y, 1023) << 11 | unorm(z, 2047)
}
