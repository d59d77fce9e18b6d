//! `.ksplat` of mkkellogg's GaussianSplats3D: sections of splats, uncompressed (level 0) or quantized (levels 1 and 2).

use std::path::Path;

use super::quantize::{f_dc, half, logit_of_byte};
use super::{SplatScene, array, malformed};
use crate::Result;
use crate::gaussians::GaussianCloud;

const HEADER: usize = 4096;
const SECTION: usize = 1024;

/// Bytes of a splat's parts by level of compression: centre, scale, rotation, one harmonic. The colour always has four.
const LEVELS: [[usize; 4]; 3] = [[12, 12, 16, 4], [6, 6, 8, 2], [6, 6, 8, 1]];

struct Reader<'a> {
    bytes: &'a [u8],
    level: usize,
    /// Range of the harmonics' bytes at level 2.
    sh_range: [f32; 2],
}

pub(super) fn read(bytes: &[u8], path: &Path) -> Result<SplatScene> {
    let refuse = |what: String| Err(malformed(path, ".ksplat", what));
    if bytes.len() < HEADER {
        return refuse("it ends within its header; it is truncated, copy it again".into());
    }
    let word = |at: usize| array(bytes, at).map_or(0, u32::from_le_bytes) as usize;
    let float = |at: usize| array(bytes, at).map_or(0.0, f32::from_le_bytes);
    let level = array(bytes, 20).map_or(0, u16::from_le_bytes) as usize;
    if bytes[0] != 0 || bytes[1] == 0 {
        return refuse(format!("its version is {}.{}, and 0.1 is read", bytes[0], bytes[1]));
    }
    if level >= LEVELS.len() {
        return refuse(format!("its level of compression is {level}, not 0 to 2"));
    }
    // Files from before the format had harmonics contain zeros here.
    let sh_range = if float(36) < float(40) { [float(36), float(40)] } else { [-1.5, 1.5] };
    let reader = Reader { bytes, level, sh_range };
    let sections = word(4);
    let mut data = HEADER.saturating_add(sections.saturating_mul(SECTION));
    if data > bytes.len() {
        return refuse("it ends within its section headers; it is truncated, copy it again".into());
    }
    let degree = |section: usize| array(bytes, HEADER + section * SECTION + 40).map_or(0, u16::from_le_bytes);
    let sh_degree = (0..sections).map(degree).max().unwrap_or(0);
    if sh_degree > 3 {
        return refuse(format!("its harmonics have degree {sh_degree} of at most 3"));
    }
    let mut cloud = GaussianCloud { sh_degree: u32::from(sh_degree), ..GaussianCloud::default() };
    for section in 0..sections {
        let Some(read) = reader.section(HEADER + section * SECTION, data, &mut cloud) else {
            return refuse(format!(
                "it ends within section {section} of {sections}; it is truncated, copy it again"
            ));
        };
        data = read;
    }
    Ok(SplatScene { cloud, ..SplatScene::default() })
}

impl Reader<'_> {
    /// Reads the section with its header at `header` and its data at `data`; returns the end of the data.
    fn section(&self, header: usize, data: usize, cloud: &mut GaussianCloud) -> Option<usize> {
        let word =
            |at: usize| array(self.bytes, header + at).map(u32::from_le_bytes).map(|word| word as usize);
        let short = |at: usize| array(self.bytes, header + at).map(u16::from_le_bytes).map(usize::from);
        let (count, most, bucket_size, buckets) = (word(0)?, word(4)?, word(8)?, word(12)?);
        let block = array(self.bytes, header + 16).map(f32::from_le_bytes)?;
        let (bucket_bytes, range) = (short(20)?, word(24)?);
        let (full, partial, degree) = (word(32)?, word(36)?, short(40)?);
        let lengths = data;
        let centres = lengths.checked_add(partial.checked_mul(4)?)?;
        let first = centres.checked_add(bucket_bytes.checked_mul(buckets)?)?;
        let harmonics = [0, 9, 24, 45][degree.min(3)];
        let [centre, scale, rotation, harmonic] = LEVELS[self.level];
        let stride = centre + scale + rotation + 4 + harmonics * harmonic;
        // The file has room for `most` splats, of which `count` are used.
        let end = first.checked_add(most.max(count).checked_mul(stride)?)?;
        if self.bytes.len() < first.checked_add(count.checked_mul(stride)?)? {
            return None;
        }
        let factor = block / 2.0 / if range == 0 { 32_767.0 } else { range as f32 };
        if full > 0 && bucket_size == 0 {
            return None;
        }
        let (mut bucket, mut left) =
            (0, if full > 0 { bucket_size } else { self.length(lengths, 0, partial)? });
        for index in 0..count {
            if self.level > 0 {
                while left == 0 {
                    bucket += 1;
                    left = if bucket < full {
                        bucket_size
                    } else {
                        self.length(lengths, bucket - full, partial)?
                    };
                }
                left -= 1;
            }
            let at = first + index * stride;
            let number = |at: usize| -> Option<f32> {
                if self.level == 0 {
                    array(self.bytes, at).map(f32::from_le_bytes)
                } else {
                    array(self.bytes, at).map(u16::from_le_bytes).map(half)
                }
            };
            let width = centre / 3;
            let mut mean = [0.0; 3];
            for (axis, value) in mean.iter_mut().enumerate() {
                *value = if self.level == 0 {
                    number(at + axis * width)?
                } else {
                    let steps = array(self.bytes, at + axis * width).map(u16::from_le_bytes)?;
                    let origin = array(self.bytes, centres + bucket * bucket_bytes + axis * 4)
                        .map(f32::from_le_bytes)?;
                    (f32::from(steps) - range as f32) * factor + origin
                };
            }
            let at = at + centre;
            let numbers = |at: usize| Some([number(at)?, number(at + width)?, number(at + 2 * width)?]);
            let scales = numbers(at)?;
            let [x, y, z] = numbers(at + scale + width)?;
            let quat = [number(at + scale)?, x, y, z];
            let at = at + scale + rotation;
            let [red, green, blue, alpha] = array(self.bytes, at)?;
            cloud.means.push(mean);
            cloud.log_scales.push(scales.map(f32::ln));
            cloud.quats.push(quat);
            cloud.opacity_logits.push(logit_of_byte(alpha));
            let start = cloud.sh_coeffs.len();
            cloud.sh_coeffs.push([red, green, blue].map(|channel| f_dc(f32::from(channel) / 255.0)));
            cloud.sh_coeffs.resize(start + cloud.coeffs_per_gaussian(), [0.0; 3]);
            for index in 0..harmonics {
                let (channel, coefficient) = place(index);
                let value = self.harmonic(at + 4 + index * harmonic)?;
                cloud.sh_coeffs[start + coefficient][channel] = value;
            }
        }
        Some(end)
    }

    /// Number of splats in a partially filled bucket.
    fn length(&self, lengths: usize, bucket: usize, partial: usize) -> Option<usize> {
        // A bucket without an entry contains the rest.
        if partial == 0 {
            return Some(usize::MAX);
        }
        (bucket < partial)
            .then(|| array(self.bytes, lengths + bucket * 4))?
            .map(|b| u32::from_le_bytes(b) as usize)
    }

    fn harmonic(&self, at: usize) -> Option<f32> {
        let [low, high] = self.sh_range;
        match self.level {
            0 => array(self.bytes, at).map(f32::from_le_bytes),
            1 => array(self.bytes, at).map(u16::from_le_bytes).map(half),
            _ => self.bytes.get(at).map(|&byte| low + f32::from(byte) / 255.0 * (high - low)),
        }
    }
}

/// Channel and coefficient of a stored harmonic: ordered by degree, then by channel.
fn place(index: usize) -> (usize, usize) {
    match index {
        0..9 => (index / 3, 1 + index % 3),
        9..24 => ((index - 9) / 5, 4 + (index - 9) % 5),
        _ => ((index - 24) / 7, 9 + (index - 24) % 7),
    }
}
