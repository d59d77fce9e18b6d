//! antimatter15's `.splat`: 32 bytes per splat, no header, no view-dependent colour.

use std::cmp::Reverse;
use std::io::Write as _;
use std::path::Path;

use rayon::prelude::*;

use super::quantize::{byte, colour, f_dc, logit_of_byte, sigmoid, unit};
use super::{SplatScene, malformed};
use crate::gaussians::GaussianCloud;
use crate::{Result, files};

const ROW: usize = 32;

pub(super) fn read(bytes: &[u8], path: &Path) -> Result<SplatScene> {
    let (rows, rest) = bytes.as_chunks::<ROW>();
    if !rest.is_empty() || rows.is_empty() {
        let what = format!(
            "its {} bytes are not whole splats of {ROW}; it is truncated, copy it again",
            bytes.len()
        );
        return Err(malformed(path, ".splat", what));
    }
    let mut cloud = GaussianCloud::with_room(rows.len(), 0);
    for row in rows {
        let (floats, _) = row.as_chunks::<4>();
        let [x, y, z, sx, sy, sz, ..] = [0, 1, 2, 3, 4, 5].map(|at| f32::from_le_bytes(floats[at]));
        cloud.means.push([x, y, z]);
        cloud.log_scales.push([sx, sy, sz].map(f32::ln));
        let [red, green, blue, alpha] = floats[6];
        cloud.sh_coeffs.push([red, green, blue].map(|channel| f_dc(f32::from(channel) / 255.0)));
        cloud.opacity_logits.push(logit_of_byte(alpha));
        cloud.quats.push(unit(floats[7].map(|component| (f32::from(component) - 128.0) / 128.0)));
    }
    Ok(SplatScene { cloud, ..SplatScene::default() })
}

/// Writes a cloud of finite values, most visible first, since viewers draw what has been loaded.
pub(super) fn write(path: &Path, cloud: &GaussianCloud) -> Result<()> {
    let visible = |index: usize| {
        let size: f32 = cloud.log_scales[index].iter().sum();
        size.exp() * sigmoid(cloud.opacity_logits[index])
    };
    let mut order: Vec<(Reverse<u32>, u32)> = (0..cloud.len())
        .into_par_iter()
        // Non-negative floats compare like their bits.
        .map(|index| (Reverse(visible(index).to_bits()), index as u32))
        .collect();
    order.par_sort_unstable();
    let coeffs = cloud.coeffs_per_gaussian();
    files::write_atomically(path, |out| {
        for (_, index) in order {
            let index = index as usize;
            let mut row = [0; ROW];
            let floats = cloud.means[index].into_iter().chain(cloud.log_scales[index].map(f32::exp));
            let (words, _) = row.as_chunks_mut::<4>();
            words.iter_mut().zip(floats).for_each(|(word, value)| *word = value.to_le_bytes());
            let [red, green, blue] = cloud.sh_coeffs[index * coeffs].map(|value| byte(colour(value)));
            words[6] = [red, green, blue, byte(sigmoid(cloud.opacity_logits[index]))];
            words[7] = unit(cloud.quats[index]).map(|component| (component * 128.0 + 128.5) as u8);
            out.write_all(&row)?;
        }
        Ok(())
    })
}
